//! What this version ships in its policies and an installation of before lacks: sections, and budgets that still have the sizes of before.
//! Nothing is done about it: policy is the operator's, and what is absent may be absent on purpose. The lines to add are shown.

use super::report::{Finding, Report};
use crate::cli::policy::SHIPPED;
use anyhow::Result;
use borg_core::{
    budget::{Budget, MicroUsd},
    policy::{Policy, source::SourceFile},
};
use borg_host::{policies, settings::Settings};
use std::collections::BTreeMap;

/// Budgets as they were shipped before: $0.05 is one or two requests of the model that the pinned agent chooses, $0.20 about eight.
const BEFORE: [(&str, Budget); 3] = [
    ("quick", Budget { turns: 20, tokens: 500_000, cost: MicroUsd(50_000), wall_ms: 600_000 }),
    ("default", Budget { turns: 60, tokens: 500_000, cost: MicroUsd(200_000), wall_ms: 1_800_000 }),
    ("deep", Budget { turns: 120, tokens: 500_000, cost: MicroUsd(1_000_000), wall_ms: 3_600_000 }),
];

/// A section of a shipped file.
#[derive(Debug, PartialEq, Eq)]
struct Section {
    /// Below `policies/`.
    file: &'static str,
    /// `egress`, `anthropic`, `price`, `claude-opus-*`.
    path: Vec<String>,
    /// As it stands there.
    lines: String,
}

pub(super) fn look(settings: &Settings, policy: &Policy, report: &mut Report) -> Result<()> {
    let installed = policies::sources(&settings.policies())?;
    for finding in findings(&installed, policy) {
        report.add(finding)?;
    }
    Ok(())
}

/// One for each file to which something is to be added, one for budgets.
fn findings(installed: &[SourceFile], policy: &Policy) -> Vec<Finding> {
    let there: Vec<(&str, Vec<Vec<String>>)> =
        installed.iter().map(|file| (file.name.as_str(), tables(&file.text))).collect();
    let stands_in = |path: &[String]| there.iter().find(|(_, tables)| tables.iter().any(|table| table == path));
    let shipped: Vec<Section> = SHIPPED.iter().flat_map(|(file, text)| sections(file, text)).collect();
    let mut missing: BTreeMap<String, Vec<&Section>> = BTreeMap::new();
    for section in shipped.iter().filter(|section| stands_in(&section.path).is_none()) {
        // A section stands once: what is part of one belongs where that is.
        let whole = section.path.get(..2).and_then(stands_in).map(|(file, _)| (*file).to_owned());
        missing.entry(whole.unwrap_or_else(|| format!("policies/{}", section.file))).or_default().push(section);
    }
    let mut all = Vec::new();
    for (file, sections) in missing {
        let names: Vec<String> = sections.iter().map(|section| header(&section.path)).collect();
        let lines: Vec<&str> = sections.iter().map(|section| section.lines.as_str()).collect();
        all.push(Finding::warning(
            "policy",
            format!("shipped with this version and not here: {}\n{}", names.join(", "), lines.join("\n\n")),
            format!("add these lines to {file}, unless they are missing on purpose"),
        ));
    }
    let small = |name: &str, before: &Budget| policy.budgets.get(name) == Some(before);
    let small: Vec<&Section> = BEFORE
        .iter()
        .filter(|(name, before)| small(name, before))
        .filter_map(|(name, _)| shipped.iter().find(|section| section.path == ["budget", name]))
        .collect();
    if !small.is_empty() {
        let names: Vec<String> = small.iter().map(|section| header(&section.path)).collect();
        let lines: Vec<&str> = small.iter().map(|section| section.lines.as_str()).collect();
        all.push(Finding::warning(
            "policy",
            format!(
                "still of the sizes shipped before, which an answer or a stage of the models in use seldom fits: {}\n{}",
                names.join(", "),
                lines.join("\n\n")
            ),
            "put these lines in place of those in policies/host.toml; the shipped file has a set for cheap models, too",
        ));
    }
    all
}

/// The sections of a shipped file with their lines; arrays of tables belong to the section they stand in.
fn sections(file: &'static str, text: &str) -> Vec<Section> {
    if !file.ends_with(".toml") {
        return Vec::new();
    }
    let mut all: Vec<Section> = Vec::new();
    let mut is_open = false;
    for line in text.lines() {
        let line = line.trim_end();
        if let Some(head) = path_of(line) {
            let is_part = all.last().is_some_and(|section| is_open && head.starts_with(&section.path));
            if line.starts_with("[[") {
                is_open = is_part;
            } else {
                all.push(Section { file, path: head, lines: String::new() });
                is_open = true;
            }
        }
        if let Some(section) = all.last_mut().filter(|_| is_open) {
            section.lines.push_str(line);
            section.lines.push('\n');
        }
    }
    for section in &mut all {
        section.lines = own(&section.lines);
    }
    all
}

/// The lines of a section without what follows it after a blank line and is about the next one, or about none: comments.
fn own(lines: &str) -> String {
    let blocks: Vec<&str> = lines.split("\n\n").collect();
    let is_about_others = |block: &&str| block.lines().all(|line| line.is_empty() || line.starts_with('#'));
    let last = blocks.iter().rposition(|block| !is_about_others(block)).map_or(0, |last| last + 1);
    blocks[..last].join("\n\n").trim_end().to_owned()
}

/// The names in a header of a table, or of an array of tables; none for any other line.
fn path_of(line: &str) -> Option<Vec<String>> {
    if !line.starts_with('[') {
        return None;
    }
    let table: toml::Table = line.parse().ok()?;
    let mut path = Vec::new();
    let mut below = &toml::Value::Table(table);
    loop {
        below = match below {
            toml::Value::Table(table) => {
                let Some((name, value)) = table.iter().next() else { return Some(path) };
                path.push(name.clone());
                value
            }
            toml::Value::Array(rows) => rows.first()?,
            _ => return None,
        };
    }
}

/// Paths of all tables in a file.
fn tables(text: &str) -> Vec<Vec<String>> {
    fn below(path: &[String], table: &toml::Table, all: &mut Vec<Vec<String>>) {
        for (name, value) in table {
            if let toml::Value::Table(table) = value {
                let path = [path, std::slice::from_ref(name)].concat();
                all.push(path.clone());
                below(&path, table, all);
            }
        }
    }
    let mut all = Vec::new();
    if let Ok(table) = text.parse::<toml::Table>() {
        below(&[], &table, &mut all);
    }
    all
}

/// `[egress.anthropic.price."claude-opus-*"]`.
fn header(path: &[String]) -> String {
    let is_bare = |name: &str| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let names: Vec<String> =
        path.iter().map(|name| if is_bare(name) { name.clone() } else { format!("{name:?}") }).collect();
    format!("[{}]", names.join("."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::policy::parse;

    fn installed(change: impl Fn(&str, &str) -> String) -> (Vec<SourceFile>, Policy) {
        let toml = SHIPPED.iter().filter(|(name, _)| name.ends_with(".toml"));
        let files: Vec<SourceFile> = toml
            .map(|(name, text)| SourceFile { name: format!("policies/{name}"), text: change(name, text) })
            .collect();
        let policy = parse::parse(&files).unwrap_or_else(|errors| panic!("{errors:?}"));
        (files, policy)
    }

    fn found(change: impl Fn(&str, &str) -> String) -> Vec<Finding> {
        let (files, policy) = installed(change);
        findings(&files, &policy)
    }

    #[test]
    fn as_shipped_nothing_is_missing() {
        assert!(found(|_, text| text.to_owned()).is_empty());
        let all: Vec<Section> = SHIPPED.iter().flat_map(|(file, text)| sections(file, text)).collect();
        for path in
            [&["budget", "quick"][..], &["pipeline", "ask"], &["rule", "scope"], &["persona", "qa"], &["people"]]
        {
            assert!(all.iter().any(|section| section.path == path), "{path:?} {all:?}");
        }
    }

    #[test]
    fn every_section_is_what_stands_in_its_file_and_reads_as_toml() {
        for section in SHIPPED.iter().flat_map(|(file, text)| sections(file, text)) {
            let (_, text) = SHIPPED.iter().find(|(name, _)| *name == section.file).unwrap();
            assert!(text.contains(&section.lines), "{section:?}");
            let paths = tables(&section.lines);
            assert!(paths.contains(&section.path), "{section:?} reads as {paths:?}");
            assert!(
                paths.iter().all(|path| section.path.starts_with(path) || path.starts_with(&section.path)),
                "{paths:?}"
            );
            assert!(!section.lines.contains("[[example]]"), "{section:?}");
        }
    }

    #[test]
    fn whatever_section_is_missing_is_named_with_its_lines() {
        let shipped: Vec<Section> = SHIPPED.iter().flat_map(|(file, text)| sections(file, text)).collect();
        for name in [
            &["rule", "scope"][..],
            &["chat", "telegram"],
            &["egress", "anthropic", "price", "claude-haiku-*"],
            &["budget", "deep"],
        ] {
            let section = shipped.iter().find(|section| section.path == name).unwrap();
            let found = found(|_, text| text.replace(&section.lines, ""));
            assert_eq!(found.len(), 1, "{name:?} {found:?}");
            assert!(
                found[0].detail.contains(&header(&section.path)) && found[0].detail.contains(&section.lines),
                "{found:?}"
            );
            assert!(found[0].remedy.contains(&format!("policies/{}", section.file)), "{found:?}");
            // Wherever else it stands it is there; a part of a section stands with it.
            if name.len() == 2 {
                let moved = self::found(|file, text| match file {
                    "repos.toml" => format!("{text}\n{}\n", section.lines),
                    _ => text.replace(&section.lines, ""),
                });
                assert!(moved.is_empty(), "{moved:?}");
            }
        }
        let elsewhere = findings(
            &[SourceFile { name: "policies/mine.toml".into(), text: "[egress.anthropic]\n".into() }],
            &installed(|_, text| text.to_owned()).1,
        );
        let row = elsewhere.iter().find(|finding| finding.detail.contains("claude-haiku-*")).unwrap();
        assert!(row.remedy.contains("policies/mine.toml"), "{row:?}");
        assert_eq!(
            header(&["egress".into(), "a".into(), "price".into(), "claude-*".into()]),
            "[egress.a.price.\"claude-*\"]"
        );
    }

    /// The `[budget.*]` that were shipped before.
    const OLD: &str = "[budget.quick]\nturns = 20\ntokens = 500000\ncost = \"$0.05\"\nwall = \"10min\"\n
[budget.default]\nturns = 60\ntokens = 500000\ncost = \"$0.20\"\nwall = \"30min\"\n
[budget.deep]\nturns = 120\ntokens = 500000\ncost = \"$1.00\"\nwall = \"60min\"\n";

    fn with_budgets(budgets: &str) -> Vec<Finding> {
        let shipped: Vec<Section> = SHIPPED.iter().flat_map(|(file, text)| sections(file, text)).collect();
        found(|file, text| {
            let mut text = text.to_owned();
            if file == "host.toml" {
                for section in shipped.iter().filter(|section| section.path[0] == "budget") {
                    text = text.replace(&section.lines, "");
                }
                text = format!("{text}\n{budgets}");
            }
            text
        })
    }

    #[test]
    fn sizes_of_before_are_told_with_those_of_today_and_chosen_ones_are_not() {
        let all = with_budgets(OLD);
        assert_eq!(all.len(), 1, "{all:?}");
        for words in ["[budget.quick], [budget.default], [budget.deep]", "\"$0.75\"", "\"$4.00\"", "\"$15.00\""] {
            assert!(all[0].detail.contains(words), "{all:?}");
        }
        // What is offered is taken for what is shipped.
        let lines = all[0].detail.split_once('\n').unwrap().1;
        assert!(with_budgets(lines).is_empty());
        let chosen = OLD.replace("$0.20", "$0.30").replace("$1.00", "$2.00").replace("$0.05", "$0.06");
        assert!(with_budgets(&chosen).is_empty());
        // One that somebody chose keeps none of the others from being told, and is not told with them.
        for (choice, named) in [
            (OLD.replace("$0.20", "$0.30"), ["[budget.quick], [budget.deep]", "\"$0.75\"", "\"$15.00\""]),
            (
                OLD.replace("turns = 20\n", "turns = 21\n"),
                ["[budget.default], [budget.deep]", "\"$4.00\"", "\"$15.00\""],
            ),
        ] {
            let found = with_budgets(&choice);
            assert!(found.len() == 1 && named.iter().all(|words| found[0].detail.contains(words)), "{found:?}");
            assert_eq!(found[0].detail.matches("cost = ").count(), 2, "{found:?}");
        }
        // The set for cheap models stands in the shipped file, and is nobody's oversight.
        let (_, host) = SHIPPED.iter().find(|(name, _)| *name == "host.toml").unwrap();
        let cheap: Vec<&str> = host
            .split("# For a cheap model")
            .nth(1)
            .unwrap()
            .lines()
            .skip(1)
            .take_while(|line| line.starts_with('#'))
            .map(|line| line.trim_start_matches(['#', ' ']))
            .collect();
        assert_eq!(cheap.iter().filter(|line| line.starts_with("[budget.")).count(), 3, "{cheap:?}");
        assert!(with_budgets(&cheap.join("\n")).is_empty());
    }
}
