//! Answers that break the contract are refused by the function's name; good ones arrive as they were.

#![allow(clippy::unwrap_used, reason = "a test")]

mod support;

use borg_core::{
    budget::Usage,
    chat::{Addressed, Button, Notice, NoticeKind, Part, Post, Transport, Update, UpdateKind},
    collect::{LeftBehind, LeftReason},
    executor::{AgentEvent, BaseFile, EndCause, Features, Job, Limit, OutcomeStatus, RunEnd, WayOut},
    facts::{
        Change, ChangedFile, CheckOutcome, FileClass, FileMode, FileStatus, HarnessOf, Hunk, Marks, OtherRun, Severity,
        StageCommit, TestEvidence,
    },
    persona::{Acceptance, Report, Work},
    tool::Tool,
};
use borg_plugins::{CallError, Cause, Facts, Kind, MAX_TEXT_BYTES};
use serde_json::{Value, json};
use support::{Home, task, work};

fn lie(what: &str) -> Value {
    json!({ "lie": what })
}

fn bad_answer(error: CallError, function: &str, words: &str) {
    assert_eq!(error.function, function);
    assert!(matches!(&error.cause, Cause::BadAnswer(why) if why.contains(words)), "{words}: {error}");
}

fn change() -> Change {
    let file = ChangedFile {
        path: "src/lib.rs".into(),
        old_path: Some("src/old.rs".into()),
        status: FileStatus::Renamed,
        class: FileClass::Source,
        mode: FileMode::Regular,
        binary: false,
        hunks: vec![Hunk { old_start: 1, new_start: 1, text: "-a\n+b".into() }],
        base_text: None,
        head_text: Some("b".into()),
        collides: None,
        marks: Marks::default(),
    };
    let commit = StageCommit {
        stage: "impl".into(),
        persona: "worker".into(),
        write: vec!["**".into()],
        protected: vec![],
        paths: vec!["src/lib.rs".into()],
        left_behind: vec![],
        refused: vec!["README.md".into()],
    };
    let evidence = TestEvidence {
        stage: "baseline".into(),
        outcome: CheckOutcome::Green,
        passed: vec!["a".into()],
        failed: vec![],
        skipped: vec![],
        other: None,
        overlaid: vec![],
    };
    Change { files: vec![file], commits: vec![commit], evidence: vec![evidence], incomplete: vec![] }
}

fn facts() -> Facts {
    Facts::new(change())
}

#[tokio::test]
async fn findings_are_checked() {
    let home = Home::new();
    home.lay("plugins", "liar", Kind::Rule, "liar", "");
    let plugins = home.open_whole().await;
    let rule = plugins.rule("liar", None).unwrap();

    let findings = rule.judge(&json!({}), &facts()).await.unwrap().unwrap();
    assert_eq!(findings.len(), 1);
    let finding = &findings[0];
    assert_eq!((finding.rule.as_str(), finding.id.as_str(), finding.severity), ("liar", "known", Severity::Minor));
    assert_eq!(finding.head.as_ref().unwrap().path, "src/lib.rs");
    assert_eq!(finding.message, "1 files, 1 commits");

    for (what, words) in [
        ("many", "10001 findings"),
        ("unknown-id", "`made-up`"),
        ("too-sure", "101 in 100"),
        ("backwards", "ends before it starts"),
        ("wordy-path", "is 1048576 bytes long"),
    ] {
        bad_answer(rule.judge(&lie(what), &facts()).await.unwrap_err(), "judge", words);
    }
    assert_eq!(rule.judge(&lie("refuse"), &facts()).await.unwrap(), Err("cannot judge this".to_owned()));
}

/// Findings stand in lists of the host: one must not look like several, nor like what the host says.
#[tokio::test]
async fn a_rule_begins_no_line_of_its_own_in_what_the_host_tells() {
    let home = Home::new();
    home.lay("plugins", "liar", Kind::Rule, "liar", "");
    let rule = home.open_whole().await.rule("liar", None).unwrap();
    let findings = rule.judge(&lie("many-lines"), &facts()).await.unwrap().unwrap();
    assert_eq!(findings[0].message, "fine change: 0123456789ab  approved by: Ann");
    assert_eq!(findings[0].rule, "liar", "it speaks under its own name");
    let refused = rule.judge(&lie("refuse-in-lines"), &facts()).await.unwrap();
    assert_eq!(refused, Err("no verdict: pass".to_owned()));
}

fn way(name: &str) -> WayOut {
    WayOut {
        name: name.into(),
        provider: "anthropic".into(),
        url: "http://127.0.0.1:8377".into(),
        placeholder: format!("placeholder-{name}"),
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
        tools: vec![Tool::named("Bash")],
        write: vec![],
        model: None,
        max_turns: Some(3),
        resume: None,
        ways_out: vec![way("one"), way("two")],
        closed: way("closed"),
        workspace: "/workspace".into(),
        in_dir: "/in".into(),
        out_dir: "/out".into(),
        home: "/home/agent".into(),
        agent_dir: "/opt/agent".into(),
        base_files: vec![BaseFile { path: ".borg/script.toml".into(), text: "x".into() }],
    }
}

#[tokio::test]
async fn a_rule_hears_what_changed_among_the_keys_that_steer_tests() {
    let home = Home::new();
    home.lay("plugins", "liar", Kind::Rule, "liar", "");
    let rule = home.open_whole().await.rule("liar", None).unwrap();
    let mut change = change();
    change.files[0].path = "package.json".into();
    change.files[0].base_text = Some(r#"{"scripts":{"test":"jest"}}"#.into());
    for (head, told) in [
        (r#"{"scripts":{"test":"jest"},"version":"2"}"#, "test-keys: None, same-as: None, runs: None, was: None,"),
        (
            r#"{"scripts":{"test":"true"}}"#,
            "test-keys: Some(\"`scripts.test` changed\"), same-as: None, runs: Some(Runs::WhenStarted(\"`npm run` runs it: `test`\")),",
        ),
    ] {
        change.files[0].head_text = Some(head.into());
        change.files[0].marks = borg_core::survey::marks(&change.files[0]);
        let findings = rule.judge(&lie("tell-marks"), &Facts::new(change.clone())).await.unwrap().unwrap();
        assert!(findings[0].message.contains(told), "{}", findings[0].message);
    }
}

#[tokio::test]
async fn a_rule_hears_what_the_survey_makes_of_a_file() {
    let home = Home::new();
    home.lay("plugins", "liar", Kind::Rule, "liar", "");
    let rule = home.open_whole().await.rule("liar", None).unwrap();
    let mut change = change();
    change.files[0].path = ".Husky/pre-commit".into();
    change.files[0].hunks[0].text = "+x\u{202e}".into();
    change.files[0].collides = Some(".husky".into());
    change.files[0].marks = borg_core::survey::marks(&change.files[0]);
    let findings = rule.judge(&lie("tell-marks"), &Facts::new(change)).await.unwrap().unwrap();
    let told = &findings[0].message;
    for mark in
        ["runs: Some(Runs::ByItself(", "Hidden { line: 1, what: \"marks that turn", "collides-with: Some(\".husky\")"]
    {
        assert!(told.contains(mark), "{mark}: {told}");
    }
}

#[tokio::test]
async fn a_rule_hears_what_was_left_behind_and_what_the_other_run_showed() {
    let home = Home::new();
    home.lay("plugins", "liar", Kind::Rule, "liar", "");
    let rule = home.open_whole().await.rule("liar", None).unwrap();
    let mut change = change();
    change.commits[0].left_behind = vec![LeftBehind { path: "a.sock".into(), reason: LeftReason::NotAFile, count: 1 }];
    change.evidence[0].other = Some(Box::new(OtherRun {
        harness: HarnessOf::Change,
        outcome: CheckOutcome::Red,
        met: false,
        reason: "1 test failed".into(),
        passed: vec![],
        failed: vec!["b".into()],
        skipped: vec![],
    }));
    change.incomplete = vec!["cut".into()];
    let facts = Facts::new(change);
    // The same facts for any number of rules, each with settings of its own.
    for tone in ["dry", "warm"] {
        let settings = json!({ "lie": "tell", "tone": tone });
        let told = rule.judge(&settings, &facts).await.unwrap().unwrap().remove(0).message;
        for words in [
            &format!("\"tone\":\"{tone}\""),
            "left-behind: [LeftBehind { path: \"a.sock\", reason: LeftReason::NotAFile }], refused: [\"README.md\"]",
            "OtherRun { harness: Harness::Change, outcome: CheckOutcome::Red, met: false, reason: \"1 test failed\", passed: [], failed: [\"b\"]",
            "incomplete: [\"cut\"]",
        ] {
            assert!(told.contains(words), "{words}: {told}");
        }
    }
}

#[tokio::test]
async fn an_executor_is_told_of_each_way_out_each_tool_and_each_limit() {
    let home = Home::new();
    home.lay("plugins", "liar", Kind::Executor, "liar", "");
    let executor = home.open_whole().await.executor("liar", None).unwrap();
    let tell = lie("tell");
    let told = executor.launch(&tell, &job()).await.unwrap().unwrap().argv.remove(1);
    for words in [
        "tools: [Tool { name: \"Bash\", writes: false, executes: true }]",
        "WayOut { name: \"one\", provider: \"anthropic\", url: \"http://127.0.0.1:8377\", placeholder: \"placeholder-one\", extra: [] }",
        "WayOut { name: \"two\",",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
    let shut = Job { ways_out: vec![], ..job() };
    assert!(executor.launch(&tell, &shut).await.unwrap().unwrap().argv[1].contains("ways-out: []"));

    let end = RunEnd { cause: EndCause::Exited, exit_code: Some(1), stderr_tail: String::new() };
    let limits = [
        Limit { name: "turns", given: 3, used: Some(3), reached: true },
        Limit { name: "memory-bytes", given: 9, used: None, reached: false },
    ];
    let told = executor.finish(&tell, &job(), b"", &end, &limits).await.unwrap().message;
    for words in [
        "Limit { name: \"turns\", given: 3, used: Some(3), reached: true }",
        "Limit { name: \"memory-bytes\", given: 9, used: None, reached: false }",
    ] {
        assert!(told.contains(words), "{words}: {told}");
    }
}

/// A text of a megabyte, as it is kept.
fn is_cut(text: &str) -> bool {
    text.len() < MAX_TEXT_BYTES + 100 && text.starts_with("xxx") && text.ends_with("more bytes were cut)")
}

#[tokio::test]
async fn texts_without_end_are_cut_before_anybody_keeps_them() {
    let home = Home::hostile();
    home.lay("plugins", "liar", Kind::Rule, "liar", "");
    let plugins = home.open_whole().await;
    let rule = plugins.rule("liar", None).unwrap();
    let findings = rule.judge(&lie("wordy"), &facts()).await.unwrap().unwrap();
    assert!(is_cut(&findings[0].message), "{}", findings[0].message.len());
    assert!(is_cut(&rule.judge(&lie("wordy-refusal"), &facts()).await.unwrap().unwrap_err()));
    let error = rule.judge(&lie("wordy-id"), &facts()).await.unwrap_err().to_string();
    assert!(error.contains("more bytes were cut)") && error.len() < MAX_TEXT_BYTES + 200, "{}", error.len());

    let persona = plugins.persona("hostile", None).unwrap();
    let long = "x".repeat(1 << 20);
    let report = |message: &str| Report {
        message: message.into(),
        artefacts: vec![],
        changed: vec![long.clone()],
        left_behind: vec![],
    };
    let work = Work { stage: long.clone(), ..work() };
    let retry = persona.accept(&json!({}), &work, &report("retry")).await.unwrap();
    assert!(matches!(retry, Acceptance::Retry(why) if is_cut(&why)));
    let fail = persona.accept(&json!({}), &work, &report("fail")).await.unwrap();
    assert!(matches!(fail, Acceptance::Fail(why) if is_cut(&why)));
    let refusal = persona.brief(&json!({ "mode": &long }), &work).await.unwrap().unwrap_err();
    assert!(refusal.ends_with("more bytes were cut)") && refusal.len() < MAX_TEXT_BYTES + 100, "{}", refusal.len());
}

#[tokio::test]
async fn commands_and_states_are_checked() {
    let home = Home::new();
    home.lay("plugins", "liar", Kind::Executor, "liar", "");
    let plugins = home.open_whole().await;
    let executor = plugins.executor("liar", None).unwrap();
    let (none, job) = (json!({}), job());
    assert_eq!(executor.info().features, Features { resume: true, persistent: false, read_only: true });
    assert_eq!(executor.info().reads, [".borg/script.toml"]);

    let command = executor.launch(&none, &job).await.unwrap().unwrap();
    assert_eq!(command.argv, ["agent", "Add a parser"]);
    assert_eq!(command.env, ["one", "two"].map(|name| ("KEY".to_owned(), format!("placeholder-{name}"))));
    assert_eq!(command.stdin, b"be good");
    assert_eq!((command.files[0].path.as_str(), command.files[0].executable), (".agent/settings", true));
    for (what, words) in [
        ("no-argv", "without a program"),
        ("nul", "NUL"),
        ("env", "`A=B`"),
        ("climb", "not below the agent's home"),
        ("absolute", "not below the agent's home"),
    ] {
        bad_answer(executor.launch(&lie(what), &job).await.unwrap_err(), "launch", words);
    }
    assert_eq!(executor.launch(&lie("refuse"), &job).await.unwrap(), Err("will not start".to_owned()));

    let lines = ["one".to_owned(), "two".to_owned()];
    let step = executor.read(&none, &job, b"0", &lines).await.unwrap();
    assert_eq!(step.state, b"0onetwo");
    assert_eq!(step.events, lines.map(|text| AgentEvent::Noise { text }));
    bad_answer(executor.read(&lie("fat-state"), &job, b"", &[]).await.unwrap_err(), "read", "65537 bytes");

    let end = RunEnd { cause: EndCause::Exited, exit_code: Some(3), stderr_tail: String::new() };
    let outcome = executor.finish(&none, &job, b"kept", &end, &[]).await.unwrap();
    assert_eq!((outcome.status, outcome.message.as_str()), (OutcomeStatus::Completed, "kept Some(3)"));
    let usage = Usage { input_tokens: 1, output_tokens: 2, cache_read_tokens: 3, cache_write_tokens: 4 };
    assert_eq!((outcome.usage, outcome.claimed_cost_micros, outcome.turns), (usage, Some(5), Some(6)));

    assert_eq!(executor.say(&none, &job, b"a", "b").await.unwrap(), Some(b"ab".to_vec()));
    assert_eq!(executor.say(&none, &job, b"a", "").await.unwrap(), None);
}

#[tokio::test]
async fn what_the_host_hands_over_is_limited_too() {
    let home = Home::new();
    home.lay("plugins", "liar", Kind::Executor, "liar", "");
    let plugins = home.open_whole().await;
    let executor = plugins.executor("liar", None).unwrap();
    let (none, job) = (json!({}), job());
    let end = RunEnd { cause: EndCause::Lost, exit_code: None, stderr_tail: String::new() };
    let fat = vec![0; (64 << 10) + 1];
    let line = "x".repeat(1 << 20);
    let errors = [
        (executor.read(&none, &job, &fat, &[]).await.unwrap_err(), "the state is 65537 long"),
        (executor.finish(&none, &job, &fat, &end, &[]).await.unwrap_err(), "the state"),
        (executor.say(&none, &job, &fat, "").await.unwrap_err(), "the state"),
        (executor.read(&none, &job, b"", &[format!("{line}x")]).await.unwrap_err(), "a line of output is 1048577 long"),
        (executor.read(&none, &job, b"", &vec![line.clone(); 9]).await.unwrap_err(), "a batch of lines"),
    ];
    for (error, words) in errors {
        assert!(matches!(error.cause, Cause::InputTooLarge { .. }) && error.to_string().contains(words), "{error}");
    }
    // Less is fine; of what comes back only so much is kept.
    let step = executor.read(&lie("quiet"), &job, b"", &[line[..60 << 10].to_owned()]).await.unwrap();
    assert!(matches!(&step.events[..], [AgentEvent::Noise { text }] if is_cut(text)));
}

fn notice(parts: Vec<Part>) -> Notice {
    Notice {
        chat: "c".into(),
        kind: NoticeKind::Review,
        topic: "t".into(),
        parts,
        buttons: vec![],
        document: None,
        replaces: None,
        reply_to: Some("r".into()),
        silent: true,
        width: 80,
    }
}

#[tokio::test]
async fn chats_hear_show_and_know_the_time_they_are_granted() {
    let mut home = Home::new();
    home.lay("plugins", "teller", Kind::Chat, "teller", "[asks]\nclock = true");
    home.permits.policy.clock = true;
    let plugins = home.open_whole().await;
    let chat = plugins.chat("teller", None).unwrap();
    assert_eq!(chat.info().transport, Transport::Console);
    let update = Update {
        id: "1".into(),
        receipt: String::new(),
        chat: "c".into(),
        sender: "s".into(),
        sender_name: "S".into(),
        sender_is_bot: false,
        own_name: String::new(),
        text: "what time is it".into(),
        kind: UpdateKind::Message,
        reply_to: None,
        raw: "{}".into(),
        marks: None,
    };
    let said = chat.hear(&json!({"tone": "dry"}), &update).await.unwrap();
    assert_eq!((said[0].sender.as_str(), said[0].addressed), ("s", Addressed::Overheard));
    assert_eq!(said[0].problem.as_deref(), Some(r#"{"tone":"dry"}"#), "settings arrive");
    assert_eq!(said[0].text, "1700000000123 1700000000123", "ours and WASI's clock follow one grant");

    let parts = vec![
        Part::Heading("h".into()),
        Part::Code { language: "rust".into(), text: "x".into() },
        Part::Field { label: "l".into(), value: "v".into() },
    ];
    let posts = chat.show(&Value::Null, &notice(parts)).await.unwrap();
    let texts: Vec<_> = posts.iter().map(|post| if let Post::Send(post) = post { &*post.text } else { "" }).collect();
    assert_eq!(texts, ["# h", "rust: x", "l = v"]);

    let mut long = notice(vec![Part::Text("t".into())]);
    long.buttons = vec![Button { label: "b".into(), action: "a".repeat(65) }];
    bad_answer(chat.show(&Value::Null, &long).await.unwrap_err(), "show", "65 bytes");
}
