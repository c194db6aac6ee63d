//! Rule `scope`: who wrote what, and whether they may. What a change does to tests is the rule `test-integrity`'s.

mod glob;
mod lookalike;
mod marked;
mod spelling;

use borg_sdk::rule::{
    Change, ChangedFile, FileClass, FileMode, FileStatus, Finding, LeftBehind, LeftReason, Rule, RuleInfo, Severity,
    StageCommit,
};
use std::collections::BTreeMap;

pub struct Scope;

const FINDINGS: &[&str] = &[
    "outside-grant",
    "protected-touched",
    "left-behind",
    "refused-write",
    "tests-changed-after-hand-off",
    "ci-touched",
    "ownership-touched",
    "test-keys-changed",
    "git-look-alike",
    "link-escapes",
    "submodule-changed",
    "runs-by-itself",
    "runs-in-a-build",
    "hidden-characters",
    "name-collision",
];

impl Rule for Scope {
    fn describe() -> RuleInfo {
        RuleInfo::new("scope", "finds paths that a persona may not write, and things left behind", FINDINGS)
    }

    fn judge(_settings: &str, change: Change) -> Result<Vec<Finding>, String> {
        let mut findings = Vec::new();
        for commit in &change.commits {
            granted(commit, &mut findings);
            left_behind(commit, &mut findings);
            refused(commit, &mut findings);
        }
        handed_off(&change, &mut findings);
        for file in &change.files {
            steering(file, &mut findings);
            special(file, &mut findings);
            marked::judge(file, &mut findings);
        }
        Ok(findings)
    }
}

borg_sdk::rule!(Scope);

/// Paths of a commit against its grant. Collection refuses these already; a finding here means that it failed to.
fn granted(commit: &StageCommit, findings: &mut Vec<Finding>) {
    for path in &commit.paths {
        let who = &commit.persona;
        if lookalike::is_git(path) {
            let message = format!("{who} committed {path}, which some systems take for a Git directory: remove it");
            findings.push(Finding::new("git-look-alike", Severity::Critical, 95, message).at_head(path, 1, 1));
        } else if is_protected(commit, path) {
            let message = format!("{who} changed {path}, which was protected in stage {}: restore it", commit.stage);
            findings.push(Finding::new("protected-touched", Severity::Critical, 95, message).at_head(path, 1, 1));
        } else if !glob::any(&commit.write, path) {
            let message = format!(
                "{who} changed {path}, which its grant in stage {} does not cover: revert it or widen the grant",
                commit.stage
            );
            findings.push(Finding::new("outside-grant", Severity::Critical, 90, message).at_head(path, 1, 1));
        }
    }
}

/// Protection holds in every spelling of a path; a grant does not.
fn is_protected(commit: &StageCommit, path: &str) -> bool {
    commit.protected.iter().any(|pattern| glob::forbids(pattern, path))
}

/// What was written and not taken, and why.
fn left_behind(commit: &StageCommit, findings: &mut Vec<Finding>) {
    let (who, stage) = (&commit.persona, &commit.stage);
    for LeftBehind { path, reason } in &commit.left_behind {
        let unusable = |why: &str| {
            let message =
                format!("{path}, written by {who} in stage {stage}, was left behind because {why}: look at it");
            (Severity::Major, 50, message)
        };
        let (severity, confidence, message) = match reason {
            LeftReason::GitLookalike => (
                Severity::Critical,
                85,
                format!(
                    "{who} made {path}, which looks like a Git directory, in stage {stage}; it was left behind: find out why"
                ),
            ),
            LeftReason::Protected | LeftReason::Pinned => (
                Severity::Major,
                75,
                format!(
                    "{who} tried to change {path}, which is protected in stage {stage}; it was left behind: check what it was after"
                ),
            ),
            LeftReason::NotGranted if path.starts_with("/out/") => (
                Severity::Minor,
                60,
                format!(
                    "{who} wrote {path}, which stage {stage} does not hand on; it was left behind: name it in `produces` if it should"
                ),
            ),
            LeftReason::NotGranted => (
                Severity::Minor,
                60,
                format!("{who} wrote {path}, which its grant in stage {stage} does not cover; it was left behind"),
            ),
            LeftReason::NotAFile => unusable("it is no plain file"),
            LeftReason::Unreadable => unusable("its own mode forbids reading it"),
            LeftReason::OverLimit => unusable("it is over a limit of size or count"),
            LeftReason::BadName => unusable("its name cannot be kept"),
        };
        findings.push(Finding::new("left-behind", severity, confidence, message).at_head(path, 1, 1));
    }
}

/// What was tried and did not work: the sandbox or the agent's own permissions said no.
fn refused(commit: &StageCommit, findings: &mut Vec<Finding>) {
    for path in &commit.refused {
        let (who, stage) = (&commit.persona, &commit.stage);
        let (severity, confidence, message) = if is_protected(commit, path) {
            let message = format!(
                "{who} tried to write {path}, which is protected in stage {stage}, and was refused: check what it was after"
            );
            (Severity::Major, 60, message)
        } else {
            (
                Severity::Minor,
                50,
                format!(
                    "{who} tried to write {path}, which its grant in stage {stage} does not cover, and was refused"
                ),
            )
        };
        findings.push(Finding::new("refused-write", severity, confidence, message).at_head(path, 1, 1));
    }
}

/// Test files that a later stage of another persona touched.
fn handed_off(change: &Change, findings: &mut Vec<Finding>) {
    let tests: Vec<&str> = change
        .files
        .iter()
        .filter(|file| file.class == FileClass::Test)
        .flat_map(|file| [Some(file.path.as_str()), file.old_path.as_deref()])
        .flatten()
        .collect();
    let mut owner: BTreeMap<&str, &StageCommit> = BTreeMap::new();
    for commit in &change.commits {
        for path in &commit.paths {
            match owner.get(path.as_str()) {
                Some(first)
                    if first.persona != commit.persona && (tests.contains(&path.as_str()) || looks_like_test(path)) =>
                {
                    let message = format!(
                        "{} changed {path}, a test that {} had handed off in stage {}: restore it, or have it handed off again",
                        commit.persona, first.persona, first.stage
                    );
                    findings.push(
                        Finding::new("tests-changed-after-hand-off", Severity::Critical, 85, message)
                            .at_head(path, 1, 1),
                    );
                }
                Some(_) => {}
                None => {
                    owner.insert(path, commit);
                }
            }
        }
    }
}

/// A test by its path, for those that are gone at the head and so have no facts of their own.
fn looks_like_test(path: &str) -> bool {
    ["**/tests/**", "**/test/**", "**/test_*.py", "**/*_test.*", "**/*.test.*", "**/*.spec.*", "**/__tests__/**"]
        .iter()
        .any(|pattern| glob::matches(pattern, path))
}

/// Files that decide what runs in somebody's CI, who reviews, and what a test run is.
fn steering(file: &ChangedFile, findings: &mut Vec<Finding>) {
    let path = &file.path;
    if let Some(was) = file.marks.was {
        let old = file.old_path.as_deref().unwrap_or(path);
        let (id, what) = match was {
            FileClass::Ci => ("ci-touched", "what CI runs"),
            _ => ("ownership-touched", "who reviews, or how Git treats files"),
        };
        let message = format!("{old}, which decides {what}, became {path}: a person must read this change");
        findings.push(Finding::new(id, Severity::Major, 70, message).at_base(old, 1, 1).at_head(path, 1, 1));
    }
    let same = file.marks.same_as.as_ref().map(|same| format!(", on some systems the same as {same},"));
    let same = same.unwrap_or_default();
    match file.class {
        FileClass::Ci => {
            let message = format!("{path}{same} decides what CI runs: a person must read this change");
            findings.push(Finding::new("ci-touched", Severity::Major, 70, message).at_head(path, 1, 1));
        }
        FileClass::Ownership => {
            let message =
                format!("{path}{same} decides who reviews, or how Git treats files: a person must read this change");
            findings.push(Finding::new("ownership-touched", Severity::Major, 70, message).at_head(path, 1, 1));
        }
        FileClass::Build => {
            // A new manifest steers nothing that was there before.
            if let Some(keys) = file.marks.test_keys.as_ref().filter(|_| file.status != FileStatus::Added) {
                let message = format!("{path} changes how tests are run ({keys}): confirm that the task asks for that");
                findings.push(
                    Finding::new("test-keys-changed", Severity::Major, 50, message)
                        .at_base(path, 1, 1)
                        .at_head(path, 1, 1),
                );
            }
        }
        FileClass::Source
        | FileClass::Test
        | FileClass::Fixture
        | FileClass::Snapshot
        | FileClass::Lint
        | FileClass::Coverage
        | FileClass::Docs
        | FileClass::Other => {}
    }
}

fn special(file: &ChangedFile, findings: &mut Vec<Finding>) {
    if file.status == FileStatus::Deleted {
        return;
    }
    let path = &file.path;
    if lookalike::is_git(path) {
        let message = format!("{path} is taken for a Git directory by some systems: remove it");
        findings.push(Finding::new("git-look-alike", Severity::Critical, 95, message).at_head(path, 1, 1));
    }
    match file.mode {
        FileMode::Submodule => {
            let message =
                format!("{path} points to a commit of another repository: a person must look at what it brings in");
            findings.push(Finding::new("submodule-changed", Severity::Major, 60, message).at_head(path, 1, 1));
        }
        FileMode::Symlink => {
            let added =
                file.hunks.iter().flat_map(|hunk| hunk.text.split('\n')).filter_map(|line| line.strip_prefix('+'));
            let target = added.collect::<Vec<_>>().join("\n");
            if target.is_empty() || escapes(path, &target) {
                let target = if target.is_empty() { "an unknown target" } else { &target };
                let message = format!(
                    "{path} is a link to {target}, which lies outside the repository or may: remove it, or name what is meant \
                     without going back up"
                );
                findings.push(Finding::new("link-escapes", Severity::Major, 80, message).at_head(path, 1, 1));
            }
        }
        FileMode::Regular | FileMode::Executable => {}
    }
}

/// True when a link at `path` leads out of the tree, or may: what is named on the way can be a link itself, in this change or the tree, and
/// `..` behind it then goes up from wherever that one leads.
fn escapes(path: &str, target: &str) -> bool {
    let mut depth = path.matches('/').count();
    let mut is_named = false;
    if target.starts_with('/') || target.contains('\\') {
        return true;
    }
    for component in target.split('/') {
        match component {
            "" | "." => {}
            ".." if is_named || depth == 0 => return true,
            ".." => depth -= 1,
            _ => is_named = true,
        }
    }
    false
}

#[cfg(test)]
mod tests;
