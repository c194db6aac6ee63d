//! Runs a host in this process for one task: for `demo`, and for `ask` where none is running.

use anyhow::{Context, Result};
use borg_core::{
    event::Event,
    id::TaskId,
    intent::Intent,
    policy::PersonId,
    task::{Phase, Task},
};
use borg_host::{
    chats::Conversation,
    control::client::Refusal,
    engine::{Handle, Reply},
    host::Host,
    store::Store,
};
use tokio::sync::oneshot;

/// Events read from the journal at a time.
const PAGE: u32 = 256;
/// Longest diff, in bytes.
const DIFF: usize = 1 << 20;

/// A task that needs nobody but a person any more.
pub struct Finished {
    pub task: Task,
    /// What it changed, as a patch.
    pub diff: String,
}

/// The person at this machine.
pub fn me() -> PersonId {
    PersonId(format!("console:{}", rustix::process::getuid().as_raw()))
}

/// Runs the host until the task that comes of an intent has ended or waits for a person. Ctrl-C cancels the task; a second one ends this
/// process at once.
pub async fn perform(
    host: Host,
    intent: Intent,
    event: impl FnMut(&Event) -> Result<()> + Send + 'static,
) -> Result<Finished> {
    let work = Work { conversation: host.conversation(), handle: host.handle(), store: host.store() };
    let (done, finished) = oneshot::channel::<()>();
    let work = tokio::spawn(async move {
        let result = work.perform(intent, event).await;
        // A host that has ended by itself tells its own error.
        let _ = done.send(());
        result
    });
    let until = async {
        // A sender that is gone is work that broke; the host ends then, too.
        let _ = finished.await;
    };
    let ran = host.run(until).await;
    // Work that still waits for an engine that is gone would wait for ever.
    if ran.is_err() {
        work.abort();
    }
    let result = work.await;
    ran?;
    result.context("the host ended before the task did")?
}

struct Work {
    conversation: Conversation,
    handle: Handle,
    store: Store,
}

impl Work {
    async fn perform(&self, intent: Intent, mut event: impl FnMut(&Event) -> Result<()>) -> Result<Finished> {
        let id = created(self.handle.intend(me(), intent, None).await?)?;
        let mut committed = self.handle.committed();
        let mut after = 0;
        let mut cancelled = false;
        loop {
            // Marked before looking, so that what is committed meanwhile wakes the wait below.
            committed.mark_unchanged();
            let task = self.conversation.task(id).await.context("the task is in the journal")?;
            loop {
                let page = self.store.run(move |journal| journal.events(after, Some(id), PAGE)).await?;
                let Some(last) = page.last() else { break };
                after = last.seq;
                page.iter().try_for_each(|entry| event(&entry.event))?;
            }
            if rests(&task) {
                let diff = self.conversation.diff(&task, DIFF).await.map_or_else(|_| String::new(), |(text, _)| text);
                return Ok(Finished { task, diff });
            }
            tokio::select! {
                changed = committed.changed() => changed?,
                heard = tokio::signal::ctrl_c() => {
                    heard?;
                    if cancelled {
                        std::process::exit(130);
                    }
                    cancelled = true;
                    eprintln!("cancelling (Ctrl-C again ends at once)");
                    self.handle.intend(me(), Intent::Cancel { task: id }, None).await?;
                }
            }
        }
    }
}

/// True when nothing more happens without a person.
fn rests(task: &Task) -> bool {
    match &task.phase {
        Phase::Ended { .. } | Phase::Blocked { .. } | Phase::NeedsReview { .. } => true,
        Phase::Queued { .. } | Phase::Running(_) | Phase::Parked { .. } | Phase::Approved { .. } => false,
    }
}

/// The task that was made of an intent.
pub fn created(reply: Reply) -> Result<TaskId> {
    match reply {
        Reply::Created { task, .. } => Ok(task),
        Reply::Refused { reason, remedy, .. } => Err(Refusal { reason, remedy }.into()),
        Reply::Done { .. } | Reply::Granted => Err(anyhow::anyhow!("the host made no task of it")),
    }
}
