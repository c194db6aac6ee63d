//! Repositories on disk: a bare mirror each, a new directory per attempt, and collection of what an attempt left.
//!
//! | file | does |
//! |---|---|
//! | `mirror` | refreshes mirrors, resolves branches, keeps refs |
//! | `read` | reads trees and blobs of a mirror |
//! | `diff`, `surveys` | what a change consists of, for the survey |
//! | `export` | writes a commit's tree raw into an attempt's directory |
//! | `overlay` | the tree a check runs on: the change with the base's harness |
//! | `comfort` | the `.git` an agent sees, and the bare repository it borrows objects from |
//! | `collect` | one collection from beginning to end |
//! | `walk`, `merge` | the dead sandbox's tree, compared with the parent commit's |
//! | `import`, `quarantine` | the stage's commit: streamed, checked alone, moved into the mirror |
//! | `writes`, `ignores`, `names`, `left` | which paths are taken; how the others are reported |
//! | `out` | artefacts from `/out` |
//! | `discard`, `remove` | deletes a used directory without following links |
//! | `sweep` | clears up after a host that was killed |
//!
//! Starting and stopping sandboxes is left to `sandbox/`, delivery to `forge/`, meaning to `borg-core`. What writes a
//! mirror asks for its [`MirrorLock`](crate::git::mirror::MirrorLock); each step may be repeated after a crash.

mod collect;
mod comfort;
mod diff;
mod discard;
mod export;
mod ignores;
mod import;
mod left;
mod limits;
mod merge;
mod mirror;
mod names;
mod object;
mod out;
mod overlay;
mod quarantine;
mod read;
mod remove;
mod run_dir;
mod surveys;
mod sweep;
mod tree;
mod walk;
mod writes;

pub use collect::Collect;
pub use export::Attempt;
pub use limits::Limits;
pub use mirror::Refreshed;
pub use names::Slug;
pub use overlay::{HarnessFrom, Overlay};
pub use quarantine::Quarantine;
pub use read::{Blob, TreeEntry};
pub use run_dir::RunDir;

use crate::{
    git::{self, Git, source},
    spawn::User,
};
use borg_core::{collect::CommitId, id::RunKey};
use std::{
    io,
    path::{Path, PathBuf},
};

/// Settings of the workspace.
#[derive(Clone, Debug)]
pub struct Config {
    /// The user that agents run as; only root can give files to another than itself.
    pub agent: User,
    pub limits: Limits,
    /// Packs a mirror may have before they are put together.
    pub packs: usize,
}

impl Default for Config {
    /// The host's own user when that is not root, else 10001.
    fn default() -> Self {
        let host = User::current();
        let agent = if host.is_root() { User { uid: 10001, gid: 10001 } } else { host };
        Config { agent, limits: Limits::default(), packs: 50 }
    }
}

/// Everything below the data directory that has to do with repositories; clones share it.
#[derive(Clone, Debug)]
pub struct Workspace {
    data: PathBuf,
    git: Git,
    config: Config,
    surveys: surveys::Surveys,
}

/// What went wrong with a repository, told so that a person can mend it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Git(#[from] git::Error),
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error("cannot {what}")]
    Io { what: String, source: io::Error },
    #[error("repository `{repo}` has no commit yet: make a first commit, then try again")]
    Empty { repo: String },
    #[error("repository `{repo}` has no current branch: set `base` for it in the policy{}", known(.branches))]
    NoDefaultBranch { repo: String, branches: Vec<String> },
    #[error("repository `{repo}` has no branch `{branch}`{}", known(.branches))]
    MissingBranch { repo: String, branch: String, branches: Vec<String> },
    #[error("`{0}` cannot be the name of a branch or ref")]
    BadRef(String),
    #[error("there is no mirror of `{0}` yet: refresh it first")]
    NoMirror(String),
    #[error("commit {commit} is not in the mirror of `{repo}`")]
    MissingCommit { repo: String, commit: CommitId },
    #[error("ref {name} is at {found}, not at {expected}: somebody else moved it")]
    RefMoved { name: String, expected: String, found: String },
    #[error("the tree holds `{path}`, which {why}; such a repository is not worked on")]
    BadTree { path: String, why: &'static str },
    #[error("`{0}` is pinned but not in the commit that pinned it")]
    PinMissing(String),
    #[error("pattern `{pattern}` of the write grant is no glob")]
    BadPattern { pattern: String, source: Box<globset::Error> },
    #[error("the collected change is refused by git's own check: {0}")]
    Refused(String),
    #[error("the work tree of a dead sandbox changed while it was read: {0}")]
    Restless(String),
    #[error("a worker thread died")]
    Worker(#[source] tokio::task::JoinError),
}

fn known(branches: &[String]) -> String {
    match branches {
        [] => String::new(),
        some => format!("; it has {}", some.join(", ")),
    }
}

impl Error {
    /// Wraps an I/O error with what was being done, a verb and its object.
    pub(crate) fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Error::Io { what, source }
    }
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Workspace {
    /// Makes the folders below `data_dir` that are missing, and clears up after a host that was killed. Blocks on the file system.
    ///
    /// The caller holds the lock on the data directory, so that no Git process of another host is at work there.
    pub fn open(data_dir: &Path, git: Git, config: Config) -> Result<Self> {
        for name in ["mirrors", "runs", "tasks", "quarantine", "artefacts"] {
            let dir = data_dir.join(name);
            std::fs::create_dir_all(&dir).map_err(Error::io(format!("create {}", dir.display())))?;
        }
        sweep::sweep(data_dir).map_err(Error::io("clear up after the last run of the host"))?;
        Ok(Workspace { data: data_dir.to_owned(), git, config, surveys: surveys::Surveys::default() })
    }

    /// How Git is run, for those who act on a mirror themselves.
    pub fn git(&self) -> &Git {
        &self.git
    }

    /// The directory of one run, whether or not it exists.
    pub fn run_dir(&self, run: RunKey) -> RunDir {
        RunDir::below(self.data.join("runs").join(run.to_string()))
    }
}

/// Runs blocking file work on its own thread.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(Error::Worker)?
}
