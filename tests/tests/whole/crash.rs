//! `kill -9` of the host at many moments of a task, and starting it again: the same tree, one delivery, nothing left behind.
//!
//! A dozen moments fall into the life of one task, so each task is killed several times; neighbouring moments belong to different tasks.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use super::{chain, money};
use anyhow::{Context, Result, bail, ensure};
use borg_core::{id::TaskId, task::Phase};
use borg_host::store::Store;
use borg_tests::{
    crash::{
        self, Sandbox,
        moment::{Moment, Sign},
        refs, traces,
    },
    harness::{Host, Setup, wait},
    messages_api::{Persona, Script, Turn, Usage},
    repo::Repo,
    trial::{self, Trial},
};
use std::{
    collections::BTreeMap,
    hash::{BuildHasher, RandomState},
    sync::Mutex,
    thread,
    time::{Duration, Instant},
};

const REPOSITORY: &str = "acme/shop";
const CHECK: &str = "python3 -m unittest discover -v";
const LIMIT: Duration = Duration::from_secs(60);
/// Tasks that the moments are dealt out to.
const TASKS: usize = 6;

const SPEC: u64 = 0;
const QA: u64 = 1;
const IMPL: u64 = 2;
const JUDGE: u64 = 3;
const DELIVER: u64 = 4;

/// From the answer to `task add` to the last event, in the order they come, with the effect that is owed then. Some come before an
/// effect is begun, some in its middle, some when it is done but not saved.
const MOMENTS: [Moment; 36] = [
    Moment::after("the task is acknowledged", "task-created", None, (SPEC, "prepare")),
    Moment::after("the mirror is filled", "task-created", None, (SPEC, "prepare"))
        .when(Sign::InMirror("refs/remotes/origin")),
    Moment::after("prepared", "prepared", None, (SPEC, "baseline")),
    Moment::after("the baseline's sandbox starts", "prepared", None, (SPEC, "baseline"))
        .when(Sign::Job((SPEC, "baseline"))),
    Moment::after("the baseline has ended", "prepared", None, (SPEC, "baseline"))
        .when(Sign::Exited((SPEC, "baseline"))),
    Moment::after("the baseline is green", "checked", Some((SPEC, "baseline")), (SPEC, "brief")),
    Moment::after("between orders and run", "briefed", None, (SPEC, "agent")),
    Moment::after("a run is being laid out", "briefed", None, (SPEC, "agent")).when(Sign::Directory((SPEC, "agent"))),
    Moment::after("a run's sandbox starts", "briefed", None, (SPEC, "agent")).when(Sign::Job((SPEC, "agent"))),
    Moment::after("a run has started and ended unnoticed", "briefed", None, (SPEC, "agent"))
        .when(Sign::Exited((SPEC, "agent"))),
    Moment::after("the manager's run has started", "run-started", Some((SPEC, "agent")), (SPEC, "agent")),
    Moment::after("in the middle of the manager's output", "progressed", Some((SPEC, "agent")), (SPEC, "agent")),
    Moment::after("between run and collection", "run-ended", Some((SPEC, "agent")), (SPEC, "collect")),
    Moment::after("the spec is collected", "collected", Some((SPEC, "agent")), (SPEC, "accept")),
    Moment::after("the spec is accepted", "accepted", None, (QA, "brief")),
    Moment::after("QA has its orders", "briefed", None, (QA, "agent")).nth(2),
    Moment::after("QA's run has started", "run-started", Some((QA, "agent")), (QA, "agent")),
    Moment::after("QA's run has ended unread", "progressed", Some((QA, "agent")), (QA, "agent"))
        .when(Sign::Exited((QA, "agent"))),
    Moment::after("QA's run has ended", "run-ended", Some((QA, "agent")), (QA, "collect")),
    Moment::after("during QA's collection", "run-ended", Some((QA, "agent")), (QA, "collect")).when(Sign::Quarantine),
    Moment::after("collected but not saved", "run-ended", Some((QA, "agent")), (QA, "collect"))
        .when(Sign::InMirror("refs/borg/1")),
    Moment::after("QA's tests are collected", "collected", Some((QA, "agent")), (QA, "accept")),
    Moment::after("QA's tests are accepted", "accepted", None, (QA, "check")).nth(2),
    Moment::after("QA's tests are running", "accepted", None, (QA, "check")).nth(2).when(Sign::Job((QA, "check"))),
    Moment::after("QA's tests are red once", "checked", Some((QA, "check")), (QA, "recheck")),
    Moment::after("QA's tests run again", "checked", Some((QA, "check")), (QA, "recheck"))
        .when(Sign::Job((QA, "recheck"))),
    Moment::after("QA's tests are red for certain", "checked", Some((QA, "recheck")), (IMPL, "brief")),
    Moment::after("the worker's workspace is filled", "briefed", None, (IMPL, "agent"))
        .nth(3)
        .when(Sign::Directory((IMPL, "agent"))),
    Moment::after("in the middle of the worker's output", "progressed", Some((IMPL, "agent")), (IMPL, "agent")),
    Moment::after("the worker's run has ended", "run-ended", Some((IMPL, "agent")), (IMPL, "collect")),
    Moment::after("during the worker's collection", "run-ended", Some((IMPL, "agent")), (IMPL, "collect"))
        .when(Sign::Quarantine),
    Moment::after("the worker's tests are running", "accepted", None, (IMPL, "check"))
        .nth(3)
        .when(Sign::Job((IMPL, "check"))),
    Moment::after("the worker's tests are green", "checked", Some((IMPL, "check")), (JUDGE, "judge")),
    Moment::after("judged", "judged", None, (DELIVER, "deliver")),
    Moment::after("claimed in the mirror", "judged", None, (DELIVER, "deliver"))
        .when(Sign::InMirror("refs/heads/borg")),
    Moment::after("pushed but not saved", "judged", None, (DELIVER, "deliver")).when(Sign::Delivered),
];

/// Makes every agent pause before its last words, so that its output has a middle.
fn pauses(script: &str) -> String {
    script.replace("[[step.do]]\nsay", "[[step.do]]\nsleep-ms = 400\n\n[[step.do]]\nsay")
}

/// A task with all that may be killed around it.
struct Room {
    host: Host,
    repo: Repo,
    task: u64,
    /// Refs of the mirror as the last kill left them.
    refs: BTreeMap<String, String>,
}

impl Room {
    /// None where the program is not built.
    fn start(sandbox: Sandbox) -> Result<Option<Self>> {
        let Some(setup) = crash::setup(sandbox) else { return Ok(None) };
        let repo = crash::repo("feature", pauses)?;
        let host = crash::start(setup.repository(REPOSITORY, &repo, Some(CHECK))?)?;
        let task = host.task(REPOSITORY, "feature", "Add a discount", "")?;
        Ok(Some(Self { host, repo, task, refs: BTreeMap::new() }))
    }

    /// Kills the host; true when it owed what it should then.
    fn kill_at(&mut self, moment: &Moment) -> Result<bool> {
        let held = moment.wait(&self.host, self.task, &self.repo)?;
        self.host.kill()?;
        drop(held);
        let owed = owed(&self.host)?;
        let (stage, kind) = moment.owes;
        let (begins, ends) = (format!("t1-s{stage}-a"), format!("-{kind}"));
        let hit = owed.iter().any(|key| key.starts_with(&begins) && key.ends_with(&ends));
        eprintln!("killed at `{}`{}, owing {}", moment.name, if hit { "" } else { " (missed)" }, owed.join(", "));
        let refs = refs::of_mirrors(&self.host)?;
        refs::compare(&self.refs, &refs).with_context(|| format!("killed: {}", moment.name))?;
        self.refs = refs;
        Ok(hit)
    }

    /// Lets the task come to its end and looks at everything it must and must not have left; gives the tree.
    fn finish(mut self) -> Result<String> {
        let status = self.host.settled(self.task, LIMIT)?;
        let journal = self.host.entries(self.task)?;
        if status != "completed" {
            let shown = self.host.cli(&["task", "show", &self.task.to_string()])?;
            bail!("the task is {status}:\n{}", shown.stdout);
        }
        let delivered = journal.iter().filter(|entry| entry.kind() == "delivered").count();
        let branches = self.repo.branches()?;
        ensure!(delivered == 1 && branches == ["borg/1/add-a-discount"], "{delivered} deliveries of {branches:?}");
        let [branch] = &branches[..] else { unreachable!("compared above") };
        let pushes = refs::pushes(&self.repo, branch)?;
        ensure!(pushes == 1, "{pushes} pushes");
        refs::compare(&self.refs, &refs::of_mirrors(&self.host)?)?;
        refs::dated_by_events(&self.repo, branch, &journal)?;
        let authors: Vec<String> = self.repo.commits(branch)?.into_iter().map(|(author, _)| author).collect();
        ensure!(authors == ["qa", "worker"], "commits by {authors:?}");
        let shown = self.host.json(&["task", "show", &self.task.to_string()])?;
        let attempts: Vec<Option<u64>> =
            shown["records"].as_array().into_iter().flatten().map(|record| record["attempt"].as_u64()).collect();
        ensure!(attempts == [Some(1); 3], "a restart used up attempts: {attempts:?}");
        traces::until_nothing_of_runs(&self.host, LIMIT)?;
        self.host.stop()?;
        let left = traces::of_host(&self.host)?;
        ensure!(left.is_empty(), "left behind:\n{}", left.join("\n"));
        chain::holds(&self.host)?;
        refs::tree(&self.repo, branch)
    }
}

/// Keys of the effects that a dead host owes.
fn owed(host: &Host) -> Result<Vec<String>> {
    let owed = wait(Store::open_read_only(&host.data())?.owed())?;
    Ok(owed.into_iter().map(|effect| effect.key.to_string()).collect())
}

/// What became of a task.
struct Ended {
    tree: String,
    /// Kills that met the host at the very moment.
    hits: usize,
}

fn killed_at(sandbox: Sandbox, moments: &[Moment]) -> Result<Option<Ended>> {
    let Some(mut room) = Room::start(sandbox)? else { return Ok(None) };
    let mut hits = 0;
    for moment in moments {
        hits += usize::from(room.kill_at(moment)?);
        room.host.start().with_context(|| format!("after the kill: {}", moment.name))?;
    }
    Ok(Some(Ended { tree: room.finish()?, hits }))
}

/// Plays every series of moments, two at a time, and compares the trees they come to; gives the number of hits.
fn all_end_the_same(sandbox: Sandbox, series: Vec<Vec<Moment>>) -> Option<usize> {
    let queue = Mutex::new(series);
    let results = Mutex::new(Vec::new());
    thread::scope(|threads| {
        for _ in 0..2 {
            threads.spawn(|| {
                while let Some(moments) = { queue.lock().unwrap().pop() } {
                    let names: Vec<&str> = moments.iter().map(|moment| moment.name).collect();
                    let result = killed_at(sandbox, &moments).with_context(|| format!("killed at {names:?}"));
                    results.lock().unwrap().push(result);
                }
            });
        }
    });
    let results: Vec<Result<Option<Ended>>> = results.into_inner().unwrap();
    let failed: Vec<String> =
        results.iter().filter_map(|result| result.as_ref().err()).map(|error| format!("{error:#}")).collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
    let ended: Option<Vec<Ended>> = results.into_iter().map(|result| result.unwrap()).collect();
    let ended = ended?;
    assert!(ended.windows(2).all(|pair| pair[0].tree == pair[1].tree), "the tasks ended in different trees");
    Some(ended.iter().map(|ended| ended.hits).sum())
}

#[test]
fn killed_at_every_moment_a_task_ends_the_same() {
    let sandbox = Sandbox::strongest();
    let mut series = vec![Vec::new(); TASKS];
    let moments = MOMENTS.into_iter().filter(|moment| sandbox == Sandbox::Docker || !moment.needs_engine());
    for (index, moment) in moments.enumerate() {
        series[index % TASKS].push(moment);
    }
    // One that nobody kills says how it should end.
    series.push(Vec::new());
    if let Some(hits) = all_end_the_same(sandbox, series) {
        assert!(hits >= 20, "only {hits} kills met their moment");
    }
}

#[test]
fn killed_in_the_local_sandbox_a_task_ends_the_same() {
    let moments = MOMENTS.into_iter().filter(|moment| !moment.needs_engine());
    let some: Vec<Moment> = moments.step_by(4).collect();
    let (one, other) = some.split_at(some.len() / 2);
    all_end_the_same(Sandbox::Local, vec![one.to_vec(), other.to_vec(), Vec::new()]);
}

#[test]
fn killed_at_random_instants_a_task_ends_the_same() {
    let random = RandomState::new();
    let instants =
        [("task-created", (SPEC, "prepare")), ("prepared", (SPEC, "baseline")), ("briefed", (SPEC, "agent"))];
    let instants = instants.into_iter().zip(0_u64..).map(|((kind, owes), n)| {
        let pause = Duration::from_millis(random.hash_one(n) % 1500);
        eprintln!("{pause:?} after {kind}");
        Moment::after("a random instant", kind, None, owes).when(Sign::Later(pause))
    });
    all_end_the_same(Sandbox::strongest(), vec![instants.collect()]);
}

/// Kills of a host whose agent asks a model.
const KILLS: usize = 5;

/// Kills a host as soon as the ledger has one more request than `before`; false where its task is over first.
fn killed_at_a_request(host: &mut Host, task: u64, before: usize) -> Result<bool> {
    let (journal, deadline) = (money::open(host)?, Instant::now() + LIMIT);
    while money::costs(&*journal, TaskId(task))?.len() <= before {
        if wait(journal.task(TaskId(task)))?.is_some_and(|task| matches!(task.phase, Phase::Ended { .. })) {
            return Ok(false);
        }
        ensure!(Instant::now() < deadline, "no request was booked within {LIMIT:?}");
        // What is looked for is there for milliseconds only, if at all.
        thread::sleep(Duration::from_micros(200));
    }
    host.kill()?;
    Ok(true)
}

#[test]
fn killed_whenever_a_request_is_booked_a_task_loses_no_money() {
    // Each costs something else, so that none stands in for another.
    let usage = |n: u64| Usage { output: 1_000 + n, ..Usage::default() };
    let works = |persona: Persona, n| persona.turn(trial::bash("sleep 0.1").usage(usage(n)));
    let worker = (0..3 * KILLS as u64).fold(trial::worker(), works);
    let worker = worker.turn(trial::bash(trial::IMPLEMENT)).turn(Turn::say("It is done."));
    // Its requests are cut off again and again, and asked again.
    let patient = |setup: Setup| setup.policy("[executor.claude-code.settings]\nmax-retries = 10").unwrap();
    let Some(mut trial) = Trial::with(Script::new().persona(worker), trial::shop(), patient) else { return };
    let task = trial.task();
    let (mut kills, mut before) = (0, money::of(&trial.host, task).unwrap());
    while kills < KILLS && killed_at_a_request(&mut trial.host, task, before.requests).unwrap() {
        kills += 1;
        let now = money::of(&trial.host, task).unwrap_or_else(|error| panic!("kill {kills}: {error:#}"));
        assert!(now.requests > before.requests && now.cost > before.cost, "{before:?} {now:?}");
        trial.host.start().unwrap();
        before = now;
    }
    assert!(kills >= 3, "only {kills} kills: {}", trial.log(task));
    let ended = trial.host.settled(task, trial::LIMIT).unwrap();
    trial.host.stop().unwrap();
    let money = money::of(&trial.host, task).unwrap();
    eprintln!("{ended} after {kills} kills: {money:?}");
    let whole = trial.api.seen().iter().filter(|seen| seen.billed.is_some()).count();
    assert!(money.requests + kills >= whole, "{whole} answers, {kills} kills, {money:?}: a kill loses one at most");
}
