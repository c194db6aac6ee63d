//! Makes characters visible that steer a terminal, turn text around or cannot be seen at all. Every text of an agent, a repository
//! or a stranger passes here before a person or a model reads it.

use std::borrow::Cow;

/// True for characters that are never shown as they are: C0 (but line feed and tab), DEL, C1, bidirectional controls, invisible
/// and tag characters, line and paragraph separators. Joiners (U+200C, U+200D) and the usual variation selectors stay, since
/// scripts and emoji need them.
pub fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        // Fillers that print as nothing, and characters that smuggle whole sentences past the eye.
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// Writes each hidden character as people know it: `^[` for controls below U+0020, else `<U+202E>`. A carriage return before a line
/// feed is dropped.
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\r' if chars.peek() == Some(&'\n') => {}
            c if !is_hidden(c) => out.push(c),
            c if c < ' ' => {
                out.push('^');
                out.push(char::from(c as u8 + b'@'));
            }
            c => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
        }
    }
    Cow::Owned(out)
}

/// Longest name [`file_name`] gives, in characters.
const NAME: usize = 80;

/// Makes a name of a file that is only a name: no folder, nothing hidden, never empty. `fallback` stands for what is nothing but that.
pub fn file_name(name: &str, fallback: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ');
    let words = visible(name).split_whitespace().collect::<Vec<_>>().join(" ");
    let plain: String = words.chars().map(|c| if is_plain(c) { c } else { '-' }).take(NAME).collect();
    let plain = plain.trim_matches([' ', '.']);
    if plain.is_empty() { fallback.to_owned() } else { plain.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_survives() {
        assert_eq!(visible("\u{1b}[31mred\u{7}"), "^[[31mred^G");
        assert_eq!(visible("a\u{202e}b\u{9b}c\u{e0041}"), "a<U+202E>b<U+009B>c<U+E0041>");
        assert_eq!(visible("line\r\nover\rwritten"), "line\nover^Mwritten");
        for c in (0..=0x10_ffff_u32).filter_map(char::from_u32) {
            let shown = visible(&c.to_string()).into_owned();
            assert!(!shown.chars().any(is_hidden), "{:04X}", u32::from(c));
        }
    }

    #[test]
    fn a_name_of_a_file_leads_nowhere() {
        let rows = [
            ("change.diff", "change.diff"),
            ("../../etc/passwd", "-..-etc-passwd"),
            ("a\u{202e}txt.exe", "a-U-202E-txt.exe"),
            ("..", "x"),
            (" \n", "x"),
            ("C:\\a\nb", "C--a b"),
        ];
        for (name, safe) in rows {
            assert_eq!(file_name(name, "x"), safe, "{name:?}");
        }
        assert_eq!(file_name(&"ü".repeat(500), "x").chars().count(), 80);
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(visible("Grüße\t👩‍💻\n"), Cow::Borrowed(_)));
    }
}
