//! `pyproject.toml`: which of its keys steer a runner.

use super::tables::{Text, find, plain};
use crate::check::harness::sides::{Edit, Sides};
use std::collections::BTreeSet;

/// Tables, beside all of `tool.pytest*`, that runners and those who call them read. What stands beside them (`project`, `build-system`, `dependency-groups`, the
/// tables of builders and formatters) the build needs.
const KEYS: [&[&str]; 17] = [
    &["tool", "tox"],
    &["tool", "coverage"],
    &["tool", "nox"],
    &["tool", "nose"],
    &["tool", "nose2"],
    &["tool", "ward"],
    &["tool", "poe"],
    &["tool", "taskipy"],
    &["tool", "hatch", "envs"],
    &["tool", "pdm", "scripts"],
    &["tool", "rye", "scripts"],
    &["tool", "pixi", "tasks"],
    // Names of modules that pytest loads as plugins.
    &["project", "entry-points", "pytest11"],
    &["tool", "poetry", "plugins", "pytest11"],
    &["tool", "setuptools", "entry-points", "pytest11"],
    &["tool", "flit", "entrypoints", "pytest11"],
    &["tool", "pdm", "entry-points", "pytest11"],
];

/// Keys that steer a runner in any of these texts; plugins of pytest are configured beside it (`tool.pytest_env`).
pub(super) fn keys(texts: &[&toml::Table]) -> Vec<Vec<String>> {
    let tools = texts.iter().filter_map(|text| text.get("tool")?.as_table()).flat_map(toml::Table::keys);
    let own: BTreeSet<&String> = tools.filter(|name| is_pytest(name)).collect();
    let own = own.into_iter().map(|name| vec!["tool".to_owned(), name.clone()]);
    own.chain(KEYS.into_iter().map(|key| key.iter().map(|part| (*part).to_owned()).collect())).collect()
}

/// True for the tables of `tool` that pytest and its plugins read.
pub(super) fn is_pytest(name: &str) -> bool {
    name.to_ascii_lowercase().starts_with("pytest")
}

pub(super) fn merge(sides: &Sides<'_>) -> Edit {
    let (base, mut head) = (Text::read(sides.base)?, Text::read(sides.head)?);
    let keys = keys(&[&base.plain, &head.plain]);
    let keys: Vec<Vec<&str>> = keys.iter().map(|key| key.iter().map(String::as_str).collect()).collect();
    let changed: Vec<&Vec<&str>> = keys.iter().filter(|key| !base.agrees(&head, key)).collect();
    if changed.is_empty() {
        return Ok(None);
    }
    for key in &changed {
        head.take(&base, key)?;
    }
    let text = head.doc.to_string();
    let made = plain(&text)?;
    if keys.iter().any(|key| find(&made, key) != find(&base.plain, key)) {
        return Err("its keys cannot be taken apart".into());
    }
    Ok(Some((text, changed.iter().map(|key| key.join(".")).collect())))
}
