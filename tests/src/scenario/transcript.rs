//! What came of a task, cut down to what a scenario may rely on: one line per decision, findings, and what stands in Git.
//!
//! Times, ids, costs, notices and progress are left out: a scenario must not fail because a sentence was reworded.

use crate::{harness::Entry, repo::Repo};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What must come of a scenario, or what did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expected {
    /// Where the task stands in the end.
    pub status: String,
    /// One line per decision, in order.
    pub transcript: Vec<String>,
    /// `RULE/ID PATH` of each finding, sorted, without repetition; the path only where it has one.
    pub findings: Vec<String>,
    /// Author of each commit on the branch, oldest first.
    pub commits: Vec<String>,
    /// Path to `A`, `M` or `D`: what the delivered branch changes.
    pub changes: BTreeMap<String, char>,
    /// Texts that files of the branch must contain.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub contains: BTreeMap<String, Vec<String>>,
}

impl Expected {
    /// # Errors
    /// When it differs, with what came instead, ready to be put in the file.
    pub fn compare(&self, actual: &Expected, repo: &Repo) -> Result<()> {
        let wanted = Expected { contains: BTreeMap::new(), ..self.clone() };
        if wanted != *actual {
            let shown = |expected: &Expected| toml::to_string_pretty(expected).context("an expectation is a table");
            anyhow::bail!("wanted:\n{}\ngot:\n{}", shown(&wanted)?, shown(actual)?);
        }
        let branches = repo.branches()?;
        for (path, texts) in &self.contains {
            let branch = branches.first().context("there is no branch to look at")?;
            let text = repo.show(branch, path)?;
            for wanted in texts {
                anyhow::ensure!(text.contains(wanted), "{path} on {branch} lacks {wanted:?}:\n{text}");
            }
        }
        Ok(())
    }
}

/// Reads a task's journal and its repository.
///
/// # Errors
/// When a claim does not hold: more than one delivery, another branch than the one delivered, or a base branch that moved.
pub fn observe(status: &str, journal: &[Entry], repo: &Repo) -> Result<Expected> {
    let stages = stages(journal);
    let mut seen = Expected { status: status.to_owned(), ..Expected::default() };
    let mut findings = BTreeSet::new();
    for entry in journal {
        seen.transcript.extend(lines(entry, &stages));
        if entry.kind() == "judged" {
            findings = entry.body()["findings"].as_array().into_iter().flatten().map(finding).collect();
        }
    }
    seen.findings = findings.into_iter().collect();
    let delivered: Vec<&str> = journal
        .iter()
        .filter(|entry| entry.kind() == "delivered")
        .filter_map(|entry| entry.body()["branch"].as_str())
        // An answer leaves no branch.
        .filter(|branch| !branch.is_empty())
        .collect();
    let branches = repo.branches()?;
    anyhow::ensure!(delivered == branches, "delivered: {delivered:?}, but in the repository: {branches:?}");
    if let [branch] = delivered[..] {
        seen.commits = repo.commits(branch)?.into_iter().map(|(author, _)| author).collect();
        seen.changes = repo.changes(branch)?;
    }
    let base = journal.iter().find(|entry| entry.kind() == "prepared").map(|entry| entry.body()["commit"].clone());
    anyhow::ensure!(base.is_none_or(|base| base == repo.head("main").unwrap_or_default()), "the base branch moved");
    Ok(seen)
}

fn finding(finding: &Value) -> String {
    let text = |key: &str| finding[key].as_str().unwrap_or_default();
    let path = ["head", "base"].iter().find_map(|side| finding[side]["path"].as_str());
    format!("{}/{} {}", text("rule"), text("id"), path.unwrap_or_default()).trim_end().to_owned()
}

/// Names of the pipeline's stages, from the event that made the task.
fn stages(journal: &[Entry]) -> Vec<String> {
    let created = journal.iter().find(|entry| entry.kind() == "task-created");
    let stages = created.and_then(|entry| entry.body()["task"]["pipeline"]["stages"].as_array()).into_iter().flatten();
    stages.map(|stage| stage["name"].as_str().unwrap_or_default().to_owned()).collect()
}

/// What a scenario may rely on of one event.
fn lines(entry: &Entry, stages: &[String]) -> Vec<String> {
    let body = entry.body();
    let run = &body["run"];
    let stage = run["stage"].as_u64().and_then(|n| stages.get(usize::try_from(n).ok()?)).map_or("?", String::as_str);
    match entry.kind() {
        "run-ended" => vec![format!("{stage}: agent {}", word(&body["outcome"]["status"]))],
        "collected" => {
            let left = body["collected"]["left_behind"].as_array().into_iter().flatten();
            left.map(|left| format!("{stage}: left {} ({})", word(&left["path"]), word(&left["reason"]))).collect()
        }
        "denied" => vec![format!("{stage}: denied {}", word(&body["denial"]["what"]))],
        // Either a word, or a word with its reason.
        "accepted" => vec![match &body["acceptance"] {
            Value::Object(with_reason) => format!("persona: {}", with_reason.keys().next().map_or("?", String::as_str)),
            plain => format!("persona: {}", word(plain)),
        }],
        "checked" => {
            let what = match word(&run["kind"]) {
                "baseline" => "baseline".to_owned(),
                kind => format!("{stage}: {kind}"),
            };
            let code = body["check"]["end"]["exit_code"].as_i64();
            vec![format!("{what} {}", if code == Some(0) { "green" } else { "red" })]
        }
        kind @ ("prepare-failed" | "brief-refused" | "collect-failed" | "deliver-failed" | "plugin-failed"
        | "approved" | "rejected" | "delivered" | "cancel-requested") => vec![kind.to_owned()],
        _ => Vec::new(),
    }
}

fn word(value: &Value) -> &str {
    value.as_str().unwrap_or("?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn entries(bodies: &[Value]) -> Vec<Entry> {
        bodies.iter().map(|body| Entry(json!({ "at_ms": 1, "body": body }))).collect()
    }

    fn run(stage: u32, kind: &str) -> Value {
        json!({ "task": 1, "stage": stage, "attempt": 1, "kind": kind })
    }

    #[test]
    fn a_journal_becomes_one_line_per_decision() {
        let repo = Repo::new().unwrap().file("a", "1").unwrap().commit("base").unwrap();
        let journal = entries(&[
            json!({ "kind": "task-created", "task": { "pipeline": { "stages": [{ "name": "spec" }, { "name": "qa" }] } } }),
            json!({ "kind": "prepared", "commit": repo.head("main").unwrap() }),
            json!({ "kind": "checked", "run": run(0, "baseline"), "check": { "end": { "exit_code": 0 } } }),
            json!({ "kind": "told", "notice": {} }),
            json!({ "kind": "denied", "run": run(1, "agent"), "denial": { "what": "writing b", "rule": "r", "remedy": "" } }),
            json!({ "kind": "run-ended", "run": run(1, "agent"), "outcome": { "status": "completed" } }),
            json!({ "kind": "collected", "run": run(1, "agent"), "collected": { "left_behind": [{ "path": "b", "reason": "not-granted" }] } }),
            json!({ "kind": "accepted", "acceptance": { "retry": "because" } }),
            json!({ "kind": "checked", "run": run(1, "check"), "check": { "end": { "exit_code": 1 } } }),
            json!({ "kind": "judged", "findings": [{ "rule": "scope", "id": "x", "head": { "path": "b" } }, { "rule": "scope", "id": "x", "base": { "path": "b" } }, { "rule": "scope", "id": "y" }] }),
        ]);
        let seen = observe("needs-review", &journal, &repo).unwrap();
        assert_eq!(
            seen.transcript,
            [
                "baseline green",
                "qa: denied writing b",
                "qa: agent completed",
                "qa: left b (not-granted)",
                "persona: retry",
                "qa: check red"
            ]
        );
        assert_eq!(seen.findings, ["scope/x b", "scope/y"]);
        seen.compare(&seen, &repo).unwrap();
        let other = Expected { status: "completed".into(), ..seen.clone() };
        assert!(other.compare(&seen, &repo).unwrap_err().to_string().contains("status = \"needs-review\""));
    }

    #[test]
    fn a_branch_nobody_delivered_is_an_error() {
        let repo = Repo::new().unwrap().file("a", "1").unwrap().commit("base").unwrap();
        repo.git(&["branch", "borg/1/x"]).unwrap();
        observe("failed", &[], &repo).unwrap_err();
        let moved = entries(&[
            json!({ "kind": "delivered", "branch": "borg/1/x" }),
            json!({ "kind": "prepared", "commit": "0000" }),
        ]);
        assert_eq!(observe("completed", &moved, &repo).unwrap_err().to_string(), "the base branch moved");
    }
}
