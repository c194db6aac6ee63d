//! Python's unittest in text form (`unittest/runner.py` of 3.6 to 3.14), which Django's runner shares.
//!
//! With `-v` each test has a line `NAME (ID) ... RESULT`; without, only failures are named. Before 3.11 the id lacked the
//! method's name, and what a class or a subtest was skipped for stood alone on its line. What a test prints stands in front of its
//! result, even on the same line. (3.12.1, and only it, leaves skipped tests out of the number it says it ran; there a suite with
//! skipped tests does not add up.)

use super::{Fault, Report, python};

pub fn read(output: &str) -> Report {
    let mut report = Report::default();
    let mut run = Session::default();
    let mut ran = None;
    let mut lines = output.lines().peekable();
    while let Some(line) = lines.next() {
        if let Some(count) = summary(line) {
            let status = lines.find(|line| !line.is_empty()).unwrap_or_default();
            ran = Some(ran.unwrap_or_default() + count);
            std::mem::take(&mut run).close(&mut report, count, status);
        } else if let Some(head) = line.strip_prefix("ERROR: ").or_else(|| line.strip_prefix("FAIL: ")) {
            if !lines.peek().is_some_and(|rule| rule.starts_with("----")) {
                continue;
            }
            let mut body = String::new();
            while let Some(line) = lines.next_if(|line| !line.starts_with("=====") && summary(line).is_none()) {
                body.push_str(line);
                body.push('\n');
            }
            section(&mut report, head, line.starts_with("FAIL"), &body);
        } else if let Some(test) = Test::of(line).or_else(|| {
            Test::of_module(line).filter(|_| lines.peek().is_some_and(|next| next.starts_with("Doctest: ")))
        }) {
            run.finish(&mut report);
            run.start(&mut report, test, line);
            if line.contains("... ") {
                run.read(&mut report, line);
            }
        } else {
            run.read(&mut report, line);
        }
    }
    run.finish(&mut report);
    if report.sessions > 0 && run.started > 0 {
        report.doubt("tests are listed after the closing summary");
    }
    report.complete = report.sessions > 0;
    report.lists_passed = !report.passed.is_empty();
    report.no_tests = report.ids().next().is_none()
        && report.faults.is_empty()
        && (ran == Some(0) || output.contains("ImportError: Start directory is not importable"));
    if ran.is_none() {
        report.faults.extend(python::fault(output));
    }
    report
}

/// The number in `Ran 3 tests in 0.001s`.
fn summary(line: &str) -> Option<usize> {
    let (count, rest) = line.strip_prefix("Ran ")?.split_once(" test")?;
    rest.trim_start_matches('s').starts_with(" in ").then(|| count.parse().ok()).flatten()
}

/// What one run of the runner listed.
#[derive(Default)]
struct Session {
    waiting: Option<Test>,
    /// A line of the waiting test ended in `ok`, behind words of its own.
    maybe: bool,
    started: usize,
    /// Tests and subtests that ended so.
    passed: usize,
    skipped: usize,
    expected: usize,
    /// Tests, not subtests, that were skipped.
    left_out: usize,
    /// Ids end in the method's name, as they do since 3.11.
    whole_ids: bool,
    /// The test whose subtests may follow: until it has ended itself.
    parent: Option<String>,
}

struct Test {
    id: String,
    name: String,
    /// It is one of the tests that ran: no subtest, class or module.
    counts: bool,
    subtest: bool,
}

impl Session {
    fn start(&mut self, report: &mut Report, test: Test, line: &str) {
        self.started += usize::from(test.counts);
        self.whole_ids |= line.contains(&format!(".{})", test.name));
        if !test.subtest {
            self.parent = Some(test.id.clone());
        } else if self.parent.as_ref() != Some(&test.id) {
            report.doubt(format!("{} is said to have a subtest, and is not running", test.id));
        }
        self.waiting = Some(test);
    }

    /// Takes the result a line ends in.
    fn read(&mut self, report: &mut Report, line: &str) {
        let behind = line.rsplit_once("... ").map(|(_, word)| word).filter(|_| self.waiting.is_some());
        let word = behind.unwrap_or(line).trim();
        let skipped = word.starts_with("skipped '") || word.starts_with("skipped \"");
        let Some(test) = self.waiting.take() else {
            if skipped {
                self.skipped += 1;
                match self.whole_ids {
                    true => report.doubt("a test is said to be skipped after it had ended"),
                    false => report.skipped.push(format!("unnamed {}", self.skipped)),
                }
            }
            return;
        };
        let list = if word == "ok" {
            self.passed += usize::from(test.counts);
            &mut report.passed
        } else if word == "FAIL" || word == "unexpected success" {
            &mut report.failed
        } else if word == "ERROR" {
            &mut report.errored
        } else if skipped {
            self.skipped += 1;
            self.left_out += usize::from(test.counts);
            &mut report.skipped
        } else if word == "expected failure" {
            self.expected += 1;
            &mut report.skipped
        } else {
            self.maybe |= word.ends_with("ok");
            self.waiting = Some(test);
            return;
        };
        self.maybe = false;
        if !test.subtest {
            self.parent = None;
        }
        if !test.id.starts_with("unittest.loader._FailedTest") {
            list.push(test.id);
        }
    }

    /// The next test begins: half a line and `ok` was the last one's result after all.
    fn finish(&mut self, report: &mut Report) {
        let maybe = std::mem::take(&mut self.maybe);
        if let Some(test) = self.waiting.take() {
            if maybe {
                self.parent = None;
                self.passed += usize::from(test.counts);
                report.passed.push(test.id);
            } else if test.counts {
                // Skipped in its subtests, which have lines of their own; or a failure, told below.
                self.left_out += 1;
            }
        }
    }

    /// Holds what was listed against the summary: `Ran COUNT tests`, and `OK (skipped=1)` or `FAILED (failures=1)`.
    fn close(mut self, report: &mut Report, count: usize, status: &str) {
        self.finish(report);
        report.sessions += 1;
        let said = |what: &str| -> usize {
            let counts = status.split_once('(').map_or("", |(_, counts)| counts.trim_end_matches(')'));
            let found = counts.split(", ").find_map(|part| part.strip_prefix(what)?.strip_prefix('='));
            found.and_then(|count| count.parse().ok()).unwrap_or_default()
        };
        let (skipped, expected) = (said("skipped"), said("expected failures"));
        let passed = count.saturating_sub(skipped + expected) as u64;
        let ok = status == "OK"
            || status.starts_with("OK (")
            || status == "NO TESTS RAN"
            || status.starts_with("NO TESTS RAN (");
        if !ok {
            let told = report.failed.len() + report.errored.len() + report.faults.len() > 0;
            if !told || !status.starts_with("FAILED") {
                report.doubt("the closing summary does not say OK, and no failure is listed");
            }
            return;
        }
        report.counted = Some(report.counted.unwrap_or_default() + passed);
        let adds_up = self.started == count
            && self.passed + self.left_out + self.expected == count
            && self.skipped == skipped
            && self.expected == expected;
        if self.started > 0 && !adds_up {
            report.doubt(format!(
                "{} tests are listed ({} as passed, {} as skipped), and the closing summary says: {count} tests, {status}",
                self.started, self.passed, self.skipped
            ));
        }
    }
}

impl Test {
    /// The doctest of a module that is in no package, `json ()`; the next line says that it is one.
    fn of_module(line: &str) -> Option<Test> {
        let name = line.strip_suffix(" ()")?.to_owned();
        Some(Test { id: name.clone(), name, counts: true, subtest: false })
    }

    /// The test in a line that starts with `NAME (ID)`.
    fn of(line: &str) -> Option<Test> {
        let (name, rest) = line.trim_start().split_once(" (")?;
        let (class, _) = rest.split_once(')')?;
        let is_name = |text: &str| {
            !text.is_empty() && text.chars().all(|char| char.is_alphanumeric() || char == '_' || char == '.')
        };
        if !is_name(name)
            || !is_name(class)
            || !class.contains('.') && !class.starts_with(|char: char| char.is_alphabetic())
        {
            return None;
        }
        let last = name.rsplit('.').next().unwrap_or(name);
        // `setUpClass (module.Class)` speaks of the class.
        let fixture = matches!(name, "setUpClass" | "tearDownClass" | "setUpModule" | "tearDownModule");
        let whole = class.rsplit('.').next() == Some(last) || class.ends_with(name);
        let id = if whole || fixture { class.to_owned() } else { format!("{class}.{name}") };
        let subtest = line.starts_with(' ');
        Some(Test { id, name: last.to_owned(), counts: !fixture && !subtest, subtest })
    }
}

fn section(report: &mut Report, head: &str, failed: bool, body: &str) {
    let Some(Test { id, .. }) = Test::of(head) else { return };
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
