//! All text of agents, repositories, tests and task titles passes here before it is printed, by commands and by the console alike. A chat
//! plugin's own care comes before it and is not relied on.

pub use borg_visible::visible as text;

/// Text on one line of at most `limit` characters, made visible as [`text`] does.
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
    fn a_line_is_one_line_and_no_longer_than_asked() {
        assert_eq!(line("one\n  two\tthree", 100), "one two three");
        assert_eq!(line("abcdef", 4), "abc…");
        assert_eq!(line("\u{1b}[2Jx", 100), "^[[2Jx");
    }
}
