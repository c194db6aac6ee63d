//! How the host runs Git: one program, our own configuration, a clean environment, confined where a launcher is at hand.
//!
//! No Git process ever has an agent-written directory as its working directory or work tree: every call names a bare
//! repository of ours by `--git-dir` and starts in an empty folder. Repositories of others are only spoken to over a pair of
//! pipes ([`link`]), by a second Git process that runs as their owner. What is fetched or pushed is left to the callers.

pub mod config;
pub mod link;
pub mod mirror;
mod modules;
pub mod source;

use crate::spawn::{self, Confinement, Output, Running, Spawner, Spec, Stdin, Stdout, Stop, User};
use borg_core::collect::CommitId;
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// E-mail of borg as author of pushes and committer of changes; the domain can never exist (RFC 2606).
pub const EMAIL: &str = "borg@borg.invalid";

/// How long a Git process that is not wanted any more may take to remove its lock files.
const PATIENCE: Duration = Duration::from_secs(5);

/// What Git says (in the C locale) of a lock that was still there when it had waited long enough.
pub const LOCKED: &str = ".lock': File exists";

/// How Git is run; part of the host's settings.
#[derive(Clone, Debug)]
pub struct Settings {
    pub program: PathBuf,
    /// `borg-init`; without it Git runs unconfined, which [`Git::is_confined`] tells.
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

/// Why a Git call gave no result.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Spawn(#[from] spawn::Error),
    #[error("git {what} failed{}: {stderr}", code.map(|code| format!(" (exit {code})")).unwrap_or_default())]
    Failed { what: String, code: Option<i32>, stderr: String },
    #[error("git {what} took longer than {seconds} s; raise the time limit if the repository is that large")]
    TimedOut { what: String, seconds: u64 },
    #[error("git {what} printed more than its limit")]
    TooMuch { what: String },
    #[error("cannot prepare git's folder {}", path.display())]
    Prepare { path: PathBuf, source: io::Error },
    #[error("cannot remove the stale lock {}", path.display())]
    Stale { path: PathBuf, source: io::Error },
    #[error("cannot make a pipe for git")]
    Pipe(#[source] io::Error),
}

/// Runs Git; clones share the configuration.
#[derive(Clone, Debug)]
pub struct Git {
    spawner: Spawner,
    settings: Settings,
    /// An empty folder: working directory and home of every call.
    home: PathBuf,
    config: PathBuf,
    locks: mirror::Locks,
}

impl Git {
    /// Writes our configuration below `data_dir` and checks nothing yet; [`Git::version`] tells whether the program is there.
    pub fn open(data_dir: &Path, spawner: Spawner, settings: Settings) -> Result<Self, Error> {
        let dir = data_dir.join("git");
        let home = dir.join("home");
        let config = dir.join("config");
        let prepare = |path: &Path, result: io::Result<()>| {
            result.map_err(|source| Error::Prepare { path: path.to_owned(), source })
        };
        prepare(&home, std::fs::create_dir_all(&home))?;
        let fresh = dir.join("config.new");
        prepare(&fresh, std::fs::write(&fresh, config::file()))?;
        prepare(&config, std::fs::rename(&fresh, &config))?;
        Ok(Git { spawner, settings, home, config, locks: mirror::Locks::default() })
    }

    /// True when Git's processes are held by the kernel to the repositories they work on.
    pub fn is_confined(&self) -> bool {
        self.settings.launcher.is_some()
    }

    /// The version line of the installed Git.
    pub async fn version(&self) -> Result<String, Error> {
        let output = self.run(self.anywhere("version")).await?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    }

    /// A call on a bare repository of ours, which it may write.
    pub fn on(&self, git_dir: &Path, what: &str) -> Call {
        let mut call = self.anywhere(what).writes(git_dir);
        call.global.push(concat("--git-dir=", git_dir));
        call
    }

    /// A call that needs no repository.
    pub fn anywhere(&self, what: &str) -> Call {
        Call {
            what: what.to_owned(),
            global: Vec::new(),
            args: vec![what.into()],
            env: config::environment(&self.home, &self.config),
            reads: vec![self.home.clone(), self.config.clone()],
            writes: Vec::new(),
            stdin: Stdin::Null,
            stdout: Stdout::Capture { limit: 1 << 20 },
            keep: Vec::new(),
            user: None,
            outlives: false,
        }
    }

    /// Runs a call; anything but success is an error.
    pub async fn run(&self, call: Call) -> Result<Output, Error> {
        let what = call.what.clone();
        let output = self.spawner.run(self.spec(call)).await?;
        self.check(&what, output)
    }

    /// Runs a call and hands back its output whatever it exits with.
    pub async fn attempt(&self, call: Call) -> Result<Output, Error> {
        Ok(self.spawner.run(self.spec(call)).await?)
    }

    /// Points a ref of a repository of ours at `to` if it is at `from` now (None: if there is none). The caller holds the repository.
    pub async fn set_ref(
        &self,
        git_dir: &Path,
        name: &str,
        to: &CommitId,
        from: Option<&CommitId>,
    ) -> Result<(), Error> {
        let old = old_value(to, from);
        let set = || self.on(git_dir, "update-ref").args(["--no-deref", name, &to.0, &old]);
        let mut done = self.run(set()).await;
        if let Err(Error::Failed { stderr, .. }) = &done
            && stderr.contains(LOCKED)
        {
            // Git has waited longer than a cancelled call may live, and the caller holds the repository: the lock is a dead call's.
            let stale = git_dir.join(format!("{name}.lock"));
            tokio::fs::remove_file(&stale).await.map_err(|source| Error::Stale { path: stale, source })?;
            done = self.run(set()).await;
        }
        done.map(drop)
    }

    /// Starts a call with pipes; finish with [`Running::finish`], then [`Git::check`].
    pub async fn stream(&self, call: Call) -> Result<Running, Error> {
        Ok(self.spawner.stream(self.spec(call)).await?)
    }

    /// Turns a failed, late or overlong run into an error.
    pub fn check(&self, what: &str, output: Output) -> Result<Output, Error> {
        let what = what.to_owned();
        if output.timed_out {
            return Err(Error::TimedOut { what, seconds: self.settings.timeout.as_secs() });
        }
        if !output.status.success() {
            let stderr = match output.stderr.trim() {
                "" => format!("it ended with {}", output.status),
                text => text.to_owned(),
            };
            return Err(Error::Failed { what, code: output.status.code(), stderr });
        }
        if output.truncated {
            return Err(Error::TooMuch { what });
        }
        Ok(output)
    }

    fn spec(&self, call: Call) -> Spec {
        let confinement = self
            .settings
            .launcher
            .clone()
            .map(|launcher| Confinement { launcher, profile: config::profile(&self.settings, &call) });
        let Call { global, args, env, stdin, stdout, keep, user, what: _, reads: _, writes: _, outlives: _ } = call;
        Spec {
            args: global.into_iter().chain(args).collect(),
            env,
            cwd: self.home.clone(),
            stdin,
            stdout,
            keep,
            user,
            confinement,
            max_file_bytes: Some(self.settings.max_file_bytes),
            timeout: self.settings.timeout,
            stop: Stop::Ask(PATIENCE),
            ..Spec::new(&self.settings.program)
        }
    }
}

/// One Git call being put together.
#[derive(Debug)]
pub struct Call {
    what: String,
    global: Vec<OsString>,
    args: Vec<OsString>,
    env: Vec<(String, OsString)>,
    reads: Vec<PathBuf>,
    writes: Vec<PathBuf>,
    stdin: Stdin,
    stdout: Stdout,
    keep: Vec<std::os::fd::OwnedFd>,
    user: Option<User>,
    /// It is not ended when the host dies: it must end by itself then.
    outlives: bool,
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

/// How Git names what a ref must be at before it moves to `to`; zeroes for nothing. (git-update-ref(1))
pub fn old_value(to: &CommitId, from: Option<&CommitId>) -> String {
    from.map_or_else(|| "0".repeat(to.0.len()), |commit| commit.0.clone())
}

/// Joins an option and a path that need not be UTF-8.
pub fn concat(option: &str, path: &Path) -> OsString {
    let mut arg = OsString::from(option);
    arg.push(path);
    arg
}
