//! What a client is told by us: a value first; the way that it asked for spells it.

use crate::refusal::{Refusal, Rule};
use borg_core::budget::Cap;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{Response, StatusCode, body::Bytes, header};
use serde_json::{Value, json};

/// A response body that was cut off, so that the connection must be too.
#[derive(Debug, thiserror::Error)]
#[error("the response was cut off")]
pub(crate) struct Cut;

pub(crate) type Body = UnsyncBoxBody<Bytes, Cut>;

/// Whether a client should send the same request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// As it sees fit, by the status.
    Open,
    /// Never: the answer will be the same.
    Never,
}

/// An error in a provider's own words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub kind: String,
    pub message: String,
}

/// An answer that is not the provider's own.
#[derive(Clone, Debug)]
pub enum Said<'a> {
    /// It is not let through; `host` is where it would have gone.
    Refused { refusal: &'a Refusal, host: &'a str },
    /// A limit of the budget is reached.
    Capped { cap: Cap, message: &'a str },
    /// The host could not do it, or could do nothing with what came back.
    Failed { status: StatusCode, message: &'a str, retry: Retry },
    /// The provider failed: kind and message of its error, not its bytes; none if it gave none that can be read.
    Theirs { status: StatusCode, told: Option<Told> },
}

impl Said<'_> {
    pub fn status(&self) -> StatusCode {
        match self {
            Said::Refused { refusal, .. } => match refusal.rule {
                Rule::BodySize => StatusCode::PAYLOAD_TOO_LARGE,
                Rule::Head | Rule::Body | Rule::Json => StatusCode::BAD_REQUEST,
                Rule::Peer
                | Rule::Route
                | Rule::Query
                | Rule::Header
                | Rule::Beta
                | Rule::Credential
                | Rule::Field
                | Rule::Model
                | Rule::Price
                | Rule::Shut => StatusCode::FORBIDDEN,
            },
            // What clients take for final.
            Said::Capped { .. } => StatusCode::BAD_REQUEST,
            Said::Failed { status, .. } | Said::Theirs { status, .. } => *status,
        }
    }

    pub fn retry(&self) -> Retry {
        match self {
            Said::Refused { .. } | Said::Capped { .. } => Retry::Never,
            Said::Failed { retry, .. } => *retry,
            Said::Theirs { .. } => Retry::Open,
        }
    }

    /// The same for scripts: host, rule and how to ask.
    pub fn details(&self) -> Option<Value> {
        match self {
            Said::Refused { refusal, host } => Some(json!({
                "host": host,
                "rule": refusal.rule.as_str(),
                "pointer": refusal.pointer,
                "ask": refusal.remedy.to_string(),
            })),
            Said::Capped { cap, .. } => Some(json!({ "rule": "budget", "cap": cap })),
            Said::Failed { .. } | Said::Theirs { .. } => None,
        }
    }

    /// In words that need no client of anybody's: for runs that have no way out.
    pub(crate) fn plain(&self) -> Response<String> {
        let words = match self {
            Said::Refused { refusal, .. } => refusal.to_string(),
            Said::Capped { message, .. } | Said::Failed { message, .. } => (*message).to_owned(),
            Said::Theirs { status, told } => told.as_ref().map_or(status.to_string(), |told| told.message.clone()),
        };
        let mut response = Response::new(format!("{words}\n"));
        *response.status_mut() = self.status();
        let kind = header::HeaderValue::from_static("text/plain; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        response
    }
}

/// The response with a body that can be sent.
pub(crate) fn whole(response: Response<String>) -> Response<Body> {
    response.map(|text| Full::from(text).map_err(|never| match never {}).boxed_unsync())
}
