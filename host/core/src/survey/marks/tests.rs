//! Marks that follow from what stands in a file, and from where it was.

use super::*;
use crate::survey::tests::file;

fn texts(path: &str, base: Option<&str>, head: &str) -> ChangedFile {
    let status = if base.is_some() { FileStatus::Modified } else { FileStatus::Added };
    let added: Vec<String> = head.lines().map(|line| format!("+{line}")).collect();
    let mut file = file(path, status, &added.iter().map(String::as_str).collect::<Vec<_>>());
    (file.base_text, file.head_text) = (base.map(str::to_owned), Some(head.to_owned()));
    file
}

/// Why the file runs, where it does so by itself.
fn by_itself(file: &ChangedFile) -> Option<String> {
    marks(file).runs.filter(|(runs, _)| *runs == Runs::ByItself).map(|(_, words)| words)
}

#[test]
fn scripts_that_an_install_runs_are_seen_where_they_are_added_or_changed() {
    let base = r#"{"scripts":{"postinstall":"a","test":"t"},"dependencies":{}}"#;
    for head in [
        r#"{"scripts":{"postinstall":"b","test":"t"}}"#,
        r#"{"scripts":{"postinstall":"a","preinstall":"x"}}"#,
        r#"{"scripts":{"postinstall":"a","prepare":"husky"}}"#,
        r#"{"scripts":{"postinstall":"a"},"lint-staged":{"*":"x"}}"#,
        r#"{"scripts":{"postinstall":"a"},"husky":{"hooks":{}}}"#,
    ] {
        assert!(by_itself(&texts("web/package.json", Some(base), head)).is_some(), "{head}");
        assert!(by_itself(&texts("Package.JSON", None, head)).is_some(), "{head}");
    }
    let other = r#"{"scripts":{"postinstall":"a","test":"t","build":"x"}}"#;
    let (runs, words) = marks(&texts("package.json", Some(base), other)).runs.unwrap();
    assert!(runs == Runs::WhenStarted && words.contains("`build`"), "{words}");
    for harmless in [
        base,
        r#"{"scripts":{"postinstall":"a","test":"t"},"dependencies":{"left-pad":"1"}}"#,
        r#"{"scripts":{}}"#,
        "{",
    ] {
        // What steers its tests is another matter.
        let marks = Marks { test_keys: None, ..marks(&texts("package.json", Some(base), harmless)) };
        assert_eq!(marks, Marks::default(), "{harmless}");
    }
}

#[test]
fn lines_that_name_a_program_or_a_source_of_packages_are_seen() {
    for (path, text) in [
        (".npmrc", "script-shell=./sh"),
        (".npmrc", "@acme:registry = https://evil.example"),
        (".npmrc", "node-options=--require ./x.js"),
        (".yarnrc.yml", "yarnPath: .yarn/x.cjs"),
        (".yarnrc", "yarn-path \"x\""),
        ("shop.gemspec", "  s.extensions = ['ext/extconf.rb']"),
        ("composer.json", r#"{"scripts":{"post-install-cmd":"x"}}"#),
    ] {
        assert!(by_itself(&texts(path, Some("{}"), text)).is_some(), "{path} {text}");
    }
    for (path, text) in [
        (".npmrc", "engine-strict=true"),
        (".npmrc", "; registry"),
        (".yarnrc.yml", "nodeLinker: node-modules"),
        ("composer.json", r#"{"scripts":{"lint":"x"}}"#),
        ("composer.json", "{"),
    ] {
        assert_eq!(by_itself(&texts(path, Some("{}"), text)), None, "{path} {text}");
    }
}

#[test]
fn another_spelling_and_a_place_left_are_told() {
    for (path, same) in [
        (".GitHub/workflows/ci.yml", ".github/workflows/ci.yml"),
        ("GITHUB~1/Workflows/ci.yml", ".github/workflows/ci.yml"),
        (".github./workflows./ci.yml", ".github/workflows/ci.yml"),
        (".GITLAB-CI.yml", ".gitlab-ci.yml"),
        ("a/codeowners", "a/CODEOWNERS"),
    ] {
        assert_eq!(marks(&file(path, FileStatus::Added, &["+x"])).same_as.as_deref(), Some(same), "{path}");
    }
    assert_eq!(marks(&file(".github/workflows/ci.yml", FileStatus::Added, &["+x"])).same_as, None);
    let mut moved = file("docs/ci.txt", FileStatus::Renamed, &[]);
    moved.old_path = Some(".github/workflows/ci.yml".into());
    assert_eq!(marks(&moved).was, Some(FileClass::Ci));
}
