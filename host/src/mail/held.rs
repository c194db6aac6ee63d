//! Requests of people nobody knows, where policy has them held: few of them, and each for a day.

use borg_core::people::PersonId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Time in which a person asks once, in milliseconds.
const DAY_MS: u64 = 24 * 3_600_000;
/// Requests of people who are still unknown, in that time.
const OPEN: usize = 20;

/// Requests that were passed on and are not decided, by who made them. A keeper keeps this as JSON.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Held(BTreeMap<PersonId, Request>);

#[derive(Debug, Serialize, Deserialize)]
struct Request {
    at_ms: u64,
    /// The update that brought it.
    key: String,
}

/// What becomes of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is to be passed on, once this is kept.
    New,
    /// It is the one that was to be passed on before.
    Again,
    No,
}

impl Held {
    /// Takes the request of somebody unknown. Of `known` people there is nothing to decide any more.
    pub fn take(&mut self, person: &PersonId, key: &str, now_ms: u64, known: &[PersonId]) -> Taken {
        self.0.retain(|person, held| now_ms.saturating_sub(held.at_ms) < DAY_MS && !known.contains(person));
        if let Some(before) = self.0.get(person) {
            return if before.key == key { Taken::Again } else { Taken::No };
        }
        if self.0.len() >= OPEN {
            return Taken::No;
        }
        self.0.insert(person.clone(), Request { at_ms: now_ms, key: key.to_owned() });
        Taken::New
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_day_of_each_and_no_more_than_are_to_be_read() {
        let mut held = Held::default();
        let mut take = |n: usize, key: &str, now_ms, known: &[PersonId]| {
            held.take(&PersonId(format!("bot:{n}")), key, now_ms, known)
        };
        assert_eq!(take(1, "a", 5, &[]), Taken::New);
        assert_eq!(take(1, "a", 6, &[]), Taken::Again, "after a crash");
        assert_eq!(take(1, "b", 7, &[]), Taken::No);
        for n in 2..=OPEN {
            assert_eq!(take(n, "c", 8, &[]), Taken::New);
        }
        assert_eq!(take(99, "d", 9, &[]), Taken::No, "there is no room for more");
        assert_eq!(take(99, "d", 9, &[PersonId("bot:3".into())]), Taken::New, "one was decided on");
        assert_eq!(take(1, "e", 4 + DAY_MS, &[]), Taken::No);
        assert_eq!(take(1, "e", 5 + DAY_MS, &[]), Taken::New, "a day is over");
    }

    #[test]
    fn it_reads_as_earlier_hosts_kept_it() {
        let kept = r#"{"bot:1":{"at_ms":5,"key":"a"}}"#;
        let mut held: Held = serde_json::from_str(kept).unwrap();
        assert_eq!(held.take(&PersonId("bot:1".into()), "a", 6, &[]), Taken::Again);
        assert_eq!(serde_json::to_string(&held).unwrap(), kept);
    }
}
