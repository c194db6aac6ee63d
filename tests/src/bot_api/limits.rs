//! How often a bot may post before it is told to wait: per chat, per group and minute, over all chats.
//!
//! Telegram documents the rates ("about one message per second in a chat, 20 per minute in a group, 30 per second over all") but not its
//! algorithm; here a bucket per chat lets a small burst through, and windows count the rest. A refused post does not count.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

/// The rates, on the stand-in's clock.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// Posts per second into one chat, on average.
    pub per_chat: f64,
    /// Posts into one chat that may come at once after a silence.
    pub burst: u32,
    /// Posts per minute into one group or channel.
    pub per_group_minute: u32,
    /// Posts per second into all chats.
    pub overall: u32,
}

impl Limits {
    /// What Telegram documents.
    pub fn real() -> Self {
        Self { per_chat: 1.0, burst: 3, per_group_minute: 20, overall: 30 }
    }
}

#[derive(Debug, Default)]
pub(super) struct Meter {
    limits: Option<Limits>,
    chats: BTreeMap<i64, Bucket>,
    groups: BTreeMap<i64, VecDeque<Duration>>,
    all: VecDeque<Duration>,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    at: Duration,
}

impl Meter {
    pub fn new(limits: Option<Limits>) -> Self {
        Self { limits, ..Self::default() }
    }

    pub fn set(&mut self, limits: Option<Limits>) {
        *self = Self::new(limits);
    }

    /// Counts a post into `chat` at `now`, or says how long to wait.
    pub fn post(&mut self, chat: i64, is_group: bool, now: Duration) -> Result<(), Duration> {
        let Some(limits) = self.limits else { return Ok(()) };
        let burst = f64::from(limits.burst);
        let bucket = self.chats.entry(chat).or_insert(Bucket { left: burst, at: now });
        bucket.left = (bucket.left + now.saturating_sub(bucket.at).as_secs_f64() * limits.per_chat).min(burst);
        bucket.at = now;
        let mut wait = Duration::ZERO;
        if bucket.left < 1.0 {
            wait = Duration::from_secs_f64((1.0 - bucket.left) / limits.per_chat);
        }
        let group = self.groups.entry(chat).or_default();
        if is_group {
            wait = wait.max(full(group, limits.per_group_minute, Duration::from_secs(60), now));
        }
        wait = wait.max(full(&mut self.all, limits.overall, Duration::from_secs(1), now));
        if !wait.is_zero() {
            return Err(wait);
        }
        bucket.left -= 1.0;
        self.all.push_back(now);
        if is_group {
            group.push_back(now);
        }
        Ok(())
    }
}

/// How long until a window of `length` that holds at most `most` has room; forgets what lies behind it.
fn full(window: &mut VecDeque<Duration>, most: u32, length: Duration, now: Duration) -> Duration {
    while window.front().is_some_and(|first| *first + length <= now) {
        window.pop_front();
    }
    match window.front() {
        Some(first) if window.len() >= most as usize => *first + length - now,
        _ => Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_chat_takes_a_burst_and_then_one_per_second() {
        let mut meter = Meter::new(Some(Limits::real()));
        (0..3).for_each(|_| meter.post(1, false, SECOND).unwrap());
        assert_eq!(meter.post(1, false, SECOND), Err(SECOND));
        meter.post(2, false, SECOND).unwrap();
        meter.post(1, false, SECOND * 2).unwrap();
        assert_eq!(meter.post(1, false, SECOND * 2), Err(SECOND));
    }

    #[test]
    fn a_group_takes_twenty_per_minute() {
        let mut meter = Meter::new(Some(Limits::real()));
        (0..20).for_each(|n| meter.post(-1, true, SECOND * n).unwrap());
        assert_eq!(meter.post(-1, true, SECOND * 20), Err(SECOND * 40));
        meter.post(1, false, SECOND * 20).unwrap();
        meter.post(-1, true, SECOND * 60).unwrap();
    }

    #[test]
    fn all_chats_together_take_thirty_per_second() {
        let mut meter = Meter::new(Some(Limits::real()));
        (0..30).for_each(|chat| meter.post(chat, false, SECOND).unwrap());
        assert_eq!(meter.post(99, false, SECOND), Err(SECOND));
        meter.post(99, false, SECOND * 2).unwrap();
        meter.set(None);
        (0..100).for_each(|_| meter.post(1, true, SECOND).unwrap());
    }
}
