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

fn named(file: &ChangedFile, name: &str) -> Option<String> {
    marks(file).into_iter().find(|(known, _)| known == name).map(|(_, words)| words)
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
        assert!(named(&texts("web/package.json", Some(base), head), "runs-by-itself").is_some(), "{head}");
        assert!(named(&texts("Package.JSON", None, head), "runs-by-itself").is_some(), "{head}");
    }
    let other = r#"{"scripts":{"postinstall":"a","test":"t","build":"x"}}"#;
    assert_eq!(named(&texts("package.json", Some(base), other), "runs-by-itself"), None);
    assert!(
        named(&texts("package.json", Some(base), other), "runs-when-started")
            .is_some_and(|words| words.contains("`build`"))
    );
    for harmless in [
        base,
        r#"{"scripts":{"postinstall":"a","test":"t"},"dependencies":{"left-pad":"1"}}"#,
        r#"{"scripts":{}}"#,
        "{",
    ] {
        let mut marks = marks(&texts("package.json", Some(base), harmless));
        // What steers its tests is another matter.
        marks.retain(|(name, _)| name != "test-keys");
        assert_eq!(marks, [], "{harmless}");
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
        assert!(named(&texts(path, Some("{}"), text), "runs-by-itself").is_some(), "{path} {text}");
    }
    for (path, text) in [
        (".npmrc", "engine-strict=true"),
        (".npmrc", "; registry"),
        (".yarnrc.yml", "nodeLinker: node-modules"),
        ("composer.json", r#"{"scripts":{"lint":"x"}}"#),
        ("composer.json", "{"),
    ] {
        assert_eq!(named(&texts(path, Some("{}"), text), "runs-by-itself"), None, "{path} {text}");
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
        assert_eq!(named(&file(path, FileStatus::Added, &["+x"]), "same-as").as_deref(), Some(same), "{path}");
    }
    assert_eq!(named(&file(".github/workflows/ci.yml", FileStatus::Added, &["+x"]), "same-as"), None);
    let mut moved = file("docs/ci.txt", FileStatus::Renamed, &[]);
    moved.old_path = Some(".github/workflows/ci.yml".into());
    assert_eq!(named(&moved, "was").as_deref(), Some("ci"));
}
