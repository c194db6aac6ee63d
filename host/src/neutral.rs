//! Makes visible what steers a terminal, turns text around or cannot be seen: all text of agents, repositories, tests and task titles
//! passes here before it is printed, by commands and by the console alike. A chat plugin's own care comes before it and is not relied on.

use std::borrow::Cow;

/// True for characters that are not printed as they are: controls (but line feed and tab), bidirectional and invisible ones.
fn is_hidden(c: char) -> bool {
    match c {
        '\n' | '\t' => false,
        '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}' => true,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{115f}' | '\u{1160}' | '\u{3164}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}' => true,
        _ => false,
    }
}

/// The text with each hidden character written out: `^[` for ESC and its like, `<U+202E>` for others.
pub fn text(text: &str) -> Cow<'_, str> {
    if !text.chars().any(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        match c {
            c if !is_hidden(c) => out.push(c),
            '\0'..='\u{1f}' => out.extend(['^', char::from(c as u8 + b'@')]),
            '\u{7f}' => out.push_str("^?"),
            c => out.push_str(&format!("<U+{:04X}>", u32::from(c))),
        }
    }
    Cow::Owned(out)
}

/// The same on one line of at most `limit` characters.
pub fn line(raw: &str, limit: usize) -> String {
    let words: Vec<&str> = raw.split_whitespace().collect();
    let whole = text(&words.join(" ")).into_owned();
    if whole.chars().count() <= limit {
        return whole;
    }
    let cut: String = whole.chars().take(limit.saturating_sub(1)).collect();
    format!("{cut}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_a_terminal_survives() {
        assert_eq!(text("\u{1b}]0;owned\u{7}\u{1b}[2J"), "^[]0;owned^G^[[2J");
        assert_eq!(text("a\u{202e}b\u{9b}31m\u{7f}"), "a<U+202E>b<U+009B>31m^?");
        assert_eq!(text("over\rwritten\u{8}"), "over^Mwritten^H");
        for c in (0..=0x10_ffff_u32).filter_map(char::from_u32) {
            assert!(!text(&c.to_string()).chars().any(is_hidden), "{:04X}", u32::from(c));
        }
    }

    #[test]
    fn honest_text_stays_as_it_is() {
        assert!(matches!(text("Grüße\t漢字 👩‍💻\nzweite Zeile"), Cow::Borrowed(_)));
        assert_eq!(line("one\n  two\tthree", 100), "one two three");
        assert_eq!(line("abcdef", 4), "abc…");
    }
}
