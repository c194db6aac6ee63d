//! What `go test` prints, in text and as events.

use super::*;

const GO: &str = "go test ./...";

fn go(output: &str) -> Report {
    parse(GO, output, None)
}

#[test]
fn text_and_events_agree() {
    let text = go(recorded!("go-v.txt"));
    let shop = |names: &[&str]| names.iter().map(|name| format!("example.com/shop.{name}")).collect::<Vec<_>>();
    let mut passed = shop(&[
        "ExampleAdd",
        "FuzzSlug",
        "FuzzSlug/seed#0",
        "TestAdd",
        "TestLogs",
        "TestParallelA",
        "TestParallelB",
        "TestParallelGroup",
        "TestParallelGroup/x",
        "TestParallelGroup/y",
        // It prints half a line, in front of its result.
        "TestPrints",
        "TestPrintsLines",
        "TestSlug/empty_input",
        "TestSlug/odd_(1.00s)/x",
    ]);
    passed.push("example.com/shop/cart.TestOther".to_owned());
    assert_eq!(text.passed, passed);
    assert_eq!(text.failed, shop(&["TestSlug", "TestSlug/lowers"]));
    assert_eq!(text.skipped, shop(&["TestSlow"]));
    assert!(text.errored.is_empty() && text.complete && text.lists_passed && !text.no_tests);
    assert_eq!((&text.doubt, text.sessions), (&None, 1));
    let events = go(recorded!("go.json"));
    assert_eq!(events, text);
    let plain = go(recorded!("go.txt"));
    assert!(plain.complete && !plain.lists_passed && plain.passed.is_empty() && plain.errored.is_empty());
    assert_eq!(plain.failed, text.failed);
    let cached = go(recorded!("go-cached.txt"));
    assert_eq!(cached.passed, ["example.com/pass.TestOne", "example.com/pass.TestTwo", "example.com/pass.TestTwo/sub"]);
    assert!(cached.complete && cached.doubt.is_none());
}

#[test]
fn what_keeps_tests_from_running_is_told_with_its_place() {
    for (output, path, message, syntax) in [
        (recorded!("go-build-red.txt"), "./slug_test.go", "undefined: Slug", false),
        (recorded!("go-build-red.json"), "./slug_test.go", "undefined: Slug", false),
        (recorded!("go-build-output.json"), "./slug_test.go", "undefined: Slug", false),
        (recorded!("go-syntax.txt"), "one_test.go", "expected operand, found '!='", true),
        (
            recorded!("go-setup.txt"),
            "one_test.go",
            "no required module provides package example.com/setup/missing; to add it:",
            false,
        ),
        (
            recorded!("go-vet.txt"),
            "./one_test.go",
            "(*testing.common).Logf format %d has arg \"text\" of wrong type string",
            false,
        ),
    ] {
        let report = go(output);
        let fault = &report.faults[0];
        assert_eq!((fault.path.as_str(), fault.message.as_str(), fault.syntax), (path, message, syntax));
        assert!(report.failed.is_empty() && report.errored.is_empty() && !report.no_tests);
    }
    assert_eq!(go(recorded!("go-build-red.txt")).passed, ["example.com/red/lib.TestOne"]);
}

#[test]
fn a_process_that_died_leaves_its_running_test_in_error() {
    for panic in [go(recorded!("go-panic.txt")), go(recorded!("go-panic.json"))] {
        assert_eq!(panic.passed, ["example.com/boom.TestFine"]);
        assert_eq!(panic.failed, ["example.com/boom.TestPanics"]);
    }
    let late = go(recorded!("go-timeout.txt"));
    assert_eq!(
        (late.passed, late.errored),
        (vec!["example.com/slow.TestFast".to_owned()], vec!["example.com/slow.TestSleeps".to_owned()])
    );
    let main = go(recorded!("go-main.txt"));
    assert!(main.ids().next().is_none() && main.faults.is_empty() && !main.no_tests && main.complete);
}

#[test]
fn no_tests_is_said_in_three_ways() {
    for output in [recorded!("go-none.txt"), recorded!("go-nopkg.txt"), recorded!("go-norun.txt")] {
        assert!(go(output).no_tests);
    }
    // A process that exits before its first test looks like one that passed: only the ids tell.
    assert!(!go(recorded!("go-main-zero.txt")).no_tests);
}
