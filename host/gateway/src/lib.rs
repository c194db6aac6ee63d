//! borg-gateway: the one way out of a container.
//!
//! Each run has one Unix socket, and that socket *is* the run: only the process the host admitted is served on it. What is
//! let through is what a coding agent needs of a model API and nothing else; credentials are put in on the way out, usage
//! is read on the way back, and each request leaves one row in the ledger.
//!
//! ```text
//! connection → peer (door) → head (firewall::head) → body (firewall::body) → budget (account) → credential → upstream
//!                                                                     client ← relay ← meter ← response ┘
//! ```
//!
//! Left to others: where secrets come from ([`Secrets`]), where rows go ([`Ledger`]), what a cap or a `retry-after` means
//! for a task ([`News`]), and the bridge inside the container.

mod access;
mod account;
mod behind;
mod door;
mod exchange;
mod firewall;
mod gateway;
mod ledger;
mod meter;
mod news;
mod refusal;
mod relay;
mod request;
mod response;
mod run;
mod secret;
mod socket;
mod upstream;
mod wire;

pub use access::{Access, CLAUDE_CODE_BETAS, Config, Egress, Limits, Provider};
pub use behind::Elder;
pub use door::Door;
pub use gateway::{Error, Gateway};
pub use ledger::{Fate, Held, Ledger, LedgerError, Row};
pub use news::News;
pub use refusal::Rule;
pub use secret::{Credential, Secret, SecretError, Secrets};
pub use upstream::BaseError;

/// A boxed future, the form in which [`Secrets`] and [`Ledger`] answer so that they can be trait objects.
pub type BoxFuture<'a, T> = futures_util::future::BoxFuture<'a, T>;
