//! How the rest of the program talks to the engine.

use super::Answer;
use crate::store::{Store, StoreError};
use borg_core::{
    event::Event,
    id::TaskId,
    intent::Intent,
    policy::{PersonId, Policy, source::SourceFile},
    task::Task,
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// The engine is gone; the process is ending.
#[derive(Debug, thiserror::Error)]
#[error("the host is stopping")]
pub struct Stopped;

/// What an intent came to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reply")]
pub enum Reply {
    /// A task was made.
    Created { task: TaskId, title: String, repository: String, pipeline: String },
    /// It is done, and durable.
    Done { text: String },
    /// The person may look; the caller fetches what is asked for.
    Granted,
    /// No, and why, and what would change that.
    Refused { reason: String, remedy: String, stranger: bool },
}

/// What reaches the engine.
pub enum Input {
    Event(Box<Event>, Answer<()>),
    /// A person wants something; `ended` is the task it is about, where that lives in the journal only.
    Intent {
        person: PersonId,
        intent: Box<Intent>,
        chat: Option<String>,
        ended: Option<Box<Task>>,
        answer: Answer<Reply>,
    },
    /// Policy files changed: the new policy and its sources, or why it is refused.
    Policy(Box<Result<(Policy, Vec<SourceFile>), String>>),
    CurrentPolicy(Answer<Arc<Policy>>),
    Stop,
}

/// Talks to the engine. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    inputs: mpsc::Sender<Input>,
    committed: watch::Receiver<u64>,
    store: Store,
}

impl Handle {
    pub(super) fn new(inputs: mpsc::Sender<Input>, committed: watch::Receiver<u64>, store: Store) -> Self {
        Handle { inputs, committed, store }
    }

    /// Hands an event in; returns when it is durable.
    pub async fn post(&self, event: Event) -> Result<(), Stopped> {
        let (done, wait) = oneshot::channel();
        self.inputs.send(Input::Event(Box::new(event), done)).await.map_err(|_| Stopped)?;
        wait.await.map_err(|_| Stopped)
    }

    /// Asks for something on behalf of a person; returns when the outcome is durable.
    pub async fn intend(&self, person: PersonId, intent: Intent, chat: Option<String>) -> Result<Reply, Stopped> {
        let ended = match super::commands::named(&intent) {
            Some(id) => match self.store.run(move |journal| journal.task(id)).await {
                Ok(found) => found,
                Err(StoreError::Stopped) => return Err(Stopped),
                Err(error) => {
                    let remedy = "`borg-host doctor` looks at the journal".to_owned();
                    return Ok(Reply::Refused { reason: error.to_string(), remedy, stranger: false });
                }
            },
            None => None,
        };
        let ended = ended.filter(|task| task.status().is_terminal()).map(Box::new);
        let (answer, wait) = oneshot::channel();
        let intent = Box::new(intent);
        self.inputs.send(Input::Intent { person, intent, chat, ended, answer }).await.map_err(|_| Stopped)?;
        wait.await.map_err(|_| Stopped)
    }

    /// Tells that policy files changed.
    pub async fn policy_changed(&self, loaded: Result<(Policy, Vec<SourceFile>), String>) -> Result<(), Stopped> {
        self.inputs.send(Input::Policy(Box::new(loaded))).await.map_err(|_| Stopped)
    }

    pub async fn policy(&self) -> Result<Arc<Policy>, Stopped> {
        let (answer, wait) = oneshot::channel();
        self.inputs.send(Input::CurrentPolicy(answer)).await.map_err(|_| Stopped)?;
        wait.await.map_err(|_| Stopped)
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
