//! What the host and a persona say to each other. The WIT form of these is `wit/persona.wit`, where each field is described.

use crate::id::TaskId;
use serde::{Deserialize, Serialize};

/// What a plugin is told about a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskBrief {
    pub id: TaskId,
    pub title: String,
    pub description: String,
    pub repository: String,
    pub base_branch: String,
    pub read_only: bool,
}

/// What an agent writes to `/out` when it cannot go on without a person.
pub const QUESTION_FILE: &str = "question.md";

/// An artefact, handed from one stage to the next as `/in/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Handoff {
    pub name: String,
    pub text: String,
    /// False when the text was cut to 1 MiB.
    pub complete: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PersonaInfo {
    pub name: String,
    pub summary: String,
    pub produces: Vec<String>,
}

/// All that is known when a stage starts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Work {
    pub task: TaskBrief,
    pub stage: String,
    pub attempt: u32,
    pub handoffs: Vec<Handoff>,
    pub failure: Option<String>,
    /// `tests-fail`, `tests-pass` or nothing.
    pub check: Option<String>,
    pub produces: Vec<String>,
}

/// Orders for an agent, as a persona wishes them; what it gets is a [`crate::grant::Grant`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Assignment {
    pub system_prompt: String,
    pub prompt: String,
    pub tools: Vec<String>,
    pub write: Vec<String>,
}

/// What an attempt left behind, as the host found it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    pub message: String,
    pub artefacts: Vec<Handoff>,
    pub changed: Vec<String>,
    pub left_behind: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Acceptance {
    Accept,
    Retry(String),
    Fail(String),
}
