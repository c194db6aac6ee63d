//! `Cargo.toml`: which of its keys steer `cargo test` and `cargo nextest`.

use super::tables::{Text, find, plain, tables, unplace};
use crate::check::harness::sides::{Edit, Sides};
use std::collections::BTreeSet;
use toml_edit::{ArrayOfTables, Item, Table};

/// What of a target steers its tests; where its code lies (`path` of others than tests) the build needs.
const TARGETS: [(&str, &[&str]); 4] = [
    ("test", &["harness", "test", "required-features"]),
    ("bin", &["harness", "test", "doctest"]),
    ("example", &["harness", "test", "doctest"]),
    // Benches are no tests unless they say so.
    ("bench", &["test"]),
];

/// What of a profile decides whether a test can fail.
const PROFILE: [&str; 4] = ["debug-assertions", "overflow-checks", "panic", "inherits"];

/// Files whose being there decides whether a target is one that the tree has anyway.
pub(super) fn asks(path: &str, base: Option<&str>, head: Option<&str>) -> Vec<String> {
    let folder = folder(path);
    let mut asks = BTreeSet::from([format!("{folder}src/lib.rs")]);
    for text in [base, head].into_iter().flatten() {
        let Ok(table) = plain(text) else { continue };
        for target in table.get("test").and_then(toml::Value::as_array).into_iter().flatten() {
            if let Some(name) = target.get("name").and_then(toml::Value::as_str) {
                asks.extend(defaults(folder, name));
            }
            if let Some(path) = target.get("path").and_then(toml::Value::as_str) {
                asks.insert(joined(folder, path));
            }
        }
    }
    asks.into_iter().collect()
}

pub(super) fn merge(sides: &Sides<'_>) -> Edit {
    // A crate that is gone has no tests left to steer; that they are missing is seen by their ids.
    let Some(text) = sides.head else { return Ok(None) };
    let (base, mut head) = (Text::read(sides.base)?, Text::read(Some(text))?);
    let mut changed = Vec::new();
    let mut paths: Vec<Vec<String>> = vec![owned(&["package", "autotests"]), owned(&["profile", "test"])];
    paths.extend(profiles(sides.command).iter().flat_map(|name| profile_keys(name, &base.plain, &head.plain)));
    if find(&head.plain, &["lib"]).is_some() || (sides.has)(&format!("{}src/lib.rs", folder(sides.path))) {
        paths.extend(["harness", "test", "doctest"].map(|key| owned(&["lib", key])));
    }
    for path in &paths {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        if !base.agrees(&head, &path) {
            head.take(&base, &path)?;
            changed.push(path.join("."));
        }
    }
    let mut base_doc = base.doc.clone();
    for (kind, keys) in TARGETS {
        if base.plain.get(kind).is_none() && head.plain.get(kind).is_none() {
            continue;
        }
        let old = tables(&mut base_doc, kind)?.clone();
        targets(sides, kind, keys, &old, tables(&mut head.doc, kind)?, &mut changed);
    }
    if changed.is_empty() {
        return Ok(None);
    }
    let text = head.doc.to_string();
    let made = plain(&text)?;
    let differs = |path: &&Vec<String>| {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        find(&made, &path) != find(&base.plain, &path)
    };
    if paths.iter().any(|path| differs(&path)) {
        return Err("its keys cannot be taken apart".into());
    }
    Ok(Some((text, changed)))
}

/// Gives targets that the base has their steering as it is there, and takes it from others: a new one is run as any is.
fn targets(
    sides: &Sides<'_>,
    kind: &str,
    keys: &[&str],
    old: &ArrayOfTables,
    new: &mut ArrayOfTables,
    changed: &mut Vec<String>,
) {
    let folder = folder(sides.path);
    let has = |path: &str| (sides.has)(&joined(folder, path));
    let has_default = |name: &str| defaults("", name).iter().any(|path| has(path));
    let name_of = |table: &Table| table.get("name").and_then(Item::as_str).unwrap_or_default().to_owned();
    let mut seen = BTreeSet::new();
    for target in new.iter_mut() {
        let name = name_of(target);
        let before = old.iter().find(|other| name_of(other) == name);
        for key in keys {
            let was = before.and_then(|before| before.get(key));
            if said(was) != said(target.get(key)) {
                put(target, key, was);
                changed.push(format!("{kind}.{name}.{key}"));
            }
        }
        if kind == "test" {
            let path = |table: &Table| table.get("path").and_then(Item::as_str).map(str::to_owned);
            let was = before.and_then(path);
            let stays = match (before, &was) {
                // Its file is where it was, so that is what is run.
                (Some(_), Some(was)) => !has(was),
                (_, None) => !has_default(&name),
                (None, Some(_)) => true,
            };
            let now = path(target);
            let is_default =
                now.as_ref().is_none_or(|now| defaults("", &name).iter().any(|path| path == now && has(path)));
            let same = was == now || was.is_none() && is_default;
            if !stays && !same {
                put(target, "path", before.and_then(|before| before.get("path")));
                changed.push(format!("{kind}.{name}.path"));
            }
        }
        seen.insert(name);
    }
    for target in old.iter().filter(|target| !seen.contains(&name_of(target))) {
        let name = name_of(target);
        let steers = keys.iter().any(|key| target.get(key).is_some());
        let is_there = match target.get("path").and_then(Item::as_str) {
            Some(path) => kind == "test" && has(path),
            None => kind == "test" && has_default(&name),
        };
        if is_there && (steers || target.get("path").is_some()) {
            let mut target = target.clone();
            unplace(&mut target);
            new.push(target);
            changed.push(format!("{kind}.{name}"));
        }
    }
}

fn put(table: &mut Table, key: &str, to: Option<&Item>) {
    match to {
        Some(item) => drop(table.insert(key, item.clone())),
        None => drop(table.remove(key)),
    }
}

/// A value as it is, however it is written.
fn said(item: Option<&Item>) -> Option<toml::Value> {
    let value = item?.clone().into_value().ok()?;
    plain(&format!("x = {}", value.decorated("", ""))).ok()?.remove("x")
}

/// Profiles the tests are built with, beside `test`.
fn profiles(command: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::from(["dev".to_owned()]);
    let words: Vec<&str> = command.split_whitespace().collect();
    for (at, word) in words.iter().enumerate() {
        if let Some(("--profile" | "--cargo-profile", name)) = word.split_once('=') {
            names.insert(name.to_owned());
        }
        if matches!(*word, "--release" | "-r") {
            names.extend(["release".to_owned(), "bench".to_owned()]);
        } else if matches!(*word, "--profile" | "--cargo-profile")
            && let Some(name) = words.get(at + 1)
        {
            names.insert((*name).to_owned());
        }
    }
    names
}

fn profile_keys(profile: &str, base: &toml::Table, head: &toml::Table) -> Vec<Vec<String>> {
    let mut keys: Vec<Vec<String>> = PROFILE.iter().map(|key| owned(&["profile", profile, key])).collect();
    let packages = |table| find(table, &["profile", profile, "package"]).and_then(toml::Value::as_table);
    let names: BTreeSet<&String> =
        [base, head].into_iter().filter_map(packages).flat_map(|packages| packages.keys()).collect();
    for name in names {
        keys.extend(
            ["debug-assertions", "overflow-checks"].map(|key| owned(&["profile", profile, "package", name, key])),
        );
    }
    keys
}

/// Where Cargo looks for a test target that names no path.
fn defaults(folder: &str, name: &str) -> [String; 2] {
    [format!("{folder}tests/{name}.rs"), format!("{folder}tests/{name}/main.rs")]
}

fn folder(path: &str) -> &str {
    path.strip_suffix("Cargo.toml").unwrap_or_default()
}

fn joined(folder: &str, path: &str) -> String {
    format!("{folder}{}", path.trim_start_matches("./"))
}

fn owned(path: &[&str]) -> Vec<String> {
    path.iter().map(|key| (*key).to_owned()).collect()
}
