//! Offers: which buttons stand under which of our posts, as the transport was given them. A press counts for what was offered, and nothing
//! else does.
//!
//! They are kept for 30 days, and for as long as the task they are about has not ended; those about no task for a year, since nobody here
//! knows when it is decided who is let in.

use crate::{
    clock::now_ms,
    journal::JournalError,
    mail::{Offer, Offered},
    store::{
        error::unread,
        rows::{put, texts},
        sqlite::Sqlite,
    },
};
use rusqlite::{Connection, params};

/// Time for which an offer about a task is good at least, in milliseconds.
const KEPT_MS: u64 = 30 * 24 * 3_600_000;
/// The same of one that is about no task.
const KEPT_ALONE_MS: u64 = 365 * 24 * 3_600_000;
/// Offers forgotten at a time.
const FORGOTTEN: u32 = 1_000;

impl Sqlite {
    pub fn offered(&self, transport: &str, chat: &str, receipt: &str, action: &str) -> Result<Offered, JournalError> {
        let chat = without_topic(chat);
        let is_there = self
            .db
            .prepare_cached(
                "SELECT 1 FROM offers WHERE transport = ?1 AND chat = ?2 AND receipt = ?3 AND action = ?4 LIMIT 1",
            )
            .and_then(|mut find| find.exists([transport, chat, receipt, action]))
            .map_err(unread)?;
        if is_there {
            return Ok(Offered::Yes);
        }
        let sql = "SELECT body FROM posts WHERE transport = ?1 AND settled_ms IS NULL
                   AND (chat = ?2 OR substr(chat, 1, length(?2) + 1) = ?2 || '/')";
        Ok(Offered::NotYet(texts(&self.db, sql, [transport, chat])?))
    }
}

/// True where any button stands under a post of ours.
pub(super) fn any(db: &Connection, transport: &str, chat: &str, receipt: &str) -> Result<bool, JournalError> {
    db.prepare_cached("SELECT 1 FROM offers WHERE transport = ?1 AND chat = ?2 AND receipt = ?3 LIMIT 1")
        .and_then(|mut find| find.exists([transport, without_topic(chat), receipt]))
        .map_err(unread)
}

/// Notes the buttons of a post that has gone out, in place of what stood there.
pub(super) fn offer(db: &Connection, post: i64, receipt: &str, offered: &[Offer]) -> Result<(), JournalError> {
    let (transport, chat, about): (String, String, Option<i64>) = db
        .prepare_cached("SELECT transport, chat, about FROM posts WHERE id = ?1")
        .and_then(|mut find| find.query_row([post], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
        .map_err(unread)?;
    let chat = without_topic(&chat);
    put(
        db,
        "DELETE FROM offers WHERE transport = ?1 AND chat = ?2 AND receipt = ?3",
        params![transport, chat, receipt],
    )?;
    let until_ms = now_ms().saturating_add(if about.is_some() { KEPT_MS } else { KEPT_ALONE_MS });
    for button in offered {
        put(
            db,
            "INSERT OR REPLACE INTO offers(transport, chat, receipt, action, label, about, until_ms)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            params![transport, chat, receipt, button.action, button.label, about, until_ms],
        )?;
    }
    Ok(())
}

/// What was offered in a chat is offered under its new name, too; a press of an older post may come by either.
pub(super) fn take_along(db: &Connection, transport: &str, from: &str, to: &str) -> Result<(), JournalError> {
    put(
        db,
        "INSERT OR IGNORE INTO offers(transport, chat, receipt, action, label, about, until_ms)
         SELECT transport, ?3, receipt, action, label, about, until_ms FROM offers WHERE transport = ?1 AND chat = ?2",
        params![transport, without_topic(from), without_topic(to)],
    )
    .map(drop)
}

/// Forgets what is old, and about nothing that is still to be decided.
pub(super) fn forget(db: &Connection) -> Result<(), JournalError> {
    put(
        db,
        "DELETE FROM offers WHERE (transport, chat, receipt, action, label) IN (
             SELECT transport, chat, receipt, action, label FROM offers WHERE until_ms < ?1
             AND (about IS NULL OR about NOT IN (SELECT id FROM tasks WHERE live = 1)) LIMIT ?2)",
        params![now_ms(), FORGOTTEN],
    )
    .map(drop)
}

fn without_topic(chat: &str) -> &str {
    chat.split('/').next().unwrap_or(chat)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::Outgoing;
    use borg_core::id::TaskId;

    /// A post goes out with a button.
    fn sent(file: &mut Sqlite, receipt: &str, about: Option<u64>) {
        let about = about.map(TaskId);
        let post = Outgoing { key: receipt.into(), chat: "5".into(), about, topic: None, post: "{}".into() };
        file.enqueue("bot", &[post]).unwrap();
        let row = file.unsent("bot", 0, 99).unwrap().into_iter().find(|row| row.key == receipt).unwrap();
        let offered = [Offer { label: "X".into(), action: "/x".into() }];
        assert!(file.sent(row.id, row.revision, receipt, &offered).unwrap());
    }

    #[test]
    fn an_offer_outlives_thirty_days_while_its_task_is_undecided() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = Sqlite::open(&dir.path().join("journal.db")).unwrap();
        file.db
            .execute("INSERT INTO tasks (id, status, live, changed_ms, task) VALUES (3, 'needs-review', 1, 0, '{}'), (4, 'completed', 0, 0, '{}')", [])
            .unwrap();
        for (receipt, about) in [("100", Some(3)), ("101", Some(4)), ("102", None)] {
            sent(&mut file, receipt, about);
        }
        let offered = |file: &Sqlite| {
            ["100", "101", "102"].map(|receipt| file.offered("bot", "5", receipt, "/x").unwrap() == Offered::Yes)
        };
        let age = |file: &Sqlite, ms: u64| {
            file.db.execute("UPDATE offers SET until_ms = until_ms - ?1", [ms as i64]).unwrap();
            forget(&file.db).unwrap();
        };
        age(&file, KEPT_MS - 60_000);
        assert_eq!(offered(&file), [true; 3]);
        age(&file, 120_000);
        assert_eq!(offered(&file), [true, false, true]);
        age(&file, KEPT_ALONE_MS);
        assert_eq!(offered(&file), [true, false, false], "a decision that waits for a year still has its button");
        file.db.execute("UPDATE tasks SET live = 0", []).unwrap();
        age(&file, 0);
        assert_eq!(offered(&file), [false; 3]);
    }
}
