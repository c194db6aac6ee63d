//! Manifests that hold both what code needs and how it is tested: which of the latter's keys changed.

use std::collections::BTreeMap;

/// Keys that steer tests and differ between the two versions; empty for other files.
pub fn changed_test_keys(path: &str, base: Option<&str>, head: Option<&str>) -> Vec<String> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let read: fn(&str) -> BTreeMap<String, String> = match name {
        "package.json" => package_json,
        "Cargo.toml" | "pyproject.toml" => toml_keys,
        _ => return Vec::new(),
    };
    let (base, head) = (base.map(read).unwrap_or_default(), head.map(read).unwrap_or_default());
    let mut keys: Vec<String> =
        base.keys().chain(head.keys()).filter(|key| base.get(*key) != head.get(*key)).cloned().collect();
    keys.sort();
    keys.dedup();
    keys
}

fn package_json(text: &str) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else {
        return BTreeMap::from([("(not readable)".to_owned(), text.to_owned())]);
    };
    for (name, script) in value.get("scripts").and_then(|scripts| scripts.as_object()).into_iter().flatten() {
        let runs = ["test", "check", "lint", "ci", "coverage", "verify"].iter().any(|word| name.contains(word));
        let hook = matches!(name.as_str(), "preinstall" | "install" | "postinstall" | "prepare");
        if runs || hook {
            keys.insert(format!("scripts.{name}"), script.to_string());
        }
    }
    for name in ["jest", "mocha", "ava", "nyc", "c8", "vitest", "tap"] {
        if let Some(value) = value.get(name) {
            keys.insert(name.to_owned(), value.to_string());
        }
    }
    keys
}

/// Keys of TOML by line: enough to see a change, without a parser in each rule. Multi-line values are kept with their key.
fn toml_keys(text: &str) -> BTreeMap<String, String> {
    const TABLES: [&str; 7] =
        ["tool.pytest", "tool.tox", "tool.coverage", "tool.nox", "tool.hatch.envs", "profile.test", "profile.dev"];
    const KEYS: [&str; 6] = ["harness", "autotests", "test", "doctest", "testpaths", "addopts"];
    let mut keys: BTreeMap<String, String> = BTreeMap::new();
    let mut table = String::new();
    let mut last: Option<String> = None;
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    for line in text.lines() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.starts_with('[')
            && line.trim_end_matches(|char: char| char != ']').ends_with(']')
            && !line.contains('=')
            && last_is_closed(&keys, &last)
        {
            let count = seen.entry(line.to_owned()).or_insert(0);
            *count += 1;
            table = line.trim_matches(['[', ']', ' ']).to_owned();
            if *count > 1 {
                table = format!("{table}.{count}");
            }
            last = None;
            continue;
        }
        match line.split_once('=').filter(|_| last_is_closed(&keys, &last)) {
            Some((key, value)) => {
                let key = key.trim().trim_matches(['"', '\'']);
                let full = format!("{table}.{key}");
                let steers = TABLES.iter().any(|prefix| table.starts_with(prefix))
                    || KEYS.contains(&key)
                        && matches!(
                            table.split('.').next(),
                            Some("package" | "lib" | "test" | "bin" | "bench" | "example")
                        );
                last = steers.then(|| full.clone());
                if steers {
                    keys.insert(full, value.trim().to_owned());
                }
            }
            None => {
                if let Some(value) = last.as_ref().and_then(|last| keys.get_mut(last)) {
                    value.push_str(line);
                }
            }
        }
    }
    keys
}

/// False while an array or a triple-quoted string of the key before is open.
fn last_is_closed(keys: &BTreeMap<String, String>, last: &Option<String>) -> bool {
    let Some(value) = last.as_ref().and_then(|last| keys.get(last)) else { return true };
    let triple = value.matches("\"\"\"").count() % 2 == 0 && value.matches("'''").count() % 2 == 0;
    value.matches('[').count() <= value.matches(']').count() && triple
}

#[cfg(test)]
mod tests {
    use super::changed_test_keys;

    #[test]
    fn only_keys_that_steer_tests_count() {
        let cargo = "[package]\nname = \"a\"\n[dependencies]\nserde = \"1\"\n[[test]]\nname = \"it\"\nharness = true\n";
        assert!(changed_test_keys("Cargo.toml", Some(cargo), Some(&cargo.replace("\"1\"", "\"2\""))).is_empty());
        assert_eq!(
            changed_test_keys("x/Cargo.toml", Some(cargo), Some(&cargo.replace("true", "false"))),
            ["test.harness"]
        );
        let py = "[project]\nname = \"a\"\n[tool.pytest.ini_options]\ntestpaths = [\n  \"tests\",\n]\n";
        assert!(changed_test_keys("pyproject.toml", Some(py), Some(&py.replace("\"a\"", "\"b\""))).is_empty());
        assert_eq!(
            changed_test_keys("pyproject.toml", Some(py), Some(&py.replace("\"tests\"", "\"unit\""))),
            ["tool.pytest.ini_options.testpaths"]
        );
        let package = r#"{"version":"1","scripts":{"test":"jest","start":"x"}}"#;
        assert!(changed_test_keys("package.json", Some(package), Some(&package.replace("\"x\"", "\"y\""))).is_empty());
        assert_eq!(
            changed_test_keys("package.json", Some(package), Some(&package.replace("jest", "true"))),
            ["scripts.test"]
        );
        assert!(changed_test_keys("src/lib.rs", Some("a"), Some("b")).is_empty());
    }
}
