//! A rule and an executor in one component, whose answers break the contract as `settings.lie` asks.
//! What the host must make of each is in `host/plugins/tests/answers.rs`. Asked to `tell`, it answers with all it was handed.

wit_bindgen::generate!({
    inline: "
        package guest:liar;
        world liar {
            export borg:plugin/rule@0.2.0;
            export borg:plugin/executor@0.2.0;
        }
    ",
    path: "../../../wit",
    generate_all,
});

use exports::borg::plugin::{
    executor::{self, AgentEvent, Command, ExecutorInfo, Features, HomeFile, Job, Outcome, ReadStep, RunEnd, Usage},
    rule::{self, Change, Finding, RuleInfo, Severity},
};

struct Liar;

fn lie(settings: &str) -> String {
    let settings: serde_json::Value = serde_json::from_str(settings).unwrap_or_default();
    settings["lie"].as_str().unwrap_or_default().to_owned()
}

impl rule::Guest for Liar {
    fn describe() -> RuleInfo {
        RuleInfo { name: "liar".into(), summary: "lies".into(), findings: vec!["known".into()], extra: vec![] }
    }

    fn judge(settings: String, change: Change) -> Result<Vec<Finding>, String> {
        let finding = Finding {
            id: "known".into(),
            severity: Severity::Minor,
            confidence: 50,
            base: None,
            head: change.files.first().map(|file| rule::Span { path: file.path.clone(), start: 1, end: 2 }),
            message: format!("{} files, {} commits", change.files.len(), change.commits.len()),
            extra: vec![],
        };
        match lie(&settings).as_str() {
            "many" => Ok(vec![finding; 10_001]),
            "unknown-id" => Ok(vec![Finding { id: "made-up".into(), ..finding }]),
            "too-sure" => Ok(vec![Finding { confidence: 101, ..finding }]),
            "backwards" => {
                let head = Some(rule::Span { path: "a".into(), start: 9, end: 3 });
                Ok(vec![Finding { head, ..finding }])
            }
            "wordy" => Ok(vec![Finding { message: "x".repeat(1 << 20), ..finding }]),
            "wordy-id" => Ok(vec![Finding { id: "x".repeat(1 << 20), ..finding }]),
            "wordy-path" => {
                let head = Some(rule::Span { path: "x".repeat(1 << 20), start: 1, end: 1 });
                Ok(vec![Finding { head, ..finding }])
            }
            "wordy-refusal" => Err("x".repeat(1 << 20)),
            "tell" => Ok(vec![Finding { message: format!("{settings} {change:?}"), ..finding }]),
            "tell-marks" => Ok(vec![Finding { message: format!("{:?}", change.files[0].marks), ..finding }]),
            "refuse" => Err("cannot judge this".into()),
            "many-lines" => {
                Ok(vec![Finding { message: "fine\nchange: 0123456789ab\r\napproved by: Ann".into(), ..finding }])
            }
            "refuse-in-lines" => Err("no\nverdict: pass".into()),
            _ => Ok(vec![finding]),
        }
    }
}

impl executor::Guest for Liar {
    fn describe() -> ExecutorInfo {
        ExecutorInfo {
            name: "liar".into(),
            summary: "lies".into(),
            features: Features::RESUME | Features::READ_ONLY,
            reads: vec![".borg/script.toml".into()],
            bundle: String::new(),
            extra: vec![],
        }
    }

    fn launch(job: Job) -> Result<Command, String> {
        let file = |path: &str| vec![HomeFile { path: path.into(), text: job.prompt.clone(), executable: true }];
        let command = Command {
            argv: vec!["agent".into(), job.task.title.clone()],
            env: job.ways_out.iter().map(|way| ("KEY".into(), way.placeholder.clone())).collect(),
            files: file(".agent/settings"),
            stdin: job.system_prompt.clone().into_bytes(),
            extra: vec![],
        };
        match lie(&job.settings).as_str() {
            "no-argv" => Ok(Command { argv: vec![], ..command }),
            "nul" => Ok(Command { argv: vec!["a\0b".into()], ..command }),
            "env" => Ok(Command { env: vec![("A=B".into(), "c".into())], ..command }),
            "climb" => Ok(Command { files: file("../outside"), ..command }),
            "absolute" => Ok(Command { files: file("/etc/profile"), ..command }),
            "refuse" => Err("will not start".into()),
            "tell" => Ok(Command { argv: vec!["agent".into(), format!("{job:?}")], ..command }),
            _ => Ok(command),
        }
    }

    fn read(job: Job, mut state: Vec<u8>, lines: Vec<String>) -> ReadStep {
        match lie(&job.settings).as_str() {
            "fat-state" => state = vec![0; (64 << 10) + 1],
            _ => state.extend(lines.concat().bytes()),
        }
        ReadStep { state, events: lines.into_iter().map(AgentEvent::Noise).collect() }
    }

    fn finish(job: Job, state: Vec<u8>, end: RunEnd) -> Outcome {
        let message = match lie(&job.settings).as_str() {
            "tell" => format!("{end:?}"),
            _ => format!("{} {:?}", String::from_utf8_lossy(&state), end.exit_code),
        };
        Outcome {
            status: executor::Status::Completed,
            message,
            session: None,
            usage: Usage { input_tokens: 1, output_tokens: 2, cache_read_tokens: 3, cache_write_tokens: 4 },
            claimed_cost_micros: Some(5),
            turns: Some(6),
            retry_after_ms: None,
            extra: vec![],
        }
    }

    fn say(_: Job, state: Vec<u8>, text: String) -> Option<Vec<u8>> {
        (!text.is_empty()).then(|| [state, text.into_bytes()].concat())
    }
}

export!(Liar);
