//! UTF-16: Telegram counts texts, offsets and lengths in its code units.

/// Length of a text.
pub fn units(text: &str) -> usize {
    text.chars().map(char::len_utf16).sum()
}

/// Byte positions of offsets, in one walk; none for an offset beyond the end or within a character.
pub fn positions(text: &str, offsets: &[usize]) -> Vec<Option<usize>> {
    let mut order: Vec<usize> = (0..offsets.len()).collect();
    order.sort_by_key(|index| offsets[*index]);
    let mut found = vec![None; offsets.len()];
    let mut starts = text.char_indices().map(|(at, c)| (at, c.len_utf16())).chain([(text.len(), 1)]);
    let (mut here, mut at) = (0, starts.next());
    for index in order {
        while let Some((byte, length)) = at {
            if here >= offsets[index] {
                found[index] = (here == offsets[index]).then_some(byte);
                break;
            }
            here += length;
            at = starts.next();
        }
    }
    found
}

/// The longest beginning of so many code units, cut between characters; in bytes.
pub fn prefix(text: &str, limit: usize) -> usize {
    let mut used = 0;
    let over = text.char_indices().find(|(_, c)| {
        used += c.len_utf16();
        used > limit
    });
    over.map_or(text.len(), |(at, _)| at)
}

/// A text in so many code units, `…` for what is left out.
pub fn cut(text: &str, limit: usize) -> String {
    let end = prefix(text, limit);
    if end == text.len() {
        return text.to_owned();
    }
    format!("{}…", text[..prefix(text, limit.saturating_sub(1))].trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_count_code_units() {
        let text = "a😀ü@b";
        assert_eq!(units(text), 6);
        assert_eq!(
            positions(text, &[3, 0, 1, 2, 4, 6, 7, 6]),
            [Some(5), Some(0), Some(1), None, Some(7), Some(9), None, Some(9)]
        );
        assert_eq!(positions("", &[0, 1]), [Some(0), None]);
    }

    #[test]
    fn nothing_is_cut_within_a_character() {
        assert_eq!(&"a😀b"[..prefix("a😀b", 2)], "a");
        assert_eq!(&"a😀b"[..prefix("a😀b", 3)], "a😀");
        assert_eq!(cut("a😀b", 4), "a😀b");
        assert_eq!(cut("a😀bc", 4), "a😀…");
        assert_eq!(cut("abc", 0), "…");
    }
}
