//! What the journal says about the host as a whole: since when it runs and under what policy, what was done and spent. Read in pages, so
//! that nobody else waits long for the journal's thread.

use super::{Journal, StoreError};
use borg_core::{
    budget::{MicroUsd, Usage},
    id::{Digest, TaskId},
    task::Status,
};
use rusqlite::{OptionalExtension, params};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Rows of the ledger in which something of a subscription is looked for.
const NEWEST: u32 = 200;

/// A task that moved lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moved {
    pub id: TaskId,
    pub status: Status,
    pub created_ms: u64,
    pub changed_ms: u64,
}

/// What one request through the gateway cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Paid {
    /// Place in the ledger.
    pub id: i64,
    pub at_ms: u64,
    pub usage: Usage,
    pub cost: MicroUsd,
    /// The part of it that a subscription paid.
    pub notional: MicroUsd,
}

/// What a provider said of the subscription that pays.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    pub told_ms: u64,
    /// As the gateway's rows have it, by name.
    pub told: BTreeMap<String, String>,
}

/// The part of a ledger's row that says what it cost.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Cost {
    #[serde(default)]
    usage: Option<Usage>,
    #[serde(default)]
    cost_micros: u64,
    #[serde(default)]
    notional: bool,
}

impl Journal {
    /// When a host was started last, in milliseconds since 1970, and its version.
    pub fn last_start(&self) -> Result<Option<(u64, String)>, StoreError> {
        self.of_the_host("host-started", |at_ms, body| Err((at_ms, text(body, "version"))))
    }

    /// Since when this policy is in force without another in between; none where another one is.
    pub fn policy_since(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        let digest = digest.to_string();
        let mut since = None;
        self.of_the_host("policy-loaded", |at_ms, body| {
            if text(body, "digest") != digest {
                return Err(());
            }
            since = Some(at_ms);
            Ok(())
        })?;
        Ok(since)
    }

    /// Goes through events of a kind that are about no task, newest first, until an error says that was it.
    fn of_the_host<T>(
        &self,
        kind: &str,
        mut look: impl FnMut(u64, &serde_json::Value) -> Result<(), T>,
    ) -> Result<Option<T>, StoreError> {
        let mut query = self
            .db
            .prepare_cached("SELECT at_ms, event FROM events WHERE task IS NULL AND kind = ?1 ORDER BY seq DESC")
            .map_err(StoreError::Read)?;
        let mut rows = query.query([kind]).map_err(StoreError::Read)?;
        while let Some(row) = rows.next().map_err(StoreError::Read)? {
            let at_ms = row.get(0).map_err(StoreError::Read)?;
            let event: String = row.get(1).map_err(StoreError::Read)?;
            let event: serde_json::Value = parse(&event)?;
            if let Err(found) = look(at_ms, &event["body"]) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Tasks with a number below `before` that moved since, newest first.
    pub fn moved(&self, since_ms: u64, before: TaskId, limit: u32) -> Result<Vec<Moved>, StoreError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT id, status, changed_ms, json_extract(task, '$.created_ms') FROM tasks
                 WHERE id < ?1 AND changed_ms >= ?2 ORDER BY id DESC LIMIT ?3",
            )
            .map_err(StoreError::Read)?;
        let before = i64::try_from(before.0).unwrap_or(i64::MAX);
        let rows = query
            .query_map(params![before, since_ms, limit], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
            })
            .map_err(StoreError::Read)?;
        rows.map(|row| {
            let (id, word, changed_ms, created_ms) = row.map_err(StoreError::Read)?;
            Ok(Moved { id: TaskId(id), status: status(&word)?, created_ms, changed_ms })
        })
        .collect()
    }

    /// Where each task stands that has not ended.
    pub fn live_statuses(&self) -> Result<Vec<Status>, StoreError> {
        let mut query = self.db.prepare_cached("SELECT status FROM tasks WHERE live = 1").map_err(StoreError::Read)?;
        let rows = query.query_map([], |row| row.get::<_, String>(0)).map_err(StoreError::Read)?;
        rows.map(|row| status(&row.map_err(StoreError::Read)?)).collect()
    }

    /// The tasks that ended last and were not cancelled, newest first.
    pub fn last_ended(&self, limit: u32) -> Result<Vec<(TaskId, Status)>, StoreError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT id, status FROM tasks WHERE live = 0 AND status <> 'cancelled'
                 ORDER BY changed_ms DESC, id DESC LIMIT ?1",
            )
            .map_err(StoreError::Read)?;
        let rows = query
            .query_map([limit], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?)))
            .map_err(StoreError::Read)?;
        rows.map(|row| {
            let (id, word) = row.map_err(StoreError::Read)?;
            Ok((TaskId(id), status(&word)?))
        })
        .collect()
    }

    /// What a provider said last of the subscription that pays; none where none of the newest requests was told anything.
    pub fn subscription(&self) -> Result<Option<Subscription>, StoreError> {
        let found: Option<(u64, String)> = self
            .db
            .prepare_cached(
                "SELECT at_ms, told FROM (
                     SELECT id, at_ms, json_extract(row, '$.subscription') AS told FROM ledger ORDER BY id DESC LIMIT ?1
                 ) WHERE told IS NOT NULL AND told <> '{}' ORDER BY id DESC LIMIT 1",
            )
            .and_then(|mut find| find.query_row([NEWEST], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(StoreError::Read)?;
        found.map(|(told_ms, told)| Ok(Subscription { told_ms, told: parse(&told)? })).transpose()
    }

    /// Models that the newest requests which cost something were made to.
    pub fn models(&self, requests: u32) -> Result<Vec<String>, StoreError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT DISTINCT model FROM (
                     SELECT json_extract(row, '$.model') AS model, json_extract(row, '$.\"cost-micros\"') AS cost
                     FROM ledger ORDER BY id DESC LIMIT ?1
                 ) WHERE cost > 0 AND model <> '' ORDER BY model",
            )
            .map_err(StoreError::Read)?;
        let models = query.query_map([requests], |row| row.get(0)).map_err(StoreError::Read)?;
        models.collect::<Result<_, _>>().map_err(StoreError::Read)
    }

    /// Rows of the ledger before a place in it, newest first.
    pub fn paid(&self, before: i64, limit: u32) -> Result<Vec<Paid>, StoreError> {
        let mut query = self
            .db
            .prepare_cached("SELECT id, at_ms, row FROM ledger WHERE id < ?1 ORDER BY id DESC LIMIT ?2")
            .map_err(StoreError::Read)?;
        let rows = query
            .query_map(params![before, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)))
            .map_err(StoreError::Read)?;
        rows.map(|row| {
            let (id, at_ms, row) = row.map_err(StoreError::Read)?;
            let Cost { usage, cost_micros, notional } = parse(&row)?;
            let cost = MicroUsd(cost_micros);
            let notional = if notional { cost } else { MicroUsd(0) };
            Ok(Paid { id, at_ms, usage: usage.unwrap_or_default(), cost, notional })
        })
        .collect()
    }
}

fn status(word: &str) -> Result<Status, StoreError> {
    let status = Status::ALL.into_iter().find(|status| status.as_str() == word);
    status.ok_or_else(|| StoreError::Damaged(format!("a task is `{word}`")))
}

fn text(body: &serde_json::Value, key: &str) -> String {
    body[key].as_str().unwrap_or_default().to_owned()
}

fn parse<T: serde::de::DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::{Batch, LedgerRow};
    use borg_core::{
        event::{Body, Event, HostEvent},
        id::TaskId,
        owner::Owner,
    };

    fn journal() -> (tempfile::TempDir, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
        (dir, journal)
    }

    fn happened(journal: &mut Journal, at_ms: u64, body: Body) {
        let events = vec![Event { at_ms, owner: Owner::Host, settles: None, body }];
        journal.commit(&Batch { events, ..Batch::default() }).unwrap();
    }

    #[test]
    fn a_policy_is_in_force_since_it_took_the_place_of_another() {
        let (_dir, mut journal) = journal();
        let (old, new) = (Digest::of_bytes(b"old"), Digest::of_bytes(b"new"));
        assert_eq!(journal.policy_since(&old).unwrap(), None);
        for (at_ms, digest) in [(1, old), (2, new), (3, old), (4, old)] {
            happened(&mut journal, at_ms, Body::Host(HostEvent::PolicyLoaded { digest }));
        }
        // A restart loads the same again.
        assert_eq!(journal.policy_since(&old).unwrap(), Some(3));
        assert_eq!(journal.policy_since(&new).unwrap(), None);
    }

    #[test]
    fn the_last_start_counts() {
        let (_dir, mut journal) = journal();
        assert_eq!(journal.last_start().unwrap(), None);
        for (at_ms, version) in [(5, "1"), (6, "2")] {
            happened(
                &mut journal,
                at_ms,
                Body::Host(HostEvent::HostStarted { version: version.into(), sandbox: String::new() }),
            );
        }
        happened(&mut journal, 7, Body::Host(HostEvent::PolicyRefused { reason: "host-started".into() }));
        assert_eq!(journal.last_start().unwrap(), Some((6, "2".into())));
    }

    #[test]
    fn the_ledger_is_read_from_its_end_and_page_by_page() {
        let (_dir, mut journal) = journal();
        for n in 1..=5 {
            let usage = serde_json::json!({
                "input-tokens": n, "output-tokens": 0, "cache-read-tokens": 0, "cache-write-tokens": 0,
            });
            let row = serde_json::json!({ "usage": usage, "cost-micros": n * 10, "host": "h", "model": format!("m{}", n % 2) });
            let row = if n == 3 { serde_json::json!({ "usage": null }) } else { row };
            journal.record_request(&LedgerRow { at_ms: n, owner: TaskId(1).into(), run: "r".into(), row }).unwrap();
        }
        let figures = |page: &[Paid]| page.iter().map(|paid| (paid.at_ms, paid.cost.0)).collect::<Vec<_>>();
        let page = journal.paid(i64::MAX, 3).unwrap();
        assert_eq!(figures(&page), [(5, 50), (4, 40), (3, 0)]);
        assert_eq!(page[0].usage.input_tokens, 5);
        let page = journal.paid(page[2].id, 3).unwrap();
        assert_eq!(figures(&page), [(2, 20), (1, 10)]);
        assert!(journal.paid(page[1].id, 3).unwrap().is_empty());
        assert_eq!(journal.models(9).unwrap(), ["m0", "m1"]);
        assert_eq!(journal.models(1).unwrap(), ["m1"]);
    }
}
