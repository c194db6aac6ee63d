//! What is to be done, in the imperative. An effect carries all its doer needs and a key that stays the same when it is done again.

use crate::{
    chat::Notice,
    collect::CommitId,
    executor::EndCause,
    id::{Digest, EffectKey, RunKey},
    owner::Owner,
    persona::{Report, TaskBrief, Work},
    policy::{PersonId, Via},
    run::{Limits, WriteGrant},
    task::StageRecord,
};
use serde::{Deserialize, Serialize};

/// One thing to do, owed until an event settles it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    pub key: EffectKey,
    /// By its name of before there were other owners than tasks.
    #[serde(rename = "task")]
    pub owner: Owner,
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

impl Order {
    /// The run it is about, if it is about one.
    pub fn run(&self) -> Option<RunKey> {
        match self {
            Order::Run(order) => Some(order.run),
            Order::Check(order) => Some(order.run),
            Order::Collect(order) => Some(order.run),
            Order::Stop { run, .. } | Order::Forget { run } => Some(*run),
            Order::Prepare { .. }
            | Order::Brief { .. }
            | Order::Accept { .. }
            | Order::Judge(_)
            | Order::Deliver { .. }
            | Order::Tell { .. } => None,
        }
    }

    /// The sandbox it starts, or follows where one is at work already.
    pub fn starts(&self) -> Option<RunKey> {
        match self {
            Order::Run(_) | Order::Check(_) => self.run(),
            Order::Prepare { .. }
            | Order::Brief { .. }
            | Order::Stop { .. }
            | Order::Collect(_)
            | Order::Accept { .. }
            | Order::Judge(_)
            | Order::Deliver { .. }
            | Order::Forget { .. }
            | Order::Tell { .. } => None,
        }
    }

    /// What it writes to the disk.
    pub fn room(&self) -> Room {
        match self {
            Order::Prepare { .. } | Order::Run(_) | Order::Check(_) => Room::Workspace,
            Order::Collect(_) | Order::Deliver { .. } => Room::Objects,
            Order::Brief { .. }
            | Order::Accept { .. }
            | Order::Judge(_)
            | Order::Stop { .. }
            | Order::Forget { .. }
            | Order::Tell { .. } => Room::Nothing,
        }
    }

    /// True for what is still to be done once its owner has ended.
    pub fn outlives_owner(&self) -> bool {
        match self {
            Order::Forget { .. } | Order::Tell { .. } => true,
            Order::Prepare { .. }
            | Order::Brief { .. }
            | Order::Run(_)
            | Order::Stop { .. }
            | Order::Collect(_)
            | Order::Accept { .. }
            | Order::Check(_)
            | Order::Judge(_)
            | Order::Deliver { .. } => false,
        }
    }
}

/// What an order writes to the disk, so what must be free before it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    Nothing,
    /// Objects of a repository, of work that is there already.
    Objects,
    /// A checkout, a mirror, a sandbox: as much as policy keeps free.
    Workspace,
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
