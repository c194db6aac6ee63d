//! Rows and what they mean. SQL stays here.

use super::error::{unread, unwritten};
use crate::{
    clock::now_ms,
    journal::{JournalError, LedgerRow, REMEMBERED_MS, Recorded, TaskRow, chain},
};
use borg_core::{
    effect::Effect,
    event::Body,
    id::{Digest, TaskId},
    owner::Owner,
    policy::source::SourceFile,
    task::Task,
};
use rusqlite::{Connection, OptionalExtension, Params, params};
use serde::{Serialize, de::DeserializeOwned};

/// Makes one statement.
pub(super) fn put(db: &Connection, sql: &str, values: impl Params) -> Result<usize, JournalError> {
    db.prepare_cached(sql).and_then(|mut put| put.execute(values)).map_err(unwritten)
}

/// Texts of the one column of a query.
pub(super) fn texts(db: &Connection, sql: &str, values: impl Params) -> Result<Vec<String>, JournalError> {
    let mut query = db.prepare_cached(sql).map_err(unread)?;
    let rows = query.query_map(values, |row| row.get(0)).map_err(unread)?;
    rows.map(|row| row.map_err(unread)).collect()
}

pub(super) fn json<T: Serialize>(value: &T) -> Result<String, JournalError> {
    serde_json::to_string(value).map_err(|error| JournalError::Damaged(error.to_string()))
}

pub(super) fn parse<T: DeserializeOwned>(text: &str) -> Result<T, JournalError> {
    serde_json::from_str(text).map_err(|error| JournalError::Damaged(error.to_string()))
}

fn all<T: DeserializeOwned>(db: &Connection, sql: &str) -> Result<Vec<T>, JournalError> {
    let mut query = db.prepare(sql).map_err(unread)?;
    let rows = query.query_map([], |row| row.get::<_, String>(0)).map_err(unread)?;
    rows.map(|row| parse(&row.map_err(unread)?)).collect()
}

/// Tasks that fit a condition, with their facts.
fn whole_tasks(db: &Connection, condition: &str, values: impl Params) -> Result<Vec<Task>, JournalError> {
    let mut query = db
        .prepare_cached(&format!("SELECT task, facts FROM tasks LEFT JOIN facts USING (id) WHERE {condition}"))
        .map_err(unread)?;
    let rows = query
        .query_map(values, |row| Ok((row.get::<_, String>(0)?, row.get::<_, Option<String>>(1)?)))
        .map_err(unread)?;
    rows.map(|row| {
        let (task, facts) = row.map_err(unread)?;
        let mut task: Task = parse(&task)?;
        // A row of before they lay apart has them inside.
        if let Some(facts) = facts {
            task.put_facts(parse(&facts)?);
        }
        Ok(task)
    })
    .collect()
}

pub(super) fn live_tasks(db: &Connection) -> Result<Vec<Task>, JournalError> {
    whole_tasks(db, "live = 1 ORDER BY id", [])
}

pub(super) fn owed(db: &Connection) -> Result<Vec<Effect>, JournalError> {
    all(db, "SELECT effect FROM effects ORDER BY ordinal")
}

pub(super) fn last_task(db: &Connection) -> Result<u64, JournalError> {
    db.query_row("SELECT COALESCE(MAX(id), 0) FROM tasks", [], |row| row.get(0)).map_err(unread)
}

/// Writes a task whose facts were taken out; its row as JSON.
pub(super) fn put_task(db: &Connection, task: &Task, row: &str) -> Result<(), JournalError> {
    let mut put = db
        .prepare_cached(
            "INSERT OR REPLACE INTO tasks(id, status, live, changed_ms, task, holds) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )
        .map_err(unwritten)?;
    let status = task.status();
    put.execute(params![task.id().0, status.as_str(), !status.is_terminal(), task.changed_ms, row, task.holds.len()])
        .map_err(unwritten)?;
    Ok(())
}

/// Writes the facts of a task, as JSON.
pub(super) fn put_facts(db: &Connection, id: TaskId, facts: &str) -> Result<(), JournalError> {
    db.prepare_cached("INSERT OR REPLACE INTO facts(id, facts) VALUES (?1, ?2)")
        .and_then(|mut put| put.execute(params![id.0, facts]))
        .map_err(unwritten)?;
    Ok(())
}

/// Books what is told of the money of a task that has ended; its row stays as it is else.
pub(super) fn book(db: &Connection, id: TaskId, body: &Body) -> Result<(), JournalError> {
    let Some(mut task) = task(db, id)? else { return Ok(()) };
    if !task.book(body) {
        return Ok(());
    }
    let facts = task.take_facts();
    put_task(db, &task, &json(&task)?)?;
    put_facts(db, id, &json(&facts)?)
}

/// Tasks, ended ones too, that hold what requests may cost whose answers are still out.
pub(super) fn holding(db: &Connection) -> Result<Vec<Task>, JournalError> {
    whole_tasks(db, "holds > 0 ORDER BY id", [])
}

pub(super) fn put_effect(db: &Connection, effect: &Effect, row: &str) -> Result<(), JournalError> {
    db.prepare_cached(
        "INSERT OR REPLACE INTO effects(key, owner, ordinal, effect)
         VALUES (?1, ?2, (SELECT COALESCE(MAX(ordinal), 0) + 1 FROM effects), ?3)",
    )
    .and_then(|mut put| put.execute(params![effect.key.0, effect.owner.to_string(), row]))
    .map_err(unwritten)?;
    Ok(())
}

pub(super) fn put_policy(db: &Connection, digest: &Digest, sources: &[SourceFile]) -> Result<(), JournalError> {
    let pairs: Vec<(&str, &str)> = sources.iter().map(|file| (file.name.as_str(), file.text.as_str())).collect();
    db.execute(
        "INSERT OR IGNORE INTO policies(digest, sources) VALUES (?1, ?2)",
        params![digest.0.as_slice(), json(&pairs)?],
    )
    .map_err(unwritten)?;
    Ok(())
}

/// Sources of a policy that was in force once.
pub(super) fn policy(db: &Connection, digest: &Digest) -> Result<Option<Vec<SourceFile>>, JournalError> {
    let sources: Option<String> = db
        .query_row("SELECT sources FROM policies WHERE digest = ?1", params![digest.0.as_slice()], |row| row.get(0))
        .optional()
        .map_err(unread)?;
    let Some(sources) = sources else { return Ok(None) };
    let pairs: Vec<(String, String)> = parse(&sources)?;
    Ok(Some(pairs.into_iter().map(|(name, text)| SourceFile { name, text }).collect()))
}

/// Keeps what intents came to, and forgets what is too old to be asked for again.
pub(super) fn put_replies(db: &Connection, replies: &[(String, String)]) -> Result<(), JournalError> {
    let now_ms = now_ms();
    db.prepare_cached("DELETE FROM replies WHERE at_ms < ?1")
        .and_then(|mut forget| forget.execute([now_ms.saturating_sub(REMEMBERED_MS)]))
        .map_err(unwritten)?;
    for (key, reply) in replies {
        db.prepare_cached("INSERT INTO replies(key, reply, at_ms) VALUES (?1, ?2, ?3) ON CONFLICT (key) DO NOTHING")
            .and_then(|mut put| put.execute(params![key, reply, now_ms]))
            .map_err(unwritten)?;
    }
    Ok(())
}

pub(super) fn reply(db: &Connection, key: &str) -> Result<Option<String>, JournalError> {
    db.prepare_cached("SELECT reply FROM replies WHERE key = ?1")
        .and_then(|mut find| find.query_row([key], |row| row.get(0)).optional())
        .map_err(unread)
}

pub(super) fn put_ledger(db: &Connection, row: &LedgerRow) -> Result<(), JournalError> {
    db.prepare_cached("INSERT INTO ledger(at_ms, owner, run, row) VALUES (?1, ?2, ?3, ?4)")
        .and_then(|mut put| put.execute(params![row.at_ms, row.owner.to_string(), row.run, row.row.to_string()]))
        .map_err(unwritten)?;
    Ok(())
}

pub(super) fn ledger(db: &Connection, owner: Owner) -> Result<Vec<LedgerRow>, JournalError> {
    let mut query = db.prepare("SELECT at_ms, run, row FROM ledger WHERE owner = ?1 ORDER BY id").map_err(unread)?;
    let rows = query
        .query_map([owner.to_string()], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?))
        })
        .map_err(unread)?;
    rows.map(|row| {
        let (at_ms, run, row) = row.map_err(unread)?;
        Ok(LedgerRow { at_ms, owner, run, row: parse(&row)? })
    })
    .collect()
}

pub(super) fn tasks(db: &Connection, limit: u32) -> Result<Vec<TaskRow>, JournalError> {
    let mut query = db.prepare("SELECT task FROM tasks ORDER BY id DESC LIMIT ?1").map_err(unread)?;
    let rows = query.query_map([limit], |row| row.get::<_, String>(0)).map_err(unread)?;
    rows.map(|row| {
        let task: Task = parse(&row.map_err(unread)?)?;
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

pub(super) fn task(db: &Connection, id: TaskId) -> Result<Option<Task>, JournalError> {
    Ok(whole_tasks(db, "id = ?1", [id.0])?.pop())
}

/// A text kept beside the chain; none once it is deleted.
fn text(db: &Connection, digest: &Digest) -> Result<Option<String>, JournalError> {
    db.prepare_cached("SELECT text FROM texts WHERE digest = ?1")
        .and_then(|mut find| find.query_row(params![digest.0.as_slice()], |row| row.get(0)).optional())
        .map_err(unread)
}

pub(super) fn events(
    db: &Connection,
    after: u64,
    task: Option<TaskId>,
    limit: u32,
) -> Result<Vec<Recorded>, JournalError> {
    let mut query = db
        .prepare_cached(
            "SELECT seq, event FROM events WHERE seq > ?1 AND (?2 IS NULL OR task = ?2) ORDER BY seq LIMIT ?3",
        )
        .map_err(unread)?;
    let rows = query
        .query_map(params![after, task.map(|task| task.0), limit], |row| {
            Ok((row.get::<_, u64>(0)?, row.get::<_, String>(1)?))
        })
        .map_err(unread)?;
    let find = |digest: &Digest| text(db, digest);
    rows.map(|row| {
        let (seq, event) = row.map_err(unread)?;
        Ok(Recorded { seq, event: chain::restore(&event, &find)? })
    })
    .collect()
}
