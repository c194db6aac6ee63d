//! pytest in text form: the lines of `-v`, the short summary (`-rA`), and the sections of collection errors.
//!
//! Ids are written as in pytest's JUnit file, so that both forms of one run agree: `tests/test_a.py::C::test_x[1]` is
//! `tests.test_a.C::test_x[1]`.

use super::{Fault, Report, python};

const WORDS: [&str; 6] = ["PASSED", "FAILED", "SKIPPED", "ERROR", "XFAIL", "XPASS"];

pub fn read(output: &str) -> Report {
    let mut report = Report::default();
    let mut section: Option<String> = None;
    let mut verbose = false;
    for line in output.lines() {
        let bar = line.trim_matches(['=', '_', '!', ' ']);
        if line.starts_with("___") || line.starts_with("===") {
            close(&mut report, section.take());
            if bar.starts_with("ERROR collecting ") {
                section = Some(String::new());
            }
            report.complete |=
                bar.rsplit_once(" in ").is_some_and(|(_, time)| time.starts_with(|char: char| char.is_ascii_digit()));
            report.no_tests |= bar.starts_with("no tests ran");
            continue;
        }
        if let Some(section) = &mut section {
            section.push_str(line);
            section.push('\n');
            continue;
        }
        if let Some(summary) = quiet_summary(line) {
            report.complete = true;
            report.no_tests |= summary.starts_with("no tests ran");
        }
        // `-v`: `ID WORD [ 50%]`; the short summary: `WORD ID - why`.
        if let Some((id, rest)) = line.split_once(' ').filter(|(id, _)| id.contains("::")) {
            let word = rest.split([' ', '(']).next().unwrap_or_default();
            verbose |= WORDS.contains(&word);
            file(&mut report, word, id);
        } else if let Some((word, rest)) = line.split_once(' ') {
            let word = word.split('(').next().unwrap_or(word);
            let id = rest.split(" - ").next().unwrap_or(rest);
            if id.contains("::") {
                verbose |= word == "PASSED";
                file(&mut report, word, id);
            }
        }
    }
    close(&mut report, section);
    if report.faults.is_empty() && !report.complete && output.contains("Traceback (most recent call last)") {
        report.faults.extend(python::fault(output));
    }
    report.lists_passed = verbose;
    report.no_tests &= report.ids().next().is_none() && report.faults.is_empty();
    report.no_tests |= output.contains("ERROR: file or directory not found:") && report.ids().next().is_none();
    report
}

/// The closing line of `-q`, such as `1 failed, 4 passed in 0.03s`.
fn quiet_summary(line: &str) -> Option<&str> {
    let (counts, time) = line.rsplit_once(" in ")?;
    let is_time = time.trim_end().ends_with('s') && time.starts_with(|char: char| char.is_ascii_digit());
    let is_counts =
        counts == "no tests ran" || counts.split(", ").all(|part| part.starts_with(|char: char| char.is_ascii_digit()));
    (is_time && is_counts && !counts.is_empty()).then_some(counts)
}

fn file(report: &mut Report, word: &str, id: &str) {
    let list = match word {
        "PASSED" => &mut report.passed,
        "FAILED" | "SUBFAILED" | "SUBFAIL" => &mut report.failed,
        "SKIPPED" | "XFAIL" | "XPASS" => &mut report.skipped,
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
