//! Topics: what is said about one thing, in which chats, and which messages speak of which task.

use super::{offers, posts};
use crate::{
    journal::JournalError,
    mail::Topic,
    store::{error::unread, rows::texts, sqlite::Sqlite},
};
use borg_core::id::TaskId;
use rusqlite::OptionalExtension;

impl Sqlite {
    pub fn topic(&self, transport: &str, chat: &str, topic: &str) -> Result<Topic, JournalError> {
        let waiting = match posts::unsent_of(&self.db, transport, chat, topic)? {
            Some(id) => Some(
                self.db
                    .prepare_cached("SELECT body FROM posts WHERE id = ?1")
                    .and_then(|mut find| find.query_row([id], |row| row.get(0)))
                    .map_err(unread)?,
            ),
            None => None,
        };
        let receipt: Option<String> = self
            .db
            .prepare_cached("SELECT receipt FROM topics WHERE transport = ?1 AND chat = ?2 AND topic = ?3")
            .and_then(|mut find| find.query_row([transport, chat, topic], |row| row.get(0)).optional())
            .map_err(unread)?;
        let has_buttons = match &receipt {
            Some(receipt) => offers::any(&self.db, transport, chat, receipt)?,
            None => false,
        };
        Ok(Topic { waiting, receipt, has_buttons })
    }

    pub fn chats_of_topic(&self, transport: &str, topic: &str) -> Result<Vec<String>, JournalError> {
        let sql = "SELECT chat FROM topics WHERE transport = ?1 AND topic = ?2
                   UNION SELECT chat FROM posts WHERE transport = ?1 AND topic = ?2 AND settled_ms IS NULL";
        texts(&self.db, sql, [transport, topic])
    }

    pub fn about(&self, transport: &str, chat: &str, receipt: &str) -> Result<Option<TaskId>, JournalError> {
        let found = self
            .db
            .prepare_cached(
                "SELECT about FROM posts WHERE transport = ?1 AND chat = ?2 AND receipt = ?3 AND about IS NOT NULL LIMIT 1",
            )
            .and_then(|mut find| find.query_row([transport, chat, receipt], |row| row.get(0)).optional());
        found.map(|found| found.map(TaskId)).map_err(unread)
    }
}
