//! `package.json`: which of its keys steer a runner.

use crate::check::harness::sides::{Edit, Sides};
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Keys in which runners, and what prepares files for them, are configured. `type`, `imports`, `overrides` and the dependencies of every
/// kind the build needs.
pub(super) const KEYS: [&str; 15] = [
    "jest",
    "mocha",
    "ava",
    "nyc",
    "c8",
    "vitest",
    "tap",
    "babel",
    "jasmine",
    "wtr",
    "wireit",
    "nx",
    "cypress",
    "playwright",
    "pre-commit",
];

pub(super) fn merge(sides: &Sides<'_>) -> Edit {
    // A package below another that is gone has no tests left to steer; that they are missing is seen by their ids.
    if sides.head.is_none() && sides.path.contains('/') {
        return Ok(None);
    }
    let (base, mut head) = (read(sides.base)?, read(sides.head)?);
    let mut changed = Vec::new();
    for key in KEYS {
        if base.get(key) != head.get(key) {
            put(&mut head, key, base.get(key));
            changed.push(key.to_owned());
        }
    }
    let (old, new) = (scripts(&base)?, scripts(&head)?);
    let (old, mut new) = (old.cloned().unwrap_or_default(), new.cloned().unwrap_or_default());
    for name in steering(sides.command, &old, &new) {
        if old.get(&name) != new.get(&name) {
            put(&mut new, &name, old.get(&name));
            changed.push(format!("scripts.{name}"));
        }
    }
    if changed.is_empty() {
        return Ok(None);
    }
    if !new.is_empty() || head.contains_key("scripts") {
        head.insert("scripts".to_owned(), Value::Object(new));
    }
    let text = serde_json::to_string_pretty(&Value::Object(head)).map_err(|error| error.to_string())?;
    Ok(Some((text + "\n", changed)))
}

fn read(text: Option<&str>) -> Result<Map<String, Value>, String> {
    match serde_json::from_str(text.unwrap_or("{}")) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err("it is no object".into()),
        Err(error) => Err(error.to_string()),
    }
}

fn scripts(package: &Map<String, Value>) -> Result<Option<&Map<String, Value>>, String> {
    match package.get("scripts") {
        None => Ok(None),
        Some(Value::Object(scripts)) => Ok(Some(scripts)),
        Some(_) => Err("`scripts` is no object".into()),
    }
}

fn put(map: &mut Map<String, Value>, key: &str, value: Option<&Value>) {
    match value {
        Some(value) => drop(map.insert(key.to_owned(), value.clone())),
        None => drop(map.shift_remove(key)),
    }
}

/// Scripts that run when the tests do: those whose names start with `test`, those the test command calls, what the base's of them call, and what runs
/// before and after each.
pub(super) fn steering(command: &str, old: &Map<String, Value>, new: &Map<String, Value>) -> BTreeSet<String> {
    let names = || old.keys().chain(new.keys());
    let is_script = |word: &&str| old.contains_key(*word) || new.contains_key(*word);
    let is_tests = |name: &&String| {
        let name = name.strip_prefix("pre").or_else(|| name.strip_prefix("post")).unwrap_or(name);
        name.starts_with("test")
    };
    let mut found: BTreeSet<String> = names().filter(is_tests).cloned().collect();
    let calls = |text: &str| -> Vec<String> {
        // By name only where a package manager is called: `node app.js` calls no script `node`.
        let is_called =
            ["npm", "pnpm", "yarn", "bun", "npx", "run-s", "run-p", "npm-run-all", "concurrently", "wireit"]
                .iter()
                .any(|manager| text.contains(manager));
        if is_called { words(text).filter(is_script).map(str::to_owned).collect() } else { Vec::new() }
    };
    let mut open: Vec<String> = found.iter().cloned().collect();
    open.extend(calls(command));
    while let Some(name) = open.pop() {
        for name in [format!("pre{name}"), format!("post{name}"), name.clone()] {
            if is_script(&name.as_str()) {
                found.insert(name);
            }
        }
        let text = old.get(&name).and_then(Value::as_str).unwrap_or_default();
        open.extend(calls(text).into_iter().filter(|called| !found.contains(called)).collect::<Vec<_>>());
    }
    found
}

/// Words of a command, without what a shell and the names of groups of scripts put around them.
fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c.is_whitespace() || ";&|()'\"\\,".contains(c)).filter(|word| !word.is_empty())
}
