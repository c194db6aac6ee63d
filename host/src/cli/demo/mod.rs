//! `borg-host demo`: the whole way of a task, on a small repository of its own, with the scripted agent, in the strongest sandbox there is.
//! Needs no key. Everything lies in one fresh folder, which stays for looking.

mod place;
mod shop;

use super::{
    failure::{Code, problem},
    inline::{self, Finished},
    neutral, out, terminal,
};
use anyhow::Result;
use borg_core::{
    event::{Body, Event, Meanwhile},
    intent::{Intent, TaskRequest},
    policy::SandboxChoice,
    step::Policies,
    task::{Phase, Status, Task},
    verdict::Verdict,
    words,
};
use borg_host::{
    environment::Environment,
    host::{self, Host, SandboxWish},
    installation::{Installation, SETTINGS},
    settings::Settings,
    teller::{Teller, Weight},
};
use clap::Args;
use place::Place;
use shop::Shop;
use std::{
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Longest demo; it takes a few seconds where nothing is amiss.
const PATIENCE: Duration = Duration::from_secs(300);
/// Where programs of the machine are found in the local sandbox.
const PROGRAMS: [&str; 3] = ["/usr/local/bin", "/usr/bin", "/bin"];
const TITLE: &str = "Orders have a total";

/// See it work: a task from its title to a branch, on a small repository of its own, without any key
///
/// A scripted agent plays Manager, QA and Worker; all else is real: the sandbox, the tests, the rules, the branch. With a Docker engine
/// and the image borg-base:latest it runs in containers, else in the weaker local sandbox, and says which.
#[derive(Debug, Args)]
pub struct Demo {
    /// Folder to make for it, instead of one below the temporary folder; it must not exist yet
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

impl Demo {
    pub async fn perform(self, environment: &Environment) -> Result<ExitCode> {
        let place = Place::make(self.dir.as_deref())?;
        place.furnish(&Shop::python(), environment).await?;
        let mut host = assemble(&place, environment).await?;
        if host.policy.host.sandbox == SandboxChoice::Local && !has_python() {
            drop(host);
            place.furnish(&Shop::rust(environment).await?, environment).await?;
            host = assemble(&place, environment).await?;
        }
        open(&host, &place)?;
        let (show, missing) = shower(&host);
        let request =
            TaskRequest { title: TITLE.to_owned(), pipeline: Some("feature".into()), ..TaskRequest::default() };
        let finished = inline::perform(host, Intent::Task(request), Some(PATIENCE), show).await?;
        let missing = std::mem::take(&mut *missing.lock().unwrap_or_else(PoisonError::into_inner));
        close(&finished, &missing, &place)
    }
}

async fn assemble(place: &Place, environment: &Environment) -> Result<Host> {
    let installation = Installation::named(&place.root.join(SETTINGS))?;
    let settings = Settings::load(&installation, None, place.environment(environment)?)?;
    host::assemble(&settings, SandboxWish::StrongestForDemo).await
}

/// True where the local sandbox finds Python.
fn has_python() -> bool {
    let is_program = |path: &Path| path.metadata().is_ok_and(|found| found.is_file() && found.mode() & 0o111 != 0);
    PROGRAMS.iter().any(|folder| is_program(&Path::new(folder).join("python3")))
}

/// What is about to happen, and how well it is sealed.
fn open(host: &Host, place: &Place) -> Result<()> {
    out::line("borg demo: a task from its title to a branch. The agent is scripted; all else is real.")?;
    out::line(format!("  repository  {}", place.repository().display()))?;
    out::line(format!("  data        {}", host.about.data_dir.display()))?;
    out::line(format!("  sandbox     {}", neutral::text(&host.about.sandbox)))?;
    for error in &host.plugin_errors {
        out::line(format!("  warning     {}", neutral::text(&error.to_string())))?;
    }
    if host.policy.host.sandbox == SandboxChoice::Local {
        out::line(
            "              weaker than containers: a Docker engine and `borg-host image build` make it stronger",
        )?;
    }
    out::line("")?;
    Ok(())
}

type Missing = Arc<Mutex<Vec<String>>>;

/// Prints events as they come, and remembers what sandboxes had to do without.
fn shower(host: &Host) -> (impl FnMut(&Event) -> Result<()> + Send + 'static, Missing) {
    let missing = Missing::default();
    let remembered = missing.clone();
    let mut teller = Teller::new(Some(Policies::new(host.policy.clone())), terminal::say);
    let show = move |event: &Event| {
        if let Body::Meanwhile(Meanwhile::RunStarted { attestation, .. }) = &event.body {
            *remembered.lock().unwrap_or_else(PoisonError::into_inner) = attestation.missing.clone();
        }
        let lines = teller.tell(event);
        let wanted = lines.iter().filter(|(weight, _)| *weight != Weight::Detail);
        Ok(wanted.map(|(_, text)| text).try_for_each(out::line)?)
    };
    (show, missing)
}

/// The change, the findings, the evidence, the sandbox, and where to look next.
fn close(finished: &Finished, missing: &[String], place: &Place) -> Result<ExitCode> {
    let Finished { task, diff } = finished;
    let diff = if diff.trim().is_empty() { "nothing has changed" } else { diff.trim_end() };
    out::line(format!("\n── the change ──\n{}", neutral::text(diff)))?;
    out::line("\n── findings ──")?;
    findings(task)?;
    out::line("\n── evidence ──")?;
    for evidence in &task.evidence {
        let (passed, failed) = (evidence.passed.len(), evidence.failed.len());
        out::line(format!(
            "after {}: {}, {passed} passed, {failed} failed",
            neutral::text(&evidence.stage),
            evidence.outcome.words()
        ))?;
        for test in &evidence.failed {
            out::line(format!("  failed  {}", neutral::text(test)))?;
        }
    }
    for (label, id) in [("base", task.base.as_ref().map(|base| &base.commit)), ("head", task.head.as_ref())] {
        if let Some(id) = id {
            out::line(format!("{label}: {id}"))?;
        }
    }
    if let Some(review) = &task.review {
        out::line(format!("change: {}", review.digest))?;
    }
    if !missing.is_empty() {
        out::line("\n── what this sandbox did without ──")?;
        missing.iter().try_for_each(|missing| out::line(format!("- {}", neutral::text(missing))))?;
    }
    out::line("\n── where to look next ──")?;
    if task.has_changes() {
        let repository = place.repository();
        out::line(format!("the branch:        git -C {} log --stat {}", repository.display(), task.spec.branch))?;
    }
    out::line(format!("all that happened: {}", place.command("task log 1")))?;
    let artefacts = task.records.iter().flat_map(|record| &record.artefacts);
    for artefact in artefacts.filter(|artefact| artefact.name == "spec.md") {
        let kept = place.root.join("data/artefacts").join(artefact.digest.to_string());
        out::line(format!("the specification: {}", kept.display()))?;
    }
    out::line(format!("what is allowed:   {}", place.root.join("policies").display()))?;
    out::line("on your own code:  borg-host init --help")?;
    out::line(format!("Everything is in {}; remove it when you have seen enough.", place.root.display()))?;
    outcome_of(task)
}

fn findings(task: &Task) -> Result<()> {
    let Some(review) = &task.review else {
        return Ok(out::line("it was not judged")?);
    };
    for finding in &review.findings {
        out::line(format!("- {}", neutral::text(&words::finding_line(finding))))?;
    }
    let verdict = match review.ruling.verdict {
        Verdict::Pass => "pass",
        Verdict::Review => "a person must look",
        Verdict::Block => "block",
    };
    Ok(out::line(format!("{} finding(s); verdict: {verdict}", review.findings.len()))?)
}

fn outcome_of(task: &Task) -> Result<ExitCode> {
    if task.status() == Status::Completed && task.has_changes() {
        out::line(format!("delivered: {}", task.spec.branch))?;
        return Ok(ExitCode::SUCCESS);
    }
    let (reason, remedy) = match &task.phase {
        Phase::Blocked { reason, remedy, .. } => (reason.clone(), remedy.spell(terminal::say)),
        Phase::Ended { reason, .. } => (reason.clone(), String::new()),
        Phase::Queued { .. }
        | Phase::Running(_)
        | Phase::Parked { .. }
        | Phase::NeedsReview { .. }
        | Phase::Approved { .. } => (String::new(), String::new()),
    };
    Err(problem(Code::Failed, format!("no branch was delivered: the task is {}. {reason}", task.status()), remedy))
}
