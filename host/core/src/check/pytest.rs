//! pytest in text form: the lines of `-v`, the short summary (`-rA`), the closing bar, and the sections of collection errors; and
//! what its JUnit file must agree with.
//!
//! Ids are written as in pytest's JUnit file, so that both forms of one run agree: `tests/test_a.py::C::test_x[1]` is
//! `tests.test_a.C::test_x[1]`.

use super::{Fault, Report, python};

const WORDS: [&str; 6] = ["PASSED", "FAILED", "SKIPPED", "ERROR", "XFAIL", "XPASS"];

pub fn read(output: &str) -> Report {
    let mut report = Report::default();
    let mut section: Option<String> = None;
    let mut run = Session::default();
    for line in output.lines() {
        let is_bar = line.starts_with("___") || line.starts_with("===");
        let bar = if is_bar { line.trim_matches(['=', '_', '!', ' ']) } else { line };
        if let Some(summary) = Summary::of(bar) {
            close(&mut report, section.take());
            std::mem::take(&mut run).close(&mut report, &summary);
        } else if is_bar {
            close(&mut report, section.take());
            if bar.starts_with("ERROR collecting ") {
                section = Some(String::new());
            }
        } else if let Some(section) = &mut section {
            section.push_str(line);
            section.push('\n');
        } else {
            run.read(&mut report, line);
        }
    }
    close(&mut report, section);
    if report.sessions > 0 && run.passed() > 0 {
        report.doubt("tests are listed after the closing summary");
    }
    report.complete = report.sessions > 0;
    if report.faults.is_empty() && !report.complete && output.contains("Traceback (most recent call last)") {
        report.faults.extend(python::fault(output));
    }
    report.no_tests &= report.ids().next().is_none() && report.faults.is_empty();
    report.no_tests |= output.contains("ERROR: file or directory not found:") && report.ids().next().is_none();
    report
}

/// Takes the ids from the JUnit file of the same run, and holds the text against them.
pub fn hold_against(report: &mut Report, file: Report) {
    report.filed = true;
    if report.sessions > 1 {
        // The last run wrote over the files of those before it; the text has all of them.
        return;
    }
    let missing = |text: &[String], file: &[String]| text.iter().find(|id| !file.contains(id)).cloned();
    let differs = missing(&report.passed, &file.passed)
        .or_else(|| missing(&report.skipped, &file.skipped))
        .or_else(|| missing(&report.failed, &file.failed))
        .or_else(|| missing(&report.errored, &file.errored));
    if let Some(id) = differs {
        report.doubt(format!("the report file does not say of {id} what the output says"));
    }
    if report.counted.is_some_and(|counted| file.counted != Some(counted)) {
        report.doubt("the report file does not list as many tests as the closing summary counts");
    }
    if let Some(why) = file.doubt {
        report.doubt(why);
    }
    report.passed = file.passed;
    report.failed = file.failed;
    report.skipped = file.skipped;
    report.errored = file.errored;
    report.faults.extend(file.faults);
    report.lists_passed = true;
}

/// What one run of pytest listed.
#[derive(Default)]
struct Session<'a> {
    /// Tests that passed by the lines of `-v`, none of which may have come.
    verbose: Option<u64>,
    /// Tests that passed by the short summary.
    short: u64,
    /// With `-s` a test prints between its id and its result.
    waiting: Option<&'a str>,
}

impl<'a> Session<'a> {
    fn passed(&self) -> u64 {
        self.verbose.unwrap_or(self.short)
    }

    fn read(&mut self, report: &mut Report, line: &'a str) {
        let word = word_at_end(line);
        let id = id_at_start(line);
        match (id, word) {
            (Some(id), Some(word)) => self.end(report, id, word),
            (Some(id), None) if id.contains(".py::") => self.waiting = Some(id),
            (None, Some(word)) if self.waiting.is_some() => {
                let id = self.waiting.unwrap_or_default();
                self.end(report, id, word);
            }
            _ => {
                // The short summary: `WORD ID - why`.
                let Some((word, rest)) = line.split_once(' ') else { return };
                let id = rest.split(" - ").next().unwrap_or(rest).trim_end();
                if id.contains("::") {
                    let word = word.split('(').next().unwrap_or(word);
                    self.short += u64::from(matches!(word, "PASSED" | "XPASS"));
                    report.lists_passed |= word == "PASSED";
                    file(report, word, id);
                }
            }
        }
    }

    /// A line of `-v`, or of pytest-xdist: `ID WORD [ 50%]`.
    fn end(&mut self, report: &mut Report, id: &str, word: &str) {
        self.waiting = None;
        *self.verbose.get_or_insert_default() += u64::from(matches!(word, "PASSED" | "XPASS"));
        report.lists_passed = true;
        file(report, word, id);
    }

    fn close(self, report: &mut Report, summary: &Summary) {
        report.sessions += 1;
        report.no_tests |= summary.none;
        if summary.broken > 0 {
            if report.failed.is_empty() && report.errored.is_empty() && report.faults.is_empty() {
                report.doubt("the closing summary counts failures, and none is listed");
            }
            return;
        }
        report.counted = Some(report.counted.unwrap_or_default() + summary.passed);
        if (self.verbose.is_some() || self.short > 0) && self.passed() != summary.passed {
            report.doubt(format!(
                "{} tests are listed as passed, and the closing summary counts {}",
                self.passed(),
                summary.passed
            ));
        }
    }
}

/// The closing bar, such as `1 failed, 4 passed, 1 xpassed in 0.03s`; with `-q` it has no `=`.
struct Summary {
    /// Unexpectedly or not, as the JUnit file counts them.
    passed: u64,
    broken: u64,
    none: bool,
}

impl Summary {
    fn of(line: &str) -> Option<Summary> {
        let (counts, time) = line.trim_end().rsplit_once(" in ")?;
        if !time.starts_with(|char: char| char.is_ascii_digit()) || !time.ends_with(['s', ')']) {
            return None;
        }
        let mut summary = Summary { passed: 0, broken: 0, none: false };
        for part in counts.split(", ") {
            if part == "no tests ran" {
                summary.none = true;
                continue;
            }
            let (count, word) = part.split_once(' ')?;
            let count: u64 = count.parse().ok()?;
            match word {
                "passed" | "xpassed" => summary.passed = summary.passed.saturating_add(count),
                "failed" | "error" | "errors" => summary.broken = summary.broken.saturating_add(count),
                _ => {}
            }
        }
        Some(summary)
    }
}

/// The result a line ends in: `… SKIPPED (why)   [ 50%]`, or of pytest-xdist `[gw0] [ 50%] PASSED ID`.
fn word_at_end(line: &str) -> Option<&'static str> {
    if let Some((_, rest)) = worker_line(line) {
        return WORDS.into_iter().find(|word| rest.split(' ').next() == Some(word));
    }
    let line = line.trim_end();
    let progress = |inner: &str| inner.bytes().all(|byte| byte.is_ascii_digit() || b" %/".contains(&byte));
    let text = match line.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) {
        Some((text, inner)) if progress(inner) => text.trim_end(),
        _ => line,
    };
    WORDS.into_iter().find(|word| {
        let Some((before, why)) = text.rsplit_once(word) else { return false };
        // `PASSED` alone, behind an id, or behind what the test printed.
        !before.ends_with('X') && (why.is_empty() || why.starts_with(" (") && why.ends_with(')'))
    })
}

/// The id a line begins with; parameters may hold spaces.
fn id_at_start(line: &str) -> Option<&str> {
    if let Some((_, rest)) = worker_line(line) {
        return rest.split_once(' ').map(|(_, id)| id.trim_end()).filter(|id| id.contains("::"));
    }
    let first = line.split(' ').next().filter(|first| first.contains("::"))?;
    if !first.contains('[') || first.ends_with(']') {
        return Some(first);
    }
    line.find("] ").map(|end| &line[..=end])
}

/// Worker and rest of `[gw0] [ 50%] PASSED ID`.
fn worker_line(line: &str) -> Option<(&str, &str)> {
    let (worker, rest) = line.strip_prefix("[gw")?.split_once("] [")?;
    Some((worker, rest.split_once("] ")?.1))
}

fn file(report: &mut Report, word: &str, id: &str) {
    let list = match word {
        "PASSED" | "XPASS" => &mut report.passed,
        "FAILED" | "SUBFAILED" | "SUBFAIL" => &mut report.failed,
        "SKIPPED" | "XFAIL" => &mut report.skipped,
        "ERROR" => &mut report.errored,
        _ => return,
    };
    list.push(junit_id(id));
}

/// The id as the JUnit file has it.
fn junit_id(id: &str) -> String {
    let Some((path, rest)) = id.split_once("::") else { return id.to_owned() };
    let module = path.strip_suffix(".py").unwrap_or(path).replace('/', ".");
    // Parameters may hold `::`.
    let (names, parameters) = rest.find('[').map_or((rest, ""), |at| rest.split_at(at));
    match names.rsplit_once("::") {
        Some((classes, name)) => format!("{module}.{}::{name}{parameters}", classes.replace("::", ".")),
        None => format!("{module}::{names}{parameters}"),
    }
}

fn close(report: &mut Report, section: Option<String>) {
    report.faults.extend(section.and_then(|section| collection_fault(&section)));
}

/// Where a collection error lies: the last `PATH:LINE: in NAME` outside the library, or a `File "…"` of a syntax error.
pub fn collection_fault(section: &str) -> Option<Fault> {
    let mut path = None;
    let mut message = None;
    for line in section.lines() {
        if let Some(error) = line.strip_prefix("E ") {
            let error = error.trim_start();
            if let Some((file, _)) = error.strip_prefix("File \"").and_then(|rest| rest.split_once("\", line ")) {
                path = Some(file.to_owned());
            } else if error.contains("Error") || message.is_none() {
                message = Some(error.to_owned());
            }
        } else if let Some((place, _)) = line.split_once(": in ") {
            let file = place.rsplit_once(':').map_or(place, |(file, _)| file);
            if !python::is_library(file) {
                path = Some(file.to_owned());
            }
        }
    }
    let path = path.or_else(|| {
        section.split_once("test module '").and_then(|(_, rest)| rest.split('\'').next()).map(str::to_owned)
    })?;
    let message = message.unwrap_or_else(|| "it could not be collected".to_owned());
    Some(Fault { syntax: python::is_syntax(&message), path, message })
}
