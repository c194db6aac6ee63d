//! Doers: each performs one kind of effect and comes back with the event that settles it. Doing one twice does not matter twice.

mod brief;
mod broken;
mod check;
mod collect;
mod deliver;
mod held;
mod judge;
mod prepare;
mod refused;
mod run;
mod tell;

pub(super) use broken::broken;
pub use prepare::has_test_target;

use super::Handle;
use crate::{
    agents,
    chats::Chats,
    sandbox::Sandbox,
    secrets::SecretStore,
    store::Store,
    workspace::{Mirror, Workspace},
};
use borg_core::{
    effect::{Effect, Order},
    event::{Answer, Body},
    executor::EndCause,
    id::RunKey,
    persona::Handoff,
    policy::{Policy, Via},
    task::Task,
};
use borg_gateway::{Door, Gateway};
use borg_plugins::{CallError, Kind, Plugins};
use std::{
    collections::{BTreeSet, HashMap},
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Pauses between tries to remove what is left of a run.
const PAUSES: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(3), Duration::from_secs(10)];

/// Everything effects are performed with.
pub struct Doers {
    pub data_dir: PathBuf,
    pub workspace: Workspace,
    pub sandbox: Sandbox,
    pub gateway: Gateway,
    pub plugins: Plugins,
    pub secrets: Arc<SecretStore>,
    pub store: Store,
    pub chats: Chats,
    pub locks: RepositoryLocks,
    pub live: LiveRuns,
}

/// One lock per repository, around everything that writes its mirror.
#[derive(Default)]
pub struct RepositoryLocks {
    locks: Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>,
}

impl RepositoryLocks {
    pub async fn lock(&self, repository: &str) -> tokio::sync::OwnedMutexGuard<()> {
        let lock = {
            let mut locks = self.locks.lock().unwrap_or_else(PoisonError::into_inner);
            locks.entry(repository.to_owned()).or_default().clone()
        };
        lock.lock_owned().await
    }
}

/// Doors of the runs in progress, and runs that are to end.
#[derive(Default)]
pub struct LiveRuns {
    doors: Mutex<HashMap<RunKey, Arc<Door>>>,
    stops: Mutex<HashMap<RunKey, EndCause>>,
}

impl LiveRuns {
    fn enter(&self, run: RunKey, door: Arc<Door>) {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).insert(run, door);
    }

    fn leave(&self, run: RunKey) {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
        self.stops.lock().unwrap_or_else(PoisonError::into_inner).remove(&run);
    }

    fn door(&self, run: RunKey) -> Option<Arc<Door>> {
        self.doors.lock().unwrap_or_else(PoisonError::into_inner).get(&run).cloned()
    }

    /// Shuts every door. Returns when what went through them is booked, within the time that responses are drained for.
    pub async fn shut(&self) {
        let doors: Vec<Arc<Door>> =
            self.doors.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for door in &doors {
            door.close().await;
        }
        for door in doors {
            door.settled().await;
        }
    }

    fn stop(&self, run: RunKey, cause: EndCause) {
        self.stops.lock().unwrap_or_else(PoisonError::into_inner).insert(run, cause);
    }

    fn stopped(&self, run: RunKey) -> Option<EndCause> {
        self.stops.lock().unwrap_or_else(PoisonError::into_inner).get(&run).copied()
    }
}

impl Doers {
    /// Performs one effect; gives the event that settles it.
    pub async fn perform(&self, effect: Effect, policy: Arc<Policy>, task: Option<Task>, handle: &Handle) -> Body {
        let key = effect.key;
        match effect.order {
            Order::Prepare { repository, needs_check, executors, commits } => {
                self.prepare(&repository, needs_check, &executors, &commits, &policy).await
            }
            Order::Brief { persona, work, artefacts, records } => {
                self.brief(&persona, *work, &artefacts, &records, &policy).await
            }
            Order::Run(order) => self.run(*order, task, &policy, handle).await,
            Order::Stop { run, cause } => self.stop(run, cause).await,
            Order::Collect(order) => self.collect(*order).await,
            Order::Accept { persona, work, artefacts, report, produced } => {
                self.accept(&persona, *work, &artefacts, *report, &produced, &policy).await
            }
            Order::Check(order) => self.check(*order, &policy).await,
            Order::Judge(order) => self.judge(*order, &policy).await,
            Order::Deliver { via: Via::Branch, branch, commit, repository, answer: _ } => {
                self.deliver(effect.owner, (&branch, &commit), &repository, &policy).await
            }
            Order::Deliver { via: Via::Reply | Via::None, commit, answer, .. } => {
                self.reply(effect.owner, commit, answer).await
            }
            Order::Forget { run } => {
                self.forget(run).await;
                Body::Answer(Answer::Forgotten { run })
            }
            Order::Tell { notice, audience } => self.tell(&key.0, notice, audience, task.as_ref(), handle).await,
        }
    }

    /// Closes the run's way out, then kills it; its own doer tells how it ended.
    async fn stop(&self, run: RunKey, cause: EndCause) -> Body {
        self.live.stop(run, cause);
        if let Some(door) = self.live.door(run) {
            door.close().await;
        }
        if let Err(error) = self.sandbox.kill(run, cause).await {
            // Not started yet, or dead already: the mark left above stops it then.
            tracing::debug!(%run, %error, "nothing to kill");
        }
        Body::Answer(Answer::Stopped { run, cause })
    }

    /// True for a run that is to end, whether or not it has begun.
    pub(super) fn is_called_off(&self, run: RunKey) -> bool {
        self.live.stopped(run).is_some()
    }

    /// Removes what is left of a run: its sandbox, then its directories. Tried again for some seconds: a process that is just dying keeps
    /// what it has open. What stays even so is removed at the next start.
    pub async fn forget(&self, run: RunKey) {
        if !persist(|| self.forget_once(run)).await {
            tracing::warn!(%run, "something of a run is left; the next start tries again");
        }
    }

    /// One try at that; true where nothing is left.
    pub async fn forget_once(&self, run: RunKey) -> bool {
        let sandbox = self.sandbox.remove(run).await;
        if let Err(error) = &sandbox {
            tracing::warn!(%run, %error, "the sandbox could not be removed");
        }
        let directory = self.workspace.discard(run).await;
        if let Err(error) = &directory {
            tracing::warn!(%run, %error, "the run's directory could not be removed");
        }
        self.live.leave(run);
        sandbox.is_ok() && directory.is_ok()
    }

    /// Removes the directories of runs that nothing waits for, whether or not a sandbox of them is left.
    pub async fn forget_runs_but(&self, wanted: &BTreeSet<String>) {
        let entries = std::fs::read_dir(self.data_dir.join("runs")).into_iter().flatten().flatten();
        let found = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let unwanted: Vec<RunKey> =
            found.filter(|name| !wanted.contains(name)).filter_map(|name| name.parse().ok()).collect();
        for run in unwanted {
            tracing::info!(%run, "removing what is left of a run that nothing waits for");
            self.forget_once(run).await;
        }
    }

    /// Removes what the runs of an owner shared, once it has ended.
    pub async fn forget_owner(&self, owner: &str) {
        if let Err(error) = self.workspace.forget_owner(owner).await {
            tracing::warn!(%owner, %error, "its shared repository could not be removed; the next start tries again");
        }
    }

    /// Removes what earlier owners left when the process died before it could; those that live are named by their labels.
    pub async fn forget_owners_but(&self, live: &BTreeSet<String>) {
        let entries = std::fs::read_dir(self.data_dir.join("tasks")).into_iter().flatten().flatten();
        let found: Vec<String> =
            entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".git")?.to_owned())).collect();
        for owner in found.iter().filter(|owner| !live.contains(*owner)) {
            self.forget_owner(owner).await;
        }
    }

    fn mirror(&self, repository: &str) -> Mirror {
        self.workspace.mirror(repository)
    }

    /// Texts of artefacts, for personas.
    async fn handoffs(&self, files: &[borg_core::effect::InFile]) -> Result<Vec<Handoff>, crate::workspace::Error> {
        const LIMIT: usize = 1 << 20;
        let mut handoffs = Vec::new();
        for file in files {
            let bytes = self.workspace.read_artefact(file.digest).await?;
            let mut text = String::from_utf8_lossy(&bytes).into_owned();
            let complete = text.len() <= LIMIT;
            if !complete {
                let mut end = LIMIT;
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                text.truncate(end);
            }
            handoffs.push(Handoff { name: file.name.clone(), text, complete });
        }
        Ok(handoffs)
    }

    /// Settings of a plugin as policy gives them, held against its manifest's schema; the error says what is wrong with them.
    fn settings(&self, kind: Kind, name: &str, given: &serde_json::Value) -> Result<serde_json::Value, String> {
        let manifest = self.plugins.manifest(kind, name).ok_or_else(|| {
            format!(
                "there is no {} of this name; put its folder with plugin.toml into the plugin folder",
                kind.as_str()
            )
        })?;
        borg_plugins::validate_settings(&manifest, given).map_err(|errors| errors.join("; "))
    }

    fn agent_bundle(&self, name: &str) -> Option<agents::Bundle> {
        agents::installed(name, &self.data_dir)
    }
}

/// Tries something a few times, with longer and longer pauses; true where it worked.
async fn persist<F: Future<Output = bool>>(mut attempt: impl FnMut() -> F) -> bool {
    for pause in PAUSES {
        if attempt().await {
            return true;
        }
        tokio::time::sleep(pause).await;
    }
    attempt().await
}

fn plugin_failed(error: &CallError) -> Body {
    Body::Answer(Answer::PluginFailed { plugin: error.plugin.clone(), reason: error.to_string() })
}

/// An error with all its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        if !text.contains(&inner_text) {
            text = format!("{text}: {inner_text}");
        }
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_passes_is_waited_for_and_what_does_not_is_given_up() {
        for (failures, works, tries) in [(0, true, 1), (2, true, 3), (3, true, 4), (9, false, 4)] {
            let mut tried = 0;
            let worked = persist(|| {
                tried += 1;
                std::future::ready(tried > failures)
            });
            assert_eq!((worked.await, tried), (works, tries), "{failures}");
        }
    }
}
