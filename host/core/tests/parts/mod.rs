//! What people are told, in lines that tests compare.

use borg_core::chat::Part;

/// A line for each part, with a mark for its kind.
pub fn lines(parts: &[Part]) -> Vec<String> {
    let line = |part: &Part| match part {
        Part::Heading(text) => format!("# {text}"),
        Part::Text(text) => text.clone(),
        Part::Item(text) => format!("- {text}"),
        Part::Field { label, value } => format!("{label}: {value}"),
        Part::Code { text, .. } | Part::Diff(text) => format!("| {text}"),
    };
    parts.iter().map(line).collect()
}
