//! Files that are harness as a whole, told by where they lie and what they are called.

use crate::{
    facts::FileClass,
    survey::{CI_FILES, CI_FOLDERS, Language, classify, language},
};

/// Names of files that are harness as a whole, in lower case.
const NAMES: [&str; 61] = [
    // Whatever runner a recipe calls.
    "makefile",
    "gnumakefile",
    "justfile",
    "taskfile.yml",
    "taskfile.yaml",
    "run_tests.sh",
    "mise.toml",
    ".mise.toml",
    ".tool-versions",
    // Python.
    "pytest.ini",
    ".pytest.ini",
    "pytest.toml",
    ".pytest.toml",
    "tox.ini",
    "tox.toml",
    "noxfile.py",
    "conftest.py",
    "sitecustomize.py",
    "usercustomize.py",
    ".coveragerc",
    ".coveragerc.toml",
    "unittest.cfg",
    "nose.cfg",
    "nose2.cfg",
    ".noserc",
    "pyvenv.cfg",
    ".python-version",
    // Rust.
    "nextest.toml",
    "rust-toolchain",
    "rust-toolchain.toml",
    "tarpaulin.toml",
    ".tarpaulin.toml",
    // Node.
    ".npmrc",
    ".yarnrc",
    ".yarnrc.yml",
    ".pnpmfile.cjs",
    ".pnpmfile.mjs",
    "pnpmfile.js",
    ".pnp.js",
    ".pnp.cjs",
    ".pnp.loader.mjs",
    "node.config.json",
    "bunfig.toml",
    "turbo.json",
    "nx.json",
    "jakefile",
    "jakefile.js",
    "mocha.opts",
    "jasmine.json",
    "jasmine.mjs",
    "jasmine.js",
    "cypress.json",
    ".swcrc",
    ".taprc",
    "karma.conf.js",
    "karma.conf.cjs",
    "karma.conf.mjs",
    "karma.conf.ts",
    // Go.
    "go.work",
    "go.work.sum",
    "go.env",
];

/// What names of such files start with, in lower case.
const PREFIXES: [&str; 29] = [
    "jest.config.",
    "jest.setup.",
    "jest-setup.",
    "jest.preset.",
    "jest.global",
    "vitest.config.",
    "vitest.setup.",
    "vitest.workspace.",
    "vitest.global",
    // Vitest reads it where it has no file of its own.
    "vite.config.",
    ".mocharc",
    ".taprc.",
    "ava.config.",
    "playwright.config.",
    "playwright-ct.config.",
    "cypress.config.",
    "setuptests.",
    "babel.config.",
    ".babelrc",
    ".nycrc",
    "nyc.config.",
    ".c8rc",
    "web-test-runner.config.",
    "wdio.conf.",
    "nightwatch.conf.",
    ".testcaferc",
    "gulpfile.",
    "gruntfile.",
    ".testem.",
];

/// Folders whose files are all harness, wherever they lie: programs and packages that runners load, and what they kept of earlier runs.
const FOLDERS: [&str; 12] = [
    "node_modules",
    ".bin",
    ".yarn",
    ".venv",
    "venv",
    ".tox",
    ".nox",
    "__pycache__",
    ".pytest_cache",
    "__pypackages__",
    ".nx",
    ".turbo",
];

/// Folders that hold harness beside other files. As a link, one of them brings in whatever it leads to.
const HOLDERS: [&str; 2] = [".cargo", ".config"];

/// Endings of `.env` files that nobody reads but people.
const SAMPLES: [&str; 6] = ["example", "sample", "template", "dist", "tpl", "defaults"];

/// Names of folders that hold tests.
const TEST_FOLDERS: [&str; 8] =
    ["test", "tests", "__tests__", "spec", "specs", "e2e", "integration_tests", "unit_tests"];

/// True for files that are harness as a whole, and so come from the base whatever the change did to them.
///
/// A file of this kind that the base does not have is removed for the check. See also [`is_test_package`].
pub fn is_whole(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let mut parts = lower.split('/').rev();
    let name = parts.next().unwrap_or_default();
    let folders: Vec<&str> = parts.collect();
    let folder = folders.first().copied().unwrap_or_default();
    let cargo = folder == ".cargo" && matches!(name, "config" | "config.toml");
    let inside = folders.iter().any(|folder| FOLDERS.contains(folder) || is_installed(folder)) || is_built(&lower);
    // What stands in the place of such a folder is a link, or hides it.
    let instead = FOLDERS.contains(&name) || folders.is_empty() && HOLDERS.contains(&name) || is_installed(name);
    // A `.pth` file is run by the interpreter at start; byte code is run instead of the source beside it.
    let interpreted = name.ends_with(".pth") && language(path) != Some(Language::Python) || name.ends_with(".pyc");
    let variables = name == ".env"
        || name.strip_prefix(".env.").is_some_and(|rest| !rest.split('.').any(|part| SAMPLES.contains(&part)));
    NAMES.contains(&name)
        || PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || name.ends_with(".mk")
        || is_ci(&lower)
        || cargo
        || inside
        || instead
        || interpreted
        || variables
}

/// What a CI runs; a test command that calls into it is not the change's to steer either.
fn is_ci(lower: &str) -> bool {
    let mut parts = lower.split('/');
    let top = parts.next().unwrap_or_default();
    let at_top = parts.next().is_none();
    matches!(classify(lower), FileClass::Ci)
        || CI_FOLDERS.contains(&top)
        || at_top && CI_FILES.iter().any(|file| file.eq_ignore_ascii_case(lower))
}

/// The record of an installed Python package, whose entry points name plugins that pytest loads.
fn is_installed(folder: &str) -> bool {
    folder.ends_with(".dist-info") || folder.ends_with(".egg-info")
}

/// What Cargo kept of an earlier build.
fn is_built(lower: &str) -> bool {
    const KEPT: [&str; 4] = ["debug/", "release/", "nextest/", ".rustc_info.json"];
    let built = |(at, _): (usize, &str)| {
        let (before, rest) = (&lower[..at], &lower[at + "target/".len()..]);
        (before.is_empty() || before.ends_with('/')) && KEPT.iter().any(|start| rest.starts_with(start))
    };
    lower.match_indices("target/").any(built)
}

/// True for the `__init__.py` of a folder of tests, or of the whole: a runner imports it before the tests, which makes it harness unless
/// it is [bare](is_bare).
pub fn is_test_package(path: &str) -> bool {
    let Some(folders) = path.strip_suffix("__init__.py") else { return false };
    folders.is_empty() || folders.ends_with('/') && folders.split('/').any(is_test_folder)
}

/// True for the name of a folder of tests.
pub(crate) fn is_test_folder(name: &str) -> bool {
    TEST_FOLDERS.iter().any(|folder| folder.eq_ignore_ascii_case(name))
}

/// True for a Python file that does nothing: blank lines, comments, and a docstring on one line.
pub fn is_bare(text: &str) -> bool {
    let quoted = |line: &str| {
        let mark = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|mark| line.starts_with(mark));
        mark.and_then(|mark| line.strip_prefix(mark)?.strip_suffix(mark))
            .is_some_and(|text| !text.contains(['"', '\'', '\\']) && !text.chars().any(char::is_control))
    };
    // Python ends lines at a carriage return and form feeds, too.
    !text.contains(['\r', '\u{c}'])
        && text
            .lines()
            .map(str::trim)
            .all(|line| line.is_empty() || line.starts_with('#') && !is_coding(line) || quoted(line))
}

/// A comment that names an encoding (PEP 263), under which what follows may be no comment.
fn is_coding(line: &str) -> bool {
    line.split_once("coding").is_some_and(|(_, rest)| rest.starts_with([':', '=']))
}
