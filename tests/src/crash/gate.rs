//! Agents that wait in the middle of their work until the test lets them go on: no test has to guess how long something takes.

use super::output;
use crate::{
    harness::{Entry, Host},
    repo::Repo,
};
use anyhow::{Context, Result};
use std::{fs::File, time::Duration};

const LIMIT: Duration = Duration::from_secs(60);
/// What the agent waits for, in its home.
const GATE: &str = "go";
/// What it says before and after.
pub const BEFORE: &str = "waiting at the gate";
/// One line of no meaning.
pub const NOISE: &str =
    "The quick brown fox jumps over the lazy dog, again and again and again, until the disk is full of it.";
pub const AFTER: &str = "through the gate";

/// A repository whose worker waits at the gate in every attempt, then does what the scenario `quick` asks for.
pub fn repo() -> Result<Repo> {
    super::repo("quick", |script| {
        let step = "[[step]]\npersona = \"worker\"\n";
        script.replacen(step, &format!("{step}{}", actions()), 1)
    })
}

/// The same, but it waits when all its work is done; then it prints lines of no meaning, many if need be.
pub fn repo_waiting_last(noise: u32) -> Result<Repo> {
    let spam = format!("\n[[step.do]]\nspam = {noise}\ntext = \"{NOISE}\"\n");
    super::repo("quick", |script| format!("{script}{}{}", actions(), if noise > 0 { &spam } else { "" }))
}

fn actions() -> String {
    let wait = format!("until [ -e \\\"$HOME/{GATE}\\\" ]; do sleep 0.02; done");
    format!(
        "\n[[step.do]]\nsay = \"{BEFORE}\"\n\n[[step.do]]\nrun = \"{wait}\"\nmust = true\n\n[[step.do]]\nsay = \"{AFTER}\"\n"
    )
}

/// Waits until the n-th run of a task, counted from 1, waits at the gate, and gives its key.
pub fn reached(host: &Host, task: u64, nth: usize) -> Result<String> {
    let mut started = 0;
    let is_there = |entry: &Entry| {
        started += usize::from(entry.kind() == "run-started");
        started == nth && output::says(entry, BEFORE)
    };
    let entry = host.journal(task)?.wait(LIMIT, is_there).context("nobody came to the gate")?;
    output::run_of(&entry).context("an output is a run's")
}

/// Lets the agent of a run go on, whether or not the host runs.
pub fn open(host: &Host, run: &str) -> Result<()> {
    let gate = host.data().join("runs").join(run).join("home/home").join(GATE);
    File::create(&gate).map(drop).with_context(|| format!("opening {}", gate.display()))
}
