//! Moments of a task's life, told by its journal and by what its runs leave on disk, so that nobody has to guess how long something takes.

use crate::{
    harness::{Entry, Host},
    repo::Repo,
};
use anyhow::{Context, Result};
use rusqlite::Connection;
use std::{
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

/// How long a task may take from one moment to the next.
const LIMIT: Duration = Duration::from_secs(60);
/// Pause between two looks for a sign: what follows it may take but a few milliseconds.
const LOOK: Duration = Duration::from_millis(1);

/// A stage, by its number, and a kind of run or effect.
pub type Of = (u64, &'static str);

/// A moment of a task: after an event is committed, and perhaps when a sign shows that what follows has begun.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    pub name: &'static str,
    /// The effect that is owed then.
    pub owes: Of,
    kind: &'static str,
    of: Option<Of>,
    /// Which of those that fit, from 1.
    nth: usize,
    sign: Sign,
}

/// What else must be seen.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    Nothing,
    /// A run's directory is there and about to be filled, whichever attempt it is.
    Directory(Of),
    /// A run's job is written, so its sandbox is about to start.
    Job(Of),
    /// A collection is at work.
    Quarantine,
    /// Something stands below this folder of refs in the mirror.
    InMirror(&'static str),
    /// A branch of ours stands in the repository that work is delivered to.
    Delivered,
    /// A container has ended.
    Exited(Of),
    /// So much later, whatever happens then.
    Later(Duration),
}

/// Keeps a host from saving anything: what it does meanwhile is done but not known to have been done.
pub struct Held(Connection);

impl Held {
    fn take(host: &Host) -> Result<Self> {
        let journal = Connection::open(host.data().join("journal.db"))?;
        journal.execute_batch("BEGIN IMMEDIATE").context("locking the journal")?;
        Ok(Self(journal))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // Closing the connection ends the transaction anyhow.
        drop(self.0.execute_batch("ROLLBACK"));
    }
}

impl Moment {
    /// The first event of a kind, about a run where one is named; from then on an effect is owed.
    pub const fn after(name: &'static str, kind: &'static str, of: Option<Of>, owes: Of) -> Self {
        Self { name, owes, kind, of, nth: 1, sign: Sign::Nothing }
    }

    /// Not the first but the n-th of those.
    pub const fn nth(mut self, nth: usize) -> Self {
        self.nth = nth;
        self
    }

    /// Not at once, but when this shows.
    pub const fn when(mut self, sign: Sign) -> Self {
        self.sign = sign;
        self
    }

    /// True where only containers show it.
    pub fn needs_engine(&self) -> bool {
        matches!(self.sign, Sign::Exited(_))
    }

    /// Waits for it. From the event on the journal is held, so that the owed effect may be done but not settled.
    ///
    /// # Errors
    /// When the task ends or rests before, or nothing comes in time.
    pub fn wait(&self, host: &Host, task: u64, target: &Repo) -> Result<Held> {
        let mut seen = 0;
        let fits = |entry: &Entry| entry.kind() == self.kind && self.of.is_none_or(|of| is_about(entry, of));
        let mut journal = host.journal(task)?;
        let waited = journal.wait(LIMIT, |entry| {
            seen += usize::from(fits(entry));
            seen == self.nth
        });
        waited.with_context(|| format!("waiting for the moment: {}", self.name))?;
        if let Sign::Later(time) = self.sign {
            // An instant that nothing tells is what is asked for: nothing is waited for here.
            thread::sleep(time);
            return Held::take(host);
        }
        let held = Held::take(host)?;
        let deadline = Instant::now() + LIMIT;
        while !self.sign.shows(host, target)? {
            anyhow::ensure!(Instant::now() < deadline, "no sign of the moment: {}", self.name);
            thread::sleep(LOOK);
        }
        Ok(held)
    }
}

impl Sign {
    fn shows(self, host: &Host, target: &Repo) -> Result<bool> {
        match self {
            Sign::Nothing | Sign::Later(_) => Ok(true),
            Sign::Directory(of) => Ok(!run_dirs(host, of)?.is_empty()),
            Sign::Job(of) => Ok(run_dirs(host, of)?.iter().any(|dir| dir.join("in/.borg-job.json").exists())),
            Sign::Quarantine => Ok(!below(&host.data().join("quarantine"))?.is_empty()),
            Sign::InMirror(part) => {
                for mirror in below(&host.data().join("mirrors"))? {
                    if !below(&mirror.join(part))?.is_empty() {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
            Sign::Delivered => Ok(!below(&target.path().join(".git/refs/heads/borg"))?.is_empty()),
            Sign::Exited((stage, kind)) => {
                let is_it =
                    |run: &str| run.starts_with(&format!("t1-s{stage}-a")) && run.ends_with(&format!("-{kind}"));
                let found = super::traces::containers(host)?;
                Ok(found.iter().any(|found| is_it(&found.run) && found.state == "exited"))
            }
        }
    }
}

/// Everything in a folder; nothing where there is none.
fn below(folder: &Path) -> Result<Vec<PathBuf>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.path())).collect(),
    }
}

/// True for an event about a run of this stage and kind.
pub fn is_about(entry: &Entry, (stage, kind): Of) -> bool {
    let run = &entry.body()["run"];
    run["stage"].as_u64() == Some(stage) && run["kind"] == kind
}

/// Directories of the first task's runs, of any attempt.
fn run_dirs(host: &Host, (stage, kind): Of) -> Result<Vec<PathBuf>> {
    let (begins, ends) = (format!("t1-s{stage}-a"), format!("-{kind}"));
    let mut found = below(&host.data().join("runs"))?;
    found.retain(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with(&begins) && name.ends_with(&ends)
    });
    Ok(found)
}
