//! Where the folders of a run lie.

use std::path::PathBuf;

/// The folders of one run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunDir {
    pub root: PathBuf,
    /// The work tree; the agent's.
    pub workspace: PathBuf,
    /// Hand-offs; the host's, read-only inside.
    pub input: PathBuf,
    /// Artefacts; the agent's.
    pub out: PathBuf,
    /// The agent's home, for runs whose home is on disk.
    pub home: PathBuf,
    /// For the gateway's socket; the host's.
    pub run: PathBuf,
}

impl RunDir {
    pub(super) fn below(root: PathBuf) -> Self {
        RunDir {
            workspace: root.join("workspace"),
            input: root.join("in"),
            out: root.join("out"),
            home: root.join("home"),
            run: root.join("run"),
            root,
        }
    }
}
