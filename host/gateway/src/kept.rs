//! What the provider keeps of a run's conversations, as far as it told: a request that goes on from one of them costs a tenth
//! for what was there before, and holding its full price would stop an ordinary run at half its budget.
//!
//! How one could get it wrong: believing in what is not kept any more. So a beginning counts for less than the provider's
//! five minutes, and a run for which much of it was once not found is held at full prices from then on.

use crate::{
    firewall::outline::{Keep, Outline},
    meter::{Used, Worst},
};
use borg_core::budget::{Price, Usage};
use std::{
    collections::VecDeque,
    hash::RandomState,
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

/// How long a beginning counts, from the request that used it.
const LASTS: Duration = Duration::from_secs(240);
/// Beginnings that are remembered: the agent's own, and those of a few helpers beside it.
const REMEMBERED: usize = 16;

/// The memory of one run.
#[derive(Default)]
pub(crate) struct Kept {
    pub key: RandomState,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    seen: VecDeque<Seen>,
    /// The provider did not find something that should have been there.
    disbelieved: bool,
}

/// A request the provider answered.
struct Seen {
    whole: u64,
    /// Tokens as estimated.
    estimate: u64,
    /// Tokens as told: all that went in, and those of them that are kept.
    told: u64,
    kept: u64,
    at: Instant,
}

impl Kept {
    /// The most that can go in with this request, by price class.
    pub fn worst(&self, outline: &Outline, price: &Price) -> Worst {
        let state = self.state();
        let known = state.seen.iter().rev().find(|seen| seen.at.elapsed() < LASTS && outline.goes_on_from(seen.whole));
        let known = known.filter(|_| !state.disbelieved);
        let (kept, fresh) = known.map_or((0, outline.tokens), |seen| {
            (seen.kept, (seen.told - seen.kept).saturating_add(outline.tokens.saturating_sub(seen.estimate)))
        });
        let read = Usage { cache_read_tokens: kept, ..Usage::default() };
        let written = Usage { cache_write_tokens: fresh, ..read };
        match outline.keep {
            Keep::Hour => Worst { input: written, hour_writes: fresh, output_tokens: 0 },
            Keep::FiveMinutes if price.cache_write > price.input => Worst { input: written, ..Worst::default() },
            Keep::FiveMinutes | Keep::Nothing => {
                Worst { input: Usage { input_tokens: fresh, ..read }, ..Worst::default() }
            }
        }
    }

    /// Takes down what the provider told about a request that was sent at this time.
    pub fn learn(&self, outline: &Outline, worst: &Worst, used: &Used, at: Instant) {
        if used.estimated {
            return;
        }
        let mut state = self.state();
        let usage = used.usage;
        let hoped = worst.input.cache_read_tokens;
        state.disbelieved |= usage.cache_read_tokens < hoped - hoped / 10;
        let kept = usage.cache_read_tokens.saturating_add(usage.cache_write_tokens);
        state.seen.retain(|seen| seen.whole != outline.whole());
        if kept > 0 {
            let told = kept.saturating_add(usage.input_tokens);
            state.seen.push_back(Seen { whole: outline.whole(), estimate: outline.tokens, told, kept, at });
        }
        if state.seen.len() > REMEMBERED {
            state.seen.pop_front();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
