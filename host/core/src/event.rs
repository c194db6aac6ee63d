//! What happened, in the past tense. Events are the journal: versioned, self-contained, and the only input of [`crate::step`].

use crate::{
    asked::NewTask,
    budget::{Hold, Spent},
    chat::{Notice, Registration},
    collect::{Collected, CommitId},
    denial::DenialNote,
    evidence::CheckRun,
    executor::{EndCause, Outcome, RunEnd},
    facts::Finding,
    grant::Grant,
    id::{Digest, EffectKey, RunKey},
    kept::{Kept, aside},
    owner::Owner,
    people::{PersonId, Role},
    persona::Acceptance,
    remedy::Advice,
    run::Attestation,
    verdict::RuleFailure,
};
use serde::{Deserialize, Serialize};

/// Version of the event format; a newer one is refused by an older binary.
pub const EVENT_VERSION: u32 = 5;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Milliseconds since 1970-01-01 00:00 UTC.
    pub at_ms: u64,
    /// By its name of before there were other owners than tasks.
    #[serde(rename = "task")]
    pub owner: Owner,
    /// The owed effect this event settles, if any: it is struck off in the same transaction.
    pub settles: Option<EffectKey>,
    pub body: Body,
}

/// What happened, by who tells it. In JSON the groups do not show: each event has a `kind` of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Body {
    Host(HostEvent),
    Chat(ChatEvent),
    Said(Said),
    Answer(Answer),
    Meanwhile(Meanwhile),
}

/// What concerns the host itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum HostEvent {
    HostStarted {
        version: String,
        sandbox: String,
    },
    PolicyLoaded {
        digest: Digest,
    },
    /// A policy edit did not take effect.
    PolicyRefused {
        reason: String,
    },
    /// A person was told no.
    PersonDenied {
        by: PersonId,
        what: String,
        reason: String,
    },
    /// A transport brought something nobody knows what to do with; it is passed over.
    UpdatePassedOver {
        /// `transport:id`.
        update: String,
        /// Its kind, as the transport names it.
        what: String,
    },
    /// A component answered with what it has no right to; that was left out. Noted once for each component and kind.
    PluginMisbehaved {
        plugin: String,
        /// SHA-256 of the component.
        digest: Digest,
        what: String,
    },
}

/// What becomes of chats.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum ChatEvent {
    /// A chat became one of ours, or has another repository now.
    ChatRegistered {
        /// `transport:chat`.
        chat: String,
        registration: Registration,
    },
    /// A chat is ours no more: somebody said so, or we were put out of it.
    ChatForgotten { chat: String, by: Option<PersonId> },
    /// A chat goes on under another name, and all that is told there.
    ChatMoved { from: String, to: String },
}

/// What a person said, or asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Said {
    Paused {
        by: PersonId,
    },
    Resumed {
        by: PersonId,
    },
    TaskCreated {
        task: Box<NewTask>,
    },
    Approved {
        by: PersonId,
        digest: Digest,
        note: String,
    },
    Rejected {
        by: PersonId,
        digest: Digest,
        note: String,
    },
    CancelRequested {
        by: PersonId,
    },
    /// A person told the agents of a task something.
    Noted {
        by: PersonId,
        text: Kept,
    },
    Answered {
        by: PersonId,
        text: Kept,
    },
    /// A person sends a blocked task on its way again.
    Unblocked {
        by: PersonId,
    },
    /// An owner makes somebody known; the edit of the policy file follows.
    PersonAllowed {
        by: PersonId,
        person: PersonId,
        role: Role,
    },
}

/// What came of an order: it settles the effect it answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Answer {
    /// Mirror, base commit and everything a run needs are there.
    Prepared {
        branch: String,
        commit: CommitId,
        /// Test command, from policy or the base.
        check: Option<String>,
        warnings: Vec<String>,
    },
    /// The task cannot start until a person acts.
    PrepareFailed {
        reason: String,
        remedy: Advice,
    },
    Briefed {
        /// JSON of the [`crate::persona::Assignment`].
        assignment: Kept,
        grant: Grant,
    },
    BriefRefused {
        reason: String,
    },
    RunEnded {
        run: RunKey,
        end: RunEnd,
        outcome: Outcome,
        wall_ms: u64,
        /// The run never came to be: why, and what to do.
        start_error: Option<StartFailure>,
    },
    Collected {
        run: RunKey,
        collected: Collected,
    },
    /// Collection itself failed.
    CollectFailed {
        run: RunKey,
        reason: String,
    },
    Accepted {
        acceptance: Acceptance,
    },
    Checked {
        run: RunKey,
        check: Box<CheckRun>,
    },
    Judged {
        findings: Vec<Finding>,
        failures: Vec<RuleFailure>,
        incomplete: Vec<String>,
    },
    /// An agent left a question instead of its work.
    Asked {
        question: Kept,
    },
    Delivered {
        /// Empty where nothing but words left the host.
        branch: String,
        commit: CommitId,
        pushed_to: Option<String>,
        /// Text of the answer, where it was written to a file.
        answer: Option<Kept>,
    },
    DeliverFailed {
        reason: String,
        remedy: Advice,
    },
    /// A plugin failed a call that the task cannot do without.
    PluginFailed {
        plugin: String,
        reason: String,
    },
    /// A notice could not be shown; the journal keeps it.
    TellFailed {
        reason: String,
    },
    /// A run was told to end.
    Stopped {
        run: RunKey,
        cause: EndCause,
    },
    /// A sandbox and its directories are gone.
    Forgotten {
        run: RunKey,
    },
    /// A notice went out, or had nowhere to go.
    Told {
        #[serde(with = "aside::notice")]
        notice: Box<Notice>,
    },
}

/// What is heard while an order is performed, or as time passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "kind")]
pub enum Meanwhile {
    RunStarted {
        run: RunKey,
        executor: String,
        /// SHA-256 of the executor component, kept for the whole attempt.
        executor_digest: Option<Digest>,
        attestation: Attestation,
    },
    /// Output lines were read; `line` is the last one.
    Progressed {
        run: RunKey,
        line: u64,
        /// Executor state, base64.
        state: String,
        /// JSON list of [`crate::executor::AgentEvent`].
        events: Kept,
        turns: u32,
    },
    /// Something was refused during a run.
    Denied {
        run: RunKey,
        denial: DenialNote,
        /// The path that was to be written, relative to the workspace or absolute outside it.
        path: Option<String>,
    },
    /// The gateway settled a request.
    Metered {
        run: RunKey,
        spent: Spent,
        estimated: bool,
        /// Number of the hold this lets go of, where the request was [`Meanwhile::Held`].
        #[serde(default, skip_serializing_if = "Option::is_none")]
        request: Option<u64>,
    },
    /// Nobody waits for a request's answer any more, which the provider still owes: it may cost so much.
    Held { run: RunKey, hold: Hold },
    /// The deadline of a parked task passed.
    DeadlinePassed,
    /// What is owed waits for something outside: it goes on by itself once that has changed.
    Delayed { reason: String, remedy: Advice },
}

/// Why a run could not start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StartFailure {
    pub reason: String,
    pub remedy: Advice,
    /// True when a later try may work without anybody acting (a busy engine, a full disk).
    pub transient: bool,
}
