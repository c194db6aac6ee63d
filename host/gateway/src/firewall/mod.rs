//! The allow-list of the Anthropic Messages API: a request comes in, and what goes out is made anew from the parts that are
//! on the list. What is not known here does not exist.
//!
//! - [`head`]: method, path, query, headers, beta tokens;
//! - [`json`]: text to a value, with duplicate keys, depth and number of values bounded;
//! - [`shape`]: the grammar in which allowed bodies are written down, and the check against it;
//! - [`messages`]: that grammar's tables for the two routes, and what is read from a checked body;
//! - [`weight`]: how many tokens the provider can make of it at most.
//!
//! The tables hold what Claude Code sends (recorded in `tests/recorded/`) and the inline parts of the public API that any
//! client needs. Fields by which the provider would fetch, run or keep something are absent, so they are refused.

pub(crate) mod head;
pub(crate) mod json;
pub(crate) mod messages;
pub(crate) mod shape;
pub(crate) mod weight;

/// The two things that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    Messages,
    CountTokens,
}

impl Route {
    pub fn path(self) -> &'static str {
        match self {
            Route::Messages => "/v1/messages",
            Route::CountTokens => "/v1/messages/count_tokens",
        }
    }
}
