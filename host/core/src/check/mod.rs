//! What a run of the test command meant. Pure: running it is the sandbox's part, ordering the runs is `step`'s.
//!
//! A runner's output is a claim of the code under test; the exit status is the kernel's word. [`parse`] turns output into a
//! [`Report`] of test ids, [`judge`] holds the claim against the baseline.

mod go;
pub mod harness;
mod inventory;
mod judge;
mod junit;
mod libtest;
mod node;
mod pair;
mod pytest;
mod python;
mod runner;
mod unittest;

pub use inventory::{demands, removed_ids, test_names};
pub use judge::{Expect, Judgement, Question, Run, judge};
pub use pair::Both;
pub use runner::{Runner, detect, sniff};

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
    fn doubt(&mut self, why: impl Into<String>) {
        self.doubt.get_or_insert_with(|| why.into());
    }

    /// Sorts, removes repetitions, and lets the worse word win where an id was reported twice.
    fn settle(&mut self) {
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

/// Reads the output of a test command.
///
/// `command` is the configured one, which may hide the runner (`make test`); then the output tells. `junit` is the JUnit file
/// the run was asked for by [`Runner::environment`], if it wrote one.
pub fn parse(command: &str, output: &str, junit: Option<&str>) -> Report {
    let Some(runner) = detect(command).or_else(|| sniff(output)) else { return Report::default() };
    let output = &strip_ansi(output);
    let mut report = match runner {
        Runner::Unittest => unittest::read(output),
        Runner::Pytest => pytest::read(output),
        Runner::Cargo => libtest::read(output),
        Runner::Nextest => libtest::read_nextest(output),
        Runner::Node => node::read(output),
        Runner::Go => go::read(output),
    };
    // Only pytest was asked for such a file: beside another runner it is the tested code that wrote it.
    if runner == Runner::Pytest
        && let Some(listed) = junit.and_then(|junit| junit::read(junit).ok())
    {
        pytest::hold_against(&mut report, listed);
    }
    report.runner = Some(runner);
    report.settle();
    report
}

/// Takes colours, titles and cursor movements out, so that a terminal-minded runner reads like a plain one.
///
/// A sequence (ECMA-48) that is not closed as it should be takes nothing with it.
fn strip_ansi(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\u{1b}', '\r']) {
        out.push_str(&rest[..at]);
        rest = rest[at..].strip_prefix('\r').unwrap_or_else(|| after_escape(&rest[at + 1..]));
    }
    out.push_str(rest);
    out
}

/// What follows an escape sequence, given what follows its first character.
fn after_escape(rest: &str) -> &str {
    if let Some(body) = rest.strip_prefix('[') {
        let end = body.find(|char: char| !(' '..='?').contains(&char)).unwrap_or(body.len());
        return body[end..].strip_prefix(|char: char| ('@'..='~').contains(&char)).unwrap_or(body);
    }
    if let Some(body) = rest.strip_prefix(']') {
        let end = body.find(['\u{7}', '\u{1b}', '\n']).unwrap_or(body.len());
        return body[end..].strip_prefix('\u{7}').or_else(|| body[end..].strip_prefix("\u{1b}\\")).unwrap_or(body);
    }
    rest
}

#[cfg(test)]
mod tests;
