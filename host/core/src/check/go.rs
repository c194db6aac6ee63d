//! `go test`: `-v` text, `-json` events (`go doc test2json`), and plain text, which names failures only.
//!
//! An id is the package and the test: `example.com/shop.TestSlug/empty`. A test that prints half a line has its result on the same
//! line (`half--- PASS: TestHalf (0.00s)`), and then test2json of Go 1.19 gives no event for it; so events are read as the text they
//! carry. What a package's process printed says nothing by itself: its tests begin and end by name, its process closes with `PASS`,
//! and `go` closes it with `ok`.

use super::{Fault, Report};
use std::collections::{BTreeMap, BTreeSet};

pub fn read(output: &str) -> Report {
    let mut report = if output.lines().any(|line| line.starts_with('{') && line.contains("\"Action\":")) {
        read_json(output)
    } else {
        read_text(output)
    };
    report.faults.dedup();
    report
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase", default)]
#[derive(Default)]
struct Event {
    action: String,
    package: String,
    test: String,
    output: String,
}

fn read_json(output: &str) -> Report {
    // Packages run side by side; each one's text is whole by itself.
    let mut packages: BTreeMap<String, String> = BTreeMap::new();
    let mut closed: BTreeSet<String> = BTreeSet::new();
    let mut plain = String::new();
    let (mut passed, mut failed, mut skipped) = (Vec::new(), Vec::new(), Vec::new());
    for line in output.lines() {
        let Some(event) = line.starts_with('{').then(|| serde_json::from_str::<Event>(line).ok()).flatten() else {
            plain.push_str(line);
            plain.push('\n');
            continue;
        };
        let id = format!("{}.{}", event.package, event.test);
        match (event.action.as_str(), event.test.is_empty()) {
            ("pass", false) => passed.push(id),
            ("fail", false) => failed.push(id),
            ("skip", false) => skipped.push(id),
            ("pass" | "fail" | "skip", true) => {
                closed.insert(event.package);
            }
            ("build-output", _) => plain.push_str(&event.output),
            ("output", _) => packages.entry(event.package).or_default().push_str(&event.output),
            _ => {}
        }
    }
    let whole = packages.keys().all(|package| closed.contains(package));
    plain.extend(packages.into_values());
    let mut report = read_text(&plain);
    report.passed.append(&mut passed);
    report.failed.append(&mut failed);
    report.skipped.append(&mut skipped);
    report.lists_passed = true;
    report.complete &= whole;
    report
}

#[derive(Clone, Copy)]
enum End {
    Passed,
    Failed,
    Skipped,
}

/// What stands before the line that closes a package, and so is named after it.
#[derive(Default)]
struct Open<'a> {
    ended: Vec<(&'a str, End)>,
    running: Vec<&'a str>,
    /// Names that ended although they were not running.
    strangers: Vec<&'a str>,
    /// The process printed its closing `PASS`, and nothing of a test after it.
    pass: bool,
}

fn read_text(output: &str) -> Report {
    let mut report = Report { faults: build_faults(output), ..Report::default() };
    let verbose = output.lines().any(|line| begin(line).is_some());
    let mut open = Open::default();
    let mut closed: BTreeMap<&str, u32> = BTreeMap::new();
    let mut empty = 0;
    for line in output.lines() {
        if let Some((word, package)) = closing(line) {
            *closed.entry(package).or_default() += 1;
            empty += usize::from(line.contains("[no test files]") || line.contains("[no tests to run]"));
            let open = std::mem::take(&mut open);
            if let Some(name) = open.strangers.first().filter(|_| verbose) {
                report.doubt(format!("{package}.{name} is said to have ended and did not begin"));
            }
            if verbose && word == "ok" && !open.pass {
                report.doubt(format!("the process of {package} ended without saying PASS: was it made to exit?"));
            }
            let id = |name: &str| format!("{package}.{name}");
            report.errored.extend(open.running.into_iter().map(id));
            for (name, end) in open.ended {
                match end {
                    End::Passed => report.passed.push(id(name)),
                    End::Failed => report.failed.push(id(name)),
                    End::Skipped => report.skipped.push(id(name)),
                }
            }
        } else if let Some(name) = begin(line) {
            open.running.push(name);
            open.pass = false;
        } else if let Some((name, end, alone)) = result(line) {
            match open.running.iter().position(|running| *running == name) {
                Some(at) => {
                    open.running.remove(at);
                }
                // Words in the middle of a line are a result only of a test that runs.
                None if !alone => continue,
                None => open.strangers.push(name),
            }
            open.ended.push((name, end));
            open.pass = false;
        } else if line.ends_with("PASS") {
            open.pass = true;
        }
    }
    let whole = open.ended.is_empty() && open.running.is_empty();
    report.errored.extend(open.running.into_iter().map(str::to_owned));
    let failed = open.ended.into_iter().filter(|(_, end)| matches!(end, End::Failed));
    report.failed.extend(failed.map(|(name, _)| name.to_owned()));
    report.lists_passed = verbose;
    report.sessions = closed.values().copied().max().unwrap_or_default();
    report.complete = !closed.is_empty() && whole;
    let nothing = output.contains("matched no packages") || output.contains("no packages to test");
    let times: u32 = closed.values().sum();
    report.no_tests = report.ids().next().is_none()
        && report.faults.is_empty()
        && (nothing || !closed.is_empty() && empty == times as usize);
    report
}

/// The name in `=== RUN   TestSlug`, which may stand behind half a line of somebody else's.
fn begin(line: &str) -> Option<&str> {
    line.rsplit_once("=== RUN   ").map(|(_, name)| name.trim_end())
}

/// The result in `    --- PASS: TestSlug/odd_(1.00s) (0.00s)`; whether it has the line for itself.
fn result(line: &str) -> Option<(&str, End, bool)> {
    let (before, rest) = line.rsplit_once("--- ")?;
    let (word, rest) = rest.split_once(": ")?;
    let (name, time) = rest.trim_end().rsplit_once(" (")?;
    let seconds = time.strip_suffix("s)")?;
    if seconds.is_empty() || !seconds.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let end = match word {
        "PASS" => End::Passed,
        "FAIL" => End::Failed,
        "SKIP" => End::Skipped,
        _ => return None,
    };
    Some((name, end, before.trim_start().is_empty()))
}

/// Word and package of a closing line: `ok  \tPKG\t0.003s`, `FAIL\tPKG\t0.003s`, `FAIL\tPKG [build failed]`, `?   \tPKG\t[no test files]`.
fn closing(line: &str) -> Option<(&str, &str)> {
    let (word, rest) = line.split_once('\t')?;
    let word = word.trim_end();
    let package = rest.split(['\t', ' ']).next().filter(|package| !package.is_empty())?;
    matches!(word, "ok" | "FAIL" | "?").then_some((word, package))
}

/// Compiler errors: `./slug_test.go:9:12: undefined: Slug`, also with `vet: ` in front.
fn build_faults(output: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut in_build = false;
    for line in output.lines() {
        if line.starts_with("# ") {
            in_build = true;
            continue;
        }
        let text = line.strip_prefix("vet: ").unwrap_or(line);
        if !in_build && text == line {
            continue;
        }
        let Some((path, rest)) = text.split_once(".go:") else {
            in_build &= line.starts_with('\t') || line.starts_with("too many errors");
            continue;
        };
        let mut parts = rest.splitn(3, ':');
        let (Some(number), Some(_), Some(message)) = (parts.next(), parts.next(), parts.next()) else { continue };
        if number.parse::<u32>().is_err() || path.contains(' ') {
            continue;
        }
        let message = message.trim();
        let syntax = message.starts_with("syntax error") || message.starts_with("expected ");
        faults.push(Fault { path: format!("{path}.go"), message: message.to_owned(), syntax });
    }
    faults
}
