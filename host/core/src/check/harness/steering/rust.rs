//! Of Rust: build scripts, macros, and keys of `Cargo.toml` that say which code a crate's name means.

use crate::{
    check::harness::{
        modules::{self, Near},
        steering::finding::{finding, new_lines, weight},
        tables,
    },
    facts::{ChangedFile, Finding, Severity},
};
use std::collections::BTreeMap;

/// True for the script that builds a crate: `build.rs` beside its manifest, or what a changed manifest names.
pub(super) fn builds(files: &[ChangedFile], file: &ChangedFile, name: &str) -> bool {
    let named = |other: &ChangedFile| {
        let folder = other.path.strip_suffix("Cargo.toml")?;
        let table = tables::plain(other.head_text.as_deref()?).ok()?;
        let build = tables::find(&table, &["package", "build"])?.as_str()?;
        Some(format!("{folder}{}", build.trim_start_matches("./")) == file.path)
    };
    name == "build.rs" || files.iter().any(|other| named(other).unwrap_or_default())
}

/// A build script runs before the tests are built. What it does beyond asking and printing could be done to them.
pub(super) fn build_script(file: &ChangedFile) -> Option<Finding> {
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

/// Macros that tests assert with, and attributes that put another runner in the place of Rust's.
pub(super) fn macros(file: &ChangedFile) -> Option<Finding> {
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

/// Crates that say which code a name means: patches, and those named like one that tests use.
pub(super) fn cargo_toml(file: &ChangedFile) -> Vec<Finding> {
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
