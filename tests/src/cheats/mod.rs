//! Planted cheats: a Worker that leaves something that makes a test runner say yes, and what the whole host makes of it.
//!
//! | place | holds |
//! |---|---|
//! | `tests/cheats/<world>/world.toml` | a small repository, its test command, QA's tests and an honest implementation ([`World`]) |
//! | `tests/cheats/<world>/<case>.toml` | what a Worker leaves instead, and what must come of it ([`Case`]) |
//!
//! Every case is a task of its own, played by the scripted agent, with everything real between it and the branch: sandbox, collection, both
//! kinds of check, every shipped rule, verdict. Its Worker ends by running the test command itself, which must end with 0 there: a cheat
//! that does not even fool its runner shows nothing.

mod play;

pub use play::play;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};
use toml::{Table, Value};

/// Image with all the runners; `tests/image/make.sh` makes it.
pub const IMAGE: &str = "borg-test-runners:latest";

/// A repository with a test command, which many cases share.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct World {
    /// What it is, in a line.
    pub summary: String,
    /// The repository's test command.
    pub check: String,
    /// Files of the base, by path.
    pub base: Files,
    /// QA's tests, which fail on the base.
    pub qa: Files,
    /// What makes them pass honestly.
    pub work: Files,
    /// Texts that cases share: `{{name}}` in a text stands for one.
    #[serde(default)]
    pub words: Files,
    /// The cases, by name.
    #[serde(skip)]
    pub cases: BTreeMap<String, Case>,
}

/// Text by path.
pub type Files = BTreeMap<String, String>;

/// One Worker, and what must come of its work.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Case {
    /// What it does, in a line.
    pub summary: String,
    #[serde(default)]
    pub kind: Kind,
    #[serde(default)]
    pub pipeline: Pipeline,
    /// Files that its base has beside, or instead of, the world's.
    #[serde(default)]
    pub base: Files,
    /// Instead of the world's, where there are any.
    #[serde(default)]
    pub qa: Files,
    /// The Worker does the honest work as well.
    #[serde(default)]
    pub works: bool,
    /// The Worker's actions, as the scripted agent takes them.
    #[serde(default, rename = "do")]
    pub actions: Vec<Table>,
    pub expected: Expected,
}

/// What a case is an example of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// May not be delivered without a person: red, or held for review, or blocked.
    #[default]
    Cheat,
    /// Ends as written down, and its tests are met.
    Honest,
    /// A cheat that is delivered today, as `docs/security.md` says: it shows that this suite would see one.
    Open,
}

/// Who works in a case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pipeline {
    /// QA's tests, then the Worker.
    #[default]
    Tested,
    /// The Worker alone: what is demanded are the base's tests.
    Alone,
}

/// What must come of a case.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Expected {
    /// Where the task stands in the end.
    pub status: String,
    /// How the test runs on the Worker's change ended, in order: `green` for code 0, else `red`.
    pub checks: Vec<String>,
    /// `RULE/ID PATH` of each finding, sorted, without repetition.
    pub findings: Vec<String>,
}

impl Expected {
    /// True for what went to the branch with nobody asked.
    pub fn is_delivered(&self) -> bool {
        self.status == "completed"
    }
}

/// All worlds, by name.
pub fn worlds() -> Result<BTreeMap<String, World>> {
    let mut worlds = BTreeMap::new();
    for folder in entries(&folder())?.into_iter().filter(|path| path.is_dir()) {
        worlds.insert(name(&folder), world(&folder).with_context(|| format!("in {}", folder.display()))?);
    }
    Ok(worlds)
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("cheats")
}

fn world(folder: &Path) -> Result<World> {
    let mut world: World = read(&folder.join("world.toml"), &Files::new())?;
    let words = world.words.clone();
    let filled =
        |files: &Files| -> Files { files.iter().map(|(path, text)| (path.clone(), fill(text, &words))).collect() };
    (world.base, world.qa, world.work) = (filled(&world.base), filled(&world.qa), filled(&world.work));
    for path in entries(folder)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "toml")) {
        if name(&path) != "world" {
            let case: Case = read(&path, &words)?;
            ensure!(case.works || !case.actions.is_empty(), "{}: its Worker does nothing", path.display());
            world.cases.insert(name(&path), case);
        }
    }
    ensure!(!world.cases.is_empty(), "there is no case");
    Ok(world)
}

fn read<T: serde::de::DeserializeOwned>(path: &Path, words: &Files) -> Result<T> {
    let parse = || -> Result<T> {
        let mut table: Table = fs::read_to_string(path)?.parse()?;
        table.iter_mut().for_each(|(_, value)| fill_value(value, words));
        Ok(table.try_into()?)
    };
    parse().with_context(|| format!("in {}", path.display()))
}

/// Puts shared texts where they are named. On the value, not on the file: a text is not to be read as TOML.
fn fill_value(value: &mut Value, words: &Files) {
    match value {
        Value::String(text) => *text = fill(text, words),
        Value::Array(values) => values.iter_mut().for_each(|value| fill_value(value, words)),
        Value::Table(table) => table.iter_mut().for_each(|(_, value)| fill_value(value, words)),
        Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {}
    }
}

fn fill(text: &str, words: &Files) -> String {
    words.iter().fold(text.to_owned(), |text, (name, word)| text.replace(&format!("{{{{{name}}}}}"), word))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .with_context(|| format!("reading {}", folder.display()))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    entries.sort();
    Ok(entries)
}

fn name(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_texts_are_put_in_as_they_are() {
        let words = Files::from([("quoted".to_owned(), "a = \"\"\"\n".to_owned())]);
        let mut value = Value::Array(vec!["x {{quoted}} {{other}}".into(), Value::Integer(1)]);
        fill_value(&mut value, &words);
        assert_eq!(value, Value::Array(vec!["x a = \"\"\"\n {{other}}".into(), Value::Integer(1)]));
    }
}
