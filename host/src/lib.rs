//! borg-host: the adapters of the program, as a library so that tests can drive each of them. `main.rs` wires them, once.

pub mod agents;
pub mod forge;
pub mod git;
pub mod sandbox;
pub mod spawn;
pub mod workspace;
