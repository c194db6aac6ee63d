//! `borg-host repo check`: looks at repositories as a task would, and tells what a task would trip over.

use crate::cli::{
    failure::{Code, problem},
    neutral, out, policy,
};
use anyhow::Result;
use borg_core::policy::{Policy, RepoPolicy, SandboxChoice};
use borg_host::{
    causes,
    git::{
        self, Git,
        source::{Local, Source},
    },
    host,
    sandbox::image,
    settings::Settings,
    spawn::Spawner,
};
use clap::Args;
use serde::Serialize;
use std::{fs, path::Path, process::ExitCode};

/// Look at repositories as a task would
#[derive(Debug, Args)]
pub struct Check {
    /// Name of the repository; all of them when left out
    #[arg(value_name = "OWNER/NAME")]
    name: Option<String>,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

/// What one repository is like.
#[derive(Debug, Serialize)]
pub struct Report {
    name: String,
    url: String,
    branch: Option<String>,
    check: Option<String>,
    image: String,
    /// What a task would trip over, each with its remedy.
    pub faults: Vec<String>,
}

/// What a look at the files of a repository told.
pub struct Found {
    pub local: Local,
    pub head: Head,
}

/// Where `HEAD` points.
pub enum Head {
    Branch {
        branch: String,
    },
    /// A branch without a commit: the repository is empty, or nearly.
    Unborn {
        branch: String,
    },
    /// A commit: a task needs `base` then.
    Detached,
    /// The repository keeps its refs in a form we do not read ourselves.
    Unknown,
}

impl Check {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let policy = policy::load(settings)?;
        let mut reports = Vec::new();
        match &self.name {
            Some(name) => {
                let repo = policy.repos.get(name).ok_or_else(|| policy::unknown_repository(name, &policy))?;
                reports.push(report(name, repo, &policy, settings).await);
            }
            None => {
                for (name, repo) in &policy.repos {
                    reports.push(report(name, repo, &policy, settings).await);
                }
            }
        }
        if self.json {
            out::json(&reports)?;
        } else if reports.is_empty() {
            out::line("no repositories yet; `borg-host repo add owner/name PATH` adds one")?;
        } else {
            reports.iter().try_for_each(print)?;
        }
        match reports.iter().filter(|report| !report.faults.is_empty()).count() {
            0 => Ok(ExitCode::SUCCESS),
            _ if self.json => Ok(ExitCode::FAILURE),
            1 => Err(problem(Code::Failed, "one repository is not in order", "each fault above ends in its remedy")),
            count => Err(problem(
                Code::Failed,
                format!("{count} repositories are not in order"),
                "each fault above ends in its remedy",
            )),
        }
    }
}

fn print(report: &Report) -> Result<()> {
    let mark = if report.faults.is_empty() { "good " } else { "fault" };
    out::line(neutral::text(&format!("{mark}  {}  {}", report.name, report.url)))?;
    let branch = report.branch.as_deref().unwrap_or("unknown");
    let check = report.check.as_deref().unwrap_or("none");
    out::line(neutral::text(&format!("       from {branch}; tests: {check}; image: {}", report.image)))?;
    report.faults.iter().try_for_each(|fault| Ok(out::line(neutral::text(&format!("       {fault}")))?))
}

/// Looks at one repository.
pub async fn report(name: &str, repo: &RepoPolicy, policy: &Policy, settings: &Settings) -> Report {
    let image = repo.image.clone().unwrap_or_else(|| policy.checks.image.clone());
    let mut report = Report {
        name: name.to_owned(),
        url: repo.url.clone(),
        branch: repo.base.clone(),
        check: repo.check.clone(),
        image,
        faults: Vec::new(),
    };
    match look(&repo.url) {
        Ok(found) => {
            look_closer(&mut report, &found);
            let branch = report.branch.clone().filter(|branch| has_branch(&found.local.git_dir, branch));
            if let Some(branch) = branch {
                report.faults.extend(modules(&found.local, &branch).await);
            }
        }
        Err(error) => report.faults.push(causes::chain(error.as_ref())),
    }
    if policy.host.sandbox == SandboxChoice::Docker {
        match image::is_present(settings.docker_host().as_deref(), &report.image).await {
            Ok(true) => {}
            Ok(false) => report.faults.push(format!(
                "image {} is not here: `borg-host image build` makes borg-base; others come with `docker pull`",
                report.image
            )),
            Err(error) => report.faults.push(causes::chain(&error)),
        }
    }
    report
}

fn look_closer(report: &mut Report, found: &Found) {
    match (&found.head, &report.branch) {
        (Head::Unborn { branch }, _) => {
            report.faults.push(format!("its branch {branch} has no commit: make a first commit there"));
        }
        (Head::Detached, None) => {
            report.faults.push(format!(
                "it has no current branch: set `base` of [repo.\"{}\"] in policies/repos.toml",
                report.name
            ));
        }
        (Head::Branch { branch }, None) => report.branch = Some(branch.clone()),
        (Head::Branch { .. } | Head::Detached, Some(base)) if !has_branch(&found.local.git_dir, base) => {
            report.faults.push(format!(
                "it has no branch {base}: mend `base` of [repo.\"{}\"] in policies/repos.toml",
                report.name
            ));
        }
        (Head::Branch { .. } | Head::Detached, Some(_)) | (Head::Unknown, _) => {}
    }
    if report.check.is_none() {
        match makefile(found) {
            Some(true) => report.check = Some("make test".into()),
            Some(false) => report.faults.push(format!(
                "there is no test command: set `check` of [repo.\"{}\"] in policies/repos.toml, or give its Makefile a `test` target",
                report.name
            )),
            // A bare repository has no files to look at; the first task finds out.
            None => {}
        }
    }
}

/// What Git would refuse at the fetch of a branch because of its `.gitmodules`.
async fn modules(local: &Local, branch: &str) -> Vec<String> {
    let ask = async {
        let home = tempfile::tempdir()?;
        let launcher = host::init_binary().ok().map(|init| init.path);
        let git = Git::open(home.path(), Spawner::start()?, git::Settings { launcher, ..git::Settings::default() })?;
        anyhow::Ok(git.refused_modules(local, branch, &home.path().join("probe.git")).await?)
    };
    let told = |why: String| {
        format!("Git refuses to fetch it, for its .gitmodules ({why}): take that line out, of the history too")
    };
    match ask.await {
        Ok(complaints) => complaints.into_iter().map(told).collect(),
        Err(error) => vec![format!("its .gitmodules cannot be looked at ({error:#}): `borg-host doctor` looks at Git")],
    }
}

/// Looks at a repository's files without running Git.
pub fn look(url: &str) -> Result<Found> {
    let local = url.parse::<Source>()?.inspect()?;
    let head = fs::read_to_string(local.git_dir.join("HEAD")).unwrap_or_default();
    let head = match head.trim().strip_prefix("ref: refs/heads/") {
        Some(".invalid") => Head::Unknown,
        Some(branch) if has_branch(&local.git_dir, branch) => Head::Branch { branch: branch.to_owned() },
        Some(branch) => Head::Unborn { branch: branch.to_owned() },
        None if head.trim().is_empty() => Head::Unknown,
        None => Head::Detached,
    };
    Ok(Found { local, head })
}

/// True when the branch has a commit (gitrepository-layout: a file below `refs/heads`, or a line in `packed-refs`).
fn has_branch(git_dir: &Path, branch: &str) -> bool {
    let name = format!("refs/heads/{branch}");
    if git_dir.join(&name).is_file() || git_dir.join("reftable").exists() {
        return true;
    }
    let packed = fs::read_to_string(git_dir.join("packed-refs")).unwrap_or_default();
    packed.lines().any(|line| line.split_once(' ').is_some_and(|(_, packed)| packed == name))
}

/// Whether the work tree's Makefile has a `test` target; none where there is no work tree.
fn makefile(found: &Found) -> Option<bool> {
    let root = found.local.git_dir.file_name().filter(|name| *name == ".git").and(found.local.git_dir.parent())?;
    let text = ["GNUmakefile", "makefile", "Makefile"].iter().find_map(|name| fs::read_to_string(root.join(name)).ok());
    Some(text.is_some_and(|text| borg_host::engine::doers::has_test_target(&text)))
}
