//! What configurations of the base name as something to load with the tests. Product code that a configuration only mentions (what is
//! packaged, measured, or tested) is not loaded by it: each kind of file is read for what loads, and for nothing else.

use crate::{
    check::harness::{
        commands::{LOADERS, joined, plain},
        is_test_folder, package, pyproject, recipes, sections, tables,
    },
    survey::{Language, language},
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};

/// Names of paths or modules, as they are written, and the configuration that names each.
pub(super) type Named<'a> = BTreeMap<String, &'a str>;

/// What keys that load something have in them, in lower case.
const WORDS: [&str; 14] = [
    "setup",
    "teardown",
    "require",
    "import",
    "plugin",
    "transform",
    "reporter",
    "environment",
    "preset",
    "runner",
    "loader",
    "resolver",
    "fixtures",
    "hook",
];

/// What configurations name as something to load with the tests, as they write it, and which one does.
pub(super) fn named<'a>(command: &str, texts: &'a [(String, String)]) -> Named<'a> {
    let mut all = BTreeMap::new();
    for (config, text) in texts {
        let (folder, name) = config.rsplit_once('/').unwrap_or(("", config));
        let name = name.to_ascii_lowercase();
        let mut found = Found { folder, names: Vec::new() };
        // Recipes and scripts are looked through by what they call, and Cargo's manifests by their keys.
        let is_recipe = [".mk", ".sh", "makefile", "justfile", "ignore"].iter().any(|end| name.ends_with(end));
        if is_recipe || name.starts_with(".env") || name == "cargo.toml" {
            continue;
        }
        match name.as_str() {
            "package.json" => found.package(command, text),
            "pyproject.toml" => found.pyproject(text),
            "setup.cfg" | "tox.ini" => match sections::steering(text) {
                Ok(own) => own.iter().for_each(|section| found.options(section)),
                Err(_) => found.options(text),
            },
            name if [".ini", ".cfg", ".coveragerc"].iter().any(|end| name.ends_with(end)) => found.options(text),
            name if language(name) == Some(Language::Python) => found.python(text),
            _ => found.lines(text),
        }
        for name in found.names {
            all.entry(name).or_insert(config.as_str());
        }
    }
    all
}

/// The configuration that names a file: by its path, without its ending, or as a module of Python.
pub(super) fn by<'a>(named: &Named<'a>, path: &str) -> Option<&'a str> {
    let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
    let stem = stem.strip_suffix("/__init__").unwrap_or(stem);
    let dotted = stem.replace('/', ".");
    let is_python = language(path) == Some(Language::Python);
    named
        .get(path)
        .or_else(|| named.get(stem).filter(|_| stem.contains('/')))
        .or_else(|| named.get(&dotted).filter(|_| is_python))
        .copied()
}

/// Folders that configurations of the base put on the path of Python (docs.pytest.org, `pythonpath`), from where each lies.
pub(super) fn searched(texts: &[(String, String)]) -> BTreeSet<String> {
    let mut searched = BTreeSet::new();
    for (config, text) in texts {
        let (folder, name) = config.rsplit_once('/').unwrap_or(("", config));
        let listed = match name {
            "pytest.ini" | ".pytest.ini" | "setup.cfg" | "tox.ini" => recipes::pytest_paths(text),
            "pyproject.toml" | "pytest.toml" | ".pytest.toml" => {
                let Ok(table) = tables::plain(text) else { continue };
                let places: [&[&str]; 3] = [&["tool", "pytest", "ini_options"], &["tool", "pytest"], &["pytest"]];
                let own = places.iter().filter_map(|place| tables::find(&table, place));
                own.flat_map(|own| ["pythonpath", "python_paths"].map(|key| words(own.get(key)))).flatten().collect()
            }
            _ => continue,
        };
        searched.extend(listed.iter().filter_map(|entry| joined(folder, entry)));
    }
    searched
}

/// A list, or a text with blanks.
fn words(value: Option<&toml::Value>) -> Vec<String> {
    match value {
        Some(toml::Value::Array(list)) => list.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect(),
        Some(toml::Value::String(text)) => text.split_whitespace().map(str::to_owned).collect(),
        Some(_) | None => Vec::new(),
    }
}

/// What one configuration names.
struct Found<'a> {
    /// Where the configuration lies.
    folder: &'a str,
    names: Vec<String>,
}

impl Found<'_> {
    fn name(&mut self, token: &str) {
        let token = token.trim_start_matches("<rootDir>/").trim_start_matches("./");
        if !self.folder.is_empty() {
            self.names.push(format!("{}/{token}", self.folder));
        }
        self.names.push(token.to_owned());
    }

    fn tokens(&mut self, text: &str) {
        let tokens = text.split(|c: char| c.is_whitespace() || "\"'`,;=()[]{}".contains(c));
        tokens.filter(|token| !token.is_empty()).for_each(|token| self.name(token));
    }

    /// Runners' tables, and scripts that run with the tests.
    fn package(&mut self, command: &str, text: &str) {
        let Ok(Value::Object(package)) = serde_json::from_str(text) else { return };
        for key in package::KEYS {
            if let Some(value) = package.get(key) {
                self.value(value, false);
            }
        }
        if let Some(scripts) = package.get("scripts").and_then(Value::as_object) {
            for name in package::steering(command, scripts, scripts) {
                let script = scripts.get(&name).and_then(Value::as_str);
                self.options(script.unwrap_or_default());
            }
        }
    }

    fn pyproject(&mut self, text: &str) {
        let Ok(table) = toml::from_str::<toml::Table>(text) else { return };
        for key in pyproject::keys(&[&table]) {
            let path: Vec<&str> = key.iter().map(String::as_str).collect();
            let value = tables::find(&table, &path).map(serde_json::to_value);
            if let Some(Ok(value)) = value {
                self.value(&value, false);
            }
        }
    }

    /// Strings below keys that load something, and options of commands in the others.
    fn value(&mut self, value: &Value, loads: bool) {
        match value {
            Value::Object(map) => self.map(map, loads),
            Value::Array(list) => {
                // Options may be a list of words.
                let words: Vec<&str> = list.iter().filter_map(Value::as_str).collect();
                if !loads && words.len() == list.len() {
                    return self.options(&words.join(" "));
                }
                list.iter().for_each(|value| self.value(value, loads));
            }
            Value::String(text) if loads => self.tokens(text),
            Value::String(text) => self.options(text),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }

    fn map(&mut self, map: &Map<String, Value>, loads: bool) {
        for (key, value) in map {
            self.value(value, loads || is_loading(key));
        }
    }

    /// Lines of an INI file, or of a command: keys that load something with the lines below them, and options that do.
    fn options(&mut self, text: &str) {
        let mut loads = false;
        for line in text.lines() {
            if line.starts_with('[') {
                loads = false;
                continue;
            }
            let (key, value) = line.split_once(['=', ':']).unwrap_or((line, ""));
            let is_key = !line.starts_with(char::is_whitespace) && !key.trim().contains([' ', '-', '/', '.']);
            if is_key {
                loads = !value.is_empty() && is_loading(key);
            }
            if loads {
                self.tokens(if is_key { value } else { line });
            }
            self.words(if is_key && !value.is_empty() { value } else { line });
        }
    }

    /// Options of a command that load what stands behind them. What they measure, ignore or select is not loaded.
    fn words(&mut self, line: &str) {
        let mut loads = false;
        for word in line.split_whitespace().map(|word| word.trim_matches(['"', '\'', ',', '[', ']'])) {
            let (option, value) = word.split_once('=').map_or((word, None), |(option, value)| (option, Some(value)));
            if let Some(attached) = word.strip_prefix("-p").filter(|rest| !rest.is_empty() && !word.starts_with("--")) {
                self.name(attached);
                loads = false;
            } else if word.starts_with('-') {
                loads = LOADERS.contains(&option) && option != "-m" || option.starts_with("--") && is_loading(option);
                if let Some(value) = value.filter(|_| std::mem::take(&mut loads)) {
                    self.name(&plain(value));
                }
            } else if std::mem::take(&mut loads) {
                self.name(&plain(word));
            }
        }
    }

    /// Code that runs before tests: its plugins, and what it takes from folders of tests. What else it imports is the code under test.
    fn python(&mut self, text: &str) {
        let mut closes: Option<&[char]> = None;
        let mut from: Option<String> = None;
        for line in text.lines() {
            let trimmed = line.trim();
            if trimmed.starts_with("pytest_plugins") {
                let ends: &[char] = if trimmed.contains(['[', '(']) { &[']', ')'] } else { &['"', '\''] };
                self.tokens(trimmed);
                closes = (!trimmed.contains(ends)).then_some(ends);
                continue;
            }
            if let Some(ends) = closes {
                self.tokens(trimmed);
                closes = (!trimmed.contains(ends)).then_some(ends);
                continue;
            }
            if let Some((module, names)) = trimmed.strip_prefix("from ").and_then(|rest| rest.split_once(" import ")) {
                let module = self.absolute(module.trim());
                self.of_tests(&module);
                self.members(&module, names);
                from = (names.contains('(') && !names.contains(')')).then_some(module);
            } else if let Some(module) = from.take() {
                self.members(&module, trimmed);
                from = (!trimmed.contains(')')).then_some(module);
            } else {
                let tokens = trimmed.split(|c: char| c.is_whitespace() || "\"'`,;=()[]{}".contains(c));
                tokens.for_each(|token| self.of_tests(token));
            }
        }
    }

    fn members(&mut self, module: &str, names: &str) {
        for name in names.split([',', '(', ')']).filter_map(|name| name.split_whitespace().next()) {
            self.of_tests(&format!("{module}.{name}"));
        }
    }

    /// A module as it is called from the top; one dot before its name is the package it stands in, each other one goes up.
    fn absolute(&self, module: &str) -> String {
        let name = module.trim_start_matches('.');
        let up = module.len() - name.len();
        if up == 0 {
            return module.to_owned();
        }
        let folders: Vec<&str> = self.folder.split('/').filter(|part| !part.is_empty()).collect();
        let mut parts = folders[..folders.len().saturating_sub(up - 1)].to_vec();
        parts.extend(name.split('.').filter(|part| !part.is_empty()));
        parts.join(".")
    }

    /// Takes a name that lies below a folder of tests, from the top or from where the configuration lies.
    fn of_tests(&mut self, token: &str) {
        let token = token.trim_start_matches("./");
        let beside = format!("{}/{token}", self.folder);
        for name in [token, beside.trim_start_matches('/')] {
            let is_path = name.contains('/') && language(name).is_some();
            let stem = if is_path { name.rsplit_once('.').map_or(name, |(stem, _)| stem) } else { name };
            let parts: Vec<&str> = stem.split(['/', '.']).collect();
            let is_below = parts.split_last().is_some_and(|(_, above)| above.iter().any(|part| is_test_folder(part)));
            if is_below && !parts.contains(&"") {
                self.names.push(name.to_owned());
            }
        }
    }

    /// Lines of other configurations, with lists that go on below the word they belong to.
    fn lines(&mut self, text: &str) {
        let mut before = String::new();
        for line in text.lines() {
            let lower = line.to_ascii_lowercase();
            if is_loading(&lower) || is_loading(&before) {
                self.tokens(line);
            }
            if lower.contains(['[', '=', ':']) || lower.trim().is_empty() || lower.trim_start().starts_with(']') {
                before = lower;
            }
        }
    }
}

fn is_loading(key: &str) -> bool {
    let lower = key.to_ascii_lowercase();
    WORDS.iter().any(|word| lower.contains(word))
}
