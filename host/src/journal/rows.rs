//! What reads give.

use borg_core::{
    budget::{MicroUsd, Usage},
    event::Event,
    id::TaskId,
    owner::Owner,
    task::{Status, Task},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// An event with its place in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recorded {
    pub seq: u64,
    #[serde(flatten)]
    pub event: Event,
}

/// A task as lists show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskRow {
    pub id: TaskId,
    pub status: Status,
    pub changed_ms: u64,
    pub title: String,
    pub repository: String,
    pub pipeline: String,
    pub cost_micros: u64,
}

/// One request through the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LedgerRow {
    pub at_ms: u64,
    #[serde(rename = "task")]
    pub owner: Owner,
    pub run: String,
    /// The gateway's own row, as JSON.
    pub row: serde_json::Value,
}

/// A task that moved lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub id: TaskId,
    pub status: Status,
    pub created_ms: u64,
    pub changed_ms: u64,
}

/// Tasks that moved lately.
#[derive(Clone, Debug, Default)]
pub struct MovedTasks {
    /// Newest first, as many as were asked for.
    pub newest: Vec<Task>,
    /// How many there are.
    pub all: u64,
}

/// How work goes on, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Newest first; none that were cancelled.
    pub ended: Vec<(TaskId, Status)>,
    /// Of each task that has not ended.
    pub live: Vec<Status>,
    pub is_paused: bool,
}

/// What one request through the gateway cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    /// Place in the ledger.
    pub id: i64,
    pub at_ms: u64,
    pub usage: Usage,
    pub cost: MicroUsd,
    /// The part of it that a subscription paid.
    pub notional: MicroUsd,
}

/// What a provider said of the subscription that pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub told_ms: u64,
    /// As the gateway's rows have it, by name.
    pub told: BTreeMap<String, String>,
}
