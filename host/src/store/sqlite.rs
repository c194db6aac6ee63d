//! The file: opened, committed to, and read for the engine. Used on its own thread.

use super::{
    chain,
    error::{OpenError, unread, unwritten},
    rows, schema,
};
use crate::journal::{Batch, ChainBreak, JournalError, LedgerRow, Loaded, Recorded, TaskRow, chain::strip};
use borg_core::{
    chat::Registration,
    daily::Day,
    effect::Effect,
    id::{Digest, EffectKey, TaskId},
    owner::Owner,
    policy::source::SourceFile,
    step::{Durable, State},
    task::{Facts, Task},
};
use rusqlite::{Connection, OptionalExtension, Transaction};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    fs::{File, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Statements kept prepared: all that a busy host uses.
const STATEMENTS: usize = 64;

/// Longest text in a row that is taken in, in bytes. SQLite itself refuses 1,000,000,000.
const ROW_BYTES: usize = 256 << 20;

/// An open file.
pub(super) struct Sqlite {
    pub(super) db: Connection,
    head: Digest,
    /// See [`ROW_BYTES`].
    row_bytes: usize,
    /// Facts of tasks that have not ended, as the file has them since this process wrote them. They are written when they are others.
    facts: HashMap<TaskId, Facts>,
}

impl Sqlite {
    /// Opens for writing.
    pub fn open(path: &Path) -> Result<Sqlite, OpenError> {
        let open = |error| OpenError::Open { path: path.to_owned(), source: Box::new(error) };
        make_private(path).map_err(|source| OpenError::Make { path: path.to_owned(), source })?;
        let mut db = Connection::open(path).map_err(open)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(open)?;
        db.pragma_update(None, "foreign_keys", "ON").map_err(open)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        schema::migrate(&mut db, path)?;
        let head = chain::head(&db)?;
        Ok(Sqlite { db, head, row_bytes: ROW_BYTES, facts: HashMap::new() })
    }

    /// Opens for looking only; works beside a running host.
    pub fn open_read_only(path: &Path) -> Result<Sqlite, OpenError> {
        let open = |error| OpenError::Open { path: path.to_owned(), source: Box::new(error) };
        let db = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(open)?;
        db.busy_timeout(std::time::Duration::from_secs(5)).map_err(open)?;
        schema::check_version(&db)?;
        let head = chain::head(&db)?;
        Ok(Sqlite { db, head, row_bytes: ROW_BYTES, facts: HashMap::new() })
    }

    #[cfg(test)]
    pub fn limit_rows(&mut self, bytes: usize) {
        self.row_bytes = bytes;
    }

    /// From here on the file may have so many pages more, as on a disk that is nearly full.
    #[cfg(test)]
    pub fn limit_pages(&mut self, more: u32) -> Result<(), JournalError> {
        let pages: u32 = self.db.pragma_query_value(None, "page_count", |row| row.get(0)).map_err(unread)?;
        let limit = format!("PRAGMA max_page_count = {}", pages + more);
        self.db.query_row(&limit, [], |_| Ok(())).map_err(unread)
    }

    pub fn load(&self) -> Result<Loaded, JournalError> {
        let _at_once = self.at_once()?;
        let state = self.state()?;
        let named: BTreeSet<Digest> = state.tasks.values().map(|task| task.spec.policy).collect();
        let mut policies = Vec::new();
        for digest in named {
            policies.extend(rows::policy(&self.db, &digest)?.map(|sources| (digest, sources)));
        }
        Ok(Loaded {
            state,
            owed: self.owed()?,
            holds: rows::holding(&self.db)?.into_iter().flat_map(|task| task.holds).collect(),
            next_task: rows::last_task(&self.db)? + 1,
            policies,
        })
    }

    fn state(&self) -> Result<State, JournalError> {
        Ok(State {
            tasks: self.live_tasks()?.into_iter().map(|task| (task.id(), task)).collect(),
            paused: self.is_paused()?,
            chats: self.chats()?,
            day: self.day()?,
        })
    }

    pub fn is_paused(&self) -> Result<bool, JournalError> {
        Ok(self.meta("paused")?.as_deref() == Some("true"))
    }

    pub fn chats(&self) -> Result<BTreeMap<String, Registration>, JournalError> {
        self.meta("chats")?.map_or_else(|| Ok(BTreeMap::new()), |text| rows::parse(&text))
    }

    pub fn day(&self) -> Result<Day, JournalError> {
        self.meta("day")?.map_or_else(|| Ok(Day::default()), |text| rows::parse(&text))
    }

    /// Until this is dropped, all reads see the same, also beside another process that writes.
    pub fn at_once(&self) -> Result<Transaction<'_>, JournalError> {
        self.db.unchecked_transaction().map_err(unread)
    }

    pub fn meta(&self, key: &str) -> Result<Option<String>, JournalError> {
        self.db.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional().map_err(unread)
    }

    pub fn commit(&mut self, batch: &Batch) -> Result<u64, JournalError> {
        let write = self.db.transaction().map_err(unwritten)?;
        let most = if batch.reduced { usize::MAX } else { self.row_bytes };
        let within = |bytes, owner, event| match bytes > most {
            true => Err(JournalError::TooLarge { bytes, most, owner, event }),
            false => Ok(()),
        };
        let mut head = self.head;
        for (at, event) in batch.events.iter().enumerate() {
            let stripped = strip(event)?;
            within(stripped.largest(), event.owner, Some(at))?;
            head = chain::append(&write, head, event, &stripped)?;
            if let Some(EffectKey(key)) = &event.settles {
                write.execute("DELETE FROM effects WHERE key = ?1", [key]).map_err(unwritten)?;
            }
        }
        let Durable { tasks, paused, chats, day } = &batch.durable;
        let mut written = Vec::new();
        for task in tasks {
            let mut task = task.clone();
            let (id, facts) = (task.id(), task.take_facts());
            let row = rows::json(&task)?;
            within(row.len(), id.into(), None)?;
            rows::put_task(&write, &task, &row)?;
            if self.facts.get(&id) != Some(&facts) {
                let row = rows::json(&facts)?;
                within(row.len(), id.into(), None)?;
                rows::put_facts(&write, id, &row)?;
            }
            written.push((id, facts, task.status().is_terminal()));
        }
        for effect in &batch.owed {
            let row = rows::json(effect)?;
            within(row.len(), effect.owner, None)?;
            rows::put_effect(&write, effect, &row)?;
        }
        for EffectKey(key) in &batch.void {
            write.execute("DELETE FROM effects WHERE key = ?1", [key]).map_err(unwritten)?;
        }
        for row in &batch.rows {
            rows::put_ledger(&write, row)?;
        }
        for (task, body) in &batch.late {
            rows::book(&write, *task, body)?;
        }
        if let Some(paused) = paused {
            put_meta(&write, "paused", &paused.to_string())?;
        }
        if let Some(chats) = chats {
            put_meta(&write, "chats", &rows::json(chats)?)?;
        }
        if let Some(day) = day {
            put_meta(&write, "day", &rows::json(day)?)?;
        }
        for (digest, sources) in &batch.policies {
            rows::put_policy(&write, digest, sources)?;
        }
        if !batch.replies.is_empty() {
            rows::put_replies(&write, &batch.replies)?;
        }
        let last = chain::last_seq(&write)?;
        write.commit().map_err(unwritten)?;
        self.head = head;
        for (id, facts, has_ended) in written {
            if has_ended {
                self.facts.remove(&id);
            } else {
                self.facts.insert(id, facts);
            }
        }
        Ok(last)
    }

    pub fn tasks(&self, limit: u32) -> Result<Vec<TaskRow>, JournalError> {
        rows::tasks(&self.db, limit)
    }

    pub fn live_tasks(&self) -> Result<Vec<Task>, JournalError> {
        rows::live_tasks(&self.db)
    }

    pub fn owed(&self) -> Result<Vec<Effect>, JournalError> {
        rows::owed(&self.db)
    }

    pub fn task(&self, id: TaskId) -> Result<Option<Task>, JournalError> {
        rows::task(&self.db, id)
    }

    pub fn events(&self, after: u64, task: Option<TaskId>, limit: u32) -> Result<Vec<Recorded>, JournalError> {
        rows::events(&self.db, after, task, limit)
    }

    pub fn reply(&self, key: &str) -> Result<Option<String>, JournalError> {
        rows::reply(&self.db, key)
    }

    pub fn policy(&self, digest: &Digest) -> Result<Option<Vec<SourceFile>>, JournalError> {
        rows::policy(&self.db, digest)
    }

    pub fn last_seq(&self) -> Result<u64, JournalError> {
        chain::last_seq(&self.db)
    }

    pub fn verify(&self) -> Result<Option<ChainBreak>, JournalError> {
        chain::verify(&self.db)
    }

    pub fn ledger(&self, owner: Owner) -> Result<Vec<LedgerRow>, JournalError> {
        rows::ledger(&self.db, owner)
    }
}

pub(super) fn put_meta(db: &Connection, key: &str, value: &str) -> Result<(), JournalError> {
    db.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)", [key, value]).map_err(unwritten)?;
    Ok(())
}

/// Makes the file, so that prompts and agent text in it (and in SQLite's files beside it, which take after it) are this user's only.
fn make_private(path: &Path) -> io::Result<()> {
    let file = File::options().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}
