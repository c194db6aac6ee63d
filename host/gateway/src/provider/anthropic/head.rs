//! Query and headers: compared raw, by name, and rebuilt from constants.

use super::{
    credential::{self, BETA, OAUTH_BETA},
    messages::PATHS,
    say,
};
use crate::{
    provider::{
        api::Head,
        framing::{self, single},
    },
    refusal::{Refusal, Rule, quoted},
};
use hyper::{
    HeaderMap,
    header::{self, HeaderName, HeaderValue},
    http::request::Parts,
};

/// The `anthropic-beta` tokens seen in requests of Claude Code 2.1.197 (see `tests/recorded/`), without which none of them passes. The OAuth
/// token is not among them: it goes with the credential and is added or removed with it.
pub(super) const CLAUDE_CODE_BETAS: [&str; 10] = [
    "claude-code-20250219",
    "context-1m-2025-08-07",
    "context-management-2025-06-27",
    "effort-2025-11-24",
    "extended-cache-ttl-2025-04-11",
    "interleaved-thinking-2025-05-14",
    "mid-conversation-system-2026-04-07",
    "prompt-caching-scope-2026-01-05",
    "thinking-token-count-2026-05-13",
    "token-counting-2024-11-01",
];

/// Begins the beta that lets a model take in more than its window.
const LONG_CONTEXT: &str = "context-1m-";

/// Headers that are sent on as they are, if they come once. Any other header is left behind: none of them is needed, and
/// credentials and cookies are among them.
const FORWARDED: [&str; 12] = [
    "user-agent",
    "x-app",
    "x-claude-code-session-id",
    "x-stainless-arch",
    "x-stainless-lang",
    "x-stainless-os",
    "x-stainless-package-version",
    "x-stainless-retry-count",
    "x-stainless-runtime",
    "x-stainless-runtime-version",
    "x-stainless-timeout",
    "anthropic-dangerous-direct-browser-access",
];

/// Most beta tokens in one request.
const MOST_BETAS: usize = 32;

/// Checks everything about a head that does not depend on the model.
pub(super) fn check(route: usize, parts: &Parts) -> Result<Head, Refusal> {
    let headers = &parts.headers;
    let query = match parts.uri.query() {
        None => "",
        Some("beta=true") => "?beta=true",
        Some(other) => {
            return Err(say::unknown_path(Rule::Query, format!("query `{}` is not allowed", quoted(other))));
        }
    };
    framing::check(headers)?;
    credential::check(headers)?;
    let betas = betas(headers)?;
    let mut forwarded = HeaderMap::new();
    for name in FORWARDED {
        if let Some(value) = single(headers, name)? {
            forwarded.insert(HeaderName::from_static(name), value.clone());
        }
    }
    if let Some(version) = single(headers, "anthropic-version")?
        && version != "2023-06-01"
    {
        return Err(Refusal::new(Rule::Header, "`anthropic-version` must be 2023-06-01"));
    }
    forwarded.insert("anthropic-version", HeaderValue::from_static("2023-06-01"));
    forwarded.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    forwarded.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
    // A compressed response would blind the meter.
    forwarded.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    Ok(Head {
        route,
        target: format!("{}{query}", PATHS[route]),
        headers: forwarded,
        widens: betas.iter().any(|beta| beta.starts_with(LONG_CONTEXT)),
        features: betas,
    })
}

/// All tokens of all `anthropic-beta` headers.
fn betas(headers: &HeaderMap) -> Result<Vec<String>, Refusal> {
    let bad = || Refusal::new(Rule::Beta, "`anthropic-beta` is not a list of tokens");
    let mut tokens: Vec<String> = Vec::new();
    for value in headers.get_all(BETA) {
        for token in value.to_str().map_err(|_| bad())?.split(',').map(str::trim) {
            let is_token = !token.is_empty()
                && token.len() <= 64
                && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_' || b == b'.');
            if !is_token || tokens.len() >= MOST_BETAS {
                return Err(bad());
            }
            if token != OAUTH_BETA && !tokens.iter().any(|known| known == token) {
                tokens.push(token.to_owned());
            }
        }
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hyper::Request;

    fn head(betas: &str) -> Head {
        let request = Request::post("/v1/messages?beta=true").header("content-type", "application/json");
        let (parts, ()) = request.header(BETA, betas).body(()).unwrap().into_parts();
        check(0, &parts).unwrap()
    }

    #[test]
    fn a_beta_for_a_long_context_widens_the_window() {
        assert!(head("context-1m-2025-08-07").widens);
        assert!(head("effort-2025-11-24, context-1m-2027-01-01").widens);
        assert!(!head("effort-2025-11-24").widens);
    }

    #[test]
    fn what_is_sent_is_made_of_constants_and_without_the_clients_oauth_beta() {
        let head = head("oauth-2025-04-20,effort-2025-11-24,effort-2025-11-24");
        assert_eq!(
            (head.target.as_str(), head.features),
            ("/v1/messages?beta=true", vec!["effort-2025-11-24".to_owned()])
        );
        assert!(!head.headers.contains_key(BETA), "they are added with the credential");
    }
}
