//! What a host may leave behind and must not: containers, directories of runs, lent repositories, sockets, processes.

use crate::{harness::Host, process};
use anyhow::{Context, Result};
use std::{
    fs,
    os::unix::fs::FileTypeExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

const LIMIT: Duration = Duration::from_secs(30);

/// A container of an installation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    pub id: String,
    /// Such as `t1-s0-a1-agent`.
    pub run: String,
    /// Such as `running` or `exited`.
    pub state: String,
}

/// Id of the installation, as its containers carry it.
pub fn installation(host: &Host) -> Result<String> {
    let text = fs::read_to_string(host.data().join("installation.json")).context("the installation has no identity")?;
    let identity: serde_json::Value = serde_json::from_str(&text)?;
    Ok(identity["id"].as_str().context("the identity has no id")?.to_owned())
}

/// Containers of this installation, whatever their state; none without an engine.
pub fn containers(host: &Host) -> Result<Vec<Container>> {
    let label = format!("label=borg.installation={}", installation(host)?);
    let format = "{{.ID}} {{.Label \"borg.run\"}} {{.State}}";
    let mut list = process::command("docker");
    list.args(["ps", "--all", "--no-trunc", "--filter", &label, "--format", format]);
    let Ok(output) = process::run(list, "", LIMIT) else { return Ok(Vec::new()) };
    let rows = output.stdout.lines().map(|line| {
        let mut words = line.split(' ').map(str::to_owned);
        let (id, run, state) = (words.next(), words.next(), words.next());
        Some(Container { id: id?, run: run?, state: state? })
    });
    rows.collect::<Option<_>>().context("`docker ps` printed something else")
}

/// Kills a container from outside, as an operator or an engine that restarts would.
pub fn kill_container(id: &str) -> Result<()> {
    engine(&["kill", id])
}

/// Removes a container from outside.
pub fn remove_container(id: &str) -> Result<()> {
    engine(&["rm", "--force", "--volumes", id])
}

fn engine(args: &[&str]) -> Result<()> {
    let mut docker = process::command("docker");
    docker.args(args);
    let output = process::run(docker, "", LIMIT)?;
    anyhow::ensure!(output.code == Some(0), "docker {}: {}", args.join(" "), output.stderr);
    Ok(())
}

/// Everything that is left of runs, one line each: empty when all tasks have ended.
pub fn of_runs(host: &Host) -> Result<Vec<String>> {
    let mut left: Vec<String> =
        containers(host)?.into_iter().map(|found| format!("container of {} ({})", found.run, found.state)).collect();
    for folder in ["runs", "tasks", "quarantine"] {
        let folder = host.data().join(folder);
        for entry in fs::read_dir(&folder).with_context(|| format!("reading {}", folder.display()))? {
            left.push(entry?.path().display().to_string());
        }
    }
    Ok(left)
}

/// Waits until nothing is left of any run: clearing up is the last thing a host does for a task.
///
/// # Errors
/// When something is still there after `limit`, with what it is.
pub fn until_nothing_of_runs(host: &Host, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    let mut pauses = process::Backoff::default();
    loop {
        let left = of_runs(host)?;
        if left.is_empty() {
            return Ok(());
        }
        anyhow::ensure!(pauses.pause_until(deadline), "left behind after {limit:?}:\n{}", left.join("\n"));
    }
}

/// Everything that is left of a host that was stopped, beside its data.
pub fn of_host(host: &Host) -> Result<Vec<String>> {
    let mut left = of_runs(host)?;
    sockets(&host.data(), &mut left)?;
    left.extend(processes(host.dir())?);
    Ok(left)
}

fn sockets(folder: &Path, found: &mut Vec<String>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_socket() {
            found.push(format!("socket {}", entry.path().display()));
        } else if kind.is_dir() {
            sockets(&entry.path(), found)?;
        }
    }
    Ok(())
}

/// Processes whose command line or directory lies below `dir`.
pub fn processes(dir: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let proc: PathBuf = entry?.path();
        let is_process =
            proc.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.parse::<u32>().is_ok());
        if !is_process {
            continue;
        }
        // One that ended meanwhile is none.
        let Ok(cmdline) = fs::read(proc.join("cmdline")) else { continue };
        let cmdline = String::from_utf8_lossy(&cmdline).replace('\0', " ");
        let cwd = fs::read_link(proc.join("cwd")).unwrap_or_default();
        if cmdline.contains(&*dir.to_string_lossy()) || cwd.starts_with(dir) {
            found.push(format!("process {}: {cmdline}", proc.display()));
        }
    }
    Ok(found)
}

/// Waits until a condition holds that the system gives no event for.
///
/// # Errors
/// When it does not within `limit`.
pub fn until(limit: Duration, what: &str, mut holds: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + limit;
    let mut pauses = process::Backoff::default();
    while !holds()? {
        anyhow::ensure!(pauses.pause_until(deadline), "not within {limit:?}: {what}");
    }
    Ok(())
}
