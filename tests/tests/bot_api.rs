//! The stand-in for the Bot API, driven by teloxide where teloxide can and by plain HTTP where a fault must be seen as it is.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "bot_api/mod.rs"]
mod asking;

#[path = "bot_api/faults.rs"]
mod faults;
#[path = "bot_api/polling.rs"]
mod polling;
#[path = "bot_api/posting.rs"]
mod posting;
#[path = "bot_api/privacy.rs"]
mod privacy;
#[path = "bot_api/refusals.rs"]
mod refusals;
#[path = "bot_api/schema.rs"]
mod schema;
