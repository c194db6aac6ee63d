//! How the host runs Git: one program, our own configuration, a clean environment, confined where a launcher is at hand.
//!
//! No Git process ever has an agent-written directory as its working directory or work tree: every call names a bare
//! repository of ours by `--git-dir` and starts in an empty folder. Repositories of others are only spoken to over a pair of
//! pipes ([`link`]), by a second Git process that runs as their owner. What is fetched or pushed is left to the callers.

mod call;
pub mod config;
pub mod link;
pub mod mirror;
mod modules;
pub mod source;

pub use call::{Call, Settings};
pub use config::EMAIL;

use self::mirror::{Locks, Mirror, MirrorLock};
use crate::spawn::{self, Confinement, Output, Running, Spawner, Spec, Stdin, Stdout, Stop};
use borg_core::collect::CommitId;
use std::{
    ffi::OsString,
    io,
    path::{Path, PathBuf},
    time::Duration,
};

/// How long a Git process that is not wanted any more may take to remove its lock files.
const PATIENCE: Duration = Duration::from_secs(5);

/// What Git says (in the C locale) of a lock that was still there when it had waited long enough.
pub const LOCKED: &str = ".lock': File exists";

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
    locks: Locks,
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
        Ok(Git { spawner, settings, home, config, locks: Locks::default() })
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

    /// Waits until nobody else has the lock of this mirror. Who has it already waits for ever.
    pub async fn lock(&self, mirror: &Mirror) -> MirrorLock {
        self.locks.lock(mirror).await
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
