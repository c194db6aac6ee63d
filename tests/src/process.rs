//! The one place where tests start programs: with an explicit environment, a deadline, and both outputs drained.

use anyhow::{Context, bail};
use std::{
    io::{Read, Write},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Where programs of the system are looked up; children get no other.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A command that inherits nothing but the working directory.
#[expect(clippy::disallowed_methods, reason = "the one place where tests start programs")]
pub fn command(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new(program.as_ref());
    command.env_clear().env("PATH", PATH).env("LANG", "C.UTF-8").stdin(Stdio::null());
    command
}

/// How a program ended, and what it printed.
#[derive(Clone, Debug)]
pub struct Output {
    /// None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Output {
    /// The output of a program that must have succeeded.
    ///
    /// # Panics
    /// With everything it printed, when it did not.
    #[track_caller]
    pub fn success(self) -> Self {
        assert_eq!(self.code, Some(0), "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Each line of standard output as JSON, or all of it as one value.
    pub fn json(&self) -> anyhow::Result<serde_json::Value> {
        if let Ok(value) = serde_json::from_str(&self.stdout) {
            return Ok(value);
        }
        let lines = self.stdout.lines().filter(|line| !line.trim().is_empty());
        let values: Result<Vec<serde_json::Value>, _> = lines.map(serde_json::from_str).collect();
        Ok(serde_json::Value::Array(values.with_context(|| format!("not JSON: {}\n{}", self.stdout, self.stderr))?))
    }
}

/// Runs a command to its end, feeding `stdin`.
///
/// # Errors
/// When it cannot be started, or does not end within `limit`; it is killed then, and what it printed is in the message.
pub fn run(mut command: Command, stdin: &str, limit: Duration) -> anyhow::Result<Output> {
    let name = command.get_program().to_string_lossy().into_owned();
    let spawned = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.with_context(|| format!("starting {name}"))?;
    let mut input = child.stdin.take().expect("piped above");
    let text = stdin.to_owned();
    // A program may end without having read its input; that is no error of ours.
    thread::spawn(move || drop(input.write_all(text.as_bytes())));
    let stdout = drain(child.stdout.take().expect("piped above"));
    let stderr = drain(child.stderr.take().expect("piped above"));
    let ended = wait(&mut child, limit)?;
    if ended.is_none() {
        child.kill()?;
        child.wait()?;
    }
    let collect = |thread: thread::JoinHandle<Vec<u8>>| {
        String::from_utf8_lossy(&thread.join().expect("reading threads do not panic")).into_owned()
    };
    let (stdout, stderr) = (collect(stdout), collect(stderr));
    match ended {
        Some(code) => Ok(Output { code: code.0, stdout, stderr }),
        None => bail!("{name} did not end within {limit:?}\nstdout:\n{stdout}\nstderr:\n{stderr}"),
    }
}

/// An exit code, or none for a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended(pub Option<i32>);

/// Waits for a child to end, at most `limit`; none when it still runs.
pub fn wait(child: &mut Child, limit: Duration) -> anyhow::Result<Option<Ended>> {
    let deadline = Instant::now() + limit;
    let mut pauses = Backoff::default();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(Ended(status.code())));
        }
        if !pauses.pause_until(deadline) {
            return Ok(None);
        }
    }
}

/// Pauses that grow from 1 ms to 50 ms, for conditions the system gives no event for.
#[derive(Debug)]
pub struct Backoff(Duration);

impl Default for Backoff {
    fn default() -> Self {
        Self(Duration::from_millis(1))
    }
}

impl Backoff {
    /// Pauses, unless the deadline has passed; says whether it did.
    pub fn pause_until(&mut self, deadline: Instant) -> bool {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return false;
        }
        thread::sleep(self.0.min(left));
        self.0 = (self.0 * 2).min(Duration::from_millis(50));
        true
    }
}

fn drain(mut from: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        // What came before an error is kept: it is what a failing test shows.
        drop(from.read_to_end(&mut bytes));
        bytes
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_inherits_nothing() {
        let mut env = command("/usr/bin/env");
        env.env("ONLY", "this");
        let output = run(env, "", Duration::from_secs(10)).unwrap().success();
        let mut names: Vec<&str> =
            output.stdout.lines().filter_map(|line| line.split_once('=')).map(|(name, _)| name).collect();
        names.sort_unstable();
        assert_eq!(names, ["LANG", "ONLY", "PATH"]);
    }

    #[test]
    fn a_child_that_does_not_end_is_killed() {
        let mut cat = command("/bin/sleep");
        cat.arg("600");
        let error = run(cat, "", Duration::from_millis(50)).unwrap_err();
        assert!(error.to_string().contains("did not end"), "{error}");
    }
}
