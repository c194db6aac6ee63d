//! Why something is not let through, and the words for it.

use borg_core::budget::Cap;
use std::fmt;

/// The rule a request broke. The name is stable: the ledger, events and policy drafts use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The process at the other end is not the one admitted, or nobody was admitted in time.
    Peer,
    /// The head of a request is no HTTP, or over a limit.
    Head,
    /// The method and path are not one of the two that exist here.
    Route,
    Query,
    Header,
    Beta,
    /// A credential other than the run's placeholder.
    Credential,
    BodySize,
    /// The body did not arrive whole and in time.
    Body,
    /// The body is not one JSON object with distinct keys and bounded depth and size.
    Json,
    /// A field, or a type of block, tool or source, that is not on the list.
    Field,
    Model,
    Price,
    /// The door is shut: too many refusals, a failed ledger, or the run is over.
    Shut,
}

impl Rule {
    pub fn as_str(self) -> &'static str {
        match self {
            Rule::Peer => "peer",
            Rule::Head => "head",
            Rule::Route => "route",
            Rule::Query => "query",
            Rule::Header => "header",
            Rule::Beta => "beta",
            Rule::Credential => "credential",
            Rule::BodySize => "body-size",
            Rule::Body => "body",
            Rule::Json => "json",
            Rule::Field => "field",
            Rule::Model => "model",
            Rule::Price => "price",
            Rule::Shut => "shut",
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A request that is not let through.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub rule: Rule,
    /// What was wrong, a lower-case fragment; may quote the client, cleaned by [`quoted`].
    pub detail: String,
    /// JSON pointer into the body.
    pub pointer: Option<String>,
    /// What a person could change so that it would be let through.
    pub ask: String,
}

impl Refusal {
    pub fn new(rule: Rule, detail: impl Into<String>) -> Refusal {
        let ask = match rule {
            Rule::Peer => "only the run's own init process is served; use the address in ANTHROPIC_BASE_URL",
            Rule::Route | Rule::Query => {
                "only POST /v1/messages and /v1/messages/count_tokens exist here; other hosts and paths are not granted to this run"
            }
            Rule::Head | Rule::Header | Rule::Body | Rule::BodySize | Rule::Json => {
                "no policy line allows this; change the request"
            }
            Rule::Beta => "an operator can add the token to `betas` of the run's `[egress.NAME]` in policies/",
            Rule::Credential => "send the placeholder key the run was given; the host puts the real one in",
            Rule::Field => {
                "no policy line allows this; leave the field out (server-side tools, file ids and URL sources are not granted)"
            }
            Rule::Model => "an operator can add the model to `models` of the run's `[egress.NAME]` in policies/",
            Rule::Price => {
                "an operator can add the model's list price to `price` of the run's `[egress.NAME]` in policies/"
            }
            Rule::Shut => "nothing more is let through for this run; see its log",
        };
        Refusal { rule, detail: detail.into(), pointer: None, ask: ask.into() }
    }

    pub fn at(rule: Rule, pointer: String, detail: impl Into<String>) -> Refusal {
        Refusal { pointer: Some(quoted(&pointer)), ..Refusal::new(rule, detail) }
    }
}

/// The sentence an agent reads when a limit is reached.
pub(crate) fn cap_message(cap: Cap, figure: &str) -> String {
    format!(
        "borg: budget reached: {cap} ({figure}). No further request to the model is possible in this task; the work so far is kept."
    )
}

/// The client's words, made fit for a message, a log or a ledger: at most 256 characters, none of them a control character.
pub(crate) fn quoted(text: &str) -> String {
    text.chars().take(256).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
