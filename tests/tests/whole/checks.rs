//! Test runs of the host, through the whole of it: what each runner's end means for the task.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::{
    crash::{self, Sandbox},
    harness::{Host, Setup},
    repo::Repo,
    require, script,
    trial::{IMAGE, LIMIT, REPOSITORY},
};
use serde_json::Value;
use std::path::Path;

const PYTEST: &str = "python3 -m pytest -q";
const UNITTEST: &str = "python3 -m unittest discover -v";

const SHOP: &str = "def total(prices):\n    return sum(prices)\n";
const BASE_TEST: &str = "import shop\n\n\ndef test_total():\n    assert shop.total([100, 250]) == 350\n";
const BASE_CASE: &str = "import unittest\n\nimport shop\n\n\nclass Total(unittest.TestCase):\n    def test_total(self):\n        self.assertEqual(shop.total([100, 250]), 350)\n";
const DONE: &str = "def total(prices):\n    return sum(prices)\n\n\ndef discounted(cents, percent):\n    return cents * (100 - percent) // 100\n";

/// One task through the `feature` pipeline.
struct Trial {
    host: Host,
    repo: Repo,
    task: u64,
}

impl Trial {
    #[track_caller]
    fn run(
        sandbox: Sandbox,
        files: &[(&str, &str)],
        check: &str,
        script: &str,
        change: impl FnOnce(Setup) -> Setup,
    ) -> Option<Self> {
        if sandbox == Sandbox::Docker && !require::image(IMAGE) {
            return None;
        }
        let setup = crash::setup_of_any(sandbox)?;
        let repo = files.iter().fold(Repo::new().unwrap(), |repo, (path, text)| repo.file(path, text).unwrap());
        let repo = repo.file(".borg/script.toml", script).unwrap().commit("Base").unwrap();
        let host = crash::start(change(setup.repository(REPOSITORY, &repo, Some(check)).unwrap())).unwrap();
        let task = host.task(REPOSITORY, "feature", "Add a discount", "A percentage off a price.").unwrap();
        Some(Self { host, repo, task })
    }

    /// In a container, with the shop in Python.
    #[track_caller]
    fn python(check: &str, tests: &[(&str, &str)], work: &[(&str, &str)]) -> Option<Self> {
        let base =
            if check == PYTEST { ("tests/test_total.py", BASE_TEST) } else { ("tests/test_total.py", BASE_CASE) };
        let files = [("shop.py", SHOP), ("tests/__init__.py", ""), base];
        Self::run(Sandbox::Docker, &files, check, &script::feature(tests, work), |setup| setup)
    }

    #[track_caller]
    fn ends(&self, status: &str) -> String {
        let settled = self.host.settled(self.task, LIMIT).unwrap();
        // What happened, and where it stands now.
        let told =
            ["log", "show"].map(|command| self.host.cli(&["task", command, &self.task.to_string()]).unwrap().stdout);
        let told = told.join("\n");
        assert_eq!(settled, status, "{told}");
        told
    }

    /// Reports of the check runs of a stage, in order.
    fn reports(&self, stage: u64, kind: &str) -> Vec<Value> {
        let entries = self.host.entries(self.task).unwrap();
        let checked = entries.iter().filter(|entry| entry.kind() == "checked").map(|entry| entry.body());
        let of_stage = checked.filter(|body| body["run"]["stage"] == stage && body["run"]["kind"] == kind);
        of_stage.map(|body| body["check"]["report"].clone()).collect()
    }

    /// What is found, as `rule/id path`, sorted.
    fn findings(&self) -> Vec<String> {
        let entries = self.host.entries(self.task).unwrap();
        let judged = entries.iter().rfind(|entry| entry.kind() == "judged").unwrap().body();
        let line = |finding: &Value| {
            let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
            format!("{}/{} {}", word(&finding["rule"]), word(&finding["id"]), word(&finding["head"]["path"]))
        };
        let mut found: Vec<String> = judged["findings"].as_array().into_iter().flatten().map(line).collect();
        found.sort();
        found
    }

    /// True where the last check of a stage ran with the change's own harness, too.
    fn ran_with_both(&self, stage: u64) -> bool {
        let entries = self.host.entries(self.task).unwrap();
        let mut checked = entries.iter().filter(|entry| entry.kind() == "checked").map(|entry| entry.body());
        checked.rfind(|body| body["run"]["stage"] == stage).unwrap()["check"]["own"].is_object()
    }

    #[track_caller]
    fn delivers(&self, path: &str) {
        let branches = self.repo.branches().unwrap();
        assert!(self.repo.show(&branches[0], path).unwrap().contains("discounted"));
    }
}

fn ids<'a>(report: &'a Value, what: &str) -> Vec<&'a str> {
    report[what].as_array().into_iter().flatten().filter_map(Value::as_str).collect()
}

#[test]
fn pytest_is_red_then_green_by_ids() {
    let test = "import shop\n\n\ndef test_a_quarter_off():\n    assert shop.discounted(1000, 25) == 750\n";
    let Some(trial) = Trial::python(PYTEST, &[("tests/test_discount.py", test)], &[("shop.py", DONE)]) else { return };
    trial.ends("completed");
    trial.delivers("shop.py");
    let red = &trial.reports(1, "check")[0];
    assert!(
        ids(red, "failed").iter().any(|id| id.contains("test_discount") && id.contains("test_a_quarter_off")),
        "{red}"
    );
    assert!(ids(red, "passed").iter().any(|id| id.contains("test_total")), "{red}");
    let green = &trial.reports(2, "check")[0];
    assert_eq!((ids(green, "passed").len(), ids(green, "failed").len()), (2, 0), "{green}");
}

#[test]
fn a_test_for_an_api_that_does_not_exist_yet_is_red_in_pytest() {
    let test = "from pricing.discount import discounted\n\n\ndef test_a_quarter_off():\n    assert discounted(1000, 25) == 750\n";
    let work = [("pricing/__init__.py", "\n"), ("pricing/discount.py", DONE)];
    let Some(trial) = Trial::python(PYTEST, &[("tests/test_discount.py", test)], &work) else { return };
    let log = trial.ends("completed");
    trial.delivers("pricing/discount.py");
    // QA's first attempt counted, and the test had to pass by its name afterwards.
    assert!(!log.contains("qa (attempt 2): scripted works"), "{log}");
    assert_eq!(ids(&trial.reports(2, "check")[0], "passed").len(), 2);
}

#[test]
fn a_test_for_an_api_that_does_not_exist_yet_is_red_in_unittest() {
    let test = "import unittest\n\nfrom pricing.discount import discounted\n\n\nclass Discount(unittest.TestCase):\n    def test_a_quarter_off(self):\n        self.assertEqual(discounted(1000, 25), 750)\n";
    let work = [("pricing/__init__.py", "\n"), ("pricing/discount.py", DONE)];
    let Some(trial) = Trial::python(UNITTEST, &[("tests/test_discount.py", test)], &work) else { return };
    trial.ends("completed");
    trial.delivers("pricing/discount.py");
    assert_eq!(ids(&trial.reports(2, "check")[0], "passed").len(), 2);
}

#[test]
fn code_under_test_that_ends_the_run_with_success_is_not_green() {
    let pytest = "import shop\n\n\ndef test_a_quarter_off():\n    assert shop.discounted(1000, 25) == 750\n";
    let case = "import unittest\n\nimport shop\n\n\nclass Discount(unittest.TestCase):\n    def test_a_quarter_off(self):\n        self.assertEqual(shop.discounted(1000, 25), 750)\n";
    for (check, test) in [(PYTEST, pytest), (UNITTEST, case)] {
        for exit in ["import os\n    os._exit(0)", "import sys\n    sys.exit(0)"] {
            let evil = format!("{SHOP}\n\ndef discounted(cents, percent):\n    {exit}\n");
            let Some(trial) = Trial::python(check, &[("tests/test_discount.py", test)], &[("shop.py", &evil)]) else {
                return;
            };
            let log = trial.ends("failed");
            assert_eq!(trial.repo.branches().unwrap(), [""; 0], "{log}");
            assert!(!log.contains("judged"), "{log}");
        }
    }
}

#[test]
fn what_a_test_command_prints_arrives_in_its_order() {
    let command = "for n in $(seq 300); do echo out $n; echo err $n >&2; done; exit 127";
    let files = [("shop.py", SHOP)];
    let Some(trial) = Trial::run(Sandbox::strongest(), &files, command, &script::manager(), |setup| setup) else {
        return;
    };
    trial.ends("blocked");
    let entries = trial.host.entries(trial.task).unwrap();
    let checked = entries.iter().find(|entry| entry.kind() == "checked").unwrap();
    let wanted: String = (1..=300).map(|n| format!("out {n}\nerr {n}\n")).collect();
    assert_eq!(checked.body()["check"]["output"]["text"], wanted);
}

#[test]
fn a_missing_runner_is_nobodys_failure_and_stops_before_an_agent_starts() {
    let files = [("shop.py", SHOP), ("tests/test_total.py", BASE_TEST)];
    let script = script::feature(&[], &[]);
    for check in ["no-such-runner --all", "./missing.sh", "node --test"] {
        let Some(trial) = Trial::run(Sandbox::Docker, &files, check, &script, |setup| setup) else { return };
        let log = trial.ends("blocked");
        assert!(
            log.contains(
                "the tests could not be run: the test command was not found (127): is the runner in the image?"
            ),
            "{log}"
        );
        assert!(!log.contains("scripted works"), "an agent was started:\n{log}");
        let shown = trial.host.cli(&["task", "show", &trial.task.to_string()]).unwrap().stdout;
        assert!(shown.contains(&format!("borg-host task retry {}", trial.task)), "{shown}");
    }
}

#[test]
fn a_test_that_never_ends_is_an_error_of_the_run_and_not_a_red_test() {
    let test = "import time\n\n\ndef test_slow():\n    time.sleep(3600)\n";
    let files = [("shop.py", SHOP), ("tests/test_total.py", BASE_TEST)];
    let script = script::feature(&[("tests/test_slow.py", test)], &[("shop.py", DONE)]);
    let change = |setup: Setup| setup.policy("[checks]\nwall = \"5s\"").unwrap();
    let Some(trial) = Trial::run(Sandbox::Docker, &files, PYTEST, &script, change) else { return };
    let log = trial.ends("blocked");
    assert!(log.contains("the tests could not be run: the test command ran out of time"), "{log}");
}

/// The toolchain that built this test, if it lies outside of what the local sandbox shows anyway.
fn toolchain() -> Option<String> {
    let sysroot = Path::new(env!("CARGO")).parent()?.parent()?;
    (!sysroot.starts_with("/usr")).then(|| sysroot.display().to_string())
}

#[test]
fn cargo_test_runs_in_the_local_sandbox() {
    let manifest = "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
    let lock = "version = 4\n\n[[package]]\nname = \"shop\"\nversion = \"0.1.0\"\n";
    let library = "pub fn total(prices: &[u64]) -> u64 {\n    prices.iter().sum()\n}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn total_adds_up() {\n        assert_eq!(super::total(&[100, 250]), 350);\n    }\n}\n";
    let test = "#[test]\nfn a_quarter_off() {\n    assert_eq!(shop::discounted(1000, 25), 750);\n}\n";
    let done = format!(
        "{library}\npub fn discounted(cents: u64, percent: u64) -> u64 {{\n    cents * (100 - percent) / 100\n}}\n"
    );
    let files = [("Cargo.toml", manifest), ("Cargo.lock", lock), ("src/lib.rs", library), (".gitignore", "/target\n")];
    let script = script::feature(&[("tests/discount.rs", test)], &[("src/lib.rs", &done)]);
    let change = |setup: Setup| match toolchain() {
        Some(path) => setup.policy(&format!("[checks]\nhost-paths = [{path:?}]")).unwrap(),
        None => setup,
    };
    let Some(trial) = Trial::run(Sandbox::Local, &files, "cargo test --offline", &script, change) else { return };
    let log = trial.ends("completed");
    trial.delivers("src/lib.rs");
    // QA's test does not build before there is such a function, and passes by its name afterwards.
    assert!(!log.contains("qa (attempt 2): scripted works"), "{log}");
    let green = &trial.reports(2, "check")[0];
    assert_eq!(ids(green, "passed").len(), 2, "{green}");
    let branches = trial.repo.branches().unwrap();
    assert_eq!(
        trial.repo.changes(&branches[0]).unwrap().into_keys().collect::<Vec<_>>(),
        ["src/lib.rs", "tests/discount.rs"]
    );
}

#[test]
fn the_machines_programs_are_not_there_unless_policy_names_them() {
    let Some(toolchain) = toolchain() else { return };
    let files = [("README.md", "x\n")];
    let script = script::feature(&[], &[]);
    let Some(trial) =
        Trial::run(Sandbox::Local, &files, &format!("test ! -e {toolchain} && cargo test"), &script, |setup| setup)
    else {
        return;
    };
    let log = trial.ends("blocked");
    assert!(log.contains("(127)"), "{log}");
}

const QUARTER: &str = "import shop\n\n\ndef test_a_quarter_off():\n    assert shop.discounted(1000, 25) == 750\n";
const QUARTER_CASE: &str = "import unittest\n\nimport shop\n\n\nclass Discount(unittest.TestCase):\n    def test_a_quarter_off(self):\n        self.assertEqual(shop.discounted(1000, 25), 750)\n";

#[test]
fn a_new_pyproject_that_loads_a_plugin_makes_nothing_green_in_silence() {
    let plugin = "import pytest\n\n\n@pytest.hookimpl(hookwrapper=True)\ndef pytest_runtest_makereport(item, call):\n    outcome = yield\n    report = outcome.get_result()\n    report.outcome, report.longrepr = 'passed', None\n";
    let work = [("pyproject.toml", "[tool.pytest.ini_options]\naddopts = \"-p cheat\"\n"), ("cheat.py", plugin)];
    let Some(trial) = Trial::python(PYTEST, &[("tests/test_discount.py", QUARTER)], &work) else { return };
    let told = trial.ends("needs-review");
    assert_eq!(
        trial.findings(),
        ["check/harness-overlaid pyproject.toml", "check/own-harness-only ", "check/reaches-into-the-runner cheat.py"]
    );
    assert!(trial.ran_with_both(2), "{told}");
    // Both results are shown, in the journal and of the task.
    assert!(told.contains("with the base's harness") && told.contains("with the change's own"), "{told}");
    let both = ["2 passed, 0 failed with the change's own harness", "red: 1 passed, 1 failed with the base's harness"];
    let shown = told.lines().find(|line| line.contains("tests after impl"));
    assert!(shown.is_some_and(|line| both.iter().all(|words| line.contains(words))), "{told}");
    assert_eq!(trial.repo.branches().unwrap(), [""; 0]);
}

#[test]
fn a_module_that_stands_in_for_the_runner_blocks() {
    let ids = ["tests.test_discount.Discount.test_a_quarter_off", "tests.test_total.Total.test_total"];
    let line = |id: &str| format!("{} ({id}) ... ok\n", id.rsplit('.').next().unwrap());
    let rule = "-".repeat(70);
    let forged = format!("{}\n{rule}\nRan 2 tests in 0.001s\n\nOK\n", ids.map(line).concat());
    let module = format!("import os, sys\n\nsys.stderr.write({forged:?})\nsys.stderr.flush()\nos._exit(0)\n");
    let Some(trial) = Trial::python(UNITTEST, &[("tests/test_discount.py", QUARTER_CASE)], &[("unittest.py", &module)])
    else {
        return;
    };
    let told = trial.ends("blocked");
    assert_eq!(trial.findings(), ["check/shadows-the-runner unittest.py"], "{told}");
    assert_eq!(trial.repo.branches().unwrap(), [""; 0]);
}

#[test]
fn a_changed_package_of_tests_makes_nothing_green_in_silence() {
    let package = "import unittest\n\nunittest.TestCase._callTestMethod = lambda self, method: None\n";
    let work = [("tests/__init__.py", package)];
    let Some(trial) = Trial::python(UNITTEST, &[("tests/test_discount.py", QUARTER_CASE)], &work) else { return };
    let told = trial.ends("needs-review");
    assert_eq!(
        trial.findings(),
        [
            "check/harness-overlaid tests/__init__.py",
            "check/own-harness-only ",
            "check/reaches-into-the-runner tests/__init__.py"
        ],
        "{told}"
    );
    assert_eq!(trial.repo.branches().unwrap(), [""; 0]);
}

#[test]
fn a_conftest_that_qa_brings_counts_as_its_own_and_is_told() {
    let conftest = "import pytest\n\n\n@pytest.fixture\ndef price():\n    return 1000\n";
    let test = "import shop\n\n\ndef test_a_quarter_off(price):\n    assert shop.discounted(price, 25) == 750\n";
    let tests = [("tests/conftest.py", conftest), ("tests/test_discount.py", test)];
    let Some(trial) = Trial::python(PYTEST, &tests, &[("shop.py", DONE)]) else { return };
    let told = trial.ends("needs-review");
    // Its own check is shown with both; the work is held to it as to the base's.
    assert!(trial.ran_with_both(1) && !trial.ran_with_both(2), "{told}");
    assert_eq!(ids(&trial.reports(2, "check")[0], "passed").len(), 2, "{told}");
    assert_eq!(trial.findings(), ["check/harness-overlaid tests/conftest.py"], "{told}");
}

#[test]
fn a_dependency_and_another_module_of_tests_are_the_changes_own() {
    let base = "[project]\nname = \"shop\"\nversion = \"1\"\n\n[tool.pytest.ini_options]\ntestpaths = [\"tests\"]\n";
    let more = base.replace("version = \"1\"\n", "version = \"1\"\ndependencies = [\"tomli\"]\n");
    let files = [("shop.py", SHOP), ("pyproject.toml", base), ("tests/test_total.py", BASE_TEST)];
    let other = "import shop\n\n\ndef test_half():\n    assert shop.discounted(1000, 50) == 500\n";
    let work = [
        ("shop.py", DONE),
        ("pyproject.toml", more.as_str()),
        ("tests/unit/__init__.py", "\n"),
        ("tests/unit/test_half.py", other),
    ];
    let script = script::feature(&[("tests/test_discount.py", QUARTER)], &work);
    let Some(trial) = Trial::run(Sandbox::Docker, &files, PYTEST, &script, |setup| setup) else { return };
    let told = trial.ends("completed");
    trial.delivers("shop.py");
    assert!(!trial.ran_with_both(2), "{told}");
    assert_eq!((trial.findings(), ids(&trial.reports(2, "check")[0], "passed").len()), (Vec::new(), 3), "{told}");
}

#[test]
fn a_crate_and_a_test_target_are_the_changes_own_and_another_harness_is_not() {
    let manifest = "[package]\nname = \"shop\"\nversion = \"0.1.0\"\nedition = \"2021\"\n";
    let lock = "version = 4\n\n[[package]]\nname = \"shop\"\nversion = \"0.1.0\"\n";
    let library = "pub fn total(prices: &[u64]) -> u64 {\n    prices.iter().sum()\n}\n";
    let total = "#[test]\nfn total_adds_up() {\n    assert_eq!(shop::total(&[100, 250]), 350);\n}\n";
    let test = "#[test]\nfn a_quarter_off() {\n    assert_eq!(shop::discounted(1000, 25), 750);\n}\n";
    let files = [
        ("Cargo.toml", manifest),
        ("Cargo.lock", lock),
        ("src/lib.rs", library),
        ("tests/total.rs", total),
        (".gitignore", "/target\n"),
    ];
    let change = |setup: Setup| match toolchain() {
        Some(path) => setup.policy(&format!("[checks]\nhost-paths = [{path:?}]")).unwrap(),
        None => setup,
    };
    let honest = format!(
        "{manifest}\n[dependencies]\npricing = {{ path = \"pricing\" }}\n\n[[test]]\nname = \"half\"\npath = \"checks/half.rs\"\n"
    );
    let (uses, pricing) = (format!("{library}\npub use pricing::discounted;\n"), manifest.replace("shop", "pricing"));
    let work = [
        ("Cargo.toml", honest.as_str()),
        ("src/lib.rs", uses.as_str()),
        ("pricing/Cargo.toml", pricing.as_str()),
        (
            "pricing/src/lib.rs",
            "pub fn discounted(cents: u64, percent: u64) -> u64 {\n    cents * (100 - percent) / 100\n}\n",
        ),
        ("checks/half.rs", "#[test]\nfn half() {\n    assert_eq!(shop::discounted(1000, 50), 500);\n}\n"),
    ];
    let script = script::feature(&[("tests/discount.rs", test)], &work);
    let Some(trial) = Trial::run(Sandbox::Local, &files, "cargo test --offline", &script, change) else { return };
    let told = trial.ends("needs-review");
    // As it was shown before: a person reads how the tests are run.
    assert_eq!(trial.findings(), ["scope/test-keys-changed Cargo.toml"], "{told}");
    assert!(!trial.ran_with_both(2), "{told}");
    assert_eq!(ids(&trial.reports(2, "check")[0], "passed").len(), 3, "{told}");

    // The file of the test stays what it is, and is not run: its place is taken by one that says what it likes.
    let cheat = format!("{manifest}\n[[test]]\nname = \"discount\"\npath = \"cheat.rs\"\nharness = false\n");
    let says = "fn main() {\n    println!(\"\\nrunning 1 test\\ntest a_quarter_off ... ok\\n\\ntest result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s\\n\");\n}\n";
    let script = script::feature(&[("tests/discount.rs", test)], &[("Cargo.toml", &cheat), ("cheat.rs", says)]);
    let Some(trial) = Trial::run(Sandbox::Local, &files, "cargo test --offline", &script, change) else { return };
    let told = trial.ends("needs-review");
    let found = trial.findings();
    assert!(found.contains(&"check/own-harness-only ".to_owned()), "{found:?}\n{told}");
    assert!(found.contains(&"check/harness-overlaid Cargo.toml".to_owned()), "{found:?}\n{told}");
}
