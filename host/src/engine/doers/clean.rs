//! Removes what runs and owners leave on the disk and in the engine.

use super::{persist::persist, runs::Runs};
use crate::{sandbox::Sandbox, workspace::Workspace};
use borg_core::id::RunKey;
use std::{collections::BTreeSet, path::PathBuf, sync::Arc};

pub(in crate::engine) struct Cleaner {
    pub(super) data_dir: PathBuf,
    pub(super) workspace: Workspace,
    pub(super) sandbox: Arc<Sandbox>,
    pub(super) runs: Runs,
}

impl Cleaner {
    /// Removes what is left of a run: its sandbox, then its directories. Tried again for some seconds: a process that is just dying keeps
    /// what it has open. What stays even so is removed at the next start.
    pub async fn forget(&self, run: RunKey) {
        if !persist(|| self.forget_once(run)).await {
            tracing::warn!(%run, "something of a run is left; the next start tries again");
        }
    }

    pub async fn forget_once(&self, run: RunKey) -> bool {
        let sandbox = self.sandbox.remove(run).await;
        if let Err(error) = &sandbox {
            tracing::warn!(%run, %error, "the sandbox could not be removed");
        }
        let directory = self.workspace.discard(run).await;
        if let Err(error) = &directory {
            tracing::warn!(%run, %error, "the run's directory could not be removed");
        }
        self.runs.forget(run);
        sandbox.is_ok() && directory.is_ok()
    }

    /// Removes sandboxes of ours but those of these runs, then the directories of runs, whether or not a sandbox of them is left.
    pub async fn forget_runs_but(&self, wanted: &BTreeSet<String>) {
        match self.sandbox.list().await {
            Ok(runs) => {
                for (run, running) in runs {
                    if !wanted.contains(&run.to_string()) {
                        tracing::info!(%run, running, "removing a sandbox that nothing waits for");
                        self.forget_once(run).await;
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "could not look for sandboxes of an earlier process"),
        }
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
}
