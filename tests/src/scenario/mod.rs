//! Scenarios: one task through the whole host, described by a folder under `tests/scenarios/`.
//!
//! | file | holds |
//! |---|---|
//! | `scenario.toml` | what a person asks for and then does ([`Scenario`]) |
//! | `repo/` | the repository's only commit; the scripted agent's script is in it (`.borg/script.toml`) |
//! | `policy.toml` | laid over the shipped policies; may be absent |
//! | `model.toml` | with `agent = "claude-code"`: what the model API plays ([`crate::messages_api::Script`]) |
//! | `expected.toml` | what must come of it ([`Expected`]) |

mod transcript;

pub use transcript::{Expected, observe};

use crate::{
    harness::{Host, Setup},
    messages_api::{MessagesApi, Options, Script, Seen},
    repo::Repo,
    require,
};
use anyhow::{Context, Result, bail};
use serde::Deserialize;
use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

/// Name under which the repository is granted.
pub const REPOSITORY: &str = "acme/shop";
/// Image the shipped policies name.
const IMAGE: &str = "borg-base:latest";
const KEY: &str = "sk-ant-api-scenario-key";
/// What stands for it in the container.
const PLACEHOLDER: &str = "sk-ant-borg-placeholder";
/// How long one step of a scenario may take.
const LIMIT: Duration = Duration::from_secs(240);

/// What a person asks for and then does.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Scenario {
    /// What it shows, in a sentence.
    pub summary: String,
    pub title: String,
    #[serde(default)]
    pub description: String,
    pub pipeline: String,
    /// The repository's test command.
    pub check: Option<String>,
    #[serde(default)]
    pub agent: Agent,
    /// True when it makes no sense in the local sandbox.
    #[serde(default)]
    pub needs_engine: bool,
    /// Done one after the other, each when the task waits or has ended: `approve`, `reject`, `cancel`, `retry`.
    #[serde(default)]
    pub then: Vec<String>,
}

/// Who works in a scenario.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Agent {
    #[default]
    Scripted,
    ClaudeCode,
}

/// What became of a scenario.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    AsExpected,
    /// The machine lacks something; it was said.
    Skipped,
}

/// Plays the scenario in a folder.
///
/// # Errors
/// When something else came of it than `expected.toml` says; the message holds what did, in that file's form.
pub fn play(folder: &Path) -> Result<Outcome> {
    let scenario: Scenario = read(folder, "scenario.toml")?;
    let expected: Expected = read(folder, "expected.toml")?;
    let Some(played) = Played::start(folder, &scenario)? else { return Ok(Outcome::Skipped) };
    let task = played.host.task(REPOSITORY, &scenario.pipeline, &scenario.title, &scenario.description)?;
    let mut status = played.host.settled(task, LIMIT)?;
    for step in &scenario.then {
        played.host.cli(&["task", step, &task.to_string()])?.success();
        status = played.host.settled(task, LIMIT)?;
    }
    let actual = observe(&status, &played.host.entries(task)?, &played.repo)?;
    if let Err(error) = expected.compare(&actual, &played.repo) {
        // As a person would look into it.
        let log = played.host.cli(&["task", "log", &task.to_string()])?.stdout;
        return Err(error.context(format!("not as expected; the log of the task:\n{log}")));
    }
    if let Some(api) = &played.api {
        let wrong = |seen: &Seen| seen.header("x-api-key") != Some(KEY) || seen.mentions(PLACEHOLDER);
        let stranger = api.asked().into_iter().find(wrong);
        anyhow::ensure!(
            stranger.is_none(),
            "a request came without the host's key, or with the container's: {stranger:?}"
        );
        let problems = api.problems();
        anyhow::ensure!(problems.is_empty(), "the model API was surprised:\n{}", problems.join("\n"));
    }
    Ok(Outcome::AsExpected)
}

struct Played {
    host: Host,
    repo: Repo,
    api: Option<MessagesApi>,
}

impl Played {
    fn start(folder: &Path, scenario: &Scenario) -> Result<Option<Self>> {
        let Some(mut setup) = Setup::new() else { return Ok(None) };
        let repo = Repo::from_folder(&folder.join("repo"))?;
        setup = setup.repository(REPOSITORY, &repo, scenario.check.as_deref())?;
        let engine = require::has_image(IMAGE);
        if !engine {
            if scenario.needs_engine || scenario.agent == Agent::ClaudeCode {
                require::skip(&format!("no Docker engine with the image {IMAGE}"));
                return Ok(None);
            }
            if !require::python() {
                return Ok(None);
            }
            setup = setup.policy("[host]\nsandbox = \"local\"")?;
        }
        let mut api = None;
        setup = match scenario.agent {
            Agent::Scripted => setup.executor("scripted"),
            Agent::ClaudeCode => {
                let Some(claude) = require::claude_bundle() else { return Ok(None) };
                let text = fs::read_to_string(folder.join("model.toml")).context("reading model.toml")?;
                let started = api.insert(MessagesApi::start(Options::new(KEY, Script::from_toml(&text)?))?);
                setup.executor("claude-code").agent(&claude)?.model_api(started, KEY)?
            }
        };
        if let Ok(text) = fs::read_to_string(folder.join("policy.toml")) {
            setup = setup.policy(&text).context("in policy.toml")?;
        }
        Ok(Some(Self { host: setup.start()?, repo, api }))
    }
}

fn read<T: serde::de::DeserializeOwned>(folder: &Path, name: &str) -> Result<T> {
    let text = fs::read_to_string(folder.join(name)).with_context(|| format!("reading {name}"))?;
    toml::from_str(&text).with_context(|| format!("in {name}"))
}

/// Reads all of a scenario without playing it: what is wrong with it shows even where it cannot run.
pub fn read_all(folder: &Path) -> Result<()> {
    let scenario: Scenario = read(folder, "scenario.toml")?;
    read::<Expected>(folder, "expected.toml")?;
    if scenario.agent == Agent::ClaudeCode {
        read::<Script>(folder, "model.toml")?;
    }
    anyhow::ensure!(folder.join("repo").is_dir(), "repo/ is missing");
    Ok(())
}

/// The scenarios below a folder, sorted.
pub fn folders(scenarios: &Path) -> Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = fs::read_dir(scenarios)?.map(|entry| Ok(entry?.path())).collect::<Result<_>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    anyhow::ensure!(!folders.is_empty(), "no scenario below {}", scenarios.display());
    Ok(folders)
}

/// Plays every scenario below a folder; the names of those that were skipped.
///
/// # Errors
/// With all failures together.
pub fn play_all(scenarios: &Path) -> Result<Vec<String>> {
    let (mut skipped, mut failed) = (Vec::new(), Vec::new());
    for folder in folders(scenarios)? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        match play(&folder) {
            Ok(Outcome::AsExpected) => eprintln!("{name}: as expected"),
            Ok(Outcome::Skipped) => skipped.push(name),
            Err(error) => failed.push(format!("==== {name}\n{error:#}")),
        }
    }
    if failed.is_empty() { Ok(skipped) } else { bail!("{}", failed.join("\n\n")) }
}
