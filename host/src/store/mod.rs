//! The journal: events, task states, owed effects, texts and the ledger in one SQLite file, written by one thread.
//!
//! An event, the states it led to and the effects it owes are one transaction with `synchronous=FULL`. Events form a hash chain;
//! prompts, transcripts and agent text live beside it in `texts`, their digest inside, so that they can be deleted. What chats bring and
//! what goes out to them is `mail`.

mod chain;
mod figures;
mod lock;
pub mod mail;
mod rows;
mod schema;

pub use chain::ChainBreak;
pub use figures::{Moved, Paid, Subscription};
pub use lock::{DataLock, LockError};
pub use mail::{Incoming, Outgoing, Unsent, Waiting};
pub use rows::{LedgerRow, Recorded, TaskRow};

use borg_core::{
    budget::Hold,
    chat::Registration,
    daily::Day,
    effect::Effect,
    event::{Body, Event},
    id::{Digest, EffectKey, RunKey, TaskId},
    owner::Owner,
    policy::source::SourceFile,
    step::{Durable, State},
    task::Task,
};
use rusqlite::{Connection, OptionalExtension};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{File, Permissions},
    io,
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::mpsc,
};
use tokio::sync::oneshot;

/// What can go wrong with the journal.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("the journal {path} could not be opened")]
    Open { path: PathBuf, source: rusqlite::Error },
    #[error("the journal {path} could not be made; check that you may write there")]
    Make { path: PathBuf, source: io::Error },
    #[error("the journal was written by a newer borg-host (format {found}, this one knows {known}); run that version")]
    Newer { found: i64, known: i64 },
    #[error("the backup before the migration failed: {0}")]
    Backup(String),
    #[error(
        "the journal could not be written; `df` tells whether the disk is full, `borg-host doctor` whether the journal is whole"
    )]
    Write(#[source] rusqlite::Error),
    #[error("the journal could not be read")]
    Read(#[source] rusqlite::Error),
    /// A row of a batch: that of the event at this place, or else one of the task's state or of what is owed to it.
    #[error("what came of it is too large for the journal: {bytes} bytes, {most} at most")]
    TooLarge { bytes: usize, most: usize, owner: Owner, event: Option<usize> },
    #[error("a row of the journal is damaged: {0}")]
    Damaged(String),
    #[error("the journal's thread could not be started")]
    Thread(#[source] io::Error),
    #[error("the journal's thread has stopped")]
    Stopped,
}

impl StoreError {
    /// True where the same may succeed later: the disk is full, or fails for now.
    pub fn is_passing(&self) -> bool {
        use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
        match self {
            // Reading, too, may need room: for the index of what was written last.
            StoreError::Write(error) | StoreError::Read(error) => matches!(
                error.sqlite_error_code(),
                Some(DiskFull | SystemIoFailure | DatabaseBusy | DatabaseLocked | CannotOpen)
            ),
            StoreError::Open { .. }
            | StoreError::Make { .. }
            | StoreError::Newer { .. }
            | StoreError::Backup(_)
            | StoreError::TooLarge { .. }
            | StoreError::Damaged(_)
            | StoreError::Thread(_)
            | StoreError::Stopped => false,
        }
    }
}

/// Everything that one turn of the engine makes durable together.
#[derive(Debug, Default)]
pub struct Batch {
    pub events: Vec<Event>,
    /// What they changed, as it is after all of them.
    pub durable: Durable,
    pub owed: Vec<Effect>,
    /// Requests through the gateway, which the events tell the spending of: both or neither.
    pub rows: Vec<LedgerRow>,
    /// What is told of the money of tasks that have ended: their states are in the journal only.
    pub late: Vec<(TaskId, Body)>,
    /// Policy sources to keep, each under its digest.
    pub policies: Vec<(Digest, Vec<SourceFile>)>,
    /// Keys of intents and what each came to, as JSON: one that comes again is answered so, and not done twice.
    pub replies: Vec<(String, String)>,
    /// True where what was too large was taken out already: now a row may be as large as SQLite can hold.
    pub reduced: bool,
}

/// What a new process finds.
#[derive(Debug, Default)]
pub struct Loaded {
    pub state: State,
    pub owed: Vec<Effect>,
    /// What requests may cost that an earlier process never heard the end of.
    pub holds: Vec<(RunKey, Hold)>,
    pub next_task: u64,
    /// Sources of the policies that live tasks name.
    pub policies: Vec<(Digest, Vec<SourceFile>)>,
}

/// Statements kept prepared: all that a busy host uses.
const STATEMENTS: usize = 64;
/// Time for which is kept what was done, so that it is not done again when it is asked for again, in milliseconds.
const REMEMBERED_MS: u64 = 7 * 24 * 3_600_000;

/// Longest text in a row that is taken in, in bytes. SQLite itself refuses 1,000,000,000.
const ROW_BYTES: usize = 256 << 20;

type Job = Box<dyn FnOnce(&mut Journal) + Send>;

/// Handle to the thread that owns the journal. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
}

impl Store {
    /// Opens (and, where needed, creates or migrates) the journal in a data directory that is already locked.
    pub fn open(data_dir: &Path) -> Result<(Store, Loaded), StoreError> {
        let mut journal = Journal::open(&data_dir.join("journal.db"))?;
        let loaded = journal.load()?;
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                for job in queue {
                    job(&mut journal);
                }
            })
            .map_err(StoreError::Thread)?;
        Ok((Store { jobs }, loaded))
    }

    /// Makes a batch durable; gives the sequence number of its last event.
    pub async fn commit(&self, batch: std::sync::Arc<Batch>) -> Result<u64, StoreError> {
        self.run(move |journal| journal.commit(&batch)).await
    }

    /// Runs a piece of work on the journal's thread.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Journal) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move |journal| {
            // Nobody waiting any more is no reason not to have done the work.
            let _ = answer.send(work(journal));
        });
        self.jobs.send(job).map_err(|_| StoreError::Stopped)?;
        answered.await.map_err(|_| StoreError::Stopped)?
    }
}

/// The journal file itself. Used on its own thread, or read-only by commands that need no host.
pub struct Journal {
    db: Connection,
    head: Digest,
    /// See [`ROW_BYTES`].
    row_bytes: usize,
}

impl Journal {
    /// Opens for writing.
    pub fn open(path: &Path) -> Result<Journal, StoreError> {
        let open = |source| StoreError::Open { path: path.to_owned(), source };
        make_private(path).map_err(|source| StoreError::Make { path: path.to_owned(), source })?;
        let mut db = Connection::open(path).map_err(open)?;
        db.pragma_update(None, "journal_mode", "WAL").map_err(open)?;
        db.pragma_update(None, "synchronous", "FULL").map_err(open)?;
        db.pragma_update(None, "foreign_keys", "ON").map_err(open)?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        schema::migrate(&mut db, path)?;
        let head = chain::head(&db)?;
        Ok(Journal { db, head, row_bytes: ROW_BYTES })
    }

    /// Opens for looking only; works beside a running host.
    pub fn open_read_only(path: &Path) -> Result<Journal, StoreError> {
        let open = |source| StoreError::Open { path: path.to_owned(), source };
        let db = Connection::open_with_flags(path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(open)?;
        db.busy_timeout(std::time::Duration::from_secs(5)).map_err(open)?;
        schema::check_version(&db)?;
        let head = chain::head(&db)?;
        Ok(Journal { db, head, row_bytes: ROW_BYTES })
    }

    #[cfg(test)]
    pub fn limit_rows(&mut self, bytes: usize) {
        self.row_bytes = bytes;
    }

    /// From here on the file may have so many pages more, as on a disk that is nearly full.
    #[cfg(test)]
    pub fn limit_pages(&mut self, more: u32) -> Result<(), StoreError> {
        let pages: u32 = self.db.pragma_query_value(None, "page_count", |row| row.get(0)).map_err(StoreError::Read)?;
        let limit = format!("PRAGMA max_page_count = {}", pages + more);
        self.db.query_row(&limit, [], |_| Ok(())).map_err(StoreError::Read)
    }

    fn load(&mut self) -> Result<Loaded, StoreError> {
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

    /// All that lives, as the last commit left it.
    pub fn state(&self) -> Result<State, StoreError> {
        Ok(State {
            tasks: self.live_tasks()?.into_iter().map(|task| (task.id(), task)).collect(),
            paused: self.is_paused()?,
            chats: self.chats()?,
            day: self.day()?,
        })
    }

    /// True while nothing new is to start.
    pub fn is_paused(&self) -> Result<bool, StoreError> {
        Ok(self.meta("paused")?.as_deref() == Some("true"))
    }

    /// Registered chats, by `transport:chat`.
    pub fn chats(&self) -> Result<BTreeMap<String, Registration>, StoreError> {
        self.meta("chats")?.map_or_else(|| Ok(BTreeMap::new()), |text| rows::parse(&text))
    }

    /// What the day cost of which was paid last.
    pub fn day(&self) -> Result<Day, StoreError> {
        self.meta("day")?.map_or_else(|| Ok(Day::default()), |text| rows::parse(&text))
    }

    /// What was noted last under a name, so that a new process knows what an earlier one did.
    pub fn noted(&self, name: &str) -> Result<Option<String>, StoreError> {
        self.meta(&format!("note-{name}"))
    }

    /// Notes something under a name, in place of what was noted there before; durable when this returns.
    pub fn note(&mut self, name: &str, text: &str) -> Result<(), StoreError> {
        put_meta(&self.db, &format!("note-{name}"), text)
    }

    fn meta(&self, key: &str) -> Result<Option<String>, StoreError> {
        self.db
            .query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0))
            .optional()
            .map_err(StoreError::Read)
    }

    fn commit(&mut self, batch: &Batch) -> Result<u64, StoreError> {
        let write = self.db.transaction().map_err(StoreError::Write)?;
        let most = if batch.reduced { usize::MAX } else { self.row_bytes };
        let within = |bytes, owner, event| match bytes > most {
            true => Err(StoreError::TooLarge { bytes, most, owner, event }),
            false => Ok(()),
        };
        let mut head = self.head;
        for (at, event) in batch.events.iter().enumerate() {
            let stripped = chain::strip(event)?;
            within(stripped.largest(), event.owner, Some(at))?;
            head = chain::append(&write, head, event, &stripped)?;
            if let Some(EffectKey(key)) = &event.settles {
                write.execute("DELETE FROM effects WHERE key = ?1", [key]).map_err(StoreError::Write)?;
            }
        }
        let Durable { tasks, paused, chats, day } = &batch.durable;
        for task in tasks {
            let row = rows::json(task)?;
            within(row.len(), task.id().into(), None)?;
            rows::put_task(&write, task, &row)?;
        }
        for effect in &batch.owed {
            let row = rows::json(effect)?;
            within(row.len(), effect.owner, None)?;
            rows::put_effect(&write, effect, &row)?;
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
        write.commit().map_err(StoreError::Write)?;
        self.head = head;
        Ok(last)
    }

    /// Strikes off effects that mean nothing any more: their owner ended while they were under way.
    pub fn strike(&mut self, keys: &[EffectKey]) -> Result<(), StoreError> {
        for EffectKey(key) in keys {
            self.db.execute("DELETE FROM effects WHERE key = ?1", [key]).map_err(StoreError::Write)?;
        }
        Ok(())
    }

    /// A row of a request through the gateway that cost nothing; durable when this returns. What cost something comes with its event.
    pub fn record_request(&mut self, row: &LedgerRow) -> Result<(), StoreError> {
        rows::put_ledger(&self.db, row)
    }

    /// The newest tasks first.
    pub fn tasks(&self, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
        rows::tasks(&self.db, limit)
    }

    /// Tasks that have not ended.
    pub fn live_tasks(&self) -> Result<Vec<Task>, StoreError> {
        rows::live_tasks(&self.db)
    }

    /// Effects that no event has settled yet, in the order they were owed.
    pub fn owed(&self) -> Result<Vec<Effect>, StoreError> {
        rows::owed(&self.db)
    }

    pub fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        rows::task(&self.db, id)
    }

    /// Events with a sequence number above `after`, oldest first, with texts put back where they still exist.
    pub fn events(&self, after: u64, task: Option<TaskId>, limit: u32) -> Result<Vec<Recorded>, StoreError> {
        rows::events(&self.db, after, task, limit)
    }

    /// What the intent with this key came to, as JSON; forgotten after 7 days.
    pub fn reply(&self, key: &str) -> Result<Option<String>, StoreError> {
        rows::reply(&self.db, key)
    }

    /// Sources of a policy that was in force once.
    pub fn policy(&self, digest: &Digest) -> Result<Option<Vec<SourceFile>>, StoreError> {
        rows::policy(&self.db, digest)
    }

    pub fn last_seq(&self) -> Result<u64, StoreError> {
        chain::last_seq(&self.db)
    }

    /// A text kept beside the chain.
    pub fn text(&self, digest: &Digest) -> Result<Option<String>, StoreError> {
        rows::text(&self.db, digest)
    }

    /// Walks the whole chain.
    pub fn verify(&self) -> Result<Option<ChainBreak>, StoreError> {
        chain::verify(&self.db)
    }

    /// What the gateway recorded for an owner.
    pub fn ledger(&self, owner: Owner) -> Result<Vec<LedgerRow>, StoreError> {
        rows::ledger(&self.db, owner)
    }
}

fn put_meta(db: &Connection, key: &str, value: &str) -> Result<(), StoreError> {
    db.execute("INSERT OR REPLACE INTO meta(key, value) VALUES (?1, ?2)", [key, value]).map_err(StoreError::Write)?;
    Ok(())
}

/// Makes the file, so that prompts and agent text in it (and in SQLite's files beside it, which take after it) are this user's only.
fn make_private(path: &Path) -> io::Result<()> {
    let file = File::options().create(true).append(true).mode(0o600).open(path)?;
    file.set_permissions(Permissions::from_mode(0o600))
}

#[cfg(test)]
mod mail_tests;
#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod tests;
