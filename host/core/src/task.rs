//! A task and where it stands. Only [`crate::step`] changes one.

mod facts;
mod money;
mod phase;
mod status;

pub use facts::Facts;
pub use status::{Ending, Status};

use crate::{
    approval::{ApprovedChange, Review},
    asked::NewTask,
    budget::{Budget, Hold, Spent},
    collect::CommitId,
    denial::DenialNote,
    evidence::CheckRun,
    facts::{StageCommit, TestEvidence},
    id::{Digest, RunKey, RunKind, TaskId},
    kept::Kept,
    people::PersonId,
    persona::TaskBrief,
    policy::{Policy, StageWork, Via},
    record::StageRecord,
    remedy::Advice,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What a person told the agents of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    pub by: PersonId,
    /// What they were asked, if they were.
    pub question: Option<Kept>,
    pub text: Kept,
}

/// A task and all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub spec: NewTask,
    pub created_ms: u64,
    /// When it last moved on, in milliseconds since 1970.
    pub changed_ms: u64,
    pub phase: Phase,
    pub base: Option<Base>,
    /// Last accepted commit; the base commit at first.
    pub head: Option<CommitId>,
    /// Without its output.
    pub baseline: Option<CheckRun>,
    /// Accepted stages, in order.
    pub records: Vec<StageRecord>,
    pub evidence: Vec<TestEvidence>,
    /// Ids of tests that an accepted stage wrote and showed failing: they must pass from then on.
    pub required: Vec<String>,
    /// Names of such tests that had no ids yet, because they could not be built.
    pub required_names: Vec<String>,
    /// Findings and verdict, once judged.
    pub review: Option<Review>,
    /// What a person said to that, if one was asked.
    pub decision: Option<Decision>,
    pub spent: Spent,
    /// The part of it that the stage at work spent: what its budget is held against.
    pub stage_spent: Spent,
    /// What attempts did or tried against their grant, where no accepted record tells it.
    pub tried: Vec<StageCommit>,
    /// Runs whose wall time is in `spent`.
    pub timed: BTreeSet<RunKey>,
    /// Each kind of refusal once, the first [`Task::DENIALS_KEPT`] of them; the journal has all.
    pub denials: Vec<DenialNote>,
    /// The agent's last words in the latest run, or the answer it wrote: a claim.
    pub last_words: Option<Kept>,
    /// Transient failures in a row.
    pub transients: u32,
    /// Notices sent so far, for their keys.
    pub told: u32,
    /// At most [`Task::NOTES_KEPT`], and answers.
    #[serde(default)]
    pub notes: Vec<Note>,
    /// Who was asked to let the change through that waits, or waited last: they may by the policy in force. For people to read; whether
    /// somebody may is asked of [`crate::approval::decider`] when they do.
    #[serde(default)]
    pub deciders: Vec<PersonId>,
    /// What requests may cost whose answers are still out, by run: held until each is settled, also after the run or the task has ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holds: Vec<(RunKey, Hold)>,
}

/// A person's word on a review.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    pub by: PersonId,
    pub at_ms: u64,
    pub approved: bool,
    /// Change it was about.
    pub digest: Digest,
    pub note: String,
}

/// Where a task starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    pub branch: String,
    pub commit: CommitId,
    /// Test command, from policy or the base.
    pub check: Option<String>,
}

/// Position in the pipeline.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// Index into the pipeline's stages.
    pub stage: u32,
    /// Fence: counts every try of the stage. A result of an older one changes nothing.
    pub attempt: u32,
    /// Tries that counted against the stage's allowance.
    pub used: u32,
    /// Why the last one was not accepted, told to the next.
    pub failure: Option<String>,
    /// Work of this attempt to go on with, instead of a new run.
    pub resume: Option<Resume>,
    /// How often in a row the attempts before failed as the last one did.
    #[serde(default)]
    pub alike: u32,
    /// Questions that were asked instead of work.
    #[serde(default)]
    pub asked: u32,
    /// Work of a run that a daily cap cut short: the next run begins with it, and its own is told from where the stage began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<Box<StageRecord>>,
}

/// What is to be done again with work that is collected already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Resume {
    /// It could not be collected, and lies where the agent left it.
    Collect { agent: Box<AgentRun>, after: AfterCollect },
    /// Its persona failed to answer.
    Accept(Box<StageRecord>),
    /// The sandbox of its check failed.
    Check(Box<StageRecord>),
}

/// Where a task stands. Each state carries only what means something in it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "phase")]
pub enum Phase {
    /// Waits for a free slot and for its repository.
    Queued {
        at: Position,
    },
    Running(Running),
    /// Goes on by itself at a time.
    Parked {
        at: Position,
        until_ms: u64,
        reason: String,
        /// True where a daily cap holds it back: it goes on sooner if that is raised.
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        daily: bool,
    },
    /// Goes on when a person has acted.
    Blocked {
        at: Position,
        on: BlockedOn,
        reason: String,
        remedy: Advice,
    },
    /// Waits for a person's decision.
    NeedsReview {
        at: Position,
        review: Review,
    },
    /// It is being delivered after a person acted: approved it, or had the delivery tried again.
    Approved {
        at: Position,
        change: ApprovedChange,
    },
    Ended {
        ending: Ending,
        reason: String,
    },
}

/// What a blocked task waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "blocked-on")]
pub enum BlockedOn {
    /// Somebody mends something, then says `retry`.
    Repair,
    /// The verdict was `block`: an owner overrules it, or it is turned down.
    Verdict { review: Review },
    /// It is approved but could not be delivered.
    Delivery { change: ApprovedChange },
    /// Somebody answers what an agent asked.
    Question { question: Kept },
}

/// A task at work: it holds a slot and its repository's lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    pub at: Position,
    pub doing: Doing,
    /// Set when the run is to be ended before its time.
    pub stopping: Option<Stopping>,
}

/// What follows the end of a run that was ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stopping {
    /// Its work is kept, and the task goes on from there when a daily cap lets it.
    ForTheDay,
    #[serde(untagged)]
    Ends(Ending),
}

impl Stopping {
    /// How the task is to end, if it is.
    pub fn ending(self) -> Option<Ending> {
        match self {
            Stopping::ForTheDay => None,
            Stopping::Ends(ending) => Some(ending),
        }
    }
}

/// What is owed right now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "doing")]
pub enum Doing {
    Preparing,
    Baseline {
        first: Option<Box<CheckRun>>,
    },
    Briefing,
    Agent(AgentRun),
    Collecting {
        agent: AgentRun,
        after: AfterCollect,
    },
    Accepting {
        record: Box<StageRecord>,
    },
    Checking {
        record: Box<StageRecord>,
        first: Option<Box<CheckRun>>,
    },
    Judging,
    /// The change is one the rules let through; none where only words leave the host.
    Delivering {
        change: Option<ApprovedChange>,
    },
}

/// A run of an agent and how far its output was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentRun {
    pub run: RunKey,
    pub write: crate::run::WriteGrant,
    pub started_ms: u64,
    /// Last output line that was read and saved.
    pub line: u64,
    /// Executor state after that line, base64.
    pub state: String,
    pub executor_digest: Option<Digest>,
    pub turns: u32,
    /// When it was last heard of.
    #[serde(default)]
    pub seen_ms: u64,
}

impl AgentRun {
    /// True once its sandbox runs.
    pub fn has_started(&self) -> bool {
        self.executor_digest.is_some()
    }

    /// How long it ran for certain, in milliseconds; nothing if it has not started.
    pub fn ran_ms(&self) -> u64 {
        if self.has_started() { self.seen_ms.saturating_sub(self.started_ms) } else { 0 }
    }
}

/// What follows a collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "then")]
pub enum AfterCollect {
    /// The agent finished: ask the persona.
    Accept,
    /// A daily cap cut it short: keep the work so far, and go on from there when it lets it.
    Wait,
    /// It was cut short: keep the work so far, then end.
    End { ending: Ending, reason: String },
}

/// Somebody's words, so that nothing in them passes for the words of another.
pub fn quoted(text: &str) -> String {
    text.lines().map(|line| format!("> {line}")).collect::<Vec<_>>().join("\n")
}

impl Task {
    /// Refusals kept in the state.
    pub const DENIALS_KEPT: usize = 100;
    /// Notes of people to one task; answers to its questions come on top.
    pub const NOTES_KEPT: usize = 50;

    pub fn new(spec: NewTask, at_ms: u64) -> Self {
        Task {
            spec,
            created_ms: at_ms,
            changed_ms: at_ms,
            phase: Phase::Queued { at: Position::default() },
            base: None,
            head: None,
            baseline: None,
            records: Vec::new(),
            evidence: Vec::new(),
            required: Vec::new(),
            required_names: Vec::new(),
            review: None,
            decision: None,
            spent: Spent::default(),
            stage_spent: Spent::default(),
            tried: Vec::new(),
            timed: BTreeSet::new(),
            denials: Vec::new(),
            last_words: None,
            transients: 0,
            told: 0,
            notes: Vec::new(),
            deciders: Vec::new(),
            holds: Vec::new(),
        }
    }

    /// Everybody who asked for what it makes, more than once maybe: for this task, for earlier work, or by telling its agents something.
    pub fn askers(&self) -> impl Iterator<Item = &PersonId> {
        let told = self.notes.iter().map(|note| &note.by);
        [&self.spec.by].into_iter().chain(&self.spec.asked_before).chain(told)
    }

    pub fn id(&self) -> TaskId {
        self.spec.id
    }

    pub fn status(&self) -> Status {
        self.phase.status()
    }

    /// True while it holds a slot and its repository.
    pub fn is_running(&self) -> bool {
        matches!(self.phase, Phase::Running(_) | Phase::Approved { .. })
    }

    /// The run in progress, if an agent is at work.
    pub fn agent_run(&self) -> Option<&AgentRun> {
        let Phase::Running(Running { doing: Doing::Agent(agent), .. }) = &self.phase else { return None };
        Some(agent)
    }

    /// The run whose work is to be collected when the task goes on.
    pub fn uncollected(&self) -> Option<RunKey> {
        match &self.phase.position()?.resume {
            Some(Resume::Collect { agent, .. }) => Some(agent.run),
            Some(Resume::Accept(_) | Resume::Check(_)) | None => None,
        }
    }

    /// The sandbox at work: of an agent, or of a check.
    pub fn live_run(&self) -> Option<RunKey> {
        let Phase::Running(Running { at, doing, .. }) = &self.phase else { return None };
        let check = |kind| Some(RunKey { owner: self.id().into(), place: at.stage, fence: at.attempt, kind });
        match doing {
            Doing::Agent(agent) => Some(agent.run),
            Doing::Baseline { first: None } => check(RunKind::Baseline),
            Doing::Baseline { first: Some(_) } => check(RunKind::Recheck),
            Doing::Checking { first: None, .. } => check(RunKind::Check),
            Doing::Checking { first: Some(_), .. } => check(RunKind::Recheck),
            Doing::Preparing
            | Doing::Briefing
            | Doing::Collecting { .. }
            | Doing::Accepting { .. }
            | Doing::Judging
            | Doing::Delivering { .. } => None,
        }
    }

    /// Adds to what the task and its stage have spent.
    pub fn spend(&mut self, spent: Spent) {
        self.spent = self.spent + spent;
        self.stage_spent = self.stage_spent + spent;
    }

    /// What the stage at work may spend, over all its attempts: the budget the person named, else its persona's, else the task's.
    pub fn budget(&self, policy: &Policy) -> Budget {
        self.phase.position().map_or(self.spec.budget, |at| self.budget_at(at, policy))
    }

    /// The same for the stage at a position.
    pub fn budget_at(&self, at: &Position, policy: &Policy) -> Budget {
        if self.spec.budget_asked {
            return self.spec.budget;
        }
        let persona = match self.spec.pipeline.stages.get(at.stage as usize).map(|stage| &stage.work) {
            Some(StageWork::Persona { persona, .. }) => policy.personas.get(persona),
            Some(StageWork::Judge { .. } | StageWork::Deliver { .. }) | None => None,
        };
        let named = persona.and_then(|persona| policy.budgets.get(persona.budget.as_ref()?));
        named.copied().unwrap_or(self.spec.budget)
    }

    /// What is left of that.
    pub fn allowance(&self, policy: &Policy) -> Budget {
        self.budget(policy).left(&self.stage_spent)
    }

    /// True when the branch holds something of its own.
    pub fn has_changes(&self) -> bool {
        match (&self.base, &self.head) {
            (Some(base), Some(head)) => base.commit != *head,
            (None, _) | (_, None) => false,
        }
    }

    /// True where its pipeline has the work leave the host in this way.
    pub fn delivers(&self, how: Via) -> bool {
        self.spec.pipeline.stages.iter().any(|stage| stage.work == StageWork::Deliver { via: how })
    }

    /// The branch that it left in its repository.
    pub fn delivered(&self) -> Option<&str> {
        let completed = matches!(&self.phase, Phase::Ended { ending: Ending::Completed, .. });
        (completed && self.has_changes() && self.delivers(Via::Branch)).then_some(&self.spec.branch)
    }

    /// What agents did and tried, for the rules: in the task this one goes on from, and in this one.
    pub fn commits(&self) -> Vec<StageCommit> {
        let earlier = self.spec.continues.iter().flat_map(|from| from.commits.iter().cloned());
        let own = self.records.iter().map(StageRecord::commit);
        earlier.chain(own).chain(self.tried.iter().cloned()).collect()
    }

    /// Why the facts of the change are not whole.
    pub fn incomplete(&self) -> Vec<String> {
        let earlier = self.spec.continues.iter().flat_map(|from| from.incomplete.iter().cloned());
        let of = |record: &StageRecord| -> Vec<String> {
            record.incomplete.iter().map(|why| format!("{}: {why}", record.stage)).collect()
        };
        earlier.chain(self.records.iter().flat_map(of)).collect()
    }

    /// What was asked for, with all that people said about it since.
    fn description(&self) -> String {
        let mut text = self.spec.description.text.clone();
        for Note { by, question, text: said } in &self.notes {
            let said = quoted(&said.text);
            text.push_str("\n\n");
            match question {
                Some(question) => {
                    text.push_str(&format!("You asked:\n{}\n{by} answered:\n{said}", quoted(&question.text)))
                }
                None => text.push_str(&format!("{by} said since:\n{said}")),
            }
        }
        text.trim_start().to_owned()
    }

    /// What plugins are told of it.
    pub fn brief(&self) -> TaskBrief {
        TaskBrief {
            id: self.spec.id,
            title: self.spec.title.clone(),
            description: self.description(),
            repository: self.spec.repository.clone(),
            base_branch: self.base.as_ref().map(|base| base.branch.clone()).unwrap_or_default(),
            read_only: self.spec.pipeline.read_only,
        }
    }
}
