//! Commits and files that overstep, and those that only look so.

use super::*;
use borg_sdk::rule::{Hidden, Hunk, Marks, Runs};

fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|item| item.to_string()).collect()
}

fn commit(persona: &str, write: &[&str], protected: &[&str], paths: &[&str]) -> StageCommit {
    StageCommit {
        stage: persona.to_owned(),
        persona: persona.to_owned(),
        write: strings(write),
        protected: strings(protected),
        paths: strings(paths),
        ..StageCommit::default()
    }
}

/// A worker that may write everything, and wrote what was not taken.
fn leaving(path: &str, reason: LeftReason) -> StageCommit {
    let left_behind = vec![LeftBehind { path: path.to_owned(), reason }];
    StageCommit { left_behind, ..commit("worker", &["**"], &[], &[]) }
}

fn file(path: &str, class: FileClass, mode: FileMode, text: &str) -> ChangedFile {
    ChangedFile {
        path: path.to_owned(),
        old_path: None,
        status: FileStatus::Modified,
        class,
        mode,
        binary: false,
        hunks: vec![Hunk { old_start: 0, new_start: 1, text: text.to_owned() }],
        base_text: None,
        head_text: None,
        marks: Marks::default(),
        extra: Vec::new(),
    }
}

fn ids(commits: Vec<StageCommit>, files: Vec<ChangedFile>) -> Vec<String> {
    let change = Change { commits, files, ..Change::default() };
    Scope::judge("", change).unwrap().into_iter().map(|finding| finding.id).collect()
}

#[test]
fn paths_are_held_against_the_grant() {
    for (commit, expected) in [
        (commit("worker", &["**"], &[], &["src/a.py"]), vec![]),
        (commit("manager", &[], &[], &["src/a.py"]), vec!["outside-grant"]),
        (commit("qa", &["tests/**"], &[], &["tests/test_a.py", "tests-evil/a.py"]), vec!["outside-grant"]),
        (commit("worker", &["**"], &["tests/test_a.py"], &["tests/test_a.py"]), vec!["protected-touched"]),
        (commit("worker", &["**"], &[], &["a/.GIT/config"]), vec!["git-look-alike"]),
        (leaving("notes.md", LeftReason::NotGranted), vec!["left-behind"]),
        (leaving("tests/test_a.py", LeftReason::Pinned), vec!["left-behind"]),
        (leaving("pipe", LeftReason::NotAFile), vec!["left-behind"]),
    ] {
        assert_eq!(ids(vec![commit.clone()], Vec::new()), expected, "{commit:?}");
    }
}

#[test]
fn the_reason_collection_gave_is_the_one_that_is_told() {
    for (path, reason, severity, says) in [
        ("/out/notes.md", LeftReason::NotGranted, Severity::Minor, "stage worker does not hand on"),
        ("notes.md", LeftReason::NotGranted, Severity::Minor, "its grant in stage worker does not cover"),
        ("/out/pipe", LeftReason::NotAFile, Severity::Major, "because it is no plain file"),
        ("src/secret", LeftReason::Unreadable, Severity::Major, "because its own mode forbids reading it"),
        ("/out/", LeftReason::OverLimit, Severity::Major, "because it is over a limit of size or count"),
        ("src/a b", LeftReason::BadName, Severity::Major, "because its name cannot be kept"),
        ("src/t.py", LeftReason::Pinned, Severity::Major, "which is protected"),
        (".github/x", LeftReason::Protected, Severity::Major, "which is protected"),
        ("src/x/.git/", LeftReason::GitLookalike, Severity::Critical, "looks like a Git directory"),
    ] {
        let findings = Scope::judge("", Change { commits: vec![leaving(path, reason)], ..Change::default() }).unwrap();
        let said: Vec<(Severity, bool)> =
            findings.iter().map(|finding| (finding.severity, finding.message.contains(says))).collect();
        assert_eq!(said, [(severity, true)], "{path} {reason:?}: {}", findings[0].message);
    }
}

#[test]
fn refused_writes_are_told() {
    let mut worker = commit("worker", &["src/**"], &["tests/test_a.py"], &[]);
    worker.refused = strings(&["tests/test_a.py", "notes.md"]);
    let findings = Scope::judge("", Change { commits: vec![worker], ..Change::default() }).unwrap();
    let said: Vec<(&str, Severity)> = findings.iter().map(|finding| (finding.id.as_str(), finding.severity)).collect();
    assert_eq!(said, [("refused-write", Severity::Major), ("refused-write", Severity::Minor)]);
}

#[test]
fn tests_are_not_changed_after_hand_off() {
    let qa = commit("qa", &["tests/**"], &[], &["tests/test_a.py"]);
    let worker = commit("worker", &["**"], &[], &["src/a.py", "tests/test_a.py"]);
    assert_eq!(ids(vec![qa.clone(), worker], Vec::new()), ["tests-changed-after-hand-off"]);
    let again = commit("qa", &["tests/**"], &[], &["tests/test_a.py"]);
    assert_eq!(ids(vec![qa.clone(), again], Vec::new()), Vec::<String>::new());
    let docs = commit("worker", &["**"], &[], &["tests/test_b.py"]);
    assert_eq!(ids(vec![qa, docs], Vec::new()), Vec::<String>::new());
}

#[test]
fn steering_and_special_files_are_shown_to_a_person() {
    for (file, expected) in [
        (file(".github/workflows/ci.yml", FileClass::Ci, FileMode::Regular, ""), vec!["ci-touched"]),
        (file("CODEOWNERS", FileClass::Ownership, FileMode::Regular, ""), vec!["ownership-touched"]),
        (file("vendor/x", FileClass::Other, FileMode::Submodule, ""), vec!["submodule-changed"]),
        (file("a/link", FileClass::Other, FileMode::Symlink, "+../b"), vec![]),
        (file("a/link", FileClass::Other, FileMode::Symlink, "+../../b"), vec!["link-escapes"]),
        (file("link", FileClass::Other, FileMode::Symlink, "+/etc/passwd"), vec!["link-escapes"]),
        (file("a/link", FileClass::Other, FileMode::Symlink, "+../b/./c"), vec![]),
        // `b` may be a link to a folder far down.
        (file("link", FileClass::Other, FileMode::Symlink, "+b/../../etc"), vec!["link-escapes"]),
        (file("a/link", FileClass::Other, FileMode::Symlink, "+../b/../c"), vec!["link-escapes"]),
        (file("link", FileClass::Other, FileMode::Symlink, "+b\n+/../../etc"), vec!["link-escapes"]),
        (file("src/a.rs", FileClass::Source, FileMode::Regular, "+x"), vec![]),
    ] {
        assert_eq!(ids(Vec::new(), vec![file.clone()]), expected, "{}", file.path);
    }
    let mut package = file("package.json", FileClass::Build, FileMode::Regular, "");
    assert!(ids(Vec::new(), vec![package.clone()]).is_empty());
    package.marks.test_keys = Some("`scripts.test` changed".into());
    assert_eq!(ids(Vec::new(), vec![package.clone()]), ["test-keys-changed"]);
    package.status = FileStatus::Added;
    assert!(ids(Vec::new(), vec![package]).is_empty());
}

#[test]
fn marks_of_the_survey_become_findings_of_their_weight() {
    let marked = |class, marks: &Marks| {
        let mut file = file("x/.envrc", class, FileMode::Regular, "+x");
        file.marks = marks.clone();
        let change = Change { files: vec![file], ..Change::default() };
        let findings = Scope::judge("", change).unwrap();
        findings.into_iter().map(|found| (found.id, found.severity, found.message)).collect::<Vec<_>>()
    };
    let runs = |runs| Marks { runs: Some(runs), ..Marks::default() };
    let was = |class| Marks { was: Some(class), ..Marks::default() };
    let hidden = Marks { hidden: Some(Hidden { line: 7, what: "NUL bytes".into() }), ..Marks::default() };
    let collides = Marks { collides_with: Some("X/.envrc".into()), ..Marks::default() };
    let (alone, started) = (Runs::ByItself("the shell runs it".into()), Runs::WhenStarted("make runs it".into()));
    for (marks, id, severity, says) in [
        (&runs(alone), "runs-by-itself", Severity::Major, "(the shell runs it)"),
        (&runs(started), "runs-in-a-build", Severity::Note, "(make runs it)"),
        (&hidden, "hidden-characters", Severity::Major, "NUL bytes from line 7 on"),
        (&collides, "name-collision", Severity::Major, "X/.envrc"),
        (&was(FileClass::Ci), "ci-touched", Severity::Major, "became x/.envrc"),
        (&was(FileClass::Ownership), "ownership-touched", Severity::Major, "became x/.envrc"),
    ] {
        let found = marked(FileClass::Other, marks);
        assert_eq!(found.len(), 1, "{marks:?} {found:?}");
        assert_eq!((found[0].0.as_str(), found[0].1), (id, severity), "{marks:?}");
        assert!(found[0].2.contains(says), "{}", found[0].2);
        assert!(Scope::describe().findings.contains(&found[0].0));
    }
    let same = Marks { same_as: Some(".github/x".into()), ..runs(Runs::ByItself("CI runs it".into())) };
    let found = marked(FileClass::Ci, &same);
    assert_eq!(found.len(), 1, "one finding for one cause: {found:?}");
    assert!(found[0].2.contains("the same as .github/x"), "{}", found[0].2);
    assert!(marked(FileClass::Other, &Marks::default()).is_empty());
}

#[test]
fn protection_is_read_forgivingly_and_a_grant_is_not() {
    for (path, expected) in [
        ("tests/test_a.py", "protected-touched"),
        ("Tests/TEST_A.py", "protected-touched"),
        ("tests/test_a.py.", "protected-touched"),
        ("tests", "protected-touched"),
        ("Src/a.py", "outside-grant"),
    ] {
        let commit = commit("worker", &["src/**", "tests/**"], &["tests/test_a.py"], &[path]);
        assert_eq!(ids(vec![commit], Vec::new()), [expected], "{path}");
    }
}

#[test]
fn every_finding_is_described() {
    let described = Scope::describe().findings;
    for id in ids(
        vec![commit("m", &[], &["p"], &["a", "p", ".git"]), leaving("x", LeftReason::NotGranted)],
        vec![file("l", FileClass::Ci, FileMode::Symlink, "+/a")],
    ) {
        assert!(described.contains(&id), "{id}");
    }
}
