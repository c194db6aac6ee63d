//! The command line, from the outside.

mod place;
mod refusals;
mod setup;
mod terminal;
mod trust;
