//! What is recorded of each request. Keeping the rows is the business of whoever implements [`Ledger`].

use crate::{BoxFuture, Rule};
use borg_core::{
    budget::{Cap, MicroUsd, Spent, Usage},
    id::RunKey,
};
use std::collections::BTreeMap;

/// One request, or one connection that was turned away before it could make any. Holds neither bodies nor secrets; method,
/// path and model are the client's words, cut to 256 characters and without control characters.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub run: RunKey,
    /// Host the request went to or would have gone to.
    pub host: String,
    /// Empty if the connection was turned away before a request was read.
    pub method: String,
    /// Path and query.
    pub path: String,
    /// Empty if no model was named.
    pub model: String,
    /// The HTTP status given to the client, or that it would have been given had it not gone away.
    pub status: u16,
    pub fate: Fate,
    /// None if nothing was used or the request never reached the provider.
    pub usage: Option<Usage>,
    pub cost: MicroUsd,
    /// True where a subscription pays, so that the cost is a list price and nobody's money.
    pub notional: bool,
    /// True if `usage` is an upper estimate, because the response ended without telling.
    pub estimated: bool,
    /// Bytes of the request body taken from the client.
    pub bytes_in: u64,
    /// Bytes of the response body given to the client.
    pub bytes_out: u64,
    pub duration_ms: u64,
    /// What the provider said of the subscription that paid for it, by name: how it stands, how much of each window is used, when that
    /// begins anew. Empty where it said nothing.
    pub subscription: BTreeMap<String, String>,
    /// Number of the hold that this row settles, where [`Ledger::hold`] was told one.
    pub held: Option<u64>,
    /// Process at the other end as the kernel tells it (`SO_PEERCRED`). What runs behind it is its own claim.
    pub peer_pid: i32,
}

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Forwarded, and answered by the provider with whatever status.
    Allowed,
    /// Not forwarded: it is not allowed. `pointer` is the JSON pointer of what was refused in a body.
    Refused { rule: Rule, pointer: Option<String> },
    /// Not forwarded: this limit of the budget is reached.
    Capped(Cap),
    /// Allowed, but the host could not do it or the provider did not answer to the end.
    Failed(String),
}

/// What a request may cost that nobody waits for any more, until its row comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    pub run: RunKey,
    /// Tells it from others of this process.
    pub request: u64,
    pub model: String,
    pub most: Spent,
}

/// A row could not be made durable. The run's door is shut then.
#[derive(Debug, thiserror::Error)]
#[error("the ledger cannot be written: {0}")]
pub struct LedgerError(pub String);

/// Where rows go.
pub trait Ledger: Send + Sync {
    /// Makes the row durable before it returns, and what it says was spent together with it. The implementation stamps the time.
    fn record(&self, row: Row) -> BoxFuture<'_, Result<(), LedgerError>>;

    /// Makes durable that a request may cost so much, before it returns. The row with this number in [`Row::held`] settles it; where none
    /// comes before the process ends, it is spent.
    fn hold(&self, held: Held) -> BoxFuture<'_, Result<(), LedgerError>>;
}
