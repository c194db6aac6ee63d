//! The real Claude Code program against the stand-in: that the stand-in is good enough for it, and what it does with each fault.
//!
//! Needs the program (`BORG_TEST_CLAUDE`); runs on the host, in a scratch directory, with an environment of its own and no network but loopback.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::{
    messages_api::{Expect, Fault, FaultKind, MessagesApi, Options, Persona, Script, Turn, Usage},
    process::{self, Output},
    require,
};
use serde_json::{Value, json};
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;

const KEY: &str = "sk-ant-api-stand-in";
const PROMPT: &str = "persona: worker\nDo what the system prompt says.";

struct Trial {
    claude: PathBuf,
    api: MessagesApi,
    home: TempDir,
    work: TempDir,
    retries: u32,
    key: &'static str,
}

impl Trial {
    /// None when there is no program to try.
    fn new(script: Script) -> Option<Self> {
        let claude = require::claude()?;
        let mut options = Options::new(KEY, script);
        options.torn = true;
        let api = MessagesApi::start(options).unwrap();
        Some(Self { claude, api, home: TempDir::new().unwrap(), work: TempDir::new().unwrap(), retries: 0, key: KEY })
    }

    fn run(&self, limit: Duration) -> anyhow::Result<Output> {
        let mut claude = process::command(&self.claude);
        claude.current_dir(self.work.path());
        claude.args([
            "--print",
            "--output-format",
            "stream-json",
            "--verbose",
            "--setting-sources",
            "user",
            "--strict-mcp-config",
        ]);
        claude.args([
            "--tools",
            "Read,Write,Edit,Bash",
            "--permission-mode",
            "dontAsk",
            "--allowedTools",
            "Read,Write,Edit,Bash",
        ]);
        claude.env("HOME", self.home.path());
        claude.env("ANTHROPIC_API_KEY", self.key);
        claude.env("ANTHROPIC_BASE_URL", self.api.url());
        claude.env("NO_PROXY", "127.0.0.1");
        claude.env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1");
        claude.env("DISABLE_AUTOUPDATER", "1");
        claude.env("CLAUDE_CODE_MAX_RETRIES", self.retries.to_string());
        process::run(claude, PROMPT, limit)
    }

    fn to_its_end(&self) -> (Output, Value) {
        let output = self.run(Duration::from_secs(60)).unwrap();
        let mut lines = output.stdout.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let result = lines.rfind(|line| line["type"] == "result").unwrap_or_default();
        (output, result)
    }
}

fn says(text: &str) -> Script {
    Script::new().persona(Persona::new("worker", "persona: worker").turn(Turn::say(text)))
}

#[test]
fn it_works_through_a_script_with_every_tool() {
    let file = |work: &TempDir| work.path().join("notes.txt");
    let work = TempDir::new().unwrap();
    let path = file(&work);
    let usage = Usage { input: 100, output: 10, cache_read: 7, cache_write: 5 };
    let persona = Persona::new("worker", "persona: worker")
        .turn(
            Turn::think("First a file.")
                .and_say("Writing.")
                .and_call("Write", json!({ "file_path": path, "content": "one\n" }))
                .expect(Expect::ok())
                .usage(usage),
        )
        .turn(Turn::call("Read", json!({ "file_path": path })).expect(Expect::ok().containing("one")).usage(usage))
        .turn(
            Turn::call("Edit", json!({ "file_path": path, "old_string": "one", "new_string": "two" }))
                .expect(Expect::ok())
                .usage(usage),
        )
        .turn(
            Turn::call("Bash", json!({ "command": "cat notes.txt", "description": "look" }))
                .expect(Expect::ok().containing("two"))
                .and_call("Bash", json!({ "command": "exit 3", "description": "fail" }))
                .expect(Expect::error().containing("3"))
                .usage(usage),
        )
        .turn(Turn::say("All done.").usage(usage));
    let Some(mut trial) = Trial::new(Script::new().persona(persona)) else { return };
    trial.work = work;
    let (output, result) = trial.to_its_end();
    assert_eq!(trial.api.problems(), Vec::<String>::new());
    output.success();
    assert_eq!((&result["is_error"], &result["result"]), (&json!(false), &json!("All done.")));
    assert_eq!(std::fs::read_to_string(file(&trial.work)).unwrap(), "two\n");
    assert_eq!(result["usage"]["input_tokens"], 500);
    assert_eq!(result["usage"]["cache_read_input_tokens"], 35);
    assert_eq!(trial.api.billed(), Usage { input: 500, output: 50, cache_read: 35, cache_write: 25 });
    let seen = trial.api.asked();
    assert!(seen.iter().all(|seen| seen.header("x-api-key") == Some(KEY)));
    // Besides, it opens its connection with a bare look, which carries no key, and asks nothing else.
    let others: Vec<_> = trial
        .api
        .seen()
        .into_iter()
        .filter(|seen| seen.method != "POST")
        .map(|seen| (seen.method, seen.path))
        .collect();
    assert!(others.iter().all(|(method, path)| method == "HEAD" && path == "/"), "{others:?}");
    // The signed thinking came back unharmed, or the stand-in would have refused it.
    assert!(seen.last().unwrap().raw.contains("First a file."));
}

#[test]
fn a_wrong_key_is_told() {
    let Some(mut trial) = Trial::new(says("unreachable")) else { return };
    trial.key = "placeholder";
    let (output, result) = trial.to_its_end();
    assert_eq!((output.code, &result["is_error"], &result["api_error_status"]), (Some(1), &json!(true), &json!(401)));
}

#[test]
fn each_error_status_is_passed_on() {
    for status in [400, 429, 500, 529] {
        let fault = Fault::at(1, FaultKind::Status { status, retry_after_s: Some(1) }).times(9);
        let Some(trial) = Trial::new(says("unreachable").fault(fault)) else { return };
        let (output, result) = trial.to_its_end();
        assert_eq!((output.code, &result["api_error_status"]), (Some(1), &json!(status)), "{}", output.stdout);
    }
}

#[test]
fn it_tries_again_after_a_rate_limit() {
    let fault = Fault::at(1, FaultKind::Status { status: 429, retry_after_s: Some(0) });
    let Some(mut trial) = Trial::new(says("made it").fault(fault)) else { return };
    trial.retries = 2;
    let (output, result) = trial.to_its_end();
    output.success();
    assert_eq!(result["result"], "made it");
    assert_eq!(trial.api.asked().iter().map(|seen| seen.status).collect::<Vec<_>>(), [429, 200]);
}

#[test]
fn a_stream_that_breaks_is_an_error() {
    for kind in [FaultKind::Drop { after_events: 4 }, FaultKind::StreamError { after_events: 4 }] {
        let Some(trial) =
            Trial::new(says("this is long enough to be cut in the middle").fault(Fault::at(1, kind.clone()).times(9)))
        else {
            return;
        };
        let (output, result) = trial.to_its_end();
        assert_eq!((output.code, &result["is_error"]), (Some(1), &json!(true)), "{kind:?}: {}", output.stdout);
    }
}

#[test]
fn it_waits_through_silence() {
    let Some(trial) = Trial::new(says("unreachable").fault(Fault::at(1, FaultKind::Silence).times(9))) else { return };
    let error = trial.run(Duration::from_secs(3)).unwrap_err().to_string();
    assert!(error.contains("did not end") && error.contains("\"subtype\":\"init\""), "{error}");
    assert_eq!(trial.api.asked()[0].status, 0);
}
