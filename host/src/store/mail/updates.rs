//! Updates: each is taken in once, however often the transport brings it, and waits until it is answered.

use super::{Incoming, Outgoing, Waiting, posts, put};
use crate::{
    clock::now_ms,
    store::{Journal, REMEMBERED_MS, StoreError},
};
use rusqlite::{Connection, OptionalExtension, params};

/// Answered updates of a transport that are remembered, so that one brought again is not answered again. A transport brings again what it
/// brought just now, so a flood shortens the time rather than filling the disk.
const REMEMBERED: u32 = 10_000;

impl Journal {
    /// Takes updates in and, in the same transaction, saves how far the transport has been read. An update that was taken in before, and
    /// perhaps answered since, is left as it is; answered ones are forgotten after 7 days, or when 10,000 newer ones are answered.
    pub fn take_in(&mut self, transport: &str, cursor: i64, updates: &[Incoming]) -> Result<(), StoreError> {
        self.atomically(|db| {
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

    /// How far the transport has been read; none before the first time.
    pub fn cursor(&self, transport: &str) -> Result<Option<i64>, StoreError> {
        self.db
            .prepare_cached("SELECT cursor FROM cursors WHERE transport = ?1")
            .and_then(|mut find| find.query_row([transport], |row| row.get(0)).optional())
            .map_err(StoreError::Read)
    }

    /// Updates with an id above `after` that are not answered yet, oldest first: `limit` of them, and no more once they have `bytes`.
    pub fn waiting(&self, transport: &str, after: i64, limit: u32, bytes: usize) -> Result<Vec<Waiting>, StoreError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT id, key, chat, body FROM updates
                 WHERE transport = ?1 AND id > ?2 AND answered_ms IS NULL ORDER BY id LIMIT ?3",
            )
            .map_err(StoreError::Read)?;
        let rows = query
            .query_map(params![transport, after, limit], |row| {
                Ok(Waiting { id: row.get(0)?, key: row.get(1)?, chat: row.get(2)?, update: row.get(3)? })
            })
            .map_err(StoreError::Read)?;
        let mut taken = 0;
        let within = rows.take_while(|row| {
            let fits = taken < bytes;
            taken += row.as_ref().map_or(0, |row| row.update.len());
            fits
        });
        within.map(|row| row.map_err(StoreError::Read)).collect()
    }

    /// Marks an update as answered and, in the same transaction, queues what is to be posted because of it. The update itself is deleted
    /// but for its key. One that is answered already, or unknown, is left alone and nothing is queued.
    pub fn answered(&mut self, id: i64, posts: &[Outgoing]) -> Result<(), StoreError> {
        self.answered_all([(id, posts)])
    }

    /// As [`Journal::answered`], for many updates in one transaction.
    pub fn answered_all<'a>(
        &mut self,
        answers: impl IntoIterator<Item = (i64, &'a [Outgoing])>,
    ) -> Result<(), StoreError> {
        self.atomically(|db| {
            for (id, posts) in answers {
                let transport: Option<String> = db
                    .prepare_cached(
                        "UPDATE updates SET answered_ms = ?2, body = ''
                         WHERE id = ?1 AND answered_ms IS NULL RETURNING transport",
                    )
                    .and_then(|mut mark| mark.query_row(params![id, now_ms()], |row| row.get(0)).optional())
                    .map_err(StoreError::Write)?;
                if let Some(transport) = transport {
                    posts::enqueue(db, &transport, posts)?;
                }
            }
            Ok(())
        })
    }
}

/// Forgets answered updates that the transport will not bring again.
fn forget(db: &Connection, transport: &str) -> Result<(), StoreError> {
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
