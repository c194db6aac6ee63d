//! The transport's own JSON, read leniently: every field may be missing or of another type, and what nobody asks for is skipped, not
//! built. However large, deep or wrong it is, it costs a few times its size and never a trap.

use serde::Deserialize;
use serde_json::value::RawValue;
use std::{borrow::Cow, collections::BTreeMap};

/// Entities looked at; Telegram sends at most 100.
const ENTITIES: usize = 200;

/// An object of which only what is asked for is ever parsed.
#[derive(Default, Deserialize)]
#[serde(transparent)]
pub struct Fields<'a>(#[serde(borrow)] BTreeMap<Cow<'a, str>, &'a RawValue>);

/// A mark in a text, in UTF-16 code units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entity {
    pub kind: String,
    pub offset: usize,
    pub length: usize,
    /// User name of who is meant, where the text does not say it.
    pub user: Option<String>,
}

impl<'a> Fields<'a> {
    /// Nothing at all where this is no object.
    pub fn of(json: &'a str) -> Self {
        serde_json::from_str(json).unwrap_or_default()
    }

    /// There, and not null.
    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub fn object(&self, key: &str) -> Fields<'a> {
        self.get(key).map(Fields::of).unwrap_or_default()
    }

    pub fn text(&self, key: &str) -> Option<String> {
        serde_json::from_str(self.get(key)?).ok()
    }

    pub fn is_true(&self, key: &str) -> bool {
        self.get(key) == Some("true")
    }

    /// The first so many entities that can be read.
    pub fn entities(&self, key: &str) -> Vec<Entity> {
        let list: Vec<&RawValue> = self.get(key).and_then(|json| serde_json::from_str(json).ok()).unwrap_or_default();
        let entity = |json: &&'a RawValue| {
            let fields = Fields::of(json.get());
            Some(Entity {
                kind: fields.text("type")?,
                offset: fields.number("offset")?,
                length: fields.number("length")?,
                user: fields.object("user").text("username"),
            })
        };
        list.iter().take(ENTITIES).filter_map(entity).collect()
    }

    fn number(&self, key: &str) -> Option<usize> {
        serde_json::from_str::<u32>(self.get(key)?).ok()?.try_into().ok()
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.0.get(key).map(|value| value.get()).filter(|json| *json != "null")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_absent_and_hinders_nothing_else() {
        let json =
            r#"{"a": {"b": "\ud83d\ude00"}, "lone": "\ud800", "n": null, "t": true, "list": [1], "a1": {"b": 7}}"#;
        let fields = Fields::of(json);
        assert_eq!(fields.object("a").text("b").as_deref(), Some("😀"));
        assert_eq!((fields.text("lone"), fields.object("a1").text("b")), (None, None));
        assert!(fields.is_true("t") && fields.has("lone") && !fields.has("n") && !fields.has("x"));
        assert!(!fields.object("list").has("0"));
        for broken in ["", "7", "[]", "{", r#"{"a": }"#, "\u{0}", "null"] {
            assert!(!Fields::of(broken).has("a"), "{broken}");
        }
    }

    #[test]
    fn depth_and_numbers_bring_nothing_down() {
        let deep = format!(r#"{{"x": {}{}, "a": true}}"#, "[".repeat(300_000), "]".repeat(300_000));
        assert!(Fields::of(&deep).is_true("a"));
        let many =
            format!(r#"{{"entities": [{}{{"type": "code", "offset": 1, "length": 2}}]}}"#, "{},".repeat(300_000));
        assert_eq!(Fields::of(&many).entities("entities"), []);
        for offset in ["-1", "1e99", "99999999999999999999", "\"0\"", "1.5"] {
            let json = format!(r#"{{"e": [{{"type": "mention", "offset": {offset}, "length": 1}}]}}"#);
            assert_eq!(Fields::of(&json).entities("e"), [], "{offset}");
        }
    }
}
