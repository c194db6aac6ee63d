//! Components that were compiled once, for contracts that were released, load and answer as they did: `tests/compat/`.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use borg_core::{
    chat::{Addressed, Marks, Notice, NoticeKind, Part, Post, Transport, Update, UpdateKind},
    check::harness::{Cause, Overlaid},
    collect::{LeftBehind, LeftReason},
    executor::{AgentEvent, BaseFile, EndCause, Features, Job, Limit, OutcomeStatus, RunEnd, WayOut},
    facts::{
        self, Change, ChangedFile, CheckOutcome, FileClass, FileMode, FileStatus, HarnessOf, Hidden, Hunk, OtherRun,
        Severity, StageCommit, TestEvidence,
    },
    persona::{Acceptance, Report},
    survey::Runs,
    tool::Tool,
};
use borg_plugins::{Facts, Kind, Plugins, Problem};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
};
use support::{Home, task, work};

/// Largest component that is kept, in bytes.
const LARGEST: u64 = 1 << 20;

const TELL: &str = r#"{"lie":"tell"}"#;

fn compat() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/compat")
}

/// All components of one version and kind, as they are shipped.
async fn old(version: &str, kind: Kind) -> Plugins {
    let mut home = Home::new();
    home.permits.policy.clock = true;
    let folder = compat().join(version).join(kind.as_str());
    home.folders = vec![folder.to_str().unwrap().to_owned().leak()];
    let plugins = home.open_whole().await;
    assert!(plugins.list().iter().all(|plugin| plugin.world.to_string() == version && plugin.kind == kind));
    plugins
}

fn tell() -> Value {
    serde_json::from_str(TELL).unwrap()
}

fn says(told: &str, words: &[&str]) {
    for words in words {
        assert!(told.contains(words), "{words}\nis not in\n{told}");
    }
}

#[test]
fn every_version_has_a_component_of_each_kind_and_none_is_large() {
    for version in fs::read_dir(compat()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        for kind in [Kind::Persona, Kind::Rule, Kind::Executor, Kind::Chat] {
            let folder = version.join(kind.as_str());
            let plugins: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
            assert!(!plugins.is_empty(), "{}", folder.display());
            for plugin in plugins {
                let wasm = plugin.join(plugin.file_name().unwrap()).with_extension("wasm");
                assert!(fs::metadata(&wasm).unwrap().len() <= LARGEST, "{}", wasm.display());
            }
        }
    }
}

#[tokio::test]
async fn a_persona_of_0_1_0() {
    let persona = old("0.1.0", Kind::Persona).await.persona("hostile", None).unwrap();
    assert_eq!(persona.info().summary, "attacks its host");
    assert_eq!(&persona.describe().await.unwrap(), persona.info());
    let brief = async |settings: Value| persona.brief(&settings, &work()).await.unwrap();

    let assignment = brief(json!({ "mode": "echo", "tone": "dry" })).await.unwrap();
    assert_eq!(
        (assignment.system_prompt.as_str(), assignment.prompt.as_str()),
        ("impl", r#"{"mode":"echo","tone":"dry"}"#)
    );
    assert_eq!((assignment.tools, assignment.write), (vec!["Bash".to_owned()], vec!["**".to_owned()]));
    let told = brief(json!({ "mode": "task" })).await.unwrap().prompt;
    says(&told, &["id: 12", "title: \"Add a parser\"", "repository: \"acme/shop\"", "read-only: false"]);
    assert_eq!(brief(json!({ "mode": "log" })).await.unwrap().prompt, "logged", "the host's log is offered");
    assert_eq!(brief(json!({ "mode": "refuse" })).await, Err("does not want to".to_owned()));

    let report = |message: &str| Report {
        message: message.into(),
        artefacts: vec![],
        changed: vec!["a".into(), "b".into()],
        left_behind: vec![],
    };
    let accept = async |message| persona.accept(&json!({}), &work(), &report(message)).await.unwrap();
    assert_eq!(accept("").await, Acceptance::Accept);
    assert_eq!(accept("retry").await, Acceptance::Retry("impl".into()));
    assert_eq!(accept("fail").await, Acceptance::Fail("a,b".into()));
}

/// A change of which everything there was to tell in pairs is so.
fn change() -> Change {
    let file = ChangedFile {
        path: ".Husky/pre-commit".into(),
        old_path: Some(".github/workflows/ci.yml".into()),
        status: FileStatus::Renamed,
        class: FileClass::Build,
        mode: FileMode::Executable,
        binary: false,
        hunks: vec![Hunk { old_start: 1, new_start: 2, text: "-a\n+b".into() }],
        base_text: None,
        head_text: Some("b".into()),
        collides: Some(".husky".into()),
        marks: facts::Marks {
            test_keys: Some("`scripts.test` changed".into()),
            same_as: Some(".husky/pre-commit".into()),
            runs: Some((Runs::ByItself, "Git runs it".into())),
            was: Some(FileClass::Ci),
            hidden: Some(Hidden { line: 7, words: "NUL bytes".into() }),
        },
    };
    let mut started = file.clone();
    (started.collides, started.old_path) = (None, None);
    started.marks = facts::Marks { runs: Some((Runs::WhenStarted, "make runs it".into())), ..facts::Marks::default() };
    let left = |path: &str, reason| LeftBehind { path: path.into(), reason, count: 1 };
    let commit = StageCommit {
        stage: "impl".into(),
        persona: "worker".into(),
        write: vec!["**".into()],
        protected: vec![],
        paths: vec![".Husky/pre-commit".into()],
        left_behind: vec![left("run.sock", LeftReason::NotAFile), left("x/.git/", LeftReason::GitLookalike)],
        refused: vec!["README.md".into()],
    };
    let run = |harness, met| {
        let ids = |name: &str| vec![name.to_owned()];
        let reason = "2 tests failed".to_owned();
        let (passed, failed, skipped) = (ids("p"), ids("f"), ids("s"));
        Some(Box::new(OtherRun { harness, outcome: CheckOutcome::Red, met, reason, passed, failed, skipped }))
    };
    let evidence = |other| TestEvidence {
        stage: "impl".into(),
        outcome: CheckOutcome::Green,
        passed: vec!["a".into()],
        failed: vec![],
        skipped: vec![],
        other,
        overlaid: vec![Overlaid { path: "Makefile".into(), cause: Cause::Replaced }],
    };
    Change {
        files: vec![file, started],
        commits: vec![commit],
        evidence: vec![evidence(run(HarnessOf::Change, false)), evidence(run(HarnessOf::Base, true)), evidence(None)],
        incomplete: vec!["cut".into()],
    }
}

#[tokio::test]
async fn a_rule_of_0_1_0_gets_its_pairs_and_its_settings_in_the_change() {
    let rule = old("0.1.0", Kind::Rule).await.rule("liar", None).unwrap();
    assert_eq!((rule.info().name.as_str(), &rule.info().findings[..]), ("liar", &["known".to_owned()][..]));
    let facts = Facts::new(change());
    let findings = rule.judge(&tell(), &facts).await.unwrap().unwrap();
    assert_eq!((findings[0].id.as_str(), findings[0].severity, findings[0].confidence), ("known", Severity::Minor, 50));
    assert_eq!(findings[0].head.as_ref().unwrap().path, ".Husky/pre-commit");
    says(
        &findings[0].message,
        &[
            "path: \".Husky/pre-commit\", old-path: Some(\".github/workflows/ci.yml\"), status: FileStatus::Renamed, \
             class: FileClass::Build, mode: FileMode::Executable, binary: false, hunks: [Hunk { old-start: 1, new-start: 2, \
             text: \"-a\\n+b\" }], base-text: None, head-text: Some(\"b\"), extra: [(\"test-keys\", \"`scripts.test` changed\"), \
             (\"same-as\", \".husky/pre-commit\"), (\"runs-by-itself\", \"Git runs it\"), (\"was\", \"ci\"), \
             (\"hidden\", \"7 NUL bytes\"), (\"collides-with\", \".husky\")] }",
            "extra: [(\"runs-when-started\", \"make runs it\")] }",
            "paths: [\".Husky/pre-commit\"], left-behind: [\"run.sock\", \"x/.git/\"], extra: [(\"refused\", \"README.md\"), \
             (\"left-behind\", \"not-a-file run.sock\"), (\"left-behind\", \"git-lookalike x/.git/\")] }",
            "outcome: CheckOutcome::Green, passed: [\"a\"], failed: [], skipped: [], extra: [(\"harness\", \"base\"), \
             (\"change-harness\", \"not met: 2 tests failed\"), (\"change-harness-passed\", \"p\"), \
             (\"change-harness-failed\", \"f\"), (\"change-harness-skipped\", \"s\"), (\"overlaid\", \"Makefile\")] }",
            "extra: [(\"harness\", \"change\"), (\"base-harness\", \"met: 2 tests failed\"), (\"base-harness-passed\", \"p\"),",
            "skipped: [], extra: [(\"overlaid\", \"Makefile\")] }]",
            "incomplete: [\"cut\"], settings: \"{\\\"lie\\\":\\\"tell\\\"}\", extra: [] }",
        ],
    );
    let refused = rule.judge(&json!({ "lie": "refuse" }), &facts).await.unwrap();
    assert_eq!(refused, Err("cannot judge this".to_owned()));
}

#[tokio::test]
async fn the_scope_rule_of_0_1_0_finds_what_it_found() {
    let rule = old("0.1.0", Kind::Rule).await.rule("scope", None).unwrap();
    let findings = rule.judge(&json!({}), &Facts::new(change())).await.unwrap().unwrap();
    let found: Vec<(&str, Severity)> = findings.iter().map(|found| (found.id.as_str(), found.severity)).collect();
    assert_eq!(
        found,
        [
            ("left-behind", Severity::Major),
            ("left-behind", Severity::Critical),
            ("refused-write", Severity::Minor),
            ("ci-touched", Severity::Major),
            ("test-keys-changed", Severity::Major),
            ("runs-by-itself", Severity::Major),
            ("hidden-characters", Severity::Major),
            ("name-collision", Severity::Major),
            ("runs-in-a-build", Severity::Note),
        ]
    );
    says(&findings[0].message, &["run.sock", "because it is no plain file"]);
    says(&findings[6].message, &["NUL bytes from line 7 on"]);
}

fn way(name: &str, port: u16) -> WayOut {
    WayOut {
        name: name.into(),
        provider: "anthropic".into(),
        url: format!("http://127.0.0.1:{port}"),
        placeholder: format!("{name}-placeholder"),
    }
}

fn job() -> Job {
    Job {
        task: task(),
        persona: "worker".into(),
        stage: "impl".into(),
        attempt: 1,
        system_prompt: "be good".into(),
        prompt: "do it".into(),
        tools: ["Read", "Edit", "Bash"].map(Tool::named).into(),
        write: vec!["src/**".into()],
        model: Some("claude-opus-4-8".into()),
        max_turns: Some(3),
        resume: None,
        ways_out: vec![way("first", 8377), way("second", 1)],
        closed: way("closed", 8787),
        workspace: "/workspace".into(),
        in_dir: "/in".into(),
        out_dir: "/out".into(),
        home: "/home/agent".into(),
        agent_dir: "/opt/agent".into(),
        base_files: vec![BaseFile { path: ".borg/script.toml".into(), text: "x".into() }],
    }
}

/// A limit that only the newest contract tells of.
const LIMITS: [Limit; 1] = [Limit { name: "turns", given: 3, used: Some(3), reached: true }];

#[tokio::test]
async fn an_executor_of_0_1_0_gets_one_way_out_and_names_of_tools() {
    let executor = old("0.1.0", Kind::Executor).await.executor("liar", None).unwrap();
    assert_eq!(executor.info().features, Features { resume: true, persistent: false, read_only: true });
    assert_eq!(executor.info().reads, [".borg/script.toml"]);

    let command = executor.launch(&tell(), &job()).await.unwrap().unwrap();
    assert_eq!(command.env, [("KEY".to_owned(), "first-placeholder".to_owned())]);
    assert_eq!((command.files[0].text.as_str(), command.stdin.as_slice()), ("do it", &b"be good"[..]));
    says(
        &command.argv[1],
        &[
            "persona: \"worker\", stage: \"impl\", attempt: 1, system-prompt: \"be good\", prompt: \"do it\", tools: [\"Read\", \
             \"Edit\", \"Bash\"], write: [\"src/**\"], model: Some(\"claude-opus-4-8\"), max-turns: Some(3), resume: None, \
             gateway-url: \"http://127.0.0.1:8377\", placeholder-key: \"first-placeholder\", workspace: \"/workspace\", in-dir: \"/in\", \
             out-dir: \"/out\", home: \"/home/agent\", agent-dir: \"/opt/agent\", base-files: [BaseFile { path: \
             \".borg/script.toml\", text: \"x\" }], settings: \"{\\\"lie\\\":\\\"tell\\\"}\", extra: [] }",
        ],
    );
    // One without a way out was told of one all the same.
    let shut = Job { ways_out: vec![], ..job() };
    let command = executor.launch(&tell(), &shut).await.unwrap().unwrap();
    says(&command.argv[1], &["gateway-url: \"http://127.0.0.1:8787\", placeholder-key: \"closed-placeholder\""]);

    let lines = ["one".to_owned(), "two".to_owned()];
    let step = executor.read(&json!({}), &job(), b"0", &lines).await.unwrap();
    assert_eq!(
        (step.state.as_slice(), step.events),
        (&b"0onetwo"[..], lines.map(|text| AgentEvent::Noise { text }).into())
    );
    let end = RunEnd { cause: EndCause::Silent, exit_code: Some(3), stderr_tail: "oh".into() };
    let outcome = executor.finish(&tell(), &job(), b"kept", &end, &LIMITS).await.unwrap();
    let told = "RunEnd { cause: EndCause::Silent, exit-code: Some(3), stderr-tail: \"oh\", extra: [] }";
    assert_eq!((outcome.status, outcome.message.as_str()), (OutcomeStatus::Completed, told));
    assert_eq!(executor.say(&json!({}), &job(), b"a", "b").await.unwrap(), Some(b"ab".to_vec()));
    assert_eq!(executor.say(&json!({}), &job(), b"a", "").await.unwrap(), None);
}

#[tokio::test]
async fn claude_code_of_0_1_0_starts_and_ends_as_it_did() {
    let executor = old("0.1.0", Kind::Executor).await.executor("claude-code", None).unwrap();
    assert_eq!(executor.info().bundle, "claude-code");
    let command = executor.launch(&json!({ "max-retries": 1 }), &job()).await.unwrap().unwrap();
    let value = |name: &str| command.env.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    assert_eq!(value("ANTHROPIC_BASE_URL"), Some("http://127.0.0.1:8377"));
    assert_eq!(value("ANTHROPIC_API_KEY"), Some("first-placeholder"));
    assert_eq!(value("CLAUDE_CODE_MAX_RETRIES"), Some("1"));
    let flags = command.argv.join(" ");
    says(&flags, &["--tools Read,Edit,Bash", "--allowedTools Read Bash Edit(//out/**) Edit(//workspace/src/**)"]);

    let line =
        r#"{"type":"result","subtype":"success","is_error":false,"result":"done","session_id":"s1","num_turns":2}"#;
    let step = executor.read(&json!({}), &job(), b"", &[line.to_owned()]).await.unwrap();
    let end = |exit_code| RunEnd { cause: EndCause::Exited, exit_code: Some(exit_code), stderr_tail: String::new() };
    let finish = async |end| executor.finish(&json!({}), &job(), &step.state, &end, &LIMITS).await.unwrap();
    let outcome = finish(end(0)).await;
    assert_eq!((outcome.status, outcome.message.as_str(), outcome.turns), (OutcomeStatus::Completed, "done", Some(2)));
    assert_eq!(finish(end(1)).await.status, OutcomeStatus::Failed);
}

fn update(marks: Option<Marks>) -> Update {
    Update {
        id: "1".into(),
        receipt: "r".into(),
        chat: "c".into(),
        sender: "s".into(),
        sender_name: "S".into(),
        sender_is_bot: false,
        own_name: "borg".into(),
        text: "tell".into(),
        kind: UpdateKind::Edited,
        reply_to: Some("p".into()),
        raw: "{}".into(),
        marks,
    }
}

#[tokio::test]
async fn a_chat_of_0_1_0_gets_marks_as_pairs_and_the_clock() {
    let chat = old("0.1.0", Kind::Chat).await.chat("teller", None).unwrap();
    assert_eq!(chat.info().transport, Transport::Console);
    let hear = async |update: &Update| chat.hear(&json!({ "tone": "dry" }), update).await.unwrap().remove(0);
    let marks = |forwarded, via_bot| Some(Marks { forwarded, via_bot, mentions: vec![] });
    for (marks, pairs) in [
        (None, "[(\"unmarked\", \"true\")]"),
        (marks(false, false), "[]"),
        (marks(true, true), "[(\"forwarded\", \"true\"), (\"via-bot\", \"true\")]"),
    ] {
        let said = hear(&update(marks)).await;
        let end = format!("reply-to: Some(\"p\"), raw: \"{{}}\", extra: {pairs} }}");
        says(&said.text, &["sender-name: \"S\", sender-is-bot: false, own-name: \"borg\", text: \"tell\"", &end]);
        assert_eq!((said.sender.as_str(), said.addressed), ("s", Addressed::Overheard));
        assert_eq!(said.problem.as_deref(), Some(r#"{"tone":"dry"}"#));
    }
    let time = hear(&Update { text: "what time is it".into(), ..update(None) }).await;
    assert_eq!(time.text, "1700000000123 1700000000123");

    let notice = Notice {
        chat: "c".into(),
        kind: NoticeKind::Review,
        topic: "t".into(),
        parts: vec![Part::Heading("h".into()), Part::Field { label: "l".into(), value: "v".into() }],
        buttons: vec![],
        document: None,
        replaces: None,
        reply_to: None,
        silent: true,
        width: 80,
    };
    let posts = chat.show(&json!({}), &notice).await.unwrap();
    let texts: Vec<_> = posts.iter().map(|post| if let Post::Send(post) = post { &*post.text } else { "" }).collect();
    assert_eq!(texts, ["# h", "l = v"]);
}

/// Lays the persona of 0.1.0 with its numbers changed, and tells why it does not load.
async fn refusal(built: &str, world: &str) -> (Problem, String) {
    let from = compat().join("0.1.0/persona/hostile");
    let home = Home::new();
    let place = home.path("plugins/hostile");
    fs::create_dir_all(&place).unwrap();
    let manifest = fs::read_to_string(from.join("plugin.toml")).unwrap();
    fs::write(place.join("plugin.toml"), manifest.replace("world = \"0.1.0\"", &format!("world = \"{world}\"")))
        .unwrap();
    let mut wasm = fs::read(from.join("hostile.wasm")).unwrap();
    let old = b"borg:plugin/persona@0.1.0";
    let at = wasm.windows(old.len()).enumerate().filter(|(_, bytes)| bytes == old).map(|(at, _)| at + old.len() - 5);
    let places: Vec<usize> = at.collect();
    assert!(!places.is_empty());
    for at in places {
        wasm[at..at + 5].copy_from_slice(built.as_bytes());
    }
    fs::write(place.join("hostile.wasm"), wasm).unwrap();
    let (_, mut errors) = home.open().await;
    assert_eq!(errors.len(), 1, "{errors:?}");
    let text = errors[0].to_string();
    (errors.remove(0).problem, text)
}

#[tokio::test]
async fn a_version_that_nobody_speaks_or_the_manifest_does_not_name_is_refused_with_what_is_spoken() {
    let (problem, text) = refusal("0.3.0", "0.2.0").await;
    assert!(matches!(problem, Problem::UnknownVersion { .. }), "{text}");
    says(
        &text,
        &[
            "built for version 0.3.0 of `borg:plugin`",
            "it speaks 0.1.0, 0.2.0: build it for one of these, or use another host",
        ],
    );
    let (problem, text) = refusal("0.1.0", "0.2.0").await;
    assert!(matches!(problem, Problem::OtherVersion { .. }), "{text}");
    says(
        &text,
        &["says `world = \"0.2.0\"`, but the component was built for version 0.1.0", "set `world = \"0.1.0\"`"],
    );
    let (problem, text) = refusal("0.1.0", "0.3.0").await;
    assert!(matches!(problem, Problem::Manifest(_)), "{text}");
    says(&text, &["plugin.toml:3", "does not speak version 0.3.0 of `borg:plugin`; it speaks 0.1.0, 0.2.0"]);
}
