//! A text with styles as pages that Telegram takes: 4,096 UTF-16 code units and 100 entities each. A page ends where a paragraph, a line
//! or a word does, never within a character; a block of code that goes on is opened again on the next page.

use crate::{
    rich::{Rich, Style},
    units::{prefix, units},
};
use serde::Serialize;
use unicode_segmentation::UnicodeSegmentation;

/// Longest text of a post, in code units.
pub const UNITS: usize = 4_096;
/// Most entities of a post.
pub const ENTITIES: usize = 100;

/// One post's text, and its entities as Telegram's JSON, empty for none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    pub text: String,
    pub entities: String,
}

#[derive(Serialize)]
struct Entity<'a> {
    r#type: &'static str,
    offset: usize,
    length: usize,
    #[serde(skip_serializing_if = "str::is_empty")]
    language: &'a str,
}

/// Pages of a text, made as they are asked for; pages of nothing but blanks are left out.
pub fn pages(rich: &Rich) -> impl Iterator<Item = Page> + '_ {
    let mut start = 0;
    std::iter::from_fn(move || {
        start += blank(&rich.text[start..], is_code_at(rich, start));
        if start >= rich.text.len() {
            return None;
        }
        let end = end(rich, start);
        let page = page(rich, start, end);
        start = end;
        Some(page)
    })
}

/// Bytes to leave out at the beginning of a page; the indentation of code stays.
fn blank(text: &str, is_code: bool) -> usize {
    let words = text.len() - text.trim_start().len();
    if !is_code || words == text.len() {
        return words;
    }
    text[..words].rfind('\n').map_or(0, |line| line + 1)
}

fn is_code_at(rich: &Rich, at: usize) -> bool {
    let after = rich.spans.partition_point(|span| span.end <= at);
    rich.spans.get(after).is_some_and(|span| span.start <= at && matches!(span.style, Style::Pre(_)))
}

/// Where the page that begins here ends.
fn end(rich: &Rich, start: usize) -> usize {
    let hard = start + prefix(&rich.text[start..], UNITS);
    let first = rich.spans.partition_point(|span| span.end <= start);
    // Whatever stands before the entity that is one too many.
    let most = rich.spans.get(first + ENTITIES).map_or(hard, |span| span.start.min(hard));
    if most == rich.text.len() {
        return most;
    }
    let window = &rich.text[start..most];
    let late = |at: &usize| *at > window.len() / 2;
    let at = window.rfind("\n\n").filter(late);
    let at = at.or_else(|| window.rfind('\n').filter(late)).or_else(|| window.rfind(char::is_whitespace).filter(late));
    // What is cut off may not be all of the last character as people see it.
    let at = at.or_else(|| {
        (most == hard).then(|| window.grapheme_indices(true).next_back()).flatten().map(|(at, _)| at).filter(late)
    });
    start + at.unwrap_or(window.len())
}

fn page(rich: &Rich, start: usize, end: usize) -> Page {
    let text = rich.text[start..end].trim_end();
    let end = start + text.len();
    let first = rich.spans.partition_point(|span| span.end <= start);
    let (mut at, mut offset) = (start, 0);
    let mut entities = Vec::new();
    for span in rich.spans[first..].iter().take_while(|span| span.start < end) {
        let (from, to) = (span.start.max(start), span.end.min(end));
        offset += units(&rich.text[at..from]);
        let length = units(&rich.text[from..to]);
        entities.push(Entity {
            r#type: match span.style {
                Style::Bold => "bold",
                Style::Code => "code",
                Style::Pre(_) => "pre",
            },
            offset,
            length,
            language: if let Style::Pre(language) = &span.style { language } else { "" },
        });
        (at, offset) = (to, offset + length);
    }
    let json = serde_json::to_string(&entities).expect("numbers and strings are JSON");
    Page { text: text.to_owned(), entities: if entities.is_empty() { String::new() } else { json } }
}
