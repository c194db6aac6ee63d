//! Wraps text to columns, counted as terminals count them (wide characters take two).

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// Lines of the text, the first after `first`, the others after `rest`; both count towards the width. Line feeds stay, and so does the
/// indentation a line begins with. A word longer than a line stays whole: a path or an address that is cut cannot be copied.
pub fn wrap(text: &str, width: usize, first: &str, rest: &str) -> Vec<String> {
    let mut lines = Vec::new();
    for paragraph in text.trim_end().split('\n') {
        let lead = if lines.is_empty() { first } else { rest };
        let words = paragraph.trim_start();
        let indent = paragraph[..paragraph.len() - words.len()].replace('\t', "    ");
        let mut line = format!("{lead}{indent}");
        let mut is_fresh = true;
        for word in words.split_whitespace() {
            if !is_fresh && columns(&line) + 1 + columns(word) > width {
                lines.push(std::mem::replace(&mut line, format!("{rest}{indent}")));
                is_fresh = true;
            }
            if !is_fresh {
                line.push(' ');
            }
            line.push_str(word);
            is_fresh = false;
        }
        lines.push(line.trim_end().to_owned());
    }
    lines
}

/// The text in so many columns, `…` for what is left out.
pub fn cut(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    let mut used = 1;
    let fits = |c: &char| {
        used += c.width().unwrap_or(0);
        used <= width
    };
    let mut cut: String = text.chars().take_while(fits).collect();
    cut.push('…');
    cut
}

/// Columns a text takes in a terminal.
pub fn columns(text: &str) -> usize {
    text.width()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_move_to_the_next_line() {
        assert_eq!(wrap("aa bb cc dd", 5, "", ""), ["aa bb", "cc dd"]);
        assert_eq!(wrap("aa bb cc", 7, "- ", "  "), ["- aa bb", "  cc"]);
        assert_eq!(wrap("  in bb\nx", 6, "", ""), ["  in", "  bb", "x"]);
        assert_eq!(wrap("a/very/long/path bb", 6, "", ""), ["a/very/long/path", "bb"]);
        assert_eq!(wrap("", 6, "> ", ""), [">"]);
    }

    #[test]
    fn a_row_is_cut_by_columns() {
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(cut("abcd", 3), "ab…");
        assert_eq!(cut("漢字漢字", 6), "漢字…");
        assert_eq!(columns(&cut(&"e\u{301}".repeat(9), 5)), 5);
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!(columns("漢字"), 4);
        assert_eq!(columns("e\u{301}"), 1);
        assert_eq!(wrap("漢字 漢字", 8, "", ""), ["漢字", "漢字"]);
    }
}
