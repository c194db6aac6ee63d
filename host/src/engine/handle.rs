//! How the rest of the program talks to the engine.

use crate::journal::{JournalError, LedgerRow, Reads};
pub use borg_core::decide::Reply;
use borg_core::{
    event::Event,
    intent::Intent,
    people::PersonId,
    policy::{Policy, source::SourceFile},
    task::Task,
};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// The engine is gone; the process is ending.
#[derive(Debug, thiserror::Error)]
#[error("the host is stopping")]
pub struct Stopped;

/// One answer to one question.
type Answer<T> = oneshot::Sender<T>;

/// What reaches the engine.
pub enum Input {
    /// With the gateway's row, where that is what it tells of: both are durable, or neither.
    Event(Box<Event>, Option<Box<LedgerRow>>, Answer<()>),
    /// A person wants something; `ended` is the task it is about, where that lives in the journal only.
    /// `key` tells one that was asked for before.
    Intent {
        key: Option<String>,
        person: PersonId,
        intent: Box<Intent>,
        chat: Option<String>,
        ended: Option<Box<Task>>,
        answer: Answer<Reply>,
    },
    /// Policy files changed: the new policy and its sources, or why it is refused.
    Policy(Box<Result<(Policy, Vec<SourceFile>), String>>, Answer<()>),
    Stop,
}

/// Talks to the engine. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inputs: mpsc::Sender<Input>,
    committed: watch::Receiver<u64>,
    policy: watch::Receiver<Arc<Policy>>,
    journal: Arc<dyn Reads>,
}

impl Handle {
    pub(super) fn new(
        inputs: mpsc::Sender<Input>,
        committed: watch::Receiver<u64>,
        policy: watch::Receiver<Arc<Policy>>,
        journal: Arc<dyn Reads>,
    ) -> Self {
        Handle { inputs, committed, policy, journal }
    }

    /// Hands an event in; returns when it is durable.
    pub async fn post(&self, event: Event) -> Result<(), Stopped> {
        self.put(event, None).await
    }

    /// Hands in what a request cost, with its row; returns when both are durable.
    pub async fn post_with_row(&self, event: Event, row: LedgerRow) -> Result<(), Stopped> {
        self.put(event, Some(Box::new(row))).await
    }

    async fn put(&self, event: Event, row: Option<Box<LedgerRow>>) -> Result<(), Stopped> {
        let (done, wait) = oneshot::channel();
        self.inputs.send(Input::Event(Box::new(event), row, done)).await.map_err(|_| Stopped)?;
        wait.await.map_err(|_| Stopped)
    }

    /// Asks for something on behalf of a person; returns when the outcome is durable.
    pub async fn intend(&self, person: PersonId, intent: Intent, chat: Option<String>) -> Result<Reply, Stopped> {
        self.ask(None, person, intent, chat).await
    }

    /// As [`Handle::intend`], but once for each key, which names one wish of one person: asked again, it gives the reply of the first time and does nothing. The reply is durable
    /// together with what the intent led to, and known for 7 days. What only looks is looked at again, and strangers are refused again.
    pub async fn intend_once(
        &self,
        key: &str,
        person: PersonId,
        intent: Intent,
        chat: Option<String>,
    ) -> Result<Reply, Stopped> {
        match self.journal.reply(key).await {
            Ok(Some(stored)) => match serde_json::from_str(&stored) {
                Ok(reply) => Ok(reply),
                Err(error) => unreadable(JournalError::Damaged(format!("the reply to {key}: {error}"))),
            },
            Ok(None) => self.ask(Some(key.to_owned()), person, intent, chat).await,
            Err(error) => unreadable(error),
        }
    }

    /// Puts an intent in the queue without looking whether it was asked for before.
    pub(super) async fn ask(
        &self,
        key: Option<String>,
        person: PersonId,
        intent: Intent,
        chat: Option<String>,
    ) -> Result<Reply, Stopped> {
        let ended = match intent.task() {
            Some(id) => match self.journal.task(id).await {
                Ok(found) => found,
                Err(error) => return unreadable(error),
            },
            None => None,
        };
        let ended = ended.filter(|task| task.status().is_terminal()).map(Box::new);
        let (answer, wait) = oneshot::channel();
        let intent = Box::new(intent);
        self.inputs.send(Input::Intent { key, person, intent, chat, ended, answer }).await.map_err(|_| Stopped)?;
        wait.await.map_err(|_| Stopped)
    }

    /// Tells that policy files changed; returns when that is durable, and the new policy in force if it is good.
    pub async fn policy_changed(&self, loaded: Result<(Policy, Vec<SourceFile>), String>) -> Result<(), Stopped> {
        let (done, wait) = oneshot::channel();
        self.inputs.send(Input::Policy(Box::new(loaded), done)).await.map_err(|_| Stopped)?;
        wait.await.map_err(|_| Stopped)
    }

    /// The policy in force. It waits for nobody: what the engine has made durable is here.
    pub fn policy(&self) -> Arc<Policy> {
        self.policy.borrow().clone()
    }

    /// Asks the engine to end; what is owed is done at the next start.
    pub async fn stop(&self) {
        // A queue nobody reads is an engine that has ended already.
        let _ = self.inputs.send(Input::Stop).await;
    }

    /// Sequence number of the last committed event, and every change of it.
    pub fn committed(&self) -> watch::Receiver<u64> {
        self.committed.clone()
    }
}

/// What a person is told when the journal cannot be asked.
fn unreadable(error: JournalError) -> Result<Reply, Stopped> {
    if matches!(error, JournalError::Stopped) {
        return Err(Stopped);
    }
    let remedy = "`borg-host doctor` looks at the journal".into();
    Ok(Reply::Refused { reason: error.to_string(), remedy, stranger: false })
}
