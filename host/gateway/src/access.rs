//! What a run may reach and within which limits: plain values handed in by the host, already taken from policy.

use crate::{Credential, behind::Elder};
use borg_core::{
    budget::{Budget, Spent},
    id::RunKey,
    tariff::{self, LARGEST_WINDOW, Tariff},
};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Settings of the whole gateway, the same for all runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Base of the Anthropic API, such as `https://api.anthropic.com`. Plain `http` is accepted for loopback addresses
    /// only; a path is put in front of `/v1/…`.
    pub anthropic_base: http::Uri,
    /// Certificate authorities to trust, as PEM, instead of the system's: for a company's own proxy in front of the API.
    pub ca_file: Option<PathBuf>,
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            anthropic_base: http::Uri::from_static("https://api.anthropic.com"),
            ca_file: None,
            limits: Limits::default(),
        }
    }
}

/// Sizes, counts and times that bound what one run can cost the host.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Longest request body in bytes; the provider's own limit is 32 MB.
    pub request_bytes: usize,
    /// JSON values in one request body: bounds the memory a small text can unfold into.
    pub json_values: usize,
    /// Longest request head in bytes.
    pub head_bytes: usize,
    /// Headers in one request.
    pub headers: usize,
    /// From the first byte of a request (or the end of the one before) to the end of its head.
    pub head_time: Duration,
    /// From the end of the head to the end of the body.
    pub body_time: Duration,
    /// How long a connection waits for [`crate::Door::admit`].
    pub admit_time: Duration,
    pub connect_time: Duration,
    /// From the end of the request to the head of the provider's response, whether or not its client is there; also how long a request
    /// waits for budget that open ones hold.
    pub response_time: Duration,
    /// Longest silence within a response; the provider sends pings far more often.
    pub idle_time: Duration,
    /// How long a client may refuse to take the next piece of a response before it counts as gone.
    pub stall_time: Duration,
    /// How long a response is read to its end for the sake of its usage after the client has gone.
    pub drain_time: Duration,
    /// Open connections per run; further ones wait in the kernel's queue.
    pub connections: usize,
    /// Requests of a run that are read or answered at once; further ones wait.
    pub in_flight: usize,
    /// Refusals a run may cause before its door shuts: a ledger row is durable, so they must not be free.
    pub refusals: u32,
    /// Rows without usage a run may cause before its door shuts: refusals, counts of tokens, errors of the provider. They
    /// use up no budget and are durable all the same. Generous, for an agent asks again after an error.
    pub free_rows: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            request_bytes: 32 << 20,
            json_values: 500_000,
            head_bytes: 64 << 10,
            headers: 64,
            head_time: Duration::from_secs(30),
            body_time: Duration::from_secs(60),
            admit_time: Duration::from_secs(60),
            connect_time: Duration::from_secs(10),
            response_time: Duration::from_secs(600),
            idle_time: Duration::from_secs(180),
            stall_time: Duration::from_secs(120),
            drain_time: Duration::from_secs(30),
            connections: 32,
            in_flight: 4,
            refusals: 1000,
            free_rows: 5000,
        }
    }
}

/// What one run may do at its door.
#[derive(Clone, Debug)]
pub struct Access {
    pub run: RunKey,
    /// Where to listen. At most 107 bytes (`sun_path`); a stale socket there is removed, anything else is an error. The
    /// socket itself is open to every uid, because an agent's uid differs from the host's: keep its directory private.
    pub socket: PathBuf,
    /// Doors to the outside, tried in order: the first whose `models` match a request serves it.
    pub egress: Vec<Egress>,
    /// What the agent was given in place of a key. A request with any other credential is refused: a foreign key in a
    /// container is a way to carry data to somebody else's account.
    pub placeholder_key: String,
    /// What the task may still spend, enforced here. Wall time counts from [`crate::Door::admit`].
    pub allowance: Budget,
    /// What the task spent before this run: only the percentages that are told are computed with it.
    pub spent_before: Spent,
    /// What requests of earlier runs may cost, that draw on the same allowance: held until they are settled.
    pub elders: Vec<Elder>,
}

/// One `[egress.NAME]` of policy.
#[derive(Clone, Debug)]
pub struct Egress {
    pub name: String,
    pub provider: Provider,
    /// Model names that are let through; `*` stands for any run of characters.
    pub models: Vec<String>,
    /// Name of the secret that is put into requests, asked of [`crate::Secrets`].
    pub secret: String,
    /// True holds the list price of a request against the budget where a subscription pays, too (an OAuth credential); false takes it for
    /// notional: told, and held against nothing.
    pub counts_subscription: bool,
    /// List prices by model pattern, see [`tariff::row_of`]; a model without a price is refused.
    pub prices: BTreeMap<String, Tariff>,
    /// Highest `max_tokens` of one request; a higher one is lowered to it.
    pub max_tokens: u32,
    /// `anthropic-beta` tokens that are let through, patterns as in `models`; [`CLAUDE_CODE_BETAS`] is what the pinned
    /// Claude Code sends.
    pub betas: Vec<String>,
}

/// Whose API an egress speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    Anthropic,
}

/// The `anthropic-beta` tokens seen in requests of Claude Code 2.1.197 (see `tests/recorded/`). The OAuth token is not
/// among them: it goes with the credential and is added or removed with it.
pub const CLAUDE_CODE_BETAS: [&str; 10] = [
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

/// The beta that lets a model take in more than its window.
const LONG_CONTEXT: &str = "context-1m-";

impl Egress {
    pub(crate) fn may_use(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| tariff::fits(pattern, model))
    }

    /// True where money paid with this credential counts for nothing.
    pub(crate) fn is_notional(&self, credential: &Credential) -> bool {
        match credential {
            Credential::OAuth(_) => !self.counts_subscription,
            Credential::ApiKey(_) => false,
        }
    }

    /// What a model costs that is asked with these betas.
    pub(crate) fn tariff(&self, model: &str, betas: &[String]) -> Option<Tariff> {
        let (_, found) = tariff::row_of(&self.prices, model)?;
        let is_long = betas.iter().any(|beta| beta.starts_with(LONG_CONTEXT));
        let window = if is_long { found.window.max(LARGEST_WINDOW) } else { found.window };
        Some(Tariff { window, ..*found })
    }

    pub(crate) fn may_beta(&self, token: &str) -> bool {
        self.betas.iter().any(|pattern| tariff::fits(pattern, token))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::budget::Price;

    #[test]
    fn a_beta_for_a_long_context_widens_the_window() {
        let price = Price { input: 1, output: 1, cache_read: 1, cache_write: 1 };
        let prices = BTreeMap::from([
            ("claude-opus-4-5".into(), Tariff { window: 200_000, ..price.into() }),
            ("claude-huge".into(), Tariff { window: 3_000_000, ..price.into() }),
        ]);
        let egress = Egress {
            name: "anthropic".into(),
            provider: Provider::Anthropic,
            models: vec!["*".into()],
            secret: "claude".into(),
            counts_subscription: false,
            prices,
            max_tokens: 1,
            betas: vec![],
        };
        let window = |model, beta: &str| egress.tariff(model, &[beta.to_owned()]).map(|tariff| tariff.window);
        assert_eq!(window("claude-opus-4-5", "effort-2025-11-24"), Some(200_000));
        assert_eq!(window("claude-opus-4-5", "context-1m-2025-08-07"), Some(1_000_000));
        assert_eq!(window("claude-huge", "context-1m-2025-08-07"), Some(3_000_000));
        assert_eq!(window("other", ""), None);
    }
}
