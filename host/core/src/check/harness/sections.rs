//! `setup.cfg`: which of its sections steer a runner. Its readers (iniconfig, configparser) differ in what they take for a header; a text
//! that they could read differently is not taken apart.

use crate::check::harness::sides::{Edit, Sides};

/// Sections of runners and of those who call them, without a part behind a `:`.
const SECTIONS: [&str; 13] = [
    "tool:pytest",
    "pytest",
    "tox",
    "testenv",
    "coverage",
    "nosetests",
    "unittest",
    "test",
    "aliases",
    "ptr",
    "trial",
    // Its options stand in every other section.
    "DEFAULT",
    "green",
];

pub(super) fn merge(sides: &Sides<'_>) -> Edit {
    let (base, head) = (read(sides.base.unwrap_or_default())?, read(sides.head.unwrap_or_default())?);
    let steer = |sections: &[Section<'_>]| -> Vec<(String, String)> {
        let own = sections.iter().filter(|section| section.is_steering());
        own.map(|section| (section.name.to_owned(), section.text.trim_end().to_owned())).collect()
    };
    let (old, new) = (steer(&base), steer(&head));
    if old == new {
        return Ok(None);
    }
    let mut names: Vec<String> = Vec::new();
    for (name, text) in old.iter().chain(&new) {
        let is_in = |list: &[(String, String)]| list.iter().any(|(other, same)| other == name && same == text);
        let name = format!("[{name}]");
        let is_same = is_in(&old) && is_in(&new);
        if !is_same && !names.contains(&name) {
            names.push(name);
        }
    }
    let kept = head.iter().filter(|section| !section.is_steering()).map(|section| section.text.trim_end_matches('\n'));
    let put = base.iter().filter(|section| section.is_steering()).map(|section| section.text.trim_end_matches('\n'));
    let text: Vec<&str> = kept.chain(put).filter(|text| !text.is_empty()).collect();
    let names = if names.is_empty() { vec!["the order of its sections".to_owned()] } else { names };
    Ok(Some((text.join("\n\n") + "\n", names)))
}

/// A header with all lines up to the next; the first has no name where something stands before any header.
struct Section<'a> {
    name: &'a str,
    text: &'a str,
}

impl Section<'_> {
    fn is_steering(&self) -> bool {
        let first = self.name.split(':').next().unwrap_or(self.name).trim();
        SECTIONS.iter().any(|section| *section == self.name || *section == first)
            // Entry points of a package are the build's; those that pytest loads are not.
            || self.name == "options.entry_points" && self.text.contains("pytest11")
    }
}

fn read(text: &str) -> Result<Vec<Section<'_>>, String> {
    if text.contains(|c: char| {
        matches!(c, '\r' | '\u{b}' | '\u{c}' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
    }) {
        return Err("its lines end in more ways than one".into());
    }
    let mut starts = Vec::new();
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        if let Some(rest) = line.strip_prefix('[') {
            let name = rest.split(']').next().filter(|name| line.contains(']') && !name.contains(['#', ';']));
            starts.push((at, name.ok_or("a header that is not closed")?));
        } else if line.trim_start().starts_with('[') && line.contains(']') && is_like_header(line) {
            return Err("a header that does not stand at the start of its line".into());
        }
        at += line.len();
    }
    let first = starts.first().map_or(text.len(), |(at, _)| *at);
    let mut sections = vec![Section { name: "", text: &text[..first] }];
    for (index, (start, name)) in starts.iter().enumerate() {
        let end = starts.get(index + 1).map_or(text.len(), |(at, _)| *at);
        sections.push(Section { name, text: &text[*start..end] });
    }
    Ok(sections)
}

/// A line that configparser may take for a header although it is indented.
fn is_like_header(line: &str) -> bool {
    let inner = line.trim().strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or_default();
    let name = Section { name: inner, text: "" };
    name.is_steering() || inner == "options.entry_points"
}

/// Texts of those sections that steer a runner, but for entry points.
pub(super) fn steering(text: &str) -> Result<Vec<&str>, String> {
    let own = |section: &Section<'_>| section.is_steering() && section.name != "options.entry_points";
    Ok(read(text)?.into_iter().filter(own).map(|section| section.text).collect())
}

/// Sections to be shown to people, with their text.
pub(super) fn shown(text: &str) -> Result<std::collections::BTreeMap<String, String>, String> {
    let is_shown = |section: &&Section<'_>| section.is_steering() || section.name == "options.entry_points";
    let sections = read(text)?;
    Ok(sections
        .iter()
        .filter(is_shown)
        .map(|section| (format!("[{}]", section.name), section.text.trim().to_owned()))
        .collect())
}
