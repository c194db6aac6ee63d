//! Red, build-red, green, or an error of the machinery: the rules of "Checks mean something", and the sentence that says why.

use super::{Fault, Report, Runner, inventory::leaf};
use crate::{
    executor::{EndCause, RunEnd},
    facts::{CheckOutcome, TestEvidence},
};
use std::collections::BTreeSet;

/// What a run should show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The base is green, or has no tests at all.
    Baseline,
    /// Tests new in this stage fail.
    TestsFail,
    /// All tests pass.
    TestsPass,
}

/// One run of the test command: how it ended, and what it claims.
#[derive(Clone, Copy, Debug)]
pub struct Run<'a> {
    pub end: &'a RunEnd,
    pub report: &'a Report,
    /// Standard output and error together, or their tail.
    pub output: &'a str,
}

/// What a run is held against. Empty lists where nothing is known.
#[derive(Clone, Debug)]
pub struct Question<'a> {
    pub expect: Expect,
    /// Report of the baseline run, which was green; none when this is the baseline.
    pub baseline: Option<&'a Report>,
    /// Paths of test files that are new or changed in this stage.
    pub test_files: &'a [String],
    /// Ids that earlier stages' tests had when they were red.
    pub required: &'a [String],
    /// Names of earlier stages' tests as written (see [`super::test_names`]), for those that were build-red and so had no ids.
    pub required_names: &'a [String],
    /// Ids whose tests were removed (see [`super::removed_ids`]).
    pub removed: &'a BTreeSet<String>,
}

/// What a run, and its repetition if there was one, meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judgement {
    pub outcome: CheckOutcome,
    /// The expectation is met.
    pub met: bool,
    /// The run must be repeated before it counts.
    pub again: bool,
    /// One sentence for people and for the next attempt.
    pub reason: String,
    /// Tests that failed in one run and not in the other.
    pub flaky: Vec<String>,
    /// Ids of the last run.
    pub passed: Vec<String>,
    pub failed: Vec<String>,
    pub skipped: Vec<String>,
}

impl Judgement {
    /// The form in which rules get it.
    pub fn evidence(&self, stage: &str) -> TestEvidence {
        TestEvidence {
            stage: stage.to_owned(),
            outcome: self.outcome,
            passed: self.passed.clone(),
            failed: self.failed.clone(),
            skipped: self.skipped.clone(),
            other: None,
            overlaid: Vec::new(),
        }
    }
}

/// What one run shows by itself.
enum Reading {
    /// Neither red nor green.
    Machinery(String),
    /// Nothing ran because there is nothing.
    Empty,
    Green,
    /// A test new in this stage failed; empty where the runner names none and only its exit code speaks.
    Red(Vec<String>),
    /// New tests could not be built, and the error lies in them.
    BuildRed(String),
    /// It failed, or passed without saying what it must say; why.
    Failing(String),
}

/// Judges a run; with `again` set in the answer, run once more and call with both.
pub fn judge(question: &Question<'_>, first: Run<'_>, second: Option<Run<'_>>) -> Judgement {
    let one = read(question, first);
    let last = second.unwrap_or(first);
    let answer = |outcome, met, reason: String| Judgement {
        outcome,
        met,
        again: false,
        reason,
        flaky: Vec::new(),
        passed: last.report.passed.clone(),
        failed: last.report.failed.iter().chain(&last.report.errored).cloned().collect(),
        skipped: last.report.skipped.clone(),
    };
    let passes = question.expect != Expect::TestsFail;
    let reading = match (one, second) {
        (Reading::Machinery(why), _) => return answer(CheckOutcome::CheckError, false, why),
        (one @ (Reading::Green | Reading::Empty), _) => one,
        (one, None) => {
            let (outcome, reason) = describe(question, one);
            return Judgement {
                again: true,
                ..answer(outcome, false, format!("{reason}; it counts when it is so twice"))
            };
        }
        (one, Some(run)) => match (one, read(question, run)) {
            (_, Reading::Machinery(why)) => return answer(CheckOutcome::CheckError, false, why),
            (_, Reading::Green | Reading::Empty) => {
                let flaky = difference(first.report, run.report);
                let named = if flaky.is_empty() { String::new() } else { format!(" ({})", list(&flaky)) };
                let reason = match passes {
                    true => format!("failed once and passed when run again: flaky{named}"),
                    false => format!("failed once and passed when run again: a flaky test proves nothing{named}"),
                };
                return Judgement { flaky, ..answer(CheckOutcome::Green, passes, reason) };
            }
            (Reading::Red(one), Reading::Red(two)) if !one.is_empty() && !two.is_empty() => {
                let both: Vec<String> = two.iter().filter(|id| one.contains(id)).cloned().collect();
                let flaky = difference(first.report, run.report);
                if both.is_empty() {
                    let reason =
                        format!("two runs failed in different tests, none of them twice: flaky ({})", list(&flaky));
                    return Judgement { flaky, ..answer(CheckOutcome::Red, false, reason) };
                }
                let (outcome, reason) = describe(question, Reading::Red(both));
                return Judgement { flaky, ..answer(outcome, !passes, reason) };
            }
            (Reading::Failing(_), two) => two,
            (_, two) => two,
        },
    };
    let met = match &reading {
        Reading::Green => passes,
        // Where there were no tests, none is as good as green; where QA's should be, it is not.
        Reading::Empty => passes,
        Reading::Red(_) | Reading::BuildRed(_) => !passes,
        Reading::Failing(_) | Reading::Machinery(_) => false,
    };
    let (outcome, reason) = describe(question, reading);
    answer(outcome, met, reason)
}

fn describe(question: &Question<'_>, reading: Reading) -> (CheckOutcome, String) {
    match reading {
        Reading::Machinery(why) => (CheckOutcome::CheckError, why),
        Reading::Empty => (CheckOutcome::Green, "there are no tests".to_owned()),
        Reading::Green => match question.expect {
            Expect::Baseline | Expect::TestsPass => (CheckOutcome::Green, "all tests passed".to_owned()),
            Expect::TestsFail => (
                CheckOutcome::Green,
                "all tests pass already: a test that passes before the work proves nothing".to_owned(),
            ),
        },
        Reading::Red(ids) if ids.is_empty() => (CheckOutcome::Red, "the test command failed".to_owned()),
        Reading::Red(ids) => (CheckOutcome::Red, format!("failed: {}", list(&ids))),
        Reading::BuildRed(why) => (CheckOutcome::BuildRed, why),
        Reading::Failing(why) => (CheckOutcome::Red, why),
    }
}

fn read(question: &Question<'_>, run: Run<'_>) -> Reading {
    let code = match exit(run) {
        Ok(code) => code,
        Err(why) => return Reading::Machinery(why),
    };
    let report = run.report;
    let had_none = question.baseline.is_none_or(|baseline| baseline.no_tests || baseline.ids().next().is_none());
    let nothing_due =
        question.required.is_empty() && question.required_names.is_empty() && question.test_files.is_empty();
    let empty_code = match report.runner {
        // "No tests collected" of pytest; "no tests ran" of unittest since 3.12.
        Some(Runner::Pytest | Runner::Unittest) => code == 5,
        Some(Runner::Nextest) => code == 4,
        Some(Runner::Cargo | Runner::Node | Runner::Go) | None => false,
    };
    let is_baseline = question.expect == Expect::Baseline;
    if (report.no_tests || empty_code) && report.ids().next().is_none() && report.faults.is_empty() {
        // A missing folder of tests is no tests too, but only before anybody was asked to write some.
        if (code == 0 || empty_code || is_baseline) && had_none && nothing_due {
            return Reading::Empty;
        }
        return Reading::Failing(match question.expect {
            Expect::TestsFail => "the test command found no tests: put them where it looks for them".to_owned(),
            Expect::Baseline | Expect::TestsPass => {
                "the test command ran no tests although there should be some".to_owned()
            }
        });
    }
    if report.runner == Some(Runner::Pytest) && matches!(code, 3 | 4) {
        let what = if code == 3 { "an internal error" } else { "wrong usage, or a conftest that does not load" };
        return Reading::Machinery(format!("pytest ended with code {code} ({what})"));
    }
    if code == 0 { passed(question, report) } else { failed(question, run, code) }
}

/// Exit code of the runner, looking through `make`; an error where the machinery and not the tests ended it.
fn exit(run: Run<'_>) -> Result<i32, String> {
    let code = match run.end.cause {
        EndCause::Exited | EndCause::KilledBySignal => run.end.exit_code,
        EndCause::TimedOut => return Err("the test command ran out of time".into()),
        EndCause::Silent => return Err("the test command printed nothing for too long".into()),
        EndCause::OutOfMemory => return Err("the test command ran out of memory".into()),
        EndCause::OutputCap => return Err("the test command printed too much".into()),
        EndCause::DiskCap => return Err("the test command filled its disk".into()),
        EndCause::Capped => return Err("the budget ended while the test command ran".into()),
        EndCause::Cancelled => return Err("the test command was cancelled".into()),
        EndCause::Lost => return Err("the sandbox of the test command vanished".into()),
    };
    let Some(code) = code else { return Err("the test command was killed by a signal".into()) };
    let code = if code == 2 { make_error(run.output).unwrap_or(code) } else { code };
    match code {
        126 => Err("the test command cannot be executed (126): is it executable, and for this machine?".into()),
        127 => Err("the test command was not found (127): is the runner in the image?".into()),
        137 => Err("the test command was killed (137), most often for want of memory".into()),
        143 => Err("the test command was asked to stop (143)".into()),
        code if run.end.cause == EndCause::KilledBySignal && !matches!(code, 134 | 139) => {
            Err(format!("the test command was killed by a signal ({code})"))
        }
        code => Ok(code),
    }
}

/// The code a recipe ended with, from the last `make: *** [Makefile:5: test] Error 127`.
fn make_error(output: &str) -> Option<i32> {
    output.lines().rev().take(20).find_map(|line| {
        let rest = line.strip_prefix("make").filter(|rest| rest.starts_with(": *** ") || rest.starts_with('['))?;
        if !rest.contains(": *** ") {
            return None;
        }
        if rest.contains("No rule to make target") || rest.contains("missing separator") || rest.contains("No targets")
        {
            return Some(127);
        }
        match rest.rsplit_once("] ")?.1.trim() {
            "Killed" => Some(137),
            "Terminated" => Some(143),
            word => word.strip_prefix("Error ").and_then(|code| code.parse().ok()),
        }
    })
}

/// Exit code 0: holds what was reported against what must have passed.
fn passed(question: &Question<'_>, report: &Report) -> Reading {
    let broken: Vec<String> = report.failed.iter().chain(&report.errored).cloned().collect();
    if !broken.is_empty() {
        return Reading::Failing(format!(
            "the test command ended with code 0 but reported failures: {}",
            list(&broken)
        ));
    }
    if let Some(fault) = report.faults.first() {
        return Reading::Failing(format!("the test command ended with code 0 but could not load {}", tell(fault)));
    }
    if let Some(why) = &report.doubt {
        return Reading::Failing(format!(
            "the test command ended with code 0, but its output contradicts itself: {why}; does the code under test write results or end the process?"
        ));
    }
    let baseline_complete = question.baseline.is_some_and(|baseline| baseline.complete);
    if !report.complete && (report.runner.is_some() || baseline_complete) {
        return Reading::Failing(
            "the test command ended with code 0 without its closing summary, or with one that does not fit: does the code under test end the process?".into(),
        );
    }
    if let Some(why) = question.baseline.and_then(|baseline| unlike(baseline, report)) {
        return Reading::Failing(why);
    }
    let passed: BTreeSet<&str> = report.passed.iter().map(String::as_str).collect();
    let before = question.baseline.filter(|baseline| baseline.ids_known());
    // These name each test that passed; where they name none, none ran.
    let lists = report.ids_known() || matches!(report.runner, Some(Runner::Nextest | Runner::Node | Runner::Go));
    if lists || before.is_some() {
        let due = before.into_iter().flat_map(|baseline| &baseline.passed).chain(question.required);
        let missing: Vec<String> = due
            .filter(|id| !question.removed.contains(*id) && !has_passed(report, &passed, id))
            .cloned()
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if !missing.is_empty() {
            return Reading::Failing(format!("not reported as passed: {}", list(&missing)));
        }
    } else if let Some(why) = too_few(question, report) {
        return Reading::Failing(why);
    }
    if lists && question.expect == Expect::TestsPass {
        let mut leaves: BTreeSet<&str> = report.passed.iter().map(|id| leaf(report.runner, id)).collect();
        if report.runner == Some(Runner::Node) {
            // A test that has subtests looks like a suite.
            leaves.extend(report.passed.iter().flat_map(|id| id.split(" > ")));
        }
        let missing: Vec<String> =
            question.required_names.iter().filter(|name| !leaves.contains(name.as_str())).cloned().collect();
        if !missing.is_empty() {
            return Reading::Failing(format!("written, but not reported as passed: {}", list(&missing)));
        }
        let known: BTreeSet<&String> = before.into_iter().flat_map(Report::ids).collect();
        let knows = before.is_some() || question.baseline.is_some_and(|baseline| baseline.no_tests);
        let skipped: Vec<String> = report.skipped.iter().filter(|id| knows && !known.contains(id)).cloned().collect();
        if !skipped.is_empty() {
            return Reading::Failing(format!("new, but skipped: {}", list(&skipped)));
        }
    }
    Reading::Green
}

/// How a report differs in kind from that of the base, which the same command gave.
fn unlike(baseline: &Report, report: &Report) -> Option<String> {
    let told = baseline.complete || baseline.ids().next().is_some();
    if let (Some(before), true) = (baseline.runner, told)
        && report.runner != Some(before)
    {
        let now = report.runner.map_or("no known runner", Runner::as_str);
        return Some(format!("the tests were run by {} on the base, and now by {now}", before.as_str()));
    }
    if report.sessions > baseline.sessions.max(1) || report.sessions < baseline.sessions {
        return Some(format!(
            "the runner says to have finished {} times, and on the base {}: does the code under test write a summary?",
            report.sessions, baseline.sessions
        ));
    }
    (baseline.filed && !report.filed).then(|| {
        "the runner left no report file, as it did on the base: does the code under test end the process?".to_owned()
    })
}

/// True when a test is reported as passed. An id of a Python class or module, whose set-up failed, stands for the tests in it.
fn has_passed(report: &Report, passed: &BTreeSet<&str>, id: &str) -> bool {
    let within = |other: &&str| other.strip_prefix(id).is_some_and(|rest| rest.starts_with('.'));
    passed.contains(id) || report.runner == Some(Runner::Unittest) && passed.iter().any(within)
}

/// Where passed tests are not listed, at least their number must fit: those of the base, and the names that are new. (A demanded id
/// may be that of an old test, which the number of the base has.)
fn too_few(question: &Question<'_>, report: &Report) -> Option<String> {
    let new = question.required_names.iter().collect::<BTreeSet<_>>().len() as u64;
    let due = new > 0 || !question.required.is_empty();
    let old = question.baseline.and_then(|baseline| baseline.counted).unwrap_or_default();
    let remedy = "let the test command list its tests by name (`-v`)";
    match report.counted {
        _ if report.runner.is_none() || question.expect != Expect::TestsPass => None,
        Some(counted) if counted < old + new => Some(format!(
            "{counted} tests passed, and {} should have; if tests were removed on purpose, {remedy}",
            old + new
        )),
        None if due => Some(format!("nothing shows that the new tests passed: {remedy}")),
        Some(_) | None => None,
    }
}

/// Exit code other than 0.
fn failed(question: &Question<'_>, run: Run<'_>, code: i32) -> Reading {
    let report = run.report;
    let broken: BTreeSet<String> = report.failed.iter().chain(&report.errored).cloned().collect();
    if question.expect != Expect::TestsFail {
        let all: Vec<String> = broken.into_iter().collect();
        return Reading::Failing(match (all.is_empty(), report.faults.first()) {
            (false, _) => format!("failed: {}", list(&all)),
            (true, Some(fault)) => format!("the tests could not be built or loaded: {}", tell(fault)),
            (true, None) if report.ids_known() => {
                format!("the test command ended with code {code}, although no test is reported as failed")
            }
            (true, None) => format!("the test command ended with code {code}"),
        });
    }
    // Only a baseline that lists what passed can tell a new test from an old one; failures of a green baseline are new otherwise.
    let known: BTreeSet<&String> = question.baseline.into_iter().flat_map(Report::ids).collect();
    let new: Vec<String> = broken.iter().filter(|id| !known.contains(id)).cloned().collect();
    if !new.is_empty() {
        return Reading::Red(new);
    }
    if let Some(fault) = report.faults.iter().find(|fault| !is_one_of(&fault.path, question.test_files)) {
        return Reading::Failing(format!(
            "the build or collection fails outside the tests of this stage: {}",
            tell(fault)
        ));
    }
    if let Some(fault) = report.faults.iter().find(|fault| fault.syntax) {
        return Reading::Failing(format!("a new test is not valid code: {}", tell(fault)));
    }
    if let Some(fault) = report.faults.first() {
        return Reading::BuildRed(format!("a new test cannot be built or loaded yet: {}", tell(fault)));
    }
    if !broken.is_empty() {
        let old: Vec<String> = broken.into_iter().collect();
        return Reading::Failing(format!("no new test failed, but tests of the base did: {}", list(&old)));
    }
    let documented = report.runner.map_or(1, Runner::failure_code);
    if !report.ids_known() && code == documented && !question.test_files.is_empty() {
        return Reading::Red(Vec::new());
    }
    Reading::Failing(format!("the test command ended with code {code}, and no new test is reported as failed"))
}

/// True when a path of a runner's message names one of the files: the same, or ending in the same whole components.
fn is_one_of(path: &str, files: &[String]) -> bool {
    let path = path.trim_start_matches("./");
    files.iter().any(|file| {
        let ends = |long: &str, short: &str| {
            long.strip_suffix(short).is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        };
        ends(path, file) || !path.starts_with('/') && ends(file, path)
    })
}

/// Tests that failed in one report and not in the other.
fn difference(one: &Report, two: &Report) -> Vec<String> {
    let set = |report: &Report| -> BTreeSet<String> { report.failed.iter().chain(&report.errored).cloned().collect() };
    set(one).symmetric_difference(&set(two)).cloned().collect()
}

fn tell(fault: &Fault) -> String {
    format!("{} ({})", fault.path, fault.message)
}

/// At most five names, and how many more.
fn list(names: &[String]) -> String {
    let shown = names.iter().take(5).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > 5 { format!("{shown} and {} more", names.len() - 5) } else { shown }
}
