//! Money over a day, with the real Claude Code: a run that reaches the cap is stopped, its work kept, its task parked; an edit of policy lets it
//! go on from there. And what the shipped sizes are for: a question is answered within its own.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::{
    harness::{Host, Texts},
    messages_api::{Persona, Script, Turn, Usage},
    process::Backoff,
    trial::{IMPLEMENT, LIMIT, REPOSITORY, Trial, bash, shop, worker},
};
use serde_json::json;
use std::{fs, time::Instant};

/// A token of a subscription.
const SUBSCRIPTION: &str = "sk-ant-oat01-trial-token-of-the-host";

/// What costs $5 of the model that the agent chooses.
fn dear() -> Usage {
    Usage { output: 200_000, ..Usage::default() }
}

fn cheap() -> Usage {
    Usage { input: 10, output: 20, ..Usage::default() }
}

/// Rewrites the policy file of a running host.
fn edit(host: &Host, from: &str, to: &str) {
    let path = host.dir().join("policies/policy.toml");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

/// Waits until a task is parked.
#[track_caller]
fn parks(trial: &Trial, task: u64) {
    let deadline = Instant::now() + LIMIT;
    let mut pauses = Backoff::default();
    while trial.host.status(task).unwrap() != "parked" {
        assert!(pauses.pause_until(deadline), "{}", trial.log(task));
    }
}

fn shown(trial: &Trial, task: u64) -> String {
    trial.host.cli(&["task", "show", &task.to_string()]).unwrap().success().stdout
}

#[test]
fn at_the_cap_work_is_parked_and_an_edit_of_policy_goes_on_from_it() {
    // The dear request comes when the work is done; what follows it is cut off.
    let first = worker().turn(bash(IMPLEMENT).usage(cheap()));
    let first = first.turn(Turn::call("Bash", json!({ "command": "sleep 60" })).usage(dear())).next_run();
    let second = first.turn(Turn::say("It was all there.").usage(cheap()));
    let capped = |setup: borg_tests::harness::Setup| setup.policy("[host]\ndaily = \"$1.00\"").unwrap();
    let Some(mut trial) = Trial::with(Script::new().persona(second), shop(), capped) else { return };
    let task = trial.task();
    parks(&trial, task);
    let told = shown(&trial, task);
    assert!(told.contains("what this host may spend in a day is used up until 00:00 UTC: $5.0"), "{told}");
    assert!(told.contains("of $1.0000 (`daily` in [host])"), "{told}");
    assert_eq!(trial.host.told_of_containers("{{.Id}}"), [""; 0], "nothing is kept running for it");
    // Nothing else starts, and says why. So it is after the host has died, too.
    trial.host.kill().unwrap();
    trial.host.start().unwrap();
    let added = trial.host.cli(&["task", "add", "Add more", "--repo", REPOSITORY]).unwrap().success().stdout;
    assert!(added.contains("it waits: what this host may spend in a day is used up until 00:00 UTC"), "{added}");
    parks(&trial, task + 1);
    trial.host.cli(&["task", "cancel", &(task + 1).to_string()]).unwrap().success();
    assert_eq!(trial.outcomes(task).len(), 1, "{}", trial.log(task));
    edit(&trial.host, "daily = \"$1.00\"", "daily = \"$100.00\"");
    trial.ends(task, "completed");
    // The pipeline has one attempt: a second run was none.
    assert_eq!(trial.outcomes(task).len(), 2, "{}", trial.log(task));
    let log = trial.log(task);
    assert!(log.contains("parked: A daily cap was used up") && log.contains("completed"), "{log}");
    let branches = trial.repo.branches().unwrap();
    let shop = trial.repo.show(&branches[0], "shop.py").unwrap();
    assert!(
        shop.contains("def discounted"),
        "what the first run did is delivered, though the second did nothing: {shop}"
    );
    assert_eq!(trial.api.problems(), Vec::<String>::new(), "{}", trial.log(task));
}

/// A conversation of eight requests, billed as the provider would: the prompt is written to the cache once and read from it with each turn.
fn conversation() -> Persona {
    let turn = |turn: Turn, n: u64| {
        let cached = if n == 0 { 0 } else { 16_000 + 2_500 * n };
        let written = if n == 0 { 16_000 } else { 2_500 };
        turn.usage(Usage { input: 10, output: 400, cache_read: cached, cache_write: written })
    };
    let read = || Turn::call("Read", json!({ "file_path": "/workspace/shop.py" }));
    let reads = (0..7).fold(Persona::new("answerer", Texts::ANSWERER), |persona, n| persona.turn(turn(read(), n)));
    reads.turn(turn(Turn::say("Prices are rounded in shop.py."), 7))
}

#[test]
fn a_question_is_answered_within_the_shipped_budget() {
    let Some(trial) = Trial::start(Script::new().persona(conversation())) else { return };
    let asked = trial.host.cli(&["ask", "Where are prices rounded?", "--repo", REPOSITORY]).unwrap().success();
    assert!(asked.stdout.contains("Prices are rounded in shop.py."), "{}", asked.stdout);
    let told = shown(&trial, 1);
    // That is more than $0.05, which was the budget of a question once, and is told without what came from the cache.
    let spent = told.lines().find(|line| line.contains("tokens")).unwrap_or_else(|| panic!("{told}"));
    assert!(spent.contains("$0.3") || spent.contains("$0.4"), "{spent}");
    assert!(spent.contains("from the provider's cache"), "{spent}");
}

#[test]
fn what_a_subscription_pays_stops_nothing_and_is_called_a_list_price() {
    let answer = Turn::say("In shop.py.").usage(dear());
    let script = || Script::new().persona(Persona::new("answerer", Texts::ANSWERER).turn(answer.clone()));
    let capped = |setup: borg_tests::harness::Setup| setup.policy("[host]\ndaily = \"$1.00\"").unwrap();
    let Some(trial) = Trial::keyed(SUBSCRIPTION, script(), shop(), capped) else { return };
    let question = ["ask", "Where?", "--repo", REPOSITORY];
    trial.host.cli(&question).unwrap().success();
    let told = shown(&trial, 1);
    assert!(told.contains("$5.0") && told.contains("at list price (a subscription pays)"), "{told}");
    let next = trial.host.cli(&["task", "add", "Add more", "--repo", REPOSITORY]).unwrap().success().stdout;
    assert!(!next.contains("it waits"), "the day cost nothing: {next}");
}

#[test]
fn a_question_that_nobody_can_pay_for_today_is_not_asked() {
    let answer = || Turn::say("In shop.py.").usage(Usage { output: 4_000, ..Usage::default() });
    let persona = Persona::new("answerer", Texts::ANSWERER).turn(answer()).next_run().turn(answer());
    let Some(mut trial) = Trial::start(Script::new().persona(persona)) else { return };
    let question = ["ask", "Where?", "--repo", REPOSITORY];
    trial.host.cli(&question).unwrap().success();
    trial.host.stop().unwrap();
    // That was ten cents.
    edit(&trial.host, "[people]\n", "[people]\ndaily = \"$0.05\"\n");
    let refused = trial.host.cli(&question).unwrap();
    assert_ne!(refused.code, Some(0), "{}", refused.stdout);
    assert!(
        refused.stderr.contains("what one person may spend in a day is used up until 00:00 UTC"),
        "{}",
        refused.stderr
    );
    assert!(refused.stderr.contains("(`daily` in [people])"), "{}", refused.stderr);
    assert_eq!(trial.api.asked().len(), 1, "nothing was asked of the model");
    edit(&trial.host, "daily = \"$0.05\"", "daily = \"$100.00\"");
    trial.host.cli(&question).unwrap().success();
}
