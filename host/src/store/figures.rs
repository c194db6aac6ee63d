//! What the journal says about the host as a whole: since when it runs and under what policy, what was done and spent. Read in pages, so
//! that nobody else waits long for the journal's thread.

use super::{
    error::unread,
    rows::{self, parse},
    sqlite::Sqlite,
};
use crate::journal::{JournalError, Moved, MovedTasks, Paid, Standing, Subscription};
use borg_core::{
    budget::{MicroUsd, Usage},
    id::{Digest, TaskId},
    task::Status,
};
use rusqlite::{OptionalExtension, params};
use serde::Deserialize;

/// Rows of the ledger in which something of a subscription is looked for.
const NEWEST: u32 = 200;

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

impl Sqlite {
    pub fn last_start(&self) -> Result<Option<(u64, String)>, JournalError> {
        self.of_the_host("host-started", |at_ms, body| Err((at_ms, text(body, "version"))))
    }

    pub fn policy_since(&self, digest: &Digest) -> Result<Option<u64>, JournalError> {
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
    ) -> Result<Option<T>, JournalError> {
        let mut query = self
            .db
            .prepare_cached("SELECT at_ms, event FROM events WHERE task IS NULL AND kind = ?1 ORDER BY seq DESC")
            .map_err(unread)?;
        let mut rows = query.query([kind]).map_err(unread)?;
        while let Some(row) = rows.next().map_err(unread)? {
            let at_ms = row.get(0).map_err(unread)?;
            let event: String = row.get(1).map_err(unread)?;
            let event: serde_json::Value = parse(&event)?;
            if let Err(found) = look(at_ms, &event["body"]) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    pub fn moved(&self, since_ms: u64, before: TaskId, limit: u32) -> Result<Vec<Moved>, JournalError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT id, status, changed_ms, json_extract(task, '$.created_ms') FROM tasks
                 WHERE id < ?1 AND changed_ms >= ?2 ORDER BY id DESC LIMIT ?3",
            )
            .map_err(unread)?;
        let before = i64::try_from(before.0).unwrap_or(i64::MAX);
        let rows = query
            .query_map(params![before, since_ms, limit], |row| {
                Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
            })
            .map_err(unread)?;
        rows.map(|row| {
            let (id, word, changed_ms, created_ms) = row.map_err(unread)?;
            Ok(Moved { id: TaskId(id), status: status(&word)?, created_ms, changed_ms })
        })
        .collect()
    }

    pub fn moved_tasks(&self, since_ms: u64, limit: u32) -> Result<MovedTasks, JournalError> {
        let _at_once = self.at_once()?;
        let newest = self.moved(since_ms, TaskId(u64::MAX), limit)?;
        let newest = newest.iter().map(|moved| rows::task(&self.db, moved.id));
        let all = self
            .db
            .prepare_cached("SELECT COUNT(*) FROM tasks WHERE changed_ms >= ?1")
            .and_then(|mut count| count.query_row([since_ms], |row| row.get(0)))
            .map_err(unread)?;
        Ok(MovedTasks { newest: newest.filter_map(Result::transpose).collect::<Result<_, _>>()?, all })
    }

    pub fn live_statuses(&self) -> Result<Vec<Status>, JournalError> {
        let mut query = self.db.prepare_cached("SELECT status FROM tasks WHERE live = 1").map_err(unread)?;
        let rows = query.query_map([], |row| row.get::<_, String>(0)).map_err(unread)?;
        rows.map(|row| status(&row.map_err(unread)?)).collect()
    }

    pub fn standing(&self, ended: u32) -> Result<Standing, JournalError> {
        let _at_once = self.at_once()?;
        Ok(Standing { ended: self.last_ended(ended)?, live: self.live_statuses()?, is_paused: self.is_paused()? })
    }

    /// The tasks that ended last and were not cancelled, newest first.
    fn last_ended(&self, limit: u32) -> Result<Vec<(TaskId, Status)>, JournalError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT id, status FROM tasks WHERE live = 0 AND status <> 'cancelled'
                 ORDER BY changed_ms DESC, id DESC LIMIT ?1",
            )
            .map_err(unread)?;
        let rows =
            query.query_map([limit], |row| Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?))).map_err(unread)?;
        rows.map(|row| {
            let (id, word) = row.map_err(unread)?;
            Ok((TaskId(id), status(&word)?))
        })
        .collect()
    }

    pub fn subscription(&self) -> Result<Option<Subscription>, JournalError> {
        let found: Option<(u64, String)> = self
            .db
            .prepare_cached(
                "SELECT at_ms, told FROM (
                     SELECT id, at_ms, json_extract(row, '$.subscription') AS told FROM ledger ORDER BY id DESC LIMIT ?1
                 ) WHERE told IS NOT NULL AND told <> '{}' ORDER BY id DESC LIMIT 1",
            )
            .and_then(|mut find| find.query_row([NEWEST], |row| Ok((row.get(0)?, row.get(1)?))).optional())
            .map_err(unread)?;
        found.map(|(told_ms, told)| Ok(Subscription { told_ms, told: parse(&told)? })).transpose()
    }

    pub fn models(&self, requests: u32) -> Result<Vec<String>, JournalError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT DISTINCT model FROM (
                     SELECT json_extract(row, '$.model') AS model, json_extract(row, '$.\"cost-micros\"') AS cost
                     FROM ledger ORDER BY id DESC LIMIT ?1
                 ) WHERE cost > 0 AND model <> '' ORDER BY model",
            )
            .map_err(unread)?;
        let models = query.query_map([requests], |row| row.get(0)).map_err(unread)?;
        models.collect::<Result<_, _>>().map_err(unread)
    }

    pub fn paid(&self, before: i64, limit: u32) -> Result<Vec<Paid>, JournalError> {
        let mut query = self
            .db
            .prepare_cached("SELECT id, at_ms, row FROM ledger WHERE id < ?1 ORDER BY id DESC LIMIT ?2")
            .map_err(unread)?;
        let rows = query
            .query_map(params![before, limit], |row| Ok((row.get(0)?, row.get(1)?, row.get::<_, String>(2)?)))
            .map_err(unread)?;
        rows.map(|row| {
            let (id, at_ms, row) = row.map_err(unread)?;
            let Cost { usage, cost_micros, notional } = parse(&row)?;
            let cost = MicroUsd(cost_micros);
            let notional = if notional { cost } else { MicroUsd(0) };
            Ok(Paid { id, at_ms, usage: usage.unwrap_or_default(), cost, notional })
        })
        .collect()
    }
}

fn status(word: &str) -> Result<Status, JournalError> {
    let status = Status::ALL.into_iter().find(|status| status.as_str() == word);
    status.ok_or_else(|| JournalError::Damaged(format!("a task is `{word}`")))
}

fn text(body: &serde_json::Value, key: &str) -> String {
    body[key].as_str().unwrap_or_default().to_owned()
}
