//! The hash chain, the same whoever keeps the journal: each event's hash covers the one before and the event without its kept texts.

use super::JournalError;
use borg_core::{event::Event, id::Digest};
use serde::Deserialize;
use serde_json::{Map, Value};

/// Where the chain does not hold.
#[derive(Debug, PartialEq, Eq)]
pub struct ChainBreak {
    pub seq: u64,
    pub expected: Digest,
    pub found: Digest,
}

/// An event as it stands in the chain, and the texts that stand beside it.
#[derive(Debug)]
pub struct Stripped {
    pub json: String,
    /// `kind` of the body.
    pub kind: String,
    pub texts: Vec<(Digest, String)>,
}

impl Stripped {
    /// Length of the longest text that becomes a row's, in bytes.
    pub fn largest(&self) -> usize {
        self.texts.iter().map(|(_, text)| text.len()).fold(self.json.len(), usize::max)
    }
}

/// Hash before the first event.
pub fn genesis() -> Digest {
    Digest::of_bytes(b"borg-journal-1")
}

/// Hash of an event, by the hash of the one before and the event as it stands in the chain.
pub fn next(before: &Digest, json: &str) -> Digest {
    Digest::of_parts([&before.0[..], json.as_bytes()])
}

/// Takes the texts out of an event.
pub fn strip(event: &Event) -> Result<Stripped, JournalError> {
    let damaged = |error: serde_json::Error| JournalError::Damaged(error.to_string());
    let mut json = serde_json::to_string(event).map_err(damaged)?;
    let mut texts = Vec::new();
    // Most events have none, and are written as they are.
    if json.contains("\"$kept\"") {
        let mut value = serde_json::from_str(&json).map_err(damaged)?;
        take_texts(&mut value, &mut texts)?;
        json = value.to_string();
    }
    let Tagged { body: Kind { kind } } = serde_json::from_str(&json).map_err(damaged)?;
    let kind = kind.to_owned();
    Ok(Stripped { json, kind, texts })
}

/// What of an event's JSON is looked for: the rest is passed over.
#[derive(Deserialize)]
struct Tagged<'a> {
    #[serde(borrow)]
    body: Kind<'a>,
}

#[derive(Deserialize)]
struct Kind<'a> {
    kind: &'a str,
}

fn take_texts(value: &mut Value, texts: &mut Vec<(Digest, String)>) -> Result<(), JournalError> {
    match value {
        Value::Object(fields) => {
            if let Some(digest) = kept(fields) {
                let Some(Value::String(text)) = fields.remove("text") else { return Ok(()) };
                // One that was deleted before stays so.
                if text.is_empty() && Digest::of_bytes(b"") != digest {
                    return Ok(());
                }
                if Digest::of_bytes(text.as_bytes()) != digest {
                    return Err(JournalError::Damaged(format!("a text does not have its digest {digest}")));
                }
                texts.push((digest, text));
                return Ok(());
            }
            fields.values_mut().try_for_each(|field| take_texts(field, texts))
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| take_texts(item, texts)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// Digest of a kept text, where this is one ([`borg_core::kept::Kept`]).
fn kept(fields: &Map<String, Value>) -> Option<Digest> {
    fields.get("$kept").and_then(Value::as_str)?.parse().ok()
}

/// The event that stands in the chain, with its texts put back where they still exist; deleted ones are empty.
pub fn restore(
    json: &str,
    find: &impl Fn(&Digest) -> Result<Option<String>, JournalError>,
) -> Result<Event, JournalError> {
    let damaged = |error: serde_json::Error| JournalError::Damaged(error.to_string());
    let mut value: Value = serde_json::from_str(json).map_err(damaged)?;
    put_back(&mut value, find)?;
    serde_json::from_value(value).map_err(damaged)
}

fn put_back(
    value: &mut Value,
    find: &impl Fn(&Digest) -> Result<Option<String>, JournalError>,
) -> Result<(), JournalError> {
    match value {
        Value::Object(fields) => {
            if let Some(digest) = kept(fields) {
                fields.insert("text".into(), Value::String(find(&digest)?.unwrap_or_default()));
                return Ok(());
            }
            fields.values_mut().try_for_each(|field| put_back(field, find))
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| put_back(item, find)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::{
        event::{Answer, Body, HostEvent},
        kept::Kept,
        owner::Owner,
    };

    #[test]
    fn an_event_is_written_the_same_with_and_without_texts() {
        // The reason of the first looks like the mark of a kept text.
        let refused = HostEvent::PolicyRefused { reason: "\"$kept\": \"x\"\n\u{1f980}".into() };
        let asked = Answer::Asked { question: Kept::new("which?") };
        for (body, kind, texts) in [(Body::Host(refused), "policy-refused", 0), (Body::Answer(asked), "asked", 1)] {
            let event = Event { at_ms: u64::MAX, owner: Owner::Host, settles: None, body };
            let stripped = strip(&event).unwrap();
            assert_eq!((stripped.kind.as_str(), stripped.texts.len()), (kind, texts));
            let mut value = serde_json::to_value(&event).unwrap();
            take_texts(&mut value, &mut Vec::new()).unwrap();
            assert_eq!(stripped.json, value.to_string());
        }
    }
}
