//! Anthropic's Messages API: a request comes in, and what goes out is made anew from the parts that are on the list. What is not known here
//! does not exist.
//!
//! - [`head`]: query, headers, beta tokens;
//! - [`messages`]: what a body may hold, on each of the two paths, and what is read from it;
//! - [`weight`]: how many tokens the provider can make of it at most;
//! - [`credential`]: API keys and tokens of subscriptions;
//! - [`meter`]: usage, out of streams and plain answers;
//! - [`say`]: errors, theirs and ours.
//!
//! The tables hold what Claude Code sends (recorded in `tests/recorded/`) and the inline parts of the public API that any client needs.

mod credential;
mod head;
mod messages;
mod meter;
mod say;
mod weight;

use super::api::{Head, Meter, Pause, Prompt, Provider, Settings};
use crate::{
    refusal::Refusal,
    say::{Said, Told},
    secret::Credential,
};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Bytes,
    header::{CONTENT_TYPE, InvalidHeaderValue},
    http::request::Parts,
};
use serde_json::Value;
use std::collections::BTreeMap;

#[derive(Debug)]
pub(super) struct Anthropic;

impl Provider for Anthropic {
    fn name(&self) -> &'static str {
        "anthropic"
    }

    fn base(&self) -> &'static str {
        "https://api.anthropic.com"
    }

    fn settings(&self) -> Settings {
        Settings { base: "ANTHROPIC_BASE_URL", ca_file: "ANTHROPIC_CA_FILE" }
    }

    fn address(&self) -> &'static str {
        "ANTHROPIC_BASE_URL"
    }

    fn placeholder(&self) -> &'static str {
        credential::PLACEHOLDER
    }

    fn routes(&self) -> &'static [&'static str] {
        &messages::PATHS
    }

    fn head(&self, route: usize, parts: &Parts) -> Result<Head, Refusal> {
        head::check(route, parts)
    }

    fn features(&self) -> &'static [&'static str] {
        &head::CLAUDE_CODE_BETAS
    }

    fn feature_header(&self) -> &'static str {
        credential::BETA
    }

    fn prompt(&self, head: &Head, body: Value, bytes: usize) -> Result<Prompt, Refusal> {
        messages::check(head.route, body, bytes)
    }

    fn limit(&self, body: &mut Value, most: u32) {
        messages::limit(body, most);
    }

    fn is_subscription(&self, credential: &Credential) -> bool {
        credential::is_oauth(credential)
    }

    fn headers(&self, head: &Head, credential: &Credential) -> Result<HeaderMap, InvalidHeaderValue> {
        credential::headers(head, credential)
    }

    fn meter(&self, headers: &HeaderMap) -> Box<dyn Meter> {
        let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let is_stream = kind.starts_with("text/event-stream");
        Box::new(if is_stream { meter::Meter::stream() } else { meter::Meter::whole() })
    }

    fn passes(&self, header: &str) -> bool {
        say::passes(header)
    }

    fn subscription(&self, headers: &HeaderMap) -> BTreeMap<String, String> {
        say::subscription(headers)
    }

    fn pause(&self, status: StatusCode, headers: &HeaderMap) -> Option<Pause> {
        let is_too_much = status == StatusCode::TOO_MANY_REQUESTS || status.as_u16() == 529;
        is_too_much.then(|| Pause { ms: say::retry_after_ms(headers) })
    }

    fn error(&self, body: &[u8]) -> Option<Told> {
        say::error(body)
    }

    fn say(&self, said: &Said<'_>) -> Response<String> {
        say::say(said)
    }

    fn say_in_stream(&self, message: &str) -> Bytes {
        say::event(message)
    }
}
