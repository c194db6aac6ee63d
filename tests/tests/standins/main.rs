//! What stands in for neighbours that cannot run here, and how things are measured.

mod bot_api;
mod measure;
mod messages_api;
