//! How a finding on what steers a runner is made, and the lines it is made of.

use crate::{
    check::harness::{
        modules::Near,
        told::{RULE, said},
    },
    facts::{ChangedFile, Finding, Severity, Span},
};
use std::collections::BTreeSet;

pub(super) fn finding((id, severity, confidence): (&str, Severity, u8), path: &str, message: String) -> Finding {
    let message = said(&message);
    let head = Some(Span { path: path.to_owned(), start: 1, end: 1 });
    Finding { rule: RULE.to_owned(), id: id.to_owned(), severity, confidence, base: None, head, message }
}

/// Confidence and weight of what stands in for something a runner imports.
pub(super) fn weight(near: Near) -> (&'static str, Severity, u8) {
    match near {
        Near::Runner => ("shadows-the-runner", Severity::Critical, 90),
        Near::Imported => ("shadows-an-import", Severity::Major, 70),
    }
}

/// Lines of a file that the base's does not have.
pub(super) fn new_lines(file: &ChangedFile) -> impl Iterator<Item = &str> {
    let before: BTreeSet<&str> = file.base_text.iter().flat_map(|text| text.lines()).map(str::trim).collect();
    let head = file.head_text.iter().flat_map(|text| text.lines()).map(str::trim);
    head.filter(move |line| !before.contains(line))
}
