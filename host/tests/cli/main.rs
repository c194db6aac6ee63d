//! The command line, from the outside.

mod agent;
mod place;
mod refusals;
mod setup;
mod terminal;
mod trust;
