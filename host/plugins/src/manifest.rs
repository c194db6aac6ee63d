//! `plugin.toml`: what a plugin is, what it asks for, and the settings it understands.
//!
//! The manifest is a ceiling: a plugin never gets more than it asks for here, whatever policy says. Whether it gets that much is policy's.

use crate::{
    nearest::did_you_mean,
    settings::{self, Schema, Setting},
    world::contract::Contract,
};
use borg_core::tool::Tool;
use semver::Version;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_spanned::Spanned;
use std::{collections::BTreeMap, fmt};

/// Largest `plugin.toml` that is read, in bytes.
pub const MAX_MANIFEST_BYTES: u64 = 64 << 10;

/// What a plugin does; each kind is one world of `wit/worlds.wit`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Persona,
    Rule,
    Executor,
    Chat,
}

impl Kind {
    /// The word used in manifests and policy, and the name of the interface it exports.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Persona => "persona",
            Kind::Rule => "rule",
            Kind::Executor => "executor",
            Kind::Chat => "chat",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A checked `plugin.toml`.
#[derive(Clone, Debug, PartialEq)]
pub struct Manifest {
    /// Lower-case letters, digits and hyphens; must equal what `describe` says.
    pub name: String,
    pub kind: Kind,
    /// Version of `borg:plugin` it was built for.
    pub world: Version,
    /// The plugin's own version.
    pub version: Version,
    /// One line for people.
    pub summary: String,
    /// File name of the component, in the folder of the manifest.
    pub wasm: String,
    pub asks: Asks,
    pub settings: Schema,
}

/// `[asks]`: the most a plugin may get.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Asks {
    /// Personas: tools for their agents, by Claude Code's names.
    pub tools: Vec<String>,
    /// Personas: globs their agents may write, relative to the workspace.
    pub write: Vec<String>,
    /// Executors: agent bundle at `/opt/agent`, which `describe` must name too.
    pub bundle: Option<String>,
    /// All but rules: lines in the host's log.
    pub log: bool,
    /// Chats: the time of day.
    pub clock: bool,
}

/// One thing wrong with a manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Counted from 1; none where the fault is an absence.
    pub line: Option<u32>,
    /// What is wrong and what would be right.
    pub text: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct File {
    name: Spanned<String>,
    kind: Kind,
    world: Spanned<String>,
    version: Spanned<String>,
    summary: Spanned<String>,
    wasm: Option<Spanned<String>>,
    #[serde(default)]
    asks: Option<Spanned<Asks>>,
    #[serde(default)]
    settings: BTreeMap<String, Spanned<Setting>>,
}

impl Manifest {
    /// Parses and checks a manifest; all faults are told at once, but for syntax errors, of which TOML tells the first.
    pub fn parse(text: &str) -> Result<Manifest, Vec<Fault>> {
        let file: File = toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| line_of(text, span.start));
            vec![Fault { line, text: error.message().to_owned() }]
        })?;
        let mut faults = Faults { text, found: vec![] };

        let name = file.name.get_ref();
        if !is_name(name) {
            faults.at(
                &file.name,
                format!("`{name}` is no plugin name: use at most 64 of a-z, 0-9 and `-`, starting with a letter"),
            );
        }
        let world = faults.version(&file.world);
        if let Some(world) = &world
            && Contract::of(world).is_none()
        {
            let text = format!(
                "this host does not speak version {world} of `borg:plugin`; it speaks {}: build the plugin for one of these, or use another host",
                Contract::spoken()
            );
            faults.at(&file.world, text);
        }
        let version = faults.version(&file.version);
        let summary = file.summary.get_ref();
        if summary.trim().is_empty() || summary.contains('\n') || summary.chars().count() > 200 {
            faults.at(&file.summary, "`summary` must be one line of 1 to 200 characters".to_owned());
        }
        let wasm = match &file.wasm {
            Some(wasm) => {
                if wasm.get_ref().contains(['/', '\\', '\0']) || !wasm.get_ref().ends_with(".wasm") {
                    let text = "`wasm` must be the name of a `.wasm` file in the folder of this manifest";
                    faults.at(wasm, text.to_owned());
                }
                wasm.get_ref().clone()
            }
            None => format!("{name}.wasm"),
        };
        if let Some(asks) = &file.asks {
            for text in asks.get_ref().faults(file.kind) {
                faults.at(asks, text);
            }
        }
        for (key, setting) in &file.settings {
            for text in setting.get_ref().faults(key) {
                faults.at(setting, text);
            }
        }

        match (world, version, faults.found) {
            (Some(world), Some(version), found) if found.is_empty() => Ok(Manifest {
                name: file.name.into_inner(),
                kind: file.kind,
                world,
                version,
                summary: file.summary.into_inner(),
                wasm,
                asks: file.asks.map(Spanned::into_inner).unwrap_or_default(),
                settings: file.settings.into_iter().map(|(key, setting)| (key, setting.into_inner())).collect(),
            }),
            (_, _, found) => Err(found),
        }
    }
}

impl Manifest {
    /// Checks policy's `[KIND.NAME.settings]` against the plugin's schema and fills in the defaults.
    ///
    /// `given` is an object, or null for none. All faults are told, each naming the key.
    pub fn validate_settings(&self, given: &Value) -> Result<Value, Vec<String>> {
        settings::validate(&self.settings, &format!("{} `{}`", self.kind, self.name), given)
    }
}

impl Asks {
    /// What a plugin of this kind cannot ask for.
    fn faults(&self, kind: Kind) -> Vec<String> {
        let only = |whose: &str, what: &str| format!("a {kind} cannot ask for `{what}`: only {whose} can; remove it");
        let mut faults = vec![];
        if kind != Kind::Persona && !self.tools.is_empty() {
            faults.push(only("personas", "tools"));
        }
        if kind != Kind::Persona && !self.write.is_empty() {
            faults.push(only("personas", "write"));
        }
        if kind != Kind::Executor && self.bundle.is_some() {
            faults.push(only("executors", "bundle"));
        }
        if kind == Kind::Rule && self.log {
            faults.push(only("personas, executors and chats", "log"));
        }
        if kind != Kind::Chat && self.clock {
            faults.push(only("chats", "clock"));
        }
        let tools = Tool::names();
        for tool in self.tools.iter().filter(|tool| !tools.contains(&tool.as_str())) {
            faults.push(format!("`{tool}` is no tool{}; there are {}", did_you_mean(tool, tools), tools.join(", ")));
        }
        faults
    }
}

struct Faults<'a> {
    text: &'a str,
    found: Vec<Fault>,
}

impl Faults<'_> {
    fn at<T>(&mut self, place: &Spanned<T>, text: String) {
        self.found.push(Fault { line: Some(line_of(self.text, place.span().start)), text });
    }

    fn version(&mut self, value: &Spanned<String>) -> Option<Version> {
        let parsed = Version::parse(value.get_ref());
        if parsed.is_err() {
            self.at(value, format!("`{}` is no version of three numbers such as `0.1.0`", value.get_ref()));
        }
        parsed.ok()
    }
}

fn line_of(text: &str, offset: usize) -> u32 {
    let newlines = text.bytes().take(offset).filter(|byte| *byte == b'\n').count();
    u32::try_from(newlines).map_or(u32::MAX, |lines| lines.saturating_add(1))
}

fn is_name(name: &str) -> bool {
    name.len() <= 64
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
name = "worker"
kind = "persona"
world = "0.2.0"
version = "1.2.3"
summary = "implements"

[asks]
tools = ["Read", "Bash"]
write = ["**"]
log = true

[settings.tone]
type = "string"
default = "terse"
one-of = ["terse", "warm"]
doc = "How it speaks."
"#;

    fn faults(text: &str) -> Vec<(Option<u32>, String)> {
        Manifest::parse(text).unwrap_err().into_iter().map(|fault| (fault.line, fault.text)).collect()
    }

    #[test]
    fn a_good_manifest_has_its_defaults() {
        let manifest = Manifest::parse(GOOD).unwrap();
        assert_eq!((manifest.name.as_str(), manifest.kind), ("worker", Kind::Persona));
        assert_eq!(manifest.wasm, "worker.wasm");
        assert!(manifest.asks.log && !manifest.asks.clock);
        assert_eq!(manifest.settings.len(), 1);
    }

    #[test]
    fn each_fault_is_told_with_its_line() {
        for (from, to, line, words) in [
            ("name = \"worker\"", "name = \"../worker\"", 2, "no plugin name"),
            ("name = \"worker\"", "nmae = \"worker\"", 2, "unknown field `nmae`"),
            ("kind = \"persona\"", "kind = \"person\"", 3, "unknown variant `person`"),
            (
                "world = \"0.2.0\"",
                "world = \"0.3.0\"",
                4,
                "does not speak version 0.3.0 of `borg:plugin`; it speaks 0.1.0, 0.2.0:",
            ),
            ("version = \"1.2.3\"", "version = \"1.2\"", 5, "no version"),
            ("summary = \"implements\"", "summary = \"\"", 6, "1 to 200 characters"),
            ("summary = \"implements\"", "summary = \"x\"\nwasm = \"../x.wasm\"", 7, "in the folder"),
            ("summary = \"implements\"", "summary = \"x\"\nwasm = \"x.so\"", 7, "in the folder"),
            ("\"Bash\"", "\"Bsah\"", 8, "did you mean `Bash`?"),
            ("log = true", "clock = true", 8, "a persona cannot ask for `clock`: only chats can"),
            ("log = true", "network = true", 11, "unknown field `network`"),
            ("\"terse\"\none-of", "\"curt\"\none-of", 13, "default"),
            ("kind = \"persona\"", "kind = \"rule\"", 8, "a rule cannot ask for `log`"),
        ] {
            let text = GOOD.replacen(from, to, 1);
            let found = faults(&text);
            assert!(
                found.iter().any(|(at, text)| *at == Some(line) && text.contains(words)),
                "{to:?} should fail at line {line} with {words:?}: {found:?}"
            );
        }
    }

    #[test]
    fn a_missing_field_is_named() {
        for field in ["name", "kind", "world", "version", "summary"] {
            let text: String = GOOD.lines().filter(|line| !line.starts_with(field)).map(|l| format!("{l}\n")).collect();
            let found = faults(&text);
            assert!(found[0].1.contains(&format!("missing field `{field}`")), "{found:?}");
        }
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let text = GOOD.replace("0.2.0", "9.0.0").replace("\"worker\"", "\"W\"").replace("\"Bash\"", "\"Nope\"");
        assert_eq!(faults(&text).len(), 3);
    }
}
