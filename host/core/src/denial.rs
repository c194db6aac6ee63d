//! A no, as the journal notes it and people read it.

use serde::{Deserialize, Serialize};

/// A refusal by policy, the kernel or collection, with the line that would allow it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenialNote {
    /// What was asked for, such as `tool Bash`.
    pub what: String,
    /// Which rule said no.
    pub rule: String,
    /// The policy edit that would allow it; empty when nothing would.
    pub remedy: String,
}
