//! The stand-in for the Bot API, driven by teloxide where teloxide can and by plain HTTP where a fault must be seen as it is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod asking;

mod faults;
mod polling;
mod posting;
mod privacy;
mod refusals;
mod schema;
