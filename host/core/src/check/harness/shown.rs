//! What a change did to those keys of a manifest that people look at where tests are concerned: for rules, which get it as `test-keys`.

use super::{
    pyproject, sections,
    told::{KEYS, few_keys},
};
use std::collections::{BTreeMap, BTreeSet};

/// What a change to a manifest that holds both the build's needs and the runners' keys did to the latter and to what decides which code
/// is tested, in words; none for other files and when they are the same.
///
/// Whether a check took a key from the base or not (see [`super::Manifest`]), the branch has it, so a person must see it. A manifest that
/// cannot be parsed counts as changed.
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
                toml::from_str(text).map(|table| pyproject_toml(&table)).map_err(|error| error.message().to_owned())
            }
            "setup.cfg" => sections::shown(text),
            _ => Ok(BTreeMap::new()),
        }
    };
    let (base, head) = match (read(base), read(head)) {
        (Ok(base), Ok(head)) => (base, head),
        (_, Err(why)) | (Err(why), _) => {
            return Some(format!("it could not be read: {}", why.lines().next().unwrap_or_default()));
        }
    };
    let mut changed: Vec<(String, &str)> = Vec::new();
    let mut seen = BTreeSet::new();
    for key in base.keys().chain(head.keys()) {
        let words = match (base.get(key), head.get(key)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(_), Some(_)) => "changed",
            (Some(_), None) => "removed",
            (None, _) => "added",
        };
        if seen.insert(key) {
            changed.push((key.clone(), words));
        }
    }
    let (keys, words): (Vec<String>, Vec<&str>) = changed.into_iter().unzip();
    let keys = few_keys(keys);
    let said = keys.iter().zip(words).enumerate().map(|(at, (key, words))| match at {
        // How many more there are.
        KEYS => key.clone(),
        _ => format!("`{key}` {words}"),
    });
    let said: Vec<String> = said.collect();
    (!said.is_empty()).then(|| said.join(", "))
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

fn pyproject_toml(table: &toml::Table) -> BTreeMap<String, String> {
    let mut keys = BTreeMap::new();
    for (name, value) in table.get("tool").and_then(toml::Value::as_table).into_iter().flatten() {
        if pyproject::is_pytest(name)
            || matches!(name.as_str(), "tox" | "coverage" | "hatch" | "nox" | "pdm" | "poe" | "taskipy")
        {
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
