//! What agents printed, as the journal has it.

use crate::harness::Entry;
use anyhow::{Context, Result};
use serde_json::Value;

/// The run an event is about, such as `t1-s0-a2-agent`.
pub fn run_of(entry: &Entry) -> Option<String> {
    let run = &entry.body()["run"];
    let number = |name: &str| run[name].as_u64();
    let (task, stage, attempt) = (number("task")?, number("stage")?, number("attempt")?);
    Some(format!("t{task}-s{stage}-a{attempt}-{}", run["kind"].as_str()?))
}

/// Runs that started, in order; one that started anew is there twice.
pub fn started(journal: &[Entry]) -> Vec<String> {
    journal.iter().filter(|entry| entry.kind() == "run-started").filter_map(run_of).collect()
}

/// Everything the agent of the run that started last was seen doing, in order: its words, and its tools with how they ended.
pub fn of_last_run(journal: &[Entry]) -> Result<Vec<String>> {
    let last = journal.iter().rposition(|entry| entry.kind() == "run-started").context("no run has started")?;
    let run = run_of(&journal[last]);
    let mut seen = Vec::new();
    for entry in journal[last..].iter().filter(|entry| entry.kind() == "progressed" && run_of(entry) == run) {
        let text = entry.body()["events"]["text"].as_str().context("the agent's output is kept")?;
        let events: Vec<Value> = serde_json::from_str(text)?;
        seen.extend(events.iter().map(told));
    }
    Ok(seen)
}

/// Numbers of the output lines up to which each batch of a run was read.
pub fn lines_of(journal: &[Entry], run: &str) -> Vec<u64> {
    let of_run = journal.iter().filter(|entry| entry.kind() == "progressed" && run_of(entry).as_deref() == Some(run));
    of_run.filter_map(|entry| entry.body()["line"].as_u64()).collect()
}

/// True for an entry in which an agent says something.
pub fn says(entry: &Entry, words: &str) -> bool {
    entry.kind() == "progressed" && entry.body()["events"]["text"].as_str().is_some_and(|text| text.contains(words))
}

fn told(event: &Value) -> String {
    let word = |name: &str| event[name].as_str().unwrap_or_default();
    match word("kind") {
        "said" => word("text").to_owned(),
        "tool-use" => format!("{} {}", word("id"), word("tool")),
        "tool-result" => format!("{} {}", word("id"), event["ok"]),
        other => other.to_owned(),
    }
}
