//! A kind of journal under trial, and what trials of all kinds are made of.

use borg_core::{
    asked::NewTask,
    event::{Body, Event, HostEvent, Said},
    id::TaskId,
    owner::Owner,
    policy::parse,
    step::{Policies, State, step},
    task::Task,
};
use borg_host::{
    journal::{Batch, Journal, JournalError, Reads},
    mail::Mail,
};
use std::{path::Path, sync::Arc};

/// A kind of journal: how it is opened, and hindered.
pub trait Kind: 'static {
    /// Name of its module of tests, by which a child process is told what it is to write.
    const NAME: &'static str;

    type Journal: Journal + Mail + Clone + 'static;

    /// While it lives, nothing that has replies can be committed.
    type Hindrance;

    /// Opens what is kept for a folder, or begins there. Who had it open before is gone, by whatever end.
    fn open(folder: &Path) -> impl Future<Output = Self::Journal> + Send;

    /// Opens it for looking only, beside a writer.
    fn look(folder: &Path) -> impl Future<Output = Arc<dyn Reads>> + Send;

    /// Makes commits fail as late as it can: when all else of a batch was written.
    fn hinder(folder: &Path) -> Self::Hindrance;
}

/// A journal in a folder of its own, that can be left and opened again.
pub struct Trial<K: Kind> {
    pub folder: tempfile::TempDir,
    pub journal: K::Journal,
}

impl<K: Kind> Trial<K> {
    pub async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let journal = K::open(folder.path()).await;
        Trial { folder, journal }
    }

    /// The next process: what was open is dropped without a word.
    pub async fn again(self) -> Self {
        let Trial { folder, journal } = self;
        drop(journal);
        let journal = K::open(folder.path()).await;
        Trial { folder, journal }
    }

    pub async fn commit(&self, batch: Batch) -> Result<u64, JournalError> {
        self.journal.commit(Arc::new(batch)).await
    }

    /// Commits these events, and nothing else.
    pub async fn happened(&self, events: Vec<Event>) -> u64 {
        self.commit(Batch { events, ..Batch::default() }).await.unwrap()
    }
}

pub fn event(body: Body) -> Event {
    Event { at_ms: 1, owner: Owner::Host, settles: None, body }
}

/// An event of the host that tells this.
pub fn told(text: &str) -> Event {
    event(Body::Host(HostEvent::PolicyRefused { reason: text.into() }))
}

/// A task as it is made, queued or running.
pub fn task(id: u64, now_ms: u64) -> Task {
    let recorded = include_str!("../../core/tests/golden/events-v5.jsonl");
    let made = recorded.lines().filter_map(|line| serde_json::from_str::<Event>(line).ok());
    let mut made = made.into_iter().find(|event| matches!(event.body, Body::Said(Said::TaskCreated { .. }))).unwrap();
    let Body::Said(Said::TaskCreated { task }) = &mut made.body else { unreachable!() };
    **task = NewTask { id: TaskId(id), ..(**task).clone() };
    made.owner = TaskId(id).into();
    made.at_ms = now_ms;
    let policies = Policies::new(Arc::new(parse::parse(&[]).unwrap()));
    step(State::default(), &made, &policies).state.tasks.remove(&TaskId(id)).unwrap()
}
