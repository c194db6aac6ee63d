//! What goes over the socket and back, and what it is served from.

use crate::engine::Desk;
use borg_core::{id::TaskId, intent::Intent};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// What the socket serves from.
#[derive(Clone)]
pub struct Served {
    pub desk: Desk,
    pub about: About,
}

/// `GET /v1/host`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct About {
    pub version: String,
    pub installation: String,
    pub sandbox: String,
    pub data_dir: PathBuf,
}

/// `POST /v1/intents`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IntentRequest {
    pub intent: Intent,
    /// Chat that hears of what comes of it.
    pub chat: Option<String>,
}

/// `GET /v1/events`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EventsQuery {
    /// Sequence number to go on after.
    #[serde(default)]
    pub after: u64,
    pub task: Option<TaskId>,
    /// Waits for more; ends when the task needs nobody but a person, or has ended.
    #[serde(default)]
    pub follow: bool,
}
