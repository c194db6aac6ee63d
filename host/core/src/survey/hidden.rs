//! Characters in a change that a reader does not see, or sees elsewhere than they stand.
//!
//! What counts, and what does not because honest text is full of it:
//!
//! | characters | in source, tests, build, CI and the like | in other text |
//! |---|---|---|
//! | NUL: Git calls the file binary and shows nothing | always | – |
//! | embeddings, overrides, isolates (U+202A–E, U+2066–9): CVE-2021-42574 | always | – |
//! | marks of direction (U+200E, U+200F, U+061C) | on a line without right-to-left letters | – |
//! | spaces of no width, soft hyphens, fillers, word joiners, separators that end a line in some languages | always | – |
//! | joiners (U+200C, U+200D) | beside an ASCII letter, digit or sign: no script and no emoji needs them there | – |
//! | controls but tab, line feed, form feed; a carriage return within a line | always | – |
//! | tags (U+E0000 and up) but those of a flag; variation selectors in a row | always | always: whole sentences are hidden in them |
//!
//! A byte order mark at the beginning of a file is none of these. Translations and prose are "other text", so right-to-left languages
//! raise nothing there; files that run by themselves never are.

use super::runs;
use crate::facts::{ChangedFile, FileClass, FileStatus, Hidden};

/// Kinds, in the order in which they are told.
const KINDS: [(&str, &str); 6] = [
    ("nul", "NUL bytes"),
    ("direction", "marks that turn the direction of text"),
    ("invisible", "invisible characters"),
    ("tag", "characters that hide whole sentences"),
    ("control", "control characters"),
    ("return", "carriage returns within a line"),
];

/// Looks at the added lines.
pub fn hidden(file: &ChangedFile) -> Option<Hidden> {
    if file.status == FileStatus::Deleted {
        return None;
    }
    let strict = is_strict(file);
    if file.binary && file.hunks.is_empty() && strict {
        return Some(Hidden { words: "bytes for which Git shows no text".into(), line: 1 });
    }
    let mut found = [false; KINDS.len()];
    let mut first = None;
    for (number, line) in added(file) {
        let mut take = |kind: usize| {
            found[kind] = true;
            first.get_or_insert(number);
        };
        look(line, number == 1, strict, &mut take);
    }
    let words: Vec<&str> = KINDS.iter().zip(found).filter(|(_, found)| *found).map(|((_, words), _)| *words).collect();
    first.map(|line| Hidden { words: words.join(", "), line })
}

/// True for text that a machine obeys.
fn is_strict(file: &ChangedFile) -> bool {
    match file.class {
        FileClass::Source
        | FileClass::Test
        | FileClass::Ci
        | FileClass::Build
        | FileClass::Lint
        | FileClass::Coverage
        | FileClass::Ownership => true,
        FileClass::Fixture | FileClass::Snapshot | FileClass::Docs | FileClass::Other => {
            runs::cause(&file.path).is_some()
        }
    }
}

/// Added lines with their numbers at head.
fn added(file: &ChangedFile) -> impl Iterator<Item = (u32, &str)> {
    file.hunks.iter().flat_map(|hunk| {
        let mut number = hunk.new_start;
        hunk.text.split('\n').filter_map(move |line| {
            let at = number;
            match line.as_bytes().first() {
                Some(b'+') => {
                    number += 1;
                    Some((at, &line[1..]))
                }
                Some(b'-' | b'\\') => None,
                _ => {
                    number += 1;
                    None
                }
            }
        })
    })
}

/// Index into [`KINDS`] for each thing found on a line.
fn look(line: &str, is_first: bool, strict: bool, take: &mut impl FnMut(usize)) {
    if line.bytes().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) {
        return;
    }
    let line = line.strip_suffix('\r').unwrap_or(line);
    let line = if is_first { line.strip_prefix('\u{feff}').unwrap_or(line) } else { line };
    let has_right_to_left = line.chars().any(is_right_to_left);
    let (mut before, mut in_flag) = (None, false);
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        let after = chars.peek().copied();
        let kind = match c {
            '\0' => Some(0).filter(|_| strict),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => Some(1).filter(|_| strict),
            '\u{200e}' | '\u{200f}' | '\u{61c}' => Some(1).filter(|_| strict && !has_right_to_left),
            '\u{200c}' | '\u{200d}' => {
                let is_plain = |side: Option<char>| side.is_some_and(|c| c.is_ascii_graphic());
                Some(2).filter(|_| strict && (is_plain(before) || is_plain(after)))
            }
            // Sequences that spell out a region after a black flag (Unicode Technical Standard 51, "Emoji Tag Sequences").
            '\u{e0020}'..='\u{e007f}' if in_flag => None,
            '\u{e0000}'..='\u{e00ff}' | '\u{e01f0}'..='\u{e0fff}' => Some(3),
            '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}' => Some(3).filter(|_| before.is_some_and(is_selector)),
            '\u{ad}' | '\u{180e}' | '\u{200b}' | '\u{2028}' | '\u{2029}' | '\u{2060}'..='\u{2065}' => {
                Some(2).filter(|_| strict)
            }
            '\u{206a}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => Some(2).filter(|_| strict),
            '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' => Some(2).filter(|_| strict),
            '\r' => Some(5).filter(|_| strict),
            '\t' | '\u{c}' => None,
            '\u{1}'..='\u{1f}' | '\u{7f}'..='\u{9f}' => Some(4).filter(|_| strict),
            _ => None,
        };
        if let Some(kind) = kind {
            take(kind);
        }
        in_flag = c == '\u{1f3f4}' || in_flag && matches!(c, '\u{e0020}'..='\u{e007e}');
        before = Some(c);
    }
}

fn is_selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

/// Letters of Hebrew, Arabic, Syriac, Thaana, N'Ko and their neighbours, and presentation forms.
fn is_right_to_left(c: char) -> bool {
    matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}' | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
        && c != '\u{61c}'
}

#[cfg(test)]
mod tests;
