//! What is to be done, in the imperative. An effect carries all its doer needs and a key that stays the same when it is done again.

use crate::{
    chat::Notice,
    collect::CommitId,
    executor::EndCause,
    id::{Digest, RunKey, TaskId},
    persona::{Report, TaskBrief, Work},
    policy::{PersonId, Via},
    run::{Limits, WriteGrant},
    task::StageRecord,
};
use serde::{Deserialize, Serialize};
use std::fmt;

/// Names an effect for ever. Doing it twice must not matter twice: each doer looks for what an earlier try left under this key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(pub String);

impl EffectKey {
    /// `t12-s1-a2-brief`: an attempt has one effect of a kind.
    pub fn new(task: TaskId, stage: u32, attempt: u32, kind: &str) -> Self {
        EffectKey(format!("t{task}-s{stage}-a{attempt}-{kind}"))
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One thing to do, owed until an event settles it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub key: EffectKey,
    pub task: TaskId,
    pub order: Order,
}

/// A file handed to a run as `/in/NAME`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFile {
    pub name: String,
    /// SHA-256 of the artefact in the data directory.
    pub digest: crate::id::Digest,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Order {
    /// Refresh the mirror, find the base commit, check that everything the plan needs is there.
    Prepare {
        repository: String,
        needs_check: bool,
        executors: Vec<String>,
        /// Commits of earlier work that it goes on from.
        #[serde(default)]
        commits: Vec<CommitId>,
    },
    /// Ask a persona for its orders and cut them to what is granted. Hand-offs in `work` are filled in from the artefacts.
    Brief { persona: String, work: Box<Work>, artefacts: Vec<InFile>, records: Vec<StageRecord> },
    /// Run an agent.
    Run(Box<RunOrder>),
    /// End a run: close its gateway, kill it, wait until it is dead. The run's own end comes as an event of its own.
    Stop { run: RunKey, cause: EndCause },
    /// Take what a dead run left.
    Collect(Box<CollectOrder>),
    /// Ask a persona whether the result will do.
    Accept { persona: String, work: Box<Work>, artefacts: Vec<InFile>, report: Box<Report>, produced: Vec<InFile> },
    /// Run the test command on a commit.
    Check(Box<CheckOrder>),
    /// Let the rules look at the change.
    Judge(Box<JudgeOrder>),
    Deliver {
        via: Via,
        branch: String,
        commit: CommitId,
        repository: String,
        /// File that holds the answer, where one is to be given and was written.
        answer: Option<InFile>,
    },
    /// Remove a run's sandbox and directories.
    Forget { run: RunKey },
    Tell {
        notice: Box<Notice>,
        #[serde(default)]
        audience: Audience,
    },
}

/// Who hears of a notice.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "to")]
pub enum Audience {
    /// Its chat.
    #[default]
    Chat,
    /// A review, for everybody who may decide on it wherever they can be reached, its own chat, if it has one, and the operators' chat.
    Deciders { change: Digest, people: Vec<PersonId> },
    /// A review that waits already, for people who may decide on it since policy was edited.
    Joined { change: Digest, people: Vec<PersonId> },
    /// What takes the place of a review wherever it was shown: there is nothing to decide any more.
    Copies { change: Digest },
}

/// An agent run, granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunOrder {
    pub run: RunKey,
    pub repository: String,
    pub brief: TaskBrief,
    pub persona: String,
    pub stage: String,
    /// As people and plugins count: tries that used up the stage's allowance, plus one.
    pub attempt: u32,
    pub executor: String,
    pub image: String,
    pub model: Option<String>,
    /// JSON of the [`crate::persona::Assignment`], kept beside the journal.
    pub assignment: crate::event::Kept,
    pub tools: Vec<String>,
    pub write: WriteGrant,
    pub limits: Limits,
    /// Names of `[egress.*]`.
    pub egress: Vec<String>,
    pub allowance: crate::budget::Budget,
    pub base: CommitId,
    /// Commit the workspace starts from.
    pub head: CommitId,
    pub base_branch: String,
    pub inputs: Vec<InFile>,
    /// Policy it was granted under.
    pub policy: crate::id::Digest,
}

/// A collection, with all that makes its commit reproducible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectOrder {
    pub run: RunKey,
    pub repository: String,
    pub base: CommitId,
    pub parent: CommitId,
    pub write: WriteGrant,
    /// Name of the persona, author of the commit.
    pub author: String,
    /// First line and body of the commit message.
    pub message: String,
    /// Author and committer date, milliseconds since 1970.
    pub at_ms: u64,
    /// Names allowed in `/out`.
    pub produces: Vec<String>,
    pub limits: Limits,
}

/// One run of the test command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckOrder {
    pub run: RunKey,
    pub repository: String,
    pub image: String,
    pub command: String,
    /// Harness comes from here.
    pub base: CommitId,
    pub head: CommitId,
    /// Paths of the stage that is checked; empty for the baseline.
    pub changed: Vec<String>,
    /// Accepted stages that wrote tests, in order: their harness is the base's.
    #[serde(default)]
    pub accepted: Vec<Accepted>,
    /// What the baseline reported, to know which of its tests are gone from the text.
    pub baseline: Option<crate::check::Report>,
    pub limits: Limits,
    pub policy: crate::id::Digest,
}

/// What an accepted stage left whose tests failed as they should.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Accepted {
    pub commit: CommitId,
    pub paths: Vec<String>,
}

/// One judgement over base..head.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JudgeOrder {
    pub repository: String,
    pub base: CommitId,
    pub head: CommitId,
    pub rules: Vec<String>,
    pub commits: Vec<crate::facts::StageCommit>,
    pub evidence: Vec<crate::facts::TestEvidence>,
    pub incomplete: Vec<String>,
    /// The test command, where the tests were run.
    #[serde(default)]
    pub check: Option<String>,
    /// Accepted stages that wrote tests, in order.
    #[serde(default)]
    pub accepted: Vec<Accepted>,
}
