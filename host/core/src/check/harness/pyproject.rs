//! `pyproject.toml`: which of its keys steer a runner.

use super::{
    manifest::{Edit, Sides},
    tables::{Text, find, plain},
};

/// Tables that runners and those who call them read. What stands beside them (`project`, `build-system`, `dependency-groups`, the
/// tables of builders and formatters) the build needs.
const KEYS: [&[&str]; 19] = [
    &["tool", "pytest"],
    &["tool", "pytest-enabler"],
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

pub(super) fn merge(sides: &Sides<'_>) -> Edit {
    let (base, mut head) = (Text::read(sides.base)?, Text::read(sides.head)?);
    let changed: Vec<&[&str]> = KEYS.into_iter().filter(|key| !base.agrees(&head, key)).collect();
    if changed.is_empty() {
        return Ok(None);
    }
    for key in &changed {
        head.take(&base, key)?;
    }
    let text = head.doc.to_string();
    let made = plain(&text)?;
    if KEYS.iter().any(|key| find(&made, key) != find(&base.plain, key)) {
        return Err("its keys cannot be taken apart".into());
    }
    Ok(Some((text, changed.iter().map(|key| key.join(".")).collect())))
}
