//! borg-gateway: the one way out of a container.
//!
//! Each run has one Unix socket, and that socket *is* the run: only the process the host admitted is served on it. What is
//! let through is what a coding agent needs of a model API and nothing else; credentials are put in on the way out, usage
//! is read on the way back, and each request leaves one row in the ledger.
//!
//! ```text
//! connection → who (door) → what is asked (head) → Way::Model → content (prompt) → budget (account) → credential → upstream
//!                                                                        client ← relay ← meter ← response (exchange) ┘
//! ```
//!
//! A way is added beside `Way::Model`, with its own exchange; a provider is a folder below [`provider`], where all stands that is known of
//! anybody's API. A refusal is a value ([`provider::Refusal`]) until the way that was asked for spells it.
//!
//! Left to others: where secrets come from ([`Secrets`]), where rows go ([`Ledger`]), what a cap or a `retry-after` means
//! for a task ([`News`]), and the bridge inside the container.

mod access;
mod account;
mod behind;
mod door;
mod entry;
mod error;
mod exchange;
mod gateway;
mod head;
mod json;
mod ledger;
mod news;
mod prompt;
pub mod provider;
mod refusal;
mod relay;
mod request;
mod run;
mod say;
mod secret;
mod socket;
mod upstream;
mod usage;
mod way;
mod wire;

pub use access::{Access, Config, Egress, Endpoint, Limits};
pub use behind::Elder;
pub use door::Door;
pub use error::Error;
pub use gateway::Gateway;
pub use ledger::{Fate, Held, Ledger, LedgerError, Row, UnknownFate};
pub use news::News;
pub use refusal::{Rule, UnknownRule};
pub use secret::{Credential, Secret, SecretError, Secrets};
pub use upstream::BaseError;

/// A boxed future, the form in which [`Secrets`] and [`Ledger`] answer so that they can be trait objects.
pub type BoxFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;
