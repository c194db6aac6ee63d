//! Several tasks at once: never more than policy allows, never two on one repository, also over a pause and the host's death.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use super::chain;
use anyhow::{Result, ensure};
use borg_tests::{
    crash::{self, Sandbox, gate, traces},
    harness::{Entry, Host},
    repo::Repo,
};
use std::time::Duration;

const CHECK: &str = "python3 -m unittest discover -v";
const LIMIT: Duration = Duration::from_secs(60);
/// `[host] parallel` of the shipped policies.
const PARALLEL: usize = 2;

fn statuses(host: &Host, tasks: &[u64]) -> Vec<String> {
    tasks.iter().map(|task| host.status(*task).unwrap()).collect()
}

/// True for a task that nothing has happened to but that it was made.
fn is_untouched(host: &Host, task: u64) -> bool {
    host.entries(task).unwrap().len() == 1
}

fn let_through(host: &Host, task: u64) {
    let run = gate::reached(host, task, 1).unwrap();
    gate::open(host, &run).unwrap();
}

/// Fails when the journals show two tasks at work on one repository, or more than allowed at all.
fn never_too_many(host: &Host, tasks: &[(u64, &str)]) -> Result<()> {
    let seq = |entry: &Entry| entry.0["seq"].as_u64().expect("entries are numbered");
    let mut changes = Vec::new();
    for (task, repository) in tasks {
        let entries = host.entries(*task)?;
        // The first event after its creation comes of its first effect.
        let begun = entries.iter().find(|entry| entry.kind() == "prepared").map(seq).expect("every task was prepared");
        let ended =
            entries.iter().find(|entry| entry.kind() == "delivered").map(seq).expect("every task was delivered");
        changes.extend([(begun, true, *task, *repository), (ended, false, *task, *repository)]);
    }
    changes.sort_unstable();
    let mut running: Vec<(u64, &str)> = Vec::new();
    for (_, begins, task, repository) in changes {
        if begins {
            ensure!(
                running.iter().all(|(_, other)| *other != repository),
                "#{task} joined {running:?} on {repository}"
            );
            running.push((task, repository));
        } else {
            running.retain(|(other, _)| *other != task);
        }
        ensure!(running.len() <= PARALLEL, "{running:?} at once");
    }
    Ok(())
}

#[test]
fn four_tasks_share_two_repositories() {
    four_tasks(Sandbox::strongest());
}

#[test]
fn four_tasks_share_two_repositories_in_the_local_sandbox() {
    four_tasks(Sandbox::Local);
}

fn four_tasks(sandbox: Sandbox) {
    let Some(setup) = crash::setup(sandbox) else { return };
    let repos = [gate::repo().unwrap(), gate::repo().unwrap()];
    let setup = setup.repository("acme/one", &repos[0], Some(CHECK)).unwrap();
    let mut host = crash::start(setup.repository("acme/two", &repos[1], Some(CHECK)).unwrap()).unwrap();

    // Nothing starts while everything is paused, also not after a restart.
    host.cli(&["pause"]).unwrap().success();
    let names = ["acme/one", "acme/one", "acme/two", "acme/two"];
    let tasks: Vec<u64> = names.iter().map(|name| host.task(name, "quick", "Add a discount", "").unwrap()).collect();
    host.kill().unwrap();
    host.start().unwrap();
    assert_eq!(statuses(&host, &tasks), ["queued"; 4]);
    assert!(tasks.iter().all(|task| is_untouched(&host, *task)));

    // One per repository.
    host.cli(&["resume"]).unwrap().success();
    let runs = [gate::reached(&host, tasks[0], 1).unwrap(), gate::reached(&host, tasks[2], 1).unwrap()];
    assert_eq!(statuses(&host, &tasks), ["running", "queued", "running", "queued"]);

    // The host's death gives nobody another place; in the local sandbox the runs begin again in theirs.
    host.kill().unwrap();
    host.start().unwrap();
    if sandbox == Sandbox::Local {
        for task in [tasks[0], tasks[2]] {
            gate::reached(&host, task, 2).unwrap();
        }
    }
    assert_eq!(statuses(&host, &tasks), ["running", "queued", "running", "queued"]);
    assert!(is_untouched(&host, tasks[1]) && is_untouched(&host, tasks[3]));

    // What runs goes on in a pause, and what waits waits.
    host.cli(&["pause"]).unwrap().success();
    for (task, run) in [(tasks[0], &runs[0]), (tasks[2], &runs[1])] {
        gate::open(&host, run).unwrap();
        assert_eq!(host.settled(task, LIMIT).unwrap(), "completed");
    }
    assert_eq!(statuses(&host, &tasks), ["completed", "queued", "completed", "queued"]);

    host.cli(&["resume"]).unwrap().success();
    for task in [tasks[1], tasks[3]] {
        let_through(&host, task);
    }
    for task in [tasks[1], tasks[3]] {
        assert_eq!(host.settled(task, LIMIT).unwrap(), "completed");
    }
    let named: Vec<(u64, &str)> = tasks.iter().copied().zip(names).collect();
    never_too_many(&host, &named).unwrap();
    let branches = |repo: &Repo| repo.branches().unwrap();
    assert_eq!(branches(&repos[0]), ["borg/1/add-a-discount", "borg/2/add-a-discount"]);
    assert_eq!(branches(&repos[1]), ["borg/3/add-a-discount", "borg/4/add-a-discount"]);
    traces::until_nothing_of_runs(&host, LIMIT).unwrap();
    host.stop().unwrap();
    assert_eq!(traces::of_host(&host).unwrap(), [""; 0]);
    chain::holds(&host).unwrap();
}
