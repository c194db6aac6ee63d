//! Recorded outputs of the runners, and the rules held against them.

use super::*;
use crate::{
    executor::{EndCause, RunEnd},
    facts::CheckOutcome::{self, *},
};
use proptest::prelude::*;
use std::collections::BTreeSet;

macro_rules! recorded {
    ($name:expr) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/src/check/recorded/", $name))
    };
}

mod forged;
mod go;

const UNITTEST: &str = "python3 -m unittest discover -v -s tests";

fn end(code: i32) -> RunEnd {
    RunEnd { cause: EndCause::Exited, exit_code: Some(code), stderr_tail: String::new() }
}

fn ids(report: &Report) -> [Vec<&str>; 4] {
    [&report.passed, &report.failed, &report.skipped, &report.errored]
        .map(|list| list.iter().map(String::as_str).collect())
}

#[test]
fn runner_is_detected_from_the_command_or_the_output() {
    for (command, runner) in [
        ("python3 -m unittest discover -v", Some(Runner::Unittest)),
        ("sh -c 'cd x && python -m pytest -q'", Some(Runner::Pytest)),
        ("/usr/bin/pytest tests", Some(Runner::Pytest)),
        ("cargo +nightly --locked test --workspace", Some(Runner::Cargo)),
        ("cargo nextest run", Some(Runner::Nextest)),
        ("node --experimental-vm-modules --test", Some(Runner::Node)),
        ("go test ./...", Some(Runner::Go)),
        ("make test", None),
        ("cargo build", None),
        ("echo pytester", None),
    ] {
        assert_eq!(detect(command), runner, "{command}");
    }
    for (output, runner) in [
        (recorded!("unittest.txt"), Runner::Unittest),
        (recorded!("unittest-nodir.txt"), Runner::Unittest),
        (recorded!("pytest.txt"), Runner::Pytest),
        (recorded!("node-tap.txt"), Runner::Node),
        (recorded!("node-spec.txt"), Runner::Node),
        (recorded!("cargo.txt"), Runner::Cargo),
        (recorded!("cargo-build-red.txt"), Runner::Cargo),
        (recorded!("nextest.txt"), Runner::Nextest),
        (recorded!("go-v.txt"), Runner::Go),
        (recorded!("go.json"), Runner::Go),
    ] {
        assert_eq!(sniff(output), Some(runner));
    }
}

#[test]
fn unittest_verbose_and_quiet() {
    let report = parse(UNITTEST, recorded!("unittest.txt"), None);
    assert_eq!(
        ids(&report),
        [
            vec!["tests.test_old.Old.test_adds", "tests.test_old.Old.test_docstring"],
            vec!["tests.test_new.New.test_sub", "tests.test_new.New.test_wrong"],
            vec!["tests.test_new.New.test_xf", "tests.test_old.Old.test_skipped"],
            vec!["tests.test_new.New.test_slug"],
        ]
    );
    assert!(report.complete && report.lists_passed);
    assert_eq!(report.faults.len(), 1);
    assert_eq!(report.faults[0].path, "/workspace/tests/test_import.py");
    assert!(report.faults[0].message.starts_with("ImportError: cannot import name 'slug'") && !report.faults[0].syntax);
    let quiet = parse("python3 -m unittest", recorded!("unittest-quiet.txt"), None);
    assert!(!quiet.lists_passed && quiet.complete);
    assert_eq!(quiet.failed, report.failed);
    assert!(parse(UNITTEST, recorded!("unittest-none.txt"), None).no_tests);
    assert!(parse(UNITTEST, recorded!("unittest-nodir.txt"), None).no_tests);
    // Before 3.11 the id had no method, and a test may print in front of its result.
    let old = parse(
        UNITTEST,
        "test_a (m.C) ... noise\nmore\nok\ntest_b (m.C) ... ok\n\n----\nRan 2 tests in 0.1s\n\nOK\n",
        None,
    );
    assert_eq!(old.passed, ["m.C.test_a", "m.C.test_b"]);
}

#[test]
fn pytest_text_and_junit_agree() {
    let text = parse("pytest", recorded!("pytest2.txt"), None);
    let both = parse("pytest", recorded!("pytest2.txt"), Some(recorded!("pytest.xml")));
    assert_eq!(ids(&text), ids(&both));
    assert_eq!(
        ids(&both),
        [
            vec![
                "tests.test_old.Old::test_adds",
                "tests.test_old.Old::test_docstring",
                "tests.test_old::test_param[1]"
            ],
            vec![
                "tests.test_new.New::test_slug",
                "tests.test_new.New::test_sub",
                "tests.test_new.New::test_wrong",
                "tests.test_old::test_param[2]"
            ],
            vec!["tests.test_new.New::test_xf", "tests.test_old.Old::test_skipped", "tests.test_old::test_xf"],
            vec!["tests.test_old::test_fixture"],
        ]
        .map(|mut list| {
            list.sort();
            list
        })
    );
    for report in
        [parse("pytest", recorded!("pytest.txt"), None), parse("pytest", "", Some(recorded!("pytest-collect.xml")))]
    {
        assert_eq!(report.faults.len(), 1, "{report:?}");
        assert_eq!(report.faults[0].path, "tests/test_import.py");
        assert!(report.faults[0].message.contains("cannot import name 'slug'"));
    }
    let quiet = parse("pytest -q", recorded!("pytest-q.txt"), None);
    assert!(!quiet.lists_passed && quiet.complete && quiet.failed.len() == 4);
    assert!(parse("pytest", recorded!("pytest-none.txt"), None).no_tests);
    assert!(junit::read("<a/>").is_err() && junit::read("<testsuite><testcase").is_err());
}

#[test]
fn cargo_libtest_and_nextest() {
    let report = parse("cargo test", recorded!("cargo.txt"), None);
    assert_eq!(
        ids(&report),
        [
            vec!["old outside", "shop (doc) src/lib.rs - add (line 3)", "shop tests::adds", "shop tests::panics"],
            vec!["shop tests::wrong"],
            vec!["shop tests::slow"],
            vec![],
        ]
    );
    assert!(report.complete && report.lists_passed && !report.no_tests);
    let red = parse("cargo test", recorded!("cargo-build-red.txt"), None);
    assert!(
        !red.complete
            && red.faults.len() == 2
            && red.faults.iter().all(|fault| fault.path == "tests/slug.rs" && !fault.syntax)
    );
    let quiet = parse("cargo test -q", recorded!("cargo-quiet.txt"), None);
    assert!(!quiet.lists_passed && quiet.failed.iter().any(|id| id.ends_with("tests::wrong")), "{quiet:?}");
    assert!(parse("cargo test", recorded!("cargo-none.txt"), None).no_tests);
    let nextest = parse("cargo nextest run", recorded!("nextest.txt"), None);
    assert_eq!(
        ids(&nextest),
        [
            vec!["shop tests::adds", "shop tests::panics", "shop::old outside"],
            vec!["shop tests::wrong"],
            vec![],
            vec![]
        ]
    );
    assert!(nextest.complete);
    // A test that prints a result line of its own makes the counts disagree.
    let forged =
        "running 1 test\ntest forged ... ok\ntest real ... ok\n\ntest result: ok. 1 passed; 0 failed; 0 ignored\n";
    assert!(parse("cargo test", forged, None).doubt.is_some());
    let syntax = "error: expected expression, found `}`\n --> tests/a.rs:3:1\n";
    assert!(parse("cargo test", syntax, None).faults[0].syntax);
}

#[test]
fn node_tap_and_spec_agree() {
    let (tap, spec) =
        (parse("node --test", recorded!("node-tap.txt"), None), parse("node --test", recorded!("node-spec.txt"), None));
    assert_eq!(ids(&tap), ids(&spec));
    assert_eq!(
        ids(&tap),
        [
            vec!["adds", "group > nested ok"],
            vec!["group > nested # bad"],
            vec!["group > skipped one", "group > todo one"],
            vec![]
        ]
    );
    for report in [&tap, &spec] {
        assert!(report.complete && report.faults.len() == 1, "{report:?}");
        assert_eq!(report.faults[0].path, "/workspace/test/new.test.mjs");
        assert!(
            report.faults[0].message.contains("does not provide an export named 'slug'") && !report.faults[0].syntax
        );
    }
    assert!(parse("node --test", recorded!("node-none.txt"), None).no_tests);
}

/// A question with nothing known but what is passed.
struct Ask<'a> {
    expect: Expect,
    baseline: Option<&'a Report>,
    files: &'a [&'a str],
    required: &'a [&'a str],
    names: &'a [&'a str],
    removed: &'a [&'a str],
}

const NOTHING: Ask<'static> =
    Ask { expect: Expect::TestsPass, baseline: None, files: &[], required: &[], names: &[], removed: &[] };

fn ask(ask: &Ask<'_>, command: &str, first: (i32, &str), second: Option<(i32, &str)>) -> Judgement {
    let owned = |list: &[&str]| -> Vec<String> { list.iter().map(|item| item.to_string()).collect() };
    let (files, required, names) = (owned(ask.files), owned(ask.required), owned(ask.names));
    let removed: BTreeSet<String> = owned(ask.removed).into_iter().collect();
    let question = Question {
        expect: ask.expect,
        baseline: ask.baseline,
        test_files: &files,
        required: &required,
        required_names: &names,
        removed: &removed,
    };
    let reports =
        [Some(first), second].map(|run| run.map(|(code, output)| (end(code), parse(command, output, None), output)));
    let run = |at: usize| reports[at].as_ref().map(|(end, report, output)| Run { end, report, output });
    judge(&question, run(0).unwrap(), run(1))
}

fn twice(question: &Ask<'_>, command: &str, run: (i32, &str)) -> Judgement {
    assert!(ask(question, command, run, None).again, "a red run is repeated");
    ask(question, command, run, Some(run))
}

const GREEN: &str = "test_a (m.C.test_a) ... ok\ntest_b (m.C.test_b) ... ok\n\n---\nRan 2 tests in 0.1s\n\nOK\n";

#[test]
fn qa_is_red_by_new_ids_and_build_red_by_its_own_files() {
    let base = parse(UNITTEST, GREEN, None);
    let fail = Ask { expect: Expect::TestsFail, baseline: Some(&base), files: &["tests/test_import.py"], ..NOTHING };
    let red = twice(&fail, UNITTEST, (1, recorded!("unittest.txt")));
    assert_eq!((red.outcome, red.met), (Red, true), "{}", red.reason);
    assert!(red.reason.contains("tests.test_new.New.test_slug"));

    let import = recorded!("unittest.txt").split("======").nth(1).map(|_| {
        "tests.test_import (unittest.loader._FailedTest.tests.test_import) ... ERROR\n\n======================================================================\nERROR: tests.test_import (unittest.loader._FailedTest.tests.test_import)\n----------------------------------------------------------------------\nImportError: Failed to import test module: tests.test_import\nTraceback (most recent call last):\n  File \"/usr/lib/python3.11/unittest/loader.py\", line 419, in _find_test_path\n    __import__(name)\n  File \"/workspace/tests/test_import.py\", line 2, in <module>\n    from shop import slug\nImportError: cannot import name 'slug' from 'shop' (/workspace/shop.py)\n\n\n----------------------------------------------------------------------\nRan 1 test in 0.0s\n\nFAILED (errors=1)\n"
    }).unwrap();
    let got = twice(&fail, UNITTEST, (1, import));
    assert_eq!((got.outcome, got.met), (BuildRed, true), "{}", got.reason);
    let elsewhere = import.replace(
        "    from shop import slug\n",
        "    from shop import slug\n  File \"/workspace/shop.py\", line 1, in <module>\n",
    );
    let got = twice(&fail, UNITTEST, (1, &elsewhere));
    assert!(!got.met && got.reason.contains("outside the tests of this stage"), "{}", got.reason);
    let syntax = import.replace("ImportError: cannot import", "SyntaxError: cannot import");
    let got = twice(&fail, UNITTEST, (1, &syntax));
    assert!(!got.met && got.reason.contains("not valid code"), "{}", got.reason);

    for (command, code, output, file) in [
        ("pytest", 2, recorded!("pytest.txt"), "tests/test_import.py"),
        ("cargo test", 101, recorded!("cargo-build-red.txt"), "tests/slug.rs"),
        ("go test ./...", 1, recorded!("go-build-red.txt"), "slug_test.go"),
        ("go test -json", 1, recorded!("go-build-red.json"), "slug_test.go"),
    ] {
        let files = [file];
        let base = Report { no_tests: true, ..Report::default() };
        let got = twice(&Ask { baseline: Some(&base), files: &files, ..fail }, command, (code, output));
        assert_eq!((got.outcome, got.met), (BuildRed, true), "{command}: {}", got.reason);
        let other = ["tests/other.rs"];
        let got = twice(&Ask { baseline: Some(&base), files: &other, ..fail }, command, (code, output));
        assert!(!got.met, "{command}: {}", got.reason);
    }

    let green = ask(&fail, UNITTEST, (0, GREEN), None);
    assert!(green.outcome == Green && !green.met && green.reason.contains("proves nothing"));
    let old = GREEN.replace("test_b) ... ok", "test_b) ... FAIL");
    let got = twice(&fail, UNITTEST, (1, &old));
    assert!(!got.met && got.reason.contains("no new test failed"), "{}", got.reason);
    let got = ask(&fail, UNITTEST, (0, recorded!("unittest-none.txt")), None);
    assert!(!got.met && got.reason.contains("found no tests"), "{}", got.reason);
    // Without ids the documented code speaks, and no other.
    assert!(twice(&fail, "make test", (1, "nothing known")).met);
    assert!(!twice(&fail, "make test", (3, "nothing known")).met);
}

#[test]
fn green_needs_every_id() {
    let base = parse(UNITTEST, GREEN, None);
    let pass = Ask { baseline: Some(&base), ..NOTHING };
    assert!(ask(&pass, UNITTEST, (0, GREEN), None).met);
    for (output, says) in [
        ("", "without its closing summary"),
        ("test_a (m.C.test_a) ... ok\n", "without its closing summary"),
        ("test_a (m.C.test_a) ... ok\n\nRan 1 test in 0.1s\n\nOK\n", "not reported as passed: m.C.test_b"),
        (
            "test_a (m.C.test_a) ... ok\ntest_b (m.C.test_b) ... skipped 'x'\n\nRan 2 tests in 0.1s\n\nOK (skipped=1)\n",
            "not reported as passed: m.C.test_b",
        ),
        (
            "test_a (m.C.test_a) ... ok\ntest_b (m.C.test_b) ... FAIL\n\nRan 2 tests in 0.1s\n\nOK\n",
            "reported failures",
        ),
        ("..\nRan 2 tests in 0.1s\n\nOK\n", "not reported as passed"),
        (recorded!("unittest-none.txt"), "ran no tests"),
    ] {
        let got = twice(&pass, UNITTEST, (0, output));
        assert!(!got.met && got.outcome == Red && got.reason.contains(says), "{says}: {}", got.reason);
    }
    let one = "test_a (m.C.test_a) ... ok\n\nRan 1 test in 0.1s\n\nOK\n";
    assert!(ask(&Ask { removed: &["m.C.test_b"], ..pass }, UNITTEST, (0, one), None).met);
    let required = Ask { required: &["m.C.test_new"], ..pass };
    assert!(twice(&required, UNITTEST, (0, GREEN)).reason.contains("m.C.test_new"));
    let named = Ask { names: &["test_new"], ..pass };
    assert!(twice(&named, UNITTEST, (0, GREEN)).reason.contains("written, but not reported as passed: test_new"));
    let fresh = GREEN
        .replace("Ran 2", "Ran 3")
        .replace("\n\n---", "\ntest_n (m.C.test_n) ... skipped 'x'\n\n---")
        .replace("OK\n", "OK (skipped=1)\n");
    assert!(twice(&pass, UNITTEST, (0, &fresh)).reason.contains("new, but skipped"));
}

#[test]
fn errors_of_the_machinery_are_neither() {
    for expect in [Expect::Baseline, Expect::TestsFail, Expect::TestsPass] {
        let question = Ask { expect, ..NOTHING };
        for (code, output) in [
            (126, ""),
            (127, "sh: pytest: not found"),
            (137, ""),
            (2, "x\nmake[1]: *** [Makefile:3: inner] Error 127\nmake: *** [Makefile:9: test] Error 127\n"),
            (2, "make: *** No rule to make target 'test'.  Stop.\n"),
            (2, "make: *** [Makefile:3: test] Killed\n"),
        ] {
            let got = ask(&question, "make test", (code, output), None);
            assert_eq!((got.outcome, got.met, got.again), (CheckError, false, false), "{code} {output}");
        }
        let got = ask(&question, "pytest", (4, "ImportError while loading conftest"), None);
        assert_eq!(got.outcome, CheckOutcome::CheckError);
    }
    let report = Report::default();
    let question = Question {
        expect: Expect::Baseline,
        baseline: None,
        test_files: &[],
        required: &[],
        required_names: &[],
        removed: &BTreeSet::new(),
    };
    for cause in [EndCause::TimedOut, EndCause::OutOfMemory, EndCause::Lost, EndCause::OutputCap, EndCause::Silent] {
        let end = RunEnd { cause, exit_code: Some(0), stderr_tail: String::new() };
        let got = judge(&question, Run { end: &end, report: &report, output: "" }, None);
        assert_eq!(got.outcome, CheckError);
    }
    // The second run may be the one that breaks.
    let got = ask(&NOTHING, "make test", (1, ""), Some((127, "")));
    assert_eq!((got.outcome, got.met), (CheckError, false));
}

#[test]
fn baseline_is_green_empty_or_red() {
    let baseline = Ask { expect: Expect::Baseline, ..NOTHING };
    for (command, code, output) in [
        (UNITTEST, 0, GREEN),
        (UNITTEST, 0, recorded!("unittest-none.txt")),
        (UNITTEST, 5, "\n---\nRan 0 tests in 0.0s\n\nNO TESTS RAN\n"),
        (UNITTEST, 1, recorded!("unittest-nodir.txt")),
        ("make test", 2, "\n---\nRan 0 tests in 0.0s\n\nNO TESTS RAN\nmake: *** [Makefile:2: test] Error 5\n"),
        ("pytest", 5, recorded!("pytest-none.txt")),
        ("pytest tests", 4, "ERROR: file or directory not found: tests\n\n"),
        ("cargo test", 0, recorded!("cargo-none.txt")),
        ("node --test", 0, recorded!("node-none.txt")),
        ("go test ./...", 0, recorded!("go-none.txt")),
        ("make test", 0, "who knows"),
    ] {
        let got = ask(&baseline, command, (code, output), None);
        assert_eq!((got.outcome, got.met), (Green, true), "{command} {code}: {}", got.reason);
    }
    for (command, code, output) in
        [(UNITTEST, 1, recorded!("unittest.txt")), ("pytest", 2, recorded!("pytest.txt")), ("make test", 1, "")]
    {
        let got = twice(&baseline, command, (code, output));
        assert_eq!((got.outcome, got.met), (Red, false), "{command}: {}", got.reason);
    }
}

#[test]
fn flaky_is_said() {
    let red = GREEN.replace("test_b) ... ok", "test_b) ... FAIL");
    let other = GREEN.replace("test_a) ... ok", "test_a) ... FAIL");
    let got = ask(&NOTHING, UNITTEST, (1, &red), Some((0, GREEN)));
    assert_eq!((got.outcome, got.met, got.flaky.as_slice()), (Green, true, &["m.C.test_b".to_owned()][..]));
    let base = Report { no_tests: true, ..Report::default() };
    let fail = Ask { expect: Expect::TestsFail, baseline: Some(&base), files: &["m.py"], ..NOTHING };
    let got = ask(&fail, UNITTEST, (1, &red), Some((0, GREEN)));
    assert!(!got.met && got.reason.contains("flaky"));
    let got = ask(&fail, UNITTEST, (1, &red), Some((1, &other)));
    assert!(!got.met && got.reason.contains("none of them twice"), "{}", got.reason);
}

#[test]
fn names_are_found_where_they_are_written() {
    for (path, text, names) in [
        (
            "a.py",
            "def test_a():\n  '''\ndef test_doc():\n  '''\n  async def test_b(): pass\n# def test_c\nx = \"\"\"def test_d\"\"\"\n",
            vec!["test_a", "test_b"],
        ),
        (
            "a.rs",
            "#[test]\nfn a() {}\n#[tokio::test(flavor = \"x\")]\n#[ignore]\nasync fn b() {}\nfn c() {}\n",
            vec!["a", "b"],
        ),
        (
            "a_test.go",
            "func TestA(t *testing.T) {}\nfunc TestMain(m *testing.M) {}\nfunc Testify() {}\n",
            vec!["TestA"],
        ),
        (
            "b_test.go",
            "func ExampleA() {\n  // Output: 1\n}\nfunc ExampleB() {}\nfunc FuzzC(f *testing.F) {}\n// Output: no\n",
            vec!["ExampleA", "FuzzC"],
        ),
        ("a.test.js", "test('adds a.b', () => {});\n  it(`x ${1}`, f)\nit(\"y\", f)\n", vec!["adds a.b", "y"]),
        ("ATest.java", "@Test\npublic void adds() {}\nvoid helper() {}\n", vec!["adds"]),
    ] {
        assert_eq!(test_names(path, text), names, "{path}");
    }
}

#[test]
fn an_id_ends_in_the_name_of_its_source() {
    for (runner, id, name) in [
        (Runner::Go, "example.com/shop.TestA/sub.TestB", "TestA"),
        (Runner::Go, "example.com/shop.ExampleAdd", "ExampleAdd"),
        (Runner::Go, "my.Example.com/x.FuzzC/seed#0", "FuzzC"),
        (Runner::Pytest, "tests.a.C::test_x[a::b]", "test_x"),
        (Runner::Cargo, "shop tests::table::case_1", "table"),
        (Runner::Node, "group > nested ok", "nested ok"),
    ] {
        assert_eq!(inventory::leaf(Some(runner), id), name);
    }
}

proptest! {
    #[test]
    fn arbitrary_output_never_panics(text in "(?s).{0,300}", at in 0usize..8) {
        let command = ["pytest", "python -m unittest", "cargo test", "cargo nextest", "node --test", "go test", "make", ""][at];
        let report = parse(command, &text, Some(&text));
        let end = end(1);
        let question = Question { expect: Expect::TestsFail, baseline: None, test_files: &[], required: &[], required_names: &[], removed: &BTreeSet::new() };
        judge(&question, Run { end: &end, report: &report, output: &text }, None);
    }

    #[test]
    fn cut_reports_never_panic(cut in 0usize..4000, which in 0usize..6) {
        let (command, text) = [
            (UNITTEST, recorded!("unittest.txt")), ("pytest", recorded!("pytest2.txt")), ("cargo test", recorded!("cargo.txt")),
            ("node --test", recorded!("node-tap.txt")), ("node --test", recorded!("node-spec.txt")), ("go test", recorded!("go-v.txt")),
        ][which];
        let text: String = text.chars().skip(cut / 2).take(cut).collect();
        parse(command, &text, Some(&text));
    }
}
