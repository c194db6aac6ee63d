//! Reads one table of policy, or of another file in its manner, value by value: wrong types, impossible values and unknown keys become diagnostics, never a panic or a default.

use super::source::{Diagnostic, SourceFile, nearest};
use crate::{budget::MicroUsd, grant::whole_folder};
use std::ops::Range;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

/// A table being read. [`Section::finish`] reports the keys nobody asked for.
pub(crate) struct Section<'a> {
    pub(crate) file: &'a SourceFile,
    /// As written in the file, such as `[persona.worker]`.
    pub(crate) path: String,
    pub(crate) span: Range<usize>,
    table: &'a DeTable<'a>,
    asked: Vec<&'static str>,
    pub(crate) out: &'a mut Vec<Diagnostic>,
}

impl<'a> Section<'a> {
    pub(crate) fn new(
        file: &'a SourceFile,
        path: String,
        value: &'a Spanned<DeValue<'a>>,
        out: &'a mut Vec<Diagnostic>,
    ) -> Option<Self> {
        match value.get_ref().as_table() {
            Some(table) => Some(Section { file, path, span: value.span(), table, asked: Vec::new(), out }),
            None => {
                out.push(file.diagnostic(
                    value.span(),
                    format!("{path} must be a table"),
                    format!("write it as `{path}`"),
                ));
                None
            }
        }
    }

    /// A whole file, whose keys stand in no table.
    pub(crate) fn whole(file: &'a SourceFile, table: &'a DeTable<'a>, out: &'a mut Vec<Diagnostic>) -> Self {
        Section { file, path: String::new(), span: 0..0, table, asked: Vec::new(), out }
    }

    /// True where the key is there, whatever its value.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.iter().any(|(name, _)| name.get_ref() == key)
    }

    pub(crate) fn raw(&mut self, key: &'static str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.asked.push(key);
        self.table.iter().find(|(name, _)| name.get_ref() == key).map(|(_, value)| value)
    }

    /// Where a key's value stands; the whole table when it is absent.
    pub(crate) fn span_of(&self, key: &str) -> Range<usize> {
        self.table.iter().find(|(name, _)| name.get_ref() == key).map_or(self.span.clone(), |(_, value)| value.span())
    }

    pub(crate) fn wrong(&mut self, span: Range<usize>, message: String, hint: impl Into<String>) {
        let diagnostic = self.file.diagnostic(span, self.told(&message), hint);
        self.out.push(diagnostic);
    }

    /// A message with the table it is about.
    fn told(&self, message: &str) -> String {
        if self.path.is_empty() { message.to_owned() } else { format!("{}: {message}", self.path) }
    }

    pub(crate) fn string(&mut self, key: &'static str) -> Option<String> {
        let value = self.raw(key)?;
        match value.get_ref().as_str() {
            Some(text) if !text.trim().is_empty() => Some(text.to_owned()),
            Some(_) => {
                self.wrong(value.span(), format!("`{key}` is empty"), "leave the line out, or give it a value");
                None
            }
            None => {
                self.wrong(value.span(), format!("`{key}` must be a string"), format!("write {key} = \"…\""));
                None
            }
        }
    }

    pub(crate) fn needed(&mut self, key: &'static str, example: &str) -> Option<String> {
        if self.raw(key).is_none() {
            self.wrong(self.span.clone(), format!("`{key}` is missing"), format!("add `{key} = {example}`"));
            return None;
        }
        self.string(key)
    }

    pub(crate) fn strings(&mut self, key: &'static str) -> Vec<(String, Range<usize>)> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        let Some(items) = value.get_ref().as_array() else {
            self.wrong(value.span(), format!("`{key}` must be a list of strings"), format!("write {key} = [\"…\"]"));
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in items.iter() {
            match item.get_ref().as_str() {
                Some(text) if !text.is_empty() => out.push((text.to_owned(), item.span())),
                Some(_) | None => self.wrong(
                    item.span(),
                    format!("`{key}` holds something that is not a word"),
                    "write strings in quotes",
                ),
            }
        }
        out
    }

    /// A list of lists of words, each with its place.
    pub(crate) fn groups(&mut self, key: &'static str) -> Vec<Vec<(String, Range<usize>)>> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        let words = |item: &'a Spanned<DeValue<'a>>| {
            let words = item.get_ref().as_array()?.iter();
            words.map(|word| Some((word.get_ref().as_str()?.to_owned(), word.span()))).collect::<Option<Vec<_>>>()
        };
        let groups = value.get_ref().as_array().and_then(|items| items.iter().map(words).collect::<Option<Vec<_>>>());
        groups.unwrap_or_else(|| {
            self.wrong(
                value.span(),
                format!("`{key}` must be a list of lists of strings"),
                format!("write {key} = [[\"…\", \"…\"]]"),
            );
            Vec::new()
        })
    }

    /// A list of directories of this machine: absolute, and no more than names.
    pub(crate) fn folders(&mut self, key: &'static str) -> Vec<String> {
        let mut out = Vec::new();
        for (path, span) in self.strings(key) {
            let plain = path.len() > 1
                && path
                    .strip_prefix('/')
                    .is_some_and(|rest| !rest.split('/').any(|part| matches!(part, "" | "." | "..")));
            if plain {
                out.push(path);
            } else {
                let hint = "write where it is from the root on, as in \"/home/me/.rustup/toolchains/stable\"";
                self.wrong(span, format!("`{path}` is no directory of this machine"), hint);
            }
        }
        out
    }

    /// A list of globs, relative to a repository's root; a folder stands for all below it.
    pub(crate) fn globs(&mut self, key: &'static str) -> Vec<String> {
        let globs = self.strings(key);
        self.checked(globs)
    }

    /// The same, and with `stage:NAME` the names of stages.
    pub(crate) fn globs_and_stages(&mut self, key: &'static str) -> (Vec<String>, Vec<(String, Range<usize>)>) {
        let (mut stages, mut globs) = (Vec::new(), Vec::new());
        for (glob, span) in self.strings(key) {
            match glob.strip_prefix("stage:") {
                Some(stage) => stages.push((stage.to_owned(), span)),
                None => globs.push((glob, span)),
            }
        }
        (self.checked(globs), stages)
    }

    fn checked(&mut self, globs: Vec<(String, Range<usize>)>) -> Vec<String> {
        let mut out = Vec::new();
        for (glob, span) in globs {
            let path = whole_folder(&glob);
            if glob.starts_with("stage:") {
                self.wrong(span, format!("`{glob}` is no pattern"), "stages are for `protect`");
            } else if path.starts_with('/') || path.split('/').any(|part| part == "..") {
                self.wrong(
                    span,
                    format!("`{glob}` leaves the repository"),
                    "patterns are relative to the repository's root",
                );
            } else if let Err(error) = globset::Glob::new(&path) {
                self.wrong(
                    span,
                    format!("`{glob}` is no pattern: {}", error.kind()),
                    "see `policies/README.md` for the form of patterns",
                );
            } else {
                out.push(path);
            }
        }
        out
    }

    pub(crate) fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(value) = self.raw(key) else { return default };
        value.get_ref().as_bool().unwrap_or_else(|| {
            self.wrong(value.span(), format!("`{key}` must be true or false"), "");
            default
        })
    }

    pub(crate) fn optional_flag(&mut self, key: &'static str) -> Option<bool> {
        self.raw(key)?;
        Some(self.flag(key, false))
    }

    pub(crate) fn number(&mut self, key: &'static str, allowed: Range<u64>, default: u64) -> u64 {
        let Some(value) = self.raw(key) else { return default };
        let number = value.get_ref().as_integer().and_then(|n| u64::from_str_radix(n.as_str(), n.radix()).ok());
        match number {
            Some(number) if allowed.contains(&number) => number,
            Some(_) | None => {
                let text = format!("`{key}` must be a whole number from {} to {}", allowed.start, allowed.end - 1);
                self.wrong(value.span(), text, "");
                default
            }
        }
    }

    /// `"512MiB"`, `"1GiB"`, `"100kB"`; in bytes.
    pub(crate) fn size(&mut self, key: &'static str, default: u64) -> u64 {
        self.measure(key, default, "a size such as \"512MiB\" or \"4GiB\"", |text| {
            measure(
                text,
                &[
                    ("TiB", 1 << 40),
                    ("GiB", 1 << 30),
                    ("MiB", 1 << 20),
                    ("KiB", 1 << 10),
                    ("GB", 1_000_000_000),
                    ("MB", 1_000_000),
                    ("kB", 1_000),
                    ("B", 1),
                ],
            )
        })
    }

    /// `"90s"`, `"30min"`, `"2h"`, `"250ms"`; in milliseconds.
    pub(crate) fn duration(&mut self, key: &'static str, default: u64) -> u64 {
        self.measure(key, default, "a duration such as \"90s\", \"30min\" or \"2h\"", |text| {
            measure(text, &[("ms", 1), ("min", 60_000), ("h", 3_600_000), ("s", 1_000)])
        })
    }

    /// `"$0.20"`, exact to a millionth.
    pub(crate) fn money(&mut self, key: &'static str, default: u64) -> MicroUsd {
        MicroUsd(self.measure(key, default, "an amount such as \"$0.20\"", dollars))
    }

    /// The same without a default.
    pub(crate) fn optional_money(&mut self, key: &'static str) -> Option<MicroUsd> {
        let is_there = self.has(key);
        // What stands in for an amount that is none is not read as one of nothing.
        let amount = self.money(key, 1);
        is_there.then_some(amount)
    }

    fn measure(&mut self, key: &'static str, default: u64, form: &str, read: impl Fn(&str) -> Option<u64>) -> u64 {
        let Some(value) = self.raw(key) else { return default };
        match value.get_ref().as_str().and_then(read) {
            Some(amount) => amount,
            None => {
                self.wrong(value.span(), format!("`{key}` must be {form}"), "");
                default
            }
        }
    }

    pub(crate) fn choice<T: Copy>(&mut self, key: &'static str, choices: &[(&'static str, T)], default: T) -> T {
        let Some(value) = self.raw(key) else { return default };
        let span = value.span();
        let found = value.get_ref().as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        match found {
            Some((_, choice)) => *choice,
            None => {
                let names: Vec<&str> = choices.iter().map(|(name, _)| *name).collect();
                let hint =
                    value.get_ref().as_str().map(|text| nearest(text, names.iter().copied())).unwrap_or_default();
                self.wrong(span, format!("`{key}` must be one of {}", names.join(", ")), hint);
                default
            }
        }
    }

    /// A table of free form, as JSON: settings of a plugin, which its manifest describes.
    pub(crate) fn json(&mut self, key: &'static str) -> serde_json::Value {
        match self.raw(key) {
            Some(value) => json(value.get_ref()),
            None => serde_json::Value::Object(serde_json::Map::new()),
        }
    }

    /// Tables below a key, by name: `[egress.anthropic.price."claude-*"]`.
    pub(crate) fn tables(&mut self, key: &'static str) -> Vec<(String, &'a Spanned<DeValue<'a>>)> {
        let Some(value) = self.raw(key) else { return Vec::new() };
        match value.get_ref().as_table() {
            Some(table) => table.iter().map(|(name, value)| (name.get_ref().to_string(), value)).collect(),
            None => {
                self.wrong(value.span(), format!("`{key}` must hold tables by name"), "");
                Vec::new()
            }
        }
    }

    /// Reports every key that was not asked for, with the nearest one that was.
    pub(crate) fn finish(self) {
        for (name, _) in self.table.iter() {
            let key = name.get_ref().as_ref();
            if !self.asked.contains(&key) {
                let hint = match nearest(key, self.asked.iter().copied()) {
                    hint if hint.is_empty() => format!("known here: {}", self.asked.join(", ")),
                    hint => hint,
                };
                let told = self.told(&format!("unknown key `{key}`"));
                self.out.push(self.file.diagnostic(name.span(), told, hint));
            }
        }
    }
}

fn measure(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (unit, factor) = units.iter().find(|(unit, _)| text.ends_with(unit))?;
    let number: u64 = text.strip_suffix(unit)?.trim().parse().ok()?;
    number.checked_mul(*factor).filter(|amount| *amount > 0)
}

/// Dollars with up to six decimals, in micro-dollars.
pub(crate) fn dollars(text: &str) -> Option<u64> {
    let amount = text.strip_prefix('$')?;
    let (whole, fraction) = amount.split_once('.').unwrap_or((amount, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !digits(whole) || !digits(fraction) || fraction.len() > 6 {
        return None;
    }
    let micros: u64 = format!("{fraction:0<6}").parse().ok()?;
    whole.parse::<u64>().ok()?.checked_mul(1_000_000)?.checked_add(micros)
}

fn json(value: &DeValue<'_>) -> serde_json::Value {
    use serde_json::Value;
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or(Value::Null, Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or(Value::Null, Value::from),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Datetime(time) => Value::String(time.to_string()),
        DeValue::Array(items) => Value::Array(items.iter().map(|item| json(item.get_ref())).collect()),
        DeValue::Table(table) => Value::Object(
            table.iter().map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref()))).collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dollars_are_exact() {
        for (text, want) in [
            ("$0.20", Some(200_000)),
            ("$1", Some(1_000_000)),
            ("$0.000001", Some(1)),
            ("$0.0000001", None),
            ("0.2", None),
            ("$-1", None),
            ("$", None),
            ("$1.", Some(1_000_000)),
        ] {
            assert_eq!(dollars(text), want, "{text}");
        }
    }

    #[test]
    fn sizes_and_durations() {
        let units = [("GiB", 1 << 30), ("B", 1)];
        assert_eq!(measure("4GiB", &units), Some(4 << 30));
        for bad in ["0B", "-1B", "1.5GiB", "GiB", "4", "99999999999999999999B", "20000000000GiB"] {
            assert_eq!(measure(bad, &units), None, "{bad}");
        }
    }
}
