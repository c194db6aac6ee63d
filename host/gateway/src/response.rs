//! Responses as the client sees them: our own refusals in the provider's shape, and the provider's with its headers filtered.

use crate::refusal::Refusal;
use borg_core::budget::Cap;
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Bytes,
    header::{self, HeaderValue},
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// A response body that was cut off, so that the connection must be too.
#[derive(Debug, thiserror::Error)]
#[error("the response was cut off")]
pub(crate) struct Cut;

pub(crate) type Body = UnsyncBoxBody<Bytes, Cut>;

/// Headers of the provider that are passed on; names that start with `anthropic-ratelimit-` are too.
const PASSED: [&str; 5] = ["content-type", "request-id", "retry-after", "retry-after-ms", "x-should-retry"];

/// Begins the names of headers that tell of a subscription.
const SUBSCRIPTION: &str = "anthropic-ratelimit-unified-";
/// Headers of it that are kept, and how long name and value together may be.
const SUBSCRIPTION_NAMES: usize = 32;
const SUBSCRIPTION_BYTES: usize = 128;

/// Whether a client should send the same request again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Retry {
    /// As it sees fit, by the status.
    Open,
    /// Never: the answer will be the same. Said with `x-should-retry`, which the provider's own clients obey.
    Never,
}

/// A refusal: what a client of the provider shows as an error, and beside it, for scripts, host, rule and how to ask.
pub(crate) fn refused(refusal: &Refusal, host: &str) -> (StatusCode, Response<Body>) {
    use crate::Rule;
    let (status, kind) = match refusal.rule {
        Rule::BodySize => (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
        Rule::Head | Rule::Body | Rule::Json => (StatusCode::BAD_REQUEST, "invalid_request_error"),
        Rule::Peer
        | Rule::Route
        | Rule::Query
        | Rule::Header
        | Rule::Beta
        | Rule::Credential
        | Rule::Field
        | Rule::Model
        | Rule::Price
        | Rule::Shut => (StatusCode::FORBIDDEN, "permission_error"),
    };
    let place = refusal.pointer.as_ref().map_or(String::new(), |pointer| format!(" at {pointer}"));
    let message = format!("borg: refused by rule `{}`{place}: {}. {}.", refusal.rule, refusal.detail, refusal.ask);
    let borg = json!({
        "host": host,
        "rule": refusal.rule.as_str(),
        "pointer": refusal.pointer,
        "ask": refusal.ask,
    });
    let body = json!({ "type": "error", "error": { "type": kind, "message": message }, "borg": borg });
    (status, respond(status, Retry::Never, &body))
}

/// A limit of the budget is reached. 400 is what clients take for final.
pub(crate) fn capped(cap: Cap, message: &str) -> (StatusCode, Response<Body>) {
    let status = StatusCode::BAD_REQUEST;
    let body = json!({
        "type": "error",
        "error": { "type": "invalid_request_error", "message": message },
        "borg": { "rule": "budget", "cap": cap },
    });
    (status, respond(status, Retry::Never, &body))
}

/// An error in the provider's shape.
pub(crate) fn error(status: StatusCode, kind: &str, message: &str, retry: Retry) -> Response<Body> {
    respond(status, retry, &json!({ "type": "error", "error": { "type": kind, "message": message } }))
}

/// The same as an event of a stream.
pub(crate) fn error_event(message: &str) -> Bytes {
    let data = json!({ "type": "error", "error": { "type": "api_error", "message": message } });
    Bytes::from(format!("event: error\ndata: {data}\n\n"))
}

/// Copies what may be passed on of the provider's headers.
pub(crate) fn pass_headers(from: &HeaderMap, to: &mut HeaderMap) {
    for (name, value) in from {
        if PASSED.contains(&name.as_str()) || name.as_str().starts_with("anthropic-ratelimit-") {
            to.append(name, value.clone());
        }
    }
}

/// What the provider says of a subscription: `status`, `reset` (seconds since 1970), and the same of each window, as in `5h-utilization`.
pub(crate) fn subscription(headers: &HeaderMap) -> BTreeMap<String, String> {
    let told = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(SUBSCRIPTION)?;
        let value = value.to_str().ok().filter(|value| name.len() + value.len() <= SUBSCRIPTION_BYTES)?;
        Some((name.to_owned(), value.to_owned()))
    });
    told.take(SUBSCRIPTION_NAMES).collect()
}

/// Milliseconds a provider asks to wait, if it says so: in milliseconds, in seconds, or as a time (RFC 9110, 10.2.3). A time is
/// measured by the provider's own clock, which its `date` tells; ours may differ.
pub(crate) fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let ms = number("retry-after-ms").or_else(|| number("retry-after").map(|seconds| seconds * 1000.0));
    // Saturates; a negative number or NaN becomes 0.
    ms.map(|ms| ms as u64).or_else(|| {
        let time = |name: &str| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok();
        let wait = time("retry-after")?.duration_since(time("date")?).unwrap_or_default();
        u64::try_from(wait.as_millis()).ok()
    })
}

fn respond(status: StatusCode, retry: Retry, body: &Value) -> Response<Body> {
    let mut response = Response::new(Full::from(body.to_string()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match retry {
        Retry::Open => {}
        Retry::Never => {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
    }
    response
}
