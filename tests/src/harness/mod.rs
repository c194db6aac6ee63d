//! The whole program under test: its data directory, policy and neighbours in a scratch directory; started, killed, started again, asked.
//!
//! What is known of the command line and of the places of files is here and in `setup.rs`; what the journal says is read in `journal.rs`.

mod journal;
mod leftovers;
mod setup;

pub use journal::{Entry, Journal};
pub use setup::{Setup, Texts};

use crate::process::{self, Backoff, Output};
use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    fs::{self, File},
    os::unix::net::UnixStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// How long the program may take to open its control socket: it may have to compile every plugin first.
const READY: Duration = Duration::from_secs(120);
/// How long one command may take.
const COMMAND: Duration = Duration::from_secs(60);
/// How long an orderly stop may take.
const STOP: Duration = Duration::from_secs(30);

/// Waits for an answer where a test is no part of a runtime.
pub fn wait<T>(answer: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(answer)
}

/// An installation, running or not.
pub struct Host {
    program: PathBuf,
    env: Vec<(String, String)>,
    child: Option<Child>,
    /// Last, so that everything in it has ended before it is removed.
    dir: TempDir,
}

impl Host {
    /// Where everything of this installation lies.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn data(&self) -> PathBuf {
        self.dir().join("data")
    }

    /// What the program printed so far, over all its starts.
    pub fn log(&self) -> String {
        fs::read_to_string(self.dir().join("host.log")).unwrap_or_default()
    }

    /// The program with this installation's environment, settings and data, and nothing of ours. The settings are named, so that no list of
    /// a user's installations has a say.
    pub fn command(&self, args: &[&str]) -> Command {
        self.command_on(&self.data(), args)
    }

    /// The same on another data directory.
    pub fn command_on(&self, data: &Path, args: &[&str]) -> Command {
        let mut command = process::command(&self.program);
        command
            .current_dir(self.dir())
            .env("HOME", self.dir().join("home"))
            .envs(self.env.iter().map(|(name, value)| (name, value)));
        command.arg("--config").arg(self.dir().join("borg.toml")).arg("--data").arg(data).args(args);
        command
    }

    /// Starts `borg-host run` and waits until its control socket takes connections.
    ///
    /// # Errors
    /// When it ends before, or does not open the socket in time; with its log.
    pub fn start(&mut self) -> Result<()> {
        anyhow::ensure!(self.child.is_none(), "the host runs already");
        let log = File::options().create(true).append(true).open(self.dir().join("host.log"))?;
        let mut run = self.command(&["run"]);
        // Its input stays open: an end of input is a wish to stop where a person types.
        run.stdin(Stdio::piped()).stdout(log.try_clone()?).stderr(log);
        self.child = Some(run.spawn().with_context(|| format!("starting {}", self.program.display()))?);
        self.wait_ready()
    }

    fn wait_ready(&mut self) -> Result<()> {
        let socket = self.data().join("control.sock");
        let deadline = Instant::now() + READY;
        let mut pauses = Backoff::default();
        loop {
            if UnixStream::connect(&socket).is_ok() {
                return Ok(());
            }
            let child = self.child.as_mut().context("the host was started")?;
            if let Some(status) = child.try_wait()? {
                self.child = None;
                bail!("the host ended with {status} before it was ready:\n{}", self.log());
            }
            if !pauses.pause_until(deadline) {
                bail!("the host did not open {} within {READY:?}:\n{}", socket.display(), self.log());
            }
        }
    }

    /// SIGKILL: nothing of the program gets to clean up.
    pub fn kill(&mut self) -> Result<()> {
        let mut child = self.child.take().context("the host does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// SIGTERM, and waits for the end; gives the exit code.
    pub fn stop(&mut self) -> Result<Option<i32>> {
        let mut child = self.child.take().context("the host does not run")?;
        let pid = nix::unistd::Pid::from_raw(child.id().try_into()?);
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM)?;
        match process::wait(&mut child, STOP)? {
            Some(ended) => Ok(ended.0),
            None => {
                child.kill()?;
                child.wait()?;
                bail!("the host did not stop within {STOP:?}:\n{}", self.log())
            }
        }
    }

    pub fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::id)
    }

    /// True when the program ended by itself.
    pub fn has_ended(&mut self) -> Result<bool> {
        match self.child.as_mut() {
            Some(child) => Ok(child.try_wait()?.is_some()),
            None => Ok(true),
        }
    }

    /// Runs one command to its end.
    pub fn cli(&self, args: &[&str]) -> Result<Output> {
        self.cli_with(args, "")
    }

    /// Runs one command that reads from standard input.
    pub fn cli_with(&self, args: &[&str], stdin: &str) -> Result<Output> {
        process::run(self.command(args), stdin, COMMAND)
    }

    /// Runs one command with `--json`, which must succeed.
    pub fn json(&self, args: &[&str]) -> Result<Value> {
        let output = self.cli(&[args, &["--json"]].concat())?;
        anyhow::ensure!(
            output.code == Some(0),
            "{}: code {:?}\n{}{}",
            args.join(" "),
            output.code,
            output.stdout,
            output.stderr
        );
        output.json()
    }

    /// Adds a task and gives its number.
    pub fn task(&self, repository: &str, pipeline: &str, title: &str, description: &str) -> Result<u64> {
        let mut args = vec!["task", "add", "--repo", repository, "--pipeline", pipeline];
        if !description.is_empty() {
            args.extend(["--description", description]);
        }
        let added = self.json(&[&args[..], &[title]].concat())?;
        let id = added["id"].as_u64().or_else(|| added["task"].as_u64());
        id.with_context(|| format!("`task add` told no id: {added}"))
    }

    /// Where a task stands, in one word.
    pub fn status(&self, task: u64) -> Result<String> {
        let shown = self.json(&["task", "show", &task.to_string()])?;
        let status = shown["status"].as_str().map(str::to_owned);
        status.with_context(|| format!("`task show` told no status: {shown}"))
    }

    /// Waits until a task has ended or waits for a person, and gives its status.
    pub fn settled(&self, task: u64, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        let mut journal = self.journal(task)?;
        loop {
            // Asked anew after each event: what an event changes is saved together with it.
            let more = journal.wait_more(deadline)?;
            let status = self.status(task)?;
            if !matches!(status.as_str(), "queued" | "running" | "approved" | "parked") {
                return Ok(status);
            }
            anyhow::ensure!(more, "the journal of task {task} ended while it is {status}");
        }
    }

    /// A task's journal so far.
    pub fn entries(&self, task: u64) -> Result<Vec<Entry>> {
        match self.json(&["task", "log", &task.to_string()])? {
            Value::Array(entries) => Ok(entries.into_iter().map(Entry).collect()),
            single => Ok(vec![Entry(single)]),
        }
    }

    /// Ids of this installation's containers, running or not.
    pub fn containers(&self) -> Vec<String> {
        leftovers::containers(self.dir())
    }

    /// What the engine tells of each of this installation's containers, by one of its formats (`{{.HostConfig.Memory}}`).
    pub fn told_of_containers(&self, format: &str) -> Vec<String> {
        leftovers::told(self.dir(), format)
    }

    /// Waits until a file turns up that a run made in one of its folders, such as `out/ready`; gives its path.
    ///
    /// # Errors
    /// After `limit`.
    pub fn file_of_run(&self, file: &str, limit: Duration) -> Result<PathBuf> {
        let deadline = Instant::now() + limit;
        let mut pauses = Backoff::default();
        loop {
            let runs = fs::read_dir(self.data().join("runs")).into_iter().flatten().flatten();
            if let Some(path) = runs.map(|run| run.path().join(file)).find(|path| path.exists()) {
                return Ok(path);
            }
            anyhow::ensure!(pauses.pause_until(deadline), "no run made {file} within {limit:?}:\n{}", self.log());
        }
    }

    /// Follows the journal of a task from its beginning.
    pub fn journal(&self, task: u64) -> Result<Journal> {
        Journal::follow(self.command(&["task", "log", &task.to_string(), "--follow", "--json"]))
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            // Best effort: it may have ended by itself.
            drop(child.kill());
            drop(child.wait());
        }
        leftovers::remove(self.dir());
        if std::thread::panicking() {
            eprintln!("---- log of the host ----\n{}", self.log());
        }
    }
}
