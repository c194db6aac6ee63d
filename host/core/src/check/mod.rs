//! What a run of the test command meant. Pure: running it is the sandbox's part, ordering the runs is `step`'s.
//!
//! A runner's output is a claim of the code under test; the exit status is the kernel's word. [`parse`] turns output into a
//! [`Report`] of test ids, [`judge`] holds the claim against the baseline.

mod go;
pub mod harness;
mod inventory;
mod judge;
mod junit;
mod libtest;
mod node;
mod pair;
mod pytest;
mod python;
mod report;
mod runner;
mod unittest;

pub use inventory::{demands, removed_ids, test_names};
pub use judge::{Expect, Judgement, Question, Run, judge};
pub use pair::Both;
pub use report::{Fault, Report};
pub use runner::{Runner, detect, sniff};

/// Reads the output of a test command.
///
/// `command` is the configured one, which may hide the runner (`make test`); then the output tells. `junit` is the JUnit file
/// the run was asked for by [`Runner::environment`], if it wrote one.
pub fn parse(command: &str, output: &str, junit: Option<&str>) -> Report {
    let Some(runner) = detect(command).or_else(|| sniff(output)) else { return Report::default() };
    let output = &strip_ansi(output);
    let mut report = match runner {
        Runner::Unittest => unittest::read(output),
        Runner::Pytest => pytest::read(output),
        Runner::Cargo => libtest::read(output),
        Runner::Nextest => libtest::read_nextest(output),
        Runner::Node => node::read(output),
        Runner::Go => go::read(output),
    };
    // Only pytest was asked for such a file: beside another runner it is the tested code that wrote it.
    if runner == Runner::Pytest
        && let Some(listed) = junit.and_then(|junit| junit::read(junit).ok())
    {
        pytest::hold_against(&mut report, listed);
    }
    report.runner = Some(runner);
    report.settle();
    report
}

/// Takes colours, titles and cursor movements out, so that a terminal-minded runner reads like a plain one.
///
/// A sequence (ECMA-48) that is not closed as it should be takes nothing with it.
fn strip_ansi(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(['\u{1b}', '\r']) {
        out.push_str(&rest[..at]);
        rest = rest[at..].strip_prefix('\r').unwrap_or_else(|| after_escape(&rest[at + 1..]));
    }
    out.push_str(rest);
    out
}

/// What follows an escape sequence, given what follows its first character.
fn after_escape(rest: &str) -> &str {
    if let Some(body) = rest.strip_prefix('[') {
        let end = body.find(|char: char| !(' '..='?').contains(&char)).unwrap_or(body.len());
        return body[end..].strip_prefix(|char: char| ('@'..='~').contains(&char)).unwrap_or(body);
    }
    if let Some(body) = rest.strip_prefix(']') {
        let end = body.find(['\u{7}', '\u{1b}', '\n']).unwrap_or(body.len());
        return body[end..].strip_prefix('\u{7}').or_else(|| body[end..].strip_prefix("\u{1b}\\")).unwrap_or(body);
    }
    rest
}

#[cfg(test)]
mod tests;
