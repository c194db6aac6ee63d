//! What people read who look at the host itself: its policy as it is in force, and what it did.

mod parts;
mod policies;

use borg_core::{
    budget::{MicroUsd, Usage},
    chat::Registration,
    daily::{DAY_MS, Day},
    id::TaskId,
    people::{PersonId, Role},
    policy::Policy,
    task::Status,
    words::{self, DigestLine, Figures, Window},
};
use parts::lines;
use std::collections::BTreeMap;

const POLICY: &str = r#"
[persona.worker]
tools = ["Read", "Bash"]
write = ["a/**", "b/**", "c/**", "d/**", "e/**"]
protect = ["secrets/**"]
executor = "scripted"
model = "big"
[persona.reader]
executor = "scripted"
budget = "quick"
[executor.scripted]
image = "borg-base:latest"
model = "small"
[repo."acme/shop"]
url = "/srv/shop"
check = "make test"
image = "shop:1"
[people]
admin = ["telegram:7"]
[budget.default]
turns = 10
tokens = 1000
cost = "$1.00"
wall = "1h"
[budget.quick]
turns = 2
tokens = 10
cost = "$0.10"
wall = "1min"
[verdict]
review = 30
block = 90
[host]
pipeline = "quick"
[pipeline.quick]
summary = "one goes at it"
[[pipeline.quick.stage]]
name = "impl"
persona = "worker"
check = "tests-pass"
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

#[test]
fn who_is_there_and_who_asks() {
    assert_eq!(lines(&words::ping("0.1.0", 200_000)), ["borg-host 0.1.0 is up for 3 min 20 s"]);
    let person = PersonId("telegram:7".into());
    assert_eq!(
        lines(&words::chat_id("telegram:-100", &person, Role::Admin)),
        ["this chat: telegram:-100", "you: telegram:7, admin"]
    );
}

#[test]
fn personas_in_short_and_one_in_full() {
    let policy = shipped();
    assert_eq!(
        lines(&words::personas(None, &policy).unwrap()),
        [
            "# Personas",
            "reader: scripted, model small; budget quick; tools none; writes nothing",
            "worker: scripted, model big; budget default unless the task names one; tools Read, Bash; \
             writes a/**, b/**, c/**, d/** and 1 more",
            "/personas NAME shows one in full.",
        ]
    );
    assert_eq!(
        lines(&words::personas(Some("worker"), &policy).unwrap()),
        [
            "# Persona worker",
            "works with: scripted, model big",
            "tools: Read, Bash",
            "writes: a/**, b/**, c/**, d/**, e/**",
            "but never: secrets/**",
            "CI files: protected",
            "budget: default unless the task names one: 10 turns, 1000 tokens, $1.0000, 1 h 0 min for a stage",
        ]
    );
    let reader = lines(&words::personas(Some("reader"), &policy).unwrap()).join("\n");
    assert!(reader.contains("budget: quick: 2 turns") && reader.contains("nothing in the workspace"), "{reader}");
    let nobody = words::personas(Some("wroker"), &policy).unwrap_err();
    assert_eq!(lines(&nobody), ["there is no persona `wroker`", "there are: reader, worker"]);
}

#[test]
fn a_pipeline_is_told_from_the_policy_in_force() {
    assert_eq!(
        lines(&words::pipeline(None, &shipped()).unwrap()),
        [
            "# Pipeline quick",
            "one goes at it",
            "stages: impl → judge → deliver",
            "- impl: worker with scripted, model big, must leave tests-pass, 3 attempt(s), up to $1.0000",
            "- judge: all rules look at the change",
            "- deliver: a branch in the repository",
            "repository: acme/shop, where a task names no other",
            "tests of acme/shop: `make test`, in shop:1",
            "other pipelines: ask",
        ]
    );
    let ask = lines(&words::pipeline(Some("ask"), &shipped()).unwrap());
    assert!(ask.contains(&"stages: answer → deliver (changes nothing)".to_owned()), "{ask:?}");
    assert_eq!(
        lines(&words::pipeline(Some("nope"), &shipped()).unwrap_err()),
        ["there is no pipeline `nope`", "there are: ask, quick"]
    );
    let told = |policy: &Policy| lines(&words::pipeline(None, policy).unwrap()).join("\n");
    let two = told(&policy(|text| text.replace("[people]", "[repo.\"acme/other\"]\nurl = \"/srv/o\"\n[people]")));
    assert!(two.contains("must name one") && two.contains("tests of acme/other: the `test` target"), "{two}");
    let mut none = shipped();
    none.repos.clear();
    assert!(told(&none).contains("repository: none yet; `borg-host repo add"), "{}", told(&none));
}

#[test]
fn policy_says_what_i_may_and_no_more() {
    let policy = shipped();
    let told = |role| lines(&words::policy(&policy, Some("today"), &PersonId("telegram:7".into()), role));
    let admin = told(Role::Admin);
    assert_eq!(admin[0], format!("policy: {}, in force since today", policy.digest.short()));
    for line in
        ["repositories: acme/shop", "verdicts: review from risk 30 on, block from 90 on", "you: telegram:7, admin"]
    {
        assert!(admin.contains(&line.to_owned()), "{line}: {admin:?}");
    }
    let may = |role| told(role).pop().unwrap();
    assert!(may(Role::Admin).starts_with("you may: /task ") && may(Role::Admin).contains("/approve"), "{admin:?}");
    assert!(!may(Role::Guest).contains("/approve") && !may(Role::Guest).contains("/cancel"));
    assert!(may(Role::Guest).contains("/audit") && may(Role::Member).contains("/cancel"));
}

#[test]
fn figures_add_up() {
    let mut day = Window { hours: 24, asked: 9, cost: MicroUsd(500_000), ..Window::default() };
    day.usage = Usage { input_tokens: 1_000, output_tokens: 34, ..Usage::default() };
    let month = Window { hours: 30 * 24, ..Window::default() };
    let mut figures = Figures { windows: vec![day, month], ..Figures::default() };
    for status in Status::ALL {
        figures.windows[0].ended(status);
        figures.live(status);
    }
    figures.windows[0].ended(Status::Completed);
    assert_eq!(
        lines(&words::stats(&figures)),
        [
            "# What was done",
            // Whoever cancels has changed their mind; that is no failure.
            "24 h: 9 asked for; 2 completed, 2 failed, 1 rejected, 1 cancelled (success 40 %); 1034 tokens, $0.5000",
            "30 d: 0 asked for; 0 completed, 0 failed, 0 rejected, 0 cancelled; 0 tokens, $0.0000",
            "now: 1 queued, 2 running, 1 going on later, 2 waiting for a person",
        ]
    );
}

#[test]
fn help_about_one_says_who_may_and_by_what_other_name() {
    let guest = lines(&words::help(Some("approve"), Role::Guest));
    assert_eq!(guest.last().map(String::as_str), Some("needs: the role admin, and you are guest"));
    assert_eq!(lines(&words::help(Some("approve"), Role::Admin)).len(), 2);
    assert_eq!(lines(&words::help(Some("list"), Role::Guest)).last().map(String::as_str), Some("the same: /list"));
}

#[test]
fn the_digest_has_figures_and_a_line_for_each_task() {
    let window = Window { hours: 24, asked: 3, completed: 2, failed: 1, cost: MicroUsd(120_000), ..Window::default() };
    let figures = Figures { windows: vec![window], queued: 1, ..Figures::default() };
    let line = |id, branch: Option<&str>| DigestLine {
        id: TaskId(id),
        title: "Add a discount".into(),
        repository: "acme/shop".into(),
        status: if branch.is_some() { Status::Completed } else { Status::Failed },
        branch: branch.map(str::to_owned),
        cost: MicroUsd(20_000),
        notional: MicroUsd(if branch.is_some() { 0 } else { 20_000 }),
    };
    let tasks = [line(12, Some("borg/12/add-a-discount")), line(11, None)];
    let want = [
        "# The last 24 h",
        "tasks: 3 asked for; 2 completed, 1 failed, 0 rejected, 0 cancelled (success 66 %)",
        "spent: 0 tokens, $0.1200",
        "now: 1 queued, 0 running, 0 going on later, 0 waiting for a person",
        "- #12 Add a discount (acme/shop): completed, borg/12/add-a-discount, $0.0200",
        "- #11 Add a discount (acme/shop): failed, $0.0200 at list price (a subscription pays)",
    ];
    assert_eq!(lines(&words::digest(&figures, &tasks, 0)), want);
    let cut = words::digest(&figures, &tasks, 7);
    assert_eq!(lines(&cut).last().unwrap(), "- and 7 more");
}

#[test]
fn chats_are_listed_with_what_they_are_about() {
    assert!(lines(&words::groups(&BTreeMap::new()))[0].starts_with("no chat is registered; /register"));
    let chat = |n: usize, repository: Option<&str>| {
        let by = PersonId("telegram:7".into());
        (format!("telegram:-{n:04}"), Registration { by, at_ms: 0, repository: repository.map(str::to_owned) })
    };
    let few = BTreeMap::from([chat(1, Some("acme/shop")), chat(2, None)]);
    let want = ["# Registered chats", "telegram:-0001: acme/shop, by telegram:7", "telegram:-0002: by telegram:7"];
    assert_eq!(lines(&words::groups(&few)), want);
    let many: BTreeMap<_, _> = (0..1_000).map(|n| chat(n, None)).collect();
    let lines = lines(&words::groups(&many));
    assert_eq!((lines.len(), lines.last().unwrap().as_str()), (52, "- and 950 more"));
}

#[test]
fn daily_caps_and_what_is_spent_of_them_are_told() {
    let noon = 20 * DAY_MS + DAY_MS / 2;
    let me = PersonId("telegram:7".into());
    let plain = shipped();
    let mut capped = shipped();
    (capped.host.daily, capped.people_daily) = (Some(MicroUsd(50_000_000)), Some(MicroUsd(20_000_000)));
    let mut day = Day::default();
    assert_eq!(words::today(&day, &plain, Some(&me), noon), []);
    day.pay(TaskId(1), Some(&me), MicroUsd(19_000_000), noon);
    day.pay(TaskId(2), Some(&PersonId("telegram:8".into())), MicroUsd(31_000_000), noon);
    let want = [
        "money today, all tasks: $50.0000 of $50.0000; nothing starts until 00:00 UTC",
        "money today, your tasks: $19.0000 of $20.0000; one task runs at a time",
    ];
    assert_eq!(lines(&words::today(&day, &capped, Some(&me), noon)), want);
    let tomorrow = lines(&words::today(&day, &capped, None, noon + DAY_MS));
    assert_eq!(tomorrow, ["money today, all tasks: $0.0000 of $50.0000"]);
    let line = "in a day of UTC: $50.0000 for all tasks, $20.0000 for the tasks of each person".to_owned();
    assert!(lines(&words::policy(&capped, None, &me, Role::Guest)).contains(&line));
    assert!(lines(&words::pipeline(None, &capped).unwrap()).contains(&line));
    assert!(!lines(&words::pipeline(None, &plain).unwrap()).join("\n").contains("in a day"));
}

#[test]
fn a_list_price_that_a_subscription_pays_is_called_so() {
    for (cost, notional, want) in [
        (120_000, 0, "$0.1200"),
        (120_000, 120_000, "$0.1200 at list price (a subscription pays)"),
        (120_000, 20_000, "$0.1200, of which a subscription pays $0.0200 at list price"),
        (0, 0, "$0.0000"),
    ] {
        assert_eq!(words::money(MicroUsd(cost), MicroUsd(notional)), want);
    }
    let usage = Usage { input_tokens: 10, output_tokens: 5, cache_write_tokens: 1, ..Usage::default() };
    assert_eq!(words::tokens(&usage), "16 tokens");
    let cached = Usage { cache_read_tokens: 1_000, ..usage };
    assert_eq!(words::tokens(&cached), "16 tokens and 1000 from the provider's cache");
    let window = Window { hours: 24, usage: cached, cost: MicroUsd(5), notional: MicroUsd(5), ..Window::default() };
    let figures = Figures { windows: vec![window], ..Figures::default() };
    for parts in [words::stats(&figures), words::digest(&figures, &[], 0)] {
        let told = lines(&parts).join("\n");
        assert!(told.contains("16 tokens and 1000 from the provider's cache, $0.0001 at list price"), "{told}");
    }
}
