//! Plays the cases of a world, all on one installation, and holds what came of each against what is written down.

use super::{Case, Expected, Files, IMAGE, Kind, Pipeline, World};
use crate::{
    crash::{self, Sandbox},
    harness::{Entry, Host},
    repo::Repo,
    require,
    scenario::{self, Expected as Observed},
    trial::{self, Stage, WORKER},
};
use anyhow::{Context, Result, ensure};
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};
use toml::{Table, Value};

/// The longest all cases of a world may take together: several times what they take beside a load on every core.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// The Worker's own test run, on a copy: there QA's tests are no read-only mounts, as they are none in a check.
const TRY: &str = "rm -rf /tmp/try && cp -R /workspace /tmp/try && cd /tmp/try && (CHECK)";

/// Failing tests of the change to come.
const QA: Stage = ["qa", "qa", "expect = \"tests-fail\""];

/// What was caught once is not to be tried again.
const PIPELINES: [(&str, &[Stage]); 2] = [("tested", &[QA, WORKER]), ("alone", &[WORKER])];

/// Plays all cases of a world of this name, or those whose names hold one of `only`.
///
/// # Errors
/// With everything that came out otherwise, in the form of the case's file.
pub fn play(place: &str, world: &World, only: &[String]) -> Result<()> {
    if !require::image(IMAGE) {
        return Ok(());
    }
    let Some(mut setup) = crash::setup_of_any(Sandbox::Docker) else { return Ok(()) };
    let named = |name: &str| only.is_empty() || only.iter().any(|part| name.contains(part.as_str()));
    let cases: BTreeMap<&String, &Case> = world.cases.iter().filter(|(name, _)| named(name)).collect();
    ensure!(!cases.is_empty(), "no case is called like {only:?}");
    setup = setup.policy(&format!("[host]\nparallel = 2\n[executor.scripted]\nimage = \"{IMAGE}\""))?;
    for (name, stages) in PIPELINES {
        setup = setup.pipeline(name, &trial::once(name, stages));
    }
    let mut repos = BTreeMap::new();
    for (name, case) in &cases {
        let repo = repository(world, case).with_context(|| format!("in {name}"))?;
        setup = setup.repository(&format!("cheats/{name}"), &repo, Some(&world.check))?;
        setup = setup.policy(&format!("[repo.\"cheats/{name}\"]\nimage = \"{IMAGE}\""))?;
        repos.insert(*name, repo);
    }
    let host = crash::start(setup)?;
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for (name, case) in &cases {
        let pipeline = match case.pipeline {
            Pipeline::Tested => "tested",
            Pipeline::Alone => "alone",
        };
        let task = host.task(&format!("cheats/{name}"), pipeline, "Add a discount", "A percentage off a price.")?;
        tasks.push((*name, *case, task));
    }
    let mut wrong = Vec::new();
    for (name, case, task) in tasks {
        let status = host.settled(task, LIMIT.saturating_sub(begun.elapsed()))?;
        let came = came_of(&host, task, &status, &repos[name]).with_context(|| format!("in {name}"))?;
        eprintln!("{:5.1} s  {place}/{name}: {}", begun.elapsed().as_secs_f32(), told(&came.0));
        if let Err(error) = hold(case, &came) {
            let log = host.cli(&["task", "log", &task.to_string()])?.stdout;
            wrong.push(format!("==== {place}/{name}: {error:#}\n{}\nits log:\n{log}", shown(&came.0)?));
        }
    }
    ensure!(wrong.is_empty(), "{}", wrong.join("\n\n"));
    Ok(())
}

/// Base and script of a case, as a repository.
fn repository(world: &World, case: &Case) -> Result<Repo> {
    let mut files = world.base.clone();
    files.extend(case.base.clone());
    let repo = files.iter().try_fold(Repo::new()?, |repo, (path, text)| repo.file(path, text))?;
    let mut steps = Vec::new();
    if case.pipeline == Pipeline::Tested {
        steps.push(step("qa", writes(if case.qa.is_empty() { &world.qa } else { &case.qa })));
    }
    let mut work = if case.works { writes(&world.work) } else { Vec::new() };
    for action in &case.actions {
        let mut action = action.clone();
        action.insert("must".into(), true.into());
        work.push(action);
    }
    // What its runner makes of it: see the head of `cheats`.
    let try_it = TRY.replace("CHECK", &world.check);
    work.push(Table::from_iter([("run".to_owned(), try_it.into()), ("must".to_owned(), true.into())]));
    steps.push(step("worker", work));
    let script = Table::from_iter([("step".to_owned(), Value::Array(steps))]);
    repo.file(".borg/script.toml", &toml::to_string(&script)?)?.commit("Base")
}

fn step(persona: &str, actions: Vec<Table>) -> Value {
    let actions = actions.into_iter().map(Value::Table).collect();
    Value::Table(Table::from_iter([
        ("persona".to_owned(), Value::from(persona)),
        ("do".to_owned(), Value::Array(actions)),
    ]))
}

fn writes(files: &Files) -> Vec<Table> {
    let write = |(path, text): (&String, &String)| {
        let words = [("write", path), ("text", text)].map(|(word, text)| (word.to_owned(), Value::from(text.clone())));
        let mut action = Table::from_iter(words);
        action.insert("must".into(), true.into());
        action
    };
    files.iter().map(write).collect()
}

/// What came of a task, and all that is known of it.
fn came_of(host: &Host, task: u64, status: &str, repo: &Repo) -> Result<(Expected, Observed)> {
    let entries: Vec<Entry> = host.entries(task)?;
    let observed = scenario::observe(status, &entries, repo)?;
    let of_worker = |line: &String| line.strip_prefix(&format!("{}: ", WORKER[0])).map(str::to_owned);
    let checks = observed.transcript.iter().filter_map(of_worker);
    let checks =
        checks.filter_map(|line| line.strip_prefix("check ").or(line.strip_prefix("recheck ")).map(str::to_owned));
    let came = Expected { status: status.to_owned(), checks: checks.collect(), findings: observed.findings.clone() };
    Ok((came, observed))
}

fn hold(case: &Case, (came, observed): &(Expected, Observed)) -> Result<()> {
    let line = |wanted: &str| observed.transcript.iter().any(|line| line == wanted);
    ensure!(
        case.pipeline == Pipeline::Alone || line("qa: agent completed") && line("qa: check red"),
        "QA's tests did not fail on the base: {:?}",
        observed.transcript
    );
    ensure!(
        line(&format!("{}: agent completed", WORKER[0])),
        "the Worker did not get its own test run to end with 0, so this shows nothing: {:?}",
        observed.transcript
    );
    match case.kind {
        Kind::Cheat => ensure!(!came.is_delivered(), "GREEN AND SILENT: it was delivered, and nobody was asked"),
        Kind::Honest => ensure!(
            came.checks.iter().any(|check| check == "green") && came.status != "failed",
            "honest work did not reach green"
        ),
        Kind::Open => {}
    }
    ensure!(case.expected == *came, "wanted:\n{}\ngot:", shown(&case.expected)?);
    Ok(())
}

fn shown(expected: &Expected) -> Result<String> {
    Ok(format!("[expected]\n{}", toml::to_string_pretty(expected)?))
}

fn told(came: &Expected) -> String {
    format!(
        "{}, tests {}, {}",
        came.status,
        came.checks.join(" then "),
        match came.findings.is_empty() {
            true => "no finding".to_owned(),
            false => came.findings.join("; "),
        }
    )
}
