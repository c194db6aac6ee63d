//! Text as the server keeps it: cleaned, trimmed, with its entities checked, repaired and added to.
//!
//! Offsets and lengths are UTF-16 code units. The limits on text are counted in the same unit: the documentation says "characters", official
//! clients split by UTF-16, and this is the strictest of the readings. Mark-up (`parse_mode`) is not played.

mod found;

use super::refusal::Refusal;
use serde_json::{Value, json};

/// Most code units of a message's text, after cleaning.
pub(super) const TEXT_LIMIT: usize = 4096;
/// Most code units of a caption, after cleaning.
pub(super) const CAPTION_LIMIT: usize = 1024;
/// The server applies no more of the entities it is given.
const ENTITY_LIMIT: usize = 100;
/// A larger offset or length is refused before the text is looked at.
const ENTITY_RANGE: i64 = 1_000_000;

/// What became of a text and the entities sent with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Formatted {
    pub text: String,
    pub entities: Vec<Value>,
    /// What the server put right in silence, and a careful client would not have sent.
    pub repaired: Vec<String>,
}

/// UTF-16 code units of `text`.
pub(super) fn units(text: &str) -> usize {
    text.encode_utf16().count()
}

/// Cleans `raw` and fits `entities` to it.
pub(super) fn formatted(raw: &str, entities: Option<&Value>) -> Result<Formatted, Refusal> {
    let mut spans = spans(entities)?;
    let mut repaired = Vec::new();
    sort(&mut spans);
    nest(&mut spans, &mut repaired);
    let mut text = clean(raw, &mut spans)?;
    trim(&mut text, &mut spans);
    if spans.len() > ENTITY_LIMIT {
        repaired.push(format!("{} entities, of which {ENTITY_LIMIT} are applied", spans.len()));
        spans.truncate(ENTITY_LIMIT);
    }
    found::add(&text, &mut spans);
    sort(&mut spans);
    Ok(Formatted { text, entities: spans.into_iter().map(Span::wire).collect(), repaired })
}

/// One entity while it is fitted.
#[derive(Clone, Debug)]
struct Span {
    start: usize,
    end: usize,
    kind: String,
    /// The whole entity as given.
    given: Value,
}

impl Span {
    fn wire(self) -> Value {
        let mut wire = json!({ "type": self.kind, "offset": self.start, "length": self.end - self.start });
        for field in ["url", "user", "language", "custom_emoji_id"] {
            if let Some(value) = self.given.get(field) {
                wire[field] = value.clone();
            }
        }
        wire
    }

    /// True for kinds that may be cut in two; others are dropped where they overlap.
    fn is_splittable(&self) -> bool {
        matches!(self.kind.as_str(), "bold" | "italic" | "underline" | "strikethrough" | "spoiler")
    }

    /// True for kinds that hold no others.
    fn is_opaque(&self) -> bool {
        matches!(self.kind.as_str(), "pre" | "code")
    }
}

fn spans(entities: Option<&Value>) -> Result<Vec<Span>, Refusal> {
    let Some(Value::Array(list)) = entities else { return Ok(Vec::new()) };
    let mut spans = Vec::new();
    for entity in list {
        let wrong = |what: &str| Refusal::bad(format!("can't parse MessageEntity: {what}"));
        if !entity.is_object() {
            return Err(wrong("expected an Object"));
        }
        let number = |field: &str| match entity.get(field) {
            None => Err(wrong(&format!("Can't find field \"{field}\""))),
            Some(value) => value.as_i64().ok_or_else(|| wrong(&format!("Field \"{field}\" must be of type Number"))),
        };
        let (offset, length) = (number("offset")?, number("length")?);
        let kind = entity["type"].as_str().ok_or_else(|| wrong("Can't find field \"type\""))?;
        if !(0..=ENTITY_RANGE).contains(&offset) {
            return Err(Refusal::bad(format!("receive an entity with incorrect offset {offset}")));
        }
        if !(0..=ENTITY_RANGE).contains(&length) {
            return Err(Refusal::bad(format!("receive an entity with incorrect length {length}")));
        }
        // Mentions, commands and the like the server finds for itself.
        let taken = matches!(
            kind,
            "bold"
                | "italic"
                | "underline"
                | "strikethrough"
                | "spoiler"
                | "blockquote"
                | "expandable_blockquote"
                | "code"
                | "pre"
                | "text_link"
                | "text_mention"
                | "custom_emoji"
        );
        if taken && length > 0 {
            let (start, length) = (offset.unsigned_abs() as usize, length.unsigned_abs() as usize);
            spans.push(Span { start, end: start + length, kind: kind.to_owned(), given: entity.clone() });
        }
    }
    Ok(spans)
}

fn sort(spans: &mut [Span]) {
    spans.sort_by(|a, b| (a.start, b.end).cmp(&(b.start, a.end)));
}

/// Makes any two entities apart from each other or one inside the other, as the server does without a word.
fn nest(spans: &mut Vec<Span>, repaired: &mut Vec<String>) {
    let mut open: Vec<Span> = Vec::new();
    let mut kept: Vec<Span> = Vec::new();
    for mut span in std::mem::take(spans) {
        open.retain(|outer| outer.end > span.start);
        let name = format!("{} at {}", span.kind, span.start);
        if let Some(outer) = open.iter().find(|outer| outer.is_opaque()) {
            repaired.push(format!("{name} lies in or over {} at {}", outer.kind, outer.start));
            continue;
        }
        if let Some(outer) = open.iter().filter(|outer| outer.end < span.end).min_by_key(|outer| outer.end) {
            repaired.push(format!("{name} reaches out of {} at {}", outer.kind, outer.start));
            if !span.is_splittable() {
                continue;
            }
            span.end = outer.end;
        }
        open.push(span.clone());
        kept.push(span);
    }
    *spans = kept;
}

/// Drops what the server drops and moves the entities accordingly.
fn clean(raw: &str, spans: &mut Vec<Span>) -> Result<String, Refusal> {
    let mut text = String::with_capacity(raw.len());
    // Old and new offset of each character's beginning, and of the end.
    let mut moved = Vec::with_capacity(raw.len() + 1);
    let (mut old, mut new) = (0, 0);
    for (byte, c) in raw.char_indices() {
        moved.push((old, new, byte));
        old += c.len_utf16();
        let kept = match c {
            '\t' | '\n' => Some(c),
            '\r' | '\u{2028}'..='\u{202e}' | '\u{333}' | '\u{33f}' | '\u{30a}' => None,
            '\0'..='\u{1f}' => Some(' '),
            other => Some(other),
        };
        if let Some(c) = kept {
            text.push(c);
            new += c.len_utf16();
        }
    }
    moved.push((old, new, raw.len()));
    for span in spans.iter_mut() {
        let given = span.start;
        let find = |at: usize, what: &str| match moved.binary_search_by_key(&at, |entry| entry.0) {
            Ok(found) => Ok(moved[found].1),
            Err(behind) if behind >= moved.len() => Err(Refusal::bad(format!(
                "entity beginning at UTF-16 offset {given} ends after the end of the text at UTF-16 offset {old}"
            ))),
            Err(behind) => Err(Refusal::bad(format!(
                "entity beginning at UTF-16 offset {given} {what} in a middle of a UTF-16 symbol at byte offset {}",
                moved[behind].2
            ))),
        };
        (span.start, span.end) = (find(span.start, "starts")?, find(span.end, "ends")?);
    }
    spans.retain(|span| span.end > span.start);
    Ok(text)
}

/// Takes white space off the end, and off the beginning as far as no entity covers it.
fn trim(text: &mut String, spans: &mut Vec<Span>) {
    text.truncate(text.trim_end().len());
    let end = units(text);
    spans.iter_mut().for_each(|span| span.end = span.end.min(end));
    spans.retain(|span| span.start < span.end);
    let free = spans.iter().map(|span| span.start).min().unwrap_or(end);
    // What is trimmed here is one code unit each.
    let blank = text.bytes().take_while(|byte| matches!(byte, b' ' | b'\n')).count().min(free);
    text.drain(..blank);
    for span in spans {
        (span.start, span.end) = (span.start - blank, span.end - blank);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(kind: &str, offset: i64, length: i64) -> Value {
        json!({ "type": kind, "offset": offset, "length": length })
    }

    fn refusal(text: &str, entities: Value) -> String {
        formatted(text, Some(&entities)).unwrap_err().description
    }

    #[test]
    fn text_is_cleaned_and_trimmed_with_its_entities() {
        let entities = json!([entity("bold", 3, 4), entity("code", 8, 3)]);
        let done = formatted(" \n\rab\r\n cd \n", Some(&entities)).unwrap();
        assert_eq!(done.text, "ab\n cd");
        assert_eq!(done.entities, [entity("bold", 0, 3), entity("code", 4, 2)]);
        assert_eq!(formatted(" \n ", None).unwrap().text, "");
    }

    #[test]
    fn offsets_are_utf16_and_must_lie_on_characters() {
        let done = formatted("😀 hi", Some(&json!([entity("bold", 0, 2), entity("italic", 3, 2)]))).unwrap();
        assert_eq!(done.entities, [entity("bold", 0, 2), entity("italic", 3, 2)]);
        let past = refusal("hi", json!([entity("bold", 0, 3)]));
        assert_eq!(
            past,
            "Bad Request: entity beginning at UTF-16 offset 0 ends after the end of the text at UTF-16 offset 2"
        );
        assert!(refusal("😀", json!([entity("bold", 0, 1)])).contains("ends in a middle of a UTF-16 symbol"));
        assert!(refusal("😀a", json!([entity("bold", 1, 2)])).contains("starts in a middle of a UTF-16 symbol"));
        assert!(refusal("a", json!([entity("bold", -1, 2)])).contains("incorrect offset -1"));
        assert!(
            refusal("a", json!([{ "type": "bold", "offset": "0", "length": 1 }])).contains("must be of type Number")
        );
    }

    #[test]
    fn what_overlaps_is_put_right_and_told() {
        let overlap = formatted("abcdef", Some(&json!([entity("bold", 0, 4), entity("italic", 2, 4)]))).unwrap();
        assert_eq!(overlap.entities, [entity("bold", 0, 4), entity("italic", 2, 2)]);
        assert_eq!(overlap.repaired, ["italic at 2 reaches out of bold at 0"]);
        let inside = formatted("abcdef", Some(&json!([entity("pre", 0, 6), entity("bold", 1, 2)]))).unwrap();
        assert_eq!((inside.entities.len(), inside.repaired.len()), (1, 1));
        let nested = formatted("abcdef", Some(&json!([entity("italic", 1, 2), entity("bold", 0, 6)]))).unwrap();
        assert_eq!((nested.entities.len(), nested.repaired.len()), (2, 0));
    }

    #[test]
    fn a_hundred_entities_are_applied() {
        let many: Vec<Value> = (0..150).map(|at| entity("bold", at * 2, 1)).collect();
        let done = formatted(&"a ".repeat(200), Some(&Value::Array(many))).unwrap();
        assert_eq!(done.entities.len(), ENTITY_LIMIT);
        assert_eq!(done.repaired.len(), 1);
    }
}
