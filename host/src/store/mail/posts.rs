//! Posts: each is queued once, in order, and stays until it is sent or given up. Newer content about a topic takes the place of what has
//! not gone out yet.

use super::offers;
use crate::{
    clock::now_ms,
    journal::{JournalError, REMEMBERED_MS},
    mail::{Head, Offer, Outgoing, Unsent},
    store::{
        error::{unread, unwritten},
        rows::put,
        sqlite::Sqlite,
    },
};
use rusqlite::{Connection, OptionalExtension, Row, params};

/// Posts forgotten at a time, so that queueing stays quick after a long pause.
const FORGOTTEN: u32 = 1_000;

/// The oldest post of each chat and the oldest edit of each; from chat to chat by the index, whatever waits in each.
pub(in crate::store) const HEADS: &str = "WITH RECURSIVE chats(chat) AS (
         SELECT MIN(chat) FROM posts WHERE transport = ?1 AND settled_ms IS NULL
         UNION ALL
         SELECT (SELECT MIN(chat) FROM posts
                 WHERE transport = ?1 AND settled_ms IS NULL AND chat > chats.chat)
         FROM chats WHERE chat IS NOT NULL),
     heads(id, edits) AS (
         SELECT (SELECT id FROM posts WHERE transport = ?1 AND chat = chats.chat AND settled_ms IS NULL
                 AND NOT EXISTS (SELECT 1 FROM topics WHERE transport = ?1 AND topics.chat = posts.chat
                                 AND topics.topic = posts.topic)
                 ORDER BY id LIMIT 1), 0
         FROM chats
         UNION ALL
         SELECT (SELECT MIN(posts.id) FROM posts INDEXED BY posts_unsent_topic JOIN topics USING (transport, chat, topic)
                 WHERE transport = ?1 AND chat = chats.chat AND settled_ms IS NULL
                 AND topic IS NOT NULL), 1
         FROM chats)
     SELECT id, chat, edits, not_before_ms FROM heads JOIN posts USING (id) ORDER BY edits, id";

impl Sqlite {
    pub fn enqueue(&mut self, transport: &str, posts: &[Outgoing]) -> Result<(), JournalError> {
        self.atomically(|db| enqueue(db, transport, posts))
    }

    pub fn unsent(&self, transport: &str, after: i64, limit: u32) -> Result<Vec<Unsent>, JournalError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT id, key, chat, topic, body, revision, attempts, not_before_ms,
                     (SELECT topics.receipt FROM topics WHERE topics.transport = posts.transport
                      AND topics.chat = posts.chat AND topics.topic = posts.topic)
                 FROM posts WHERE transport = ?1 AND id > ?2 AND settled_ms IS NULL ORDER BY id LIMIT ?3",
            )
            .map_err(unread)?;
        let rows = query.query_map(params![transport, after, limit], unsent).map_err(unread)?;
        rows.map(|row| row.map_err(unread)).collect()
    }

    pub fn heads(&self, transport: &str) -> Result<Vec<Head>, JournalError> {
        let mut query = self.db.prepare_cached(HEADS).map_err(unread)?;
        let rows = query
            .query_map([transport], |row| {
                Ok(Head { id: row.get(0)?, chat: row.get(1)?, edits: row.get(2)?, not_before_ms: row.get(3)? })
            })
            .map_err(unread)?;
        rows.map(|row| row.map_err(unread)).collect()
    }

    pub fn sent(&mut self, id: i64, revision: u32, receipt: &str, offered: &[Offer]) -> Result<bool, JournalError> {
        self.atomically(|db| {
            let newest: Option<u32> = db
                .prepare_cached("UPDATE posts SET receipt = ?2 WHERE id = ?1 AND settled_ms IS NULL RETURNING revision")
                .and_then(|mut find| find.query_row(params![id, receipt], |row| row.get(0)).optional())
                .map_err(unwritten)?;
            let Some(newest) = newest else { return Ok(true) };
            offers::offer(db, id, receipt, offered)?;
            put(
                db,
                "INSERT OR REPLACE INTO topics(transport, chat, topic, receipt)
                 SELECT transport, chat, topic, receipt FROM posts WHERE id = ?1 AND topic IS NOT NULL",
                [id],
            )?;
            if newest > revision {
                return Ok(false);
            }
            settle(db, id)?;
            Ok(true)
        })
    }

    pub fn rewrite(&mut self, id: i64, revision: u32, post: &str) -> Result<bool, JournalError> {
        rewrite(&self.db, id, revision, post)
    }

    pub fn say_anew(&mut self, id: i64, revision: u32, post: &str) -> Result<bool, JournalError> {
        self.atomically(|db| {
            put(
                db,
                "DELETE FROM topics WHERE (transport, chat, topic) IN (SELECT transport, chat, topic FROM posts WHERE id = ?1)",
                [id],
            )?;
            rewrite(db, id, revision, post)
        })
    }

    pub fn put_off(&mut self, id: i64, not_before_ms: u64) -> Result<(), JournalError> {
        let sql = "UPDATE posts SET not_before_ms = ?2 WHERE id = ?1 AND settled_ms IS NULL";
        put(&self.db, sql, params![id, not_before_ms]).map(drop)
    }

    pub fn tried(&mut self, id: i64, not_before_ms: u64) -> Result<(), JournalError> {
        let sql = "UPDATE posts SET attempts = attempts + 1, not_before_ms = ?2 WHERE id = ?1 AND settled_ms IS NULL";
        put(&self.db, sql, params![id, not_before_ms]).map(drop)
    }

    pub fn drop_post(&mut self, id: i64, reason: &str) -> Result<(), JournalError> {
        self.atomically(|db| {
            put(db, "UPDATE posts SET dropped = ?2 WHERE id = ?1 AND settled_ms IS NULL", params![id, reason])?;
            settle(db, id)
        })
    }
}

/// Gives up whatever has not gone out to a chat and to the topics in it.
pub(super) fn drop_all_of(db: &Connection, transport: &str, chat: &str, reason: &str) -> Result<(), JournalError> {
    let sql = "UPDATE posts SET dropped = ?3, settled_ms = ?4, body = '' WHERE transport = ?1 AND settled_ms IS NULL
               AND (chat = ?2 OR substr(chat, 1, length(?2) + 1) = ?2 || '/')";
    put(db, sql, params![transport, chat, reason, now_ms()]).map(drop)
}

/// What waits to go out to a chat, by id.
pub(super) fn waiting_in(db: &Connection, transport: &str, chat: &str) -> Result<Vec<(i64, String)>, JournalError> {
    let mut query = db
        .prepare_cached("SELECT id, body FROM posts WHERE transport = ?1 AND chat = ?2 AND settled_ms IS NULL")
        .map_err(unread)?;
    let rows = query.query_map([transport, chat], |row| Ok((row.get(0)?, row.get(1)?))).map_err(unread)?;
    rows.map(|row| row.map_err(unread)).collect()
}

pub(super) fn enqueue(db: &Connection, transport: &str, posts: &[Outgoing]) -> Result<(), JournalError> {
    if posts.is_empty() {
        return Ok(());
    }
    put(
        db,
        "DELETE FROM posts WHERE id IN (SELECT id FROM posts WHERE settled_ms < ?1 LIMIT ?2)",
        params![now_ms().saturating_sub(REMEMBERED_MS), FORGOTTEN],
    )?;
    offers::forget(db)?;
    for post in posts {
        if is_known(db, transport, &post.key)? {
            continue;
        }
        let waiting = match &post.topic {
            Some(topic) => unsent_of(db, transport, &post.chat, topic)?,
            None => None,
        };
        let id = match waiting {
            Some(id) => {
                put(
                    db,
                    "UPDATE posts SET key = ?2, body = ?3, about = ?4, revision = revision + 1, attempts = 0 WHERE id = ?1",
                    params![id, post.key, post.post, post.about.map(|task| task.0)],
                )?;
                id
            }
            None => {
                put(
                    db,
                    "INSERT INTO posts(transport, key, chat, topic, body, about) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![transport, post.key, post.chat, post.topic, post.post, post.about.map(|task| task.0)],
                )?;
                db.last_insert_rowid()
            }
        };
        put(db, "INSERT INTO post_keys(transport, key, post) VALUES (?1, ?2, ?3)", params![transport, post.key, id])?;
    }
    Ok(())
}

fn rewrite(db: &Connection, id: i64, revision: u32, post: &str) -> Result<bool, JournalError> {
    let sql = "UPDATE posts SET body = ?3 WHERE id = ?1 AND revision = ?2 AND settled_ms IS NULL";
    Ok(put(db, sql, params![id, revision, post])? > 0)
}

/// Takes a post out of the queue, and what it says out of the file.
fn settle(db: &Connection, id: i64) -> Result<(), JournalError> {
    let sql = "UPDATE posts SET settled_ms = ?2, body = '' WHERE id = ?1 AND settled_ms IS NULL";
    put(db, sql, params![id, now_ms()])?;
    Ok(())
}

fn is_known(db: &Connection, transport: &str, key: &str) -> Result<bool, JournalError> {
    db.prepare_cached("SELECT 1 FROM post_keys WHERE transport = ?1 AND key = ?2")
        .and_then(|mut find| find.exists([transport, key]))
        .map_err(unread)
}

/// The newest unsent post about a topic: two chats that became one may have one each.
pub(super) fn unsent_of(
    db: &Connection,
    transport: &str,
    chat: &str,
    topic: &str,
) -> Result<Option<i64>, JournalError> {
    db.prepare_cached(
        "SELECT id FROM posts WHERE transport = ?1 AND chat = ?2 AND topic = ?3 AND settled_ms IS NULL
         ORDER BY id DESC LIMIT 1",
    )
    .and_then(|mut find| find.query_row([transport, chat, topic], |row| row.get(0)).optional())
    .map_err(unread)
}

fn unsent(row: &Row<'_>) -> rusqlite::Result<Unsent> {
    Ok(Unsent {
        id: row.get(0)?,
        key: row.get(1)?,
        chat: row.get(2)?,
        topic: row.get(3)?,
        post: row.get(4)?,
        revision: row.get(5)?,
        attempts: row.get(6)?,
        not_before_ms: row.get(7)?,
        stands: row.get(8)?,
    })
}
