//! Requests of people nobody knows, where policy has them held: few of them, and each for a day.

use crate::store::{Journal, StoreError, put_meta, rows};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Time in which a person asks once, in milliseconds.
const DAY_MS: u64 = 24 * 3_600_000;
/// Requests of people who are still unknown, in that time.
const OPEN: usize = 20;
/// Where they are kept.
const META: &str = "held-requests";

/// A request that was passed on.
#[derive(Debug, Serialize, Deserialize)]
struct Held {
    at_ms: u64,
    /// The update that brought it.
    key: String,
}

impl Journal {
    /// Takes the request of somebody unknown; true where it is to be passed on. Asked again with the same key, the answer is the same.
    /// `is_known` tells of whom there is nothing to decide any more.
    pub fn hold(
        &mut self,
        person: &str,
        key: &str,
        now_ms: u64,
        is_known: impl Fn(&str) -> bool,
    ) -> Result<bool, StoreError> {
        let mut held: BTreeMap<String, Held> =
            self.meta(META)?.map_or_else(|| Ok(BTreeMap::new()), |kept| rows::parse(&kept))?;
        held.retain(|person, held| now_ms.saturating_sub(held.at_ms) < DAY_MS && !is_known(person));
        if let Some(before) = held.get(person) {
            return Ok(before.key == key);
        }
        if held.len() >= OPEN {
            return Ok(false);
        }
        held.insert(person.to_owned(), Held { at_ms: now_ms, key: key.to_owned() });
        put_meta(&self.db, META, &rows::json(&held)?)?;
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_a_day_of_each_and_no_more_than_are_to_be_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let mut journal = Journal::open(&path).unwrap();
        let nobody = |_: &str| false;
        assert!(journal.hold("bot:1", "a", 5, nobody).unwrap());
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        assert!(journal.hold("bot:1", "a", 6, nobody).unwrap(), "the same again, after a crash");
        assert!(!journal.hold("bot:1", "b", 7, nobody).unwrap());
        for n in 2..=OPEN {
            assert!(journal.hold(&format!("bot:{n}"), "c", 8, nobody).unwrap());
        }
        assert!(!journal.hold("bot:99", "d", 9, nobody).unwrap(), "there is no room for more");
        assert!(journal.hold("bot:99", "d", 9, |person| person == "bot:3").unwrap(), "one was decided on");
        assert!(!journal.hold("bot:1", "e", 4 + DAY_MS, nobody).unwrap());
        assert!(journal.hold("bot:1", "e", 5 + DAY_MS, nobody).unwrap(), "a day is over");
    }
}
