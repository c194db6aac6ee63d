//! All facts of one change as rules take them: made once for a judgement, out of the host's own, and lent to each rule. No text is copied.

use super::wit::rule as wit;
use crate::text::clip;
use borg_core::{check::harness::Overlaid, collect, facts as core, survey};

/// The facts of a change, for any number of rules.
pub struct Facts {
    change: wit::Change,
}

impl Facts {
    pub fn new(change: core::Change) -> Facts {
        let core::Change { files, commits, evidence, incomplete } = change;
        Facts {
            change: wit::Change {
                files: all(files),
                commits: all(commits),
                evidence: all(evidence),
                incomplete,
                extra: vec![],
            },
        }
    }

    pub(crate) fn change(&self) -> &wit::Change {
        &self.change
    }
}

fn all<From, To: std::convert::From<From>>(list: Vec<From>) -> Vec<To> {
    list.into_iter().map(To::from).collect()
}

impl From<core::ChangedFile> for wit::ChangedFile {
    fn from(file: core::ChangedFile) -> Self {
        wit::ChangedFile {
            path: file.path,
            old_path: file.old_path,
            status: match file.status {
                core::FileStatus::Added => wit::FileStatus::Added,
                core::FileStatus::Modified => wit::FileStatus::Modified,
                core::FileStatus::Deleted => wit::FileStatus::Deleted,
                core::FileStatus::Renamed => wit::FileStatus::Renamed,
                core::FileStatus::TypeChanged => wit::FileStatus::TypeChanged,
            },
            class: file.class.into(),
            mode: match file.mode {
                core::FileMode::Regular => wit::FileMode::Regular,
                core::FileMode::Executable => wit::FileMode::Executable,
                core::FileMode::Symlink => wit::FileMode::Symlink,
                core::FileMode::Submodule => wit::FileMode::Submodule,
            },
            binary: file.binary,
            hunks: all(file.hunks),
            base_text: file.base_text,
            head_text: file.head_text,
            marks: wit::Marks {
                test_keys: file.marks.test_keys,
                same_as: file.marks.same_as,
                runs: file.marks.runs.map(|(runs, who)| match runs {
                    survey::Runs::ByItself => wit::Runs::ByItself(who),
                    survey::Runs::WhenStarted => wit::Runs::WhenStarted(who),
                }),
                was: file.marks.was.map(wit::FileClass::from),
                hidden: file.marks.hidden.map(|hidden| wit::Hidden { line: hidden.line, what: hidden.words }),
                collides_with: file.collides,
            },
            extra: vec![],
        }
    }
}

impl From<core::FileClass> for wit::FileClass {
    fn from(class: core::FileClass) -> Self {
        match class {
            core::FileClass::Source => wit::FileClass::Source,
            core::FileClass::Test => wit::FileClass::Test,
            core::FileClass::Fixture => wit::FileClass::Fixture,
            core::FileClass::Snapshot => wit::FileClass::Snapshot,
            core::FileClass::Ci => wit::FileClass::Ci,
            core::FileClass::Build => wit::FileClass::Build,
            core::FileClass::Lint => wit::FileClass::Lint,
            core::FileClass::Coverage => wit::FileClass::Coverage,
            core::FileClass::Ownership => wit::FileClass::Ownership,
            core::FileClass::Docs => wit::FileClass::Docs,
            core::FileClass::Other => wit::FileClass::Other,
        }
    }
}

impl From<core::Hunk> for wit::Hunk {
    fn from(hunk: core::Hunk) -> Self {
        wit::Hunk { old_start: hunk.old_start, new_start: hunk.new_start, text: hunk.text }
    }
}

impl From<core::StageCommit> for wit::StageCommit {
    fn from(commit: core::StageCommit) -> Self {
        wit::StageCommit {
            stage: commit.stage,
            persona: commit.persona,
            write: commit.write,
            protected: commit.protected,
            paths: commit.paths,
            left_behind: all(commit.left_behind),
            refused: commit.refused,
            extra: vec![],
        }
    }
}

impl From<collect::LeftBehind> for wit::LeftBehind {
    fn from(left: collect::LeftBehind) -> Self {
        use collect::LeftReason;
        wit::LeftBehind {
            path: left.path,
            reason: match left.reason {
                LeftReason::NotGranted => wit::LeftReason::NotGranted,
                LeftReason::Pinned => wit::LeftReason::Pinned,
                LeftReason::Protected => wit::LeftReason::Protected,
                LeftReason::GitLookalike => wit::LeftReason::GitLookalike,
                LeftReason::NotAFile => wit::LeftReason::NotAFile,
                LeftReason::Unreadable => wit::LeftReason::Unreadable,
                LeftReason::OverLimit => wit::LeftReason::OverLimit,
                LeftReason::BadName => wit::LeftReason::BadName,
            },
        }
    }
}

impl From<core::TestEvidence> for wit::TestEvidence {
    fn from(evidence: core::TestEvidence) -> Self {
        wit::TestEvidence {
            stage: evidence.stage,
            outcome: evidence.outcome.into(),
            passed: evidence.passed,
            failed: evidence.failed,
            skipped: evidence.skipped,
            other: evidence.other.map(|other| wit::OtherRun::from(*other)),
            overlaid: evidence.overlaid.into_iter().map(|Overlaid { path, .. }| path).collect(),
            extra: vec![],
        }
    }
}

impl From<core::OtherRun> for wit::OtherRun {
    fn from(other: core::OtherRun) -> Self {
        wit::OtherRun {
            harness: match other.harness {
                core::HarnessOf::Base => wit::Harness::Base,
                core::HarnessOf::Change => wit::Harness::Change,
            },
            outcome: other.outcome.into(),
            met: other.met,
            reason: clip(other.reason),
            passed: other.passed,
            failed: other.failed,
            skipped: other.skipped,
        }
    }
}

impl From<core::CheckOutcome> for wit::CheckOutcome {
    fn from(outcome: core::CheckOutcome) -> Self {
        match outcome {
            core::CheckOutcome::Red => wit::CheckOutcome::Red,
            core::CheckOutcome::BuildRed => wit::CheckOutcome::BuildRed,
            core::CheckOutcome::Green => wit::CheckOutcome::Green,
            core::CheckOutcome::CheckError => wit::CheckOutcome::CheckError,
            core::CheckOutcome::NotRun => wit::CheckOutcome::NotRun,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{super::v0_1::rule::Parts, *};
    use crate::limits::MAX_TEXT_BYTES;

    #[test]
    fn what_a_run_says_of_itself_is_cut() {
        let reason = "x".repeat(MAX_TEXT_BYTES + 1);
        let other = core::OtherRun {
            harness: core::HarnessOf::Base,
            outcome: core::CheckOutcome::Red,
            met: false,
            reason,
            passed: vec![],
            failed: vec![],
            skipped: vec![],
        };
        assert!(wit::OtherRun::from(other).reason.ends_with("… (1 more bytes were cut)"));
    }

    /// Texts of a change may be tens of megabytes, and a judgement has many rules.
    #[test]
    fn texts_are_where_they_were_whoever_judges() {
        let text = "x".repeat(1 << 20);
        let at = text.as_ptr();
        let file = core::ChangedFile {
            path: "src/a.rs".into(),
            old_path: None,
            status: core::FileStatus::Added,
            class: core::FileClass::Source,
            mode: core::FileMode::Regular,
            binary: false,
            hunks: vec![core::Hunk { old_start: 0, new_start: 1, text: "+y".into() }],
            base_text: None,
            head_text: Some(text),
            collides: None,
            marks: core::Marks::default(),
        };
        let hunk = file.hunks[0].text.as_ptr();
        let facts = Facts::new(core::Change { files: vec![file], ..core::Change::default() });
        let lent = |facts: &Facts| {
            let file = &facts.change().files[0];
            (file.head_text.as_deref().map(str::as_ptr), file.hunks[0].text.as_ptr())
        };
        assert_eq!([lent(&facts), lent(&facts)], [(Some(at), hunk); 2]);
        let older = [Parts::of(facts.change()), Parts::of(facts.change())];
        assert_eq!(older.map(|parts| parts.places()), [(Some(at), hunk); 2]);
    }
}
