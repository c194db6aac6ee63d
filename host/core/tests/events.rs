//! The journal outlives the program: events are written as the newest file in `golden/` says, and read back.
//!
//! A line that changes is a journal that an older or newer binary misreads. A new field is `#[serde(default)]` or comes with a new
//! `EVENT_VERSION` and a golden file of its own; golden files of earlier versions stay and must still be read.

use borg_core::{
    budget::{MicroUsd, Spent, Usage},
    chat::{Notice, NoticeKind, Part, Registration},
    check::{
        Report, Runner,
        harness::{Cause, Overlaid},
    },
    collect::{Artefact, Collected, CommitId, LeftBehind, LeftReason},
    effect::EffectKey,
    event::{Body, DenialNote, EVENT_VERSION, Event, Kept, StartFailure},
    evidence::CheckRun,
    executor::{EndCause, Outcome, OutcomeStatus, RunEnd},
    facts::{Finding, Severity, Span, StageCommit},
    grant::{Ceiling, grant},
    id::{Digest, RunKey, RunKind, TaskId},
    persona::Acceptance,
    policy::{Expect, PersonId, PersonaPolicy, Pipeline, Role, StagePlan, StageWork, Via},
    run::Attestation,
    task::{Continued, Hold, NewTask},
    verdict::RuleFailure,
};
use std::{collections::BTreeSet, fs, path::Path};

const GOLDEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");

/// Place of a kind in the golden file. Matched in full: a new kind does not compile until it has a place and an example.
fn place(body: &Body) -> usize {
    match body {
        Body::HostStarted { .. } => 0,
        Body::PolicyLoaded { .. } => 1,
        Body::PolicyRefused { .. } => 2,
        Body::Paused { .. } => 3,
        Body::Resumed { .. } => 4,
        Body::PersonDenied { .. } => 5,
        Body::TaskCreated { .. } => 6,
        Body::Prepared { .. } => 7,
        Body::PrepareFailed { .. } => 8,
        Body::Briefed { .. } => 9,
        Body::BriefRefused { .. } => 10,
        Body::RunStarted { .. } => 11,
        Body::Progressed { .. } => 12,
        Body::Denied { .. } => 13,
        Body::Metered { .. } => 14,
        Body::RunEnded { .. } => 15,
        Body::Collected { .. } => 16,
        Body::CollectFailed { .. } => 17,
        Body::Accepted { .. } => 18,
        Body::Checked { .. } => 19,
        Body::Judged { .. } => 20,
        Body::Approved { .. } => 21,
        Body::Rejected { .. } => 22,
        Body::CancelRequested { .. } => 23,
        Body::Unblocked { .. } => 24,
        Body::Delivered { .. } => 25,
        Body::DeliverFailed { .. } => 26,
        Body::PluginFailed { .. } => 27,
        Body::TellFailed { .. } => 28,
        Body::Stopped { .. } => 29,
        Body::Forgotten { .. } => 30,
        Body::Told { .. } => 31,
        Body::DeadlinePassed => 32,
        Body::Delayed { .. } => 33,
        Body::Noted { .. } => 34,
        Body::Asked { .. } => 35,
        Body::Answered { .. } => 36,
        Body::ChatRegistered { .. } => 37,
        Body::ChatForgotten { .. } => 38,
        Body::ChatMoved { .. } => 39,
        Body::UpdatePassedOver { .. } => 40,
        Body::PersonAllowed { .. } => 41,
        Body::PluginMisbehaved { .. } => 42,
        Body::Held { .. } => LAST,
    }
}

const LAST: usize = 43;

fn examples() -> Vec<Body> {
    let s = str::to_owned;
    let by = || PersonId("console:1000".into());
    let digest = Digest::of_bytes(b"example");
    let commit = || CommitId("0123456789abcdef0123456789abcdef01234567".into());
    let run = RunKey { task: TaskId(12), stage: 1, attempt: 2, kind: RunKind::Agent };
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
    let start_error = Some(StartFailure { reason: s("busy"), remedy: s("wait"), transient: true });
    vec![
        Body::HostStarted { version: s("0.1.0"), sandbox: s("docker 20.10") },
        Body::PolicyLoaded { digest },
        Body::PolicyRefused { reason: s("host.toml:3:1: unknown key") },
        Body::Paused { by: by() },
        Body::Resumed { by: by() },
        Body::PersonDenied { by: by(), what: s("approve"), reason: s("needs the role admin") },
        Body::TaskCreated { task: Box::new(task) },
        Body::Prepared { branch: s("main"), commit: commit(), check: Some(s("make test")), warnings: vec![s("old")] },
        Body::PrepareFailed { reason: s("no image"), remedy: s("`borg-host image build`") },
        Body::Briefed { assignment: Kept::new("{}"), grant: granted },
        Body::BriefRefused { reason: s("no title") },
        Body::RunStarted { run, executor: s("scripted"), executor_digest: Some(digest), attestation },
        Body::Progressed { run, line: 7, state: s("AA=="), events: Kept::new("[]"), turns: 1 },
        Body::Denied { run, denial, path: Some(s("shop.py")) },
        Body::Metered { run, spent, estimated: true, request: Some(4) },
        Body::RunEnded { run, end, outcome, wall_ms: 900, start_error },
        Body::Collected { run, collected },
        Body::CollectFailed { run, reason: s("the disk is full") },
        Body::Accepted { acceptance: Acceptance::Retry(s("no edge cases")) },
        Body::Checked { run: check, check: Box::new(checked) },
        Body::Judged {
            findings: vec![finding],
            failures: vec![RuleFailure { rule: s("scope"), why: s("trapped") }],
            incomplete: vec![s("cut")],
            diff: digest,
        },
        Body::Approved { by: by(), digest, note: s("fine") },
        Body::Rejected { by: by(), digest, note: s("no") },
        Body::CancelRequested { by: by() },
        Body::Unblocked { by: by() },
        Body::Delivered {
            branch: s("borg/12/add-a-discount"),
            commit: commit(),
            pushed_to: Some(s("/srv/shop")),
            answer: Some(Kept::new("yes")),
        },
        Body::DeliverFailed { reason: s("no such place"), remedy: s("make it") },
        Body::PluginFailed { plugin: s("qa"), reason: s("trapped") },
        Body::TellFailed { reason: s("nobody there") },
        Body::Stopped { run, cause: EndCause::Cancelled },
        Body::Forgotten { run },
        Body::Told { notice: Box::new(notice) },
        Body::DeadlinePassed,
        Body::Delayed { reason: s("12 MiB are free"), remedy: s("make room") },
        Body::Noted { by: by(), text: Kept::new("mind the tests") },
        Body::Asked { question: Kept::new("which currency?") },
        Body::Answered { by: by(), text: Kept::new("euros") },
        Body::ChatRegistered {
            chat: s("telegram:-100"),
            registration: Registration { by: by(), at_ms: 7, repository: Some(s("acme/shop")) },
        },
        Body::ChatForgotten { chat: s("telegram:-100"), by: Some(by()) },
        Body::ChatMoved { from: s("telegram:-100"), to: s("telegram:-1001") },
        Body::UpdatePassedOver { update: s("telegram:77"), what: s("poll") },
        Body::PersonAllowed { by: by(), person: PersonId(s("telegram:1002")), role: Role::Member },
        Body::PluginMisbehaved { plugin: s("telegram"), digest, what: s("words that nobody said") },
        Body::Held { run, hold: Hold { request: 4, model: s("claude-opus-4-8"), most: spent } },
    ]
}

fn events() -> Vec<Event> {
    let of = |(index, body)| Event {
        at_ms: 1_700_000_000_000 + index as u64,
        task: (index > 5).then_some(TaskId(12)),
        settles: (index % 2 == 1).then(|| EffectKey::new(TaskId(12), 1, 2, "agent")),
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
    let ended = examples().into_iter().find(|body| matches!(body, Body::RunEnded { .. })).unwrap();
    let mut value = serde_json::to_value(&ended).unwrap();
    assert_eq!(value["outcome"]["message"], kept("later", "later"));
    assert_eq!(value["end"]["stderr_tail"], kept("oh", "oh"));
    value["outcome"]["message"] = "later".into();
    value["end"]["stderr_tail"] = "oh".into();
    assert_eq!(read(value.clone()), ended, "as it was written before");
    value["outcome"]["message"] = kept("", "later");
    let Body::RunEnded { outcome, .. } = read(value) else { panic!() };
    assert_eq!(outcome.message, "");

    let told = examples().into_iter().find(|body| matches!(body, Body::Told { .. })).unwrap();
    let Body::Told { notice } = &told else { panic!() };
    let mut value = serde_json::to_value(&told).unwrap();
    let text = value["notice"]["text"].as_str().unwrap().to_owned();
    assert_eq!(value["notice"], kept(&text, &text));
    value["notice"]["text"] = "".into();
    assert!(matches!(read(value.clone()), Body::Told { notice } if notice.parts.is_empty()));
    value["notice"] = serde_json::to_value(notice).unwrap();
    assert_eq!(read(value), told, "as it was written before");
}
