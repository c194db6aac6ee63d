//! What people may look at: tasks, diffs, the journal, the ledger. Frontends ask here, so that none of them knows the journal or the mirrors.

use super::{Handle, doers::chain};
use crate::{store::Store, workspace::Workspace};
use borg_core::{id::TaskId, task::Task};
use tokio::sync::watch;

pub use crate::store::{LedgerRow, Recorded, StoreError, TaskRow};

/// Looks things up for whoever may look. Cheap to clone.
#[derive(Clone)]
pub struct Desk {
    pub handle: Handle,
    pub store: Store,
    pub workspace: Workspace,
}

impl Desk {
    /// The newest tasks first.
    pub async fn tasks(&self, limit: u32) -> Result<Vec<TaskRow>, StoreError> {
        self.store.run(move |journal| journal.tasks(limit)).await
    }

    /// Tasks that have not ended, oldest first.
    pub async fn live_tasks(&self) -> Result<Vec<Task>, StoreError> {
        self.store.run(|journal| journal.live_tasks()).await
    }

    /// True while nothing new is to start.
    pub async fn is_paused(&self) -> Result<bool, StoreError> {
        self.store.run(|journal| journal.is_paused()).await
    }

    pub async fn task(&self, id: TaskId) -> Result<Option<Task>, StoreError> {
        self.store.run(move |journal| journal.task(id)).await
    }

    /// What a task changed so far, cut at `limit` bytes; true when that is all.
    pub async fn diff(&self, task: &Task, limit: usize) -> Result<(String, bool), String> {
        let (Some(base), Some(head)) = (&task.base, &task.head) else {
            return Err("the task has not begun yet".into());
        };
        if base.commit == *head {
            return Ok((String::new(), true));
        }
        let mirror = self.workspace.mirror(&task.spec.repository);
        self.workspace.patch(&mirror, &base.commit, head, limit).await.map_err(|error| chain(&error))
    }

    /// Events after a place in the journal, oldest first.
    pub async fn events(&self, after: u64, task: Option<TaskId>, limit: u32) -> Result<Vec<Recorded>, StoreError> {
        self.store.run(move |journal| journal.events(after, task, limit)).await
    }

    /// Place of the newest event in the journal.
    pub async fn newest(&self) -> Result<u64, StoreError> {
        self.store.run(|journal| journal.last_seq()).await
    }

    /// What the gateway recorded for a task.
    pub async fn ledger(&self, task: TaskId) -> Result<Vec<LedgerRow>, StoreError> {
        self.store.run(move |journal| journal.ledger(task)).await
    }

    /// Changes whenever something was committed.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.handle.committed()
    }
}
