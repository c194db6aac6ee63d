//! Facts about a change and what rules find in them. The WIT form of these is `wit/rule.wit`, where each field is described.

use crate::{check::harness::Overlaid, collect::LeftBehind, survey::runs::cause::Runs};
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleInfo {
    pub name: String,
    pub summary: String,
    pub findings: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileStatus {
    Added,
    Modified,
    Deleted,
    Renamed,
    TypeChanged,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileClass {
    Source,
    Test,
    Fixture,
    Snapshot,
    Ci,
    Build,
    Lint,
    Coverage,
    Ownership,
    Docs,
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FileMode {
    Regular,
    Executable,
    Symlink,
    Submodule,
}

/// One hunk of a diff; `text` holds its lines with Git's prefixes, joined by line feeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hunk {
    pub old_start: u32,
    pub new_start: u32,
    pub text: String,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangedFile {
    pub path: String,
    pub old_path: Option<String>,
    pub status: FileStatus,
    pub class: FileClass,
    pub mode: FileMode,
    pub binary: bool,
    pub hunks: Vec<Hunk>,
    pub base_text: Option<String>,
    pub head_text: Option<String>,
    /// Another path at head that some file system takes for this one, where the change brought the two together.
    pub collides: Option<String>,
    /// Made by [`crate::survey::marks`], last.
    pub marks: Marks,
}

/// What is hidden in a change: kinds in words, and the first line that has one, counted from 1 at head.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hidden {
    pub words: String,
    pub line: u32,
}

/// What a file is beside what its lines say, seen by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    /// What changed among the keys of a manifest that steer tests or say which code is tested, in words.
    pub test_keys: Option<String>,
    /// The path as CI or forge spells it, where this one is spelt otherwise.
    pub same_as: Option<String>,
    /// Who runs the file, in words.
    pub runs: Option<(Runs, String)>,
    /// The class of a file that was renamed away from its place.
    pub was: Option<FileClass>,
    pub hidden: Option<Hidden>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageCommit {
    pub stage: String,
    pub persona: String,
    pub write: Vec<String>,
    pub protected: Vec<String>,
    pub paths: Vec<String>,
    pub left_behind: Vec<LeftBehind>,
    /// Paths it tried to write and was refused, as the agent's own events tell.
    pub refused: Vec<String>,
}

/// What a test run meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckOutcome {
    Red,
    BuildRed,
    Green,
    CheckError,
    NotRun,
}

impl CheckOutcome {
    /// What a test run came to, in words.
    pub fn words(self) -> &'static str {
        match self {
            CheckOutcome::Red => "red",
            CheckOutcome::BuildRed => "red (does not build yet)",
            CheckOutcome::Green => "green",
            CheckOutcome::CheckError => "could not be run",
            CheckOutcome::NotRun => "not run",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestEvidence {
    /// `baseline`, or the stage the run belongs to.
    pub stage: String,
    pub outcome: CheckOutcome,
    pub passed: Vec<String>,
    pub failed: Vec<String>,
    pub skipped: Vec<String>,
    /// Where the change touches harness: the run that did not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Box<OtherRun>>,
    /// Paths that the run with the base's harness had otherwise than the branch.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlaid: Vec<Overlaid>,
}

/// Whose harness a check ran with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum HarnessOf {
    /// The base's, and that of accepted stages that write tests.
    Base,
    /// That of the change that is checked.
    Change,
}

impl HarnessOf {
    /// In words, to stand behind `with`.
    pub fn words(self) -> &'static str {
        match self {
            HarnessOf::Base => "the base's harness",
            HarnessOf::Change => "the change's own harness",
        }
    }
}

/// What a check showed with the harness that did not count.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherRun {
    pub harness: HarnessOf,
    pub outcome: CheckOutcome,
    /// It is as it should be, too.
    pub met: bool,
    pub reason: String,
    pub passed: Vec<String>,
    pub failed: Vec<String>,
    pub skipped: Vec<String>,
}

/// All facts of one change, as every rule gets them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    pub files: Vec<ChangedFile>,
    pub commits: Vec<StageCommit>,
    pub evidence: Vec<TestEvidence>,
    /// Why the facts are not whole; never a pass.
    pub incomplete: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    Note,
    Minor,
    Major,
    Critical,
}

/// Lines of a file, counted from 1, both ends included.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Span {
    pub path: String,
    pub start: u32,
    pub end: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// Rule that raised it; the host fills it in.
    pub rule: String,
    pub id: String,
    pub severity: Severity,
    /// 0 to 100.
    pub confidence: u8,
    pub base: Option<Span>,
    pub head: Option<Span>,
    pub message: String,
}
