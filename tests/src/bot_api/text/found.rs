//! What the server finds in a text by itself: commands, mentions and links. The rules are those of the published client library, for ASCII.

use super::{Span, units};
use serde_json::Value;

/// Adds an entity for each command, mention and link outside of what is already code or a link.
pub(super) fn add(text: &str, spans: &mut Vec<Span>) {
    let given: Vec<(usize, usize)> = spans
        .iter()
        .filter(|span| matches!(span.kind.as_str(), "code" | "pre" | "text_link" | "text_mention" | "custom_emoji"))
        .map(|span| (span.start, span.end))
        .collect();
    let mut at = 0;
    while at < text.len() {
        let Some((kind, length)) = here(text, at) else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
            continue;
        };
        let start = units(&text[..at]);
        let end = start + units(&text[at..at + length]);
        if given.iter().all(|taken| end <= taken.0 || taken.1 <= start) {
            spans.push(Span { start, end, kind: kind.to_owned(), given: Value::Null });
        }
        at += length;
    }
}

fn here(text: &str, at: usize) -> Option<(&'static str, usize)> {
    let rest = &text[at..];
    let before = text[..at].chars().next_back();
    let in_word = before.is_some_and(|c| c.is_alphanumeric() || c == '_');
    if in_word {
        return None;
    }
    match rest.as_bytes()[0] {
        b'/' if !matches!(before, Some('/' | '<' | '>')) => command(rest).map(|length| ("bot_command", length)),
        b'@' => {
            let name = word(&rest[1..]);
            (4..=32).contains(&name).then_some(("mention", name + 1))
        }
        b'h' if rest.starts_with("http://") || rest.starts_with("https://") => {
            let link = rest.split(|c: char| c.is_whitespace() || c == '<' || c == '>').next()?;
            let link = link.trim_end_matches(['.', ',', ')', ';', ':', '!', '?', '"', '\'']);
            (link.len() > "https://".len()).then_some(("url", link.len()))
        }
        _ => None,
    }
}

/// Length of `/name` or `/name@bot`, when nothing that looks like a path follows.
fn command(rest: &str) -> Option<usize> {
    let mut length = 1 + word(&rest[1..]);
    if !(2..=65).contains(&length) {
        return None;
    }
    if rest[length..].starts_with('@') {
        let name = word(&rest[length + 1..]);
        if (3..=32).contains(&name) {
            length += 1 + name;
        }
    }
    let next = rest[length..].chars().next();
    next.is_none_or(|c| !c.is_alphanumeric() && !matches!(c, '/' | '<' | '>' | '_')).then_some(length)
}

fn word(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_').count()
}

#[cfg(test)]
mod tests {
    use super::super::formatted;

    #[test]
    fn commands_mentions_and_links_are_found() {
        let rows: [(&str, &[(&str, &str)]); 9] = [
            ("/ping", &[("bot_command", "/ping")]),
            ("x /task@borg_bot y", &[("bot_command", "/task@borg_bot")]),
            ("ä😀 @borg_bot!", &[("mention", "@borg_bot")]),
            ("/usr/bin", &[]),
            ("a@example.org", &[]),
            ("//x", &[]),
            ("see https://example.org/a, then", &[("url", "https://example.org/a")]),
            ("/a /b", &[("bot_command", "/a"), ("bot_command", "/b")]),
            ("@me", &[]),
        ];
        for (text, wanted) in rows {
            let done = formatted(text, None).unwrap();
            let wide: Vec<u16> = text.encode_utf16().collect();
            let found: Vec<(String, String)> = done
                .entities
                .iter()
                .map(|entity| {
                    let start = entity["offset"].as_u64().unwrap() as usize;
                    let end = start + entity["length"].as_u64().unwrap() as usize;
                    (entity["type"].as_str().unwrap().to_owned(), String::from_utf16(&wide[start..end]).unwrap())
                })
                .collect();
            let wanted: Vec<_> = wanted.iter().map(|(kind, text)| (kind.to_string(), text.to_string())).collect();
            assert_eq!(found, wanted, "{text}");
        }
    }
}
