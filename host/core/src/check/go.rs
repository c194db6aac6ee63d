//! `go test`: `-json` events (`go doc test2json`), `-v` text, and plain text, which names failures only.
//!
//! An id is the package and the test: `example.com/shop.TestSlug/empty`.

use super::{Fault, Report};
use std::collections::BTreeMap;

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
    import_path: String,
}

fn read_json(output: &str) -> Report {
    let mut report = Report { lists_passed: true, ..Report::default() };
    let mut running: BTreeMap<String, ()> = BTreeMap::new();
    let mut plain = String::new();
    let (mut opened, mut closed) = (0, 0);
    for line in output.lines() {
        let Some(event) = line.starts_with('{').then(|| serde_json::from_str::<Event>(line).ok()).flatten() else {
            plain.push_str(line);
            plain.push('\n');
            continue;
        };
        let id = format!("{}.{}", event.package, event.test);
        match (event.action.as_str(), event.test.is_empty()) {
            ("run", false) => {
                running.insert(id, ());
            }
            ("pass", false) => {
                running.remove(&id);
                report.passed.push(id);
            }
            ("fail", false) => {
                running.remove(&id);
                report.failed.push(id);
            }
            ("skip", false) => {
                running.remove(&id);
                report.skipped.push(id);
            }
            ("start", true) => opened += 1,
            ("pass" | "fail" | "skip", true) => closed += 1,
            ("build-output", _) => plain.push_str(&event.output),
            ("output", true) if event.import_path.is_empty() => plain.push_str(&event.output),
            _ => {}
        }
    }
    report.errored.extend(running.into_keys());
    report.faults = build_faults(&plain);
    report.complete = closed > 0 && closed >= opened;
    report.no_tests = report.ids().next().is_none() && report.faults.is_empty() && closed > 0;
    report
}

fn read_text(output: &str) -> Report {
    let mut report = Report { faults: build_faults(output), ..Report::default() };
    // A package is named after its tests.
    let mut pending: Vec<(String, char)> = Vec::new();
    let mut running: Vec<String> = Vec::new();
    let (mut verbose, mut closed, mut empty) = (false, 0, 0);
    for line in output.lines() {
        let trimmed = line.trim_start();
        if let Some(name) = line.strip_prefix("=== RUN ") {
            verbose = true;
            running.push(name.trim().to_owned());
        } else if let Some((word, rest)) = trimmed.strip_prefix("--- ").and_then(|rest| rest.split_once(": ")) {
            let name = rest.rsplit_once(" (").map_or(rest, |(name, _)| name);
            running.retain(|running| running != name);
            match word {
                "PASS" => pending.push((name.to_owned(), 'p')),
                "FAIL" => pending.push((name.to_owned(), 'f')),
                "SKIP" => pending.push((name.to_owned(), 's')),
                _ => {}
            }
        } else if let Some(package) = package(line) {
            closed += 1;
            empty += usize::from(line.contains("[no test files]") || line.contains("[no tests to run]"));
            for name in running.drain(..) {
                pending.push((name, 'e'));
            }
            for (name, end) in pending.drain(..) {
                let id = format!("{package}.{name}");
                match end {
                    'p' => report.passed.push(id),
                    'f' => report.failed.push(id),
                    's' => report.skipped.push(id),
                    _ => report.errored.push(id),
                }
            }
        }
    }
    let left_over = !pending.is_empty() || !running.is_empty();
    report.errored.extend(running);
    report.failed.extend(pending.into_iter().filter(|(_, end)| *end == 'f').map(|(name, _)| name));
    report.lists_passed = verbose;
    report.complete = closed > 0 && !left_over;
    let nothing = output.contains("matched no packages") || output.contains("no packages to test");
    report.no_tests =
        report.ids().next().is_none() && report.faults.is_empty() && (nothing || closed > 0 && empty == closed);
    report
}

/// The package of a closing line: `ok  \tPKG\t0.003s`, `FAIL\tPKG\t0.003s`, `FAIL\tPKG [build failed]`, `?   \tPKG\t[no test files]`.
fn package(line: &str) -> Option<&str> {
    let rest =
        line.strip_prefix("ok  \t").or_else(|| line.strip_prefix("FAIL\t")).or_else(|| line.strip_prefix("?   \t"))?;
    rest.split(['\t', ' ']).next().filter(|package| !package.is_empty())
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
