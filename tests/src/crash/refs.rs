//! What stands in Git, on both sides of a delivery: commits must not depend on how often the host was killed.

use crate::{
    harness::{Entry, Host},
    process,
    repo::Repo,
};
use anyhow::{Context, Result};
use std::{collections::BTreeMap, fs, path::Path, time::Duration};

const LIMIT: Duration = Duration::from_secs(30);

/// Refs that the host itself set in its mirrors, `MIRROR REF` to commit.
pub fn of_mirrors(host: &Host) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for mirror in fs::read_dir(host.data().join("mirrors"))? {
        let mirror = mirror?.path();
        // One that is being made has no refs yet.
        if !mirror.join("HEAD").exists() {
            continue;
        }
        let name = mirror.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let refs = git(&mirror, &["for-each-ref", "--format=%(refname) %(objectname)", "refs/borg/", "refs/heads/"])?;
        let refs = refs.lines().filter_map(|line| line.split_once(' '));
        found.extend(refs.map(|(reference, commit)| (format!("{name} {reference}"), commit.to_owned())));
    }
    Ok(found)
}

/// Fails where a ref is not where it was: a redone collection must come to the same commit.
pub fn compare(before: &BTreeMap<String, String>, after: &BTreeMap<String, String>) -> Result<()> {
    for (name, commit) in before {
        let now = after.get(name);
        anyhow::ensure!(now == Some(commit), "{name} was at {commit} and is at {now:?}");
    }
    Ok(())
}

/// The tree of a branch.
pub fn tree(repo: &Repo, branch: &str) -> Result<String> {
    Ok(repo.git(&["rev-parse", "--verify", &format!("refs/heads/{branch}^{{tree}}")])?.trim().to_owned())
}

/// How often a branch was pointed somewhere in the repository that work is delivered to.
pub fn pushes(repo: &Repo, branch: &str) -> Result<usize> {
    let log = repo.path().join(".git/logs/refs/heads").join(branch);
    let text = fs::read_to_string(&log).with_context(|| format!("there is no {}", log.display()))?;
    Ok(text.lines().count())
}

/// Fails unless every commit of a branch carries the time of the event that ended its run, to the second.
pub fn dated_by_events(repo: &Repo, branch: &str, journal: &[Entry]) -> Result<()> {
    let ended: Vec<i64> = journal
        .iter()
        .filter(|entry| entry.kind() == "run-ended")
        .filter_map(|entry| entry.0["at_ms"].as_i64().or_else(|| entry.0["event"]["at_ms"].as_i64()))
        .map(|ms| ms / 1000)
        .collect();
    let range = format!("main..{branch}");
    for line in repo.git(&["log", "--format=%H %at %ct", &range])?.lines() {
        let mut words = line.split(' ');
        let commit = words.next().unwrap_or_default();
        for time in words {
            let time: i64 = time.parse()?;
            anyhow::ensure!(ended.contains(&time), "commit {commit} is of {time}, no end of a run: {ended:?}");
        }
    }
    Ok(())
}

fn git(dir: &Path, args: &[&str]) -> Result<String> {
    let mut git = process::command("git");
    git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_NOSYSTEM", "1").arg("--git-dir").arg(dir).args(args);
    let output = process::run(git, "", LIMIT)?;
    anyhow::ensure!(output.code == Some(0), "git {}: {}", args.join(" "), output.stderr);
    Ok(output.stdout)
}
