//! Runs a host in this process for one task: for `demo`, and for `ask` where none is running.

use super::neutral;
use anyhow::{Context, Result};
use borg_core::{
    event::{Answer, Body, Event, Meanwhile},
    id::{RunKey, TaskId},
    intent::Intent,
    people::PersonId,
    task::{Phase, Task},
};
use borg_host::{
    control::client::Refusal,
    engine::{Desk, Reply},
    host::Host,
};
use std::{collections::BTreeSet, time::Duration};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::oneshot,
};

/// Events read from the journal at a time.
const PAGE: u32 = 256;
/// Time for what a run left to be removed, after the last event.
const CLEARING: Duration = Duration::from_secs(10);
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

/// Runs the host until the task that comes of an intent has ended or waits for a person. Ctrl-C cancels the task, and so does the end
/// of patience; a second Ctrl-C ends this process at once.
pub async fn perform(
    host: Host,
    intent: Intent,
    patience: Option<Duration>,
    event: impl FnMut(&Event) -> Result<()> + Send + 'static,
) -> Result<Finished> {
    let work = Work { desk: host.conversation().desk, patience };
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
    desk: Desk,
    patience: Option<Duration>,
}

impl Work {
    async fn perform(&self, intent: Intent, mut event: impl FnMut(&Event) -> Result<()>) -> Result<Finished> {
        let id = created(self.desk.handle.intend(me(), intent, None).await?)?;
        let mut committed = self.desk.committed();
        let mut after = 0;
        let mut interrupt = signal(SignalKind::interrupt()).context("listening for Ctrl-C")?;
        let mut left = Left::default();
        let mut cancelled = false;
        let patience = async {
            match self.patience {
                Some(patience) => tokio::time::sleep(patience).await,
                None => std::future::pending().await,
            }
        };
        tokio::pin!(patience);
        loop {
            // Marked before looking, so that what is committed meanwhile wakes the wait below.
            committed.mark_unchanged();
            let task = self.desk.task(id).await?.context("the task is in the journal")?;
            loop {
                let page = self.desk.events(after, Some(id), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = last.seq;
                for entry in &page {
                    left.follow(&entry.event.body);
                    event(&entry.event)?;
                }
            }
            if task.phase.rests() && !left.0.is_empty() {
                // No later host will come here to clear up.
                match tokio::time::timeout(CLEARING, committed.changed()).await {
                    Ok(changed) => {
                        changed?;
                        continue;
                    }
                    Err(_) => eprintln!("a sandbox is still there; `borg-host run` on this data removes it"),
                }
            }
            if let Phase::Parked { daily: true, reason, .. } = &task.phase
                && !cancelled
            {
                // This process is not there when the day ends.
                cancelled = true;
                eprintln!("{}: cancelling, what was done is kept", neutral::text(reason));
                self.desk.handle.intend(me(), Intent::Cancel { task: id }, None).await?;
                continue;
            }
            if task.phase.rests() {
                let diff = self.desk.diff(&task, DIFF).await.map_or_else(|_| String::new(), |(text, _)| text);
                return Ok(Finished { task, diff });
            }
            let why = tokio::select! {
                changed = committed.changed() => {
                    changed?;
                    continue;
                }
                _ = interrupt.recv() => "cancelling (Ctrl-C again ends at once)",
                () = &mut patience, if !cancelled => "this takes too long: cancelling",
            };
            if cancelled {
                std::process::exit(130);
            }
            cancelled = true;
            eprintln!("{why}");
            self.desk.handle.intend(me(), Intent::Cancel { task: id }, None).await?;
        }
    }
}

/// Runs whose sandbox and directories are still to be removed.
#[derive(Default)]
struct Left(BTreeSet<RunKey>);

impl Left {
    fn follow(&mut self, body: &Body) {
        if let Body::Meanwhile(Meanwhile::RunStarted { run, .. }) | Body::Answer(Answer::Checked { run, .. }) = body {
            self.0.insert(*run);
        } else if let Body::Answer(Answer::Forgotten { run }) = body {
            self.0.remove(run);
        }
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
