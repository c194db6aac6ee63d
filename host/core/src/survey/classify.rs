//! What kind of file a path names, by the conventions of its ecosystem. The content is looked at by rules, not here.

use crate::{
    facts::FileClass,
    spelling::{fold, is_short_for},
};
use std::borrow::Cow;

/// Languages whose tests are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Language {
    Rust,
    Python,
    /// JavaScript and TypeScript.
    Js,
    Go,
    Java,
}

/// Folders at the root of a repository whose files a CI runs or obeys, by the vendors' documentation: CircleCI, Buildkite, GitLab, Woodpecker,
/// Forgejo, Gitea, Semaphore, TeamCity, Tekton, Harness, Buddy, Azure Pipelines, SourceHut, CDS, Prow, Evergreen, Cirrus, Drone, Jenkins,
/// Xcode Cloud, Zuul, AppVeyor, Travis, Cloud Build; and what projects use by custom.
pub const CI_FOLDERS: [&str; 31] = [
    ".circleci",
    ".buildkite",
    ".gitlab",
    ".ci",
    ".woodpecker",
    ".forgejo",
    ".gitea",
    ".semaphore",
    ".teamcity",
    ".tekton",
    ".harness",
    ".buddy",
    ".azure-pipelines",
    ".azuredevops",
    ".pipelines",
    ".builds",
    ".cds",
    ".prow",
    ".evergreen",
    ".cirrus",
    ".drone",
    ".jenkins",
    ".gitlab-ci",
    "ci_scripts",
    ".zuul.d",
    "zuul.d",
    ".screwdriver",
    ".appveyor",
    ".travis",
    ".cloudbuild",
    ".vsts-ci",
];

/// Files at the root of a repository that a CI runs, by the vendors' documentation.
pub const CI_FILES: [&str; 40] = [
    ".gitlab-ci.yml",
    ".travis.yml",
    "azure-pipelines.yml",
    "azure-pipelines.yaml",
    "Jenkinsfile",
    "bitbucket-pipelines.yml",
    ".drone.yml",
    ".drone.yaml",
    ".drone.jsonnet",
    ".drone.star",
    ".cirrus.yml",
    ".cirrus.star",
    "appveyor.yml",
    ".appveyor.yml",
    "buildspec.yml",
    "buildspec.yaml",
    "cloudbuild.yaml",
    "cloudbuild.yml",
    "cloudbuild.json",
    ".woodpecker.yml",
    ".woodpecker.yaml",
    ".build.yml",
    "codeship-steps.yml",
    "codeship-services.yml",
    "wercker.yml",
    "shippable.yml",
    "bitrise.yml",
    "codemagic.yaml",
    "screwdriver.yaml",
    "zuul.yaml",
    ".zuul.yaml",
    ".prow.yaml",
    ".evergreen.yml",
    ".taskcluster.yml",
    "buddy.yml",
    ".onedev-buildspec.yml",
    ".space.kts",
    ".vsts-ci.yml",
    ".gocd.yaml",
    ".semaphoreci.yml",
];

/// Other names that decide a class, of which every spelling counts.
const STEERING: [&str; 8] = [
    ".github",
    "workflows",
    "actions",
    "dependabot.yml",
    "dependabot.yaml",
    "CODEOWNERS",
    ".gitattributes",
    ".gitmodules",
];

/// The language of a file, by its ending.
pub fn language(path: &str) -> Option<Language> {
    let (stem, ending) = path.rsplit_once('.')?;
    if stem.is_empty() {
        return None;
    }
    match ending {
        "rs" => Some(Language::Rust),
        "py" | "pyi" => Some(Language::Python),
        "js" | "jsx" | "mjs" | "cjs" | "ts" | "tsx" | "mts" | "cts" => Some(Language::Js),
        "go" => Some(Language::Go),
        "java" | "kt" => Some(Language::Java),
        _ => None,
    }
}

/// The path with each name that steers a CI or a forge spelt as they spell it: `.GitHub/x` and `GITHUB~1/x` are `.github/x` on some
/// file system, and what is known of one is known of all.
pub fn plain(path: &str) -> Cow<'_, str> {
    let is_plain = |name: &str| steering(name).is_none_or(|known| known == name);
    if !path.contains('\\') && path.split('/').all(is_plain) {
        return Cow::Borrowed(path);
    }
    let names: Vec<&str> = path.split(['/', '\\']).map(|name| steering(name).unwrap_or(name)).collect();
    Cow::Owned(names.join("/"))
}

/// The name that steers, of which this is a spelling. Called for every name of large trees.
fn steering(name: &str) -> Option<&'static str> {
    let is_simple = name.is_ascii() && !name.ends_with(['.', ' ']) && !name.contains(':');
    let folded = if is_simple { Cow::Borrowed(name) } else { Cow::Owned(fold(name)) };
    let known = || CI_FOLDERS.iter().chain(&CI_FILES).chain(&STEERING).copied();
    let spelt = known().find(|known| known.eq_ignore_ascii_case(&folded));
    spelt.or_else(|| known().find(|known| name.contains('~') && is_short_for(name, known)))
}

/// What a file is for. Where several fit, the one that guards more wins: a CI file before a test, a test before source. A file or a link in
/// the place of a folder of CI counts as what may lie in it.
pub fn classify(path: &str) -> FileClass {
    let path = &*plain(path);
    let parts: Vec<&str> = path.split('/').collect();
    let name = parts.last().copied().unwrap_or_default();
    let folders = &parts[..parts.len().saturating_sub(1)];
    let lower = name.to_ascii_lowercase();
    if is_ownership(folders, name) {
        FileClass::Ownership
    } else if is_ci(folders, name) {
        FileClass::Ci
    } else if is_coverage(&lower) {
        FileClass::Coverage
    } else if is_lint(folders, &lower) {
        FileClass::Lint
    } else if is_build(folders, &lower) {
        FileClass::Build
    } else if is_snapshot(folders, &lower) {
        FileClass::Snapshot
    } else if is_fixture(folders, &lower) {
        FileClass::Fixture
    } else if is_test(path, folders, name) {
        FileClass::Test
    } else if is_docs(folders, &lower) {
        FileClass::Docs
    } else if is_source(&lower) {
        FileClass::Source
    } else {
        FileClass::Other
    }
}

fn is_ownership(folders: &[&str], name: &str) -> bool {
    matches!(name, "CODEOWNERS" | "OWNERS" | ".gitattributes" | ".gitmodules" | "MAINTAINERS")
        && (name.starts_with('.') || name != "CODEOWNERS" || folders.len() <= 1)
}

fn is_ci(folders: &[&str], name: &str) -> bool {
    let top = folders.first().copied().unwrap_or_default();
    let steers = |name: &str| matches!(name, "workflows" | "actions");
    let in_github =
        top == ".github" && (folders.get(1).is_some_and(|name| steers(name)) || folders.len() == 1 && steers(name));
    // Such a folder is none any more: it is a link, a file or a submodule.
    let in_place = folders.is_empty() && (name == ".github" || CI_FOLDERS.contains(&name));
    let at_top = folders.is_empty() && CI_FILES.contains(&name);
    let dependabot = top == ".github" && folders.len() == 1 && matches!(name, "dependabot.yml" | "dependabot.yaml");
    in_github || in_place || at_top || dependabot || CI_FOLDERS.contains(&top)
}

fn is_coverage(lower: &str) -> bool {
    matches!(
        lower,
        ".coveragerc"
            | "codecov.yml"
            | "codecov.yaml"
            | ".codecov.yml"
            | ".codecov.yaml"
            | "tarpaulin.toml"
            | ".coveralls.yml"
    ) || lower.starts_with(".nycrc")
        || lower.starts_with("nyc.config.")
        || lower.starts_with(".c8rc")
}

fn is_lint(folders: &[&str], lower: &str) -> bool {
    const PREFIXES: [&str; 9] = [
        ".eslintrc",
        "eslint.config.",
        ".prettierrc",
        "prettier.config.",
        ".golangci.",
        "biome.json",
        ".stylelintrc",
        ".rubocop",
        ".pre-commit-config.",
    ];
    const NAMES: [&str; 17] = [
        "clippy.toml",
        ".clippy.toml",
        "rustfmt.toml",
        ".rustfmt.toml",
        "deny.toml",
        ".flake8",
        "ruff.toml",
        ".ruff.toml",
        ".pylintrc",
        "pylintrc",
        "mypy.ini",
        ".mypy.ini",
        "pyrightconfig.json",
        ".isort.cfg",
        "checkstyle.xml",
        "tslint.json",
        ".editorconfig",
    ];
    NAMES.contains(&lower)
        || PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
        || folders.first().is_some_and(|top| matches!(*top, ".husky" | ".githooks"))
}

fn is_build(folders: &[&str], lower: &str) -> bool {
    const NAMES: [&str; 39] = [
        "makefile",
        "gnumakefile",
        "justfile",
        "cargo.toml",
        "cargo.lock",
        "build.rs",
        "rust-toolchain",
        "rust-toolchain.toml",
        "package.json",
        "package-lock.json",
        "npm-shrinkwrap.json",
        "yarn.lock",
        "pnpm-lock.yaml",
        "pnpm-workspace.yaml",
        ".npmrc",
        ".babelrc",
        "pyproject.toml",
        "poetry.lock",
        "uv.lock",
        "setup.py",
        "setup.cfg",
        "tox.ini",
        "noxfile.py",
        "pytest.ini",
        ".pytest.ini",
        "manifest.in",
        "pipfile",
        "pipfile.lock",
        "go.mod",
        "go.sum",
        "go.work",
        "pom.xml",
        "build.gradle",
        "build.gradle.kts",
        "settings.gradle",
        "gradle.properties",
        "dockerfile",
        "cmakelists.txt",
        "build.xml",
    ];
    const PREFIXES: [&str; 9] = [
        "jest.config.",
        "vitest.config.",
        "vite.config.",
        "babel.config.",
        "webpack.config.",
        "rollup.config.",
        ".mocharc",
        "karma.conf",
        "playwright.config.",
    ];
    NAMES.contains(&lower)
        || PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
        || lower.ends_with(".mk")
        || lower.starts_with("tsconfig") && lower.ends_with(".json")
        || lower.starts_with("requirements") && lower.ends_with(".txt")
        || folders.last() == Some(&".cargo")
        || folders.last() == Some(&".config") && lower == "nextest.toml"
}

fn is_snapshot(folders: &[&str], lower: &str) -> bool {
    lower.ends_with(".snap")
        || lower.ends_with(".snap.new")
        || lower.ends_with(".ambr")
        || lower.ends_with(".golden")
        || folders
            .iter()
            .any(|folder| matches!(*folder, "__snapshots__" | "snapshots" | "__image_snapshots__" | "golden"))
}

/// Folders whose files are data of tests.
fn is_fixture(folders: &[&str], lower: &str) -> bool {
    if folders.iter().any(|folder| {
        matches!(*folder, "fixtures" | "testdata" | "test_data" | "__fixtures__" | "test-data" | "__mocks__")
    }) {
        return true;
    }
    let in_tests = folders.iter().any(|folder| is_test_folder(folder));
    in_tests && language(lower).is_none() && !lower.ends_with(".md") && !lower.ends_with(".feature")
}

fn is_test_folder(folder: &str) -> bool {
    matches!(folder, "test" | "tests" | "__tests__" | "spec" | "specs" | "e2e" | "integration_tests" | "unit_tests")
}

fn is_test(path: &str, folders: &[&str], name: &str) -> bool {
    let in_tests = folders.iter().any(|folder| is_test_folder(folder));
    let stem = name.split('.').next().unwrap_or_default();
    match language(path) {
        Some(Language::Rust) => {
            in_tests || stem == "tests" || stem == "test" || stem.ends_with("_test") || stem.ends_with("_tests")
        }
        Some(Language::Python) => {
            in_tests
                || stem.starts_with("test_")
                || stem.ends_with("_test")
                || stem == "tests"
                || stem == "test"
                || stem == "conftest"
        }
        Some(Language::Js) => {
            in_tests
                || name.contains(".test.")
                || name.contains(".spec.")
                || name.contains("_test.")
                || name.contains(".cy.")
        }
        Some(Language::Go) => stem.ends_with("_test"),
        Some(Language::Java) => {
            path.contains("src/test/")
                || stem.ends_with("Test")
                || stem.ends_with("Tests")
                || stem.ends_with("IT")
                || stem.starts_with("Test") && stem.chars().nth(4).is_some_and(char::is_uppercase)
        }
        None => in_tests && name.ends_with(".feature"),
    }
}

fn is_docs(folders: &[&str], lower: &str) -> bool {
    let ending = lower.rsplit_once('.').map_or("", |(_, ending)| ending);
    matches!(ending, "md" | "rst" | "adoc" | "mdx")
        || matches!(
            lower,
            "license" | "licence" | "changelog" | "readme" | "notice" | "authors" | "license.txt" | "readme.txt"
        )
        || folders.first().is_some_and(|top| matches!(*top, "docs" | "doc")) && !is_source(lower)
}

/// Endings of source in languages whose tests are not known.
pub(super) const SOURCE_ENDINGS: [&str; 30] = [
    "c", "h", "cc", "cpp", "hpp", "cs", "rb", "php", "swift", "scala", "zig", "sh", "bash", "lua", "ex", "exs", "erl",
    "hs", "ml", "sql", "proto", "wit", "vue", "svelte", "html", "css", "scss", "pl", "jl", "dart",
];

fn is_source(lower: &str) -> bool {
    let ending = lower.rsplit_once('.').map_or("", |(_, ending)| ending);
    language(lower).is_some() || ending == "r" || SOURCE_ENDINGS.contains(&ending)
}
