//! What the host itself says about the harness of a check: every path that is delivered otherwise than it was tested, and where the tests
//! pass with the change's own harness only. No rule raises these findings, so no disabled rule hides them.

use super::overlaid::Cause;
use crate::facts::{CheckOutcome, Finding, HarnessOf, Severity, Span, TestEvidence};
use std::collections::{BTreeMap, BTreeSet};

/// The name that the host's own findings on checks carry in the place of a rule's.
pub const RULE: &str = "check";

/// The finding that the tests did not do with the base's harness. Whatever the thresholds are, it leads to review.
pub const OWN_ONLY: &str = "own-harness-only";

/// From so many paths in a folder on, they are told as one.
const FOLDED_FROM: usize = 10;

/// And from so many of them, all together are: nobody reads more.
const TOP_FOLDED_FROM: usize = 50;

/// Longest message of a finding of the host, in characters.
const MESSAGE: usize = 2000;

/// A message as it is shown and kept, whatever names and lines of a repository are in it: on one line, without signs that steer a terminal,
/// and of a length that somebody reads.
pub(super) fn said(message: &str) -> String {
    let is_sign = |c: char| {
        c.is_control()
            || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
    };
    let mut chars = message.chars().map(|c| match c {
        '\n' => ' ',
        c if is_sign(c) => '?',
        c => c,
    });
    let mut said: String = chars.by_ref().take(MESSAGE).collect();
    if chars.next().is_some() {
        said.push('…');
    }
    said
}

/// Keys of one manifest that are named.
pub(super) const KEYS: usize = 20;

/// Names of keys to be shown and kept, whoever chose them: each short, and not too many.
pub(super) fn few_keys(keys: Vec<String>) -> Vec<String> {
    const LONGEST: usize = 80;
    let count = keys.len();
    let short = |key: String| -> String {
        key.chars().take(LONGEST).map(|c| if c.is_control() || c == '`' { '?' } else { c }).collect()
    };
    let more = (count > KEYS).then(|| format!("and {} more", count - KEYS));
    keys.into_iter().take(KEYS).map(short).chain(more).collect()
}

/// Findings on all checks whose stages were accepted.
pub fn told(evidence: &[TestEvidence]) -> Vec<Finding> {
    let mut paths: BTreeMap<&Cause, BTreeSet<&str>> = BTreeMap::new();
    for overlaid in evidence.iter().flat_map(|evidence| &evidence.overlaid) {
        paths.entry(&overlaid.cause).or_default().insert(&overlaid.path);
    }
    let mut findings: Vec<Finding> = evidence.iter().filter_map(own_only).collect();
    for (cause, paths) in paths {
        let mut top = Folder::default();
        for path in paths {
            top.add(path, path);
        }
        for (path, count) in top.rows("") {
            let what = match count {
                1 => path.clone(),
                count => format!("{path} ({count} files)"),
            };
            findings.push(Finding {
                rule: RULE.to_owned(),
                id: "harness-overlaid".to_owned(),
                severity: Severity::Major,
                confidence: 60,
                base: None,
                head: Some(Span { path, start: 1, end: 1 }),
                message: said(&format!("{}; look at it before it is delivered", cause.words(&what))),
            });
        }
    }
    findings
}

/// The finding on a check that did with the change's own harness only.
pub fn own_only(evidence: &TestEvidence) -> Option<Finding> {
    let other = evidence.other.as_ref()?;
    let counted = (evidence.outcome, evidence.passed.len(), evidence.failed.len());
    let is_own_only = match other.harness {
        // What counted is the run with the change's own; the base's is the other.
        HarnessOf::Base => !other.met,
        HarnessOf::Change => false,
    };
    let told = |outcome: CheckOutcome, passed, failed| format!("{}: {passed} passed, {failed} failed", outcome.words());
    is_own_only.then(|| Finding {
        rule: RULE.to_owned(),
        id: OWN_ONLY.to_owned(),
        severity: Severity::Major,
        confidence: 100,
        base: None,
        head: None,
        message: said(&format!(
            "the tests after stage {} come out as they must with the change's own harness only ({}), and not with the base's ({}; {}): find \
             out why before it is delivered",
            evidence.stage,
            told(counted.0, counted.1, counted.2),
            told(other.outcome, other.passed.len(), other.failed.len()),
            other.reason,
        )),
    })
}

/// Paths below a folder, to be folded.
#[derive(Default)]
struct Folder<'a> {
    files: Vec<&'a str>,
    folders: BTreeMap<&'a str, Folder<'a>>,
}

impl<'a> Folder<'a> {
    fn add(&mut self, rest: &'a str, path: &'a str) {
        match rest.split_once('/') {
            Some((folder, rest)) => self.folders.entry(folder).or_default().add(rest, path),
            None => self.files.push(path),
        }
    }

    /// Paths, and folders with how many are below them where those are ten or more.
    fn rows(&self, name: &str) -> Vec<(String, usize)> {
        let below: Vec<_> =
            self.folders.iter().flat_map(|(folder, below)| below.rows(&format!("{name}{folder}/"))).collect();
        let count = self.files.len() + below.iter().map(|(_, count)| count).sum::<usize>();
        let own = self.files.iter().map(|path| ((*path).to_owned(), 1));
        match (name, self.files.len() + below.len()) {
            ("", TOP_FOLDED_FROM..) => vec![("./".to_owned(), count)],
            ("", _) if self.files.len() >= FOLDED_FROM => {
                [("./".to_owned(), self.files.len())].into_iter().chain(below).collect()
            }
            ("", _) | (_, ..FOLDED_FROM) => own.chain(below).collect(),
            (name, _) => vec![(name.to_owned(), count)],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        check::harness::Overlaid,
        facts::{CheckOutcome, OtherRun},
        verdict::{Thresholds, Verdict, verdict},
    };

    fn evidence(stage: &str, overlaid: &[(&str, Cause)], other: Option<OtherRun>) -> TestEvidence {
        TestEvidence {
            stage: stage.into(),
            outcome: CheckOutcome::Green,
            passed: vec!["a".into()],
            failed: Vec::new(),
            skipped: Vec::new(),
            other: other.map(Box::new),
            overlaid: overlaid
                .iter()
                .map(|(path, cause)| Overlaid { path: (*path).into(), cause: cause.clone() })
                .collect(),
        }
    }

    fn places(findings: &[Finding]) -> Vec<&str> {
        findings.iter().filter_map(|finding| finding.head.as_ref()).map(|span| span.path.as_str()).collect()
    }

    #[test]
    fn each_path_is_told_once_for_each_cause_and_leads_to_review() {
        let keys = Cause::Keys(vec!["tool.pytest".into()]);
        let first = evidence("qa", &[("conftest.py", Cause::TakenOut), ("Makefile", Cause::Replaced)], None);
        let second = evidence(
            "impl",
            &[("Makefile", Cause::Replaced), ("Makefile", Cause::PutBack), ("pyproject.toml", keys)],
            None,
        );
        let findings = told(&[first, second]);
        assert_eq!(places(&findings), ["Makefile", "conftest.py", "Makefile", "pyproject.toml"]);
        assert!(findings.iter().all(|finding| finding.rule == RULE));
        assert!(findings[3].message.contains("`tool.pytest`"), "{}", findings[3].message);
        assert_eq!(verdict(&findings[..1], &[], &[], Thresholds::default()).verdict, Verdict::Review);
        assert_eq!(told(&[evidence("impl", &[], None)]), []);
    }

    #[test]
    fn ten_of_a_folder_are_told_as_the_folder() {
        let many = |count: usize, of: fn(usize) -> String| -> Vec<(String, Cause)> {
            (0..count).map(|n| (of(n), Cause::TakenOut)).collect()
        };
        for (paths, rows) in [
            (many(9, |n| format!("a/b/{n}.pth")), 9),
            (many(10, |n| format!("a/b/{n}.pth")), 1),
            (many(10, |n| format!("node_modules/p{n}/index.js")), 1),
            (many(2000, |n| format!("node_modules/p{}/{n}/x.js", n % 7)), 7),
            (many(10, |n| format!("{n}.pth")), 1),
            (many(10, |n| format!("p{n}/conftest.py")), 10),
            (many(1000, |n| format!("p{n}/conftest.py")), 1),
        ] {
            let borrowed: Vec<(&str, Cause)> =
                paths.iter().map(|(path, cause)| (path.as_str(), cause.clone())).collect();
            let findings = told(&[evidence("impl", &borrowed, None)]);
            assert_eq!(findings.len(), rows, "{:?}", places(&findings));
            if rows == 1 {
                assert!(findings[0].message.contains(&format!("({} files)", paths.len())), "{}", findings[0].message);
            }
        }
    }

    #[test]
    fn what_only_its_own_harness_makes_good_is_reviewed_whatever_the_thresholds_are() {
        let other = |harness, met| OtherRun {
            harness,
            outcome: CheckOutcome::Red,
            met,
            reason: "failed: test_b".into(),
            passed: Vec::new(),
            failed: vec!["test_b".into()],
            skipped: Vec::new(),
        };
        for (harness, met, is_told) in
            [(HarnessOf::Base, false, true), (HarnessOf::Base, true, false), (HarnessOf::Change, false, false)]
        {
            let findings = told(&[evidence("impl", &[], Some(other(harness, met)))]);
            assert_eq!(!findings.is_empty(), is_told, "{harness:?} {met}");
            let lenient = Thresholds { review: 255, block: 255 };
            let wanted = if is_told { Verdict::Review } else { Verdict::Pass };
            let ruling = verdict(&findings, &[], &[], lenient);
            assert_eq!(ruling.verdict, wanted);
            if is_told {
                let reason = &ruling.reasons[0];
                assert!(
                    reason.contains("green: 1 passed, 0 failed") && reason.contains("red: 0 passed, 1 failed"),
                    "{reason}"
                );
            }
        }
    }
}
