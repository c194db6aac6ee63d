//! From words to a planned task: who may ask for what, and what is missing when nothing can be made of it.

mod policies;

use borg_core::{
    asked::NewTask,
    collect::CommitId,
    id::TaskId,
    intent::{self, COMMANDS, Intent, TaskRequest},
    kept::Kept,
    people::{PersonId, Role},
    permit::{Refused, permit},
    plan::{self, PlanError, plan, replan},
    policy::{Policy, StageWork, Via},
    task::{Base, BlockedOn, Ending, Phase, Position, Task},
};

const POLICY: &str = r#"
[persona.worker]
write = ["**"]
executor = "scripted"
[persona.reader]
executor = "scripted"
[executor.scripted]
[repo."acme/shop"]
url = "/srv/shop"
[people]
owner = ["console:1"]
admin = ["console:2"]
member = ["console:3"]
guest = ["console:4"]
[budget.default]
turns = 10
tokens = 1000
cost = "$1.00"
wall = "1h"
[host]
pipeline = "quick"
[pipeline.quick]
summary = "s"
[[pipeline.quick.stage]]
name = "impl"
persona = "worker"
[[pipeline.quick.stage]]
name = "judge"
rules = ["*"]
[[pipeline.quick.stage]]
name = "deliver"
via = "branch"
[pipeline.ask]
summary = "s"
read-only = true
[[pipeline.ask.stage]]
name = "answer"
persona = "reader"
[[pipeline.ask.stage]]
name = "deliver"
via = "reply"
"#;

fn policy(edit: impl Fn(&str) -> String) -> Policy {
    policies::of(&edit(POLICY))
}

fn shipped() -> Policy {
    policy(str::to_owned)
}

const ROLES: [(Role, &str); 4] =
    [(Role::Owner, "console:1"), (Role::Admin, "console:2"), (Role::Member, "console:3"), (Role::Guest, "console:4")];

fn planned(intent: Intent, policy: &Policy) -> Result<NewTask, PlanError> {
    let permit = permit(&PersonId("console:1".into()), intent, None, policy).expect("an owner may");
    plan(&permit, TaskId(9), Some("console:1".into()), None, policy).map(|task| task.expect("it makes a task"))
}

fn request(title: &str) -> TaskRequest {
    TaskRequest { title: title.into(), ..TaskRequest::default() }
}

#[test]
fn a_role_may_do_what_the_table_says_and_no_more() {
    let policy = shipped();
    for command in COMMANDS {
        let said =
            ["", " 1", " acme/shop words", " 1 words", " telegram:7"].map(|rest| format!("/{}{rest}", command.name));
        let intent = said.iter().find_map(|said| intent::parse(said).ok()).expect("one of them is right");
        for (role, person) in ROLES {
            let got = permit(&PersonId(person.into()), intent.clone(), None, &policy);
            assert_eq!(got.is_ok(), role >= command.role, "{person}: /{}", command.name);
            if let Err(refused) = got {
                assert!(!refused.stranger && refused.remedy.spell(intent::spell).contains("[people]"), "{refused:?}");
            }
        }
        let stranger = permit(&PersonId("console:999".into()), intent, None, &policy).expect_err("nobody knows them");
        assert!(stranger.stranger, "{stranger:?}");
    }
}

#[test]
fn a_member_has_a_say_in_their_own_tasks_only() {
    let policy = shipped();
    let mut spec = planned(Intent::Task(request("T")), &policy).unwrap();
    spec.by = PersonId("console:3".into());
    let task = Task::new(spec, 0);
    let member = |by: &str, intent: Intent, task: &Task| permit(&PersonId(by.into()), intent, Some(task), &policy);
    let (id, text) = (TaskId(9), String::from("words"));
    let wishes = [
        Intent::Cancel { task: id },
        Intent::Retry { task: id },
        Intent::Note { task: id, text: text.clone() },
        Intent::Answer { task: id, text },
    ];
    for intent in wishes {
        assert!(member("console:3", intent.clone(), &task).is_ok());
        let mut other = task.clone();
        other.spec.by = PersonId("console:1".into());
        let refused: Refused = member("console:3", intent.clone(), &other).unwrap_err();
        assert!(refused.reason.contains("the role admin"), "{refused}");
        assert!(member("console:2", intent, &other).is_ok());
    }
}

#[test]
fn a_plan_fills_in_what_was_not_said() {
    let policy = shipped();
    let task = planned(Intent::Task(request(" Add a discount ")), &policy).unwrap();
    assert_eq!((task.title.as_str(), task.branch.as_str()), ("Add a discount", "borg/9/add-a-discount"));
    assert_eq!((task.repository.as_str(), task.pipeline.name.as_str()), ("acme/shop", "quick"));
    assert_eq!((task.budget_name.as_str(), task.budget_asked), ("default", false));
    assert_eq!((task.policy, task.retry_of), (policy.digest, None));

    let question = Intent::Ask { repository: None, question: "Why\tthis?\nAnd that?".into() };
    let task = planned(question, &policy).unwrap();
    assert_eq!((task.title.as_str(), task.pipeline.name.as_str()), ("Why this?", "ask"));
    assert_eq!(task.description.text, "Why\tthis?\nAnd that?");
}

#[test]
fn a_persona_alone_is_judged_where_it_may_write() {
    let policy = shipped();
    for (persona, read_only, via, judged) in [("worker", false, Via::Branch, true), ("reader", true, Via::Reply, false)]
    {
        let alone = TaskRequest { persona: Some(persona.into()), ..request("T") };
        let pipeline = planned(Intent::Task(alone), &policy).unwrap().pipeline;
        let judges = pipeline.stages.iter().any(|stage| matches!(stage.work, StageWork::Judge { .. }));
        let last = pipeline.stages.last().map(|stage| stage.work.clone());
        assert_eq!((pipeline.read_only, judges, last), (read_only, judged, Some(StageWork::Deliver { via })));
    }
}

#[test]
fn what_is_missing_is_named_with_its_remedy() {
    let policy = shipped();
    let some = |name: &str| Some(name.to_owned());
    for (request, problem, remedy) in [
        (request(" "), "the title is missing", "/help task"),
        (request("a\u{7}b"), "control characters", "/help task"),
        (
            TaskRequest { repository: some("acme/shoe"), ..request("T") },
            "`acme/shoe` is not granted",
            "repo add acme/shoe",
        ),
        (TaskRequest { pipeline: some("quik"), ..request("T") }, "no pipeline `quik`", "known pipelines: ask, quick"),
        (TaskRequest { persona: some("boss"), ..request("T") }, "no persona `boss`", "known personas: reader, worker"),
        (TaskRequest { budget: some("huge"), ..request("T") }, "no budget `huge`", "known budgets: default"),
    ] {
        let error = planned(Intent::Task(request), &policy).unwrap_err();
        assert!(error.problem.contains(problem) && error.remedy.spell(intent::spell).contains(remedy), "{error:?}");
    }
    let two = self::policy(|text| text.replace("[people]", "[repo.\"acme/site\"]\nurl = \"/srv/site\"\n[people]"));
    let error = planned(Intent::Task(request("T")), &two).unwrap_err();
    assert!(error.problem.contains("no repository was named"), "{error:?}");
}

#[test]
fn a_repetition_is_a_new_task_under_the_policy_of_today() {
    let policy = shipped();
    let old = Task::new(planned(Intent::Task(request("T")), &policy).unwrap(), 0);
    let today = self::policy(|text| text.replace("turns = 10", "turns = 20").replace("\"**\"", "\"src/**\""));
    let by = PersonId("console:2".into());
    let permit = permit(&by, Intent::Retry { task: old.id() }, Some(&old), &today).unwrap();
    let new = replan(&old, &permit, TaskId(10), None, &today).unwrap();
    assert_eq!((new.id, new.retry_of, new.branch.as_str()), (TaskId(10), Some(TaskId(9)), "borg/10/t"));
    assert_eq!((new.by, new.policy, new.budget.turns), (by, today.digest, 20));

    let gone = self::policy(|text| text.replace("acme/shop", "acme/else"));
    let error = replan(&old, &permit, TaskId(10), None, &gone).unwrap_err();
    assert!(error.problem.contains("`acme/shop` is not granted"), "{error:?}");
}

#[test]
fn going_on_takes_repository_pipeline_and_budget_along_and_says_what_was_before() {
    let policy = shipped();
    let mut request = request("Add a discount");
    (request.pipeline, request.budget) = (Some("quick".into()), Some("default".into()));
    request.description = "On everything.".into();
    let mut old = Task::new(planned(Intent::Task(request), &policy).unwrap(), 0);
    let go_on = |old: &Task, text: &str| {
        let intent = Intent::Continue { task: TaskId(9), text: text.into() };
        let permit = permit(&PersonId("console:3".into()), intent, Some(old), &policy).expect("a member may");
        plan::go_on(old, text, &permit, TaskId(10), None, &policy)
    };
    assert!(go_on(&old, "And now?").unwrap_err().problem.contains("has not ended"));
    for ending in [Ending::Completed, Ending::Rejected, Ending::Failed, Ending::Cancelled, Ending::Capped] {
        old.phase = Phase::Ended { ending, reason: "because".into() };
        // It may have ended before it began.
        (old.base, old.head) = (None, None);
        assert_eq!(go_on(&old, "Again").unwrap().continues, None);
        old.base = Some(Base { branch: "main".into(), commit: CommitId("1".repeat(40)), check: None });
        old.head = Some(CommitId("2".repeat(40)));
        old.last_words = Some(Kept::new("Half of it is there."));
        let task = go_on(&old, "The other half, please.\nToday.").unwrap();
        let continues = task.continues.expect("there is work to go on from");
        assert_eq!((continues.base.0, continues.head.0), ("1".repeat(40), "2".repeat(40)));
        assert_eq!(
            (task.title.as_str(), task.branch.as_str()),
            ("The other half, please.", "borg/10/the-other-half-please")
        );
        assert_eq!(
            (task.pipeline.name.as_str(), task.budget_name.as_str(), task.budget_asked),
            ("quick", "default", true)
        );
        assert_eq!((task.by.0.as_str(), task.retry_of), ("console:3", None));
        let text = task.description.text;
        let status = old.status().to_string();
        for want in ["The other half, please.\nToday.", "task #9", "On everything.", "Half of it is there.", &status] {
            assert!(text.contains(want), "no {want:?} in {text}");
        }
    }
    old.spec.description = Kept::new("é ".repeat(60_000));
    assert!(go_on(&old, "Go on").unwrap().description.text.len() < 20 << 10, "it does not grow without end");
    // A question goes on from its answer; there is no branch.
    old.spec.pipeline = policy.pipelines["ask"].clone();
    assert_eq!(go_on(&old, "And why?").unwrap().continues, None);
    // What is not granted any more is not worked on.
    old.spec.repository = "gone/away".into();
    assert!(go_on(&old, "Go on").unwrap_err().problem.contains("not granted"));
}

#[test]
fn words_to_a_task_mean_what_its_state_makes_of_them() {
    let policy = shipped();
    let mut task = Task::new(planned(Intent::Task(request("T")), &policy).unwrap(), 0);
    let (id, text) = (TaskId(9), "in euros".to_owned());
    assert_eq!(intent::about(&task, " in euros\n"), Ok(Intent::Note { task: id, text: text.clone() }));
    let question = Kept::new("which currency?");
    let (at, reason, remedy) = (Position::default(), String::new(), "".into());
    task.phase = Phase::Blocked { at, on: BlockedOn::Question { question }, reason, remedy };
    assert_eq!(intent::about(&task, "in euros"), Ok(Intent::Answer { task: id, text: text.clone() }));
    task.phase = Phase::Ended { ending: Ending::Failed, reason: String::new() };
    assert_eq!(intent::about(&task, "in euros"), Ok(Intent::Continue { task: id, text }));
    assert!(intent::about(&task, &"x".repeat(9_000)).unwrap_err().problem.contains("8192 bytes"));
}

#[test]
fn a_chat_has_a_repository_of_its_own() {
    let policy = shipped();
    let plan_in = |of_chat: &str, said: Option<&str>| {
        let wish = Intent::Task(TaskRequest { repository: said.map(str::to_owned), ..request("T") });
        let permit = permit(&PersonId("console:1".into()), wish, None, &policy).unwrap();
        plan(&permit, TaskId(9), None, Some(&of_chat.to_owned()), &policy)
    };
    assert_eq!(plan_in("acme/shop", None).unwrap().unwrap().repository, "acme/shop");
    assert!(plan_in("acme/gone", None).unwrap_err().problem.contains("`acme/gone` is not granted"));
    assert_eq!(plan_in("acme/gone", Some("acme/shop")).unwrap().unwrap().repository, "acme/shop");
}
