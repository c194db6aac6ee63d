//! Python's unittest in text form (`unittest/runner.py` of 3.8 to 3.14), which Django's runner shares.
//!
//! With `-v` each test has a line `NAME (ID) ... RESULT`; without, only failures are named. Before 3.11 the id lacked the
//! method's name.

use super::{Fault, Report, python};

pub fn read(output: &str) -> Report {
    let mut report = Report::default();
    let mut waiting: Option<String> = None;
    let mut count = None;
    let mut lines = output.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(rest) = line.strip_prefix("Ran ").and_then(|rest| rest.split_once(" test")) {
            count = rest.0.parse::<usize>().ok().or(count);
            waiting = None;
        } else if let Some(head) = line.strip_prefix("ERROR: ").or_else(|| line.strip_prefix("FAIL: ")) {
            if !lines.peek().is_some_and(|rule| rule.starts_with("----")) {
                continue;
            }
            let mut body = String::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("=====") && !line.starts_with("Ran ")) {
                body.push_str(line);
                body.push('\n');
            }
            section(&mut report, head, line.starts_with("FAIL"), &body);
        } else if let Some(id) = id_of(line) {
            waiting = result(&mut report, id, line);
        } else if let Some(id) = waiting.take() {
            waiting = result(&mut report, id, line);
        }
    }
    let named = report.ids().count();
    report.complete = count.is_some();
    report.lists_passed = !report.passed.is_empty();
    report.no_tests = named == 0
        && report.faults.is_empty()
        && (count == Some(0) || output.contains("ImportError: Start directory is not importable"));
    if report.lists_passed && count.is_some_and(|count| named > count + report.errored.len()) {
        // More names than tests that ran: somebody else prints result lines.
        report.complete = false;
    }
    if count.is_none() {
        report.faults.extend(python::fault(output));
    }
    report
}

/// The id in a line that starts with `NAME (ID)`.
fn id_of(line: &str) -> Option<String> {
    let (name, rest) = line.trim_start().split_once(" (")?;
    let (class, _) = rest.split_once(')')?;
    let is_name =
        |text: &str| !text.is_empty() && text.chars().all(|char| char.is_alphanumeric() || char == '_' || char == '.');
    if !is_name(name)
        || !is_name(class)
        || !class.contains('.') && !class.starts_with(|char: char| char.is_alphabetic())
    {
        return None;
    }
    let last = name.rsplit('.').next().unwrap_or(name);
    if class.rsplit('.').next() == Some(last) || class.ends_with(name) {
        return Some(class.to_owned());
    }
    // `setUpClass (module.Class)` speaks of the class.
    if matches!(name, "setUpClass" | "tearDownClass" | "setUpModule" | "tearDownModule") {
        return Some(class.to_owned());
    }
    Some(format!("{class}.{name}"))
}

/// Files the result a line ends in; gives the id back when the line has none yet.
fn result(report: &mut Report, id: String, line: &str) -> Option<String> {
    let word = line.rsplit_once("... ").map_or(line, |(_, word)| word).trim();
    let list = if word == "ok" {
        &mut report.passed
    } else if word == "FAIL" || word == "unexpected success" {
        &mut report.failed
    } else if word == "ERROR" {
        &mut report.errored
    } else if word.starts_with("skipped ") || word == "expected failure" {
        &mut report.skipped
    } else {
        return Some(id);
    };
    if !id.starts_with("unittest.loader._FailedTest") {
        list.push(id);
    }
    None
}

fn section(report: &mut Report, head: &str, failed: bool, body: &str) {
    let Some(id) = id_of(head) else { return };
    if id.starts_with("unittest.loader._FailedTest") {
        let module = head.split(" (").next().unwrap_or(head);
        let fault = python::fault(body).unwrap_or_else(|| Fault {
            path: format!("{}.py", module.replace('.', "/")),
            message: body.lines().find(|line| line.contains("Error")).unwrap_or("it could not be loaded").to_owned(),
            syntax: python::is_syntax(body),
        });
        report.faults.push(fault);
    } else if failed {
        report.failed.push(id);
    } else {
        report.errored.push(id);
    }
}
