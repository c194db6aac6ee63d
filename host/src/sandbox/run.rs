//! A run as both sandboxes know it: its directories, and what is told of it.

use super::mounts::{MountRules, Refused};
use borg_core::run::Attestation;
use std::path::PathBuf;

/// Directories of one run on the host. All lie below the run directories the adapter was told of, except the last two.
#[derive(Clone, Debug)]
pub struct RunDirs {
    /// The work tree, as the last accepted commit has it.
    pub workspace: PathBuf,
    /// Hand-offs, read-only inside. The adapter adds `.borg-job.json`.
    pub input: PathBuf,
    /// Artefacts; writable inside.
    pub out: PathBuf,
    /// Backs the home and `/tmp` of runs that may execute what they write.
    pub home: PathBuf,
    /// Holds the gateway's socket `gateway.sock`, and the adapter's own notes. Read-only inside, and only there for runs with a gateway.
    pub run: PathBuf,
    /// Agent bundle, read-only.
    pub agent: Option<PathBuf>,
    /// Bare repository with the base branch only, read-only: what the work tree's comfort `.git` borrows its objects from.
    pub base_repo: Option<PathBuf>,
}

impl RunDirs {
    /// Refuses directories that may not be given to a run, before anything is written to them.
    pub(super) fn check(&self, rules: &MountRules) -> Result<(), Refused> {
        let inner = [&self.workspace, &self.input, &self.out, &self.home, &self.run];
        inner.into_iter().chain(&self.agent).chain(&self.base_repo).try_for_each(|dir| rules.check(dir).map(drop))
    }
}

/// A process that runs.
#[derive(Clone, Debug)]
pub struct Started {
    pub attestation: Attestation,
    /// Process id of init as the host sees it: the only peer the gateway serves. 0 when the run has already ended.
    pub init_pid: i32,
}

/// A run that was found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub running: bool,
    /// Process id of init as the host sees it, while it runs.
    pub init_pid: Option<i32>,
}

/// What a sandbox is made of here, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strength {
    /// `docker` or `local`.
    pub sandbox: &'static str,
    /// One line: engine and version, or the kernel's means.
    pub summary: String,
    /// What is there.
    pub features: Vec<String>,
    /// What could not be had.
    pub missing: Vec<String>,
}
