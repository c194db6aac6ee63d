//! The model's provider in trouble, through the whole host with the real Claude Code: what waits, what goes on, what a person is told.
//!
//! The pipeline allows one attempt: a fault that used it up would end the task.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::{
    harness::Setup,
    messages_api::{Fault, FaultKind, Turn, Usage},
    trial::{IMPLEMENT, KEY, LIMIT, PLACEHOLDER, Trial, bash, honest, shop, worker},
};

fn status(status: u16, retry_after_s: Option<u64>) -> FaultKind {
    FaultKind::Status { status, retry_after_s }
}

/// The work arrived, by requests that all had the host's key.
#[track_caller]
fn delivered(trial: &Trial, task: u64) {
    let branches = trial.repo.branches().unwrap();
    assert_eq!(branches.len(), 1, "{}", trial.log(task));
    assert!(trial.repo.show(&branches[0], "shop.py").unwrap().contains("def discounted"));
    let asked = trial.api.asked();
    assert!(asked.iter().all(|seen| seen.header("x-api-key") == Some(KEY) && !seen.mentions(PLACEHOLDER)));
    assert_eq!(trial.api.problems(), Vec::<String>::new());
}

#[test]
fn refused_credentials_block_the_task_and_name_the_remedy() {
    let Some(trial) = Trial::start(honest().fault(Fault::at(1, status(401, None)).times(2))) else { return };
    let task = trial.task();
    trial.ends(task, "blocked");
    let shown = trial.host.cli(&["task", "show", &task.to_string()]).unwrap().success().stdout;
    for words in ["refused the credentials", "borg-host secret set", &format!("borg-host task retry {task}")] {
        assert!(shown.contains(words), "no {words:?} in:\n{shown}");
    }
    // Once more after the secret was read again, and no more.
    assert_eq!(trial.api.asked().len(), 2);
    assert_eq!(trial.repo.branches().unwrap(), [""; 0]);
    // The key is right now.
    trial.host.cli(&["task", "retry", &task.to_string()]).unwrap().success();
    trial.ends(task, "completed");
    delivered(&trial, task);
}

#[test]
fn a_rate_limit_parks_the_task_for_as_long_as_the_provider_asks() {
    let Some(trial) = Trial::start(honest().fault(Fault::at(2, status(429, Some(3))))) else { return };
    let task = trial.task();
    let mut journal = trial.host.journal(task).unwrap();
    let limited = journal.wait(LIMIT, |entry| entry.kind() == "run-ended").unwrap();
    assert_eq!(limited.body()["outcome"]["status"], "rate-limited", "{}", trial.log(task));
    assert_eq!(trial.host.status(task).unwrap(), "parked");
    let shown = trial.host.cli(&["task", "show", &task.to_string()]).unwrap().success().stdout;
    assert!(shown.contains("asked to wait"), "{shown}");
    let again = journal.wait(LIMIT, |entry| entry.kind() == "run-started").unwrap();
    let waited_ms = again.0["at_ms"].as_u64().unwrap() - limited.0["at_ms"].as_u64().unwrap();
    assert!((3_000..20_000).contains(&waited_ms), "it went on after {waited_ms} ms");
    trial.ends(task, "completed");
    assert_eq!(trial.outcomes(task), ["rate-limited", "completed"]);
    delivered(&trial, task);
}

#[test]
fn an_overloaded_provider_is_asked_again() {
    let Some(trial) =
        Trial::start(honest().fault(Fault::at(1, status(500, None)).times(1)).fault(Fault::at(2, status(529, None))))
    else {
        return;
    };
    let task = trial.task();
    trial.ends(task, "completed");
    assert_eq!(trial.outcomes(task), ["transient", "transient", "completed"]);
    delivered(&trial, task);
}

#[test]
fn a_provider_that_stays_down_is_a_persons_matter() {
    let change = |setup: Setup| setup.policy("[host]\ntransient-retries = 1").unwrap();
    let script = honest().fault(Fault::at(1, status(503, None)).times(99));
    let Some(trial) = Trial::with(script, shop(), change) else { return };
    let task = trial.task();
    trial.ends(task, "blocked");
    assert_eq!(trial.outcomes(task), ["transient", "transient"]);
    let shown = trial.host.cli(&["task", "show", &task.to_string()]).unwrap().success().stdout;
    assert!(shown.contains("503") && shown.contains("status page") && shown.contains("task retry"), "{shown}");
}

#[test]
fn a_stream_that_breaks_off_once_is_the_agents_own_business() {
    let Some(trial) = Trial::start(honest().fault(Fault::at(2, FaultKind::Drop { after_events: 4 }))) else { return };
    let task = trial.task();
    trial.ends(task, "completed");
    assert_eq!(
        (trial.outcomes(task), trial.api.asked().len()),
        (vec!["completed".to_owned()], 3),
        "{}",
        trial.log(task)
    );
    delivered(&trial, task);
}

#[test]
fn streams_that_break_off_again_and_again_are_the_hosts() {
    let script = honest().fault(Fault::at(2, FaultKind::StreamError { after_events: 4 }).times(6));
    let change = |setup: Setup| setup.policy("[host]\ntransient-retries = 9").unwrap();
    let Some(trial) = Trial::with(script, shop(), change) else { return };
    let task = trial.task();
    trial.ends(task, "completed");
    let outcomes = trial.outcomes(task);
    let (last, before) = outcomes.split_last().unwrap();
    assert!(last == "completed" && !before.is_empty(), "{outcomes:?}");
    assert!(before.iter().all(|outcome| outcome == "transient"), "{outcomes:?}");
    delivered(&trial, task);
}

#[test]
fn a_provider_that_does_not_answer_is_given_up_and_asked_again() {
    silent(FaultKind::Silence);
}

#[test]
fn a_provider_that_stops_in_the_middle_is_given_up_and_asked_again() {
    silent(FaultKind::Stall { after_events: 4 });
}

fn silent(fault: FaultKind) {
    // Nothing more comes of such a request, so there is no use in waiting for the end of it.
    let change = |setup: Setup| {
        setup.policy("[executor.claude-code]\nidle = \"4s\"").unwrap().policy("[host]\ndrain = \"1s\"").unwrap()
    };
    let Some(trial) = Trial::with(honest().fault(Fault::at(1, fault)), shop(), change) else { return };
    let task = trial.task();
    trial.ends(task, "completed");
    assert_eq!(trial.outcomes(task), ["transient", "completed"]);
    let ended = &trial.entries(task, "run-ended")[0];
    assert_eq!(ended.body()["end"]["cause"], "silent", "{ended:?}");
    delivered(&trial, task);
}

#[test]
fn at_the_cap_the_agent_is_told_and_its_work_so_far_is_kept() {
    let dear = Usage { input: 400_000, output: 100_000, ..Usage::default() };
    let script = borg_tests::messages_api::Script::new()
        .persona(worker().turn(bash(IMPLEMENT)).turn(bash("true").usage(dear)).turn(Turn::say("unreachable")));
    let change = |setup: Setup| setup.policy("[budget.default]\ncost = \"$0.50\"").unwrap();
    let Some(trial) = Trial::with(script, shop(), change) else { return };
    let task = trial.task();
    trial.ends(task, "capped");
    assert_eq!(trial.outcomes(task), ["capped"]);
    // The third request never left the host; the agent heard why, and so does whoever asks.
    assert_eq!(trial.api.asked().len(), 2);
    let log = trial.log(task);
    assert!(log.contains("borg: budget reached"), "{log}");
    let shown = trial.host.cli(&["task", "show", &task.to_string()]).unwrap().success().stdout;
    assert!(shown.contains("budget"), "{shown}");
    let diff = trial.host.cli(&["task", "diff", &task.to_string()]).unwrap().success().stdout;
    assert!(diff.contains("+def discounted"), "{diff}");
    assert_eq!(trial.repo.branches().unwrap(), [""; 0], "nothing is delivered");
}
