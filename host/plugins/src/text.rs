//! Texts and lists of a guest, held to what the host keeps of them: they stand in events and states, are told to people and given to
//! agents, and a guest may hand over as much as the limit on answers allows.

use crate::limits::{MAX_ITEM_BYTES, MAX_ITEMS, MAX_TEXT_BYTES};

/// A text, cut where it is longer than the host keeps; what was cut is said.
pub(crate) fn clip(text: String) -> String {
    clip_at(text, MAX_TEXT_BYTES)
}

/// The same with a limit of its own, in bytes.
pub(crate) fn clip_at(mut text: String, limit: usize) -> String {
    if text.len() > limit {
        let end = text.floor_char_boundary(limit);
        let cut = text.len() - end;
        text.truncate(end);
        text.push_str(&format!("… ({cut} more bytes were cut)"));
        text.shrink_to_fit();
    }
    text
}

/// Refuses lists of words, paths or patterns that nobody means: they are useless when cut.
pub(crate) fn check_list(what: &str, items: &[String]) -> Result<(), String> {
    if items.len() > MAX_ITEMS {
        return Err(format!("{} {what}, over the limit of {MAX_ITEMS}", items.len()));
    }
    match items.iter().find(|item| item.len() > MAX_ITEM_BYTES) {
        Some(item) => {
            Err(format!("one of the {what} is {} bytes long, over the limit of {MAX_ITEM_BYTES}", item.len()))
        }
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_cut_is_said_and_whole_characters_stay() {
        assert_eq!(clip("short".into()), "short");
        let exact = "x".repeat(MAX_TEXT_BYTES);
        assert_eq!(clip(exact.clone()), exact);
        let cut = clip(format!("{}ä", "x".repeat(MAX_TEXT_BYTES - 1)));
        assert_eq!(cut.strip_prefix(&exact[1..]), Some("… (2 more bytes were cut)"));
    }

    #[test]
    fn lists_have_a_size() {
        let long = "x".repeat(MAX_ITEM_BYTES);
        check_list("tools", &vec![long.clone(); MAX_ITEMS]).unwrap();
        assert!(
            check_list("tools", &[format!("{long}x")]).unwrap_err().contains("one of the tools is 4097 bytes long")
        );
        assert!(check_list("tools", &vec![String::new(); MAX_ITEMS + 1]).unwrap_err().starts_with("1001 tools"));
    }
}
