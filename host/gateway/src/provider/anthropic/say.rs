//! Errors: what the provider's own say, and ours in the provider's shape, which its clients show as they would show its own.

use super::messages::PATHS;
use crate::{
    refusal::{Refusal, Remedy, Rule},
    say::{Retry, Said, Told},
};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Bytes,
    header::{self, HeaderValue},
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Headers of the provider that are passed on; names that start with [`LIMITS`] are too.
const PASSED: [&str; 5] = ["content-type", "request-id", "retry-after", "retry-after-ms", "x-should-retry"];
const LIMITS: &str = "anthropic-ratelimit-";

/// Begins the names of headers that tell of a subscription.
const SUBSCRIPTION: &str = "anthropic-ratelimit-unified-";
/// Headers of it that are kept, and how long name and value together may be.
const SUBSCRIPTION_NAMES: usize = 32;
const SUBSCRIPTION_BYTES: usize = 128;

/// What a client of the provider shows as an error, and beside it, for scripts, host, rule and how to ask.
pub(super) fn say(said: &Said<'_>) -> Response<String> {
    let (kind, message) = match said {
        Said::Refused { refusal, .. } => (kind_of(refusal.rule), refusal.to_string()),
        Said::Capped { message, .. } => ("invalid_request_error", (*message).to_owned()),
        Said::Failed { status, message, .. } => {
            let kind = match *status {
                StatusCode::FORBIDDEN => "permission_error",
                StatusCode::UNAUTHORIZED => "authentication_error",
                _ => "api_error",
            };
            (kind, (*message).to_owned())
        }
        Said::Theirs { told: Some(told), .. } => (told.kind.as_str(), told.message.clone()),
        Said::Theirs { status, told: None } => {
            ("api_error", format!("the model provider answered with status {}", status.as_u16()))
        }
    };
    let mut body = json!({ "type": "error", "error": { "type": kind, "message": message } });
    if let Some(details) = said.details() {
        body["borg"] = details;
    }
    respond(said, &body)
}

/// The same as an event of a stream.
pub(super) fn event(message: &str) -> Bytes {
    let data = json!({ "type": "error", "error": { "type": "api_error", "message": message } });
    Bytes::from(format!("event: error\ndata: {data}\n\n"))
}

fn kind_of(rule: Rule) -> &'static str {
    match rule {
        Rule::BodySize => "request_too_large",
        Rule::Head | Rule::Body | Rule::Json => "invalid_request_error",
        Rule::Peer
        | Rule::Route
        | Rule::Query
        | Rule::Header
        | Rule::Beta
        | Rule::Credential
        | Rule::Field
        | Rule::Model
        | Rule::Price
        | Rule::Shut => "permission_error",
    }
}

/// That the answer will be the same is said with `x-should-retry`, which the provider's own clients obey.
fn respond(said: &Said<'_>, body: &Value) -> Response<String> {
    let mut response = Response::new(body.to_string());
    *response.status_mut() = said.status();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    match said.retry() {
        Retry::Open => {}
        Retry::Never => {
            headers.insert("x-should-retry", HeaderValue::from_static("false"));
        }
    }
    response
}

/// Something is asked that does not exist on these paths.
pub(super) fn unknown_path(rule: Rule, detail: String) -> Refusal {
    Refusal::new(rule, detail).with(Remedy::routes(&PATHS))
}

/// Kind and message of an error body in the provider's form.
pub(super) fn error(body: &[u8]) -> Option<Told> {
    #[derive(Deserialize)]
    struct Outer {
        error: Inner,
    }
    #[derive(Deserialize)]
    struct Inner {
        #[serde(rename = "type")]
        kind: String,
        message: String,
    }
    let Outer { error: Inner { kind, message } } = serde_json::from_slice(body).ok()?;
    Some(Told { kind, message })
}

pub(super) fn passes(header: &str) -> bool {
    PASSED.contains(&header) || header.starts_with(LIMITS)
}

/// What the provider says of a subscription: `status`, `reset` (seconds since 1970), and the same of each window, as in `5h-utilization`.
pub(super) fn subscription(headers: &HeaderMap) -> BTreeMap<String, String> {
    let told = headers.iter().filter_map(|(name, value)| {
        let name = name.as_str().strip_prefix(SUBSCRIPTION)?;
        let value = value.to_str().ok().filter(|value| name.len() + value.len() <= SUBSCRIPTION_BYTES)?;
        Some((name.to_owned(), value.to_owned()))
    });
    told.take(SUBSCRIPTION_NAMES).collect()
}

/// Milliseconds a provider asks to wait, if it says so: in milliseconds, in seconds, or as a time (RFC 9110, 10.2.3). A time is
/// measured by the provider's own clock, which its `date` tells; ours may differ.
pub(super) fn retry_after_ms(headers: &HeaderMap) -> Option<u64> {
    let number = |name: &str| headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok();
    let ms = number("retry-after-ms").or_else(|| number("retry-after").map(|seconds| seconds * 1000.0));
    // Saturates; a negative number or NaN becomes 0.
    ms.map(|ms| ms as u64).or_else(|| {
        let time = |name: &str| httpdate::parse_http_date(headers.get(name)?.to_str().ok()?.trim()).ok();
        let wait = time("retry-after")?.duration_since(time("date")?).unwrap_or_default();
        u64::try_from(wait.as_millis()).ok()
    })
}
