//! Rust: libtest under `cargo test` (`library/test/src/formatters/pretty.rs`), `cargo nextest`, and errors of the compiler.
//!
//! An id is the binary and the test's path in it: `shop tests::adds`. The binary comes from cargo's `Running …` line.

use super::{Fault, Report};

pub fn read(output: &str) -> Report {
    let mut report = Report { faults: compile_faults(output), ..Report::default() };
    let mut binary = String::new();
    let mut waiting: Option<String> = None;
    let (mut announced, mut closed, mut counted) = (0u64, 0u64, 0usize);
    let (mut ran, mut terse) = (0usize, false);
    for line in output.lines() {
        let trimmed = line.trim_start();
        if let Some(rest) = trimmed.strip_prefix("Running ").filter(|_| line.starts_with("     ")) {
            binary = binary_name(rest);
        } else if let Some(name) = trimmed.strip_prefix("Doc-tests ").filter(|_| line.starts_with("   ")) {
            binary = format!("{name} (doc)");
        } else if let Some(count) = line.strip_prefix("running ").and_then(|rest| rest.split_once(" test")) {
            announced += 1;
            ran += count.0.parse::<usize>().unwrap_or(0);
            waiting = None;
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            closed += 1;
            counted += counts(rest);
            waiting = None;
        } else if let Some((name, word)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            // `test NAME - should panic ... ok`
            let name = name.strip_suffix(" - should panic").unwrap_or(name);
            waiting = result(&mut report, id(&binary, name), word);
        } else if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            report.failed.push(id(&binary, name));
        } else if let Some(id) = waiting.take() {
            waiting = result(&mut report, id, line);
        } else if announced > closed && is_dots(line) {
            terse = true;
        }
    }
    // One id may be reported by a result line and by a failure section.
    report.failed.sort();
    report.failed.dedup();
    let named = report.ids().count();
    report.lists_passed = !terse && named > 0;
    report.complete = announced > 0 && announced == closed && (terse || named == counted);
    report.no_tests = announced > 0 && announced == closed && ran == 0 && named == 0;
    report
}

/// True for a line of `-q`: `..iF 4/9`.
fn is_dots(line: &str) -> bool {
    let dots = line.split(' ').next().unwrap_or_default();
    !dots.is_empty() && dots.chars().all(|char| matches!(char, '.' | 'i' | 'F'))
}

fn id(binary: &str, name: &str) -> String {
    if binary.is_empty() { name.to_owned() } else { format!("{binary} {name}") }
}

/// `unittests src/lib.rs (target/debug/deps/shop-507999230d6984fa)` is `shop`.
fn binary_name(rest: &str) -> String {
    let path = rest.rsplit_once('(').map_or(rest, |(_, path)| path).trim_end_matches(')');
    let file = path.rsplit(['/', '\\']).next().unwrap_or(path).trim_end_matches(".exe");
    let stem = match file.rsplit_once('-') {
        Some((stem, hash)) if hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()) => stem,
        _ => file,
    };
    stem.to_owned()
}

/// Passed, failed and ignored of `ok. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; …`.
fn counts(rest: &str) -> usize {
    rest.split("; ")
        .filter_map(|part| {
            let mut words = part.split(' ').rev();
            let (kind, count) = (words.next()?, words.next()?);
            matches!(kind, "passed" | "failed" | "ignored").then(|| count.parse::<usize>().ok()).flatten()
        })
        .sum()
}

fn result(report: &mut Report, id: String, word: &str) -> Option<String> {
    let word = word.trim_end();
    // With `--nocapture` the test's own output stands before the word.
    if word == "ok" || word.starts_with("ok <") {
        report.passed.push(id);
    } else if word == "FAILED" || word.starts_with("FAILED <") {
        report.failed.push(id);
    } else if word.starts_with("ignored") {
        report.skipped.push(id);
    } else {
        return Some(id);
    }
    None
}

/// Errors of rustc: a line `error…: MESSAGE` followed by its place, ` --> FILE:LINE:COLUMN`.
fn compile_faults(output: &str) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut message: Option<&str> = None;
    for line in output.lines() {
        if line.starts_with("error") {
            message = Some(line);
        } else if line.starts_with("warning") {
            message = None;
        } else if let Some(place) = line.trim_start().strip_prefix("--> ")
            && let Some(message) = message.take()
        {
            let path = place.rsplitn(3, ':').last().unwrap_or(place);
            let has_code = message.starts_with("error[E");
            let parse = [
                "error: expected",
                "error: unexpected",
                "error: this file contains an unclosed",
                "error: mismatched closing",
                "error: unterminated",
                "error: unknown start of token",
            ];
            let syntax = !has_code && parse.iter().any(|start| message.starts_with(start));
            faults.push(Fault { path: path.to_owned(), message: message.to_owned(), syntax });
        }
    }
    faults
}

/// Reads nextest: `PASS [   0.007s] (1/4) shop tests::adds`.
pub fn read_nextest(output: &str) -> Report {
    let mut report = Report { faults: compile_faults(output), ..Report::default() };
    let mut total = None;
    for line in output.lines() {
        let Some((word, rest)) = line.trim_start().split_once(" [").filter(|_| line.starts_with("  ")) else {
            report.no_tests |= line.starts_with("error: no tests to run");
            continue;
        };
        let Some((_, rest)) = rest.split_once(']') else { continue };
        let rest = rest.trim_start();
        if word == "Summary" {
            report.complete = true;
            total = rest.split(' ').next().and_then(|count| count.parse::<usize>().ok());
            // What follows repeats the failures.
            break;
        }
        // `(1/4)` may be missing in older versions.
        let name = rest.split_once(") ").filter(|_| rest.starts_with('(')).map_or(rest, |(_, name)| name).trim();
        let list = match word {
            "PASS" | "LEAK" | "SLOW+PASS" => &mut report.passed,
            "FAIL" | "TIMEOUT" | "ABORT" | "LEAK-FAIL" => &mut report.failed,
            "SKIP" => &mut report.skipped,
            word if word.starts_with("SIG") => &mut report.failed,
            word if word.starts_with("FLAKY") => &mut report.passed,
            word if word.starts_with("TRY") && !word.contains("PASS") => continue,
            _ => continue,
        };
        list.push(name.to_owned());
    }
    let ran = report.passed.len() + report.failed.len();
    report.lists_passed = !report.passed.is_empty();
    report.complete &= total.is_none_or(|total| ran == total);
    report.no_tests |= total == Some(0);
    report
}
