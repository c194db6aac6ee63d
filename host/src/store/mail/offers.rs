//! Offers: which buttons stand under which of our posts, as the transport was given them. A press counts for what was offered, and nothing
//! else does.
//!
//! They are kept for 30 days, and for as long as the task they are about has not ended; those about no task for a year, since nobody here
//! knows when it is decided who is let in.

use super::put;
use crate::{
    clock::now_ms,
    store::{Journal, StoreError},
};
use borg_core::chat::Button;
use rusqlite::{Connection, params};

/// Time for which an offer about a task is good at least, in milliseconds.
const KEPT_MS: u64 = 30 * 24 * 3_600_000;
/// The same of one that is about no task.
const KEPT_ALONE_MS: u64 = 365 * 24 * 3_600_000;
/// Offers forgotten at a time.
const FORGOTTEN: u32 = 1_000;

/// A button as it stands under a post.
pub type Offer = Button;

impl Journal {
    /// True where a button with this action stands under a post of ours. `chat` may name a topic: receipts are of the whole chat.
    pub fn is_offered(&self, transport: &str, chat: &str, receipt: &str, action: &str) -> Result<bool, StoreError> {
        self.db
            .prepare_cached(
                "SELECT 1 FROM offers WHERE transport = ?1 AND chat = ?2 AND receipt = ?3 AND action = ?4 LIMIT 1",
            )
            .and_then(|mut find| find.exists([transport, without_topic(chat), receipt, action]))
            .map_err(StoreError::Read)
    }

    /// True where any button stands under a post of ours.
    pub fn offers_any(&self, transport: &str, chat: &str, receipt: &str) -> Result<bool, StoreError> {
        self.db
            .prepare_cached("SELECT 1 FROM offers WHERE transport = ?1 AND chat = ?2 AND receipt = ?3 LIMIT 1")
            .and_then(|mut find| find.exists([transport, without_topic(chat), receipt]))
            .map_err(StoreError::Read)
    }

    /// Posts of a chat and its topics that have no receipt yet, or are to change: as they are to go out.
    pub fn unsettled(&self, transport: &str, chat: &str) -> Result<Vec<String>, StoreError> {
        let mut query = self
            .db
            .prepare_cached(
                "SELECT body FROM posts WHERE transport = ?1 AND settled_ms IS NULL
                 AND (chat = ?2 OR substr(chat, 1, length(?2) + 1) = ?2 || '/')",
            )
            .map_err(StoreError::Read)?;
        let rows = query.query_map([transport, without_topic(chat)], |row| row.get(0)).map_err(StoreError::Read)?;
        rows.map(|row| row.map_err(StoreError::Read)).collect()
    }
}

/// Notes the buttons of a post that has gone out, in place of what stood there.
pub(super) fn offer(db: &Connection, post: i64, receipt: &str, offered: &[Offer]) -> Result<(), StoreError> {
    let (transport, chat, about): (String, String, Option<i64>) = db
        .prepare_cached("SELECT transport, chat, about FROM posts WHERE id = ?1")
        .and_then(|mut find| find.query_row([post], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))))
        .map_err(StoreError::Read)?;
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
pub(super) fn take_along(db: &Connection, transport: &str, from: &str, to: &str) -> Result<(), StoreError> {
    put(
        db,
        "INSERT OR IGNORE INTO offers(transport, chat, receipt, action, label, about, until_ms)
         SELECT transport, ?3, receipt, action, label, about, until_ms FROM offers WHERE transport = ?1 AND chat = ?2",
        params![transport, without_topic(from), without_topic(to)],
    )
    .map(drop)
}

/// Forgets what is old, and about nothing that is still to be decided.
pub(super) fn forget(db: &Connection) -> Result<(), StoreError> {
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
    use crate::store::Outgoing;
    use borg_core::id::TaskId;

    fn journal() -> (tempfile::TempDir, Journal) {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
        (dir, journal)
    }

    fn button(action: &str) -> Offer {
        Button { label: action.to_uppercase(), action: action.into() }
    }

    /// A post of a chat goes out with buttons.
    fn sent(journal: &mut Journal, chat: &str, receipt: &str, about: Option<u64>, actions: &[&str]) {
        let key = format!("{chat}{receipt}{}", actions.concat());
        let about = about.map(TaskId);
        let post = Outgoing { key: key.clone(), chat: chat.into(), about, topic: None, post: "{}".into() };
        journal.enqueue("bot", &[post]).unwrap();
        let row = journal.unsent("bot", 0, 99).unwrap().into_iter().find(|row| row.key == key).unwrap();
        let offered: Vec<Offer> = actions.iter().map(|action| button(action)).collect();
        assert!(journal.sent(row.id, row.revision, receipt, &offered).unwrap());
    }

    #[test]
    fn what_was_offered_under_a_post_is_offered_there_and_nowhere_else() {
        let (dir, mut journal) = journal();
        sent(&mut journal, "-5/7", "100", None, &["/approve 3", "/diff 3"]);
        drop(journal);
        let mut journal = Journal::open(&dir.path().join("journal.db")).unwrap();
        let is = |journal: &Journal, transport: &str, chat: &str, receipt: &str, action: &str| {
            journal.is_offered(transport, chat, receipt, action).unwrap()
        };
        for chat in ["-5/7", "-5", "-5/8"] {
            assert!(is(&journal, "bot", chat, "100", "/approve 3"), "a receipt is of the whole chat");
        }
        for (transport, chat, receipt, action) in [
            ("bot", "-5", "101", "/approve 3"),
            ("bot", "-6", "100", "/approve 3"),
            ("other", "-5", "100", "/approve 3"),
            ("bot", "-5", "100", "/approve 31"),
            ("bot", "-5", "100", "/APPROVE 3"),
            ("bot", "-5", "100", ""),
        ] {
            assert!(!is(&journal, transport, chat, receipt, action), "{chat} {receipt} {action}");
        }
        // An edit puts others in their place, or none.
        sent(&mut journal, "-5/7", "100", None, &["/diff 3"]);
        assert!(is(&journal, "bot", "-5", "100", "/diff 3") && !is(&journal, "bot", "-5", "100", "/approve 3"));
        sent(&mut journal, "-5/7", "100", None, &[]);
        assert!(!is(&journal, "bot", "-5", "100", "/diff 3"));
    }

    #[test]
    fn a_group_takes_its_offers_along() {
        let (_dir, mut journal) = journal();
        sent(&mut journal, "-5", "100", None, &["/approve 3"]);
        journal.rename_chat("bot", "-5", "-1005").unwrap();
        for chat in ["-5", "-1005"] {
            assert!(journal.is_offered("bot", chat, "100", "/approve 3").unwrap(), "{chat}");
        }
        sent(&mut journal, "-1005", "100", None, &[]);
        assert!(!journal.is_offered("bot", "-1005", "100", "/approve 3").unwrap(), "that is another post there");
    }

    #[test]
    fn an_offer_outlives_thirty_days_while_its_task_is_undecided() {
        let (_dir, mut journal) = journal();
        journal
            .db
            .execute("INSERT INTO tasks (id, status, live, changed_ms, task) VALUES (3, 'needs-review', 1, 0, '{}'), (4, 'completed', 0, 0, '{}')", [])
            .unwrap();
        for (receipt, about) in [("100", Some(3)), ("101", Some(4)), ("102", None)] {
            sent(&mut journal, "5", receipt, about, &["/x"]);
        }
        let offered = |journal: &Journal| {
            ["100", "101", "102"].map(|receipt| journal.is_offered("bot", "5", receipt, "/x").unwrap())
        };
        let age = |journal: &Journal, ms: u64| {
            journal.db.execute("UPDATE offers SET until_ms = until_ms - ?1", [ms as i64]).unwrap();
            forget(&journal.db).unwrap();
        };
        age(&journal, KEPT_MS - 60_000);
        assert_eq!(offered(&journal), [true; 3]);
        age(&journal, 120_000);
        assert_eq!(offered(&journal), [true, false, true]);
        age(&journal, KEPT_ALONE_MS);
        assert_eq!(offered(&journal), [true, false, false], "a decision that waits for a year still has its button");
        journal.db.execute("UPDATE tasks SET live = 0", []).unwrap();
        age(&journal, 0);
        assert_eq!(offered(&journal), [false; 3]);
    }
}
