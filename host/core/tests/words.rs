//! What people read, row by row: how each notice is laid out in parts, and that nothing in it is left unsaid.

mod parts;

use borg_core::{
    approval::Review,
    asked::NewTask,
    budget::{Budget, MicroUsd, Spent, Usage},
    chat::{Notice, NoticeKind},
    collect::{CommitId, LeftBehind, LeftReason},
    denial::DenialNote,
    facts::{CheckOutcome, Finding, Severity, Span, TestEvidence},
    id::{Digest, TaskId},
    intent,
    kept::Kept,
    people::{PersonId, Role},
    policy::{Pipeline, StagePlan, StageWork, Via},
    record::StageRecord,
    task::{Base, BlockedOn, Decision, Ending, Phase, Position, Task},
    verdict::{Ruling, Verdict},
    words,
};
use parts::lines;

fn commit(digit: char) -> CommitId {
    CommitId(digit.to_string().repeat(40))
}

/// A task whose pipeline has one persona and delivers like this.
fn task(via: Via) -> Task {
    let persona = StageWork::Persona { persona: "worker".into(), produces: vec![], check: None, attempts: 3 };
    let stage = |name: &str, work| StagePlan { name: name.into(), work };
    let spec = NewTask {
        id: TaskId(7),
        title: "Add a discount".into(),
        description: Kept::new(""),
        repository: "acme/shop".into(),
        pipeline: Pipeline {
            name: "quick".into(),
            summary: String::new(),
            read_only: via == Via::Reply,
            stages: vec![stage("impl", persona), stage("deliver", StageWork::Deliver { via })],
        },
        by: PersonId("console:3".into()),
        asked_before: Vec::new(),
        chat: Some("console:1".into()),
        budget_name: "default".into(),
        budget_asked: false,
        budget: Budget { turns: 1, tokens: 1, cost: MicroUsd(1), wall_ms: 1 },
        policy: Digest::of_bytes(b"p"),
        retry_of: None,
        continues: None,
        branch: "borg/7/add-a-discount".into(),
    };
    let mut task = Task::new(spec, 0);
    task.base = Some(Base { branch: "main".into(), commit: commit('b'), check: None });
    task.head = Some(commit('b'));
    task.spent = Spent {
        turns: 3,
        usage: Usage { input_tokens: 1_000, output_tokens: 234, ..Usage::default() },
        cost: MicroUsd(12_300),
        wall_ms: 75_000,
        ..Spent::default()
    };
    task
}

fn ended(mut task: Task, ending: Ending, reason: &str) -> Task {
    task.phase = Phase::Ended { ending, reason: reason.into() };
    task
}

fn finding(n: usize) -> Finding {
    Finding {
        rule: "scope".into(),
        id: "left-behind".into(),
        severity: Severity::Minor,
        confidence: 80,
        base: None,
        head: Some(Span { path: "shop.py".into(), start: 4, end: 5 }),
        message: format!("look at {n}"),
    }
}

fn review(verdict: Verdict, findings: usize) -> Review {
    let findings: Vec<Finding> = (0..findings).map(finding).collect();
    let reasons = findings.iter().map(|finding| finding.message.clone()).collect();
    Review { ruling: Ruling { verdict, reasons }, findings, head: commit('h'), digest: Digest::of_bytes(b"d") }
}

fn record() -> StageRecord {
    StageRecord {
        stage: "impl".into(),
        persona: "worker".into(),
        attempt: 2,
        commit: commit('h'),
        changed: vec!["shop.py".into()],
        write: vec![],
        protected: vec![],
        left_behind: vec![LeftBehind { path: "ci/".into(), reason: LeftReason::Protected, count: 3 }],
        incomplete: vec![],
        artefacts: vec![],
    }
}

fn hold(notice: Option<Notice>, kind: NoticeKind, want: &[&str]) {
    let notice = notice.expect("somebody is to be told");
    assert_eq!(notice.kind, kind);
    assert_eq!((notice.chat.as_str(), notice.topic.as_str()), ("console:1", "task-7"));
    assert_eq!(notice.silent, kind == NoticeKind::Progress, "only progress comes without a sound");
    assert_eq!(lines(&notice.parts), want);
}

const SPENT: &str = "spent: $0.0123, 1234 tokens, 3 turns, 1 min 15 s";
const ON: &str = "next: a reply to this, or /continue 7 TEXT, goes on from here";
const NEXT: &str = "next: a reply to this, or /continue 7 TEXT, goes on from here; /retry 7 runs it again; /diff 7 shows what there is";

#[test]
fn progress_and_waiting() {
    hold(words::progress(&task(Via::Branch), "judging"), NoticeKind::Progress, &["#7 Add a discount: judging"]);
    hold(
        words::parked(&task(Via::Branch), "the model provider asked to wait", 90_000),
        NoticeKind::Progress,
        &["#7 waits 1 min 30 s: the model provider asked to wait. It goes on by itself."],
    );
    let mut silent = task(Via::Branch);
    silent.spec.chat = None;
    assert_eq!(words::progress(&silent, "judging"), None);
}

#[test]
fn blocked_says_why_and_what_to_do() {
    let mut task = task(Via::Branch);
    assert_eq!(words::blocked(&task), None);
    task.phase = Phase::Blocked {
        at: Position::default(),
        on: BlockedOn::Repair,
        reason: "no image".into(),
        remedy: "build it".into(),
    };
    let want = ["# #7 Add a discount is blocked", "no image", "what to do: build it"];
    hold(words::blocked(&task), NoticeKind::Warning, &want);
}

#[test]
fn a_review_names_reasons_change_and_choices() {
    let mut task = task(Via::Branch);
    assert_eq!(words::review(&task), None);
    task.records = vec![record()];
    task.denials = vec![DenialNote { what: "tool Bash".into(), rule: "r".into(), remedy: String::new() }];
    let change = format!("change: {}", Digest::of_bytes(b"d").short());
    task.phase = Phase::NeedsReview { at: Position::default(), review: review(Verdict::Review, 12) };
    let mut want = vec!["# #7 Add a discount needs a look".to_owned()];
    want.extend((0..10).map(|n| format!("- look at {n}")));
    want.extend(["- and 2 more", "left behind: ci/ by worker", "denied: tool Bash"].map(str::to_owned));
    want.extend(["asked for by: console:3".to_owned(), "who decides: console:1, bot:2".to_owned(), change.clone()]);
    task.deciders = ["console:1", "bot:2"].map(|person| PersonId(person.into())).to_vec();
    let want: Vec<&str> = want.iter().map(String::as_str).collect();
    let notice = words::review(&task);
    let actions: Vec<String> = notice.iter().flat_map(|n| n.buttons.iter().map(|b| b.action.clone())).collect();
    let approve = format!("/approve 7 change:{}", Digest::of_bytes(b"d").short());
    let reject = format!("/reject 7 change:{}", Digest::of_bytes(b"d").short());
    assert_eq!(actions, [&approve, &reject, "/diff 7"]);
    hold(notice, NoticeKind::Review, &want);
    assert!(lines(&words::status(&task, intent::spell)).contains(&"who decides: console:1, bot:2".to_owned()));
    // Who asked and may decide need not be told who may.
    task.deciders.push(task.spec.by.clone());
    let told = words::review(&task).unwrap();
    assert!(!lines(&told.parts).iter().any(|line| line.starts_with("who decides")), "{told:?}");
    task.deciders.clear();
    let told = words::review(&task).unwrap();
    assert!(lines(&told.parts).iter().any(|line| line.starts_with("who decides: nobody")), "{told:?}");

    let on = BlockedOn::Verdict { review: review(Verdict::Block, 1) };
    task.phase = Phase::Blocked { at: Position::default(), on, reason: String::new(), remedy: "".into() };
    let first = words::review(&task).map(|notice| lines(&notice.parts)[0].clone());
    assert_eq!(first.as_deref(), Some("# #7 Add a discount is blocked by its verdict"));
}

#[test]
fn a_private_chat_has_the_buttons_of_its_person_and_a_decided_review_has_none() {
    let mut task = task(Via::Branch);
    task.phase = Phase::NeedsReview { at: Position::default(), review: review(Verdict::Review, 1) };
    let [asker, decider] = ["bot:1", "bot:2"].map(|person| PersonId(person.into()));
    let buttons = |reader: Option<(&PersonId, Role)>| -> Vec<String> {
        let shown = words::review_in(words::review(&task).unwrap(), "bot:9", reader, std::slice::from_ref(&decider));
        assert_eq!(shown.chat, "bot:9");
        shown.buttons.into_iter().map(|button| button.label).collect()
    };
    let mut named = task.clone();
    named.spec.by = asker.clone();
    let told = |reader: &PersonId| {
        let shown = words::review_in(words::review(&named).unwrap(), "c", Some((reader, Role::Owner)), &[]);
        lines(&shown.parts).contains(&"asked for by: bot:1".to_owned())
    };
    assert_eq!([&asker, &decider].map(told), [false, true], "who asked knows that");
    assert_eq!(buttons(None), ["Approve", "Reject", "Diff"], "a group is many people's");
    assert_eq!(buttons(Some((&decider, Role::Owner))), ["Approve", "Reject", "Diff"]);
    assert_eq!(buttons(Some((&asker, Role::Owner))), ["Reject", "Diff"], "their own stays theirs to turn down");
    assert_eq!(buttons(Some((&asker, Role::Member))), ["Diff"]);
    let closed = words::closed(&task, "approved", &decider).unwrap();
    assert!(closed.buttons.is_empty() && closed.silent);
    let change = format!("change: {}", Digest::of_bytes(b"d").short());
    assert_eq!(lines(&closed.parts), ["# #7 Add a discount: approved by bot:2", "- look at 0", &change]);
}

#[test]
fn a_delivered_change_comes_with_its_record() {
    let mut task = ended(task(Via::Branch), Ending::Completed, "branch borg/7/add-a-discount at hhhhhhhhhh in /srv");
    task.head = Some(commit('h'));
    task.records = vec![record()];
    task.last_words = Some(Kept::new("all done \n"));
    task.review = Some(review(Verdict::Review, 1));
    task.decision = Some(Decision {
        by: PersonId("console:1".into()),
        at_ms: 1,
        approved: true,
        digest: Digest::of_bytes(b"d"),
        note: "fine".into(),
    });
    task.evidence = vec![TestEvidence {
        stage: "impl".into(),
        outcome: CheckOutcome::Green,
        passed: vec!["a".into(), "b".into()],
        failed: vec![],
        skipped: vec![],
        other: None,
        overlaid: vec![],
    }];
    let want = [
        "# #7 Add a discount: completed",
        "branch borg/7/add-a-discount at hhhhhhhhhh in /srv",
        "The agent says: all done",
        "branch: borg/7/add-a-discount",
        "approved by: console:1: fine",
        "tests after impl: green: 2 passed, 0 failed",
        "findings: 1, verdict review",
        "- scope/left-behind (minor, 80 %) shop.py:4: look at 0",
        "left behind: ci/ by worker",
        SPENT,
        ON,
    ];
    hold(words::ended(&task), NoticeKind::Final, &want);
}

#[test]
fn an_answer_is_the_answer_and_nothing_around_it() {
    let mut task = ended(task(Via::Reply), Ending::Completed, "answered");
    task.last_words = Some(Kept::new("Forty-two.\n"));
    hold(words::ended(&task), NoticeKind::Final, &["# #7 Add a discount: completed", "Forty-two.", SPENT]);
    task.last_words = None;
    hold(words::ended(&task), NoticeKind::Final, &["# #7 Add a discount: completed", "answered", SPENT, ON]);
}

#[test]
fn what_was_cut_short_is_not_called_a_branch() {
    for (ending, word, again) in [
        (Ending::Failed, "failed", true),
        (Ending::Capped, "capped", true),
        (Ending::Cancelled, "cancelled", true),
        (Ending::Rejected, "rejected", false),
    ] {
        let mut task = ended(task(Via::Branch), ending, "why");
        task.head = Some(commit('h'));
        let heading = format!("# #7 Add a discount: {word}");
        let mut want = vec![heading.as_str(), "why", "work so far: hhhhhhhhhh, not delivered", SPENT];
        want.push(if again { NEXT } else { ON });
        hold(words::ended(&task), NoticeKind::Final, &want);
    }
    let task = ended(task(Via::Branch), Ending::Completed, "no changes");
    hold(words::ended(&task), NoticeKind::Final, &["# #7 Add a discount: completed", "no changes", SPENT, ON]);
}

#[test]
fn status_tells_where_it_stands() {
    let mut task = task(Via::Branch);
    task.records = vec![record()];
    task.head = Some(commit('h'));
    let denial = |what: &str, remedy: &str| DenialNote { what: what.into(), rule: "r".into(), remedy: remedy.into() };
    task.denials = vec![denial("tool Bash", "grant it"), denial("path /etc", "")];
    task.phase = Phase::Blocked {
        at: Position { stage: 1, attempt: 1, ..Position::default() },
        on: BlockedOn::Repair,
        reason: "no image".into(),
        remedy: "build it".into(),
    };
    let want = [
        "# #7 Add a discount: blocked",
        "repository: acme/shop",
        "pipeline: quick (impl → [deliver])",
        "blocked: no image",
        "what to do: build it",
        "base: main at bbbbbbbbbb",
        "work so far: hhhhhhhhhh, not delivered",
        "impl: worker, attempt 2, 1 file(s) changed",
        "- left behind: ci/ (protected, 3)",
        "- denied: tool Bash (r). To allow it: grant it",
        "- denied: path /etc (r)",
        SPENT,
    ];
    assert_eq!(lines(&words::status(&task, intent::spell)), want);
}

#[test]
fn help_shows_what_a_role_may_do() {
    let guest = lines(&words::help(None, Role::Guest)).join("\n");
    let owner = lines(&words::help(None, Role::Owner)).join("\n");
    assert!(guest.contains("/tasks: ") && !guest.contains("/approve: "), "{guest}");
    assert!(owner.contains("/approve: let a change through"), "{owner}");
    assert_eq!(lines(&words::help(Some("diff"), Role::Guest)), ["# /diff: what a task changed", "/diff N"]);
}
