//! Which files steer the tests: those taken from the base before a check runs, and manifests whose test keys a person must see.

use crate::survey::{Language, language};
use std::collections::BTreeMap;

/// True for files that are harness as a whole, and so come from the base whatever the change did to them.
///
/// A file of this kind that the base does not have is removed for the check.
pub fn is_whole(path: &str) -> bool {
    let mut parts = path.split('/').rev();
    let name = parts.next().unwrap_or_default();
    let lower = name.to_ascii_lowercase();
    let folder = parts.next().unwrap_or_default();
    const NAMES: [&str; 22] = [
        "makefile",
        "gnumakefile",
        "justfile",
        "taskfile.yml",
        "taskfile.yaml",
        "pytest.ini",
        ".pytest.ini",
        "pytest.toml",
        "tox.ini",
        "noxfile.py",
        "conftest.py",
        "sitecustomize.py",
        "usercustomize.py",
        ".coveragerc",
        "nextest.toml",
        "rust-toolchain",
        "rust-toolchain.toml",
        "setup.cfg",
        ".npmrc",
        "karma.conf.js",
        "tarpaulin.toml",
        "run_tests.sh",
    ];
    const PREFIXES: [&str; 12] = [
        "jest.config.",
        "jest.setup.",
        "jest-setup.",
        "vitest.config.",
        "vitest.setup.",
        "vitest.workspace.",
        ".mocharc",
        "playwright.config.",
        "cypress.config.",
        "setuptests.",
        "babel.config.",
        ".nycrc",
    ];
    let ci = matches!(crate::survey::classify(path), crate::facts::FileClass::Ci);
    let cargo = folder == ".cargo" && matches!(lower.as_str(), "config" | "config.toml");
    let binary = path.starts_with("node_modules/") || folder == ".bin";
    // A `.pth` file is run by the interpreter at start.
    let pth = lower.ends_with(".pth") && language(path) != Some(Language::Python);
    NAMES.contains(&lower.as_str())
        || PREFIXES.iter().any(|prefix| lower.starts_with(prefix))
        || lower.ends_with(".mk")
        || ci
        || cargo
        || binary
        || pth
}

/// What a change to a manifest that holds both code's needs and the tests' keys did to the latter, in words; none for other files and
/// when they are the same. Such manifests stay at head in a check, so a person must see this.
///
/// A manifest that cannot be parsed counts as changed.
pub fn mixed_changes(path: &str, base: Option<&str>, head: Option<&str>) -> Option<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    if base == head {
        return None;
    }
    let read = |text: Option<&str>| -> Result<BTreeMap<String, String>, String> {
        let Some(text) = text else { return Ok(BTreeMap::new()) };
        match name {
            "package.json" => {
                serde_json::from_str(text).map(|value| package_json(&value)).map_err(|error| error.to_string())
            }
            "Cargo.toml" => {
                toml::from_str(text).map(|table| cargo_toml(&table)).map_err(|error| error.message().to_owned())
            }
            "pyproject.toml" => {
                toml::from_str(text).map(|table| pyproject(&table)).map_err(|error| error.message().to_owned())
            }
            _ => Ok(BTreeMap::new()),
        }
    };
    let (base, head) = match (read(base), read(head)) {
        (Ok(base), Ok(head)) => (base, head),
        (_, Err(why)) | (Err(why), _) => {
            return Some(format!("it could not be read: {}", why.lines().next().unwrap_or_default()));
        }
    };
    let mut changed: Vec<String> = Vec::new();
    for key in base.keys().chain(head.keys()) {
        let words = match (base.get(key), head.get(key)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(_), Some(_)) => format!("`{key}` changed"),
            (Some(_), None) => format!("`{key}` removed"),
            (None, _) => format!("`{key}` added"),
        };
        if !changed.contains(&words) {
            changed.push(words);
        }
    }
    (!changed.is_empty()).then(|| changed.join(", "))
}

fn package_json(value: &serde_json::Value) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    let scripts = value.get("scripts").and_then(|scripts| scripts.as_object());
    for (name, script) in scripts.into_iter().flatten() {
        keys.insert(format!("scripts.{name}"), script.to_string());
    }
    for name in
        ["jest", "mocha", "ava", "nyc", "c8", "vitest", "tap", "babel", "imports", "type", "overrides", "resolutions"]
    {
        if let Some(value) = value.get(name) {
            keys.insert(name.to_owned(), value.to_string());
        }
    }
    keys
}

fn cargo_toml(table: &toml::Table) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    let mut take = |key: String, value: Option<&toml::Value>| {
        if let Some(value) = value {
            keys.insert(key, value.to_string());
        }
    };
    for name in ["test", "bench", "lib", "bin", "example"] {
        let targets = table.get(name);
        let many = targets.and_then(toml::Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for (at, target) in targets.filter(|value| value.is_table()).into_iter().chain(many).enumerate() {
            let label = target.get("name").and_then(toml::Value::as_str).map_or_else(|| at.to_string(), str::to_owned);
            for key in ["harness", "test", "doctest", "required-features"] {
                take(format!("{name}.{label}.{key}"), target.get(key));
            }
            if matches!(name, "test" | "bench") {
                take(format!("{name}.{label}.path"), target.get("path"));
            }
        }
    }
    let package = table.get("package");
    for key in ["autotests", "autobins", "build", "links"] {
        take(format!("package.{key}"), package.and_then(|package| package.get(key)));
    }
    for (name, profile) in table.get("profile").and_then(toml::Value::as_table).into_iter().flatten() {
        take(format!("profile.{name}"), Some(profile));
    }
    for name in ["patch", "replace", "lints"] {
        take(name.to_owned(), table.get(name));
    }
    let workspace = table.get("workspace");
    for key in ["members", "exclude", "default-members", "lints"] {
        take(format!("workspace.{key}"), workspace.and_then(|workspace| workspace.get(key)));
    }
    keys
}

fn pyproject(table: &toml::Table) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    for (name, value) in table.get("tool").and_then(toml::Value::as_table).into_iter().flatten() {
        if matches!(name.as_str(), "pytest" | "tox" | "coverage" | "hatch" | "nox" | "pdm" | "poe" | "taskipy") {
            keys.insert(format!("tool.{name}"), value.to_string());
        }
    }
    for (key, value) in [
        (
            "tool.poetry.scripts",
            table.get("tool").and_then(|tool| tool.get("poetry")).and_then(|poetry| poetry.get("scripts")),
        ),
        (
            "tool.poetry.plugins",
            table.get("tool").and_then(|tool| tool.get("poetry")).and_then(|poetry| poetry.get("plugins")),
        ),
        ("project.entry-points", table.get("project").and_then(|project| project.get("entry-points"))),
        ("project.scripts", table.get("project").and_then(|project| project.get("scripts"))),
        ("build-system", table.get("build-system")),
    ] {
        if let Some(value) = value {
            keys.insert(key.to_owned(), value.to_string());
        }
    }
    keys
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_harness_files_are_known() {
        for path in [
            "Makefile",
            "sub/conftest.py",
            ".cargo/config.toml",
            "jest.config.ts",
            ".github/workflows/ci.yml",
            "sitecustomize.py",
            "x.pth",
            "node_modules/.bin/jest",
        ] {
            assert!(is_whole(path), "{path}");
        }
        for path in [
            "src/lib.rs",
            "tests/test_a.py",
            "Cargo.toml",
            "package.json",
            "pyproject.toml",
            "src/config.toml",
            "docs/makefile.md",
        ] {
            assert!(!is_whole(path), "{path}");
        }
    }

    #[test]
    fn only_test_and_script_keys_count_in_mixed_manifests() {
        let cargo = "[package]\nname = \"a\"\nversion = \"1.0.0\"\n[dependencies]\nserde = \"1\"\n";
        assert_eq!(
            mixed_changes("Cargo.toml", Some(cargo), Some(&cargo.replace("1.0.0", "1.1.0").replace("\"1\"", "\"2\""))),
            None
        );
        let off = format!("{cargo}[[test]]\nname = \"it\"\nharness = false\n");
        assert!(mixed_changes("a/Cargo.toml", Some(cargo), Some(&off)).unwrap().contains("`test.it.harness` added"));
        let package = r#"{"version":"1","scripts":{"test":"jest"},"dependencies":{"a":"1"}}"#;
        assert_eq!(
            mixed_changes("package.json", Some(package), Some(&package.replace("\"a\":\"1\"", "\"a\":\"2\""))),
            None
        );
        let weak = package.replace("jest", "jest --passWithNoTests");
        assert!(mixed_changes("package.json", Some(package), Some(&weak)).unwrap().contains("`scripts.test` changed"));
        let py = "[project]\nname = \"a\"\n[tool.pytest.ini_options]\ntestpaths = [\"tests\"]\n";
        assert_eq!(mixed_changes("pyproject.toml", Some(py), Some(&py.replace("\"a\"", "\"b\""))), None);
        assert!(
            mixed_changes("pyproject.toml", Some(py), Some("[project]\nname = \"a\"\n")).unwrap().contains("removed")
        );
        assert!(mixed_changes("package.json", Some(package), Some("{")).unwrap().contains("could not be read"));
        assert!(mixed_changes("package.json", Some("{"), Some("{,")).unwrap().contains("could not be read"));
        assert_eq!(mixed_changes("package.json", Some("{"), Some("{")), None, "only its mode changed");
        assert_eq!(mixed_changes("src/lib.rs", Some("a"), Some("b")), None);
    }
}
