//! The whole program: how soon it answers after a start with all plugins cached, what it then holds in memory, and what an agent's
//! attempt costs from its orders to the commit.

use crate::run;
use anyhow::{Context, Result, ensure};
use borg_tests::{
    harness::{Entry, Host, Setup},
    measure::{PATIENCE, Row, compare, median},
    process,
    repo::Repo,
};
use std::{
    fs,
    os::unix::net::UnixStream,
    path::Path,
    process::{Child, Stdio},
    time::Instant,
};

const STARTS: usize = 9;
const ATTEMPTS: usize = 7;
const REPOSITORY: &str = "bench/shop";
/// What the scripted agent plays: one small file.
const SCRIPT: &str = "[[step]]\n[[step.do]]\nwrite = \"hello.txt\"\ntext = \"hello\\n\"\n";

pub async fn measure() -> Result<()> {
    starts().await?;
    attempts().await
}

fn setup() -> Result<Setup> {
    Setup::new().context("run `cargo xtask build`")
}

/// Starts with all plugins compiled, over the time the same program takes to print its version.
async fn starts() -> Result<()> {
    let setup = setup()?;
    let mut host = if run::is_possible() { setup } else { setup.policy("[host]\nsandbox = \"local\"")? }.write()?;
    // Compiles the plugins.
    host.start()?;
    host.stop()?;
    let mut memory = Vec::new();
    let started = compare(
        STARTS,
        async || {
            let (seconds, held) = start_once(&host)?;
            memory.push(held);
            Ok(seconds)
        },
        async || {
            let start = Instant::now();
            process::run(host.command(&["--version"]), "", PATIENCE)?.success();
            Ok(start.elapsed().as_secs_f64())
        },
    )
    .await?;
    println!("{}", Row::times("cold start with all plugins cached, over `borg-host --version`", started));
    let of = |pick: fn(&Memory) -> f64| median(memory.iter().map(pick).collect());
    let (resident, own) = (of(|memory| memory.resident), of(|memory| memory.own));
    let figure = format!("{resident:.0} MiB, {own:.0} of them its own");
    println!("{}", Row::alone("memory of the idle host, resident, after one command", figure));
    Ok(())
}

/// Resident memory in MiB: all of it, and without pages of files.
pub struct Memory {
    pub resident: f64,
    pub own: f64,
}

/// Seconds until the control socket takes connections, and the memory held after a first command.
fn start_once(host: &Host) -> Result<(f64, Memory)> {
    let mut command = host.command(&["run"]);
    let start = Instant::now();
    let mut child = Running(command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?);
    let socket = host.data().join("control.sock");
    while UnixStream::connect(&socket).is_err() {
        ensure!(child.0.try_wait()?.is_none(), "the host ended at its start");
        ensure!(start.elapsed() < PATIENCE, "the host does not open {}", socket.display());
        std::thread::yield_now();
    }
    let seconds = start.elapsed().as_secs_f64();
    host.cli(&["task", "list"])?.success();
    let memory = memory(child.0.id())?;
    drop(child);
    Ok((seconds, memory))
}

/// A host that ends with the round.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// Reads `/proc/PID/status`. (proc_pid_status(5))
pub fn memory(pid: u32) -> Result<Memory> {
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let mebibytes = |field: &str| -> Result<f64> {
        let line = status.lines().find_map(|line| line.strip_prefix(field)).with_context(|| format!("no {field}"))?;
        let kibibytes: f64 = line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse()?;
        Ok(kibibytes / 1024.0)
    };
    Ok(Memory { resident: mebibytes("VmRSS")?, own: mebibytes("RssAnon")? })
}

/// An attempt of the scripted agent in a running host: work tree, gateway socket, sandbox, reading, collection, all journalled.
async fn attempts() -> Result<()> {
    if !run::is_possible() {
        return Ok(());
    }
    let repo = Repo::new()?.file(".borg/script.toml", SCRIPT)?.file("shop.py", "price = 1\n")?.commit("Base")?;
    let setup = setup()?.repository(REPOSITORY, &repo, Some("true"))?.executor("scripted");
    let host = setup.start()?;
    let bare = run::Bare::new().await?;
    let attempt = compare(ATTEMPTS, async || attempt(&host), async || bare.docker_run()).await?;
    println!("{}", Row::times("an agent's whole attempt, orders to commit, over `docker run /bin/true`", attempt));
    Ok(())
}

/// Seconds between the journal's `briefed` and `collected`.
fn attempt(host: &Host) -> Result<f64> {
    let task = host.task(REPOSITORY, "quick", "Write hello.txt", "")?;
    let ended = host.settled(task, PATIENCE)?;
    let entries = host.entries(task)?;
    let at = |kind: &str| -> Result<f64> {
        let entry = entries.iter().find(|entry| entry.kind() == kind);
        entry.and_then(at_ms).with_context(|| format!("task {task} is {ended} and was never {kind}; {}", host.log()))
    };
    Ok((at("collected")? - at("briefed")?) / 1e3)
}

fn at_ms(entry: &Entry) -> Option<f64> {
    entry.0.get("event").unwrap_or(&entry.0)["at_ms"].as_f64()
}
