//! Names of files that others chose.

use borg_visible::visible;

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
}
