//! The journal outlives the program: events are written as the newest file in `golden/` says, and read back.
//!
//! A line that changes is a journal that an older or newer binary misreads. A new field is `#[serde(default)]` or comes with a new
//! `EVENT_VERSION` and a golden file of its own; golden files of earlier versions stay and must still be read.

use borg_core::{
    asked::{Continued, NewTask},
    budget::{Hold, MicroUsd, Spent, Usage},
    chat::{Notice, NoticeKind, Part, Registration},
    check::{
        Report, Runner,
        harness::{Cause, Overlaid},
    },
    collect::{Artefact, Collected, CommitId, LeftBehind, LeftReason},
    denial::DenialNote,
    event::{Answer, Body, ChatEvent, EVENT_VERSION, Event, HostEvent, Meanwhile, Said, StartFailure},
    evidence::CheckRun,
    executor::{EndCause, Outcome, OutcomeStatus, RunEnd},
    facts::{Finding, Severity, Span, StageCommit},
    grant::{Ceiling, grant},
    id::{Digest, EffectKey, RunKey, RunKind, TaskId},
    kept::Kept,
    owner::Owner,
    people::{PersonId, Role},
    persona::Acceptance,
    policy::{Expect, PersonaPolicy, Pipeline, StagePlan, StageWork, Via},
    run::Attestation,
    verdict::RuleFailure,
};
use std::{collections::BTreeSet, fs, path::Path};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// Place of a kind in the golden file. Matched in full: a new kind does not compile until it has a place and an example.
fn place(body: &Body) -> usize {
    match body {
        Body::Host(HostEvent::HostStarted { .. }) => 0,
        Body::Host(HostEvent::PolicyLoaded { .. }) => 1,
        Body::Host(HostEvent::PolicyRefused { .. }) => 2,
        Body::Said(Said::Paused { .. }) => 3,
        Body::Said(Said::Resumed { .. }) => 4,
        Body::Host(HostEvent::PersonDenied { .. }) => 5,
        Body::Said(Said::TaskCreated { .. }) => 6,
        Body::Answer(Answer::Prepared { .. }) => 7,
        Body::Answer(Answer::PrepareFailed { .. }) => 8,
        Body::Answer(Answer::Briefed { .. }) => 9,
        Body::Answer(Answer::BriefRefused { .. }) => 10,
        Body::Meanwhile(Meanwhile::RunStarted { .. }) => 11,
        Body::Meanwhile(Meanwhile::Progressed { .. }) => 12,
        Body::Meanwhile(Meanwhile::Denied { .. }) => 13,
        Body::Meanwhile(Meanwhile::Metered { .. }) => 14,
        Body::Answer(Answer::RunEnded { .. }) => 15,
        Body::Answer(Answer::Collected { .. }) => 16,
        Body::Answer(Answer::CollectFailed { .. }) => 17,
        Body::Answer(Answer::Accepted { .. }) => 18,
        Body::Answer(Answer::Checked { .. }) => 19,
        Body::Answer(Answer::Judged { .. }) => 20,
        Body::Said(Said::Approved { .. }) => 21,
        Body::Said(Said::Rejected { .. }) => 22,
        Body::Said(Said::CancelRequested { .. }) => 23,
        Body::Said(Said::Unblocked { .. }) => 24,
        Body::Answer(Answer::Delivered { .. }) => 25,
        Body::Answer(Answer::DeliverFailed { .. }) => 26,
        Body::Answer(Answer::PluginFailed { .. }) => 27,
        Body::Answer(Answer::TellFailed { .. }) => 28,
        Body::Answer(Answer::Stopped { .. }) => 29,
        Body::Answer(Answer::Forgotten { .. }) => 30,
        Body::Answer(Answer::Told { .. }) => 31,
        Body::Meanwhile(Meanwhile::DeadlinePassed) => 32,
        Body::Meanwhile(Meanwhile::Delayed { .. }) => 33,
        Body::Said(Said::Noted { .. }) => 34,
        Body::Answer(Answer::Asked { .. }) => 35,
        Body::Said(Said::Answered { .. }) => 36,
        Body::Chat(ChatEvent::ChatRegistered { .. }) => 37,
        Body::Chat(ChatEvent::ChatForgotten { .. }) => 38,
        Body::Chat(ChatEvent::ChatMoved { .. }) => 39,
        Body::Host(HostEvent::UpdatePassedOver { .. }) => 40,
        Body::Said(Said::PersonAllowed { .. }) => 41,
        Body::Host(HostEvent::PluginMisbehaved { .. }) => 42,
        Body::Meanwhile(Meanwhile::Held { .. }) => LAST,
    }
}

const LAST: usize = 43;

fn examples() -> Vec<Body> {
    let s = str::to_owned;
    let by = || PersonId("console:1000".into());
    let digest = Digest::of_bytes(b"example");
    let commit = || CommitId("0123456789abcdef0123456789abcdef01234567".into());
    let run = RunKey { owner: TaskId(12).into(), place: 1, fence: 2, kind: RunKind::Agent };
    let check = RunKey { kind: RunKind::Recheck, ..run };
    let usage = Usage { input_tokens: 1, output_tokens: 2, cache_read_tokens: 3, cache_write_tokens: 4 };
    let denial =
        DenialNote { what: s("tool Bash"), rule: s("not granted"), remedy: s("[persona.qa] tools = [\"Bash\"]") };
    let end = RunEnd { cause: EndCause::Exited, exit_code: Some(1), stderr_tail: s("oh") };
    let persona = PersonaPolicy {
        tools: vec![s("Read")],
        write: vec![s("tests/**")],
        // As written once; what is built in may grow without this file.
        protect: [
            ".github/**",
            ".gitlab-ci.yml",
            ".gitlab/**",
            ".circleci/**",
            ".buildkite/**",
            ".drone.yml",
            ".travis.yml",
            "azure-pipelines.yml",
            "Jenkinsfile",
            "bitbucket-pipelines.yml",
            "**/CODEOWNERS",
            "**/.gitmodules",
            "**/.gitattributes",
        ]
        .map(s)
        .to_vec(),
        may_touch_ci: true,
        executor: s("scripted"),
        budget: None,
        model: None,
        settings: serde_json::Value::Null,
    };
    let ceiling = Ceiling { tools: vec![s("Read"), s("Bash")], write: vec![s("**")] };
    let granted = grant("qa", &[s("Read"), s("Bash")], &[s("tests/**")], &ceiling, &persona, &[], false);
    let stage = |name: &str, work| StagePlan { name: name.into(), work };
    let work =
        StageWork::Persona { persona: s("qa"), produces: vec![s("a.md")], check: Some(Expect::TestsFail), attempts: 3 };
    let pipeline = Pipeline {
        name: s("feature"),
        summary: s("all of it"),
        read_only: false,
        stages: vec![
            stage("qa", work),
            stage("judge", StageWork::Judge { rules: vec![s("*")] }),
            stage("deliver", StageWork::Deliver { via: Via::Branch }),
        ],
    };
    let task = NewTask {
        id: TaskId(12),
        title: s("Add a discount"),
        description: Kept::new("Please."),
        repository: s("acme/shop"),
        pipeline,
        by: by(),
        asked_before: vec![PersonId("telegram:7".into())],
        chat: Some(s("console:1")),
        budget_name: s("default"),
        budget_asked: true,
        budget: borg_core::budget::Budget { turns: 60, tokens: 500_000, cost: MicroUsd(200_000), wall_ms: 1_800_000 },
        policy: digest,
        retry_of: Some(TaskId(11)),
        continues: Some(Box::new(Continued {
            task: TaskId(10),
            base: commit(),
            head: commit(),
            commits: vec![StageCommit {
                stage: s("impl"),
                persona: s("worker"),
                write: vec![s("**")],
                protected: vec![s("tests/test_a.py")],
                paths: vec![s("shop.py")],
                left_behind: vec![LeftBehind { path: s("spec/"), reason: LeftReason::Pinned, count: 1 }],
                refused: vec![s("/etc/passwd")],
            }],
            incomplete: vec![s("impl: too many files")],
        })),
        branch: s("borg/12/add-a-discount"),
    };
    let outcome = Outcome {
        status: OutcomeStatus::RateLimited,
        message: s("later"),
        session: Some(s("abc")),
        usage,
        claimed_cost_micros: Some(9),
        turns: Some(3),
        retry_after_ms: Some(5_000),
    };
    let collected = Collected {
        commit: commit(),
        changed: vec![s("shop.py")],
        left_behind: vec![LeftBehind { path: s("spec/"), reason: LeftReason::NotGranted, count: 2 }],
        incomplete: vec![s("too many files")],
        artefacts: vec![Artefact { name: s("spec.md"), digest, bytes: 9 }],
    };
    let report = Report { runner: Some(Runner::Pytest), passed: vec![s("a")], complete: true, ..Report::default() };
    let checked = CheckRun {
        end: end.clone(),
        report,
        output: Kept::new("1 passed\n"),
        test_files: vec![s("tests/test_a.py")],
        names: vec![s("test_a")],
        removed: BTreeSet::from([s("b")]),
        image_id: Some(s("sha256:00")),
        wall_ms: 1_200,
        sandbox_error: None,
        overlaid: Vec::new(),
        own: None,
    };
    let causes = [
        Cause::Replaced,
        Cause::TakenOut,
        Cause::PutBack,
        Cause::Keys(vec![s("tool.pytest")]),
        Cause::Unreadable(s("it is no object")),
    ];
    let checked = CheckRun {
        overlaid: causes.into_iter().map(|cause| Overlaid { path: s("pyproject.toml"), cause }).collect(),
        own: Some(Box::new(checked.clone())),
        ..checked
    };
    let finding = Finding {
        rule: s("scope"),
        id: s("left-behind"),
        severity: Severity::Minor,
        confidence: 90,
        base: None,
        head: Some(Span { path: s("shop.py"), start: 1, end: 2 }),
        message: s("look"),
    };
    let attestation = Attestation {
        sandbox: s("docker"),
        image_id: Some(s("sha256:00")),
        policy: digest,
        landlock_abi: 4,
        seccomp: true,
        missing: vec![s("no quota")],
    };
    let notice = Notice {
        chat: s("console:1"),
        kind: NoticeKind::Progress,
        topic: s("task-12"),
        parts: vec![Part::Text(s("preparing"))],
        buttons: vec![],
        document: None,
        replaces: None,
        reply_to: None,
        silent: true,
        width: 0,
    };
    let spent = Spent { turns: 1, usage, cost: MicroUsd(123), notional: MicroUsd(120), wall_ms: 0 };
    let start_error = Some(StartFailure { reason: s("busy"), remedy: "wait".into(), transient: true });
    vec![
        Body::Host(HostEvent::HostStarted { version: s("0.1.0"), sandbox: s("docker 20.10") }),
        Body::Host(HostEvent::PolicyLoaded { digest }),
        Body::Host(HostEvent::PolicyRefused { reason: s("host.toml:3:1: unknown key") }),
        Body::Said(Said::Paused { by: by() }),
        Body::Said(Said::Resumed { by: by() }),
        Body::Host(HostEvent::PersonDenied { by: by(), what: s("approve"), reason: s("needs the role admin") }),
        Body::Said(Said::TaskCreated { task: Box::new(task) }),
        Body::Answer(Answer::Prepared {
            branch: s("main"),
            commit: commit(),
            check: Some(s("make test")),
            warnings: vec![s("old")],
        }),
        Body::Answer(Answer::PrepareFailed { reason: s("no image"), remedy: "`borg-host image build`".into() }),
        Body::Answer(Answer::Briefed { assignment: Kept::new("{}"), grant: granted }),
        Body::Answer(Answer::BriefRefused { reason: s("no title") }),
        Body::Meanwhile(Meanwhile::RunStarted {
            run,
            executor: s("scripted"),
            executor_digest: Some(digest),
            attestation,
        }),
        Body::Meanwhile(Meanwhile::Progressed { run, line: 7, state: s("AA=="), events: Kept::new("[]"), turns: 1 }),
        Body::Meanwhile(Meanwhile::Denied { run, denial, path: Some(s("shop.py")) }),
        Body::Meanwhile(Meanwhile::Metered { run, spent, estimated: true, request: Some(4) }),
        Body::Answer(Answer::RunEnded { run, end, outcome, wall_ms: 900, start_error }),
        Body::Answer(Answer::Collected { run, collected }),
        Body::Answer(Answer::CollectFailed { run, reason: s("the disk is full") }),
        Body::Answer(Answer::Accepted { acceptance: Acceptance::Retry(s("no edge cases")) }),
        Body::Answer(Answer::Checked { run: check, check: Box::new(checked) }),
        Body::Answer(Answer::Judged {
            findings: vec![finding],
            failures: vec![RuleFailure { rule: s("scope"), why: s("trapped") }],
            incomplete: vec![s("cut")],
        }),
        Body::Said(Said::Approved { by: by(), digest, note: s("fine") }),
        Body::Said(Said::Rejected { by: by(), digest, note: s("no") }),
        Body::Said(Said::CancelRequested { by: by() }),
        Body::Said(Said::Unblocked { by: by() }),
        Body::Answer(Answer::Delivered {
            branch: s("borg/12/add-a-discount"),
            commit: commit(),
            pushed_to: Some(s("/srv/shop")),
            answer: Some(Kept::new("yes")),
        }),
        Body::Answer(Answer::DeliverFailed { reason: s("no such place"), remedy: "make it".into() }),
        Body::Answer(Answer::PluginFailed { plugin: s("qa"), reason: s("trapped") }),
        Body::Answer(Answer::TellFailed { reason: s("nobody there") }),
        Body::Answer(Answer::Stopped { run, cause: EndCause::Cancelled }),
        Body::Answer(Answer::Forgotten { run }),
        Body::Answer(Answer::Told { notice: Box::new(notice) }),
        Body::Meanwhile(Meanwhile::DeadlinePassed),
        Body::Meanwhile(Meanwhile::Delayed { reason: s("12 MiB are free"), remedy: "make room".into() }),
        Body::Said(Said::Noted { by: by(), text: Kept::new("mind the tests") }),
        Body::Answer(Answer::Asked { question: Kept::new("which currency?") }),
        Body::Said(Said::Answered { by: by(), text: Kept::new("euros") }),
        Body::Chat(ChatEvent::ChatRegistered {
            chat: s("telegram:-100"),
            registration: Registration { by: by(), at_ms: 7, repository: Some(s("acme/shop")) },
        }),
        Body::Chat(ChatEvent::ChatForgotten { chat: s("telegram:-100"), by: Some(by()) }),
        Body::Chat(ChatEvent::ChatMoved { from: s("telegram:-100"), to: s("telegram:-1001") }),
        Body::Host(HostEvent::UpdatePassedOver { update: s("telegram:77"), what: s("poll") }),
        Body::Said(Said::PersonAllowed { by: by(), person: PersonId(s("telegram:1002")), role: Role::Member }),
        Body::Host(HostEvent::PluginMisbehaved { plugin: s("telegram"), digest, what: s("words that nobody said") }),
        Body::Meanwhile(Meanwhile::Held { run, hold: Hold { request: 4, model: s("claude-opus-4-8"), most: spent } }),
    ]
}

fn events() -> Vec<Event> {
    let of = |(index, body)| Event {
        at_ms: 1_700_000_000_000 + index as u64,
        owner: if index > 5 { Owner::Task(TaskId(12)) } else { Owner::Host },
        settles: (index % 2 == 1).then(|| EffectKey::new(TaskId(12).into(), 1, 2, "agent")),
        body,
    };
    examples().into_iter().enumerate().map(of).collect()
}

#[test]
fn every_kind_has_one_example_in_its_place() {
    let places: Vec<usize> = examples().iter().map(place).collect();
    assert_eq!(places, (0..=LAST).collect::<Vec<_>>());
}

#[test]
fn events_are_written_as_the_golden_file_says() {
    let path = Path::new(GOLDEN).join(format!("events-v{EVENT_VERSION}.jsonl"));
    let golden = fs::read_to_string(&path).unwrap_or_default();
    let written: String = events().iter().map(|event| serde_json::to_string(event).unwrap() + "\n").collect();
    let differs = golden.lines().zip(written.lines()).find(|(want, got)| want != got);
    assert!(golden == written, "{}: {differs:#?}\nall of it as it is written now:\n{written}", path.display());
}

#[test]
fn every_golden_file_is_still_read() {
    let mut files = 0;
    for entry in fs::read_dir(GOLDEN).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines() {
            let event: Event =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{}: {error}\n{line}", path.display()));
            if path.ends_with(format!("events-v{EVENT_VERSION}.jsonl")) {
                assert_eq!(serde_json::to_string(&event).unwrap(), line);
            }
        }
        files += 1;
    }
    assert_eq!(files, EVENT_VERSION, "one golden file per version");
}

#[test]
fn what_agents_say_can_be_deleted_and_older_journals_have_it_inside() {
    let kept = |text: &str, of: &str| {
        let digest = Digest::of_bytes(of.as_bytes());
        serde_json::json!({ "$kept": digest, "text": text })
    };
    let read = |value: serde_json::Value| serde_json::from_value::<Body>(value).unwrap();
    let ended = examples().into_iter().find(|body| matches!(body, Body::Answer(Answer::RunEnded { .. }))).unwrap();
    let mut value = serde_json::to_value(&ended).unwrap();
    assert_eq!(value["outcome"]["message"], kept("later", "later"));
    assert_eq!(value["end"]["stderr_tail"], kept("oh", "oh"));
    value["outcome"]["message"] = "later".into();
    value["end"]["stderr_tail"] = "oh".into();
    assert_eq!(read(value.clone()), ended, "as it was written before");
    value["outcome"]["message"] = kept("", "later");
    let Body::Answer(Answer::RunEnded { outcome, .. }) = read(value) else { panic!() };
    assert_eq!(outcome.message, "");

    let told = examples().into_iter().find(|body| matches!(body, Body::Answer(Answer::Told { .. }))).unwrap();
    let Body::Answer(Answer::Told { notice }) = &told else { panic!() };
    let mut value = serde_json::to_value(&told).unwrap();
    let text = value["notice"]["text"].as_str().unwrap().to_owned();
    assert_eq!(value["notice"], kept(&text, &text));
    value["notice"]["text"] = "".into();
    assert!(matches!(read(value.clone()), Body::Answer(Answer::Told { notice }) if notice.parts.is_empty()));
    value["notice"] = serde_json::to_value(notice).unwrap();
    assert_eq!(read(value), told, "as it was written before");
}
