//! Of Go: modules that stand in for others, vendored ones, and a `TestMain` that decides what is run.

use crate::{
    check::harness::{
        modules,
        steering::finding::{finding, new_lines},
    },
    facts::{ChangedFile, Finding, Severity},
};
use std::collections::BTreeSet;

/// `replace` of go.mod says which code an import means (go.dev/ref/mod, "replace directive"). A module of the change's own, which the
/// base's list of modules does not name, stands in for nothing: since Go 1.17 that list has whatever the base's code and tests import.
pub(super) fn go_mod(file: &ChangedFile) -> Vec<Finding> {
    let before: BTreeSet<&str> = file.base_text.iter().flat_map(|text| text.split_whitespace()).collect();
    let is_pruned = file.base_text.as_deref().is_some_and(lists_all_modules);
    let replaced = new_lines(file).filter(|line| line.contains("=>") && !line.starts_with("//"));
    let told = replaced.filter_map(|line| {
        let line = line.strip_prefix("replace").unwrap_or(line).trim();
        // Names may be quoted, as strings of Go are (go.dev/ref/mod, "Lexical elements"); one with an escape may be any.
        let module = line.split_whitespace().next().unwrap_or_default().trim_matches(['"', '`']);
        let is_listed = ["", "\"", "`"].iter().any(|quote| before.contains(format!("{quote}{module}{quote}").as_str()));
        let weight = match modules::go(module) {
            Some(_) => ("replaces-a-test-library", Severity::Critical, 85),
            None if is_pruned && !is_listed && !module.contains('\\') && !has_escape(&before) => return None,
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

/// True where a list of modules has a name with an escape in it, which may be any.
fn has_escape(words: &BTreeSet<&str>) -> bool {
    words.iter().any(|word| word.starts_with('"') && word.contains('\\'))
}

/// True for a go.mod of Go 1.17 or newer, which names every module that its packages and tests are built from (go.dev/ref/mod,
/// "Module graph pruning").
fn lists_all_modules(text: &str) -> bool {
    let version = text.lines().find_map(|line| line.trim().strip_prefix("go ")).map(str::trim).unwrap_or_default();
    let mut parts = version.split('.').map(|part| part.parse::<u32>().unwrap_or_default());
    (parts.next(), parts.next()) >= (Some(1), Some(17))
}

/// The list beside vendored code: where there is one, `go test` takes every module it names from there (go.dev/ref/mod, "Vendoring").
pub(super) fn vendored_modules(file: &ChangedFile) -> Option<Finding> {
    (file.path == "vendor/modules.txt" || file.path.ends_with("/vendor/modules.txt")).then(|| {
        let message = format!(
            "{} has modules taken from the code beside it: compare that with what is published under their names",
            file.path
        );
        finding(("vendored-modules", Severity::Major, 50), &file.path, message)
    })
}

/// The library of tests that a path of vendored code belongs to.
pub(super) fn vendor(path: &str) -> Option<&'static str> {
    let inside = path.strip_prefix("vendor/").or_else(|| path.split_once("/vendor/").map(|(_, inside)| inside))?;
    modules::go(inside)
}

/// `TestMain` runs in the place of all tests of its package (go.dev/pkg/testing, "Main").
pub(super) fn test_main(file: &ChangedFile) -> Option<Finding> {
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
