//! What the host found out beside the fields of then arrived as pairs, and settings within the change.

use crate::world::wit::rule::{
    self as wit, CheckOutcome, FileClass, FileMode, FileStatus, Harness, Hunk, LeftReason, Runs,
};
use wasmtime::component::{ComponentType, Lower};

type Pairs<'a> = Vec<(&'a str, String)>;

/// The parts of a change that were otherwise. Texts stay where they are.
pub(crate) struct Parts<'a> {
    files: Vec<ChangedFile<'a>>,
    commits: Vec<StageCommit<'a>>,
    evidence: Vec<TestEvidence<'a>>,
    incomplete: &'a [String],
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Change<'a> {
    files: &'a [ChangedFile<'a>],
    commits: &'a [StageCommit<'a>],
    evidence: &'a [TestEvidence<'a>],
    incomplete: &'a [String],
    settings: &'a str,
    extra: Pairs<'a>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct ChangedFile<'a> {
    path: &'a str,
    #[component(name = "old-path")]
    old_path: Option<&'a str>,
    status: FileStatus,
    class: FileClass,
    mode: FileMode,
    binary: bool,
    hunks: &'a [Hunk],
    #[component(name = "base-text")]
    base_text: Option<&'a str>,
    #[component(name = "head-text")]
    head_text: Option<&'a str>,
    extra: Pairs<'a>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct StageCommit<'a> {
    stage: &'a str,
    persona: &'a str,
    write: &'a [String],
    protected: &'a [String],
    paths: &'a [String],
    #[component(name = "left-behind")]
    left_behind: Vec<&'a str>,
    extra: Pairs<'a>,
}

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct TestEvidence<'a> {
    stage: &'a str,
    outcome: CheckOutcome,
    passed: &'a [String],
    failed: &'a [String],
    skipped: &'a [String],
    extra: Pairs<'a>,
}

impl<'a> Parts<'a> {
    pub(crate) fn of(change: &'a wit::Change) -> Parts<'a> {
        Parts {
            files: change.files.iter().map(ChangedFile::of).collect(),
            commits: change.commits.iter().map(StageCommit::of).collect(),
            evidence: change.evidence.iter().map(TestEvidence::of).collect(),
            incomplete: &change.incomplete,
        }
    }

    /// The change as one rule takes it.
    pub(crate) fn change(&'a self, settings: &'a str) -> Change<'a> {
        let Parts { files, commits, evidence, incomplete } = self;
        Change { files, commits, evidence, incomplete, settings, extra: Vec::new() }
    }

    /// Where the text at head and the first hunk of the first file lie.
    #[cfg(test)]
    pub(crate) fn places(&self) -> (Option<*const u8>, *const u8) {
        (self.files[0].head_text.map(str::as_ptr), self.files[0].hunks[0].text.as_ptr())
    }
}

impl<'a> ChangedFile<'a> {
    fn of(file: &'a wit::ChangedFile) -> Self {
        ChangedFile {
            path: &file.path,
            old_path: file.old_path.as_deref(),
            status: file.status,
            class: file.class,
            mode: file.mode,
            binary: file.binary,
            hunks: &file.hunks,
            base_text: file.base_text.as_deref(),
            head_text: file.head_text.as_deref(),
            extra: marks(&file.marks),
        }
    }
}

fn marks(marks: &wit::Marks) -> Pairs<'_> {
    let runs = marks.runs.as_ref().map(|runs| match runs {
        Runs::ByItself(who) => ("runs-by-itself", who.clone()),
        Runs::WhenStarted(who) => ("runs-when-started", who.clone()),
    });
    // No other class was told of.
    let was = marks.was.map(|class| if class == FileClass::Ci { "ci" } else { "ownership" });
    let hidden = marks.hidden.as_ref().map(|hidden| format!("{} {}", hidden.line, hidden.what));
    let pairs = [
        marks.test_keys.clone().map(|keys| ("test-keys", keys)),
        marks.same_as.clone().map(|path| ("same-as", path)),
        runs,
        was.map(|class| ("was", class.to_owned())),
        hidden.map(|hidden| ("hidden", hidden)),
        marks.collides_with.clone().map(|path| ("collides-with", path)),
    ];
    pairs.into_iter().flatten().collect()
}

impl<'a> StageCommit<'a> {
    fn of(commit: &'a wit::StageCommit) -> Self {
        let refused = commit.refused.iter().map(|path| ("refused", path.clone()));
        let left = commit.left_behind.iter();
        let reasons = left.clone().map(|left| ("left-behind", format!("{} {}", word(left.reason), left.path)));
        StageCommit {
            stage: &commit.stage,
            persona: &commit.persona,
            write: &commit.write,
            protected: &commit.protected,
            paths: &commit.paths,
            left_behind: left.map(|left| left.path.as_str()).collect(),
            extra: refused.chain(reasons).collect(),
        }
    }
}

fn word(reason: LeftReason) -> &'static str {
    match reason {
        LeftReason::NotGranted => "not-granted",
        LeftReason::Pinned => "pinned",
        LeftReason::Protected => "protected",
        LeftReason::GitLookalike => "git-lookalike",
        LeftReason::NotAFile => "not-a-file",
        LeftReason::Unreadable => "unreadable",
        LeftReason::OverLimit => "over-limit",
        LeftReason::BadName => "bad-name",
    }
}

impl<'a> TestEvidence<'a> {
    fn of(evidence: &'a wit::TestEvidence) -> Self {
        let other = evidence.other.iter().flat_map(other_run);
        let overlaid = evidence.overlaid.iter().map(|path| ("overlaid", path.clone()));
        TestEvidence {
            stage: &evidence.stage,
            outcome: evidence.outcome,
            passed: &evidence.passed,
            failed: &evidence.failed,
            skipped: &evidence.skipped,
            extra: other.chain(overlaid).collect(),
        }
    }
}

/// Whose harness counted, then what the other run meant, then its ids.
fn other_run(other: &wit::OtherRun) -> Pairs<'static> {
    let (counted, meaning, lists) = match other.harness {
        Harness::Base => {
            ("change", "base-harness", ["base-harness-passed", "base-harness-failed", "base-harness-skipped"])
        }
        Harness::Change => {
            ("base", "change-harness", ["change-harness-passed", "change-harness-failed", "change-harness-skipped"])
        }
    };
    let met = if other.met { "met" } else { "not met" };
    let ids = lists.into_iter().zip([&other.passed, &other.failed, &other.skipped]);
    let ids = ids.flat_map(|(list, ids)| ids.iter().map(move |id| (list, id.clone())));
    let told = [("harness", counted.to_owned()), (meaning, format!("{met}: {}", other.reason))];
    told.into_iter().chain(ids).collect()
}
