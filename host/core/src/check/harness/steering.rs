//! What else of a change steers a runner: modules that stand in for those it imports, files the test command runs, and keys that say
//! which code a name means. These stay in the check, and are findings that review or block.

use super::{
    commands::Runs,
    is_test_folder, is_test_package, is_whole,
    manifest::Manifest,
    modules::{self, Near},
    tables,
    told::RULE,
};
use crate::{
    check::test_names,
    facts::{ChangedFile, FileClass, FileMode, FileStatus, Finding, Severity},
    survey::{Language, language},
};
use std::collections::{BTreeMap, BTreeSet};

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Steering<'a> {
    pub files: &'a [ChangedFile],
    /// The test command.
    pub command: &'a str,
    /// What it runs.
    pub runs: &'a Runs,
    /// Harness files of the base, by path: what they name runs with the tests.
    pub texts: &'a [(String, String)],
    /// Paths of accepted stages that wrote tests; these are tests, whatever they do.
    pub tests: &'a BTreeSet<String>,
}

/// Findings on what steers a runner from within the change.
pub fn steering(what: &Steering<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut vendored: BTreeSet<&str> = BTreeSet::new();
    let named = named(what.texts);
    for file in what.files.iter().filter(|file| file.status != FileStatus::Deleted) {
        if what.tests.contains(&file.path) {
            continue;
        }
        if let Some(finding) = link(file).or_else(|| shadow(what, file)).or_else(|| run(what, &named, file)) {
            findings.push(finding);
        }
        findings.extend(mocked(file));
        findings.extend(program(what, file));
        findings.extend(helper(file));
        findings.extend(reaches(file));
        match (file.path.rsplit('/').next().unwrap_or_default(), language(&file.path)) {
            ("go.mod", _) => findings.extend(go_mod(file)),
            ("modules.txt", _) => findings.extend(vendored_modules(file)),
            ("package.json", _) => findings.extend(package_json(file)),
            ("Cargo.toml", _) => findings.extend(cargo_toml(file)),
            (name, _) if builds(what.files, file, name) => findings.extend(build_script(file)),
            ("pnpm-workspace.yaml" | "pnpm-workspace.yml", _) => findings.extend(pnpm(file)),
            (name, _) if name.starts_with("tsconfig") && name.ends_with(".json") => findings.extend(tsconfig(file)),
            (_, Some(Language::Go)) if file.path.ends_with("_test.go") => findings.extend(test_main(file)),
            (_, Some(Language::Rust)) => findings.extend(macros(file)),
            _ => {}
        }
        vendored.extend(vendor(&file.path));
    }
    findings.extend(removed(what));
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

fn finding((id, severity, confidence): (&str, Severity, u8), path: &str, message: String) -> Finding {
    let head = Some(crate::facts::Span { path: path.to_owned(), start: 1, end: 1 });
    Finding { rule: RULE.to_owned(), id: id.to_owned(), severity, confidence, base: None, head, message }
}

/// Confidence and weight of what stands in for something a runner imports.
fn weight(near: Near) -> (&'static str, Severity, u8) {
    match near {
        Near::Runner => ("shadows-the-runner", Severity::Critical, 90),
        Near::Imported => ("shadows-an-import", Severity::Major, 70),
    }
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
fn shadow(what: &Steering<'_>, file: &ChangedFile) -> Option<Finding> {
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
fn run(what: &Steering<'_>, named: &BTreeMap<String, &str>, file: &ChangedFile) -> Option<Finding> {
    let path = file.path.as_str();
    // Taken from the base, or a test by itself.
    if is_whole(path) || is_test_package(path) || Manifest::of(path).is_some() || is_test_file(path) {
        return None;
    }
    let by = if what.runs.files.contains(path) {
        Some(format!("the test command (`{}`)", what.command))
    } else if file.class == FileClass::Docs || file.class == FileClass::Ci {
        None
    } else {
        named_by(named, path).map(|config| format!("{config} of the base"))
    }?;
    Some(finding(
        ("runs-with-the-tests", Severity::Major, 60),
        path,
        format!("{path} is run or loaded by {by}, so this change decides how the tests are run: read it"),
    ))
}

/// A file by whose name a runner knows a test.
fn is_test_file(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.split('.').next().unwrap_or_default();
    stem.starts_with("test_")
        || stem.ends_with("_test")
        || stem.ends_with("_tests")
        || name.contains(".test.")
        || name.contains(".spec.")
}

/// What configurations name as something to load with the tests, as they write it, and which one does.
fn named(texts: &[(String, String)]) -> BTreeMap<String, &str> {
    const WORDS: [&str; 15] = [
        "setup",
        "teardown",
        "require",
        "import",
        "plugin",
        "transform",
        "report",
        "environment",
        "preset",
        "runner",
        "loader",
        "resolver",
        "fixtures",
        "addopts",
        "hook",
    ];
    let mut found = BTreeMap::new();
    for (config, text) in texts {
        let name = config.rsplit('/').next().unwrap_or(config).to_ascii_lowercase();
        // Recipes and scripts are looked through by what they call.
        let is_recipe = [".mk", ".sh", "makefile", "justfile", "ignore"].iter().any(|end| name.ends_with(end));
        if is_recipe || name.starts_with(".env") {
            continue;
        }
        let folder = config.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut before = String::new();
        for line in text.lines() {
            let lower = line.to_ascii_lowercase();
            if WORDS.iter().any(|word| lower.contains(word) || before.contains(word)) {
                let tokens = line.split(|c: char| c.is_whitespace() || "\"'`,;=()[]{}".contains(c));
                for token in tokens.filter(|token| !token.is_empty()) {
                    let token = token.trim_start_matches("<rootDir>/").trim_start_matches("./");
                    found.entry(token.to_owned()).or_insert(config.as_str());
                    if !folder.is_empty() {
                        found.entry(format!("{folder}/{token}")).or_insert(config);
                    }
                }
            }
            // A list goes on below the word it belongs to.
            if lower.contains(['[', '=', ':']) || lower.trim().is_empty() || lower.trim_start().starts_with(']') {
                before = lower;
            }
        }
    }
    found
}

/// The configuration that names a file: by its path, without its ending, or as a module of Python.
fn named_by<'a>(named: &BTreeMap<String, &'a str>, path: &str) -> Option<&'a str> {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let stem = stem.strip_suffix("/__init__").unwrap_or(stem);
    let dotted = stem.replace('/', ".");
    let last = dotted.rsplit('.').next().unwrap_or_default();
    let is_python = language(path) == Some(Language::Python);
    named
        .get(path)
        .or_else(|| named.get(stem).filter(|_| stem.contains('/')))
        .or_else(|| named.get(&dotted).filter(|_| is_python))
        .or_else(|| named.get(&format!(".{last}")).filter(|_| is_python))
        .copied()
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

/// Code beside the tests that they use, as the base has it: changed, it can ask for less.
fn helper(file: &ChangedFile) -> Option<Finding> {
    let folders = file.path.rsplit_once('/').map_or("", |(folders, _)| folders);
    let is_code = language(&file.path).is_some() && file.status != FileStatus::Added;
    let is_helper = folders.split('/').any(is_test_folder) && !is_test_file(&file.path);
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

/// True for the script that builds a crate: `build.rs` beside its manifest, or what a changed manifest names.
fn builds(files: &[ChangedFile], file: &ChangedFile, name: &str) -> bool {
    let named = |other: &ChangedFile| {
        let folder = other.path.strip_suffix("Cargo.toml")?;
        let table = tables::plain(other.head_text.as_deref()?).ok()?;
        let build = tables::find(&table, &["package", "build"])?.as_str()?;
        Some(format!("{folder}{}", build.trim_start_matches("./")) == file.path)
    };
    name == "build.rs" || files.iter().any(|other| named(other).unwrap_or_default())
}

/// A build script runs before the tests are built. What it does beyond asking and printing could be done to them.
fn build_script(file: &ChangedFile) -> Option<Finding> {
    const DOES: [&str; 13] = [
        "fs::write",
        "File::create",
        "OpenOptions",
        "fs::copy",
        "fs::rename",
        "remove_",
        "Command::new",
        "set_permissions",
        "symlink",
        "unsafe",
        "extern \"C\"",
        "include!",
        "File::options",
    ];
    let head = file.head_text.as_deref().unwrap_or_default();
    let does = DOES.iter().find(|call| head.contains(**call))?;
    // Files that the build makes for itself lie in its own folder.
    let is_own = head.contains("OUT_DIR")
        && !["\"tests", "tests/", "\"..", ".cargo", ".git"].iter().any(|place| head.contains(place));
    (!is_own).then(|| {
        finding(
            ("runs-before-the-tests", Severity::Major, 60),
            &file.path,
            format!("{} runs before the tests are built and can change them (it has `{does}`): read it", file.path),
        )
    })
}

/// Lines of a file that the base's does not have.
fn new_lines(file: &ChangedFile) -> impl Iterator<Item = &str> {
    let before: BTreeSet<&str> = file.base_text.iter().flat_map(|text| text.lines()).map(str::trim).collect();
    let head = file.head_text.iter().flat_map(|text| text.lines()).map(str::trim);
    head.filter(move |line| !before.contains(line))
}

/// `replace` of go.mod says which code an import means (go.dev/ref/mod, "replace directive"). A module of the change's own, which the
/// base's list of modules does not name, stands in for nothing: since Go 1.17 that list has whatever the base's code and tests import.
fn go_mod(file: &ChangedFile) -> Vec<Finding> {
    let before: BTreeSet<&str> = file.base_text.iter().flat_map(|text| text.split_whitespace()).collect();
    let is_pruned = file.base_text.as_deref().is_some_and(lists_all_modules);
    let replaced = new_lines(file).filter(|line| line.contains("=>") && !line.starts_with("//"));
    let told = replaced.filter_map(|line| {
        let line = line.strip_prefix("replace").unwrap_or(line).trim();
        let module = line.split_whitespace().next().unwrap_or_default();
        let weight = match modules::go(module) {
            Some(_) => ("replaces-a-test-library", Severity::Critical, 85),
            None if is_pruned && !before.contains(module.trim_matches('"')) => return None,
            None => ("replaces-a-module", Severity::Major, 50),
        };
        Some(finding(
            weight,
            &file.path,
            format!("{} replaces {module} (`{line}`): find out what stands in for it", file.path),
        ))
    });
    told.collect()
}

/// True for a go.mod of Go 1.17 or newer, which names every module that its packages and tests are built from (go.dev/ref/mod,
/// "Module graph pruning").
fn lists_all_modules(text: &str) -> bool {
    let version = text.lines().find_map(|line| line.trim().strip_prefix("go ")).map(str::trim).unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    (parts.next(), parts.next()) >= (Some(1), Some(17))
}

/// The list beside vendored code: where there is one, `go test` takes every module it names from there (go.dev/ref/mod, "Vendoring").
fn vendored_modules(file: &ChangedFile) -> Option<Finding> {
    (file.path == "vendor/modules.txt" || file.path.ends_with("/vendor/modules.txt")).then(|| {
        let message = format!(
            "{} has modules taken from the code beside it: compare that with what is published under their names",
            file.path
        );
        finding(("vendored-modules", Severity::Major, 50), &file.path, message)
    })
}

/// The library of tests that a path of vendored code belongs to.
fn vendor(path: &str) -> Option<&'static str> {
    let inside = path.strip_prefix("vendor/").or_else(|| path.split_once("/vendor/").map(|(_, inside)| inside))?;
    modules::go(inside)
}

/// `TestMain` runs in the place of all tests of its package (go.dev/pkg/testing, "Main").
fn test_main(file: &ChangedFile) -> Option<Finding> {
    let added = new_lines(file).any(|line| line.starts_with("func TestMain("));
    // Its body may have changed while the line stayed.
    let has = |text: &Option<String>| text.as_ref().is_some_and(|text| text.contains("func TestMain("));
    (added || has(&file.head_text) && file.base_text.is_some()).then(|| {
        finding(
            ("runs-the-tests", Severity::Major, 60),
            &file.path,
            format!("{} says by `TestMain` how all tests of its package are run: read it", file.path),
        )
    })
}

/// Macros that tests assert with, and attributes that put another runner in the place of Rust's.
fn macros(file: &ChangedFile) -> Option<Finding> {
    const MACROS: [&str; 8] =
        ["assert", "assert_eq", "assert_ne", "debug_assert", "debug_assert_eq", "panic", "unreachable", "matches"];
    let steers = |line: &str| {
        let made = line.strip_prefix("macro_rules!").map(|rest| rest.trim().trim_end_matches(['{', '(', ' ']));
        made.is_some_and(|name| MACROS.contains(&name))
            || line.starts_with("#!") && (line.contains("test_runner") || line.contains("custom_test_frameworks"))
            || line.contains("pub macro assert")
            || line.starts_with("pub use") && MACROS.iter().any(|name| line.ends_with(&format!(" as {name};")))
    };
    let line = new_lines(file).find(|line| steers(line))?.to_owned();
    Some(finding(
        ("shadows-an-assertion", Severity::Major, 70),
        &file.path,
        format!(
            "{} puts something of its own in the place of what tests assert with or are run by (`{line}`): find out why",
            file.path
        ),
    ))
}

/// A package that is named like one that tests use, or one of those that is to come from somewhere else.
fn package_json(file: &ChangedFile) -> Vec<Finding> {
    let read = |text: &Option<String>| -> Option<serde_json::Value> { serde_json::from_str(text.as_deref()?).ok() };
    let (base, head) = (read(&file.base_text), read(&file.head_text));
    let Some(head) = head else { return Vec::new() };
    let of = |value: &Option<serde_json::Value>, key: &str| value.as_ref().and_then(|value| value.get(key)).cloned();
    let mut findings = Vec::new();
    let name = head.get("name").and_then(serde_json::Value::as_str).unwrap_or_default();
    if let Some(near) = modules::node(name)
        && of(&base, "name").is_none_or(|before| before != name)
    {
        let message = format!("{} makes a package `{name}`, which tests use: find out what it does", file.path);
        findings.push(finding(weight(near), &file.path, message));
    }
    for key in
        ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies", "overrides", "resolutions"]
    {
        let before = of(&base, key);
        for (name, from) in head.get(key).and_then(serde_json::Value::as_object).into_iter().flatten() {
            let package = name.rsplit("**/").next().unwrap_or(name);
            let is_same = before.as_ref().and_then(|before| before.get(name)) == Some(from);
            let text = from.as_str().unwrap_or("something else");
            let is_elsewhere = text.contains(':') || text.contains('/') || !from.is_string();
            if !is_same && is_elsewhere && modules::node(package).is_some() {
                let message =
                    format!("{} takes `{package}`, which tests use, from {text}: find out what that is", file.path);
                findings.push(finding(weight(Near::Imported), &file.path, message));
            }
        }
    }
    findings
}

/// Keys of pnpm's workspace that run something with every script (pnpm.io/settings).
fn pnpm(file: &ChangedFile) -> Option<Finding> {
    const KEYS: [&str; 6] =
        ["nodeOptions", "scriptShell", "configDependencies", "pnpmfile", "globalPnpmfile", "overrides"];
    let line = new_lines(file)
        .find(|line| KEYS.iter().any(|key| line.trim_start_matches(['"', '\'']).starts_with(key)))?
        .to_owned();
    let message = format!("{} says what runs with every script (`{line}`): find out why", file.path);
    Some(finding(("runs-with-the-tests", Severity::Major, 60), &file.path, message))
}

/// Names of the tests' modules among the strings of a compiler's configuration: `paths` says which code a name means.
fn tsconfig(file: &ChangedFile) -> Option<Finding> {
    let line = new_lines(file)
        .find(|line| {
            line.split('"').skip(1).step_by(2).any(|text| {
                modules::node(text.trim_end_matches("/*")).is_some_and(|_| line.contains(':') && line.contains('['))
            })
        })?
        .to_owned();
    let message = format!("{} says what a module that tests use means (`{line}`): find out what that is", file.path);
    Some(finding(weight(Near::Imported), &file.path, message))
}

/// Crates that say which code a name means: patches, and those named like one that tests use.
fn cargo_toml(file: &ChangedFile) -> Vec<Finding> {
    let read = |text: &Option<String>| text.as_deref().map(tables::plain).and_then(Result::ok).unwrap_or_default();
    let (base, head) = (read(&file.base_text), read(&file.head_text));
    let mut findings = Vec::new();
    for key in ["patch", "replace"] {
        if head.get(key).is_some() && base.get(key) != head.get(key) {
            let message = format!("{} has a crate stand in for another (`[{key}]`): find out what it is", file.path);
            findings.push(finding(("replaces-a-crate", Severity::Major, 60), &file.path, message));
        }
    }
    for path in [["package", "name"], ["lib", "name"]] {
        let name = tables::find(&head, &path).and_then(toml::Value::as_str).unwrap_or_default();
        if let Some(near) = modules::rust(name)
            && tables::find(&base, &path) != tables::find(&head, &path)
        {
            let message = format!("{} makes a crate `{name}`, which tests use: find out what it does", file.path);
            findings.push(finding(weight(near), &file.path, message));
        }
    }
    let before = dependencies(&base);
    for ((place, name), from) in dependencies(&head) {
        if before.get(&(place.clone(), name.clone())) == Some(&from) {
            continue;
        }
        let Some(near) = modules::rust(&name) else {
            let old = before.get(&(place.clone(), name.clone()));
            if old.is_some_and(|old| source(old) != source(&from)) {
                let message =
                    format!("{} takes `{name}` in [{place}] from elsewhere now (`{from}`): compare both", file.path);
                findings.push(finding(("takes-a-crate-from-elsewhere", Severity::Major, 50), &file.path, message));
            }
            continue;
        };
        // From the registry, under its own name, it is what it says; a crate of the compiler never is.
        let is_elsewhere = from
            .as_table()
            .is_some_and(|table| ["path", "git", "registry", "package"].iter().any(|key| table.get(*key).is_some()));
        if is_elsewhere || near == Near::Runner {
            let message = format!(
                "{} takes `{name}`, which tests use, from `{from}` in [{place}]: find out what that is",
                file.path
            );
            findings.push(finding(weight(near), &file.path, message));
        }
    }
    findings
}

/// Where a dependency comes from, whatever its version.
fn source(from: &toml::Value) -> Vec<Option<&toml::Value>> {
    ["path", "git", "branch", "tag", "rev", "registry", "registry-index", "package", "workspace"]
        .map(|key| from.get(key))
        .to_vec()
}

/// All dependencies of a manifest by table and name.
fn dependencies(table: &toml::Table) -> BTreeMap<(String, String), toml::Value> {
    let mut found = BTreeMap::new();
    let mut places: Vec<(String, &toml::Table)> = vec![(String::new(), table)];
    if let Some(workspace) = table.get("workspace").and_then(toml::Value::as_table) {
        places.push(("workspace.".into(), workspace));
    }
    for (name, target) in table.get("target").and_then(toml::Value::as_table).into_iter().flatten() {
        places.extend(target.as_table().map(|target| (format!("target.{name}."), target)));
    }
    for (place, table) in places {
        for key in ["dependencies", "dev-dependencies", "build-dependencies"] {
            for (name, from) in table.get(key).and_then(toml::Value::as_table).into_iter().flatten() {
                found.insert((format!("{place}{key}"), name.clone()), from.clone());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
