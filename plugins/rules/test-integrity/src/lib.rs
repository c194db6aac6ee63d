//! Rule `test-integrity`: tests that were there and judge less now.
//!
//! Both versions of each test file are read with a scanner of their language, tests are paired across files, and each pair is
//! compared. What was never there at the base, and what went together with the code it tested, is not held against a change.

mod compare;
mod go;
mod inventory;
mod js;
mod judge;
mod lex;
mod pair;
mod python;
mod rust;

use borg_sdk::rule::{Change, Finding, Rule, RuleInfo};

pub struct TestIntegrity;

const FINDINGS: [&str; 15] = [
    "removed-test",
    "deleted-test-file",
    "disabled-test",
    "focused-test",
    "undiscoverable-test",
    "weakened-assertion",
    "removed-assertion",
    "emptied-test",
    "widened-tolerance",
    "expectation-changed",
    "always-true",
    "swallowed-failure",
    "early-exit",
    "fewer-cases",
    "subject-removed",
];

impl Rule for TestIntegrity {
    fn describe() -> RuleInfo {
        let summary = "finds tests that were removed, switched off, or made to demand less";
        let mut info = RuleInfo::new("test-integrity", summary, &FINDINGS);
        info.findings.push("unreadable-test-file".to_owned());
        info
    }

    fn judge(change: Change) -> Result<Vec<Finding>, String> {
        Ok(judge::judge(&change))
    }
}

borg_sdk::rule!(TestIntegrity);

#[cfg(test)]
mod cases;
