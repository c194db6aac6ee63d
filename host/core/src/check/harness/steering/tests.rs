//! What steers a runner without being harness by its name, one row each.

use super::*;
use crate::{
    check::harness::{RULE, runs},
    survey::classify,
};

mod reached;

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
        marks: crate::facts::Marks::default(),
    }
}

fn found(command: &str, texts: &[(&str, &str)], tests: &[&str], files: &[ChangedFile]) -> Vec<(String, u8)> {
    found_in(&[], command, texts, tests, files)
}

fn found_in(
    tree: &[&str],
    command: &str,
    texts: &[(&str, &str)],
    tests: &[&str],
    files: &[ChangedFile],
) -> Vec<(String, u8)> {
    let mut places = Places::default();
    tree.iter().for_each(|path| places.add(path));
    let texts: Vec<(String, String)> = texts.iter().map(|(path, text)| ((*path).into(), (*text).into())).collect();
    let read = texts.iter().map(|(path, text)| (path.clone(), Some(text.clone()))).collect();
    let runs = runs(command, &read);
    let tests = tests.iter().map(|path| (*path).to_owned()).collect();
    let what = Steering { files, command, runs: &runs, texts: &texts, tests: &tests, places: &places };
    let findings = steering(&what);
    assert!(findings.iter().all(|finding| finding.rule == RULE && !finding.message.is_empty()));
    findings.iter().map(|finding| (finding.id.clone(), crate::verdict::risk(finding))).collect()
}

/// A test command, harness of the base, a changed file, and whether it is told.
type Loaded<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a str, bool);
/// Tests of the base, those of a stage, a manifest with both its sides, and whether it is told.
type Nested<'a> = (&'a [&'a str], &'a [&'a str], &'a str, Option<&'a str>, &'a str, bool);

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
        ("go.mod", None, "module a\nreplace \"github.com/stretchr/testify\" v1.8.0 => ./cheat\n", "replaces-a-test-library", BLOCK),
        ("go.mod", Some("module a\ngo 1.17\n"), "module a\ngo 1.17\nreplace \"github.com/stretchr/test\\x69fy\" => ./x\n", "replaces-a-module", REVIEW),
        ("go.mod", Some("module a\ngo 1.17\nrequire `example.com/x` v1.0.0\n"), "module a\ngo 1.17\nrequire `example.com/x` v1.0.0\nreplace example.com/x => ./x\n", "replaces-a-module", REVIEW),
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
    let rows: &[Loaded<'_>] = &[
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
        ("uv run pytest tests/test_shop.py", &[], "tests/test_shop.py", false),
        ("node --test --import ./hooks.js test/a.test.js", &[], "test/a.test.js", false),
        ("npx jest src/shop.test.ts", &[], "src/shop.test.ts", false),
        // A script with the name of a test is a script where something else than a runner runs it.
        ("python3 run_tests.py", &[], "run_tests.py", true),
        ("sh scripts/run_unit_tests.sh", &[], "scripts/run_unit_tests.sh", true),
        ("python tools/test_runner.py", &[], "tools/test_runner.py", true),
        ("./tools/run_test", &[], "tools/run_test", true),
        ("make test", &[("Makefile", "test:\n\tpython3 tools/test_all.py\n")], "tools/test_all.py", true),
        ("node tools/all.test.js --test", &[], "tools/all.test.js", true),
        ("pytest -p tests.test_plugin", &[], "tests/test_plugin.py", true),
        // What a configuration loads, in each of the ways it can say so.
        ("pytest", &[("pytest.ini", "[pytest]\naddopts = -q\n  -ptools.plugin\n")], "tools/plugin.py", true),
        ("pytest", &[("setup.cfg", "[tool:pytest]\naddopts = --cov=shop -p tools.plugin\n")], "tools/plugin.py", true),
        ("tox", &[("tox.ini", "[testenv]\ncommands = pytest -p tools.plugin\n")], "tools/plugin.py", true),
        ("pytest", &[("tests/conftest.py", "from .support import shop\n")], "tests/support.py", true),
        ("pytest", &[("tests/conftest.py", "from support import shop\n")], "tests/support.py", true),
        ("pytest", &[("conftest.py", "from tests import (\n    support,\n)\n")], "tests/support.py", true),
        ("pytest", &[("conftest.py", "pytest_plugins = (\n    # ours\n    'shop.testing',\n)\n")], "shop/testing.py", true),
        ("npx jest", &[("package.json", r#"{"jest": {"transform": {"x": "<rootDir>/tools/transform.js"}}}"#)], "tools/transform.js", true),
        ("npm test", &[("package.json", r#"{"scripts": {"test": "mocha --require ./tools/hooks"}}"#)], "tools/hooks.js", true),
    ];
    for (command, texts, path, is_told) in rows.iter().copied() {
        let got = found(command, texts, &[], &[file(path, Some("a\n"), "b\n")]);
        assert_eq!(
            got.iter().any(|(id, risk)| id == "runs-with-the-tests" && *risk >= REVIEW),
            is_told,
            "{command} {path}: {got:?}"
        );
    }
}

#[test]
fn product_code_that_a_configuration_only_mentions_is_not_told() {
    #[rustfmt::skip]
    let rows: &[(&str, &str, &str)] = &[
        ("conftest.py", "from shop.app import create_app\n", "shop/app.py"),
        ("tests/conftest.py", "import pytest\nfrom shop.app import create_app\n\n\n@pytest.fixture\ndef app():\n    return create_app()\n", "shop/app.py"),
        ("tests/conftest.py", "from .support import app\n", "shop/support.py"),
        ("tests/__init__.py", "import shop\n", "shop.py"),
        ("noxfile.py", "import nox\n\n@nox.session\ndef tests(session):\n    session.run('pytest', '--cov=shop', 'shop/app.py')\n", "shop/app.py"),
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = \"--cov=shop --cov-report term\"\n", "shop.py"),
        ("pyproject.toml", "[tool.pytest.ini_options]\naddopts = [\"--cov\", \"shop\"]\n", "shop/__init__.py"),
        ("pyproject.toml", "[tool.setuptools]\npy-modules = [\"shop\"]\n", "shop.py"),
        ("pyproject.toml", "[tool.setuptools]\npackages = [\"shop\"]\n", "shop/__init__.py"),
        ("pyproject.toml", "[tool.coverage.report]\nomit = [\"shop/app.py\"]\n", "shop/app.py"),
        ("pytest.ini", "[pytest]\naddopts = --cov=shop\n", "shop.py"),
        ("setup.cfg", "[options]\nsetup_requires =\n  x\npy_modules = shop\n", "shop.py"),
        ("setup.cfg", "[tool:pytest]\naddopts = --cov=shop\n", "shop.py"),
        ("tox.ini", "[testenv]\ncommands = pytest --cov shop\n[flake8]\napplication-import-names = shop\n", "shop.py"),
        (".coveragerc", "[report]\nomit = shop/app.py\n", "shop/app.py"),
        ("package.json", "{\n  \"exports\": {\n    \"require\": \"./src/index.js\"\n  }\n}\n", "src/index.js"),
        ("package.json", r#"{"main": "src/index.js", "jest": {"collectCoverageFrom": ["src/index.js"]}, "scripts": {"test": "jest", "report": "node src/index.js"}}"#, "src/index.js"),
        ("Cargo.toml", "[[bin]]\nname = \"shop\"\npath = \"src/main.rs\"\nrequired-features = [\"cli\"]\n", "src/main.rs"),
    ];
    for (config, text, path) in rows {
        for command in ["pytest", "npm test"] {
            let got = found(command, &[(config, text)], &[], &[file(path, Some("a\n"), "b\n")]);
            assert_eq!(got, [], "{config} {path}");
        }
    }
}

#[test]
fn a_nested_package_json_that_leads_tests_below_it_elsewhere_is_told() {
    const IMPORTS: &str = r##"{"imports": {"#expected": "./lenient.js"}}"##;
    let one = r##"{"imports": {"#a": "./a.js", "#lib/*": "./lib/*.js"}}"##;
    #[rustfmt::skip]
    let rows: &[Nested<'_>] = &[
        (&["test/total.test.js"], &[], "test/package.json", None, IMPORTS, true),
        (&["test/unit/total.test.js"], &[], "test/package.json", None, r#"{"type": "module"}"#, true),
        (&["test/total.test.js"], &[], "test/package.json", None, r#"{"name": "shop", "exports": "./lenient.js"}"#, true),
        (&["test/total.test.js"], &["checks/new.test.js"], "checks/package.json", None, IMPORTS, true),
        (&["test/total.test.js"], &[], "test/package.json", None, r#"{"private": true}"#, false),
        // A package of its own, with no tests of others below it.
        (&["test/total.test.js"], &[], "packages/new/package.json", None, r#"{"name": "new", "type": "module", "exports": "./index.js"}"#, false),
        (&["test/total.test.js"], &[], "package.json", None, r#"{"type": "module"}"#, false),
        // One that is there: what the base's names mean stays, and more names may come.
        (&[], &[], "package.json", Some(one), r##"{"imports": {"#a": "./b.js", "#lib/*": "./lib/*.js"}}"##, true),
        (&[], &[], "a/package.json", Some(one), "{}", true),
        (&[], &[], "package.json", Some(one), r##"{"imports": {"#a": "./a.js", "#lib/*": "./lib/*.js", "#lib/x": "./y.js"}}"##, true),
        (&[], &[], "package.json", Some(one), r##"{"imports": {"#a": "./a.js", "#lib/*": "./lib/*.js", "#new": "./new.js"}}"##, false),
        (&["packages/a/a.test.js"], &[], "packages/a/package.json", Some("{}"), r##"{"imports": {"#a": "./a.js"}, "exports": "./a.js"}"##, false),
    ];
    for (tree, tests, path, base, head, is_told) in rows {
        let got = found_in(tree, "node --test", &[], tests, &[file(path, *base, head)]);
        let is_found = got.iter().any(|(id, risk)| id == "leads-imports-elsewhere" && *risk >= REVIEW);
        assert_eq!(is_found, *is_told, "{path} {head}: {got:?}");
        assert!(*is_told || got.is_empty(), "{path} {head}: {got:?}");
    }
}

#[test]
fn a_module_beside_tests_that_lie_beside_code_is_searched_unless_they_are_a_package() {
    let new = |path| [file(path, None, "x = 1\n")];
    let tree = ["shop/test_shop.py", "shop/cart.py"];
    assert!(found_in(&tree, "pytest", &[], &[], &new("shop/unittest.py"))[0].1 >= BLOCK);
    assert!(found_in(&[], "pytest", &[], &["shop/test_new.py"], &new("shop/json.py"))[0].1 >= REVIEW);
    assert_eq!(found_in(&tree, "pytest", &[], &[], &new("cart/types.py")), []);
    let package = ["shop/test_shop.py", "shop/__init__.py"];
    assert_eq!(found_in(&package, "pytest", &[], &[], &new("shop/types.py")), []);
    let gone = ChangedFile { status: FileStatus::Deleted, head_text: None, ..file("shop/__init__.py", Some(""), "") };
    let [module] = new("shop/types.py");
    assert!(found_in(&package, "pytest", &[], &[], &[gone, module])[0].1 >= REVIEW);
}

#[test]
fn tests_in_a_folder_of_tests_are_no_helpers_whatever_they_are_called() {
    for (path, base) in [
        ("src/test/java/shop/FooTest.java", "class FooTest {\n  @Test\n  void adds() {}\n}\n"),
        ("tests/total.rs", "#[test]\nfn adds() {}\n"),
        ("src/__tests__/price.js", "test('adds', () => {});\n"),
        ("test/price.js", "describe('price', () => {\n  it('adds', () => {});\n});\n"),
    ] {
        assert_eq!(found("make test", &[], &[], &[file(path, Some(base), &format!("{base}// x\n"))]), [], "{path}");
        let got = found("make test", &[], &[], &[file(path, Some("// asks\n"), base)]);
        assert_eq!(got[0].0, "changes-a-helper-of-tests", "{path}");
    }
}

#[test]
fn what_a_repository_writes_is_cut_before_it_is_told() {
    let line = format!("example.com/x => ./\u{1b}[2J\u{202e}{}", "y".repeat(1 << 20));
    let many: String = (0..100).map(|n| format!("replace example.com/m{n} => ./m{n}\n")).collect();
    let files = [file("go.mod", None, &format!("module a\nreplace {line}\n")), file("b/go.mod", None, &many)];
    let runs = runs("go test", &BTreeMap::new());
    let (tests, places) = (BTreeSet::new(), Places::default());
    let what = Steering { files: &files, command: "go test", runs: &runs, texts: &[], tests: &tests, places: &places };
    let findings = steering(&what);
    assert_eq!(findings.len(), 21);
    assert!(findings[20].message.ends_with("(and 80 more like it)"), "{}", findings[20].message);
    for finding in findings {
        assert!(finding.message.chars().count() < 2100 && !finding.message.contains(['\u{1b}', '\u{202e}', '\n']));
    }
}

#[test]
fn a_new_file_that_is_imported_in_the_place_of_a_helper_is_told() {
    for (tree, path, is_told) in [
        ("test/helpers/expected.ts", "test/helpers/expected.js", true),
        ("test/helpers/expected/index.js", "test/helpers/expected.js", true),
        ("test/expected.json", "test/expected/index.mjs", true),
        ("tests/prices.json", "tests/prices.js", true),
        ("tests/support.py", "tests/other.py", false),
        ("src/prices.json", "src/prices.js", false),
    ] {
        let got = found_in(&[tree], "make test", &[], &[], &[file(path, None, "exports.same = 1\n")]);
        assert_eq!(got.iter().any(|(id, _)| id == "changes-a-helper-of-tests"), is_told, "{path}: {got:?}");
    }
}
