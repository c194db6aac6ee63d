//! What of each runner's files is its own, and what the build's.

use super::*;

#[test]
fn whole_harness_files_are_known() {
    for path in [
        "Makefile",
        "sub/conftest.py",
        ".cargo/config.toml",
        ".cargo/config",
        "jest.config.ts",
        ".github/workflows/ci.yml",
        "sitecustomize.py",
        "x.pth",
        "node_modules/.bin/jest",
        "test/node_modules/chai/index.js",
        "cheat.dist-info/entry_points.txt",
        "shop.egg-info/entry_points.txt",
        "tests/__pycache__/test_a.cpython-311.pyc",
        "tests/test_a.pyc",
        ".config/nextest.toml",
        ".config",
        ".cargo",
        "node_modules",
        "go.work",
        ".npmrc",
        ".yarnrc.yml",
        ".yarn/releases/yarn.cjs",
        ".pnpmfile.cjs",
        "vitest.config.mts",
        "vite.config.ts",
        "packages/a/.mocharc.cjs",
        ".env",
        ".env.test",
        "target/debug/deps/shop-1",
        "crates/a/target/.rustc_info.json",
        "rust-toolchain.toml",
        "unittest.cfg",
        "pytest.toml",
        "tox.ini",
    ] {
        assert!(is_whole(path), "{path}");
    }
    for path in [
        "src/lib.rs",
        "build.rs",
        "tests/test_a.py",
        "Cargo.toml",
        "package.json",
        "pyproject.toml",
        "setup.cfg",
        "setup.py",
        "src/config.toml",
        "docs/makefile.md",
        "clippy.toml",
        ".env.example",
        "src/environment.ts",
        "src/target/debug.rs",
        "go.mod",
        "vendor/github.com/stretchr/testify/assert/assertions.go",
        "json.py",
    ] {
        assert!(!is_whole(path), "{path}");
    }
    for (path, is) in [
        ("tests/__init__.py", true),
        ("shop/tests/unit/__init__.py", true),
        ("__init__.py", true),
        ("shop/__init__.py", false),
        ("tests/x__init__.py", false),
    ] {
        assert_eq!(is_test_package(path), is, "{path}");
    }
}

#[test]
fn a_bare_package_does_nothing() {
    for text in ["", "\n\n", "# tests of the shop\n", "\"\"\"Tests.\"\"\"\n", "'Tests.'\n# more\n"] {
        assert!(is_bare(text), "{text:?}");
    }
    for text in [
        "import cheat\n",
        "\"\"\"a\"\"\"; import cheat; \"\"\"b\"\"\"\n",
        "# coding: unicode_escape\n# \\nimport cheat\n",
        "# a\rimport cheat\n",
        "# a\u{c}import cheat\n",
        "\"a\" if x() else \"b\"\n",
        "'''\nimport cheat\n'''\n",
    ] {
        assert!(!is_bare(text), "{text:?}");
    }
}

const NOTHING: &str = "<none>";

/// A row of a table of manifests: what it is about, path, base, head, what a check sees (none where that is the head's), keys told.
type Row<'a> = (&'a str, &'a str, &'a str, &'a str, Option<&'a str>, &'a [&'a str]);

fn merge(path: &str, base: &str, head: &str, command: &str, tree: &[&str]) -> Merged {
    let text = |text| (text != NOTHING).then_some(text);
    let has = |path: &str| tree.contains(&path);
    let manifest = Manifest::of(path).unwrap();
    manifest.merge(&Sides { path, base: text(base), head: text(head), command, has: &has })
}

#[track_caller]
fn hold(rows: &[Row<'_>], command: &str, tree: &[&str]) {
    for (what, path, base, head, seen, keys) in rows {
        match (merge(path, base, head, command, tree), seen) {
            (Merged::Same, None) => assert_eq!(keys.len(), 0, "{what}"),
            (Merged::Edited { text, keys: told }, Some(seen)) => {
                assert_eq!(
                    (text.as_str(), told.iter().map(String::as_str).collect::<Vec<_>>().as_slice()),
                    (*seen, *keys),
                    "{what}"
                );
                // What is made of it has the base's keys: once more changes nothing.
                assert_eq!(merge(path, base, &text, command, tree), Merged::Same, "{what}");
            }
            (got, wanted) => panic!("{what}: {got:?}, not {wanted:?}"),
        }
    }
}

#[test]
fn of_pyproject_the_runners_tables_are_the_bases() {
    let base = "[project]\nname = \"a\"\n\n[tool.pytest.ini_options]\ntestpaths = [\"tests\"] # there\n";
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("a new one keeps its build parts", "pyproject.toml", NOTHING,
            "[build-system]\nrequires = [\"setuptools\"]\n\n[project]\nname = \"a\" # ours\ndependencies = [\"x\"]\n\n[tool.pytest.ini_options]\naddopts = \"-p cheat\"\n",
            Some("[build-system]\nrequires = [\"setuptools\"]\n\n[project]\nname = \"a\" # ours\ndependencies = [\"x\"]\n"), &["tool.pytest"]),
        ("only steering", "pyproject.toml", NOTHING, "[tool.pytest.ini_options]\naddopts = \"-p cheat\"\n", Some(""), &["tool.pytest"]),
        ("dotted keys", "a/pyproject.toml", NOTHING, "tool.pytest.ini_options.addopts = \"-p cheat\"\n", Some(""), &["tool.pytest"]),
        ("inline", "pyproject.toml", NOTHING, "[tool]\npytest = { ini_options = { addopts = \"-p cheat\" } }\nblack = {}\n", Some("[tool]\nblack = {}\n"), &["tool.pytest"]),
        ("a dependency", "pyproject.toml", base, "[project]\nname = \"a\"\ndependencies = [\"x\"]\n\n[tool.pytest.ini_options]\ntestpaths = [\"tests\"]\n", None, &[]),
        ("changed", "pyproject.toml", base, "[project]\nname = \"b\"\n\n[tool.pytest.ini_options]\ntestpaths = []\n",
            Some("[project]\nname = \"b\"\n\n[tool.pytest.ini_options]\ntestpaths = [\"tests\"] # there\n"), &["tool.pytest"]),
        ("removed", "pyproject.toml", base, "[project]\nname = \"b\"\n", Some("[project]\nname = \"b\"\n\n[tool.pytest.ini_options]\ntestpaths = [\"tests\"] # there\n"), &["tool.pytest"]),
        ("the file removed", "pyproject.toml", base, NOTHING, Some("\n[tool.pytest.ini_options]\ntestpaths = [\"tests\"] # there\n"), &["tool.pytest"]),
        ("a plugin by its entry point", "pyproject.toml", NOTHING,
            "[project.entry-points.pytest11]\nx = \"cheat\"\n[project.entry-points.console_scripts]\ny = \"shop\"\n",
            Some("[project.entry-points.console_scripts]\ny = \"shop\"\n"), &["project.entry-points.pytest11"]),
        ("tox, coverage and environments", "pyproject.toml", NOTHING,
            "[tool.tox]\nx = 1\n[tool.coverage.run]\nx = 1\n[tool.hatch.envs.test]\nx = 1\n[tool.hatch.build]\nx = 1\n[tool.black]\nx = 1\n",
            Some("[tool.hatch.build]\nx = 1\n[tool.black]\nx = 1\n"), &["tool.tox", "tool.coverage", "tool.hatch.envs"]),
        ("plugins of pytest", "pyproject.toml", NOTHING, "[tool.pytest_env]\nCHEAT = \"1\"\n[tool.pytest-watch]\nx = 1\n[tool.black]\nx = 1\n",
            Some("[tool.black]\nx = 1\n"), &["tool.pytest-watch", "tool.pytest_env"]),
        ("dependency groups and sources", "pyproject.toml", base, &format!("{base}[dependency-groups]\ndev = [\"x\"]\n[tool.uv.sources]\nx = {{ path = \"x\" }}\n"), None, &[]),
    ];
    hold(rows, "python -m pytest", &[]);
    assert!(matches!(merge("pyproject.toml", base, "[tool", "", &[]), Merged::Unreadable(_)));
    assert!(matches!(merge("pyproject.toml", base, "tool = 1\n", "", &[]), Merged::Unreadable(_)));
}

#[test]
fn of_package_json_the_runners_keys_and_the_scripts_of_tests_are_the_bases() {
    let base = r#"{"scripts": {"test": "npm run unit", "unit": "node --test", "start": "node ."}}"#;
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("a new one keeps its build parts", "package.json", NOTHING,
            r#"{"name": "a", "type": "module", "scripts": {"build": "tsc", "test": "true"}, "jest": {}, "dependencies": {"x": "1"}}"#,
            Some("{\n  \"name\": \"a\",\n  \"type\": \"module\",\n  \"scripts\": {\n    \"build\": \"tsc\"\n  },\n  \"dependencies\": {\n    \"x\": \"1\"\n  }\n}\n"),
            &["jest", "scripts.test"]),
        ("a dependency and another script", "package.json", base,
            r##"{"type": "module", "imports": {"#a": "./a.js"}, "scripts": {"test": "npm run unit", "unit": "node --test", "start": "node x.js"}, "devDependencies": {"x": "1"}, "workspaces": ["p/*"]}"##, None, &[]),
        ("what the tests' script calls", "package.json", base, r#"{"scripts": {"test": "npm run unit", "unit": "true"}}"#,
            Some("{\n  \"scripts\": {\n    \"test\": \"npm run unit\",\n    \"unit\": \"node --test\"\n  }\n}\n"), &["scripts.unit"]),
        ("what runs before and after", "package.json", base,
            r#"{"scripts": {"test": "npm run unit", "unit": "node --test", "pretest": "x", "postunit": "x", "prebuild": "x"}}"#,
            Some("{\n  \"scripts\": {\n    \"test\": \"npm run unit\",\n    \"unit\": \"node --test\",\n    \"prebuild\": \"x\"\n  }\n}\n"), &["scripts.postunit", "scripts.pretest"]),
        ("whatever is named for tests", "package.json", "{}", r#"{"scripts": {"tests": "x", "testUnit": "x", "test.unit": "x", "attest": "x"}}"#,
            Some("{\n  \"scripts\": {\n    \"attest\": \"x\"\n  }\n}\n"), &["scripts.test.unit", "scripts.testUnit", "scripts.tests"]),
        ("a package that is gone", "a/package.json", base, NOTHING, None, &[]),
        ("removed", "a/package.json", base, "{}", Some("{\n  \"scripts\": {\n    \"test\": \"npm run unit\",\n    \"unit\": \"node --test\"\n  }\n}\n"), &["scripts.test", "scripts.unit"]),
    ];
    hold(rows, "npm test", &[]);
    let rows: &[Row<'_>] = &[(
        "what the command calls",
        "package.json",
        r#"{"scripts": {"check": "mocha", "other": "x"}}"#,
        r#"{"scripts": {"check": "true", "other": "y"}}"#,
        Some("{\n  \"scripts\": {\n    \"check\": \"mocha\",\n    \"other\": \"y\"\n  }\n}\n"),
        &["scripts.check"],
    )];
    hold(rows, "cd . && npm run check", &[]);
    for bad in ["{", "[]", "{\"scripts\": 1}", "\u{feff}{}"] {
        assert!(matches!(merge("package.json", base, bad, "", &[]), Merged::Unreadable(_)), "{bad}");
    }
}

#[test]
fn of_cargo_toml_what_decides_whether_a_test_can_fail_is_the_bases() {
    let base = "[package]\nname = \"a\"\nedition = \"2024\"\n";
    let workspace = "[workspace]\nmembers = [\"x\"]\n";
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("dependencies of every kind", "Cargo.toml", base,
            &format!("{base}build = \"build.rs\"\n[dependencies]\nx = \"1\"\n[dev-dependencies]\ny = \"1\"\n[build-dependencies]\nz = {{ path = \"z\" }}\n[features]\nf = []\n[patch.crates-io]\nx = {{ path = \"x\" }}\n"), None, &[]),
        ("a crate", "Cargo.toml", workspace, "[workspace]\nmembers = [\"x\", \"y\"]\nresolver = \"3\"\n[workspace.dependencies]\na = \"1\"\n", None, &[]),
        ("the manifest of a new crate", "y/Cargo.toml", NOTHING, &format!("{base}[lib]\npath = \"lib.rs\"\ncrate-type = [\"cdylib\"]\n[[bin]]\nname = \"b\"\npath = \"b.rs\"\nrequired-features = [\"f\"]\n"), None, &[]),
        ("a test target", "Cargo.toml", base, &format!("{base}[[test]]\nname = \"new\"\npath = \"checks/new.rs\"\n"), None, &[]),
        ("a test target with the path it has anyway", "Cargo.toml", base, &format!("{base}[[test]]\nname = \"it\"\npath = \"tests/it.rs\"\n"), None, &[]),
        ("another harness for tests that are there", "Cargo.toml", base, &format!("{base}[[test]]\nname = \"it\"\nharness = false\n"),
            Some(&format!("{base}[[test]]\nname = \"it\"\n")), &["test.it.harness"]),
        ("in one line", "Cargo.toml", base, &format!("test = [{{ name = \"it\", harness = false }}]\n{base}"),
            Some(&format!("[[test ]]\nname = \"it\"\n{base}")), &["test.it.harness"]),
        ("another file for tests that are there", "Cargo.toml", base, &format!("{base}[[test]]\nname = \"it\"\npath = \"cheat.rs\"\n"),
            Some(&format!("{base}[[test]]\nname = \"it\"\n")), &["test.it.path"]),
        ("a target that is off", "Cargo.toml", base, &format!("{base}[[test]]\nname = \"it\"\ntest = false\nrequired-features = [\"x\"]\n"),
            Some(&format!("{base}[[test]]\nname = \"it\"\n")), &["test.it.test", "test.it.required-features"]),
        ("no tests of their own", "Cargo.toml", base, &format!("{base}autotests = false\n[lib]\ntest = false\nharness = false\n"),
            Some(&format!("{base}[lib]\n")), &["package.autotests", "lib.harness", "lib.test"]),
        ("of a new crate, too", "y/Cargo.toml", NOTHING, &format!("{base}autotests = false\nautobins = false\n"),
            Some(&format!("{base}autobins = false\n")), &["package.autotests"]),
        ("a harness that the base has", "Cargo.toml", &format!("{base}[[test]]\nname = \"it\"\nharness = false\n"), &format!("{base}[dependencies]\nx = \"1\"\n"),
            Some(&format!("{base}[dependencies]\nx = \"1\"\n[[test]]\nname = \"it\"\nharness = false\n")), &["test.it"]),
        ("a target whose file is gone", "Cargo.toml", &format!("{base}[[test]]\nname = \"gone\"\nharness = false\n"), base, None, &[]),
        ("a target whose file has moved", "Cargo.toml", &format!("{base}[[test]]\nname = \"a\"\npath = \"old.rs\"\n"), &format!("{base}[[test]]\nname = \"a\"\npath = \"new.rs\"\n"), None, &[]),
        ("profiles", "Cargo.toml", base, &format!("{base}[profile.test]\ndebug-assertions = false\n[profile.dev]\nopt-level = 1\noverflow-checks = false\n[profile.release]\npanic = \"abort\"\n"),
            Some(&format!("{base}[profile.dev]\nopt-level = 1\n[profile.release]\npanic = \"abort\"\n")), &["profile.test", "profile.dev.overflow-checks"]),
        ("of one package", "Cargo.toml", base, &format!("{base}[profile.dev.package.x]\nopt-level = 3\ndebug-assertions = false\n"),
            Some(&format!("{base}[profile.dev.package.x]\nopt-level = 3\n")), &["profile.dev.package.x.debug-assertions"]),
        ("a crate that is gone", "Cargo.toml", &format!("{base}autotests = false\n"), NOTHING, None, &[]),
        ("a bench", "Cargo.toml", base, &format!("{base}[[bench]]\nname = \"b\"\nharness = false\n"), None, &[]),
    ];
    hold(rows, "cargo test", &["tests/it.rs", "src/lib.rs", "new.rs"]);
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[("the profile that is named", "Cargo.toml", base, &format!("{base}[profile.release]\npanic = \"abort\"\nlto = true\n"),
        Some(&format!("{base}[profile.release]\nlto = true\n")), &["profile.release.panic"])];
    hold(rows, "cargo nextest run --release", &[]);
    assert!(matches!(merge("Cargo.toml", base, "[package", "", &[]), Merged::Unreadable(_)));
    let asked = Manifest::Cargo.asks("x/Cargo.toml", None, Some("[[test]]\nname = \"a\"\npath = \"./b.rs\"\n"));
    assert_eq!(asked, ["x/b.rs", "x/src/lib.rs", "x/tests/a.rs", "x/tests/a/main.rs"]);
}

#[test]
fn of_setup_cfg_the_runners_sections_are_the_bases() {
    let base = "[metadata]\nname = a\n\n[tool:pytest]\naddopts = -q\n";
    #[rustfmt::skip]
    let rows: &[Row<'_>] = &[
        ("a new one keeps its build parts", "setup.cfg", NOTHING, "[metadata]\nname = a\n[tool:pytest]\naddopts = -p cheat\n[options]\ninstall_requires =\n  x\n",
            Some("[metadata]\nname = a\n\n[options]\ninstall_requires =\n  x\n"), &["[tool:pytest]"]),
        ("a dependency", "setup.cfg", base, "[metadata]\nname = a\n[options]\ninstall_requires = x\n[tool:pytest]\naddopts = -q\n", None, &[]),
        ("changed", "setup.cfg", base, "[metadata]\nname = b\n\n[tool:pytest]\naddopts = -p cheat\n", Some("[metadata]\nname = b\n\n[tool:pytest]\naddopts = -q\n"), &["[tool:pytest]"]),
        ("removed", "setup.cfg", base, "[metadata]\nname = b\n", Some("[metadata]\nname = b\n\n[tool:pytest]\naddopts = -q\n"), &["[tool:pytest]"]),
        ("coverage, tox, and defaults of all", "setup.cfg", base, &format!("{base}[coverage:run]\nx = 1\n[tox:tox]\nx = 1\n[DEFAULT]\nx = 1\n[flake8]\nx = 1\n"),
            Some("[metadata]\nname = a\n\n[flake8]\nx = 1\n\n[tool:pytest]\naddopts = -q\n"), &["[coverage:run]", "[tox:tox]", "[DEFAULT]"]),
    ];
    hold(rows, "pytest", &[]);
    for bad in
        ["[metadata]\n  [tool:pytest]\naddopts = x\n", "[a]\rb\n", "[metadata]\u{c}[tool:pytest]\n", "[tool:pytest\n"]
    {
        assert!(matches!(merge("setup.cfg", base, bad, "", &[]), Merged::Unreadable(_)), "{bad:?}");
    }
}

#[test]
fn what_people_look_at_in_manifests_is_shown() {
    let cargo = "[package]\nname = \"a\"\nversion = \"1.0.0\"\n[dependencies]\nserde = \"1\"\n";
    assert_eq!(
        mixed_changes("Cargo.toml", Some(cargo), Some(&cargo.replace("1.0.0", "1.1.0").replace("\"1\"", "\"2\""))),
        None
    );
    let off = format!("{cargo}[[test]]\nname = \"it\"\nharness = false\n");
    assert!(mixed_changes("a/Cargo.toml", Some(cargo), Some(&off)).unwrap().contains("`test.it.harness` added"));
    let package = r#"{"version":"1","scripts":{"test":"jest"},"dependencies":{"a":"1"}}"#;
    assert_eq!(
        mixed_changes("package.json", Some(package), Some(&package.replace("\"a\":\"1\"", "\"a\":\"2\""))),
        None
    );
    let weak = package.replace("jest", "jest --passWithNoTests");
    assert!(mixed_changes("package.json", Some(package), Some(&weak)).unwrap().contains("`scripts.test` changed"));
    let py = "[project]\nname = \"a\"\n[tool.pytest.ini_options]\ntestpaths = [\"tests\"]\n";
    assert_eq!(mixed_changes("pyproject.toml", Some(py), Some(&py.replace("\"a\"", "\"b\""))), None);
    assert!(mixed_changes("pyproject.toml", Some(py), Some("[project]\nname = \"a\"\n")).unwrap().contains("removed"));
    let env = "[tool.pytest_env]\nCHEAT = \"1\"\n";
    assert_eq!(mixed_changes("pyproject.toml", None, Some(env)).as_deref(), Some("`tool.pytest_env` added"));
    assert!(mixed_changes("package.json", Some(package), Some("{")).unwrap().contains("could not be read"));
    assert!(mixed_changes("package.json", Some("{"), Some("{,")).unwrap().contains("could not be read"));
    assert_eq!(mixed_changes("package.json", Some("{"), Some("{")), None, "only its mode changed");
    assert_eq!(mixed_changes("src/lib.rs", Some("a"), Some("b")), None);
    let setup = "[metadata]\nname = a\n[options.entry_points]\nconsole_scripts = x\n";
    assert_eq!(mixed_changes("setup.cfg", Some(setup), Some(&setup.replace("name = a", "name = b"))), None);
    assert!(
        mixed_changes("setup.cfg", Some(setup), Some("[metadata]\n"))
            .unwrap()
            .contains("`[options.entry_points]` removed")
    );
}

#[test]
fn names_of_keys_are_cut_and_so_is_their_number() {
    let script = |n: usize| format!("\"test{n}{}\\n`x\": \"x\"", "y".repeat(1 << 16));
    let scripts: Vec<String> = (0..30).map(script).collect();
    let text = format!("{{\"scripts\": {{{}}}}}", scripts.join(","));
    let Merged::Edited { keys, .. } = merge("package.json", "{}", &text, "npm test", &[]) else { panic!() };
    assert_eq!((keys.len(), keys[20].as_str()), (21, "and 10 more"));
    assert!(keys.iter().all(|key| key.chars().count() <= 80));
    let shown = mixed_changes("package.json", Some("{}"), Some(&text)).unwrap();
    assert!(shown.len() < 4096 && shown.ends_with(", and 10 more"), "{shown}");
    let odd = r#"{"scripts": {"test\n`\u001b": "x"}}"#;
    let Merged::Edited { keys, .. } = merge("package.json", "{}", odd, "npm test", &[]) else { panic!() };
    assert_eq!(keys, ["scripts.test???"]);
    let bad = format!("{{\"{}\": 1, 2", "x".repeat(1 << 16));
    let Merged::Unreadable(why) = merge("package.json", NOTHING, &bad, "", &[]) else { panic!() };
    assert!(why.chars().count() <= 200);
}
