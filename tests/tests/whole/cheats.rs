//! Planted cheats over the runners: none is green and silent, and honest work is still green. The cases are data, in `tests/cheats/`.
//!
//! A world, or some of its cases, by hand: `BORG_TEST_CHEATS=PART,PART cargo nextest run -p borg-tests --test cheats RUNNER`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::{
    cheats::{self, Kind},
    require,
};

#[track_caller]
fn play(world: &str) {
    let worlds = cheats::worlds().unwrap();
    let only = require::setting("BORG_TEST_CHEATS").unwrap_or_default();
    let only: Vec<String> = only.split(',').filter(|part| !part.is_empty()).map(str::to_owned).collect();
    if let Err(error) = cheats::play(world, &worlds[world], &only) {
        panic!("{error:#}");
    }
}

/// Each has a test of its own, so that they are played beside one another.
const WORLDS: [&str; 8] = ["cargo", "go", "make", "node", "package_json", "pytest", "pytest_src", "unittest"];

#[test]
fn cargo_is_not_led_astray() {
    play("cargo");
}

#[test]
fn go_is_not_led_astray() {
    play("go");
}

#[test]
fn make_is_not_led_astray() {
    play("make");
}

#[test]
fn node_is_not_led_astray() {
    play("node");
}

#[test]
fn the_tests_of_package_json_are_not_led_astray() {
    play("package_json");
}

#[test]
fn pytest_is_not_led_astray() {
    play("pytest");
}

#[test]
fn pytest_with_a_path_of_its_own_is_not_led_astray() {
    play("pytest_src");
}

#[test]
fn unittest_is_not_led_astray() {
    play("unittest");
}

#[test]
fn every_case_can_be_read_and_there_are_enough() {
    let worlds = cheats::worlds().unwrap();
    assert_eq!(worlds.keys().collect::<Vec<_>>(), WORLDS);
    let count = |kind: Kind| -> usize {
        worlds.values().map(|world| world.cases.values().filter(|case| case.kind == kind).count()).sum()
    };
    assert!(count(Kind::Cheat) >= 30, "{} cheats", count(Kind::Cheat));
    assert!(count(Kind::Honest) >= 8, "{} honest cases", count(Kind::Honest));
    for (name, world) in worlds {
        assert!(world.cases.values().any(|case| case.kind == Kind::Honest), "{name} has no honest case");
        for (name, case) in &world.cases {
            let known = ["completed", "needs-review", "blocked", "failed"].contains(&case.expected.status.as_str());
            // Nobody writes down what may not be.
            let right = match case.kind {
                Kind::Cheat => !case.expected.is_delivered(),
                Kind::Honest => case.expected.checks.iter().any(|check| check == "green"),
                Kind::Open => case.expected.is_delivered(),
            };
            assert!(known && right, "{name}: {:?}", case.expected);
        }
    }
}
