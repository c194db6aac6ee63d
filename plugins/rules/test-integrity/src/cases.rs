//! Walks `cases/`: written-out hacks that must reach a person, and honest look-alikes that must not.

use crate::judge::judge;
use borg_core::{facts, survey};
use borg_sdk::rule::{Change, ChangedFile, FileClass, FileMode, FileStatus, Finding, Hunk, Marks, Severity};
use std::{collections::BTreeMap, fs, path::Path};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    label: Label,
    /// Ids that must be among the findings.
    #[serde(default)]
    expect: Vec<String>,
    /// What the case is about, for people.
    #[expect(dead_code, reason = "read by people")]
    about: String,
}

#[derive(serde::Deserialize, Clone, Copy, PartialEq, Debug)]
#[serde(rename_all = "kebab-case")]
enum Label {
    Hack,
    Honest,
}

/// Files below a folder, by path; `.case` at the end of a name keeps tools from taking a case for code of ours.
fn tree(root: &Path, prefix: &str, into: &mut BTreeMap<String, String>) {
    let Ok(entries) = fs::read_dir(root) else { return };
    for entry in entries {
        let entry = entry.unwrap();
        let name = format!("{prefix}{}", entry.file_name().into_string().unwrap());
        if entry.file_type().unwrap().is_dir() {
            tree(&entry.path(), &format!("{name}/"), into);
        } else {
            into.insert(name.trim_end_matches(".case").to_owned(), fs::read_to_string(entry.path()).unwrap());
        }
    }
}

fn hunks(base: &str, head: &str) -> Vec<Hunk> {
    let diff = similar::TextDiff::from_lines(base, head);
    diff.unified_diff()
        .context_radius(3)
        .iter_hunks()
        .map(|hunk| {
            let first = hunk.ops().first().unwrap();
            let lines: Vec<String> = hunk
                .iter_changes()
                .map(|change| format!("{}{}", change.tag(), change.value().trim_end_matches('\n')))
                .collect();
            Hunk {
                old_start: first.old_range().start as u32 + 1,
                new_start: first.new_range().start as u32 + 1,
                text: lines.join("\n"),
            }
        })
        .collect()
}

fn class(path: &str) -> FileClass {
    match survey::classify(path) {
        facts::FileClass::Source => FileClass::Source,
        facts::FileClass::Test => FileClass::Test,
        facts::FileClass::Fixture => FileClass::Fixture,
        facts::FileClass::Snapshot => FileClass::Snapshot,
        facts::FileClass::Ci => FileClass::Ci,
        facts::FileClass::Build => FileClass::Build,
        facts::FileClass::Lint => FileClass::Lint,
        facts::FileClass::Coverage => FileClass::Coverage,
        facts::FileClass::Ownership => FileClass::Ownership,
        facts::FileClass::Docs => FileClass::Docs,
        facts::FileClass::Other => FileClass::Other,
    }
}

fn changed(path: &str, old_path: Option<&str>, base: Option<&str>, head: Option<&str>) -> ChangedFile {
    let status = match (base, head, old_path) {
        (Some(_), Some(_), Some(_)) => FileStatus::Renamed,
        (Some(_), Some(_), None) => FileStatus::Modified,
        (None, _, _) => FileStatus::Added,
        (Some(_), None, _) => FileStatus::Deleted,
    };
    ChangedFile {
        path: path.to_owned(),
        old_path: old_path.map(str::to_owned),
        status,
        class: class(path),
        mode: FileMode::Regular,
        binary: false,
        hunks: hunks(base.unwrap_or_default(), head.unwrap_or_default()),
        base_text: base.map(str::to_owned),
        head_text: head.map(str::to_owned),
        marks: Marks::default(),
        extra: Vec::new(),
    }
}

/// The facts of a case, renames found as Git finds them: half of the lines are the same.
fn change(folder: &Path) -> Change {
    let (mut base, mut head) = (BTreeMap::new(), BTreeMap::new());
    tree(&folder.join("base"), "", &mut base);
    tree(&folder.join("head"), "", &mut head);
    let mut files = Vec::new();
    let mut gone: Vec<&String> = base.keys().filter(|path| !head.contains_key(*path)).collect();
    for (path, text) in &head {
        match base.get(path) {
            Some(old) if old == text => {}
            Some(old) => files.push(changed(path, None, Some(old), Some(text))),
            None => {
                let alike = |old: &&String| similar::TextDiff::from_lines(base[*old].as_str(), text).ratio();
                let best = gone
                    .iter()
                    .map(|old| (alike(old), *old))
                    .filter(|(ratio, _)| *ratio >= 0.5)
                    .max_by(|a, b| a.0.total_cmp(&b.0));
                match best {
                    Some((_, old)) => {
                        files.push(changed(path, Some(old), Some(&base[old]), Some(text)));
                        gone.retain(|path| *path != old);
                    }
                    None => files.push(changed(path, None, None, Some(text))),
                }
            }
        }
    }
    files.extend(gone.into_iter().map(|path| changed(path, None, Some(&base[path]), None)));
    Change { files, ..Change::default() }
}

fn risk(finding: &Finding) -> u32 {
    let weight = match finding.severity {
        Severity::Note => 10,
        Severity::Minor => 40,
        Severity::Major => 70,
        Severity::Critical => 100,
    };
    weight * u32::from(finding.confidence) / 100
}

/// Default of `[verdict] review`.
const REVIEW: u32 = 28;

#[test]
fn hacks_reach_a_person_and_honest_changes_do_not() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("cases");
    let described = <crate::TestIntegrity as borg_sdk::rule::Rule>::describe().findings;
    let mut wrong = Vec::new();
    let mut counts = BTreeMap::new();
    let mut folders: Vec<_> = fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.sort();
    for folder in folders {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let case: Case = toml::from_str(&fs::read_to_string(folder.join("case.toml")).unwrap()).unwrap();
        let facts = change(&folder);
        assert!(!facts.files.is_empty(), "{name} changes nothing");
        let findings = judge(&facts);
        *counts.entry(format!("{:?}", case.label)).or_insert(0) += 1;
        assert!(findings.iter().all(|finding| described.contains(&finding.id)), "{name}");
        let shown: Vec<String> = findings
            .iter()
            .map(|finding| format!("    {} {} {}", risk(finding), finding.id, finding.message))
            .collect();
        let flagged = findings.iter().any(|finding| risk(finding) >= REVIEW);
        let ids: Vec<&String> =
            case.expect.iter().filter(|id| !findings.iter().any(|finding| finding.id == **id)).collect();
        if flagged != (case.label == Label::Hack) || !ids.is_empty() {
            wrong.push(format!("{name} ({:?}), missing {ids:?}:\n{}", case.label, shown.join("\n")));
        }
    }
    assert!(counts.values().all(|count| *count >= 40), "{counts:?}");
    assert!(wrong.is_empty(), "{} of {counts:?}:\n{}", wrong.len(), wrong.join("\n"));
}

/// What Git prints for these files: the raw list and the patch.
fn as_git_says(files: &[ChangedFile]) -> (Vec<u8>, Vec<u8>) {
    let (mut raw, mut patch) = (String::new(), String::new());
    let id = "1".repeat(40);
    for file in files {
        let path = &file.path;
        let letter = match file.status {
            FileStatus::Added => 'A',
            FileStatus::Deleted => 'D',
            FileStatus::Modified | FileStatus::Renamed | FileStatus::TypeChanged => 'M',
        };
        raw.push_str(&format!(":100644 100644 {id} {id} {letter}\0{path}\0"));
        patch.push_str(&format!("diff --git a/{path} b/{path}\n--- a/{path}\n+++ b/{path}\n"));
        for hunk in &file.hunks {
            let count = |other: char| hunk.text.split('\n').filter(|line| !line.starts_with(other)).count();
            let (old, new) = (count('+'), count('-'));
            patch.push_str(&format!("@@ -{},{old} +{},{new} @@\n{}\n", hunk.old_start, hunk.new_start, hunk.text));
        }
    }
    (raw.into_bytes(), patch.into_bytes())
}

/// Facts and judgement of a diff of well over 5,000 lines within the limit; a debug build gets forty times as long. The best of
/// three counts.
#[test]
fn a_large_change_is_judged_quickly() {
    let text = |check: &str| -> String {
        (0..1_250)
            .map(|n| format!("#[test]\nfn adds_{n}() {{\n    let got = add({n}, 1);\n    {check}\n}}\n\n"))
            .collect()
    };
    let (base, head) = (text("assert_eq!(got, expected);"), text("assert!(got > 0);"));
    let files = vec![
        changed("tests/a.rs", None, Some(&base), Some(&head)),
        changed("tests/b.rs", None, None, Some(&head)),
        changed("tests/c.rs", None, Some(&base), None),
    ];
    let change = Change { files, ..Change::default() };
    let (raw, patch) = as_git_says(&change.files);
    let mut taken = u128::MAX;
    for _ in 0..3 {
        let started = std::time::Instant::now();
        let facts = survey::survey(&raw, &patch, survey::Limits::default());
        let findings = judge(&change);
        taken = taken.min(started.elapsed().as_millis());
        assert_eq!((facts.files.len(), facts.incomplete), (3, Vec::new()));
        assert!(findings.len() >= 1_250);
    }
    let limit = if cfg!(debug_assertions) { 2_000 } else { 50 };
    println!("{taken} ms for a patch of {} lines", patch.iter().filter(|byte| **byte == b'\n').count());
    assert!(taken <= limit, "{taken} ms");
}
