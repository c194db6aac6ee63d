//! borg-visible: makes characters visible that steer a terminal, turn text around or cannot be seen at all. Every text of an agent, a
//! repository or a stranger passes here before a person or a model reads it: in plugins that show it, and in the host once more, which
//! does not rely on them. Both read this one table.

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

/// Writes each hidden character as people know it: `^[` for ESC and its like, `^?` for DEL, `<U+202E>` for others. A carriage return before a line
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
            '\u{7f}' => out.push_str("^?"),
            c => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_survives() {
        assert_eq!(visible("\u{1b}]0;owned\u{7}\u{1b}[2J"), "^[]0;owned^G^[[2J");
        assert_eq!(visible("a\u{202e}b\u{9b}31m\u{7f}\u{e0041}"), "a<U+202E>b<U+009B>31m^?<U+E0041>");
        assert_eq!(visible("line\r\nover\rwritten"), "line\nover^Mwritten");
        for c in (0..=0x10_ffff_u32).filter_map(char::from_u32) {
            let shown = visible(&c.to_string()).into_owned();
            assert!(!shown.chars().any(is_hidden), "{:04X}", u32::from(c));
        }
    }

    #[test]
    fn plain_text_is_not_copied() {
        assert!(matches!(visible("Grüße\t漢字 👩‍💻\nzweite Zeile"), Cow::Borrowed(_)));
    }
}
