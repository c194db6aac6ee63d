//! The state machine under test: a world of doers that answer as they are told ([`doers`]), and the promises that hold after every
//! event whatever they answer ([`world`]).
//!
//! `rows` is the table of answers and what follows, `faults` one test per fault once found, `promises` any sequence at all.

mod asking;
mod attempts;
pub(super) mod counter;
mod daily;
mod dispatch;
mod doers;
mod faults;
mod four_eyes;
mod going_on;
mod harness;
mod promises;
mod rows;
mod wishes;
mod world;
