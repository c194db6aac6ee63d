//! A task for the real Claude Code in a container of the whole host, with a stand-in as its model's provider.
//!
//! The repository is the small shop of `tests/scenarios/`. What the model says, and what goes wrong, is the test's to write.

use crate::{
    crash,
    harness::{Entry, Host, Setup, Texts},
    messages_api::{Expect, MessagesApi, Options, Persona, Script, Turn},
    repo::Repo,
    require,
};
use anyhow::Result;
use serde_json::json;
use std::{path::Path, time::Duration};

/// The host's key for the stand-in.
pub const KEY: &str = "sk-ant-api03-trial/key+of=the~host";
/// What stands for it in a container.
pub const PLACEHOLDER: &str = "sk-ant-borg-placeholder";
/// Name under which the repository is granted.
pub const REPOSITORY: &str = "acme/shop";
/// Its test command.
pub const CHECK: &str = "python3 -m unittest discover -v";
/// Image the shipped policies name.
pub const IMAGE: &str = "borg-base:latest";
/// The longest a task may take.
pub const LIMIT: Duration = Duration::from_secs(80);

/// A stage: what it is called, whose it is, and what is asked of it.
pub type Stage = [&'static str; 3];

/// The worker, whose tests must pass.
pub const WORKER: Stage = ["impl", "worker", "check = \"tests-pass\""];

/// A pipeline of these stages, and nothing that could be tried twice: an attempt that was used up ends the task.
pub fn once(name: &str, stages: &[Stage]) -> String {
    let stage = |stage: &str, lines: &str| format!("\n[[pipeline.{name}.stage]]\nname = \"{stage}\"\n{lines}\n");
    let begun: String = stages
        .iter()
        .map(|[called, persona, asked]| stage(called, &format!("persona = \"{persona}\"\n{asked}\nattempts = 1")))
        .collect();
    let ended = stage("judge", "rules = [\"*\"]") + &stage("deliver", "via = \"branch\"");
    format!("[pipeline.{name}]\nsummary = \"one attempt at each stage\"\n{begun}{ended}")
}

/// The stand-in caches nothing, so all of a conversation is billed anew with every turn. The agent itself asks once.
const POLICY: &str = r#"
[budget.default]
turns = 60
tokens = 5000000
cost = "$20.00"
wall = "30min"

[executor.claude-code.settings]
max-retries = 0
"#;

/// What adds `discounted` and its test, as a shell command.
pub const IMPLEMENT: &str = r#"
cat >> shop.py <<'END'


def discounted(cents, percent):
    return cents * (100 - percent) // 100
END
cat > tests/test_discount.py <<'END'
import unittest

import shop


class Discount(unittest.TestCase):
    def test_a_quarter_off(self):
        self.assertEqual(shop.discounted(1000, 25), 750)
END
"#;

/// An installation with a repository and a model.
pub struct Trial {
    pub host: Host,
    pub repo: Repo,
    pub api: MessagesApi,
}

impl Trial {
    /// Starts one; none when the machine lacks something, which is said.
    #[track_caller]
    pub fn start(script: Script) -> Option<Self> {
        Self::with(script, shop(), |setup| setup)
    }

    /// Starts one on another repository, its installation changed before it starts.
    #[track_caller]
    pub fn with(script: Script, repo: Repo, change: impl FnOnce(Setup) -> Setup) -> Option<Self> {
        Self::keyed(KEY, script, repo, change)
    }

    /// Starts one with a key of its own. Policy takes it from a file, unless `change` says otherwise.
    #[track_caller]
    pub fn keyed(key: &str, script: Script, repo: Repo, change: impl FnOnce(Setup) -> Setup) -> Option<Self> {
        let setup = Setup::new()?;
        let claude = require::image(IMAGE).then(require::claude_bundle)??;
        Some(Self::on(key, setup, &claude, script, repo, change).expect("an installation can be set up and started"))
    }

    fn on(
        key: &str,
        setup: Setup,
        claude: &Path,
        script: Script,
        repo: Repo,
        change: impl FnOnce(Setup) -> Setup,
    ) -> Result<Self> {
        let api = MessagesApi::start(Options::new(key, script))?;
        let setup = setup.executor("claude-code").agent(claude)?.model_api(&api, key)?;
        let setup = setup.policy(POLICY)?.pipeline("once", &once("once", &[WORKER]));
        let setup = setup.repository(REPOSITORY, &repo, Some(CHECK))?;
        Ok(Self { host: crash::start(change(setup))?, repo, api })
    }

    /// Adds the task of this trial.
    pub fn task(&self) -> u64 {
        self.host.task(REPOSITORY, "once", "Add a discount", "A percentage off a price.").expect("a task is added")
    }

    /// Runs a task to its end, which must be `status`.
    ///
    /// # Panics
    /// With the log of the task.
    #[track_caller]
    pub fn ends(&self, task: u64, status: &str) {
        let settled = self.host.settled(task, LIMIT).map_err(|error| format!("{error:#}"));
        assert_eq!(settled.as_deref(), Ok(status), "{}", self.log(task));
    }

    /// A task's log, as people see it.
    pub fn log(&self, task: u64) -> String {
        self.host
            .cli(&["task", "log", &task.to_string()])
            .map(|output| output.stdout + &output.stderr)
            .unwrap_or_default()
    }

    /// All entries of one kind in a task's journal.
    pub fn entries(&self, task: u64, kind: &str) -> Vec<Entry> {
        let entries = self.host.entries(task).expect("a task's journal can be read");
        entries.into_iter().filter(|entry| entry.kind() == kind).collect()
    }

    /// How each run of the agent ended, in order.
    pub fn outcomes(&self, task: u64) -> Vec<String> {
        let ended = self.entries(task, "run-ended");
        ended.iter().map(|entry| entry.body()["outcome"]["status"].as_str().unwrap_or("?").to_owned()).collect()
    }
}

/// A repository with the small shop in it.
pub fn shop() -> Repo {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios/feature-with-claude-code/repo");
    Repo::from_folder(&folder).expect("the scenario's repository can be copied")
}

/// The worker's part, yet without a turn.
pub fn worker() -> Persona {
    Persona::new("worker", Texts::WORKER)
}

/// A turn of one shell command that must succeed.
pub fn bash(command: &str) -> Turn {
    Turn::call("Bash", json!({ "command": command })).expect(Expect::ok())
}

/// A script of one worker that does its work, and then says so.
pub fn honest() -> Script {
    Script::new().persona(worker().turn(bash(IMPLEMENT)).turn(Turn::say("`discounted` is there, with a test.")))
}
