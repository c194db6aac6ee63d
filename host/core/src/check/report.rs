//! What a runner claims: tests by id, and what kept them from running.

use super::runner::Runner;
use serde::{Deserialize, Serialize};

/// Tests by id, as a runner reported them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Report {
    /// None when no runner was recognised.
    pub runner: Option<Runner>,
    pub passed: Vec<String>,
    pub failed: Vec<String>,
    /// Skipped, ignored, to do, or failed as expected.
    pub skipped: Vec<String>,
    /// Tests that broke outside their assertions.
    pub errored: Vec<String>,
    /// What kept tests from running at all: errors of build, import or collection.
    pub faults: Vec<Fault>,
    /// The runner printed its closing summary. Where its counts and the ids disagree, there is a `doubt`.
    pub complete: bool,
    /// Passed tests are listed by id (many runners list only failures unless asked).
    pub lists_passed: bool,
    /// The runner said that there was nothing to run.
    pub no_tests: bool,
    /// How often the runner closed: summaries, or how often one and the same package or binary was closed.
    #[serde(skip_serializing_if = "is_default")]
    pub sessions: u32,
    /// Tests that passed by the summaries' own count, where the runner counts them.
    #[serde(skip_serializing_if = "is_default")]
    pub counted: Option<u64>,
    /// The report file the runner was asked for was there.
    #[serde(skip_serializing_if = "is_default")]
    pub filed: bool,
    /// The first contradiction within the output. Such a report is never green.
    #[serde(skip_serializing_if = "is_default")]
    pub doubt: Option<String>,
}

impl Report {
    /// All ids, whatever became of them.
    pub fn ids(&self) -> impl Iterator<Item = &String> {
        self.passed.iter().chain(&self.failed).chain(&self.skipped).chain(&self.errored)
    }

    /// True when an absent id means an absent test.
    pub fn ids_known(&self) -> bool {
        self.lists_passed && self.ids().next().is_some()
    }

    /// Notes a contradiction, unless there is one already.
    pub(super) fn doubt(&mut self, why: impl Into<String>) {
        self.doubt.get_or_insert_with(|| why.into());
    }

    /// Sorts, removes repetitions, and lets the worse word win where an id was reported twice.
    pub(super) fn settle(&mut self) {
        for list in [&mut self.passed, &mut self.failed, &mut self.skipped, &mut self.errored] {
            list.sort();
            list.dedup();
        }
        let has = |list: &[String], id: &String| list.binary_search(id).is_ok();
        self.errored.retain(|id| !has(&self.failed, id));
        self.skipped.retain(|id| !has(&self.failed, id) && !has(&self.errored, id));
        self.passed.retain(|id| !has(&self.failed, id) && !has(&self.errored, id) && !has(&self.skipped, id));
    }
}

/// Events of earlier versions lack what nothing was known of; so do those of today.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An error that kept tests from being built, imported or collected.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// File in which it lies, as the runner wrote it (absolute, or relative to some folder).
    pub path: String,
    pub message: String,
    /// The file itself is no valid code, so nothing written elsewhere can mend it.
    pub syntax: bool,
}
