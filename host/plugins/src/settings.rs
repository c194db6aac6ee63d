//! Settings a plugin understands (`[settings.KEY]` of its manifest), and the check of policy's values against them.
//!
//! ```toml
//! [settings.max-questions]
//! type = "integer"          # or "string", "boolean", "strings"
//! default = 3
//! min = 0                   # integers only
//! max = 10
//! doc = "How many questions the spec may leave open."
//! ```
//!
//! `one-of` lists the values allowed; for `strings` it holds for each element.

use crate::nearest::did_you_mean;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::{collections::BTreeMap, fmt};

/// All settings of a plugin, by key.
pub type Schema = BTreeMap<String, Setting>;

/// What kind of value a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SettingType {
    String,
    /// 64-bit, signed.
    Integer,
    Boolean,
    /// A list of strings.
    Strings,
}

impl fmt::Display for SettingType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SettingType::String => "a string",
            SettingType::Integer => "an integer",
            SettingType::Boolean => "true or false",
            SettingType::Strings => "a list of strings",
        })
    }
}

/// One setting.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Setting {
    #[serde(rename = "type")]
    pub kind: SettingType,
    /// Given to the plugin when policy says nothing.
    pub default: Value,
    /// One sentence for the person who edits policy.
    pub doc: String,
    pub min: Option<i64>,
    pub max: Option<i64>,
    /// Values allowed; empty allows all.
    #[serde(default)]
    pub one_of: Vec<Value>,
}

impl Setting {
    /// What is wrong with the setting itself.
    pub(crate) fn faults(&self, key: &str) -> Vec<String> {
        let mut faults = vec![];
        if (self.min.is_some() || self.max.is_some()) && self.kind != SettingType::Integer {
            faults.push(format!("setting `{key}` is {}: `min` and `max` are for integers; remove them", self.kind));
        }
        if self.kind == SettingType::Boolean && !self.one_of.is_empty() {
            faults.push(format!("setting `{key}` is true or false: remove `one-of`"));
        }
        if self.doc.trim().is_empty() {
            faults.push(format!("setting `{key}` needs one sentence of `doc`"));
        }
        let element = if self.kind == SettingType::Strings { SettingType::String } else { self.kind };
        for value in self.one_of.iter().filter(|value| !element.fits(value)) {
            faults.push(format!("setting `{key}`: {value} in `one-of` is not {element}"));
        }
        if let Err(why) = self.check(&self.default) {
            faults.push(format!("the default of setting `{key}` is wrong: {why}"));
        }
        faults
    }

    /// Whether a value is one the plugin can be given, or why not.
    fn check(&self, value: &Value) -> Result<(), String> {
        if !self.kind.fits(value) {
            return Err(format!("{value} is not {}", self.kind));
        }
        if let Some(number) = value.as_i64() {
            if let Some(min) = self.min.filter(|min| number < *min) {
                return Err(format!("{number} is less than {min}"));
            }
            if let Some(max) = self.max.filter(|max| number > *max) {
                return Err(format!("{number} is more than {max}"));
            }
        }
        let elements = value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice);
        match elements.iter().find(|element| !self.one_of.is_empty() && !self.one_of.contains(element)) {
            Some(element) => {
                let allowed = self.one_of.iter().map(Value::to_string).collect::<Vec<_>>().join(", ");
                let words = self.one_of.iter().filter_map(Value::as_str);
                let hint = element.as_str().map(|word| did_you_mean(word, words)).unwrap_or_default();
                Err(format!("{element} is not one of {allowed}{hint}"))
            }
            None => Ok(()),
        }
    }
}

impl SettingType {
    fn fits(self, value: &Value) -> bool {
        match self {
            SettingType::String => value.is_string(),
            SettingType::Integer => value.is_i64(),
            SettingType::Boolean => value.is_boolean(),
            SettingType::Strings => value.as_array().is_some_and(|list| list.iter().all(Value::is_string)),
        }
    }
}

/// Checks settings of a plugin, by which name faults are told, against its schema; see [`crate::Manifest::validate_settings`].
pub(crate) fn validate(schema: &Schema, plugin: &str, given: &Value) -> Result<Value, Vec<String>> {
    let nothing = Map::new();
    let given = match given {
        Value::Null => &nothing,
        Value::Object(given) => given,
        other => return Err(vec![format!("settings must be a table, not {other}")]),
    };
    let known = || schema.keys().map(String::as_str);
    let mut faults = vec![];
    for (key, value) in given {
        match schema.get(key) {
            Some(setting) => {
                faults.extend(setting.check(value).err().map(|why| format!("setting `{key}` of {plugin}: {why}")))
            }
            None => {
                let all = known().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
                let all = if all.is_empty() { "it has none".to_owned() } else { format!("it has {all}") };
                faults.push(format!("{plugin} has no setting `{key}`{}; {all}", did_you_mean(key, known())));
            }
        }
    }
    if !faults.is_empty() {
        return Err(faults);
    }
    let value = |(key, setting): (&String, &Setting)| (key.clone(), given.get(key).unwrap_or(&setting.default).clone());
    Ok(Value::Object(schema.iter().map(value).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Manifest;
    use serde_json::json;

    fn manifest() -> Manifest {
        Manifest::parse(
            r#"
            name = "asker"
            kind = "persona"
            world = "0.1.0"
            version = "0.1.0"
            summary = "asks"
            settings.max.type = "integer"
            settings.max.default = 3
            settings.max.min = 0
            settings.max.max = 10
            settings.max.doc = "How many."
            settings.tone.type = "string"
            settings.tone.default = "terse"
            settings.tone.one-of = ["terse", "warm"]
            settings.tone.doc = "How."
            settings.loud.type = "boolean"
            settings.loud.default = false
            settings.loud.doc = "Whether."
            settings.langs.type = "strings"
            settings.langs.default = []
            settings.langs.one-of = ["rust", "python"]
            settings.langs.doc = "Which."
            "#,
        )
        .unwrap()
    }

    #[test]
    fn defaults_fill_what_policy_leaves_out() {
        let all = json!({"langs": [], "loud": false, "max": 3, "tone": "terse"});
        assert_eq!(manifest().validate_settings(&Value::Null), Ok(all.clone()));
        assert_eq!(manifest().validate_settings(&json!({})), Ok(all));
        let given = json!({"max": 10, "tone": "warm", "loud": true, "langs": ["rust"]});
        assert_eq!(manifest().validate_settings(&given), Ok(given));
    }

    #[test]
    fn wrong_values_are_told_by_key() {
        for (given, words) in [
            (json!({"max": 11}), "setting `max` of persona `asker`: 11 is more than 10"),
            (json!({"max": -1}), "-1 is less than 0"),
            (json!({"max": "3"}), "is not an integer"),
            (json!({"max": 1.5}), "is not an integer"),
            (json!({"tone": "wram"}), "did you mean `warm`?"),
            (json!({"loud": 1}), "is not true or false"),
            (json!({"langs": "rust"}), "is not a list of strings"),
            (json!({"langs": ["rust", "cobol"]}), "\"cobol\" is not one of \"rust\", \"python\""),
            (json!({"toen": "warm"}), "has no setting `toen`; did you mean `tone`?"),
            (json!([1]), "must be a table"),
        ] {
            let faults = manifest().validate_settings(&given).unwrap_err();
            assert!(faults[0].contains(words), "{given}: {faults:?}");
        }
        assert_eq!(manifest().validate_settings(&json!({"max": 11, "loud": 0, "x": 1})).unwrap_err().len(), 3);
    }

    #[test]
    fn a_broken_schema_is_refused() {
        for (line, words) in [
            ("settings.a = { type = \"boolean\", default = true, min = 1, doc = \"x\" }", "for integers"),
            ("settings.a = { type = \"integer\", default = true, doc = \"x\" }", "true is not an integer"),
            ("settings.a = { type = \"integer\", default = 5, max = 4, doc = \"x\" }", "5 is more than 4"),
            ("settings.a = { type = \"integer\", default = 5, doc = \"\" }", "one sentence"),
            ("settings.a = { type = \"integer\", doc = \"x\" }", "missing field `default`"),
            (
                "settings.a = { type = \"strings\", default = [], one-of = [1], doc = \"x\" }",
                "1 in `one-of` is not a string",
            ),
            ("settings.a = { type = \"float\", default = 1.0, doc = \"x\" }", "unknown variant `float`"),
        ] {
            let text = format!("name='a'\nkind='rule'\nworld='0.1.0'\nversion='0.1.0'\nsummary='s'\n{line}");
            let faults = Manifest::parse(&text).unwrap_err();
            assert!(faults.iter().any(|fault| fault.text.contains(words)), "{line}: {faults:?}");
        }
    }
}
