//! Mail: updates that came in from chats and are not answered yet, and posts that are to go out. Durable, so that a crash loses neither;
//! keyed, so that doing anything here twice is as doing it once.
//!
//! None of it is in the hash chain. What people write and what agents say must be deletable, and nothing can be taken out of a chain; also a
//! post changes while it waits, and an event never does. So a body is kept only until the update is answered or the post is out; what
//! remains is its key. What was decided because of an update is an event, as ever.
//!
//! Bodies are JSON that nobody here reads: what a transport brings, how fast it may send and what a receipt is are its own.

mod asked;
mod held;
mod offers;
mod posts;
mod updates;

pub use asked::Asked;
pub use offers::Offer;
#[cfg(test)]
pub(super) use posts::HEADS;

use super::{Journal, StoreError};
use borg_core::id::TaskId;
use rusqlite::{Connection, Params, params};

/// An update as a transport brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The transport's id of the update.
    pub key: String,
    /// The chat as a listener names it, without the transport.
    pub chat: String,
    /// JSON.
    pub update: String,
}

/// An update that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Place in the order of arrival.
    pub id: i64,
    pub key: String,
    pub chat: String,
    pub update: String,
}

/// A post that is to go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The same when what leads to the post is done again.
    pub key: String,
    pub chat: String,
    /// The task it speaks of.
    pub about: Option<TaskId>,
    /// What the post is about, where a newer one about the same takes its place.
    pub topic: Option<String>,
    /// JSON.
    pub post: String,
}

/// The next post of a chat, or the next change to one that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub id: i64,
    pub chat: String,
    /// It is about a topic that stands there already.
    pub edits: bool,
    /// As in [`Unsent`].
    pub not_before_ms: u64,
}

/// A post that has not gone out yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Place in the order of sending.
    pub id: i64,
    /// Of the newest content.
    pub key: String,
    pub chat: String,
    pub topic: Option<String>,
    pub post: String,
    /// How often newer content took the place of older.
    pub revision: u32,
    /// How often this content was tried and nobody knows what became of it.
    pub attempts: u32,
    /// Milliseconds since 1970 before which it is not to be tried; 0 for at once.
    pub not_before_ms: u64,
}

impl Journal {
    /// Moves everything of a chat to another name, as when a group becomes a supergroup: what came and what goes. Receipts of its topics
    /// are forgotten: they are numbers of messages that the other chat has not, or has given to others.
    pub fn rename_chat(&mut self, transport: &str, from: &str, to: &str) -> Result<(), StoreError> {
        if from == to {
            return Ok(());
        }
        self.atomically(|db| {
            for sql in [
                "UPDATE updates SET chat = ?3 WHERE transport = ?1 AND chat = ?2",
                "UPDATE posts SET chat = ?3, receipt = NULL WHERE transport = ?1 AND chat = ?2",
            ] {
                put(db, sql, params![transport, from, to])?;
            }
            put(db, "DELETE FROM topics WHERE transport = ?1 AND chat = ?2", params![transport, from])?;
            offers::take_along(db, transport, from, to)
        })
    }

    /// All of it or, where it fails, nothing.
    fn atomically<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let write = self.db.transaction().map_err(StoreError::Write)?;
        let done = work(&write)?;
        write.commit().map_err(StoreError::Write)?;
        Ok(done)
    }
}

fn put(db: &Connection, sql: &str, values: impl Params) -> Result<usize, StoreError> {
    db.prepare_cached(sql).and_then(|mut put| put.execute(values)).map_err(StoreError::Write)
}
