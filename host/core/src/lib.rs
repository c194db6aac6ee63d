//! borg-core: what things are and what happens next.
//!
//! Data in, data out: no I/O, no clock, no async, no wasmtime. Everything risky is a value by the time it gets here;
//! everything to be done leaves as an [`effect::Effect`].

pub mod budget;
pub mod chat;
pub mod collect;
pub mod executor;
pub mod facts;
pub mod id;
pub mod persona;
pub mod run;
pub mod survey;
pub mod verdict;
