//! Lays out the neutral parts of a notice as plain text for the output of a command.

use super::neutral;
use borg_core::chat::Part;
use std::fmt::Write;

/// Text of the parts, labels of fields aligned.
pub fn text(parts: &[Part]) -> String {
    let labels = parts.iter().filter_map(|part| match part {
        Part::Field { label, .. } => Some(label.chars().count()),
        Part::Heading(_) | Part::Text(_) | Part::Code { .. } | Part::Item(_) | Part::Diff(_) => None,
    });
    let column = labels.max().unwrap_or_default();
    let mut out = String::new();
    for part in parts {
        let done = match part {
            Part::Heading(text) => writeln!(out, "{}", neutral::text(text)),
            Part::Text(text) | Part::Diff(text) | Part::Code { text, .. } => {
                writeln!(out, "{}", neutral::text(text.trim_end()))
            }
            Part::Item(text) => writeln!(out, "  - {}", neutral::text(text)),
            Part::Field { label, value } => {
                writeln!(out, "  {:column$}  {}", neutral::text(label), neutral::text(value))
            }
        };
        done.expect("writing to a string does not fail");
    }
    out.trim_end().to_owned()
}
