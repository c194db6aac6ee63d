//! Rust: libtest under `cargo test` (`library/test/src/formatters/pretty.rs`), `cargo nextest`, and errors of the compiler.
//!
//! An id is the binary and the test's path in it: `shop tests::adds`. The binary comes from cargo's `Running …` line.

use super::{Fault, Report};
use std::collections::{BTreeMap, BTreeSet};

pub fn read(output: &str) -> Report {
    let mut report = Report { faults: compile_faults(output), ..Report::default() };
    let mut binaries = Binaries::default();
    let mut section: Option<Section> = None;
    let mut waiting: Option<String> = None;
    let (mut announced, mut closed, mut ran) = (0u64, 0u64, 0usize);
    for line in output.lines() {
        let trimmed = line.trim_start();
        if let Some(rest) = trimmed.strip_prefix("Running ").filter(|_| line.starts_with("     ")) {
            binaries.open(binary_name(rest), rest);
        } else if let Some(name) = trimmed.strip_prefix("Doc-tests ").filter(|_| line.starts_with("   ")) {
            binaries.open(format!("{name} (doc)"), trimmed);
        } else if let Some(count) = line.strip_prefix("running ").and_then(|rest| rest.split_once(" test")) {
            let count = count.0.parse::<usize>().unwrap_or(0);
            announced += 1;
            ran += count;
            waiting = None;
            section = Some(Section { announced: count, ..Section::default() });
        } else if let Some(rest) = line.strip_prefix("test result: ") {
            closed += 1;
            waiting = None;
            binaries.spoken();
            match section.take() {
                Some(section) => section.close(&mut report, rest),
                None => report.doubt("a result of tests stands where none were running"),
            }
        } else if let Some((name, word)) = line.strip_prefix("test ").and_then(|rest| rest.split_once(" ... ")) {
            if is_case(name) {
                continue;
            }
            // `test NAME - should panic ... ok`
            let name = name.strip_suffix(" - should panic").unwrap_or(name);
            waiting = result(&mut report, &mut section, id(&binaries.name, name), word);
        } else if let Some(name) = line.strip_prefix("---- ").and_then(|rest| rest.strip_suffix(" stdout ----")) {
            report.failed.push(id(&binaries.name, name));
        } else if let Some(id) = waiting.take() {
            waiting = result(&mut report, &mut section, id, line);
        } else if let Some(section) = section.as_mut().filter(|_| is_dots(line)) {
            section.terse = true;
        }
    }
    if let Some(name) = binaries.silent() {
        report.doubt(format!("{name} was run, and the tests reported under its name are not its own"));
    }
    // One id may be reported by a result line and by a failure section.
    report.failed.sort();
    report.failed.dedup();
    let named = report.ids().count();
    let is_terse = report.counted.is_some_and(|counted| counted > report.passed.len() as u64);
    report.lists_passed = named > 0 && !is_terse;
    report.sessions = binaries.sessions();
    report.complete = announced > 0 && announced == closed;
    report.no_tests = report.complete && ran == 0 && named == 0;
    report
}

/// The test binaries cargo said it ran.
#[derive(Default)]
struct Binaries {
    name: String,
    /// Whether a result came from the one that runs now.
    spoke: bool,
    /// How often each line of cargo came, and the names of those that gave a result or none.
    lines: BTreeMap<String, u32>,
    told: BTreeSet<String>,
    untold: BTreeSet<String>,
}

impl Binaries {
    fn open(&mut self, name: String, line: &str) {
        self.leave();
        self.name = name;
        self.spoke = false;
        *self.lines.entry(line.to_owned()).or_default() += 1;
    }

    fn spoken(&mut self) {
        self.spoke = true;
    }

    fn leave(&mut self) {
        let list = if self.spoke { &mut self.told } else { &mut self.untold };
        list.insert(self.name.clone());
    }

    /// A binary that ran without a word, although its name stands over a result. Without results at all, it has another harness.
    fn silent(&mut self) -> Option<String> {
        self.leave();
        self.untold.intersection(&self.told).find(|name| !name.is_empty()).cloned()
    }

    fn sessions(&self) -> u32 {
        self.lines.values().copied().max().unwrap_or_default()
    }
}

/// What stands between `running 3 tests` and its `test result: …`.
#[derive(Default)]
struct Section {
    announced: usize,
    passed: usize,
    listed: usize,
    terse: bool,
}

impl Section {
    fn close(self, report: &mut Report, result: &str) {
        let passed = count(result, "passed");
        report.counted = Some(report.counted.unwrap_or_default().saturating_add(passed as u64));
        let all =
            ["failed", "ignored", "measured"].iter().fold(passed, |sum, kind| sum.saturating_add(count(result, kind)));
        let lists = self.listed > 0 || !self.terse && self.announced > 0;
        if all != self.announced || lists && (self.listed != all || self.passed != passed) {
            report.doubt(format!(
                "{} tests were to run, {} are listed ({} as passed), and the result counts {passed} of {all} as passed",
                self.announced, self.listed, self.passed
            ));
        }
    }
}

/// True for lines of a test's own, such as trybuild's `test tests/ui/a.rs ... ok`. Of libtest's only documentation tests name files.
fn is_case(name: &str) -> bool {
    name.contains('/') && !name.contains(" - ")
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

/// The count of a kind in `ok. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; …`.
fn count(result: &str, kind: &str) -> usize {
    let found = result.split("; ").find_map(|part| {
        let mut words = part.split(' ').rev();
        (words.next()? == kind).then(|| words.next()?.parse().ok()).flatten()
    });
    found.unwrap_or_default()
}

fn result(report: &mut Report, section: &mut Option<Section>, id: String, word: &str) -> Option<String> {
    let word = word.trim_end();
    // With `--nocapture` the test's own output stands before the word.
    let passed = word == "ok" || word.starts_with("ok <");
    if passed {
        report.passed.push(id);
    } else if word == "FAILED" || word.starts_with("FAILED <") {
        report.failed.push(id);
    } else if word.starts_with("ignored") {
        report.skipped.push(id);
    } else if !word.starts_with("bench: ") {
        return Some(id);
    }
    match section {
        Some(section) => {
            section.listed += 1;
            section.passed += usize::from(passed);
        }
        None => report.doubt("a test has a result where none were running"),
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
///
/// Each test is a process of its own, and its exit code is its result: what it prints is shown only where it failed.
pub fn read_nextest(output: &str) -> Report {
    let mut report = Report { faults: compile_faults(output), ..Report::default() };
    let (mut passed, mut ran) = (0u64, 0u64);
    let mut closed = false;
    for line in output.lines() {
        if line.trim_start().starts_with("Nextest run ID ") {
            closed = false;
        }
        let Some((word, rest)) = line.trim_start().split_once(" [").filter(|_| line.starts_with("  ")) else {
            report.no_tests |= line.starts_with("error: no tests to run");
            continue;
        };
        let Some((_, rest)) = rest.split_once(']').filter(|_| !closed) else { continue };
        let rest = rest.trim_start();
        if word == "Summary" {
            // What follows repeats the failures.
            closed = true;
            report.sessions += 1;
            close_nextest(&mut report, rest, std::mem::take(&mut passed), std::mem::take(&mut ran));
            continue;
        }
        // `(1/4)` may be missing in older versions.
        let name = rest.split_once(") ").filter(|_| rest.starts_with('(')).map_or(rest, |(_, name)| name).trim();
        let is_pass =
            matches!(word, "PASS" | "LEAK" | "SLOW+PASS") || word.starts_with("TRY") && word.ends_with("PASS");
        let list = match word {
            _ if is_pass => &mut report.passed,
            "FAIL" | "TIMEOUT" | "ABORT" | "LEAK-FAIL" => &mut report.failed,
            "SKIP" => {
                report.skipped.push(name.to_owned());
                continue;
            }
            word if word.starts_with("SIG") => &mut report.failed,
            _ => continue,
        };
        list.push(name.to_owned());
        ran += 1;
        passed += u64::from(is_pass);
    }
    report.lists_passed = !report.passed.is_empty();
    report.complete = report.sessions > 0;
    report
}

/// Holds what was listed against `4 tests run: 3 passed (1 flaky), 1 failed, 0 skipped`.
fn close_nextest(report: &mut Report, summary: &str, passed: u64, ran: u64) {
    let number = |text: &str| text.trim_start().split([' ', '/']).next().and_then(|count| count.parse::<u64>().ok());
    let (total, counts) = summary.split_once(" run: ").unwrap_or((summary, ""));
    let said =
        counts.split(", ").find(|part| part.split(' ').nth(1) == Some("passed")).and_then(number).unwrap_or_default();
    let total = number(total);
    report.no_tests |= total == Some(0);
    report.counted = Some(report.counted.unwrap_or_default().saturating_add(said));
    if total != Some(ran) || passed != said {
        report.doubt(format!("{ran} tests are listed ({passed} as passed), and the summary says: {summary}"));
    }
}
