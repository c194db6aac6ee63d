//! What else of a change steers a runner: modules that stand in for those it imports, files the test command runs, and keys that say
//! which code a name means. These stay in the check, and are findings that review or block.

mod finding;
mod go;
mod named;
mod node;
mod places;
mod rust;

pub use places::{Places, Steering};

use self::{
    finding::{finding, new_lines, weight},
    named::Named,
    places::importable,
};
use super::{
    commands::is_test_file,
    is_test_folder, is_test_package, is_whole,
    manifest::Manifest,
    modules::{self, Near},
    told::said,
};
use crate::{
    check::test_names,
    facts::{ChangedFile, FileClass, FileMode, FileStatus, Finding, Severity},
    survey::{Language, language},
};
use std::collections::{BTreeMap, BTreeSet};

/// Findings on what steers a runner from within the change.
pub fn steering(what: &Steering<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut vendored: BTreeSet<&str> = BTreeSet::new();
    let named = named::named(what.command, what.texts);
    let searched = named::searched(what.texts);
    for file in what.files.iter().filter(|file| file.status != FileStatus::Deleted) {
        if what.tests.contains(&file.path) {
            continue;
        }
        if let Some(finding) = link(file).or_else(|| shadow(what, &searched, file)).or_else(|| run(what, &named, file))
        {
            findings.push(finding);
        }
        findings.extend(mocked(file));
        findings.extend(program(what, file));
        findings.extend(helper(what, file));
        findings.extend(reaches(file));
        match (file.path.rsplit('/').next().unwrap_or_default(), language(&file.path)) {
            ("go.mod", _) => findings.extend(go::go_mod(file)),
            ("modules.txt", _) => findings.extend(go::vendored_modules(file)),
            ("package.json", _) => findings.extend(node::package_json(what, file)),
            ("Cargo.toml", _) => findings.extend(rust::cargo_toml(file)),
            (name, _) if rust::builds(what.files, file, name) => findings.extend(rust::build_script(file)),
            ("pnpm-workspace.yaml" | "pnpm-workspace.yml", _) => findings.extend(node::pnpm(file)),
            (name, _) if name.starts_with("tsconfig") && name.ends_with(".json") => {
                findings.extend(node::tsconfig(file))
            }
            (_, Some(Language::Go)) if file.path.ends_with("_test.go") => findings.extend(go::test_main(file)),
            (_, Some(Language::Rust)) => findings.extend(rust::macros(file)),
            _ => {}
        }
        vendored.extend(go::vendor(&file.path));
    }
    findings.extend(removed(what));
    findings = few(findings);
    for module in vendored {
        findings.push(finding(
            ("vendored-test-library", Severity::Major, 70),
            &format!("vendor/{module}"),
            format!(
                "the change puts its own {module} in place, which tests assert with: compare it with the published one"
            ),
        ));
    }
    findings
}

/// Tests of the base that are written nowhere any more because another file of tests was written in the place of theirs: Git takes that
/// for a rename, and so do rules. What else becomes of tests is theirs to say.
fn removed(what: &Steering<'_>) -> Vec<Finding> {
    let names = |path: &str, text: &Option<String>| -> Vec<String> {
        text.iter().flat_map(|text| test_names(path, text)).collect()
    };
    let after: BTreeSet<String> = what.files.iter().flat_map(|file| names(&file.path, &file.head_text)).collect();
    let told = what.files.iter().filter_map(|file| {
        let path = file.old_path.as_deref().filter(|old| *old != file.path)?;
        let gone: Vec<String> = names(path, &file.base_text).into_iter().filter(|name| !after.contains(name)).collect();
        let first = gone.first()?;
        let rest = if gone.len() > 1 { format!(" and {} more", gone.len() - 1) } else { String::new() };
        Some(finding(
            ("removes-tests", Severity::Major, 60),
            path,
            format!(
                "{} is written in the place of {path}, whose test `{first}`{rest} is nowhere any more: find out why",
                file.path
            ),
        ))
    });
    told.collect()
}

/// At most some findings of one kind on one file, the last of which says that there are more.
fn few(findings: Vec<Finding>) -> Vec<Finding> {
    const MOST: usize = 20;
    let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
    let key = |finding: &Finding| {
        let path = finding.head.as_ref().map(|span| span.path.clone());
        (finding.id.clone(), path.unwrap_or_default())
    };
    findings.iter().for_each(|finding| *counts.entry(key(finding)).or_default() += 1);
    let mut seen: BTreeMap<(String, String), usize> = BTreeMap::new();
    let kept = findings.into_iter().filter_map(|mut finding| {
        let key = key(&finding);
        let at = seen.entry(key.clone()).or_default();
        *at += 1;
        let all = counts.get(&key).copied().unwrap_or_default();
        if *at == MOST && all > MOST {
            finding.message = said(&format!("{} (and {} more like it)", finding.message, all - MOST));
        }
        (*at <= MOST).then_some(finding)
    });
    kept.collect()
}

/// A link in the place of a folder of tests, or of a file that steers them.
fn link(file: &ChangedFile) -> Option<Finding> {
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let is_link = matches!(file.mode, FileMode::Symlink | FileMode::Submodule);
    (is_link && is_test_folder(name)).then(|| {
        finding(
            ("tests-elsewhere", Severity::Major, 70),
            &file.path,
            format!("{} is not a folder any more, but points to one: look at which tests are run now", file.path),
        )
    })
}

/// A module of Python that is found before the one of the same name that runners and tests import.
fn shadow(what: &Steering<'_>, searched: &BTreeSet<String>, file: &ChangedFile) -> Option<Finding> {
    let path = file.path.strip_suffix("/__init__.py").unwrap_or(&file.path);
    let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
    let is_package = path.len() < file.path.len();
    let module = match (is_package, name.split_once('.')) {
        (true, _) => name,
        (false, Some((module, ending))) => {
            // Compiled ones are named for the interpreter: `json.cpython-311-x86_64-linux-gnu.so`.
            let is_module = ending == "py" || ending.ends_with("so") || ending.ends_with("pyd");
            is_module.then_some(module)?
        }
        (false, None) => return None,
    };
    let near = modules::python(module)?;
    let last = folder.rsplit('/').next().unwrap_or_default();
    let is_named = || {
        let words = what.command.split(|c: char| c.is_whitespace() || "=:'\"".contains(c));
        let is_folder = |word: &str| word.trim_start_matches("./").trim_end_matches('/') == folder;
        words.into_iter().any(is_folder)
    };
    let is_searched = folder.is_empty()
        || matches!(last, "src" | "lib" | "python")
        || folder.split('/').any(is_test_folder)
        || what.is_searched(folder)
        || what.runs.searched.contains(folder)
        || searched.contains(folder)
        || is_named();
    if !is_searched || is_whole(&file.path) {
        return None;
    }
    let what = match near {
        Near::Runner => format!("{} stands in for the module `{module}`, which runs the tests: remove it", file.path),
        Near::Imported => {
            format!(
                "{} stands in for the module `{module}`, which runners or tests import: rename it, or find out what it does",
                file.path
            )
        }
    };
    Some(finding(weight(near), &file.path, what))
}

/// A file that the test command, or harness of the base, runs or loads.
fn run(what: &Steering<'_>, named: &Named<'_>, file: &ChangedFile) -> Option<Finding> {
    let path = file.path.as_str();
    // Taken from the base.
    if is_whole(path) || is_test_package(path) || Manifest::of(path).is_some() {
        return None;
    }
    // What the command runs is no test for being named like one: as a test, only a runner takes it (see `commands`).
    let by = if what.runs.files.contains(path) {
        Some(format!("the test command (`{}`)", what.command))
    } else if file.class == FileClass::Docs || file.class == FileClass::Ci || is_test_file(path) {
        None
    } else {
        named::by(named, path).map(|config| format!("{config} of the base"))
    }?;
    Some(finding(
        ("runs-with-the-tests", Severity::Major, 60),
        path,
        format!("{path} is run or loaded by {by}, so this change decides how the tests are run: read it"),
    ))
}

/// A mock that Jest puts in the place of a package without being asked.
fn mocked(file: &ChangedFile) -> Option<Finding> {
    let (_, name) = file.path.rsplit_once("__mocks__/")?;
    language(name).filter(|language| *language == Language::Js)?;
    Some(finding(
        ("mocks-a-package", Severity::Major, 60),
        &file.path,
        format!(
            "{} stands in for the package or module of that name in every test: find out whether it should",
            file.path
        ),
    ))
}

/// A program named like one that the test command calls, for whoever has a folder of the repository in its `PATH`.
fn program(what: &Steering<'_>, file: &ChangedFile) -> Option<Finding> {
    const USUAL: [&str; 12] =
        ["python", "python3", "pytest", "node", "npm", "npx", "cargo", "rustc", "go", "make", "sh", "bash"];
    let name = file.path.rsplit('/').next().unwrap_or_default();
    let runs = matches!(file.mode, FileMode::Executable | FileMode::Symlink);
    (runs && (USUAL.contains(&name) || what.runs.files.contains(name) && file.path.contains('/'))).then(|| {
        finding(
            ("shadows-a-program", Severity::Major, 70),
            &file.path,
            format!("{} is named like a program that runs the tests: find out whether it is taken for it", file.path),
        )
    })
}

/// Code beside the tests that they use, as the base has it: changed, it can ask for less. What has tests is one of them.
fn helper(what: &Steering<'_>, file: &ChangedFile) -> Option<Finding> {
    let folders = file.path.rsplit_once('/').map_or("", |(folders, _)| folders);
    // A new file is one where it is found before one of the base that is imported by the same name.
    let is_first = || importable(&file.path).is_some_and(|name| what.places.beside.contains(&name));
    let is_code = language(&file.path).is_some() && (file.status != FileStatus::Added || is_first());
    let has_tests = || file.base_text.as_ref().is_some_and(|text| !test_names(&file.path, text).is_empty());
    let is_helper = folders.split('/').any(is_test_folder) && !is_test_file(&file.path) && !has_tests();
    (is_code && is_helper && !is_whole(&file.path) && !is_test_package(&file.path) && file.class != FileClass::Source).then(|| {
        finding(
            ("changes-a-helper-of-tests", Severity::Major, 50),
            &file.path,
            format!("{} is used by tests and does not come from the stage that wrote them: look at what they ask for now", file.path),
        )
    })
}

/// Code that reaches into a runner from within its process. Whoever hides it is not found so; whoever does not is.
fn reaches(file: &ChangedFile) -> Option<Finding> {
    let reaches: fn(&str) -> bool = match language(&file.path)? {
        Language::Python => |line| {
            let is_import = line.starts_with("import ") || line.starts_with("from ");
            let is_assigned =
                ["unittest.", "pytest.", "_pytest.", "pluggy.", "builtins.", "sys.modules["].iter().any(|name| {
                    line.starts_with(name) && line.contains(" = ") || line.contains(&format!("setattr({name}"))
                });
            let is_set =
                ["setattr(unittest,", "setattr(pytest,", "setattr(builtins,"].iter().any(|call| line.contains(call));
            is_import && line.contains("_pytest")
                || line.starts_with("pytest_plugins")
                || line.starts_with("def pytest_")
                || is_assigned
                || is_set
        },
        Language::Js => |line| {
            let Some((to, _)) = line.split_once(" = ") else { return false };
            let of = [
                "assert.",
                "expect.",
                "require('assert",
                "require('node:assert",
                "require('node:test",
                "require(\"assert",
                "require(\"node:assert",
                "require(\"node:test",
            ];
            of.iter().any(|start| to.starts_with(start)) && to.contains('.') && !to.contains("=>")
        },
        Language::Go if file.path.ends_with("_test.go") => |line| {
            ["os.Exit(", "syscall.Exit(", "syscall.Kill(", "runtime.Goexit("].iter().any(|call| line.contains(call))
        },
        Language::Go | Language::Rust | Language::Java => return None,
    };
    let line: String = new_lines(file).find(|line| reaches(line))?.chars().take(200).collect();
    // Said of it as of `TestMain` already.
    if line.contains("os.Exit(m.Run())") {
        return None;
    }
    Some(finding(
        ("reaches-into-the-runner", Severity::Major, 60),
        &file.path,
        format!("{} reaches into what runs the tests (`{line}`): find out why", file.path),
    ))
}

#[cfg(test)]
mod tests;
