//! borg-host: the adapters of the program, as a library so that tests can drive each of them. `main.rs` wires them, once.

pub mod agents;
pub mod causes;
pub mod chats;
pub mod clock;
pub mod compiler;
pub mod control;
pub mod engine;
pub mod environment;
#[cfg(test)]
mod fixture;
pub mod forge;
pub mod git;
pub mod host;
pub mod installation;
pub mod journal;
pub mod ledger;
pub mod log;
pub mod mail;
pub mod neutral;
pub mod people;
pub mod policies;
pub mod sandbox;
pub mod secrets;
pub mod settings;
pub mod spawn;
pub mod store;
pub mod teller;
pub mod workspace;
