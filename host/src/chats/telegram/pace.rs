//! How fast Telegram lets a bot speak, held back here rather than by refusals: about a message a second in a chat, twenty a minute in a
//! group, thirty a second in all (Bot API FAQ, "My bot is hitting limits"). No second and no minute may hold more, wherever it begins: what a
//! bucket holds and what runs into it meanwhile stay below the limit together. What Telegram refuses all the same is waited for as it asks.

use std::{collections::HashMap, time::Duration};
use tokio::time::Instant;

/// Chats remembered at most; the buckets of the others are full anyway, or soon will be.
const CHATS: usize = 10_000;

/// A bucket that fills by itself.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    size: f64,
    per_second: f64,
    level: f64,
    at: Instant,
    /// Nothing before this, whatever the level.
    closed_until: Instant,
}

impl Bucket {
    fn full(size: f64, per_second: f64, now: Instant) -> Self {
        Bucket { size, per_second, level: size, at: now, closed_until: now }
    }

    fn fill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.size);
        self.at = now;
    }

    /// Earliest time for one more that leaves as many as are to be spared.
    fn next(&self, spared: f64) -> Instant {
        let missing = (1.0 + spared - self.level).max(0.0) / self.per_second;
        self.closed_until.max(self.at + Duration::from_secs_f64(missing))
    }
}

/// When what may be sent.
#[derive(Debug)]
pub struct Pace {
    all: Bucket,
    chats: HashMap<i64, Bucket>,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Pace { all: Bucket::full(3.0, 26.0, now), chats: HashMap::new() }
    }

    /// Takes leave to send to a chat now, or tells when to ask again. What can wait, such as progress, leaves one for what cannot.
    pub fn take(&mut self, chat: i64, now: Instant, can_wait: bool) -> Result<(), Instant> {
        let spared = if can_wait { 1.0 } else { 0.0 };
        self.all.fill(now);
        if self.chats.len() >= CHATS {
            self.chats.retain(|_, bucket| {
                bucket.fill(now);
                bucket.level < bucket.size || bucket.closed_until > now
            });
        }
        let bucket = self.chats.entry(chat).or_insert_with(|| bucket_of(chat, now));
        bucket.fill(now);
        let next = bucket.next(spared).max(self.all.next(spared));
        if next > now {
            return Err(next);
        }
        bucket.level -= 1.0;
        self.all.level -= 1.0;
        Ok(())
    }

    /// Telegram asked to wait with this chat.
    pub fn close(&mut self, chat: i64, until: Instant, now: Instant) {
        let bucket = self.chats.entry(chat).or_insert_with(|| bucket_of(chat, now));
        bucket.closed_until = bucket.closed_until.max(until);
    }

    /// Nothing goes to anybody for a while.
    pub fn close_all(&mut self, until: Instant) {
        self.all.closed_until = self.all.closed_until.max(until);
    }

    /// What closed it to everybody has passed.
    pub fn open_all(&mut self, now: Instant) {
        self.all.closed_until = self.all.closed_until.min(now);
    }
}

/// Groups and channels have negative ids.
fn bucket_of(chat: i64, now: Instant) -> Bucket {
    if chat < 0 { Bucket::full(3.0, 17.0 / 60.0, now) } else { Bucket::full(2.0, 1.0, now) }
}

/// Longest pause after failures in a row.
const PAUSE: Duration = Duration::from_secs(60);

/// 1, 2, 4 … seconds, at most [`PAUSE`].
pub fn pause_after(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(PAUSE)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Number of posts that leave in `seconds` when always as many as possible are wanted.
    fn sent(chats: &[i64], seconds: u64) -> usize {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let mut sent = 0;
        for tick in 0..seconds * 100 {
            let now = start + Duration::from_millis(tick * 10);
            for chat in chats {
                while pace.take(*chat, now, false).is_ok() {
                    sent += 1;
                }
            }
        }
        sent
    }

    #[test]
    fn limits_hold_per_chat_per_group_and_in_all() {
        assert!((60..=62).contains(&sent(&[1], 60)), "{}", sent(&[1], 60));
        assert!((19..=20).contains(&sent(&[-1], 60)), "{}", sent(&[-1], 60));
        let many: Vec<i64> = (1..=200).collect();
        assert!((28..=30).contains(&sent(&many, 1)), "{}", sent(&many, 1));
        assert!((255..=263).contains(&sent(&many, 10)), "{}", sent(&many, 10));
    }

    #[test]
    fn what_telegram_asks_for_is_waited_for() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let later = now + Duration::from_secs(7);
        pace.close(1, later, now);
        assert_eq!(pace.take(1, now, false), Err(later));
        assert_eq!(pace.take(2, now, false), Ok(()));
        pace.close_all(later);
        assert_eq!(pace.take(2, now, false), Err(later));
        pace.open_all(now);
        assert_eq!(pace.take(2, now, false), Ok(()));
        assert_eq!(pace.take(1, now, false), Err(later), "that one was asked for by Telegram");
        assert_eq!(pace.take(1, later, false), Ok(()));
    }

    #[test]
    fn what_can_wait_leaves_one_for_an_answer() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        assert_eq!(pace.take(1, now, true), Ok(()));
        assert_eq!(pace.take(1, now, true), Err(now + Duration::from_secs(1)));
        assert_eq!(pace.take(1, now, false), Ok(()));
        assert_eq!(pace.take(1, now, false), Err(now + Duration::from_secs(1)));
    }

    #[test]
    fn chats_that_are_quiet_are_forgotten() {
        let now = Instant::now();
        let mut pace = Pace::new(now);
        for chat in 0..3 * CHATS as i64 {
            let _ = pace.take(chat, now + Duration::from_secs(chat as u64), false);
        }
        assert!(pace.chats.len() <= CHATS);
    }
}
