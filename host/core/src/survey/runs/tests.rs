//! Files that run by themselves, those of a build, and those that do neither.

use super::*;
use crate::{
    facts::{FileClass, FileStatus, Marks},
    survey::{classify, marks, tests::file},
};

/// Nobody calls these; each is for a person when it is added or changed.
const ALONE: &[&str] = &[
    // Git hooks.
    ".husky/pre-commit",
    ".husky/_/husky.sh",
    ".githooks/post-checkout",
    "githooks/pre-push",
    "lefthook.yml",
    ".lefthook.toml",
    "lefthook-local.yml",
    ".pre-commit-config.yaml",
    ".pre-commit-hooks.yaml",
    "web/.pre-commit-config.yaml",
    ".overcommit.yml",
    ".gitconfig",
    ".simple-git-hooks.cjs",
    ".lintstagedrc.json",
    "lint-staged.config.mjs",
    "captainhook.json",
    "prek.toml",
    // Editors.
    ".vscode/tasks.json",
    ".vscode/launch.json",
    ".vscode/settings.json",
    "packages/a/.vscode/tasks.json",
    "shop.code-workspace",
    ".idea/runConfigurations/All_tests.xml",
    ".idea/watcherTasks.xml",
    ".run/server.run.xml",
    ".zed/tasks.json",
    ".zed/settings.json",
    ".nvim.lua",
    ".exrc",
    ".vimrc",
    ".dir-locals.el",
    ".gdbinit",
    ".lldbinit",
    ".Rprofile",
    "shop.sublime-project",
    // Shells and environments.
    ".envrc",
    "infra/.envrc",
    ".mise.toml",
    "mise.toml",
    ".config/mise/config.toml",
    ".tool-versions",
    "devbox.json",
    "devenv.nix",
    ".devcontainer/devcontainer.json",
    ".devcontainer/python/postCreate.sh",
    ".devcontainer.json",
    ".gitpod.yml",
    ".idx/dev.nix",
    ".replit",
    // Agents.
    ".claude/settings.json",
    ".claude/hooks/check.sh",
    ".mcp.json",
    ".cursor/mcp.json",
    ".cursor/hooks.json",
    ".gemini/settings.json",
    ".codex/config.toml",
    ".aider.conf.yml",
    ".kiro/hooks/lint.kiro.hook",
    "opencode.json",
    ".github/hooks/x.json",
    ".windsurf/hooks.json",
    // Install.
    "binding.gyp",
    ".pnpmfile.cjs",
    ".yarn/plugins/@yarnpkg/plugin-x.cjs",
    ".yarn/releases/yarn-4.0.0.cjs",
    "bunfig.toml",
    // CI elsewhere than by default.
    "ci/Jenkinsfile",
    "Jenkinsfile.release",
    "templates/build.gitlab-ci.yml",
    "azure-pipelines-nightly.yml",
    ".readthedocs.yaml",
    "vendor/x/.travis.yml",
    ".releaserc.json",
    // Deploy.
    "Procfile",
    "fly.toml",
    "vercel.json",
    "netlify.toml",
    "app.yaml",
    "render.yaml",
    "serverless.yml",
    "heroku.yml",
    "railway.toml",
    "wrangler.toml",
    "firebase.json",
    ".ebextensions/01.config",
    ".do/app.yaml",
    "skaffold.yaml",
    "argocd/shop.yaml",
    "atlantis.yaml",
    // Bots.
    "renovate.json",
    ".github/renovate.json5",
    ".renovaterc",
    ".dependabot/config.yml",
    ".mergify.yml",
    ".github/settings.yml",
    ".kodiak.toml",
];

/// CI by the places its vendors look at: a class of its own, which is protected too.
const CI: &[&str] = &[
    ".github/workflows/ci.yml",
    ".github/actions/build/action.yml",
    ".github/dependabot.yml",
    ".gitlab-ci.yml",
    ".circleci/config.yml",
    "Jenkinsfile",
    "azure-pipelines.yml",
    ".travis.yml",
    "bitbucket-pipelines.yml",
    ".drone.yml",
    ".woodpecker/build.yaml",
    ".buildkite/pipeline.yml",
    "appveyor.yml",
    ".cirrus.yml",
    ".forgejo/workflows/ci.yml",
    ".gitea/workflows/ci.yml",
    ".semaphore/semaphore.yml",
    ".teamcity/settings.kts",
    "cloudbuild.yaml",
    ".tekton/push.yaml",
    ".builds/debian.yml",
    "bitrise.yml",
    "codemagic.yaml",
    ".harness/pipeline.yaml",
    ".prow.yaml",
    "zuul.d/jobs.yaml",
];

const STARTED: &[&str] = &[
    "build.rs",
    "crates/a/build.rs",
    "setup.py",
    "Makefile",
    "justfile",
    "Rakefile",
    "Gemfile",
    "shop.gemspec",
    "CMakeLists.txt",
    "build.gradle.kts",
    "gradlew",
    "gradle/wrapper/gradle-wrapper.jar",
    "Dockerfile",
    "docker/Dockerfile.dev",
    "docker-compose.yml",
    "compose.override.yaml",
    ".cargo/config.toml",
    ".mvn/jvm.config",
    "flake.nix",
    "infra/main.tf",
    "CLAUDE.md",
    "AGENTS.md",
    ".cursor/rules/style.mdc",
    ".github/copilot-instructions.md",
    "docs/conf.py",
];

/// An honest change: what a demo, a fix or a new feature touches.
const NEITHER: &[&str] = &[
    "",
    "README.md",
    "src/lib.rs",
    "src/pricing/total.py",
    "tests/test_total.py",
    "tests/conftest.py",
    "Cargo.toml",
    "Cargo.lock",
    "pyproject.toml",
    "package.json",
    "package-lock.json",
    "go.mod",
    "src/app.json",
    "src/app.yaml",
    "src/procfile/parse.go",
    "src/husky/dog.ts",
    "src/vscode/tasks.json",
    ".vscode/extensions.json",
    ".idea/vcs.xml",
    ".config",
    ".config/nextest.toml",
    ".github/ISSUE_TEMPLATE/bug.md",
    ".github/pull_request_template.md",
    ".gitignore",
    ".editorconfig",
    "src/claude.rs",
    "src/mise/mod.rs",
    "argocd",
    "docs/renovate.md",
    "src/serverless.rs",
    ".env.example",
    "envrc",
];

#[test]
fn every_file_that_runs_by_itself_is_seen() {
    assert!(ALONE.len() + CI.len() >= 25);
    for path in ALONE {
        let found = cause(path).unwrap_or_else(|| panic!("{path} is not seen"));
        assert_eq!(found.runs, Runs::ByItself, "{path}: {}", found.words);
        for status in [FileStatus::Added, FileStatus::Modified, FileStatus::Renamed, FileStatus::TypeChanged] {
            let marks = marks(&file(path, status, &["+x"]));
            assert_eq!(marks.runs, Some((Runs::ByItself, found.words.to_owned())), "{path} {status:?}");
        }
        assert_eq!(marks(&file(path, FileStatus::Deleted, &["-x"])), Marks::default(), "{path}");
    }
    for path in CI {
        assert_eq!(classify(path), FileClass::Ci, "{path}");
    }
}

#[test]
fn what_a_build_runs_is_only_noted_and_the_rest_is_neither() {
    for path in STARTED {
        assert_eq!(cause(path).map(|cause| cause.runs), Some(Runs::WhenStarted), "{path}");
    }
    for path in NEITHER {
        assert!(cause(path).is_none(), "{path}: {:?}", cause(path));
        assert!(!matches!(classify(path), FileClass::Ci | FileClass::Ownership), "{path}");
        assert_eq!(marks(&file(path, FileStatus::Added, &["+x"])), Marks::default(), "{path}");
    }
}

#[test]
fn a_file_that_runs_by_itself_is_seen_in_every_spelling_and_in_place_of_its_folder() {
    for path in [
        ".VSCode/Tasks.json",
        ".vscode./tasks.json",
        ".vscode /tasks.json",
        "VSCODE~1/tasks.json",
        ".vs\u{200c}code/tasks.json",
        ".vscode/TASKS~1.JSO",
        ".vscode/tasks.json::$DATA",
        ".vscode\\tasks.json",
        ".ENVRC",
        ".Husky/pre-commit",
        "PROCFILE",
        "RENOVA~1.JSO",
        // A link or a file where the folder would be.
        ".vscode",
        ".husky",
        ".claude",
        ".devcontainer",
        ".idea/runConfigurations",
        ".config/mise",
        "packages/a/.vscode",
    ] {
        assert_eq!(cause(path).map(|cause| cause.runs), Some(Runs::ByItself), "{path}");
    }
}

#[test]
fn the_table_is_written_as_it_is_read() {
    for cause in &CAUSES {
        for pattern in cause.files {
            assert_eq!(pattern.to_lowercase(), *pattern, "lower case");
            assert!(!pattern.trim_end_matches("/**").contains("**"), "{pattern}: `**` only at the end");
            assert!(pattern.split('/').all(|name| name == "**" || name.matches('*').count() <= 2), "{pattern}");
            let example = pattern.trim_start_matches('/').replace("**", "x").replace('*', "x");
            let found = super::cause(&example).unwrap_or_else(|| panic!("{pattern} does not fit {example}"));
            assert!(
                found.runs == Runs::ByItself || cause.runs == Runs::WhenStarted,
                "{pattern} is hidden by a row before it"
            );
        }
    }
}
