//! What is known of a task's work and tests: much, and the same from one event to the next but for a few. So a journal can keep it apart.

use super::Task;
use crate::{
    evidence::CheckRun,
    facts::{StageCommit, TestEvidence},
    id::RunKey,
    record::StageRecord,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// The fields of a [`Task`] that grow with its repository and its stages, by their names there.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Facts {
    pub baseline: Option<CheckRun>,
    pub records: Vec<StageRecord>,
    pub evidence: Vec<TestEvidence>,
    pub required: Vec<String>,
    pub required_names: Vec<String>,
    pub tried: Vec<StageCommit>,
    pub timed: BTreeSet<RunKey>,
}

impl Task {
    /// Takes the facts out; what is left is a task that knows none.
    pub fn take_facts(&mut self) -> Facts {
        Facts {
            baseline: self.baseline.take(),
            records: std::mem::take(&mut self.records),
            evidence: std::mem::take(&mut self.evidence),
            required: std::mem::take(&mut self.required),
            required_names: std::mem::take(&mut self.required_names),
            tried: std::mem::take(&mut self.tried),
            timed: std::mem::take(&mut self.timed),
        }
    }

    /// Puts facts in, in place of any that are there.
    pub fn put_facts(&mut self, facts: Facts) {
        let Facts { baseline, records, evidence, required, required_names, tried, timed } = facts;
        self.baseline = baseline;
        self.records = records;
        self.evidence = evidence;
        self.required = required;
        self.required_names = required_names;
        self.tried = tried;
        self.timed = timed;
    }
}
