//! Runs outlive the host, and what was lost while it was down starts again.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use super::chain;
use anyhow::{Result, ensure};
use borg_tests::{
    crash::{self, Sandbox, gate, output, traces},
    harness::{Entry, Host},
    repo::Repo,
    require,
};
use std::{process::Command, time::Duration};

const REPOSITORY: &str = "acme/shop";
const CHECK: &str = "python3 -m unittest discover -v";
const LIMIT: Duration = Duration::from_secs(60);
const IMAGE: &str = "borg-base:latest";
/// What the worker is seen doing from beginning to end, each once.
const ALL: [&str; 11] = [
    gate::BEFORE,
    "a2 Bash",
    "a2 true",
    gate::AFTER,
    "a4 Write",
    "a4 true",
    "a5 Edit",
    "a5 true",
    "a6 Bash",
    "a6 true",
    "`discounted` does what the specification asks for.",
];

/// A task whose worker waits at the gate.
struct Room {
    host: Host,
    repo: Repo,
    task: u64,
    /// The worker's run.
    run: String,
}

impl Room {
    fn start(sandbox: Sandbox) -> Option<Self> {
        let setup = crash::setup(sandbox)?;
        let repo = gate::repo().unwrap();
        let host = crash::start(setup.repository(REPOSITORY, &repo, Some(CHECK)).unwrap()).unwrap();
        let task = host.task(REPOSITORY, "quick", "Add a discount", "").unwrap();
        let mut room = Self { host, repo, task, run: String::new() };
        room.run = gate::reached(&room.host, task, 1).unwrap();
        Some(room)
    }

    fn container(&self) -> String {
        let containers = traces::containers(&self.host).unwrap();
        containers.iter().find(|found| found.run == self.run).expect("the run has a container").id.clone()
    }

    /// Waits for the end, in which nothing is lost, doubled or left behind; gives the runs that started.
    fn finish(mut self) -> Vec<String> {
        assert_eq!(self.host.settled(self.task, LIMIT).unwrap(), "completed");
        let journal = self.host.entries(self.task).unwrap();
        assert_eq!(output::of_last_run(&journal).unwrap(), ALL);
        assert_eq!(self.repo.branches().unwrap(), ["borg/1/add-a-discount"]);
        let shown = self.host.json(&["task", "show", &self.task.to_string()]).unwrap();
        assert_eq!(shown["records"][0]["attempt"], 1, "an attempt was used up");
        assert!(journal.iter().all(|entry| entry.kind() != "deadline-passed"), "the task was parked");
        assert_eq!(shown["spent"]["wall-ms"].as_u64().unwrap(), ran_ms(&journal), "time before the restart counts");
        traces::until_nothing_of_runs(&self.host, LIMIT).unwrap();
        self.host.stop().unwrap();
        assert_eq!(traces::of_host(&self.host).unwrap(), [""; 0]);
        chain::holds(&self.host).unwrap();
        output::started(&journal)
    }
}

/// How long agents ran: what the end of each run tells, and of runs that were lost what was heard of them.
fn ran_ms(journal: &[Entry]) -> u64 {
    let at = |entry: &Entry| entry.0["at_ms"].as_u64().unwrap();
    let (mut whole, mut heard) = (0, None);
    for entry in journal {
        heard = match (entry.kind(), heard) {
            ("run-started", lost) => {
                whole += lost.map_or(0, |(from, to)| to - from);
                Some((at(entry), at(entry)))
            }
            ("progressed" | "metered", Some((from, _))) => Some((from, at(entry))),
            ("run-ended", _) => {
                whole += entry.body()["wall_ms"].as_u64().unwrap();
                None
            }
            (_, heard) => heard,
        };
    }
    whole
}

#[test]
fn a_run_is_adopted_with_all_its_output() {
    if !require::image(IMAGE) {
        return;
    }
    let Some(mut room) = Room::start(Sandbox::Docker) else { return };
    let container = room.container();
    room.host.kill().unwrap();
    // The first time nothing happens while nobody looks, the second time all the rest of the run does.
    room.host.start().unwrap();
    assert_eq!(room.container(), container);
    room.host.kill().unwrap();
    gate::open(&room.host, &room.run).unwrap();
    traces::until(LIMIT, "the agent ends", || {
        Ok(traces::containers(&room.host)?.iter().all(|found| found.state == "exited"))
    })
    .unwrap();
    assert_eq!(room.container(), container);
    room.host.start().unwrap();
    let run = room.run.clone();
    assert_eq!(room.finish(), [run]);
}

#[test]
fn an_orderly_stop_leaves_the_run_alone_too() {
    if !require::image(IMAGE) {
        return;
    }
    let Some(mut room) = Room::start(Sandbox::Docker) else { return };
    let container = room.container();
    assert_eq!(room.host.stop().unwrap(), Some(0));
    assert_eq!(room.container(), container);
    room.host.start().unwrap();
    gate::open(&room.host, &room.run).unwrap();
    let run = room.run.clone();
    assert_eq!(room.finish(), [run]);
}

#[test]
fn a_question_without_a_host_sets_nothing_else_going() {
    let Some(mut room) = Room::start(Sandbox::strongest()) else { return };
    room.host.kill().unwrap();
    let before = room.host.entries(room.task).unwrap().len();
    let asked = room.host.cli(&["ask", "Where are prices rounded?"]).unwrap();
    assert_eq!(asked.code, Some(3), "{asked:?}");
    assert!(asked.stderr.contains("task #1 would go on") && asked.stderr.contains("`borg-host run`"), "{asked:?}");
    assert_eq!(room.host.entries(room.task).unwrap().len(), before);
    assert_eq!(room.host.json(&["task", "list"]).unwrap().as_array().unwrap().len(), 1, "nothing was asked for");
    room.host.start().unwrap();
    room.host.cli(&["task", "cancel", "1"]).unwrap().success();
    assert_eq!(room.host.settled(room.task, LIMIT).unwrap(), "cancelled");
    room.host.stop().unwrap();
}

#[test]
fn what_is_left_of_a_run_that_nothing_waits_for_goes_at_the_start() {
    let Some(setup) = crash::setup(Sandbox::strongest()) else { return };
    let mut host = setup.write().unwrap();
    let runs = host.data().join("runs");
    let (run, other) = (runs.join("t77-s0-a1-agent"), runs.join("not-a-run"));
    for folder in [&run, &other] {
        std::fs::create_dir_all(folder.join("home/deep")).unwrap();
    }
    host.start().unwrap();
    // The control socket is there before the engine has looked around; whoever is answered comes after that.
    host.cli(&["pause"]).unwrap().success();
    assert!(!run.exists() && other.exists());
    host.stop().unwrap();
}

#[test]
fn a_run_whose_container_vanished_starts_again() {
    if !require::image(IMAGE) {
        return;
    }
    let Some(mut room) = Room::start(Sandbox::Docker) else { return };
    let container = room.container();
    room.host.kill().unwrap();
    traces::remove_container(&container).unwrap();
    room.host.start().unwrap();
    let again = gate::reached(&room.host, room.task, 2).unwrap();
    // Killed once more: what was saved of the first container's output says nothing about the second's.
    room.host.kill().unwrap();
    gate::open(&room.host, &again).unwrap();
    room.host.start().unwrap();
    let run = room.run.clone();
    assert_eq!(room.finish(), [run, again]);
}

#[test]
fn a_run_whose_container_was_killed_starts_again() {
    if !require::image(IMAGE) {
        return;
    }
    let Some(mut room) = Room::start(Sandbox::Docker) else { return };
    let container = room.container();
    room.host.kill().unwrap();
    traces::kill_container(&container).unwrap();
    room.host.start().unwrap();
    let again = gate::reached(&room.host, room.task, 2).unwrap();
    gate::open(&room.host, &again).unwrap();
    let run = room.run.clone();
    assert_eq!(room.finish(), [run, again]);
}

#[test]
fn in_the_local_sandbox_the_run_dies_with_the_host_and_starts_again() {
    let Some(mut room) = Room::start(Sandbox::Local) else { return };
    room.host.kill().unwrap();
    traces::until(LIMIT, "the agent dies with its host", || Ok(traces::processes(room.host.dir())?.is_empty()))
        .unwrap();
    room.host.start().unwrap();
    let again = gate::reached(&room.host, room.task, 2).unwrap();
    gate::open(&room.host, &again).unwrap();
    let run = room.run.clone();
    assert_eq!(room.finish(), [run, again]);
}

#[test]
fn a_data_directory_has_one_host_and_no_double() -> Result<()> {
    let Some(setup) = crash::setup(Sandbox::Local) else { return Ok(()) };
    let mut host = crash::start(setup)?;
    let second = host.cli(&["run"])?;
    let pid = host.pid().expect("it runs").to_string();
    ensure!(second.code == Some(1) && second.stderr.contains(&format!("another borg-host (pid {pid})")), "{second:?}");
    ensure!(host.cli(&["task", "list"])?.code == Some(0), "the second host harmed the first");
    host.stop()?;
    let copy = host.dir().join("copy");
    let mut cp: Command = borg_tests::process::command("cp");
    cp.arg("--archive").arg(host.data()).arg(&copy);
    borg_tests::process::run(cp, "", LIMIT)?.success();
    let double = borg_tests::process::run(host.command_on(&copy, &["run"]), "", LIMIT)?;
    ensure!(double.code == Some(1) && double.stderr.contains("is a copy of another data directory"), "{double:?}");
    ensure!(double.stderr.contains("installation.json"), "no remedy: {double:?}");
    // A directory that was moved is the same one.
    std::fs::rename(host.data(), host.dir().join("elsewhere"))?;
    std::fs::rename(host.dir().join("elsewhere"), host.data())?;
    host.start()?;
    host.stop()?;
    Ok(())
}
