//! What whole-host tests are built from: a harness for the program, repositories to work on, and stand-ins for its neighbours.
//!
//! Nothing here is part of the product. The tests themselves are under `tests/tests/`, the scenarios under `tests/scenarios/`.

pub mod bot_api;
pub mod busy;
pub mod cheats;
pub mod crash;
pub mod guest;
pub mod harness;
pub mod hunt;
pub mod measure;
pub mod messages_api;
pub mod process;
pub mod repo;
pub mod require;
pub mod scenario;
pub mod script;
pub mod terminal;
pub mod trial;
