//! What kind of file a path names, by the conventions of its ecosystem. The content is looked at by rules, not here.

use crate::facts::FileClass;

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

/// Folders at the root of a repository whose files a CI runs or obeys.
pub const CI_FOLDERS: [&str; 7] = [".circleci", ".buildkite", ".gitlab", ".ci", ".woodpecker", ".forgejo", ".gitea"];

/// Files at the root of a repository that a CI runs.
pub const CI_FILES: [&str; 18] = [
    ".gitlab-ci.yml",
    ".travis.yml",
    "azure-pipelines.yml",
    "azure-pipelines.yaml",
    "Jenkinsfile",
    "bitbucket-pipelines.yml",
    ".drone.yml",
    ".drone.yaml",
    ".cirrus.yml",
    ".cirrus.star",
    "appveyor.yml",
    ".appveyor.yml",
    "buildspec.yml",
    "buildspec.yaml",
    "cloudbuild.yaml",
    "cloudbuild.yml",
    ".woodpecker.yml",
    ".woodpecker.yaml",
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

/// What a file is for. Where several fit, the one that guards more wins: a CI file before a test, a test before source.
pub fn classify(path: &str) -> FileClass {
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
    let in_github = top == ".github" && matches!(folders.get(1), Some(&"workflows" | &"actions"));
    let at_top = folders.is_empty() && CI_FILES.contains(&name);
    let dependabot = top == ".github" && folders.len() == 1 && matches!(name, "dependabot.yml" | "dependabot.yaml");
    in_github || at_top || dependabot || CI_FOLDERS.contains(&top)
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

fn is_source(lower: &str) -> bool {
    let ending = lower.rsplit_once('.').map_or("", |(_, ending)| ending);
    language(lower).is_some()
        || matches!(
            ending,
            "c" | "h"
                | "cc"
                | "cpp"
                | "hpp"
                | "cs"
                | "rb"
                | "php"
                | "swift"
                | "scala"
                | "zig"
                | "sh"
                | "bash"
                | "lua"
                | "ex"
                | "exs"
                | "erl"
                | "hs"
                | "ml"
                | "sql"
                | "proto"
                | "wit"
                | "vue"
                | "svelte"
                | "html"
                | "css"
                | "scss"
                | "pl"
                | "r"
                | "jl"
                | "dart"
        )
}
