//! The head of a model's answer that is out while its run ends, with the real Claude Code: nobody waits for it, what it may cost is held, and
//! what it did cost is booked.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use super::money::{self, Money};
use borg_tests::{
    busy,
    crash::traces,
    messages_api::{Fault, FaultKind, Script, Turn, Usage},
    trial::{IMPLEMENT, LIMIT, Trial, bash, worker},
};
use std::time::{Duration, Instant};

/// How long a run may take to end once that was asked for, whatever the provider does.
const SOON: Duration = Duration::from_secs(15);
/// Five cents of the model that the agent chooses.
const KNOWN: u64 = 50_000;

fn usage() -> Usage {
    Usage { output: 2_000, ..Usage::default() }
}

/// A worker whose second request has no head before the stand-in lets go.
fn held() -> Script {
    let worker = worker().turn(bash(IMPLEMENT).usage(usage())).turn(Turn::say("It is done.").usage(usage()));
    Script::new().persona(worker).fault(Fault::at(2, FaultKind::Held).of("worker"))
}

/// Waits until the provider has so many requests of a persona.
fn asks(trial: &Trial, persona: &str, times: usize) {
    let enough = |seen: &[borg_tests::messages_api::Seen]| {
        seen.iter().filter(|seen| seen.persona.as_deref() == Some(persona)).count() >= times
    };
    trial.api.wait_until(LIMIT, enough).unwrap_or_else(|error| panic!("{error:#}"));
}

/// Waits until the ledger has so many requests, and nothing is held any more.
fn booked(trial: &Trial, task: u64, requests: usize) -> Money {
    let mut last = None;
    traces::until(LIMIT, "what was held is booked", || {
        // Of a running host it may be read between two commits; one that lost something stays that way.
        last = Some(money::of(&trial.host, task));
        Ok(matches!(&last, Some(Ok(money)) if money.requests == requests && money.held == 0))
    })
    .unwrap_or_else(|error| panic!("{error:#}; the last look: {last:?}"));
    last.unwrap().unwrap()
}

/// Cancels a task while a head is out; gives what is known of its money then.
fn cancelled(trial: &Trial, task: u64) -> Money {
    let asked = Instant::now();
    trial.host.cli(&["task", "cancel", &task.to_string()]).unwrap().success();
    assert_eq!(trial.host.settled(task, LIMIT).unwrap(), "cancelled");
    assert!(asked.elapsed() < busy::allowing(SOON), "it was waited for: {:?}", asked.elapsed());
    let nothing = || Ok(trial.host.told_of_containers("{{.State.Running}}").iter().all(|running| running != "true"));
    traces::until(busy::allowing(SOON), "no container runs any more", nothing).unwrap();
    let money = money::of(&trial.host, task).unwrap();
    assert!(money.requests == 1 && money.cost == KNOWN, "{money:?}");
    assert!(money.held > KNOWN, "what it may cost is held: {money:?}");
    money
}

#[test]
fn a_cancel_waits_for_no_head_and_its_cost_is_booked_when_it_comes() {
    let Some(mut trial) = Trial::start(held()) else { return };
    let task = trial.task();
    asks(&trial, "worker", 2);
    cancelled(&trial, task);
    // Others are served meanwhile.
    trial.api.let_go();
    let money = booked(&trial, task, 2);
    assert_eq!(money.cost, 2 * KNOWN, "what the provider says, not the most it could have been");
    let told = trial.host.cli(&["task", "show", &task.to_string()]).unwrap().success().stdout;
    assert!(told.contains("$0.1000"), "{told}");
    assert_eq!(trial.host.status(task).unwrap(), "cancelled");
    trial.host.stop().unwrap();
    assert_eq!(money::of(&trial.host, task).unwrap(), money);
}

#[test]
fn what_is_held_when_the_host_is_killed_is_booked_as_the_most_at_the_next_start() {
    let Some(mut trial) = Trial::start(held()) else { return };
    let task = trial.task();
    asks(&trial, "worker", 2);
    let before = cancelled(&trial, task);
    trial.host.kill().unwrap();
    assert_eq!(money::of(&trial.host, task).unwrap(), before, "the kill took nothing of it");
    trial.host.start().unwrap();
    let after = booked(&trial, task, 2);
    assert_eq!(after.cost, before.cost + before.held);
    // Nobody hears the answer any more.
    trial.api.let_go();
    trial.host.stop().unwrap();
    assert_eq!(money::of(&trial.host, task).unwrap(), after);
}

#[test]
fn a_run_whose_client_is_gone_ends_and_its_task_goes_on_while_the_head_is_out() {
    let first = worker().turn(Turn::say("Nobody hears this.").usage(usage())).next_run();
    let again = first.turn(bash(IMPLEMENT).usage(usage())).turn(Turn::say("It is done.").usage(usage()));
    let script = Script::new().persona(again).fault(Fault::at(1, FaultKind::Held).of("worker"));
    let Some(mut trial) = Trial::start(script) else { return };
    let task = trial.task();
    asks(&trial, "worker", 1);
    // As an engine that restarts does: whatever asked in there is gone.
    for container in trial.host.containers() {
        traces::kill_container(&container).unwrap();
    }
    trial.ends(task, "completed");
    let money = money::of(&trial.host, task).unwrap();
    assert!(money.requests == 2 && money.cost == 2 * KNOWN && money.held > 0, "{money:?}");
    trial.api.let_go();
    assert_eq!(booked(&trial, task, 3).cost, 3 * KNOWN, "a task that has ended hears of it, too");
    trial.host.stop().unwrap();
}
