//! What any API asked with JSON over HTTP wants of a head: plain bodies, and headers that say one thing.

use crate::refusal::{Refusal, Rule};
use hyper::{HeaderMap, header::HeaderValue};

/// Longest header value that is sent on.
const LONGEST_VALUE: usize = 1024;

/// The value of a header that may come at most once and is short visible ASCII.
pub fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(Refusal::new(Rule::Header, format!("`{name}` comes more than once")));
    }
    match value.to_str() {
        Ok(text) if text.len() <= LONGEST_VALUE => Ok(Some(value)),
        Ok(_) | Err(_) => Err(Refusal::new(Rule::Header, format!("`{name}` is too long or not ASCII"))),
    }
}

/// The body must be plain JSON: nothing that unpacks, upgrades or waits.
pub fn check(headers: &HeaderMap) -> Result<(), Refusal> {
    for name in ["content-encoding", "upgrade", "expect", "trailer"] {
        if headers.contains_key(name) {
            return Err(Refusal::new(Rule::Header, format!("`{name}` is not allowed")));
        }
    }
    let kind = single(headers, "content-type")?.and_then(|value| value.to_str().ok()).unwrap_or_default();
    let plain = kind.split(';').next().unwrap_or_default().trim();
    match plain.eq_ignore_ascii_case("application/json") {
        true => Ok(()),
        false => Err(Refusal::new(Rule::Header, "`content-type` must be application/json")),
    }
}
