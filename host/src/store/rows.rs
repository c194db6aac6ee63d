//! Rows and what they mean. SQL stays here.

use super::{REMEMBERED_MS, StoreError, chain};
use crate::clock::now_ms;
use borg_core::{
    effect::Effect,
    event::{Body, Event},
    id::{Digest, TaskId},
    owner::Owner,
    policy::source::SourceFile,
    task::{Status, Task},
};
use rusqlite::{Connection, OptionalExtension, params};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// An event with its place in the journal.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Recorded {
    pub seq: u64,
    #[serde(flatten)]
    pub event: Event,
}

/// A task as lists show it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TaskRow {
    pub id: TaskId,
    pub status: Status,
    pub changed_ms: u64,
    pub title: String,
    pub repository: String,
    pub pipeline: String,
    pub cost_micros: u64,
}

/// One request through the gateway.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LedgerRow {
    pub at_ms: u64,
    #[serde(rename = "task")]
    pub owner: Owner,
    pub run: String,
    /// The gateway's own row, as JSON.
    pub row: serde_json::Value,
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, StoreError> {
    serde_json::to_string(value).map_err(|error| StoreError::Damaged(error.to_string()))
}

pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(|error| StoreError::Damaged(error.to_string()))
}

fn all<T: DeserializeOwned>(db: &Connection, sql: &str) -> Result<Vec<T>, StoreError> {
    let mut query = db.prepare(sql).map_err(StoreError::Read)?;
    let rows = query.query_map([], |row| row.get::<_, String>(0)).map_err(StoreError::Read)?;
    rows.map(|row| parse(&row.map_err(StoreError::Read)?)).collect()
}

pub(super) fn live_tasks(db: &Connection) -> Result<Vec<Task>, StoreError> {
    all(db, "SELECT task FROM tasks WHERE live = 1 ORDER BY id")
}

pub(super) fn owed(db: &Connection) -> Result<Vec<Effect>, StoreError> {
    all(db, "SELECT effect FROM effects ORDER BY ordinal")
}

pub(super) fn last_task(db: &Connection) -> Result<u64, StoreError> {
    db.query_row("SELECT COALESCE(MAX(id), 0) FROM tasks", [], |row| row.get(0)).map_err(StoreError::Read)
}

pub(super) fn put_task(db: &Connection, task: &Task, row: &str) -> Result<(), StoreError> {
    let mut put = db
        .prepare_cached(
            "INSERT OR REPLACE INTO tasks(id, status, live, changed_ms, task, holds) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .map_err(StoreError::Write)?;
    let status = task.status();
    put.execute(params![task.id().0, status.as_str(), !status.is_terminal(), task.changed_ms, row, task.holds.len()])
        .map_err(StoreError::Write)?;
    Ok(())
}

/// Books what is told of the money of a task that has ended; its row stays as it is else.
pub(super) fn book(db: &Connection, id: TaskId, body: &Body) -> Result<(), StoreError> {
    let Some(mut task) = task(db, id)? else { return Ok(()) };
    if task.book(body) { put_task(db, &task, &json(&task)?) } else { Ok(()) }
}

/// Tasks, ended ones too, that hold what requests may cost whose answers are still out.
pub(super) fn holding(db: &Connection) -> Result<Vec<Task>, StoreError> {
    all(db, "SELECT task FROM tasks WHERE holds > 0 ORDER BY id")
}

pub(super) fn put_effect(db: &Connection, effect: &Effect, row: &str) -> Result<(), StoreError> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO effects(key, owner, ordinal, effect)
         VALUES (?1, ?2, (SELECT COALESCE(MAX(ordinal), 0) + 1 FROM effects), ?3)",
    )
    .and_then(|mut put| put.execute(params![effect.key.0, effect.owner.to_string(), row]))
    .map_err(StoreError::Write)?;
    Ok(())
}

pub(super) fn put_policy(db: &Connection, digest: &Digest, sources: &[SourceFile]) -> Result<(), StoreError> {
    let pairs: Vec<(&str, &str)> = sources.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
    db.execute(
        "INSERT OR IGNORE INTO policies(digest, sources) VALUES (?1, ?2)",
        params![digest.0.as_slice(), json(&pairs)?],
    )
    .map_err(StoreError::Write)?;
    Ok(())
}

/// Sources of a policy that was in force once.
pub(super) fn policy(db: &Connection, digest: &Digest) -> Result<Option<Vec<SourceFile>>, StoreError> {
    let sources: Option<String> = db
        .query_row("SELECT sources FROM policies WHERE digest = ?1", params![digest.0.as_slice()], |row| row.get(0))
        .optional()
        .map_err(StoreError::Read)?;
    let Some(sources) = sources else { return Ok(None) };
    let pairs: Vec<(String, String)> = parse(&sources)?;
    Ok(Some(pairs.into_iter().map(|(name, text)| SourceFile { name, text }).collect()))
}

/// Keeps what intents came to, and forgets what is too old to be asked for again.
pub(super) fn put_replies(db: &Connection, replies: &[(String, String)]) -> Result<(), StoreError> {
    let now_ms = now_ms();
    db.prepare_cached("DELETE FROM replies WHERE at_ms < ?1")
        .and_then(|mut forget| forget.execute([now_ms.saturating_sub(REMEMBERED_MS)]))
        .map_err(StoreError::Write)?;
    for (key, reply) in replies {
        db.prepare_cached("INSERT INTO replies(key, reply, at_ms) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING")
            .and_then(|mut put| put.execute(params![key, reply, now_ms]))
            .map_err(StoreError::Write)?;
    }
    Ok(())
}

pub(super) fn reply(db: &Connection, key: &str) -> Result<Option<String>, StoreError> {
    db.prepare_cached("SELECT reply FROM replies WHERE key = ?1")
        .and_then(|mut find| find.query_row([key], |row| row.get(0)).optional())
        .map_err(StoreError::Read)
}

pub(super) fn put_ledger(db: &Connection, row: &LedgerRow) -> Result<(), StoreError> {
    db.prepare_cached("INSERT INTO ledger(at_ms, owner, run, row) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut put| put.execute(params![row.at_ms, row.owner.to_string(), row.run, row.row.to_string()]))
        .map_err(StoreError::Write)?;
    Ok(())
}

pub(super) fn ledger(db: &Connection, owner: Owner) -> Result<Vec<LedgerRow>, StoreError> {
    let mut query =
        db.prepare("SELECT at_ms, run, row FROM ledger WHERE owner = ?1 ORDER BY id").map_err(StoreError::Read)?;
    let rows = query
        .query_map([owner.to_string()], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })
        .map_err(StoreError::Read)?;
    rows.map(|row| {
        let (at_ms, run, row) = row.map_err(StoreError::Read)?;
        Ok(LedgerRow { at_ms, owner, run, row: parse(&row)? })
    })
    .collect()
}

pub(super) fn tasks(db: &Connection, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
    let mut query = db.prepare("SELECT task FROM tasks ORDER BY id DESC LIMIT ?1").map_err(StoreError::Read)?;
    let rows = query.query_map([limit], |row| row.get::<_, String>(0)).map_err(StoreError::Read)?;
    rows.map(|row| {
        let task: Task = parse(&row.map_err(StoreError::Read)?)?;
        Ok(TaskRow {
            id: task.id(),
            status: task.status(),
            changed_ms: task.changed_ms,
            cost_micros: task.spent.cost.0,
            title: task.spec.title,
            repository: task.spec.repository,
            pipeline: task.spec.pipeline.name,
        })
    })
    .collect()
}

pub(super) fn task(db: &Connection, id: TaskId) -> Result<Option<Task>, StoreError> {
    let text: Option<String> = db
        .query_row("SELECT task FROM tasks WHERE id = ?1", [id.0], |row| row.get(0))
        .optional()
        .map_err(StoreError::Read)?;
    text.map(|text| parse(&text)).transpose()
}

/// A text kept beside the chain; none once it is deleted.
pub(super) fn text(db: &Connection, digest: &Digest) -> Result<Option<String>, StoreError> {
    db.prepare_cached("SELECT text FROM texts WHERE digest = ?1")
        .and_then(|mut find| find.query_row(params![digest.0.as_slice()], |row| row.get(0)).optional())
        .map_err(StoreError::Read)
}

pub(super) fn events(
    db: &Connection,
    after: u64,
    task: Option<TaskId>,
    limit: u32,
) -> Result<Vec<Recorded>, StoreError> {
    let mut query = db
        .prepare_cached(
            "SELECT seq, event FROM events WHERE seq > ?1 AND (?2 IS NULL OR task = ?2) ORDER BY seq LIMIT ?3",
        )
        .map_err(StoreError::Read)?;
    let rows = query
        .query_map(params![after, task.map(|task| task.0), limit], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?))
        })
        .map_err(StoreError::Read)?;
    let find = |digest: &Digest| text(db, digest);
    rows.map(|row| {
        let (seq, event) = row.map_err(StoreError::Read)?;
        let mut value: serde_json::Value = parse(&event)?;
        chain::restore_texts(&mut value, &find)?;
        let event = serde_json::from_value(value).map_err(|error| StoreError::Damaged(error.to_string()))?;
        Ok(Recorded { seq, event })
    })
    .collect()
}
