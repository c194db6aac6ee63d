//! What a run may reach and within which limits: plain values handed in by the host, already taken from policy.

use crate::{
    behind::Elder,
    provider::{self, Provider, ProviderName},
};
use borg_core::{
    budget::{Budget, Spent},
    id::RunKey,
    tariff::{self, LARGEST_WINDOW, Tariff},
};
use std::{collections::BTreeMap, path::PathBuf, time::Duration};

/// Settings of the whole gateway, the same for all runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where providers are, each once; a run may use those that stand here.
    pub endpoints: Vec<Endpoint>,
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        let endpoints = ProviderName::ALL.map(|name| Endpoint::usual(provider::named(name)));
        Config { endpoints: endpoints.into(), limits: Limits::default() }
    }
}

/// Where the API of one provider is.
#[derive(Clone, Debug)]
pub struct Endpoint {
    pub provider: &'static dyn Provider,
    /// Base of the API. Plain `http` is accepted for loopback addresses only; a path is put in front of the provider's own.
    pub base: http::Uri,
    /// Certificate authorities to trust there, as PEM, instead of the system's: for a company's own proxy in front of the API.
    pub ca_file: Option<PathBuf>,
}

impl Endpoint {
    /// Where the provider says that it is.
    pub fn usual(provider: &'static dyn Provider) -> Endpoint {
        Endpoint { provider, base: http::Uri::from_static(provider.base()), ca_file: None }
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
    /// Ways to model providers, tried in order: the first of the provider that is asked whose `models` match a request serves it.
    pub egress: Vec<Egress>,
    /// What the task may still spend, enforced here. Wall time counts from [`crate::Door::admit`].
    pub allowance: Budget,
    /// What the task spent before this run: only the percentages that are told are computed with it.
    pub spent_before: Spent,
    /// What requests of earlier runs may cost, that draw on the same allowance: held until they are settled.
    pub elders: Vec<Elder>,
}

/// One `[egress.NAME]` of policy, of the kind `model`.
#[derive(Clone, Debug)]
pub struct Egress {
    pub name: String,
    pub provider: &'static dyn Provider,
    /// Model names that are let through; `*` stands for any run of characters.
    pub models: Vec<String>,
    /// Name of the secret that is put into requests, asked of [`crate::Secrets`].
    pub secret: String,
    /// True holds the list price of a request against the budget where a subscription pays, too (see
    /// [`Provider::is_subscription`]); false takes it for notional: told, and held against nothing.
    pub counts_subscription: bool,
    /// List prices by model pattern, see [`tariff::row_of`]; a model without a price is refused.
    pub prices: BTreeMap<String, Tariff>,
    /// Most output of one request; where more is asked for it is lowered to this.
    pub max_tokens: u32,
    /// Features that may be asked for beside [`Provider::features`], patterns as in `models`.
    pub features: Vec<String>,
}

impl Egress {
    pub(crate) fn may_use(&self, model: &str) -> bool {
        self.models.iter().any(|pattern| tariff::fits(pattern, model))
    }

    /// What a model costs; `widens` where it is asked to take in more than its usual window.
    pub(crate) fn tariff(&self, model: &str, widens: bool) -> Option<Tariff> {
        let (_, found) = tariff::row_of(&self.prices, model)?;
        let window = if widens { found.window.max(LARGEST_WINDOW) } else { found.window };
        Some(Tariff { window, ..*found })
    }

    pub(crate) fn may_want(&self, feature: &str) -> bool {
        self.provider.features().contains(&feature)
            || self.features.iter().any(|pattern| tariff::fits(pattern, feature))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::budget::Price;

    fn egress() -> Egress {
        let price = Price { input: 1, output: 1, cache_read: 1, cache_write: 1 };
        let prices = BTreeMap::from([
            ("small".into(), Tariff { window: 200_000, ..price.into() }),
            ("huge".into(), Tariff { window: 3_000_000, ..price.into() }),
        ]);
        Egress {
            name: "a".into(),
            provider: provider::named(ProviderName::ALL[0]),
            models: vec!["*".into()],
            secret: "key".into(),
            counts_subscription: false,
            prices,
            max_tokens: 1,
            features: vec!["new-*".into()],
        }
    }

    #[test]
    fn a_long_context_widens_the_window() {
        let egress = egress();
        let window = |model, widens| egress.tariff(model, widens).map(|tariff| tariff.window);
        assert_eq!(window("small", false), Some(200_000));
        assert_eq!(window("small", true), Some(1_000_000));
        assert_eq!(window("huge", true), Some(3_000_000));
        assert_eq!(window("other", false), None);
    }

    #[test]
    fn a_feature_that_policy_adds_takes_none_of_the_providers_away() {
        let egress = egress();
        assert!(egress.provider.features().iter().all(|feature| egress.may_want(feature)));
        assert!(egress.may_want("new-2026-12-01") && !egress.may_want("other-2026-12-01"));
    }
}
