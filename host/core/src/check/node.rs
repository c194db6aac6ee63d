//! `node --test`: TAP (`lib/internal/test_runner/reporter/tap.js`) and the `spec` reporter, the default of newer versions.
//!
//! An id is the path of names, `group > nested ok`. The same id in two files gets a number, since the report names no file.

use super::{Fault, Report};
use std::collections::HashMap;

pub fn read(output: &str) -> Report {
    let mut found = Found::default();
    if output.lines().any(|line| line == "TAP version 13")
        && !output.lines().any(|line| line.starts_with("\u{2139} tests "))
    {
        found.tap(output);
    } else {
        found.spec(output);
    }
    let Found { mut report, entries, passed, skipped, .. } = found;
    let lists = report.ids().next().is_some();
    report.lists_passed = lists;
    let summaries = Summary::all(output);
    report.sessions = summaries.len() as u32;
    report.complete = !summaries.is_empty();
    let sum = |of: fn(&Summary) -> u64| summaries.iter().map(of).fold(0, u64::saturating_add);
    report.counted = (!summaries.is_empty()).then(|| sum(|one| one.pass));
    // Before 18.17 the files were counted, and suites not at all.
    if summaries.iter().all(|one| one.suites.is_some()) && report.complete {
        let all = sum(|one| one.tests.saturating_add(one.suites.unwrap_or_default()));
        if entries != all || passed < sum(|one| one.pass) || skipped < sum(|one| one.skipped) {
            report.doubt(format!("{entries} tests and suites are listed, and the closing summary counts {all}"));
        }
    }
    report.no_tests = !lists
        && report.faults.is_empty()
        && (report.complete && sum(|one| one.tests) == 0 || output.starts_with("Could not find"));
    report
}

/// The closing lines, `# tests 6` of TAP or `ℹ tests 6` of spec, and those that follow. They come from the process above those of
/// the tests.
#[derive(Default)]
struct Summary {
    tests: u64,
    suites: Option<u64>,
    pass: u64,
    skipped: u64,
}

impl Summary {
    fn all(output: &str) -> Vec<Summary> {
        let entry = |line: &str| -> Option<(String, u64)> {
            let rest = line.strip_prefix("# ").or_else(|| line.strip_prefix("\u{2139} "))?;
            let (word, count) = rest.split_once(' ')?;
            Some((word.to_owned(), count.trim().parse().ok()?))
        };
        let mut all: Vec<Summary> = Vec::new();
        let mut open: Option<Summary> = None;
        for line in output.lines() {
            match (entry(line), &mut open) {
                (Some((word, count)), _) if word == "tests" => {
                    open = Some(Summary { tests: count, ..Summary::default() })
                }
                (Some((word, count)), Some(summary)) => match word.as_str() {
                    "suites" => summary.suites = Some(count),
                    "pass" => summary.pass = count,
                    "skipped" => summary.skipped = count,
                    "todo" => all.extend(open.take()),
                    _ => {}
                },
                (None, _) => open = None,
                (Some(_), None) => {}
            }
        }
        all
    }
}

#[derive(Default)]
struct Found {
    report: Report,
    seen: HashMap<String, usize>,
    /// Words of a file that failed to load, printed before its result.
    noise: String,
    /// Lines with a result: of tests, suites and files.
    entries: u64,
    passed: u64,
    skipped: u64,
}

#[derive(Clone, Copy)]
enum End {
    Passed,
    Failed,
    Skipped,
}

impl Found {
    fn count(&mut self, end: End) {
        self.entries += 1;
        match end {
            End::Passed => self.passed += 1,
            End::Failed => {}
            End::Skipped => self.skipped += 1,
        }
    }

    fn file(&mut self, id: String, end: End) {
        let count = self.seen.entry(id.clone()).or_insert(0);
        *count += 1;
        let id = if *count > 1 { format!("{id} ({count})") } else { id };
        match end {
            End::Passed => self.report.passed.push(id),
            End::Failed => self.report.failed.push(id),
            End::Skipped => self.report.skipped.push(id),
        }
    }

    /// A top-level entry named after a file is that file's process: it failed outside its tests.
    fn file_failed(&mut self, name: &str) {
        let noise = std::mem::take(&mut self.noise);
        self.report.faults.push(load_fault(name, &noise));
    }

    fn tap(&mut self, output: &str) {
        let mut names: Vec<String> = Vec::new();
        let mut lines = output.lines().peekable();
        while let Some(line) = lines.next() {
            let trimmed = line.trim_start();
            let depth = (line.len() - trimmed.len()) / 4;
            if let Some(name) = trimmed.strip_prefix("# Subtest: ") {
                names.truncate(depth);
                names.resize(depth, String::new());
                names.push(unescape(name));
                continue;
            }
            let (failed, rest) = match (trimmed.strip_prefix("not ok "), trimmed.strip_prefix("ok ")) {
                (Some(rest), _) => (true, rest),
                (None, Some(rest)) => (false, rest),
                (None, None) => {
                    if depth == 0 && trimmed.starts_with('#') {
                        self.noise.push_str(trimmed.trim_start_matches('#').strip_prefix(' ').unwrap_or_default());
                        self.noise.push('\n');
                    }
                    continue;
                }
            };
            let Some((number, rest)) = rest.split_once(" - ") else { continue };
            if number.parse::<u32>().is_err() {
                continue;
            }
            let (name, directive) = directive(rest);
            let name = unescape(name);
            let mut suite = false;
            let mut process = false;
            if lines.next_if(|line| line.trim() == "---").is_some() {
                let indent = line.len() - trimmed.len() + 2;
                while let Some(line) = lines.next_if(|line| line.trim() != "..." || line.len() > indent + 3) {
                    suite |= line.trim() == "type: 'suite'";
                    process |= line.trim_start().starts_with("exitCode: ");
                }
            }
            let end = match directive {
                Some(()) => End::Skipped,
                None if failed => End::Failed,
                None => End::Passed,
            };
            self.count(end);
            if depth == 0 && is_file(&name) && (failed || process) {
                self.file_failed(&name);
            } else if !(suite || depth == 0 && is_file(&name)) {
                names.truncate(depth);
                let path: Vec<&str> = names.iter().map(String::as_str).chain([name.as_str()]).collect();
                self.file(path.join(" > "), end);
            }
            if depth == 0 {
                self.noise.clear();
            }
            names.truncate(depth);
        }
    }

    fn spec(&mut self, output: &str) {
        let mut open: Vec<String> = Vec::new();
        for line in output.lines() {
            if line.trim_start().ends_with("failing tests:") {
                break;
            }
            let Some((depth, mark, rest)) = marked(line) else {
                self.note(line);
                continue;
            };
            let (text, directive) = directive(rest);
            let name = without_time(text).unwrap_or(text.trim_end());
            let end = match mark {
                SUITE => {
                    if open.len() == depth + 1 && open[depth] == name {
                        // Older versions close a suite with the sign that opens it.
                        self.count(End::Passed);
                        open.truncate(depth);
                    } else {
                        open.truncate(depth);
                        open.resize(depth, String::new());
                        open.push(name.to_owned());
                    }
                    continue;
                }
                PASSED => End::Passed,
                FAILED => End::Failed,
                _ => End::Skipped,
            };
            let end = if directive.is_some() { End::Skipped } else { end };
            self.count(end);
            let is_file = depth == 0 && is_file(name);
            if !is_file && open.len() > depth && open[depth] == name {
                open.truncate(depth);
                continue;
            }
            open.truncate(depth);
            if is_file {
                if matches!(end, End::Failed) {
                    self.file_failed(name);
                }
                continue;
            }
            let path: Vec<&str> = open.iter().map(String::as_str).chain([name]).collect();
            self.file(path.join(" > "), end);
            if depth == 0 {
                self.noise.clear();
            }
        }
    }

    fn note(&mut self, line: &str) {
        self.noise.push_str(line);
        self.noise.push('\n');
    }
}

/// Splits ` # SKIP why` or ` # TODO why` off a name.
fn directive(rest: &str) -> (&str, Option<()>) {
    for mark in [" # SKIP", " # TODO", " # skip", " # todo"] {
        if let Some((name, _)) = rest.rsplit_once(mark) {
            return (name, Some(()));
        }
    }
    (rest, None)
}

fn unescape(name: &str) -> String {
    name.replace("\\#", "#").replace("\\\\", "\\")
}

/// The name in `NAME (0.171ms)`.
fn without_time(text: &str) -> Option<&str> {
    let (name, time) = text.trim_end().rsplit_once(" (")?;
    time.strip_suffix("s)")?.trim_end_matches('m').parse::<f64>().is_ok().then_some(name)
}

const SUITE: char = '\u{25b6}';
const PASSED: char = '\u{2714}';
const FAILED: char = '\u{2716}';
const SKIPPED: char = '\u{fe63}';

/// Depth, mark and rest of a line of the spec reporter. Half a line that a test printed may stand before the mark; a result has a time.
fn marked(line: &str) -> Option<(usize, char, &str)> {
    let (at, mark) = line.char_indices().rev().find(|(at, char)| {
        let rest = line[at + char.len_utf8()..].strip_prefix(' ');
        match *char {
            SUITE => rest.is_some(),
            PASSED | FAILED | SKIPPED => rest.is_some_and(|rest| without_time(directive(rest).0).is_some()),
            _ => false,
        }
    })?;
    let before = &line[..at];
    let depth = (before.len() - before.trim_end_matches(' ').len()) / 2;
    Some((depth, mark, &line[at + mark.len_utf8() + 1..]))
}

fn is_file(name: &str) -> bool {
    [".js", ".mjs", ".cjs", ".ts", ".mts", ".cts", ".jsx", ".tsx"].iter().any(|ending| name.ends_with(ending))
        && !name.contains(' ')
}

/// What a file's process said before it died: `file:///w/test/a.mjs:2`, then the error.
fn load_fault(name: &str, noise: &str) -> Fault {
    let mut path = name.to_owned();
    let mut message = String::from("the file failed before its tests ran");
    let mut placed = false;
    for line in noise.lines() {
        let place = line.strip_prefix("file://").or_else(|| line.starts_with('/').then_some(line));
        if let Some((file, number)) = place.and_then(|place| place.rsplit_once(':')) {
            if !placed && number.parse::<u32>().is_ok() && is_file(file) {
                path = file.to_owned();
                placed = true;
            }
        } else if line.split([':', ' ']).next().is_some_and(|word| word.ends_with("Error")) {
            message = line.to_owned();
            if let Some((_, from)) = line.split_once(" imported from ").filter(|_| !placed) {
                path = from.trim().to_owned();
            }
        }
    }
    let syntax = message.starts_with("SyntaxError")
        && !message.contains("does not provide an export")
        && !message.contains("not found in module")
        && !message.contains("Named export");
    Fault { path, message, syntax }
}
