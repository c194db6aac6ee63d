//! Cancelling at every stage of a task's life, and trying again afterwards. Cancelled is not failed, and no work is lost.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use super::chain;
use borg_tests::{
    busy,
    crash::{
        self, Sandbox, gate,
        moment::{Moment, Sign},
        refs, traces,
    },
    harness::{Host, Setup},
    repo::Repo,
};
use std::time::{Duration, Instant};

const REPOSITORY: &str = "acme/shop";
const CHECK: &str = "python3 -m unittest discover -v";
const LIMIT: Duration = Duration::from_secs(60);
/// How long a container may live on after its task was cancelled.
const GONE: Duration = Duration::from_secs(2);
const IMPL: u64 = 0;

/// An installation with one repository, and a task in it.
struct Room {
    host: Host,
    repo: Repo,
    task: u64,
}

impl Room {
    fn start(sandbox: Sandbox, repo: Repo, check: &str) -> Option<Self> {
        let host = crash::start(with(crash::setup(sandbox)?, &repo, check)).unwrap();
        let task = add(&host);
        Some(Self { host, repo, task })
    }

    fn id(&self) -> String {
        self.task.to_string()
    }

    /// Cancels and gives the end, which must come soon.
    fn cancel(&self) {
        let begun = Instant::now();
        self.host.cli(&["task", "cancel", &self.id()]).unwrap().success();
        traces::until(busy::allowing(GONE), "no container runs any more", || {
            Ok(traces::containers(&self.host)?.iter().all(|found| found.state != "running"))
        })
        .unwrap();
        eprintln!("no container runs any more {:?} after the wish", begun.elapsed());
        assert_eq!(self.host.settled(self.task, LIMIT).unwrap(), "cancelled");
        assert_eq!(self.repo.branches().unwrap(), [""; 0], "something was delivered");
    }

    /// Commits that stages left in the mirror.
    fn kept(&self) -> Vec<String> {
        let refs = refs::of_mirrors(&self.host).unwrap();
        refs.into_keys().filter_map(|name| Some(name.split_once(" refs/borg/")?.1.to_owned())).collect()
    }

    fn finish(mut self) {
        traces::until_nothing_of_runs(&self.host, LIMIT).unwrap();
        self.host.stop().unwrap();
        assert_eq!(traces::of_host(&self.host).unwrap(), [""; 0]);
        chain::holds(&self.host).unwrap();
    }
}

fn with(setup: Setup, repo: &Repo, check: &str) -> Setup {
    setup.repository(REPOSITORY, repo, Some(check)).unwrap()
}

fn add(host: &Host) -> u64 {
    host.task(REPOSITORY, "quick", "Add a discount", "").unwrap()
}

fn plain() -> Repo {
    crash::repo("quick", str::to_owned).unwrap()
}

#[test]
fn a_queued_task_ends_without_having_begun() {
    let Some(setup) = crash::setup(Sandbox::strongest()) else { return };
    let repo = plain();
    let host = crash::start(with(setup, &repo, CHECK)).unwrap();
    host.cli(&["pause"]).unwrap().success();
    let task = add(&host);
    let room = Room { host, repo, task };
    room.cancel();
    let kinds: Vec<String> = room.host.entries(task).unwrap().iter().map(|entry| entry.kind().to_owned()).collect();
    assert_eq!(kinds, ["task-created", "cancel-requested"]);
    // An ended task cannot be cancelled again; tried again it is another one.
    let again = room.host.cli(&["task", "cancel", &room.id()]).unwrap();
    assert!(again.code == Some(1) && again.stderr.contains("what to do"), "{again:?}");
    room.host.cli(&["task", "retry", &room.id()]).unwrap().success();
    room.host.cli(&["resume"]).unwrap().success();
    assert_eq!(room.host.settled(2, LIMIT).unwrap(), "completed");
    let shown = room.host.json(&["task", "show", "2"]).unwrap();
    assert_eq!(shown["spec"]["retry_of"], 1, "{shown}");
    assert_eq!(room.host.status(1).unwrap(), "cancelled");
    assert_eq!(room.repo.branches().unwrap(), ["borg/2/add-a-discount"]);
    room.finish();
}

fn a_running_agent_is_stopped_and_its_work_kept(sandbox: Sandbox) {
    let Some(room) = Room::start(sandbox, gate::repo_waiting_last(0).unwrap(), CHECK) else { return };
    gate::reached(&room.host, room.task, 1).unwrap();
    room.cancel();
    assert_eq!(room.kept(), ["1/s0-a2"]);
    let diff = room.host.cli(&["task", "diff", &room.id()]).unwrap().success().stdout;
    assert!(
        diff.contains("+def discounted(cents, percent):") && diff.contains("+++ b/tests/test_discount.py"),
        "{diff}"
    );
    let shown = room.host.json(&["task", "show", &room.id()]).unwrap();
    assert_eq!(shown["records"].as_array().map(Vec::len), Some(1), "{shown}");
    room.finish();
}

#[test]
fn a_running_agent_is_stopped_and_its_work_kept_in_the_strongest_sandbox() {
    a_running_agent_is_stopped_and_its_work_kept(Sandbox::strongest());
}

#[test]
fn a_running_agent_is_stopped_and_its_work_kept_in_the_local_sandbox() {
    a_running_agent_is_stopped_and_its_work_kept(Sandbox::Local);
}

#[test]
fn a_cancel_outlives_the_host() {
    let Some(mut room) = Room::start(Sandbox::strongest(), gate::repo_waiting_last(0).unwrap(), CHECK) else { return };
    gate::reached(&room.host, room.task, 1).unwrap();
    // What was acknowledged is durable; whoever comes next brings it to its end.
    room.host.cli(&["task", "cancel", &room.id()]).unwrap().success();
    room.host.kill().unwrap();
    room.host.start().unwrap();
    assert_eq!(room.host.settled(room.task, LIMIT).unwrap(), "cancelled");
    assert_eq!(room.repo.branches().unwrap(), [""; 0]);
    room.finish();
}

#[test]
fn a_baseline_is_stopped_before_and_while_it_runs() {
    let starts = |sign| Moment::after("the baseline", "prepared", None, (IMPL, "baseline")).when(sign);
    let signs = [Sign::Nothing, Sign::Directory((IMPL, "baseline")), Sign::Job((IMPL, "baseline"))];
    let check = "touch /out/began; sleep 600";
    for sign in signs {
        let Some(room) = Room::start(Sandbox::strongest(), plain(), check) else { return };
        drop(starts(sign).wait(&room.host, room.task, &room.repo).unwrap());
        room.cancel();
        assert_eq!(room.kept(), [""; 0]);
        room.finish();
    }
    let Some(room) = Room::start(Sandbox::strongest(), plain(), check) else { return };
    let began = room.host.data().join("runs/t1-s0-a1-baseline/out/began");
    traces::until(LIMIT, "the baseline runs", || Ok(began.exists())).unwrap();
    room.cancel();
    room.finish();
}

#[test]
fn a_check_is_stopped_and_the_work_it_looked_at_kept() {
    let check = format!("if [ -e tests/test_discount.py ]; then touch /out/began; sleep 600; fi; {CHECK}");
    let Some(room) = Room::start(Sandbox::strongest(), plain(), &check) else { return };
    let began = room.host.data().join("runs/t1-s0-a2-check/out/began");
    traces::until(LIMIT, "the check runs", || Ok(began.exists())).unwrap();
    room.cancel();
    assert_eq!(room.kept(), ["1/s0-a2"]);
    room.finish();
}

#[test]
fn a_task_that_waits_for_a_person_is_cancelled_at_once() {
    let ci = "\n[[step.do]]\nwrite = \".github/workflows/ci.yml\"\ntext = \"on: push\"\n";
    let repo = crash::repo("quick", |script| format!("{script}{ci}")).unwrap();
    let Some(room) = Room::start(Sandbox::strongest(), repo, CHECK) else { return };
    assert_eq!(room.host.settled(room.task, LIMIT).unwrap(), "needs-review");
    room.cancel();
    assert_eq!(room.kept(), ["1/s0-a2"]);
    room.finish();
}

#[test]
fn a_blocked_task_goes_on_when_what_blocked_it_is_mended() {
    let good = std::fs::read_to_string(plain().path().join("tests/test_shop.py")).unwrap();
    let bad = good.replace("350", "351");
    let repo = plain().file("tests/test_shop.py", &bad).unwrap().commit("Break").unwrap();
    let Some(room) = Room::start(Sandbox::strongest(), repo, CHECK) else { return };
    assert_eq!(room.host.settled(room.task, LIMIT).unwrap(), "blocked");
    // Another one that is blocked for the same reason is given up.
    let other = add(&room.host);
    assert_eq!(room.host.settled(other, LIMIT).unwrap(), "blocked");
    room.host.cli(&["task", "cancel", &other.to_string()]).unwrap().success();
    assert_eq!(room.host.status(other).unwrap(), "cancelled");
    // Tried again too early it is blocked again, and stays the same task.
    room.host.cli(&["task", "retry", &room.id()]).unwrap().success();
    assert_eq!(room.host.settled(room.task, LIMIT).unwrap(), "blocked");
    let Room { host, repo, task } = room;
    let repo = repo.file("tests/test_shop.py", &good).unwrap().commit("Mend").unwrap();
    host.cli(&["task", "retry", &task.to_string()]).unwrap().success();
    assert_eq!(host.settled(task, LIMIT).unwrap(), "completed");
    assert_eq!(repo.branches().unwrap(), ["borg/1/add-a-discount"]);
    assert_eq!(repo.changes("borg/1/add-a-discount").unwrap().len(), 2, "it began from the mended base");
    Room { host, repo, task }.finish();
}
