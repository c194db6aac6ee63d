//! The whole bot: host, teloxide and component against the stand-in for the Bot API, as people see it.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod crash;
mod digest;
mod failures;
mod groups;
mod hostile;
mod load;
mod operators;
mod people;
mod presses;
mod review;
mod room;
mod setup;
mod talking;
mod tasks;
