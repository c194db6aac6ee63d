//! What the engine hears from a door while a run goes on. News, not state: who needs certainty asks the
//! [`crate::Door`] or the ledger.

use borg_core::budget::Cap;

/// Something about a run that the engine may act on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// This share of the task's budget is spent, by the figure that is furthest: 50, 75 or 90, each once per run.
    Reached { percent: u8, of: Cap },
    /// A request was refused because this limit is reached. Once per run.
    Capped(Cap),
    /// The provider answered 401 twice, the second time after the secret was read again.
    CredentialRejected { secret: String },
    /// The host has no usable value for this secret; `why` says what to do.
    NoCredential { secret: String, why: String },
    /// The provider answered 429 or 529; nothing more should be asked of it for this long, if it said how long.
    RetryAfter { ms: Option<u64> },
    /// The ledger failed; nothing more is let through.
    LedgerFailed { why: String },
    /// The run caused so many refusals, or rows that used nothing, that its door is shut.
    TooManyRefusals,
}
