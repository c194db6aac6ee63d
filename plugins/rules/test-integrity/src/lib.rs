//! Rule `test-integrity`: tests that were there and judge less now.
//!
//! Both versions of each test file are read with a scanner of their language, tests are paired across files, and each pair is
//! compared. What was never there at the base, and what went together with the code it tested, is not held against a change.

mod compare;
mod found;
mod go;
mod inventory;
mod js;
mod judge;
mod languages;
mod lex;
mod pair;
mod python;
mod rust;

use crate::found::Id;
use borg_sdk::rule::{Change, Finding, Rule, RuleInfo};

pub struct TestIntegrity;

impl Rule for TestIntegrity {
    fn describe() -> RuleInfo {
        let summary = "finds tests that were removed, switched off, or made to demand less";
        RuleInfo::new("test-integrity", summary, &Id::ALL.map(Id::as_str))
    }

    fn judge(_settings: &str, change: Change) -> Result<Vec<Finding>, String> {
        Ok(judge::judge(&change))
    }
}

borg_sdk::rule!(TestIntegrity);

#[cfg(test)]
mod cases;
