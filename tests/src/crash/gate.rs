//! Agents that wait in the middle of their work until the test lets them go on: no test has to guess how long something takes.

use crate::{harness::Host, repo::Repo};
use anyhow::{Context, Result};
use std::fs::File;

/// What the agent waits for, in its home.
const GATE: &str = "go";
/// What it says before and after.
pub const BEFORE: &str = "waiting at the gate";
pub const AFTER: &str = "through the gate";

/// A repository whose worker waits at the gate in every attempt, then does what the scenario `quick` asks for.
pub fn repo() -> Result<Repo> {
    super::repo("quick", |script| {
        let step = "[[step]]\npersona = \"worker\"\n";
        let wait = format!("until [ -e \\\"$HOME/{GATE}\\\" ]; do sleep 0.02; done");
        let gate = format!(
            "{step}\n[[step.do]]\nsay = \"{BEFORE}\"\n\n[[step.do]]\nrun = \"{wait}\"\nmust = true\n\n[[step.do]]\nsay = \"{AFTER}\"\n"
        );
        script.replacen(step, &gate, 1)
    })
}

/// Lets the agent of a run go on, whether or not the host runs.
pub fn open(host: &Host, run: &str) -> Result<()> {
    let gate = host.data().join("runs").join(run).join("home/home").join(GATE);
    File::create(&gate).map(drop).with_context(|| format!("opening {}", gate.display()))
}
