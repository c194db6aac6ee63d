//! What is to be done, in the imperative, under a key that stays the same when it is done again. What is owed names what it needs; policy and
//! state are looked up for its doer when it is about to be performed ([`crate::dispatch`]).

use crate::{
    chat::Notice,
    collect::CommitId,
    executor::EndCause,
    id::{Digest, EffectKey, RunKey},
    owner::Owner,
    people::PersonId,
    persona::{Report, TaskBrief, Work},
    policy::Via,
    record::StageRecord,
    run::{Limits, WriteGrant},
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

/// What to do; one struct each.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Order {
    Prepare(PrepareOrder),
    Brief(Box<BriefOrder>),
    Run(Box<RunOrder>),
    Stop(StopOrder),
    Collect(Box<CollectOrder>),
    Accept(Box<AcceptOrder>),
    Check(Box<CheckOrder>),
    Judge(Box<JudgeOrder>),
    Deliver(DeliverOrder),
    Forget(ForgetOrder),
    Tell(TellOrder),
}

impl Order {
    /// The run it is about, if it is about one.
    pub fn run(&self) -> Option<RunKey> {
        match self {
            Order::Run(order) => Some(order.run),
            Order::Check(order) => Some(order.run),
            Order::Collect(order) => Some(order.run),
            Order::Stop(order) => Some(order.run),
            Order::Forget(order) => Some(order.run),
            Order::Prepare(_)
            | Order::Brief(_)
            | Order::Accept(_)
            | Order::Judge(_)
            | Order::Deliver(_)
            | Order::Tell(_) => None,
        }
    }

    /// The sandbox it starts, or follows where one is at work already.
    pub fn starts(&self) -> Option<RunKey> {
        match self {
            Order::Run(_) | Order::Check(_) => self.run(),
            Order::Prepare(_)
            | Order::Brief(_)
            | Order::Stop(_)
            | Order::Collect(_)
            | Order::Accept(_)
            | Order::Judge(_)
            | Order::Deliver(_)
            | Order::Forget(_)
            | Order::Tell(_) => None,
        }
    }

    /// What it writes to the disk.
    pub fn room(&self) -> Room {
        match self {
            Order::Prepare(_) | Order::Run(_) | Order::Check(_) => Room::Workspace,
            Order::Collect(_) | Order::Deliver(_) => Room::Objects,
            Order::Brief(_)
            | Order::Accept(_)
            | Order::Judge(_)
            | Order::Stop(_)
            | Order::Forget(_)
            | Order::Tell(_) => Room::Nothing,
        }
    }

    /// True for what is still to be done once its owner has ended.
    pub fn outlives_owner(&self) -> bool {
        match self {
            Order::Forget(_) | Order::Tell(_) => true,
            Order::Prepare(_)
            | Order::Brief(_)
            | Order::Run(_)
            | Order::Stop(_)
            | Order::Collect(_)
            | Order::Accept(_)
            | Order::Check(_)
            | Order::Judge(_)
            | Order::Deliver(_) => false,
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

/// Refresh the mirror, find the base commit, check that everything the plan needs is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PrepareOrder {
    pub repository: String,
    pub needs_check: bool,
    pub executors: Vec<String>,
    /// Commits of earlier work that it goes on from.
    #[serde(default)]
    pub commits: Vec<CommitId>,
}

/// Ask a persona for its orders and cut them to what is granted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BriefOrder {
    pub persona: String,
    /// Its hand-offs are filled in from the artefacts.
    pub work: Work,
    pub artefacts: Vec<InFile>,
    pub records: Vec<StageRecord>,
}

/// End a run: close its gateway, kill it. The run's own end comes as an event of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StopOrder {
    pub run: RunKey,
    pub cause: EndCause,
}

/// Ask a persona whether the result will do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptOrder {
    pub persona: String,
    pub work: Work,
    pub artefacts: Vec<InFile>,
    pub report: Report,
    pub produced: Vec<InFile>,
}

/// Give people what passed or was approved.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeliverOrder {
    pub via: Via,
    pub branch: String,
    pub commit: CommitId,
    pub repository: String,
    /// File that holds the answer, where one is to be given and was written.
    pub answer: Option<InFile>,
}

/// Remove a run's sandbox and directories.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForgetOrder {
    pub run: RunKey,
}

/// Say something to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TellOrder {
    pub notice: Box<Notice>,
    #[serde(default)]
    pub audience: Audience,
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

/// Run an agent, as granted.
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
    pub assignment: crate::kept::Kept,
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

/// Take what a dead run left, with all that makes its commit reproducible.
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

/// Run the test command on a commit.
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

/// Let the rules look at the change base..head.
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
