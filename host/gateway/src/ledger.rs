//! What is recorded of each request. Keeping the rows is the business of whoever implements [`Ledger`].

use crate::{BoxFuture, Rule};
use borg_core::{
    budget::{Cap, MicroUsd, Spent, Usage},
    id::RunKey,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};
use std::{collections::BTreeMap, fmt, str::FromStr};

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

/// As it stands in a journal.
impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fate::Allowed => f.write_str("allowed"),
            Fate::Refused { rule, pointer: None } => write!(f, "refused: {rule}"),
            Fate::Refused { rule, pointer: Some(pointer) } => write!(f, "refused: {rule} at {pointer}"),
            Fate::Capped(cap) => write!(f, "capped: {cap}"),
            Fate::Failed(why) => write!(f, "failed: {why}"),
        }
    }
}

/// Text that tells of no fate.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not what becomes of a request")]
pub struct UnknownFate(String);

impl FromStr for Fate {
    type Err = UnknownFate;

    fn from_str(text: &str) -> Result<Fate, UnknownFate> {
        let unknown = || UnknownFate(text.to_owned());
        let (word, rest) = text.split_once(": ").unwrap_or((text, ""));
        match word {
            "allowed" if rest.is_empty() => Ok(Fate::Allowed),
            "refused" => {
                let (rule, pointer) = rest.split_once(" at ").map_or((rest, None), |(rule, at)| (rule, Some(at)));
                let rule = rule.parse().map_err(|_| unknown())?;
                Ok(Fate::Refused { rule, pointer: pointer.map(str::to_owned) })
            }
            "capped" => {
                let mut caps = [Cap::Turns, Cap::Tokens, Cap::Cost, Cap::Wall].into_iter();
                Ok(Fate::Capped(caps.find(|cap| cap.to_string() == rest).ok_or_else(unknown)?))
            }
            "failed" => Ok(Fate::Failed(rest.to_owned())),
            _ => Err(unknown()),
        }
    }
}

impl Serialize for Fate {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Fate {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Fate, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// What hosts have written so far, word for word.
    #[test]
    fn what_became_of_a_request_is_kept_as_text_that_is_read_again() {
        let refused = |rule, pointer: Option<&str>| Fate::Refused { rule, pointer: pointer.map(str::to_owned) };
        for (text, fate) in [
            ("allowed", Fate::Allowed),
            ("refused: route", refused(Rule::Route, None)),
            ("refused: body-size", refused(Rule::BodySize, None)),
            ("refused: field at /tools/0", refused(Rule::Field, Some("/tools/0"))),
            ("refused: field at /a at /b", refused(Rule::Field, Some("/a at /b"))),
            ("capped: cost", Fate::Capped(Cap::Cost)),
            ("capped: wall time", Fate::Capped(Cap::Wall)),
            ("failed: the client went away first", Fate::Failed("the client went away first".into())),
            ("failed: status 302", Fate::Failed("status 302".into())),
            ("failed: a: b", Fate::Failed("a: b".into())),
            ("failed: ", Fate::Failed(String::new())),
        ] {
            assert_eq!(text.parse(), Ok(fate.clone()), "{text}");
            assert_eq!(serde_json::to_value(&fate).unwrap(), text);
            assert_eq!(serde_json::from_value::<Fate>(text.into()).unwrap(), fate);
        }
        for other in ["", "allowed: not quite", "refused: by nobody", "capped: luck", "forgotten: x"] {
            assert!(other.parse::<Fate>().is_err(), "{other}");
        }
    }
}
