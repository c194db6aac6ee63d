//! Method, path, query and headers: compared raw, by name, and rebuilt from constants.

use super::Route;
use crate::{
    access::Egress,
    refusal::{Refusal, Rule, quoted},
};
use hyper::{
    HeaderMap, Method, Uri,
    header::{self, HeaderName, HeaderValue},
};

/// Token of the beta that belongs to OAuth credentials: put in or taken out by the host, never the client's choice.
pub(crate) const OAUTH_BETA: &str = "oauth-2025-04-20";

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

/// Longest header value that is sent on.
const LONGEST_VALUE: usize = 1024;
/// Most beta tokens in one request.
const MOST_BETAS: usize = 32;

/// The parts of a head that matter, all of them checked but for the betas, which depend on the egress.
#[derive(Debug)]
pub(crate) struct Head {
    pub route: Route,
    /// True if `?beta=true` was asked for.
    pub beta_query: bool,
    /// Without [`OAUTH_BETA`], in the client's order, each once.
    pub betas: Vec<String>,
    pub headers: HeaderMap,
}

/// Checks everything about a head that does not depend on the model.
pub(crate) fn check(method: &Method, uri: &Uri, headers: &HeaderMap, placeholder: &str) -> Result<Head, Refusal> {
    if uri.scheme().is_some() || uri.authority().is_some() {
        return Err(Refusal::new(Rule::Route, "the request names a host of its own"));
    }
    let route = [Route::Messages, Route::CountTokens]
        .into_iter()
        .find(|route| method == Method::POST && uri.path() == route.path())
        .ok_or_else(|| Refusal::new(Rule::Route, format!("{} {} is not served", method, quoted(uri.path()))))?;
    let beta_query = match uri.query() {
        None => false,
        Some("beta=true") => true,
        Some(other) => return Err(Refusal::new(Rule::Query, format!("query `{}` is not allowed", quoted(other)))),
    };
    check_framing(headers)?;
    check_credentials(headers, placeholder)?;
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
    Ok(Head { route, beta_query, betas, headers: forwarded })
}

/// Refuses the first beta token that the egress does not list.
pub(crate) fn check_betas(betas: &[String], egress: &Egress) -> Result<(), Refusal> {
    match betas.iter().find(|token| !egress.may_beta(token)) {
        None => Ok(()),
        Some(token) => Err(Refusal::new(
            Rule::Beta,
            format!("`anthropic-beta: {token}` is not listed in `[egress.{}]`", egress.name),
        )),
    }
}

/// The body must be plain JSON: nothing that unpacks, upgrades or waits.
fn check_framing(headers: &HeaderMap) -> Result<(), Refusal> {
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

/// A credential is the placeholder or none. It never goes further, whatever it is.
fn check_credentials(headers: &HeaderMap, placeholder: &str) -> Result<(), Refusal> {
    let keys = headers.get_all("x-api-key").iter().map(HeaderValue::as_bytes);
    let tokens = headers.get_all(header::AUTHORIZATION).iter().map(|value| {
        let value = value.as_bytes();
        match value.split_at_checked(7) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
            _ => value,
        }
    });
    match keys.chain(tokens).all(|given| given == placeholder.as_bytes()) {
        true => Ok(()),
        false => {
            Err(Refusal::new(Rule::Credential, "the request carries a credential that is not this run's placeholder"))
        }
    }
}

/// All tokens of all `anthropic-beta` headers.
fn betas(headers: &HeaderMap) -> Result<Vec<String>, Refusal> {
    let bad = || Refusal::new(Rule::Beta, "`anthropic-beta` is not a list of tokens");
    let mut tokens: Vec<String> = Vec::new();
    for value in headers.get_all("anthropic-beta") {
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

/// The value of a header that may come at most once and is short visible ASCII.
fn single<'a>(headers: &'a HeaderMap, name: &str) -> Result<Option<&'a HeaderValue>, Refusal> {
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
