//! A task as it was asked for and planned, before anything of it is done.

use crate::{
    budget::Budget,
    collect::CommitId,
    facts::StageCommit,
    id::{Digest, TaskId},
    kept::Kept,
    people::PersonId,
    policy::Pipeline,
};
use serde::{Deserialize, Serialize};

/// A task as it was planned; nothing in it changes but the policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewTask {
    pub id: TaskId,
    pub title: String,
    pub description: Kept,
    pub repository: String,
    /// The pipeline as it was when the task was made.
    pub pipeline: Pipeline,
    pub by: PersonId,
    /// Whoever asked for the earlier work it repeats or goes on from, and told the agents something there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub asked_before: Vec<PersonId>,
    /// Chat that hears of it, as `transport:chat`.
    pub chat: Option<String>,
    pub budget_name: String,
    /// What one stage may spend where its persona names no budget of its own.
    pub budget: Budget,
    /// True when the person named the budget: then it counts for every stage.
    pub budget_asked: bool,
    /// Policy it runs under; a person's retry moves it to the one in force then.
    pub policy: Digest,
    /// Task it repeats.
    pub retry_of: Option<TaskId>,
    /// Work it goes on from, instead of the repository as it is now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub continues: Option<Box<Continued>>,
    /// `borg/<task>/<slug>`.
    pub branch: String,
}

/// Where an ended task left off. What its agents did counts for whoever judges what is made of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Continued {
    pub task: TaskId,
    /// Where that task started from.
    pub base: CommitId,
    /// Its last commit.
    pub head: CommitId,
    pub commits: Vec<StageCommit>,
    /// Why what was collected then is not whole.
    pub incomplete: Vec<String>,
}
