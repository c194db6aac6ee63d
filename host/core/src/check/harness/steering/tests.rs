//! What steers a runner without being harness by its name, one row each.

use super::*;
use crate::{check::harness::runs, survey::classify};

fn file(path: &str, base: Option<&str>, head: &str) -> ChangedFile {
    ChangedFile {
        path: path.into(),
        old_path: None,
        status: if base.is_some() { FileStatus::Modified } else { FileStatus::Added },
        class: classify(path),
        mode: FileMode::Regular,
        binary: false,
        hunks: Vec::new(),
        base_text: base.map(str::to_owned),
        head_text: Some(head.into()),
        collides: None,
    }
}

fn found(command: &str, texts: &[(&str, &str)], tests: &[&str], files: &[ChangedFile]) -> Vec<(String, u8)> {
    let texts: Vec<(String, String)> = texts.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
    let read = texts.iter().map(|(path, text)| (path.clone(), Some(text.clone()))).collect();
    let runs = runs(command, &read);
    let tests = tests.iter().map(|path| (*path).to_owned()).collect();
    let what = Steering { files, command, runs: &runs, texts: &texts, tests: &tests };
    let findings = steering(&what);
    assert!(findings.iter().all(|finding| finding.rule == RULE && !finding.message.is_empty()));
    findings.iter().map(|finding| (finding.id.clone(), crate::verdict::risk(finding))).collect()
}

const REVIEW: u8 = 28;
const BLOCK: u8 = 80;

#[test]
fn modules_that_stand_in_for_what_a_runner_imports_review_or_block() {
    const UNITTEST: &str = "python3 -m unittest discover -v";
    for (command, path, least) in [
        (UNITTEST, "unittest.py", BLOCK),
        (UNITTEST, "unittest/__init__.py", BLOCK),
        (UNITTEST, "unittest.cpython-311-x86_64-linux-gnu.so", BLOCK),
        ("pytest", "pytest.py", BLOCK),
        ("pytest", "_pytest/__init__.py", BLOCK),
        ("pytest", "pluggy/__init__.py", BLOCK),
        ("pytest", "src/unittest.py", BLOCK),
        ("pytest", "tests/unittest.py", BLOCK),
        ("pytest", "json.py", REVIEW),
        ("pytest", "argparse.py", REVIEW),
        ("pytest", "pytest_cov/__init__.py", REVIEW),
        ("pytest", "tests/unit/json.py", REVIEW),
        ("PYTHONPATH=python/mods pytest", "python/mods/json.py", REVIEW),
        ("python3 -m unittest discover -s checks/", "checks/traceback.py", REVIEW),
    ] {
        let got = found(command, &[], &[], &[file(path, None, "x = 1\n")]);
        assert!(got.len() == 1 && got[0].1 >= least, "{path}: {got:?}");
        // What QA wrote is a test.
        assert_eq!(found(command, &[], &[path], &[file(path, None, "x = 1\n")]), []);
    }
    for path in [
        "shop/json.py",
        "shop/types.py",
        "shop.py",
        "shop/unittest.py",
        "docs/json.md",
        "json.pyi",
        "data/json",
        "test/__init__.py",
    ] {
        assert_eq!(found("pytest", &[], &[], &[file(path, None, "x = 1\n")]), [], "{path}");
    }
    let gone = ChangedFile { status: FileStatus::Deleted, ..file("unittest.py", Some("x\n"), "") };
    assert_eq!(found("pytest", &[], &[], &[gone]), []);
}

#[test]
fn keys_and_code_that_say_what_a_name_means_are_told() {
    #[rustfmt::skip]
    let rows = [
        ("go.mod", Some("module a\n"), "module a\nreplace example.com/x => ./x\n", "replaces-a-module", REVIEW),
        ("go.mod", Some("module a\ngo 1.17\nrequire example.com/x v1.0.0\n"), "module a\ngo 1.17\nrequire example.com/x v1.0.0\nreplace example.com/x => ./x\n", "replaces-a-module", REVIEW),
        ("vendor/modules.txt", None, "# example.com/x v1.0.0\n## explicit\nexample.com/x\n", "vendored-modules", REVIEW),
        ("Cargo.toml", Some("[dev-dependencies]\nexpected = { path = \"expected\" }\n"), "[dev-dependencies]\nexpected = { path = \"lenient\" }\n", "takes-a-crate-from-elsewhere", REVIEW),
        ("Cargo.toml", Some("[dependencies]\nserde = \"1\"\n"), "[dependencies]\nserde = { git = \"https://example.com/serde\" }\n", "takes-a-crate-from-elsewhere", REVIEW),
        ("go.mod", None, "module a\nreplace (\n\tgithub.com/stretchr/testify v1.8.0 => ./cheat\n)\n", "replaces-a-test-library", BLOCK),
        ("vendor/github.com/stretchr/testify/assert/assertions.go", None, "package assert\n", "vendored-test-library", REVIEW),
        ("main_test.go", None, "package a\nfunc TestMain(m *testing.M) { os.Exit(0) }\n", "runs-the-tests", REVIEW),
        ("main_test.go", Some("func TestMain(m *testing.M) {\nm.Run()\n}\n"), "func TestMain(m *testing.M) {\nos.Exit(0)\n}\n", "runs-the-tests", REVIEW),
        ("package.json", None, r#"{"name": "chai"}"#, "shadows-an-import", REVIEW),
        ("package.json", Some(r#"{"devDependencies": {"jest": "29"}}"#), r#"{"devDependencies": {"jest": "file:./jest"}}"#, "shadows-an-import", REVIEW),
        ("package.json", None, r#"{"overrides": {"mocha": "npm:cheat@1"}}"#, "shadows-an-import", REVIEW),
        ("pnpm-workspace.yaml", None, "packages: []\nnodeOptions: --require ./cheat.js\n", "runs-with-the-tests", REVIEW),
        ("tsconfig.json", None, "{\"compilerOptions\": {\"paths\": {\n  \"chai\": [\"./cheat\"]\n}}}\n", "shadows-an-import", REVIEW),
        ("__mocks__/chai.js", None, "module.exports = {}\n", "mocks-a-package", REVIEW),
        ("Cargo.toml", None, "[patch.crates-io]\nx = { path = \"x\" }\n", "replaces-a-crate", REVIEW),
        ("Cargo.toml", None, "[dependencies]\nstd = { path = \"std\" }\n", "shadows-the-runner", BLOCK),
        ("Cargo.toml", None, "[dev-dependencies]\npretty_assertions = { path = \"cheat\" }\n", "shadows-an-import", REVIEW),
        ("Cargo.toml", None, "[target.'cfg(unix)'.dev-dependencies]\nproptest = { package = \"cheat\", version = \"1\" }\n", "shadows-an-import", REVIEW),
        ("crates/t/Cargo.toml", None, "[package]\nname = \"test\"\n", "shadows-the-runner", BLOCK),
        ("src/lib.rs", Some(""), "#[macro_export]\nmacro_rules! assert_eq {\n", "shadows-an-assertion", REVIEW),
        ("src/lib.rs", Some(""), "#![test_runner(cheat)]\n", "shadows-an-assertion", REVIEW),
        ("build.rs", None, "fn main() {\n    std::fs::write(\"tests/it.rs\", \"\").unwrap();\n}\n", "runs-before-the-tests", REVIEW),
        ("build.rs", None, "fn main() {\n    let out = env!(\"OUT_DIR\");\n    std::fs::write(\"tests/it.rs\", out).unwrap();\n}\n", "runs-before-the-tests", REVIEW),
        ("tests/test_a.py", None, "import _pytest.reports\n", "reaches-into-the-runner", REVIEW),
        ("tests/test_a.py", None, "unittest.TestCase.assertEqual = lambda *a: None\n", "reaches-into-the-runner", REVIEW),
        ("tests/test_a.py", None, "pytest_plugins = [\"cheat\"]\n", "reaches-into-the-runner", REVIEW),
        ("shop.js", None, "require('node:assert').strictEqual = () => {};\n", "reaches-into-the-runner", REVIEW),
        ("a_test.go", None, "package a\nfunc init() {\n\tsyscall.Exit(0)\n}\n", "reaches-into-the-runner", REVIEW),
        ("test/helpers/expected.js", Some("a\n"), "b\n", "changes-a-helper-of-tests", REVIEW),
    ];
    for (path, base, head, id, least) in rows {
        let got = found("make test", &[], &[], &[file(path, base, head)]);
        assert!(got.iter().any(|(found, risk)| found == id && *risk >= least), "{path}: {got:?}");
    }
    for (path, base, head) in [
        ("go.mod", None, "module a\nrequire github.com/stretchr/testify v1.9.0\n"),
        (
            "go.mod",
            Some("module a\n\ngo 1.19\n"),
            "module a\n\ngo 1.19\n\nrequire example.com/money v0.0.0\n\nreplace example.com/money => ./money\n",
        ),
        (
            "Cargo.toml",
            Some("[dependencies]\nserde = \"1\"\n"),
            "[dependencies]\nserde = { version = \"2\", features = [\"derive\"] }\n",
        ),
        ("vendor/github.com/google/uuid/uuid.go", None, "package uuid\n"),
        ("a_test.go", None, "package a\nfunc TestA(t *testing.T) {}\n"),
        ("package.json", None, r#"{"name": "shop", "devDependencies": {"jest": "^29.0.0", "x": "file:./x"}}"#),
        ("tsconfig.json", None, "{\"compilerOptions\": {\"paths\": {\n  \"@/*\": [\"./src/*\"]\n}}}\n"),
        (
            "Cargo.toml",
            None,
            "[package]\nname = \"a\"\n[dependencies]\nx = { path = \"x\" }\n[dev-dependencies]\nproptest = \"1\"\ninsta = { version = \"1\", features = [\"json\"] }\n",
        ),
        ("src/lib.rs", Some(""), "macro_rules! price {\n"),
        ("build.rs", None, "fn main() {\n    println!(\"cargo:rerun-if-changed=x\");\n}\n"),
        (
            "build.rs",
            None,
            "fn main() {\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    std::fs::write(format!(\"{out}/x.rs\"), \"\").unwrap();\n}\n",
        ),
        ("tests/test_a.py", None, "import unittest\nimport pytest\n\ndef test_a(monkeypatch):\n    assert 1\n"),
        ("test/helpers/new.js", None, "exports.same = 1;\n"),
    ] {
        assert_eq!(found("make test", &[], &[], &[file(path, base, head)]), [], "{path}");
    }
    for (path, mode, is_told) in [
        ("bin/pytest", FileMode::Executable, true),
        ("bin/pytest", FileMode::Regular, false),
        ("bin/mytool", FileMode::Executable, true),
        ("bin/serve", FileMode::Executable, false),
        ("mytool", FileMode::Executable, false),
    ] {
        let got = found("mytool --all", &[], &[], &[ChangedFile { mode, ..file(path, None, "x") }]);
        assert_eq!(got.iter().any(|(id, _)| id == "shadows-a-program"), is_told, "{path} {mode:?}: {got:?}");
    }
    let renamed = |head: &str| ChangedFile {
        status: FileStatus::Renamed,
        old_path: Some("test/a.test.js".into()),
        ..file("test/b.test.js", Some("test('a', f);\n"), head)
    };
    assert_eq!(found("node --test", &[], &[], &[renamed("test('a', f);\n")]), []);
    assert_eq!(found("node --test", &[], &[], &[renamed("test('b', f);\n")])[0].0, "removes-tests");
    // A new title in its own file is the rule's to judge.
    let titled = file("test/a.test.js", Some("test('a', f);\n"), "test('b', f);\n");
    assert_eq!(found("node --test", &[], &[], &[titled]), []);
    let named = [
        file("Cargo.toml", None, "[package]\nname = \"a\"\nbuild = \"ci/prepare.rs\"\n"),
        file("ci/prepare.rs", None, "fn main() { std::fs::write(\"tests/a.rs\", \"\").unwrap(); }\n"),
    ];
    assert_eq!(found("cargo test", &[], &[], &named)[0].0, "runs-before-the-tests");
    let link = ChangedFile { mode: FileMode::Symlink, ..file("tests", None, "elsewhere") };
    assert_eq!(found("pytest", &[], &[], &[link])[0].0, "tests-elsewhere");
}

#[test]
fn what_the_command_or_the_bases_harness_runs_is_told() {
    #[rustfmt::skip]
    let rows: [(&str, &[(&str, &str)], &str, bool); 15] = [
        ("make test", &[("Makefile", "-include local.make\ntest:\n\tpytest\n")], "local.make", true),
        ("python3 tools/run.py", &[], "tools/run.py", true),
        ("python3 tools/run.py", &[], "tools/other.py", false),
        ("make test", &[("Makefile", "test:\n\tpython3 tools/run.py\n")], "tools/run.py", true),
        ("make test", &[("Makefile", "test:\n\tpytest\nserve:\n\tpython3 shop.py\n")], "shop.py", false),
        ("npm test", &[("package.json", r#"{"scripts": {"test": "node runner.js"}}"#)], "runner.js", true),
        ("pytest", &[("pyproject.toml", "[tool.pytest.ini_options]\naddopts = \"-p tests.plugin\"\n")], "tests/plugin.py", true),
        ("pytest", &[("conftest.py", "pytest_plugins = [\n    \"tests.fixtures.money\",\n]\n")], "tests/fixtures/money.py", true),
        ("pytest", &[("conftest.py", "from tests.support import shop\n")], "tests/support.py", true),
        ("pytest", &[("pyproject.toml", "[tool.coverage.run]\nsource = [\"shop\"]\n")], "shop.py", false),
        ("npx jest", &[("jest.config.js", "module.exports = { setupFiles: ['<rootDir>/test/prepare.js'] };\n")], "test/prepare.js", true),
        ("npx mocha", &[(".mocharc.json", "{\"require\": [\"./test/hooks\"]}\n")], "test/hooks.js", true),
        ("npx vitest", &[("vitest.config.ts", "export default { test: {\n  globalSetup: './scripts/global.ts',\n} }\n")], "scripts/global.ts", true),
        ("npx jest", &[("jest.config.js", "module.exports = { collectCoverageFrom: ['src/index.js'] };\n")], "src/index.js", false),
        ("pytest tests/test_shop.py", &[], "tests/test_shop.py", false),
    ];
    for (command, texts, path, is_told) in rows {
        let got = found(command, texts, &[], &[file(path, Some("a\n"), "b\n")]);
        assert_eq!(
            got.iter().any(|(id, risk)| id == "runs-with-the-tests" && *risk >= REVIEW),
            is_told,
            "{command} {path}: {got:?}"
        );
    }
}
