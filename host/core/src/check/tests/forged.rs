//! Code under test that lies about its tests: none of it is green, but for what nobody could tell from the output.
//!
//! The outputs are real ones; `recorded/forged/README.md` says what each did.

use super::*;

macro_rules! forged {
    ($name:expr) => {
        recorded!(concat!("forged/", $name))
    };
}

/// A suite of three tests, of which one is new and its subject does not exist.
struct Suite {
    command: &'static str,
    honest: &'static str,
    /// The report file of the honest run.
    file: Option<&'static str>,
    /// The new test.
    id: &'static str,
}

const PYTHON: Suite = Suite {
    command: UNITTEST,
    honest: forged!("unittest-honest.txt"),
    file: None,
    id: "tests.test_shop.Shop.test_slug",
};
const PYTEST: Suite = Suite {
    command: "pytest",
    honest: forged!("pytest-honest.txt"),
    file: Some(forged!("pytest-honest.xml")),
    id: "tests.test_shop.Shop::test_slug",
};
const CARGO: Suite = Suite { command: "cargo test", honest: forged!("cargo-honest.txt"), file: None, id: "shop slugs" };
const NEXTEST: Suite =
    Suite { command: "cargo nextest run", honest: forged!("nextest-honest.txt"), file: None, id: "shop::shop slugs" };
const SPEC: Suite = Suite { command: "node --test", honest: forged!("node-spec-honest.txt"), file: None, id: "slugs" };
const TAP: Suite = Suite { honest: forged!("node-tap-honest.txt"), ..SPEC };
const GO: Suite =
    Suite { command: "go test ./...", honest: forged!("go-v-honest.txt"), file: None, id: "example.com/shop.TestSlug" };
const GO_JSON: Suite = Suite { honest: forged!("go-json-honest.json"), ..GO };

impl Suite {
    /// What became of the new test's stage: with the old tests in the base, and with no test in it.
    fn verdicts(&self, code: i32, output: &str, file: Option<&str>) -> [Judgement; 2] {
        let mut with = parse(self.command, self.honest, self.file);
        assert!(with.passed.iter().any(|id| id == self.id) && with.doubt.is_none(), "{with:?}");
        with.passed.retain(|id| id != self.id);
        with.counted = with.counted.map(|counted| counted - 1);
        let without = Report {
            passed: Vec::new(),
            no_tests: true,
            counted: with.counted.map(|_| 0),
            lists_passed: false,
            ..with.clone()
        };
        let required = [self.id.to_owned()];
        let (end, report) = (end(code), parse(self.command, output, file));
        [with, without].map(|baseline| {
            let question = Question {
                expect: Expect::TestsPass,
                baseline: Some(&baseline),
                test_files: &[],
                required: &required,
                required_names: &[],
                removed: &BTreeSet::new(),
            };
            let run = Run { end: &end, report: &report, output };
            judge(&question, run, Some(run))
        })
    }

    fn refuses(&self, code: i32, name: &str, output: &str, file: Option<&str>) {
        for verdict in self.verdicts(code, output, file) {
            assert!(!verdict.met && verdict.outcome != Green, "{name} is green:\n{output}");
        }
    }

    fn believes(&self, output: &str, file: Option<&str>) {
        for verdict in self.verdicts(0, output, file) {
            assert!(verdict.met && verdict.outcome == Green, "{}", verdict.reason);
        }
    }
}

/// Names, exit codes and texts of recordings.
macro_rules! recordings {
    ($prefix:literal: $($code:literal $name:literal),* $(,)?) => {
        [$(($code, $name, forged!(concat!($prefix, $name))),)*]
    };
}

#[test]
fn honest_runs_are_green() {
    for suite in [PYTHON, PYTEST, CARGO, NEXTEST, SPEC, TAP, GO, GO_JSON] {
        suite.believes(suite.honest, suite.file);
    }
}

#[test]
fn unittest_is_not_fooled() {
    for (code, name, output) in recordings!("unittest-":
        0 "after.txt", 0 "atexit-zero.txt", 120 "closed.txt", 0 "escape.txt", 0 "exit-short.txt", 0 "exit-twice.txt",
        0 "half-line.txt", 0 "other-runner.txt", 0 "silent.txt", 0 "skip-ok.txt", 0 "skip-other.txt",
        0 "skip.txt", 0 "subtest.txt", 0 "two-summaries.txt",
    ) {
        PYTHON.refuses(code, name, output, None);
        // The same behind a name that does not tell the runner, and beside a report file that only pytest was asked for.
        let hidden = Suite { command: "make test", ..PYTHON };
        hidden.refuses(code, name, output, None);
        PYTHON.refuses(code, name, output, Some(forged!("pytest-junit-exit.xml")));
    }
    // Of the new test alone it says all there is to say; of the others nothing.
    let [with, _] = PYTHON.verdicts(0, forged!("unittest-import-ok.txt"), None);
    assert!(!with.met && with.reason.contains("not reported as passed"), "{}", with.reason);
    // The last of the three has been told already: the exit code is believed only with all of them.
    let cut = forged!("unittest-honest.txt").replace("Ran 3 tests", "Ran 2 tests");
    PYTHON.refuses(0, "fewer", &cut, None);
}

#[test]
fn without_names_the_numbers_must_fit() {
    let quiet = Suite { command: "python3 -m unittest", ..PYTHON };
    let baseline =
        Report { passed: Vec::new(), counted: Some(2), ..parse(quiet.command, forged!("quiet-honest.txt"), None) };
    let verdict = |output: &str| {
        let report = parse(quiet.command, output, None);
        let question = Question {
            expect: Expect::TestsPass,
            baseline: Some(&baseline),
            test_files: &[],
            required: &[quiet.id.to_owned()],
            required_names: &["test_slug".to_owned(), "test_slug".to_owned()],
            removed: &BTreeSet::new(),
        };
        let end = end(0);
        let run = Run { end: &end, report: &report, output };
        judge(&question, run, Some(run))
    };
    assert!(verdict(forged!("quiet-honest.txt")).met);
    let skipped = verdict(forged!("quiet-skip.txt"));
    assert!(!skipped.met && skipped.reason.contains("2 tests passed, and 3 should have"), "{}", skipped.reason);
}

#[test]
fn pytest_is_not_fooled() {
    let cases: [(&str, &str, Option<&str>); 10] = [
        ("atexit-zero", forged!("pytest-atexit-zero.txt"), Some(forged!("pytest-atexit-zero.xml"))),
        ("exit-short", forged!("pytest-exit-short.txt"), None),
        ("exit-zero", forged!("pytest-exit-zero.txt"), Some(forged!("pytest-exit-zero.xml"))),
        ("junit-after", forged!("pytest-junit-after.txt"), Some(forged!("pytest-junit-after.xml"))),
        ("junit-exit", forged!("pytest-junit-exit.txt"), Some(forged!("pytest-junit-exit.xml"))),
        ("no-report", forged!("pytest-no-report.txt"), None),
        ("pass-then-skip", forged!("pytest-pass-then-skip.txt"), Some(forged!("pytest-pass-then-skip.xml"))),
        ("skip", forged!("pytest-skip.txt"), Some(forged!("pytest-skip.xml"))),
        ("two-summaries", forged!("pytest-two-summaries.txt"), Some(forged!("pytest-two-summaries.xml"))),
        ("xfail", forged!("pytest-xfail.txt"), Some(forged!("pytest-xfail.xml"))),
    ];
    for (name, output, file) in cases {
        PYTEST.refuses(0, name, output, file);
        PYTEST.refuses(0, name, output, Some("<testsuite"));
        if name != "no-report" {
            PYTEST.refuses(0, name, output, Some(forged!("pytest-junit-exit.xml")));
        }
    }
    // A file that lists more than it counts.
    let odd = forged!("pytest-honest.xml").replace("tests=\"3\"", "tests=\"2\"");
    PYTEST.refuses(0, "odd", forged!("pytest-honest.txt"), Some(&odd));
}

#[test]
fn cargo_is_not_fooled() {
    for (code, name, output) in recordings!("cargo-":
        0 "exit-short.txt", 0 "exit-silent.txt", 0 "fail-hidden.txt", 0 "other-binary.txt", 0 "twice.txt",
    ) {
        CARGO.refuses(code, name, output, Some(forged!("pytest-junit-exit.xml")));
    }
    // The same binary twice, word for word.
    let (before, again) = CARGO.honest.split_once("     Running tests/").unwrap();
    let twice = format!("{before}     Running tests/{again}     Running tests/{again}");
    CARGO.refuses(0, "twice", &twice, None);
    CARGO.refuses(0, "no section", &CARGO.honest.replace("running 3 tests\n", ""), None);
    let noise = CARGO.honest.replace("running 3 tests\n", "running 3 tests\ntest tests/ui/a.rs ... ok\n");
    CARGO.believes(&noise, None);
}

#[test]
fn node_is_not_fooled() {
    for (code, name, output) in recordings!("node-spec-":
        0 "early-named.txt", 0 "exit.txt", 0 "exit-spec.txt", 0 "exit-tap.txt", 0 "half-line.txt", 0 "late.txt", 0 "one-file.txt",
    ) {
        SPEC.refuses(code, name, output, None);
    }
    TAP.refuses(0, "exit", forged!("node-tap-exit.txt"), None);
    TAP.refuses(0, "exit-tap", forged!("node-tap-exit-tap.txt"), None);
    // What a program prints with the same signs is no result without a time; half a line before one hides nothing.
    let noise = SPEC.honest.replacen('\u{2714}', "\u{2714} uploaded\nhalf \u{2714}", 1);
    SPEC.believes(&noise, None);
}

#[test]
fn go_is_not_fooled() {
    for (code, name, output) in recordings!("go-v-":
        0 "closed-twice.txt", 1 "contradicts.txt", 0 "exit.txt", 0 "exit-short.txt", 0 "init-exit.txt", 0 "no-pass.txt", 1 "os-exit.txt",
    ) {
        GO.refuses(code, name, output, None);
        GO.refuses(0, name, output, None);
    }
    for (code, name, output) in recordings!("go-json-": 0 "exit.json", 0 "no-pass.json") {
        GO_JSON.refuses(code, name, output, None);
    }
}

/// Who runs in the tests' own process can say all that an honest run would. `docs/security.md` says what stands against it.
#[test]
fn a_perfect_forgery_cannot_be_told_from_its_output() {
    PYTHON.believes(forged!("unittest-perfect.txt"), None);
    PYTEST.believes(forged!("pytest-no-report.txt"), Some(forged!("pytest-junit-exit.xml")));
    CARGO.believes(forged!("cargo-perfect.txt"), None);
    GO.believes(forged!("go-v-perfect.txt"), None);
    // Each test is a process here, and an exit code of 0 is all that is asked of it.
    NEXTEST.believes(forged!("nextest-exit-silent.txt"), None);
}

/// A test that passes before the work, or stands in a file that could not be loaded, must not vanish either.
#[test]
fn all_tests_of_a_red_stage_are_demanded() {
    let red = parse(UNITTEST, recorded!("unittest.txt"), None);
    let base = Report { passed: vec!["tests.test_old.Old.test_adds".into()], ..Report::default() };
    let written = ["test_slug", "test_wrong", "test_imported"].map(str::to_owned);
    let (ids, names) = demands(Some(&base), &red, &written);
    assert_eq!(
        ids,
        [
            "tests.test_new.New.test_sub",
            "tests.test_new.New.test_wrong",
            "tests.test_new.New.test_slug",
            "tests.test_old.Old.test_docstring"
        ]
    );
    assert_eq!(names, ["test_imported"]);
    let (_, names) = demands(Some(&base), &Report { faults: Vec::new(), ..red }, &written);
    assert!(names.is_empty());
    let quiet = parse("python3 -m unittest", recorded!("unittest-quiet.txt"), None);
    assert_eq!(demands(None, &quiet, &written).1, written);
}

/// A class whose set-up failed has no tests yet, only itself; later its tests stand for it.
#[test]
fn a_class_that_failed_is_made_good_by_its_tests() {
    let suite = Suite { id: "tests.test_shop.Shop", ..PYTHON };
    let required = [suite.id.to_owned()];
    let question = Question {
        expect: Expect::TestsPass,
        baseline: None,
        test_files: &[],
        required: &required,
        required_names: &[],
        removed: &BTreeSet::new(),
    };
    let report = parse(suite.command, suite.honest, None);
    let end = end(0);
    assert!(judge(&question, Run { end: &end, report: &report, output: "" }, None).met);
    let required = ["tests.test_shop.Sho".to_owned()];
    let question = Question { required: &required, ..question };
    assert!(!judge(&question, Run { end: &end, report: &report, output: "" }, None).met);
}

#[test]
fn escape_sequences_take_nothing_with_them() {
    for (text, plain) in [
        ("a\u{1b}[1;32mok\u{1b}[0m", "aok"),
        ("\u{1b}[FAIL", "AIL"),
        ("\u{1b}[\nFAIL", "\nFAIL"),
        ("\u{1b}[\u{1b}[31mFAIL", "FAIL"),
        ("\u{1b}]0;title\u{7}ok", "ok"),
        ("\u{1b}]0;title\nFAIL", "0;title\nFAIL"),
        ("FAIL\rok", "FAILok"),
        ("\u{1b}", ""),
    ] {
        assert_eq!(strip_ansi(text), plain);
    }
}

#[test]
fn skips_and_noise_of_an_honest_suite_add_up() {
    for (output, unnamed) in [
        (recorded!("unittest-skips-3.6.15.txt"), 1),
        (recorded!("unittest-skips-3.10.13.txt"), 1),
        (recorded!("unittest-skips-3.11.7.txt"), 0),
        (recorded!("unittest-skips-3.13.0.txt"), 0),
    ] {
        let report = parse(UNITTEST, output, None);
        assert!(report.doubt.is_none() && report.complete && report.sessions == 1, "{report:?}");
        assert_eq!(report.passed, ["tests.test_s.C.test_5", "tests.test_s.C.test_7"]);
        assert_eq!(report.skipped.iter().filter(|id| id.starts_with("unnamed")).count(), unnamed);
        assert_eq!(report.counted, Some(1));
    }
    let doctests = "json ()\nDoctest: json ... ok\nencode (json.encoder.JSONEncoder)\nDoctest: json.encoder.JSONEncoder.encode ... ok\n\n---\nRan 2 tests in 1.5s\n\nOK\n";
    let report = parse(UNITTEST, doctests, None);
    assert_eq!((report.passed.len(), report.doubt), (2, None));
    // Parameters with spaces, half lines under `-s`, unexpected passes, a skipped module, doctests, and all of it once more (`-rA`).
    for file in [None, Some(recorded!("pytest-odd.xml"))] {
        let report = parse("pytest -s -rA --doctest-modules", recorded!("pytest-odd.txt"), file);
        assert_eq!((report.counted, report.sessions, report.doubt), (Some(10), 1, None));
    }
    // Two runs of one command, each with its summary.
    let two = format!("{0}{0}", recorded!("unittest-skips-3.13.0.txt"));
    let report = parse(UNITTEST, &two, None);
    assert!(report.doubt.is_none() && report.sessions == 2);
    for (output, runner) in [
        (recorded!("nextest.txt"), "cargo nextest run"),
        (recorded!("cargo.txt"), "cargo test"),
        (recorded!("node-tap.txt"), "node --test"),
        (recorded!("node-spec.txt"), "node --test"),
        (recorded!("pytest2.txt"), "pytest"),
    ] {
        assert_eq!(parse(runner, output, None).doubt, None, "{runner}");
    }
}
