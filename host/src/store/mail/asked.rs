//! What was asked back: who asked that somebody be made known, until they have confirmed it or ten minutes have passed. Durable, so that a
//! restart in between takes nobody's answer.

use crate::{
    journal::JournalError,
    mail::{Asked, OPEN_MS},
    store::{error::unread, rows::put, sqlite::Sqlite},
};
use borg_core::people::{PersonId, Role, role_word};
use rusqlite::{OptionalExtension, Row, params};

impl Sqlite {
    pub fn ask_back(
        &mut self,
        key: &str,
        asker: &PersonId,
        chat: &str,
        (person, role): (&PersonId, Role),
        now_ms: u64,
    ) -> Result<Asked, JournalError> {
        self.atomically(|db| {
            put(db, "DELETE FROM asked_back WHERE until_ms < ?1", params![now_ms])?;
            put(
                db,
                "INSERT INTO asked_back(key, asker, chat, person, role, until_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (key) DO NOTHING",
                params![key, asker.0, chat, person.0, role_word(role), now_ms.saturating_add(OPEN_MS)],
            )?;
            db.query_row(&format!("{SELECT} WHERE key = ?1"), [key], asked).map_err(unread)
        })
    }

    pub fn asked_back(&self, id: i64, now_ms: u64) -> Result<Option<Asked>, JournalError> {
        self.db
            .query_row(&format!("{SELECT} WHERE id = ?1 AND until_ms >= ?2"), params![id, now_ms], asked)
            .optional()
            .map_err(unread)
    }

    pub fn asked_back_in(&self, chat: &str, asker: &PersonId, now_ms: u64) -> Result<Option<Asked>, JournalError> {
        let sql = format!("{SELECT} WHERE chat = ?1 AND asker = ?2 AND until_ms >= ?3 ORDER BY id DESC LIMIT 1");
        self.db.query_row(&sql, params![chat, asker.0, now_ms], asked).optional().map_err(unread)
    }

    pub fn forget_asked(&mut self, id: i64) -> Result<(), JournalError> {
        put(&self.db, "DELETE FROM asked_back WHERE id = ?1", [id]).map(drop)
    }
}

const SELECT: &str = "SELECT id, asker, chat, person, role, until_ms FROM asked_back";

fn asked(row: &Row<'_>) -> rusqlite::Result<Asked> {
    let word: String = row.get(4)?;
    let known = [Role::Guest, Role::Member, Role::Admin, Role::Owner].into_iter().find(|role| role_word(*role) == word);
    Ok(Asked {
        id: row.get(0)?,
        asker: PersonId(row.get(1)?),
        chat: row.get(2)?,
        person: PersonId(row.get(3)?),
        // A word that is no role makes nobody more than a guest.
        role: known.unwrap_or(Role::Guest),
        until_ms: row.get(5)?,
    })
}
