//! What was asked back: who asked that somebody be made known, until they have confirmed it or ten minutes have passed. Durable, so that a
//! restart in between takes nobody's answer.

use super::put;
use crate::store::{Journal, StoreError};
use borg_core::people::{PersonId, Role, role_word};
use rusqlite::{OptionalExtension, Row, params};

/// Time in which it can be confirmed, in milliseconds.
pub const OPEN_MS: u64 = 10 * 60_000;

/// Somebody is to be made known, once who asked for it has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub id: i64,
    /// The only one who can confirm it.
    pub asker: PersonId,
    /// Where it was asked, `transport:chat`.
    pub chat: String,
    pub person: PersonId,
    pub role: Role,
    /// Milliseconds since 1970 after which it is void.
    pub until_ms: u64,
}

impl Journal {
    /// Notes what is asked back; the same for the same key. What is void goes.
    pub fn ask_back(
        &mut self,
        key: &str,
        asker: &PersonId,
        chat: &str,
        (person, role): (&PersonId, Role),
        now_ms: u64,
    ) -> Result<Asked, StoreError> {
        self.atomically(|db| {
            put(db, "DELETE FROM asked_back WHERE until_ms < ?1", params![now_ms])?;
            put(
                db,
                "INSERT INTO asked_back(key, asker, chat, person, role, until_ms) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
                 ON CONFLICT (key) DO NOTHING",
                params![key, asker.0, chat, person.0, role_word(role), now_ms.saturating_add(OPEN_MS)],
            )?;
            db.query_row(&format!("{SELECT} WHERE key = ?1"), [key], asked).map_err(StoreError::Read)
        })
    }

    /// What was asked back, while it can be confirmed.
    pub fn asked_back(&self, id: i64, now_ms: u64) -> Result<Option<Asked>, StoreError> {
        self.db
            .query_row(&format!("{SELECT} WHERE id = ?1 AND until_ms >= ?2"), params![id, now_ms], asked)
            .optional()
            .map_err(StoreError::Read)
    }

    /// What somebody was last asked back in a chat, while it can be confirmed.
    pub fn asked_back_in(&self, chat: &str, asker: &PersonId, now_ms: u64) -> Result<Option<Asked>, StoreError> {
        let sql = format!("{SELECT} WHERE chat = ?1 AND asker = ?2 AND until_ms >= ?3 ORDER BY id DESC LIMIT 1");
        self.db.query_row(&sql, params![chat, asker.0, now_ms], asked).optional().map_err(StoreError::Read)
    }

    /// It is confirmed, or given up.
    pub fn forget_asked(&mut self, id: i64) -> Result<(), StoreError> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_open_for_ten_minutes_also_over_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let (ann, eve) = (PersonId("bot:1".into()), PersonId("bot:9".into()));
        let mut journal = Journal::open(&path).unwrap();
        let asked = journal.ask_back("a", &ann, "bot:1", (&eve, Role::Owner), 5).unwrap();
        assert_eq!((&asked.asker, &asked.person, asked.role), (&ann, &eve, Role::Owner));
        drop(journal);
        let mut journal = Journal::open(&path).unwrap();
        let again = journal.ask_back("a", &ann, "bot:1", (&eve, Role::Owner), 9).unwrap();
        assert_eq!(again, asked, "the same update again, after a crash");
        assert_eq!(journal.asked_back(asked.id, 5 + OPEN_MS).unwrap().as_ref(), Some(&asked));
        assert_eq!(journal.asked_back_in("bot:1", &ann, 5).unwrap().as_ref(), Some(&asked));
        assert_eq!(journal.asked_back_in("bot:1", &eve, 5).unwrap(), None);
        assert_eq!(journal.asked_back_in("bot:2", &ann, 5).unwrap(), None);
        assert_eq!(journal.asked_back(asked.id, 6 + OPEN_MS).unwrap(), None, "ten minutes are over");
        let later = journal.ask_back("b", &ann, "bot:1", (&eve, Role::Guest), 6 + OPEN_MS).unwrap();
        assert!(later.id > asked.id, "an id is given once");
        journal.forget_asked(later.id).unwrap();
        assert_eq!(journal.asked_back(later.id, 7 + OPEN_MS).unwrap(), None);
    }
}
