//! What tests need that kill the host, start it again, and look for what it left: moments to kill at, a warm start, and the traces of work.
//!
//! The harness itself starts and kills ([`crate::harness`]); which moments, and what must hold afterwards, is the tests' to say.

pub mod gate;
pub mod moment;
pub mod output;
pub mod refs;
pub mod small_disk;
pub mod traces;
pub mod warm;

use crate::{
    harness::{Host, Setup},
    repo::Repo,
    require,
};
use anyhow::Result;
use std::{fs, path::Path};

/// Image the shipped policies name.
const IMAGE: &str = "borg-base:latest";

/// Where the scripted agent's script lies in a repository.
const SCRIPT: &str = ".borg/script.toml";

/// Where agents and checks of a test run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sandbox {
    Docker,
    Local,
}

impl Sandbox {
    /// The strongest one there is on this machine.
    pub fn strongest() -> Self {
        if require::has_image(IMAGE) { Sandbox::Docker } else { Sandbox::Local }
    }
}

/// The shipped policies with the scripted agent, for a repository in Python; none when the program is not built or nothing could run it.
#[track_caller]
pub fn setup(sandbox: Sandbox) -> Option<Setup> {
    // Containers bring their own.
    if sandbox == Sandbox::Local && !require::python() {
        return None;
    }
    setup_of_any(sandbox)
}

/// The same for a repository of any language.
#[track_caller]
pub fn setup_of_any(sandbox: Sandbox) -> Option<Setup> {
    let setup = Setup::new()?.executor("scripted").env("RUST_LOG", "info");
    Some(match sandbox {
        Sandbox::Docker => setup,
        Sandbox::Local => setup.policy("[host]\nsandbox = \"local\"").expect("the line above is TOML"),
    })
}

/// Starts an installation with plugins that another test has compiled already.
pub fn start(setup: Setup) -> Result<Host> {
    let mut host = setup.write()?;
    warm::before(&host)?;
    host.start()?;
    warm::after(&host)?;
    Ok(host)
}

/// A repository that holds what a scenario of `tests/scenarios/` works on, with its script changed.
pub fn repo(scenario: &str, script: impl Fn(&str) -> String) -> Result<Repo> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios").join(scenario).join("repo");
    let written = fs::read_to_string(folder.join(SCRIPT))?;
    Repo::from_folder(&folder)?.file(SCRIPT, &script(&written))?.commit("Script")
}
