//! Time, money and tokens, in words.

use crate::budget::{MicroUsd, Usage};

/// `850 ms`, `12 s`, `3 min 20 s`, `2 h 5 min`.
pub fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    match seconds {
        0 => format!("{ms} ms"),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// A cost at list price, and what of it is no money because a subscription pays.
pub fn money(cost: MicroUsd, notional: MicroUsd) -> String {
    if notional.is_none() {
        cost.to_string()
    } else if notional >= cost {
        format!("{cost} at list price (a subscription pays)")
    } else {
        format!("{cost}, of which a subscription pays {notional} at list price")
    }
}

/// Tokens as budgets count them, and what the provider had in its cache.
pub fn tokens(usage: &Usage) -> String {
    match usage.cache_read_tokens {
        0 => format!("{} tokens", usage.counted()),
        cached => format!("{} tokens and {cached} from the provider's cache", usage.counted()),
    }
}
