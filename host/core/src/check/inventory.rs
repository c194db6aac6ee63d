//! Names of tests in a file's text, for holding a report against what is written. Coarse on purpose: rules look closer.

use super::{Report, Runner};
use crate::{
    facts::ChangedFile,
    survey::{Language, language},
};
use std::collections::BTreeSet;

/// What names of functions that `go test` runs start with.
const GO_TESTS: [&str; 3] = ["Test", "Fuzz", "Example"];

/// Names of the tests a file defines, in order: functions, or titles in JavaScript.
pub fn test_names(path: &str, text: &str) -> Vec<String> {
    let Some(language) = language(path) else { return Vec::new() };
    let mut names = Vec::new();
    let mut attribute = false;
    let mut fence: Option<&str> = None;
    let mut example: Option<String> = None;
    for line in text.lines() {
        let line = line.trim_start();
        let code = match language {
            Language::Python => match outside_strings(line, &mut fence) {
                Some(code) => code,
                None => continue,
            },
            Language::Rust | Language::Js | Language::Go | Language::Java => line,
        };
        match language {
            Language::Python => {
                let rest = code.strip_prefix("async ").map_or(code, str::trim_start);
                names.extend(rest.strip_prefix("def ").map(word).filter(|name| name.starts_with("test")));
            }
            Language::Rust => {
                if code.starts_with("#[") {
                    let inner = code.trim_start_matches("#[").split([']', '(', ' ']).next().unwrap_or_default();
                    attribute |= matches!(inner.rsplit("::").next(), Some("test" | "rstest" | "test_case"));
                }
                if let Some(at) = code.find("fn ").filter(|_| attribute && !code.starts_with("//")) {
                    names.push(word(&code[at + 3..]));
                    attribute = false;
                }
            }
            Language::Go => {
                let name = code.strip_prefix("func ").map(word).unwrap_or_default();
                let rest = GO_TESTS.iter().find_map(|prefix| name.strip_prefix(prefix));
                let is_test = rest.is_some_and(|rest| !rest.starts_with(|char: char| char.is_lowercase()));
                if code.starts_with("func ") {
                    example = None;
                }
                if is_test && name.starts_with("Example") {
                    example = Some(name);
                } else if is_test && name != "TestMain" {
                    names.push(name);
                }
                // An example is run only when it says what it prints.
                let comment = code.strip_prefix("//").map(|comment| comment.trim_start().to_ascii_lowercase());
                if comment
                    .is_some_and(|comment| ["output:", "unordered output:"].iter().any(|o| comment.starts_with(o)))
                {
                    names.extend(example.take());
                }
            }
            Language::Js => {
                let call = ["test(", "it("].iter().find_map(|call| code.strip_prefix(call));
                names.extend(call.and_then(title));
            }
            Language::Java => {
                if code.starts_with("@Test") || code.starts_with("@ParameterizedTest") {
                    attribute = true;
                } else if attribute && code.contains('(') && !code.starts_with('@') {
                    names.extend(
                        code.split('(').next().and_then(|head| head.split_whitespace().last()).map(str::to_owned),
                    );
                    attribute = false;
                }
            }
        }
    }
    names
}

fn word(text: &str) -> String {
    text.chars().take_while(|char| char.is_alphanumeric() || *char == '_').collect()
}

/// The literal title a call starts with.
fn title(rest: &str) -> Option<String> {
    let quote = rest.chars().next().filter(|char| matches!(char, '\'' | '"' | '`'))?;
    let title = rest[1..].split(quote).next()?;
    (!title.contains("${") && !title.contains('\\')).then(|| title.to_owned())
}

/// The code of a Python line, or nothing while a triple-quoted string is open.
fn outside_strings<'a>(line: &'a str, fence: &mut Option<&'static str>) -> Option<&'a str> {
    let started_inside = fence.is_some();
    let mut rest = line;
    loop {
        match *fence {
            Some(mark) => match rest.split_once(mark) {
                Some((_, after)) => {
                    *fence = None;
                    rest = after;
                }
                None => break,
            },
            None => {
                let code = rest.split(" #").next().unwrap_or(rest);
                let first = ["\"\"\"", "'''"].iter().filter_map(|mark| Some((code.find(mark)?, *mark))).min();
                match first {
                    Some((at, mark)) if !code.starts_with('#') => {
                        *fence = Some(mark);
                        rest = &rest[at + 3..];
                    }
                    _ => break,
                }
            }
        }
    }
    (!started_inside).then_some(line)
}

/// The name a test id ends in, as its source has it.
pub(super) fn leaf(runner: Option<Runner>, id: &str) -> &str {
    let name = match runner {
        Some(Runner::Node) => return id.rsplit(" > ").next().unwrap_or(id),
        Some(Runner::Go) => {
            // Neither a package's last part after its last `.`, nor a top-level test, holds a `.`; a subtest may.
            let test = id.match_indices('.').map(|(at, _)| id[at + 1..].split('/').next().unwrap_or_default());
            let is_test = |name: &&str| GO_TESTS.iter().any(|start| name.starts_with(start)) && !name.contains('.');
            test.into_iter().find(is_test).unwrap_or(id)
        }
        Some(Runner::Unittest) => id.rsplit('.').next().unwrap_or(id),
        Some(Runner::Pytest) => {
            let id = id.find('[').map_or(id, |at| &id[..at]);
            id.rsplit("::").next().unwrap_or(id)
        }
        Some(Runner::Cargo | Runner::Nextest) => {
            // `shop tests::table::case_1` of rstest belongs to the function `table`.
            let mut parts = id.rsplit([' ', ':']).filter(|part| !part.is_empty());
            let last = parts.next().unwrap_or(id);
            if last.starts_with("case_") { parts.next().unwrap_or(last) } else { last }
        }
        None => id,
    };
    name.trim()
}

/// What a stage whose tests failed as they should leaves to those that follow: the ids and names that must be reported as passed.
///
/// `names` are those written new in that stage. Tests of it that pass already belong to it; of a file that could not be loaded, or by
/// a runner that lists failures only, no more than the names are known.
pub fn demands(baseline: Option<&Report>, red: &Report, names: &[String]) -> (Vec<String>, Vec<String>) {
    let known: BTreeSet<&String> = baseline.into_iter().flat_map(Report::ids).collect();
    let new = red.passed.iter().filter(|id| !known.contains(id));
    let ids = red.failed.iter().chain(&red.errored).chain(new).cloned().collect();
    let shown: BTreeSet<&str> = red.ids().map(|id| leaf(red.runner, id)).collect();
    let unshown = names.iter().filter(|name| match red.lists_passed {
        true => !red.faults.is_empty() && !shown.contains(name.as_str()),
        false => true,
    });
    (ids, unshown.cloned().collect())
}

/// Ids of a report whose test is no longer written anywhere among the changed files, though it was at the base.
///
/// Whether the removal is honest is for the rules to say; here it only explains why an id is missing.
pub fn removed_ids(report: &Report, files: &[ChangedFile]) -> BTreeSet<String> {
    let (mut before, mut after) = (BTreeSet::new(), BTreeSet::new());
    for file in files {
        let old_path = file.old_path.as_deref().unwrap_or(&file.path);
        before.extend(file.base_text.iter().flat_map(|text| test_names(old_path, text)));
        after.extend(file.head_text.iter().flat_map(|text| test_names(&file.path, text)));
    }
    let gone = |id: &&String| {
        let leaf = leaf(report.runner, id);
        before.contains(leaf) && !after.contains(leaf)
    };
    report.ids().filter(gone).cloned().collect()
}
