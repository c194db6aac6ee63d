//! Hidden characters, and honest text that is full of the like.

use super::*;
use crate::survey::tests::file;

fn words(path: &str, line: &str) -> Option<String> {
    hidden(&file(path, FileStatus::Modified, &[" before", "-old", &format!("+{line}"), "+after"])).map(|found| {
        assert_eq!(found.line, 2, "{path} {line:?}");
        found.words
    })
}

#[test]
fn what_a_reader_does_not_see_in_source_is_told() {
    for (line, says) in [
        ("x = 1\0", "NUL"),
        ("if access != \"user\u{202e} \u{2066}// admin\u{2069} \u{2066}\" {", "turn the direction"),
        ("\u{200f}return", "turn the direction"),
        ("let ad\u{200b}min = 1;", "invisible"),
        ("const { timeout,\u{3164}} = query", "invisible"),
        ("na\u{200d}me = 1", "invisible"),
        ("# \u{2028}import os", "invisible"),
        ("a\u{feff}b", "invisible"),
        ("s = '\u{e0041}\u{e0042}'", "whole sentences"),
        ("s = 'a\u{fe01}\u{fe02}\u{fe0f}'", "whole sentences"),
        ("print('\u{1b}[2K')", "control"),
        ("# fine\rimport os", "carriage return"),
    ] {
        for path in ["src/a.py", "tests/test_a.py", "Cargo.toml", ".github/workflows/ci.yml", ".envrc", "CLAUDE.md"] {
            let told = words(path, line).unwrap_or_else(|| panic!("{path}: {line:?} is not told"));
            assert!(told.contains(says), "{path}: {line:?} {told}");
        }
    }
}

#[test]
fn sentences_hidden_in_any_text_are_told() {
    for path in ["docs/guide.md", "locale/de.json", "tests/data.json"] {
        assert!(words(path, "Hi\u{e0049}\u{e0067}").is_some(), "{path}");
        assert!(words(path, "Hi\u{fe00}\u{fe01}\u{fe0f}").is_some(), "{path}");
    }
}

#[test]
fn honest_text_raises_nothing() {
    for (path, line) in [
        ("src/a.py", "total = 'Grüße, ありがとう, Привет'"),
        ("src/a.py", "ends\r"),
        ("src/a.el", "\u{c}"),
        ("src/ui.ts", "const icon = '👩\u{200d}💻 ❤\u{fe0f} 1\u{fe0f}\u{20e3}';"),
        ("src/ui.ts", "const flag = '🏴\u{e0067}\u{e0062}\u{e0073}\u{e0063}\u{e0074}\u{e007f}';"),
        ("src/i18n/fa.ts", "save: 'می\u{200c}خواهم',"),
        ("src/i18n/he.ts", "title: 'שלום\u{200f} (beta)',"),
        ("locale/ar.json", "\"a\": \"\u{202b}مرحبا\u{202c}\""),
        ("locale/he.po", "msgstr \"\u{200f}שלום\""),
        ("docs/guide.ar.md", "\u{2067}مرحبا\u{2069}"),
        ("README.md", "soft\u{ad}hyphen and zero\u{200b}width"),
    ] {
        assert_eq!(words(path, line), None, "{path} {line:?}");
    }
    let marked = file("src/a.cs", FileStatus::Added, &["+\u{feff}using System;", "+class A {}"]);
    assert_eq!(hidden(&marked), None);
    let removed = file("src/a.py", FileStatus::Modified, &["-x\u{202e}", "+y"]);
    assert_eq!(hidden(&removed), None);
}

#[test]
fn source_of_which_git_shows_nothing_is_told_and_a_picture_is_not() {
    let mut source = file("src/a.py", FileStatus::Added, &[]);
    (source.binary, source.hunks) = (true, Vec::new());
    assert!(hidden(&source).is_some());
    for path in ["logo.png", "tests/data.bin"] {
        let mut picture = file(path, FileStatus::Added, &[]);
        (picture.binary, picture.hunks) = (true, Vec::new());
        assert_eq!(hidden(&picture), None, "{path}");
    }
}
