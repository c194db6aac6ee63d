//! Money, tokens, turns and time: what a task may spend and what it has spent. The gateway enforces; checks of one against the other are here.

use serde::{Deserialize, Serialize};
use std::{fmt, ops};

/// Millionths of a US dollar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MicroUsd(pub u64);

impl fmt::Display for MicroUsd {
    /// As dollars with four decimals, rounded up: `$0.0123`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hundred_micros = self.0.div_ceil(100);
        write!(f, "${}.{:04}", hundred_micros / 10_000, hundred_micros % 10_000)
    }
}

impl MicroUsd {
    /// True for no money at all.
    pub fn is_none(&self) -> bool {
        self.0 == 0
    }
}

impl ops::Add for MicroUsd {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        MicroUsd(self.0.saturating_add(other.0))
    }
}

/// Tokens of one or many requests, by price class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cache_read_tokens: u64,
    pub cache_write_tokens: u64,
}

impl Usage {
    /// All tokens, whatever they cost.
    pub fn total(&self) -> u64 {
        [self.input_tokens, self.output_tokens, self.cache_read_tokens, self.cache_write_tokens]
            .iter()
            .fold(0, |sum, n| sum.saturating_add(*n))
    }

    /// The tokens that budgets count: all but those the provider read from its cache. Each turn reads the whole conversation from there
    /// again, at a tenth of the price, so that they say little of how much was done.
    pub fn counted(&self) -> u64 {
        self.total().saturating_sub(self.cache_read_tokens)
    }
}

impl ops::Add for Usage {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Usage {
            input_tokens: self.input_tokens.saturating_add(other.input_tokens),
            output_tokens: self.output_tokens.saturating_add(other.output_tokens),
            cache_read_tokens: self.cache_read_tokens.saturating_add(other.cache_read_tokens),
            cache_write_tokens: self.cache_write_tokens.saturating_add(other.cache_write_tokens),
        }
    }
}

/// List prices of one model, in micro-dollars per million tokens (so $3 per million tokens is 3,000,000).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Price {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
}

impl Price {
    /// Cost of this usage, rounded up to a whole micro-dollar.
    pub fn cost(&self, usage: &Usage) -> MicroUsd {
        let sum: u128 = [
            (usage.input_tokens, self.input),
            (usage.output_tokens, self.output),
            (usage.cache_read_tokens, self.cache_read),
            (usage.cache_write_tokens, self.cache_write),
        ]
        .iter()
        .map(|(tokens, price)| u128::from(*tokens) * u128::from(*price))
        .sum();
        MicroUsd(u64::try_from(sum.div_ceil(1_000_000)).unwrap_or(u64::MAX))
    }
}

/// What one stage of a task may spend over all its attempts: a `[budget.NAME]` of policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Budget {
    /// Requests to the model.
    pub turns: u32,
    /// As [`Usage::counted`] counts them.
    pub tokens: u64,
    /// Money, as [`Spent::paid`] counts it.
    pub cost: MicroUsd,
    /// Time its agents may run, in milliseconds, summed over runs.
    pub wall_ms: u64,
}

/// What a task has spent so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Spent {
    pub turns: u32,
    pub usage: Usage,
    /// At list price.
    pub cost: MicroUsd,
    /// The part of that which a subscription pays for: told, and held against no budget and no cap.
    #[serde(default, skip_serializing_if = "MicroUsd::is_none")]
    pub notional: MicroUsd,
    pub wall_ms: u64,
}

impl Spent {
    /// The money that budgets and caps count.
    pub fn paid(&self) -> MicroUsd {
        MicroUsd(self.cost.0.saturating_sub(self.notional.0))
    }
}

impl ops::Add for Spent {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Spent {
            turns: self.turns.saturating_add(other.turns),
            usage: self.usage + other.usage,
            cost: self.cost + other.cost,
            notional: self.notional + other.notional,
            wall_ms: self.wall_ms.saturating_add(other.wall_ms),
        }
    }
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cap {
    Turns,
    Tokens,
    Cost,
    Wall,
}

impl fmt::Display for Cap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cap::Turns => "turns",
            Cap::Tokens => "tokens",
            Cap::Cost => "cost",
            Cap::Wall => "wall time",
        })
    }
}

impl Budget {
    /// The first limit that `spent` has reached, if any.
    pub fn reached(&self, spent: &Spent) -> Option<Cap> {
        if spent.turns >= self.turns {
            Some(Cap::Turns)
        } else if spent.usage.counted() >= self.tokens {
            Some(Cap::Tokens)
        } else if spent.paid() >= self.cost {
            Some(Cap::Cost)
        } else if spent.wall_ms >= self.wall_ms {
            Some(Cap::Wall)
        } else {
            None
        }
    }

    /// What is left after `spent`.
    pub fn left(&self, spent: &Spent) -> Budget {
        Budget {
            turns: self.turns.saturating_sub(spent.turns),
            tokens: self.tokens.saturating_sub(spent.usage.counted()),
            cost: MicroUsd(self.cost.0.saturating_sub(spent.paid().0)),
            wall_ms: self.wall_ms.saturating_sub(spent.wall_ms),
        }
    }
}

/// What a request may cost at most that its client did not wait for. The provider works on it all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Hold {
    /// Tells it from others of the same process and run.
    pub request: u64,
    pub model: String,
    pub most: Spent,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cost_rounds_up_and_never_overflows() {
        let price = Price { input: 3_000_000, output: 15_000_000, cache_read: 300_000, cache_write: 3_750_000 };
        let usage = Usage { input_tokens: 1, output_tokens: 0, cache_read_tokens: 1, cache_write_tokens: 0 };
        assert_eq!(price.cost(&usage), MicroUsd(4));
        let usage = Usage { input_tokens: u64::MAX, output_tokens: u64::MAX, ..Usage::default() };
        assert_eq!(price.cost(&usage), MicroUsd(u64::MAX));
    }

    #[test]
    fn dollars_are_shown_rounded_up() {
        assert_eq!(MicroUsd(0).to_string(), "$0.0000");
        assert_eq!(MicroUsd(1).to_string(), "$0.0001");
        assert_eq!(MicroUsd(1_234_500).to_string(), "$1.2345");
    }

    #[test]
    fn each_cap_is_reached_by_its_own_figure() {
        let budget = Budget { turns: 2, tokens: 10, cost: MicroUsd(5), wall_ms: 100 };
        assert_eq!(budget.reached(&Spent::default()), None);
        assert_eq!(budget.reached(&Spent { turns: 2, ..Spent::default() }), Some(Cap::Turns));
        let usage = Usage { input_tokens: 5, output_tokens: 3, cache_write_tokens: 2, ..Usage::default() };
        assert_eq!(budget.reached(&Spent { usage, ..Spent::default() }), Some(Cap::Tokens));
        assert_eq!(budget.reached(&Spent { cost: MicroUsd(5), ..Spent::default() }), Some(Cap::Cost));
        assert_eq!(budget.reached(&Spent { wall_ms: 100, ..Spent::default() }), Some(Cap::Wall));
    }

    #[test]
    fn what_the_provider_had_in_its_cache_counts_for_nothing_and_nor_does_what_a_subscription_pays() {
        let budget = Budget { turns: 2, tokens: 10, cost: MicroUsd(5), wall_ms: 100 };
        let usage = Usage { input_tokens: 9, cache_read_tokens: 1_000_000, ..Usage::default() };
        let spent = Spent { turns: 1, usage, cost: MicroUsd(50), notional: MicroUsd(46), wall_ms: 0 };
        assert_eq!((usage.counted(), usage.total(), spent.paid()), (9, 1_000_009, MicroUsd(4)));
        assert_eq!(budget.reached(&spent), None);
        assert_eq!(budget.left(&spent), Budget { turns: 1, tokens: 1, cost: MicroUsd(1), wall_ms: 100 });
        // Turns, tokens and time stop all the same.
        let twice = spent + spent;
        assert_eq!((twice.notional, budget.reached(&twice)), (MicroUsd(92), Some(Cap::Turns)));
        let wide = Budget { turns: 9, ..budget };
        assert_eq!(wide.reached(&twice), Some(Cap::Tokens));
        let paid = Spent { notional: MicroUsd(45), ..spent };
        assert_eq!(budget.reached(&paid), Some(Cap::Cost));
    }
}
