//! Why init refuses a job. Always answered with a record and exit code 125, never with a panic.

use nix::errno::Errno;
use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot read `{path}`")]
    Read { path: PathBuf, source: io::Error },
    #[error("`{path}` is not what this borg-init understands: host and init must be of the same version")]
    Parse { path: PathBuf, source: serde_json::Error },
    #[error("the job is wrong: {0}")]
    Job(String),
    #[error(
        "`borg-init container` must be the first process of a container: start the image with it as entrypoint and without `--init`"
    )]
    NotFirst,
    #[error("the host that started this sandbox is gone")]
    Orphan,
    #[error("cannot confine the process")]
    Confine(#[from] borg_confine::Error),
    #[error("cannot {what}")]
    Kernel { what: String, source: io::Error },
}

impl Error {
    /// For operations on the machine; `what` follows "cannot".
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Kernel { what: what.into(), source }
    }

    /// As [`Error::io`], for bare system calls.
    pub fn sys(what: impl Into<String>) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Kernel { what: what.into(), source: source.into() }
    }
}

/// An error and all its causes in one line.
pub fn in_words(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        words = format!("{words}: {error}");
        cause = error.source();
    }
    words
}
