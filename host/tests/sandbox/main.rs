//! Sandboxes, from the outside: containers and the local one.

mod contract;
mod docker;
mod local;
mod room;
