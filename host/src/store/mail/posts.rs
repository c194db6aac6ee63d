//! Posts: each is queued once, in order, and stays until it is sent or given up. Newer content about a topic takes the place of what has
//! not gone out yet.

use super::{Head, Offer, Outgoing, Unsent, offers, put};
use crate::{
    clock::now_ms,
    store::{Journal, REMEMBERED_MS, StoreError},
};
use borg_core::id::TaskId;
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

impl Journal {
    /// Queues posts, in one transaction. One whose key is known is ignored, sent or not: a key is known for 7 days after its post went out.
    /// One with a topic replaces the unsent one of that chat and topic, in its place in the queue.
    pub fn enqueue(&mut self, transport: &str, posts: &[Outgoing]) -> Result<(), StoreError> {
        self.atomically(|db| enqueue(db, transport, posts))
    }

    /// Posts with an id above `after` that have not gone out, oldest first; those that are put off, too.
    pub fn unsent(&self, transport: &str, after: i64, limit: u32) -> Result<Vec<Unsent>, StoreError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT id, key, chat, topic, body, revision, attempts, not_before_ms FROM posts
                 WHERE transport = ?1 AND id > ?2 AND settled_ms IS NULL ORDER BY id LIMIT ?3",
            )
            .map_err(StoreError::Read)?;
        let rows = query.query_map(params![transport, after, limit], unsent).map_err(StoreError::Read)?;
        rows.map(|row| row.map_err(StoreError::Read)).collect()
    }

    /// The oldest post of each chat that has not gone out, and the oldest edit: posts first, then edits, each oldest first. However much
    /// one chat has to wait for, it hides no other.
    pub fn heads(&self, transport: &str) -> Result<Vec<Head>, StoreError> {
        let mut query = self.db.prepare_cached(HEADS).map_err(StoreError::Read)?;
        let rows = query
            .query_map([transport], |row| {
                Ok(Head { id: row.get(0)?, chat: row.get(1)?, edits: row.get(2)?, not_before_ms: row.get(3)? })
            })
            .map_err(StoreError::Read)?;
        rows.map(|row| row.map_err(StoreError::Read)).collect()
    }

    /// Records that `revision` of a post went out, what the transport calls it, and the buttons it has there, in place of any it had; the
    /// receipt is the topic's, too.
    ///
    /// False when newer content took its place meanwhile: the post stays unsent, to be sent as an edit of what went out. Doing it again
    /// changes nothing.
    pub fn sent(&mut self, id: i64, revision: u32, receipt: &str, offered: &[Offer]) -> Result<bool, StoreError> {
        self.atomically(|db| {
            let newest: Option<u32> = db
                .prepare_cached("UPDATE posts SET receipt = ?2 WHERE id = ?1 AND settled_ms IS NULL RETURNING revision")
                .and_then(|mut find| find.query_row(params![id, receipt], |row| row.get(0)).optional())
                .map_err(StoreError::Write)?;
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

    /// Changes how an unsent post reads, as into an edit. False, and nothing changed, when `revision` is not its newest any more.
    pub fn rewrite(&mut self, id: i64, revision: u32, post: &str) -> Result<bool, StoreError> {
        let changed = put(
            &self.db,
            "UPDATE posts SET body = ?3 WHERE id = ?1 AND revision = ?2 AND settled_ms IS NULL",
            params![id, revision, post],
        )?;
        Ok(changed > 0)
    }

    /// Puts an unsent post off until a time in milliseconds since 1970.
    pub fn put_off(&mut self, id: i64, not_before_ms: u64) -> Result<(), StoreError> {
        let sql = "UPDATE posts SET not_before_ms = ?2 WHERE id = ?1 AND settled_ms IS NULL";
        put(&self.db, sql, params![id, not_before_ms]).map(drop)
    }

    /// As [`Journal::put_off`], and counts the attempt.
    pub fn tried(&mut self, id: i64, not_before_ms: u64) -> Result<(), StoreError> {
        let sql = "UPDATE posts SET attempts = attempts + 1, not_before_ms = ?2 WHERE id = ?1 AND settled_ms IS NULL";
        put(&self.db, sql, params![id, not_before_ms]).map(drop)
    }

    /// Gives an unsent post up for good. The reason is kept as long as its key; the post is not.
    pub fn drop_post(&mut self, id: i64, reason: &str) -> Result<(), StoreError> {
        self.atomically(|db| {
            put(db, "UPDATE posts SET dropped = ?2 WHERE id = ?1 AND settled_ms IS NULL", params![id, reason])?;
            settle(db, id)
        })
    }

    /// Gives up whatever has not gone out to a chat and to the topics in it, as [`Journal::drop_post`] does.
    pub fn drop_posts_of(&mut self, transport: &str, chat: &str, reason: &str) -> Result<(), StoreError> {
        let sql =
            "UPDATE posts SET dropped = ?3, settled_ms = ?4, body = '' WHERE transport = ?1 AND settled_ms IS NULL
                   AND (chat = ?2 OR substr(chat, 1, length(?2) + 1) = ?2 || '/')";
        put(&self.db, sql, params![transport, chat, reason, now_ms()]).map(drop)
    }

    /// What waits to be said about a topic, as it is to go out.
    pub fn waiting_about(&self, transport: &str, chat: &str, topic: &str) -> Result<Option<String>, StoreError> {
        let Some(id) = unsent_of(&self.db, transport, chat, topic)? else { return Ok(None) };
        self.db
            .prepare_cached("SELECT body FROM posts WHERE id = ?1")
            .and_then(|mut find| find.query_row([id], |row| row.get(0)))
            .map_err(StoreError::Read)
    }

    /// What the transport calls the message about a topic, where one went out.
    pub fn topic_receipt(&self, transport: &str, chat: &str, topic: &str) -> Result<Option<String>, StoreError> {
        self.db
            .prepare_cached("SELECT receipt FROM topics WHERE transport = ?1 AND chat = ?2 AND topic = ?3")
            .and_then(|mut find| find.query_row([transport, chat, topic], |row| row.get(0)).optional())
            .map_err(StoreError::Read)
    }

    /// Chats in which a message about a topic stands, or waits to be sent.
    pub fn chats_of_topic(&self, transport: &str, topic: &str) -> Result<Vec<String>, StoreError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT chat FROM topics WHERE transport = ?1 AND topic = ?2
                 UNION SELECT chat FROM posts WHERE transport = ?1 AND topic = ?2 AND settled_ms IS NULL",
            )
            .map_err(StoreError::Read)?;
        let rows = query.query_map([transport, topic], |row| row.get(0)).map_err(StoreError::Read)?;
        rows.map(|row| row.map_err(StoreError::Read)).collect()
    }

    /// The task that a message of ours speaks of; messages are known for 7 days.
    pub fn about(&self, transport: &str, chat: &str, receipt: &str) -> Result<Option<TaskId>, StoreError> {
        let found = self
            .db
            .prepare_cached(
                "SELECT about FROM posts WHERE transport = ?1 AND chat = ?2 AND receipt = ?3 AND about IS NOT NULL LIMIT 1",
            )
            .and_then(|mut find| find.query_row([transport, chat, receipt], |row| row.get(0)).optional());
        found.map(|found| found.map(TaskId)).map_err(StoreError::Read)
    }

    /// The message about a topic stands there no more: the next one is sent anew.
    pub fn forget_topic(&mut self, transport: &str, chat: &str, topic: &str) -> Result<(), StoreError> {
        let sql = "DELETE FROM topics WHERE transport = ?1 AND chat = ?2 AND topic = ?3";
        put(&self.db, sql, params![transport, chat, topic]).map(drop)
    }
}

pub(super) fn enqueue(db: &Connection, transport: &str, posts: &[Outgoing]) -> Result<(), StoreError> {
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

/// Takes a post out of the queue, and what it says out of the file.
fn settle(db: &Connection, id: i64) -> Result<(), StoreError> {
    let sql = "UPDATE posts SET settled_ms = ?2, body = '' WHERE id = ?1 AND settled_ms IS NULL";
    put(db, sql, params![id, now_ms()])?;
    Ok(())
}

fn is_known(db: &Connection, transport: &str, key: &str) -> Result<bool, StoreError> {
    db.prepare_cached("SELECT 1 FROM post_keys WHERE transport = ?1 AND key = ?2")
        .and_then(|mut find| find.exists([transport, key]))
        .map_err(StoreError::Read)
}

/// The newest unsent post about a topic: two chats that became one may have one each.
fn unsent_of(db: &Connection, transport: &str, chat: &str, topic: &str) -> Result<Option<i64>, StoreError> {
    db.prepare_cached(
        "SELECT id FROM posts WHERE transport = ?1 AND chat = ?2 AND topic = ?3 AND settled_ms IS NULL
         ORDER BY id DESC LIMIT 1",
    )
    .and_then(|mut find| find.query_row([transport, chat, topic], |row| row.get(0)).optional())
    .map_err(StoreError::Read)
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
    })
}
