//! The journal and the mail in one SQLite file, written by one thread: what [`crate::journal`] and [`crate::mail`] ask for.
//!
//! A batch is one transaction with `synchronous=FULL`. Prompts, transcripts and agent text lie beside the events in `texts`, their digest
//! inside, so that they can be deleted. Work travels to the thread as closures over the file: those are of this module alone.

mod chain;
mod error;
mod figures;
mod lock;
mod mail;
mod rows;
mod schema;
mod sqlite;

pub use error::OpenError;
pub use lock::{DataLock, LockError};

use crate::journal::{
    Answer, Batch, ChainBreak, Journal, JournalError, LedgerRow, Loaded, Moved, MovedTasks, Paid, Reads, Recorded,
    Standing, Subscription, TaskRow,
};
use borg_core::{
    chat::Registration,
    daily::Day,
    effect::Effect,
    id::{Digest, TaskId},
    owner::Owner,
    policy::source::SourceFile,
    task::{Status, Task},
};
use sqlite::Sqlite;
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
};
use tokio::sync::oneshot;

type Job = Box<dyn FnOnce(&mut Sqlite) + Send>;

/// Handle to the thread that owns the file. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    jobs: mpsc::Sender<Job>,
}

impl Store {
    /// The file in a data directory.
    pub fn file(data_dir: &Path) -> PathBuf {
        data_dir.join("journal.db")
    }

    /// Opens (and, where needed, creates or migrates) the journal in a data directory that is already locked.
    pub fn open(data_dir: &Path) -> Result<Store, OpenError> {
        Store::start(Sqlite::open(&Store::file(data_dir))?)
    }

    /// Opens the journal in a data directory for looking only; works beside a running host.
    pub fn open_read_only(data_dir: &Path) -> Result<Arc<dyn Reads>, OpenError> {
        Ok(Arc::new(Store::start(Sqlite::open_read_only(&Store::file(data_dir))?)?))
    }

    fn start(mut file: Sqlite) -> Result<Store, OpenError> {
        let (jobs, queue) = mpsc::channel::<Job>();
        std::thread::Builder::new()
            .name("journal".into())
            .spawn(move || {
                for job in queue {
                    job(&mut file);
                }
            })
            .map_err(OpenError::Thread)?;
        Ok(Store { jobs })
    }

    /// Runs a piece of work on the file's thread.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Sqlite) -> Result<T, JournalError> + Send + 'static,
    ) -> Answer<'_, T> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            let job: Job = Box::new(move |file| {
                // Nobody waiting any more is no reason not to have done the work.
                let _ = answer.send(work(file));
            });
            self.jobs.send(job).map_err(|_| JournalError::Stopped)?;
            answered.await.map_err(|_| JournalError::Stopped)?
        })
    }

    /// From here on a row may be so long, in bytes.
    #[cfg(test)]
    pub async fn limit_rows(&self, bytes: usize) -> Result<(), JournalError> {
        self.run(move |file| {
            file.limit_rows(bytes);
            Ok(())
        })
        .await
    }

    /// From here on the file may have so many pages more, as on a disk that is nearly full.
    #[cfg(test)]
    pub async fn limit_pages(&self, more: u32) -> Result<(), JournalError> {
        self.run(move |file| file.limit_pages(more)).await
    }
}

impl Journal for Store {
    fn commit(&self, batch: Arc<Batch>) -> Answer<'_, u64> {
        self.run(move |file| file.commit(&batch))
    }
}

impl Reads for Store {
    fn load(&self) -> Answer<'_, Loaded> {
        self.run(|file| file.load())
    }

    fn events(&self, after: u64, task: Option<TaskId>, limit: u32) -> Answer<'_, Vec<Recorded>> {
        self.run(move |file| file.events(after, task, limit))
    }

    fn last_seq(&self) -> Answer<'_, u64> {
        self.run(|file| file.last_seq())
    }

    fn verify(&self) -> Answer<'_, Option<ChainBreak>> {
        self.run(|file| file.verify())
    }

    fn owed(&self) -> Answer<'_, Vec<Effect>> {
        self.run(|file| file.owed())
    }

    fn task(&self, id: TaskId) -> Answer<'_, Option<Task>> {
        self.run(move |file| file.task(id))
    }

    fn tasks(&self, limit: u32) -> Answer<'_, Vec<TaskRow>> {
        self.run(move |file| file.tasks(limit))
    }

    fn live_tasks(&self) -> Answer<'_, Vec<Task>> {
        self.run(|file| file.live_tasks())
    }

    fn live_statuses(&self) -> Answer<'_, Vec<Status>> {
        self.run(|file| file.live_statuses())
    }

    fn standing(&self, ended: u32) -> Answer<'_, Standing> {
        self.run(move |file| file.standing(ended))
    }

    fn moved(&self, since_ms: u64, before: TaskId, limit: u32) -> Answer<'_, Vec<Moved>> {
        self.run(move |file| file.moved(since_ms, before, limit))
    }

    fn moved_tasks(&self, since_ms: u64, limit: u32) -> Answer<'_, MovedTasks> {
        self.run(move |file| file.moved_tasks(since_ms, limit))
    }

    fn is_paused(&self) -> Answer<'_, bool> {
        self.run(|file| file.is_paused())
    }

    fn chats(&self) -> Answer<'_, BTreeMap<String, Registration>> {
        self.run(|file| file.chats())
    }

    fn day(&self) -> Answer<'_, Day> {
        self.run(|file| file.day())
    }

    fn ledger(&self, owner: Owner) -> Answer<'_, Vec<LedgerRow>> {
        self.run(move |file| file.ledger(owner))
    }

    fn paid(&self, before: i64, limit: u32) -> Answer<'_, Vec<Paid>> {
        self.run(move |file| file.paid(before, limit))
    }

    fn subscription(&self) -> Answer<'_, Option<Subscription>> {
        self.run(|file| file.subscription())
    }

    fn models(&self, requests: u32) -> Answer<'_, Vec<String>> {
        self.run(move |file| file.models(requests))
    }

    fn reply<'a>(&'a self, key: &'a str) -> Answer<'a, Option<String>> {
        let key = key.to_owned();
        self.run(move |file| file.reply(&key))
    }

    fn policy(&self, digest: Digest) -> Answer<'_, Option<Vec<SourceFile>>> {
        self.run(move |file| file.policy(&digest))
    }

    fn policy_since(&self, digest: Digest) -> Answer<'_, Option<u64>> {
        self.run(move |file| file.policy_since(&digest))
    }

    fn last_start(&self) -> Answer<'_, Option<(u64, String)>> {
        self.run(|file| file.last_start())
    }
}

#[cfg(test)]
mod mail_tests;
#[cfg(test)]
mod migration_tests;
#[cfg(test)]
mod tests;
