//! One Git call being put together, and the settings that hold for all of them.

use crate::spawn::{Stdin, Stdout, User};
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

/// How Git is run; part of the host's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub program: PathBuf,
    /// `borg-init`; without it Git runs unconfined, which [`super::Git::is_confined`] tells.
    pub launcher: Option<PathBuf>,
    /// Longest run of one Git process.
    pub timeout: Duration,
    /// Largest file (a pack) Git may write, in bytes.
    pub max_file_bytes: u64,
    /// Most memory one Git process may allocate, in bytes: a few kilobytes of a pack can unfold to any size. Held where Git is confined.
    pub max_memory_bytes: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            program: "/usr/bin/git".into(),
            launcher: None,
            timeout: Duration::from_secs(600),
            max_file_bytes: 8 << 30,
            max_memory_bytes: 4 << 30,
        }
    }
}

/// One Git call being put together.
#[derive(Debug)]
pub struct Call {
    pub(super) what: String,
    pub(super) global: Vec<OsString>,
    pub(super) args: Vec<OsString>,
    pub(super) env: Vec<(String, OsString)>,
    pub(super) reads: Vec<PathBuf>,
    pub(super) writes: Vec<PathBuf>,
    pub(super) stdin: Stdin,
    pub(super) stdout: Stdout,
    pub(super) keep: Vec<std::os::fd::OwnedFd>,
    pub(super) user: Option<User>,
    /// It is not ended when the host dies: it must end by itself then.
    pub(super) outlives: bool,
}

impl Call {
    pub fn args<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn arg(self, arg: impl Into<OsString>) -> Self {
        self.args([arg])
    }

    /// Arguments before the command word, such as `-c name=value`.
    pub fn global<A: Into<OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.global.extend(args.into_iter().map(Into::into));
        self
    }

    pub fn env(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// Lets the process read a folder besides its repository.
    pub fn reads(mut self, path: &Path) -> Self {
        self.reads.push(path.to_owned());
        self
    }

    /// Lets the process write a folder.
    pub fn writes(mut self, path: &Path) -> Self {
        self.writes.push(path.to_owned());
        self
    }

    pub fn stdin(mut self, stdin: Stdin) -> Self {
        self.stdin = stdin;
        self
    }

    pub fn stdout(mut self, stdout: Stdout) -> Self {
        self.stdout = stdout;
        self
    }

    /// Captures up to `limit` bytes of standard output instead of 1 MiB.
    pub fn capture(self, limit: usize) -> Self {
        self.stdout(Stdout::Capture { limit })
    }
}
