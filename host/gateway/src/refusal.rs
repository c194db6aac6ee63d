//! Why something is not let through, and the words for it.

use borg_core::budget::Cap;
use std::{borrow::Cow, fmt, str::FromStr};

/// The rule a request broke. The name is stable: the ledger, events and policy drafts use it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// The process at the other end is not the one admitted, or nobody was admitted in time.
    Peer,
    /// The head of a request is no HTTP, or over a limit.
    Head,
    /// The method and path are none of those that exist here.
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
    const ALL: [Rule; 14] = [
        Rule::Peer,
        Rule::Head,
        Rule::Route,
        Rule::Query,
        Rule::Header,
        Rule::Beta,
        Rule::Credential,
        Rule::BodySize,
        Rule::Body,
        Rule::Json,
        Rule::Field,
        Rule::Model,
        Rule::Price,
        Rule::Shut,
    ];

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

/// A name that is no rule's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no rule of the gateway")]
pub struct UnknownRule(String);

impl FromStr for Rule {
    type Err = UnknownRule;

    fn from_str(text: &str) -> Result<Rule, UnknownRule> {
        Rule::ALL.into_iter().find(|rule| rule.as_str() == text).ok_or_else(|| UnknownRule(quoted(text)))
    }
}

/// A request that is not let through: a value, which the way it asked for spells (see [`crate::provider::Provider::say`]).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub rule: Rule,
    /// What was wrong, a lower-case fragment; may quote the client, cleaned by [`quoted`].
    pub detail: String,
    /// JSON pointer into the body.
    pub pointer: Option<String>,
    pub remedy: Remedy,
}

/// What would have to be otherwise for it to be let through, and whose business that is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Remedy {
    /// The client's: what it can do, or that nothing helps.
    Client(Cow<'static, str>),
    /// An operator's, who can add this to a key of the run's way out.
    Policy { what: &'static str, key: &'static str },
}

impl Remedy {
    /// Asking for one of the paths that exist.
    pub fn routes(paths: &[&str]) -> Remedy {
        let (list, verb) = match paths {
            [] => return Remedy::Client("no host and no path is granted to this run".into()),
            [only] => ((*only).to_owned(), "exists"),
            [rest @ .., last] => (format!("{} and {last}", rest.join(", ")), "exist"),
        };
        let words = format!("only POST {list} {verb} here; other hosts and paths are not granted to this run");
        Remedy::Client(words.into())
    }

    /// What helps where nobody knows better.
    fn of(rule: Rule) -> Remedy {
        match rule {
            Rule::Peer => {
                Remedy::Client("only the run's own init process is served; use the address the run was given".into())
            }
            Rule::Route | Rule::Query => Remedy::Client("other hosts and paths are not granted to this run".into()),
            Rule::Head | Rule::Header | Rule::Body | Rule::BodySize | Rule::Json => {
                Remedy::Client("no policy line allows this; change the request".into())
            }
            Rule::Beta => Remedy::Policy { what: "the token", key: "betas" },
            Rule::Credential => {
                Remedy::Client("send the placeholder key the run was given; the host puts the real one in".into())
            }
            Rule::Field => Remedy::Client("no policy line allows this; leave the field out".into()),
            Rule::Model => Remedy::Policy { what: "the model", key: "models" },
            Rule::Price => Remedy::Policy { what: "the model's list price", key: "price" },
            Rule::Shut => Remedy::Client("nothing more is let through for this run; see its log".into()),
        }
    }
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remedy::Client(words) => f.write_str(words),
            Remedy::Policy { what, key } => {
                write!(f, "an operator can add {what} to `{key}` of the run's `[egress.NAME]` in policies/")
            }
        }
    }
}

impl Refusal {
    pub fn new(rule: Rule, detail: impl Into<String>) -> Refusal {
        Refusal { rule, detail: detail.into(), pointer: None, remedy: Remedy::of(rule) }
    }

    pub fn at(rule: Rule, pointer: String, detail: impl Into<String>) -> Refusal {
        Refusal { pointer: Some(quoted(&pointer)), ..Refusal::new(rule, detail) }
    }

    /// The same with a remedy of somebody who knows better.
    pub fn with(self, remedy: Remedy) -> Refusal {
        Refusal { remedy, ..self }
    }
}

/// All of it in one line.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = self.pointer.as_ref().map_or(String::new(), |pointer| format!(" at {pointer}"));
        write!(f, "borg: refused by rule `{}`{place}: {}. {}.", self.rule, self.detail, self.remedy)
    }
}

/// The sentence an agent reads when a limit is reached.
pub(crate) fn cap_message(cap: Cap, figure: &str) -> String {
    format!(
        "borg: budget reached: {cap} ({figure}). No further request to the model is possible in this task; the work so far is kept."
    )
}

/// The client's words, made fit for a message, a log or a ledger: at most 256 characters, none of them a control character.
pub fn quoted(text: &str) -> String {
    text.chars().take(256).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
