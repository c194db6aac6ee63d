//! What a request can use and what it did use, in the terms of a tariff: these know no provider.

use borg_core::{
    budget::{MicroUsd, Usage},
    tariff::Tariff,
};

/// What a request used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Used {
    pub usage: Usage,
    /// Those of `cache_write_tokens` that are kept for an hour: they cost more.
    pub hour_writes: u64,
    /// True if part of it is an upper estimate.
    pub estimated: bool,
}

impl Used {
    /// Cost at list price, which depends on how much went in. Cache writes kept for an hour cost twice the input price, as
    /// `policies/executors.toml` says where the price table has the five-minute price only; a provider that sells none tells of none.
    pub(crate) fn cost(&self, tariff: &Tariff) -> MicroUsd {
        let price = tariff.at(self.input());
        let surcharge = price.input.saturating_mul(2).saturating_sub(price.cache_write);
        let extra = (u128::from(self.hour_writes) * u128::from(surcharge)).div_ceil(1_000_000);
        price.cost(&self.usage) + MicroUsd(u64::try_from(extra).unwrap_or(u64::MAX))
    }

    /// Tokens that went in, of all classes.
    fn input(&self) -> u64 {
        let usage = Usage { output_tokens: 0, ..self.usage };
        usage.total()
    }
}

/// How long the provider may be asked to keep some of what goes in: writing it costs more than reading it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kept {
    #[default]
    No,
    Minutes,
    Hour,
}

/// What a body can come to at most at the provider, in tokens of input: the bound that is held for it while nobody knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weight {
    /// Most tokens of all that has a bound of its own.
    pub tokens: u64,
    /// True if something in it has none: it may fill the model's whole window.
    pub is_unbounded: bool,
    pub kept: Kept,
}

impl Weight {
    /// Most tokens of input where the model takes in no more than this.
    pub fn most(&self, window: u64) -> u64 {
        if self.is_unbounded { window } else { self.tokens.min(window) }
    }
}

/// The most a request can use: what stands if its response does not tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worst {
    /// See [`Weight::most`].
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub kept: Kept,
}

impl Worst {
    /// Of a request that makes no model work.
    pub const NOTHING: Worst = Worst { input_tokens: 0, output_tokens: 0, kept: Kept::No };

    /// The same as a use: all that goes in is of the class that costs most, and the provider's cache may do all it was asked for.
    pub fn used(&self, tariff: &Tariff) -> Used {
        let (tokens, output_tokens) = (self.input_tokens, self.output_tokens);
        let written = Usage { cache_write_tokens: tokens, output_tokens, ..Usage::default() };
        let plain = Usage { input_tokens: tokens, output_tokens, ..Usage::default() };
        let read = Usage { cache_read_tokens: tokens, output_tokens, ..Usage::default() };
        let classes: &[(Usage, u64)] = match self.kept {
            Kept::No => &[(plain, 0)],
            Kept::Minutes => &[(plain, 0), (read, 0), (written, 0)],
            Kept::Hour => &[(plain, 0), (read, 0), (written, 0), (written, tokens)],
        };
        let uses = classes.iter().map(|(usage, hour_writes)| Used {
            usage: *usage,
            hour_writes: *hour_writes,
            estimated: true,
        });
        uses.max_by_key(|used| used.cost(tariff)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::{budget::Price, tariff::Long};

    const PRICE: Price = Price { input: 3_000_000, output: 15_000_000, cache_read: 300_000, cache_write: 3_750_000 };

    #[test]
    fn hour_long_writes_cost_double_input() {
        let used =
            Used { usage: Usage { cache_write_tokens: 1000, ..Usage::default() }, hour_writes: 400, estimated: false };
        assert_eq!(used.cost(&PRICE.into()), MicroUsd(600 * 15 / 4 + 400 * 6));
    }

    #[test]
    fn a_long_context_costs_more_and_all_that_went_in_makes_it_long() {
        let long = Price { input: 6_000_000, output: 22_500_000, cache_read: 600_000, cache_write: 7_500_000 };
        let tariff = Tariff { long: Some(Long { above: 200_000, price: long }), ..PRICE.into() };
        let used = |cache_read_tokens| {
            let usage =
                Usage { input_tokens: 50_000, output_tokens: 1_000, cache_read_tokens, cache_write_tokens: 100_000 };
            Used { usage, hour_writes: 40_000, estimated: false }.cost(&tariff)
        };
        assert_eq!(used(50_000), MicroUsd(150_000 + 15_000 + 15_000 + 60_000 * 15 / 4 + 40_000 * 6));
        assert_eq!(used(50_001), MicroUsd(300_000 + 22_500 + 30_001 + 60_000 * 15 / 2 + 40_000 * 12));
    }

    #[test]
    fn the_worst_case_is_the_dearest_class_that_may_be() {
        let worst = |kept| Worst { input_tokens: 1_000, output_tokens: 100, kept }.used(&PRICE.into());
        let cost = |kept| worst(kept).cost(&PRICE.into());
        assert_eq!(cost(Kept::No), MicroUsd(3_000 + 1_500));
        assert_eq!(cost(Kept::Minutes), MicroUsd(3_750 + 1_500));
        assert_eq!(cost(Kept::Hour), MicroUsd(6_000 + 1_500));
        assert_eq!((worst(Kept::Hour).usage.total(), worst(Kept::No).usage.total()), (1_100, 1_100));
    }
}
