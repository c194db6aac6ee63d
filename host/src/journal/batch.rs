//! What goes into the journal together, and what a new process finds there.

use super::LedgerRow;
use borg_core::{
    budget::Hold,
    effect::Effect,
    event::{Body, Event},
    id::{Digest, EffectKey, RunKey, TaskId},
    policy::source::SourceFile,
    step::{Durable, State},
};

/// Everything that is made durable together: one turn of the engine, as a rule.
#[derive(Debug, Default)]
pub struct Batch {
    /// Appended in this order. One that settles an effect strikes it off.
    pub events: Vec<Event>,
    /// What they changed, as it is after all of them.
    pub durable: Durable,
    /// Effects that are owed from now on, in this order and after those of before.
    pub owed: Vec<Effect>,
    /// Owed effects that mean nothing any more: their owner ended while they were under way.
    pub void: Vec<EffectKey>,
    /// Requests through the gateway. Where they cost something the events tell of it: both or neither.
    pub rows: Vec<LedgerRow>,
    /// What is told of the money of tasks that have ended: their states are in the journal only.
    pub late: Vec<(TaskId, Body)>,
    /// Policy sources to keep, each under its digest.
    pub policies: Vec<(Digest, Vec<SourceFile>)>,
    /// Keys of intents and what each came to, as JSON: one that comes again is answered so, and not done twice. The first reply stays.
    pub replies: Vec<(String, String)>,
    /// True where what was too large was taken out already: now a row may be as large as the journal can hold.
    pub reduced: bool,
}

/// What a new process finds.
#[derive(Debug, Default)]
pub struct Loaded {
    pub state: State,
    /// In the order they were owed.
    pub owed: Vec<Effect>,
    /// What requests may cost that an earlier process never heard the end of.
    pub holds: Vec<(RunKey, Hold)>,
    /// Number of the next task: no task ever had it.
    pub next_task: u64,
    /// Sources of the policies that live tasks name.
    pub policies: Vec<(Digest, Vec<SourceFile>)>,
}
