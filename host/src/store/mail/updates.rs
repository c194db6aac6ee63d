//! Updates: each is taken in once, however often the transport brings it, and waits until it is answered.

use super::{follow, posts};
use crate::{
    clock::now_ms,
    journal::{JournalError, REMEMBERED_MS},
    mail::{Answered, Arrived, Waiting},
    store::{
        error::{unread, unwritten},
        rows::put,
        sqlite::Sqlite,
    },
};
use rusqlite::{Connection, OptionalExtension, params};

/// Answered updates of a transport that are remembered, so that one brought again is not answered again. A transport brings again what it
/// brought just now, so a flood shortens the time rather than filling the disk.
const REMEMBERED: u32 = 10_000;

impl Sqlite {
    pub fn take_in(&mut self, transport: &str, arrived: &Arrived) -> Result<(), JournalError> {
        let Arrived { cursor, changes, updates } = arrived;
        self.atomically(|db| {
            for change in changes {
                follow(db, transport, change)?;
            }
            for update in updates {
                put(
                    db,
                    "INSERT INTO updates(transport, key, chat, body) VALUES (?1, ?2, ?3, ?4)
                     ON CONFLICT (transport, key) DO NOTHING",
                    params![transport, update.key, update.chat, update.update],
                )?;
            }
            put(db, "INSERT OR REPLACE INTO cursors(transport, cursor) VALUES (?1, ?2)", params![transport, cursor])?;
            forget(db, transport)
        })
    }

    pub fn cursor(&self, transport: &str) -> Result<Option<i64>, JournalError> {
        self.db
            .prepare_cached("SELECT cursor FROM cursors WHERE transport = ?1")
            .and_then(|mut find| find.query_row([transport], |row| row.get(0)).optional())
            .map_err(unread)
    }

    pub fn waiting(&self, transport: &str, after: i64, limit: u32, bytes: usize) -> Result<Vec<Waiting>, JournalError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT id, key, chat, body FROM updates
                 WHERE transport = ?1 AND id > ?2 AND answered_ms IS NULL ORDER BY id LIMIT ?3",
            )
            .map_err(unread)?;
        let rows = query
            .query_map(params![transport, after, limit], |row| {
                Ok(Waiting { id: row.get(0)?, key: row.get(1)?, chat: row.get(2)?, update: row.get(3)? })
            })
            .map_err(unread)?;
        let mut taken = 0;
        let within = rows.take_while(|row| {
            let fits = taken < bytes;
            taken += row.as_ref().map_or(0, |row| row.update.len());
            fits
        });
        within.map(|row| row.map_err(unread)).collect()
    }

    pub fn answered(&mut self, answers: &[Answered]) -> Result<(), JournalError> {
        self.atomically(|db| {
            for Answered { id, posts } in answers {
                let transport: Option<String> = db
                    .prepare_cached(
                        "UPDATE updates SET answered_ms = ?2, body = ''
                         WHERE id = ?1 AND answered_ms IS NULL RETURNING transport",
                    )
                    .and_then(|mut mark| mark.query_row(params![id, now_ms()], |row| row.get(0)).optional())
                    .map_err(unwritten)?;
                if let Some(transport) = transport {
                    posts::enqueue(db, &transport, posts)?;
                }
            }
            Ok(())
        })
    }
}

/// Forgets answered updates that the transport will not bring again.
fn forget(db: &Connection, transport: &str) -> Result<(), JournalError> {
    put(
        db,
        "DELETE FROM updates WHERE transport = ?1 AND answered_ms < ?2",
        params![transport, now_ms().saturating_sub(REMEMBERED_MS)],
    )?;
    put(
        db,
        "DELETE FROM updates WHERE id IN (
             SELECT id FROM updates WHERE transport = ?1 AND answered_ms IS NOT NULL
             ORDER BY answered_ms DESC, id DESC LIMIT -1 OFFSET ?2)",
        params![transport, REMEMBERED],
    )?;
    Ok(())
}
