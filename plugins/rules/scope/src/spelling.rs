//! Names that some file system takes for one: what the host's `core::spelling` does at collection, for the second look at what was committed.
//! Composed and decomposed letters are not compared here.

/// A name as the most forgiving file system reads it.
pub fn fold(name: &str) -> String {
    let seen: String = name.chars().filter(|c| !is_ignored(*c)).collect();
    let plain = seen.split(':').next().unwrap_or_default().trim_end_matches([' ', '.']);
    let plain = if plain.is_empty() { name } else { plain };
    plain.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

/// True when two names are one on some file system.
pub fn is_same(one: &str, other: &str) -> bool {
    fold(one) == fold(other) || is_short_for(one, other) || is_short_for(other, one)
}

/// Code points that HFS+ does not look at in names.
fn is_ignored(char: char) -> bool {
    matches!(char, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

/// True when Windows may give `long` this name beside its own, such as `GITHUB~1` for `.github`, or `GI1A2B~1` by a sum of it.
fn is_short_for(short: &str, long: &str) -> bool {
    if !may_be_short_for(short, long) {
        return false;
    }
    let short = fold(short);
    let (stem, ending) = short.split_once('.').unwrap_or((&short, ""));
    let Some((head, number)) = stem.rsplit_once('~') else { return false };
    if number.is_empty() || number.len() > 6 || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let long = fold(long);
    let long = long.trim_start_matches('.');
    let (base, full) = long.rsplit_once('.').unwrap_or((long, ""));
    let kept = |text: &str, most: usize| -> String {
        text.chars()
            .filter(|c| !matches!(c, ' ' | '.'))
            .map(|c| if matches!(c, '+' | ',' | ';' | '=' | '[' | ']') { '_' } else { c })
            .take(most)
            .collect()
    };
    let lead = kept(base, 2);
    let is_hashed = head
        .strip_prefix(lead.as_str())
        .is_some_and(|sum| !lead.is_empty() && sum.len() == 4 && sum.bytes().all(|byte| byte.is_ascii_hexdigit()));
    kept(full, 3) == ending && !head.is_empty() && (head == kept(base, (7 - number.len()).min(6)) || is_hashed)
}

/// Characters of a short name: eight, a dot and three. Every name of a change is held against every name that is known, so one that is
/// longer is not worth folding.
const SHORT: usize = 12;

/// False where two names cannot belong together, by length and first letters and without folding either: the short one begins as the
/// long one does.
fn may_be_short_for(short: &str, long: &str) -> bool {
    let first = |name: &str| name.chars().find(|c| *c != '.').filter(char::is_ascii_alphanumeric);
    let is_other = first(short).zip(first(long)).is_some_and(|(a, b)| !a.eq_ignore_ascii_case(&b));
    let seen = short.split(':').next().unwrap_or_default().chars().filter(|c| !is_ignored(*c)).enumerate();
    let is_long = || seen.skip(SHORT).any(|(_, c)| !matches!(c, ' ' | '.'));
    short.contains('~') && !is_other && !is_long()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_name_are_one_and_neighbours_are_not() {
        for spelt in
            [".GitHub", ".github.", ".github ", ".github:x", ".git\u{200c}hub", "GITHUB~1", "github~12", "GI12AF~1"]
        {
            assert_eq!(is_same(".github", spelt), spelt != "github~12", "{spelt}");
            assert_eq!(is_same(spelt, ".github"), spelt != "github~12", "{spelt}");
        }
        for other in ["github", ".gitlab", "GITLAB~1", ".github2", "~1", ""] {
            assert!(!is_same(".github", other), "{other}");
        }
    }
}
