//! The hash chain: each event's hash covers the one before and the event without its kept texts.

use super::StoreError;
use borg_core::{event::Event, id::Digest};
use rusqlite::{Connection, params};
use serde::Deserialize;
use serde_json::{Map, Value};

/// An event as it stands in the chain, and the texts that stand beside it.
#[derive(Debug)]
pub(super) struct Stripped {
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

/// Where the chain does not hold.
#[derive(Debug, PartialEq, Eq)]
pub struct ChainBreak {
    pub seq: u64,
    pub expected: Digest,
    pub found: Digest,
}

/// Hash before the first event.
pub(super) fn genesis() -> Digest {
    Digest::of_bytes(b"borg-journal-1")
}

/// Takes the texts out of an event.
pub(super) fn strip(event: &Event) -> Result<Stripped, StoreError> {
    let damaged = |error: serde_json::Error| StoreError::Damaged(error.to_string());
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

fn take_texts(value: &mut Value, texts: &mut Vec<(Digest, String)>) -> Result<(), StoreError> {
    match value {
        Value::Object(fields) => {
            if let Some(digest) = kept(fields) {
                let Some(Value::String(text)) = fields.remove("text") else { return Ok(()) };
                // One that was deleted before stays so.
                if text.is_empty() && Digest::of_bytes(b"") != digest {
                    return Ok(());
                }
                if Digest::of_bytes(text.as_bytes()) != digest {
                    return Err(StoreError::Damaged(format!("a text does not have its digest {digest}")));
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

/// Puts texts back where they still exist; deleted ones stay empty.
pub(super) fn restore_texts(
    value: &mut Value,
    find: &impl Fn(&Digest) -> Result<Option<String>, StoreError>,
) -> Result<(), StoreError> {
    match value {
        Value::Object(fields) => {
            if let Some(digest) = kept(fields) {
                fields.insert("text".into(), Value::String(find(&digest)?.unwrap_or_default()));
                return Ok(());
            }
            fields.values_mut().try_for_each(|field| restore_texts(field, find))
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| restore_texts(item, find)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

pub(super) fn append(db: &Connection, head: Digest, event: &Event, stripped: &Stripped) -> Result<Digest, StoreError> {
    for (digest, text) in &stripped.texts {
        db.execute("INSERT OR IGNORE INTO texts(digest, text) VALUES (?1, ?2)", params![digest.0.as_slice(), text])
            .map_err(StoreError::Write)?;
    }
    let hash = next(&head, &stripped.json);
    let mut insert = db
        .prepare_cached("INSERT INTO events(at_ms, task, kind, event, hash) VALUES (?1, ?2, ?3, ?4, ?5)")
        .map_err(StoreError::Write)?;
    let task = event.owner.task().map(|task| task.0);
    insert
        .execute(params![event.at_ms, task, stripped.kind, stripped.json, hash.0.as_slice()])
        .map_err(StoreError::Write)?;
    Ok(hash)
}

fn next(head: &Digest, json: &str) -> Digest {
    Digest::of_parts([&head.0[..], json.as_bytes()])
}

pub(super) fn head(db: &Connection) -> Result<Digest, StoreError> {
    let mut last = db.prepare("SELECT hash FROM events ORDER BY seq DESC LIMIT 1").map_err(StoreError::Read)?;
    let mut rows = last.query([]).map_err(StoreError::Read)?;
    match rows.next().map_err(StoreError::Read)? {
        Some(row) => digest(row.get(0).map_err(StoreError::Read)?),
        None => Ok(genesis()),
    }
}

pub(super) fn last_seq(db: &Connection) -> Result<u64, StoreError> {
    db.query_row("SELECT COALESCE(MAX(seq), 0) FROM events", [], |row| row.get(0)).map_err(StoreError::Read)
}

pub(super) fn verify(db: &Connection) -> Result<Option<ChainBreak>, StoreError> {
    let mut all = db.prepare("SELECT seq, event, hash FROM events ORDER BY seq").map_err(StoreError::Read)?;
    let mut rows = all.query([]).map_err(StoreError::Read)?;
    let mut head = genesis();
    while let Some(row) = rows.next().map_err(StoreError::Read)? {
        let seq = row.get(0).map_err(StoreError::Read)?;
        let json: String = row.get(1).map_err(StoreError::Read)?;
        let found = digest(row.get(2).map_err(StoreError::Read)?)?;
        let expected = next(&head, &json);
        if expected != found {
            return Ok(Some(ChainBreak { seq, expected, found }));
        }
        head = found;
    }
    verify_texts(db)?;
    Ok(None)
}

/// Texts may be missing, but what is there is what the chain speaks of.
fn verify_texts(db: &Connection) -> Result<(), StoreError> {
    let mut all = db.prepare("SELECT digest, text FROM texts").map_err(StoreError::Read)?;
    let mut rows = all.query([]).map_err(StoreError::Read)?;
    while let Some(row) = rows.next().map_err(StoreError::Read)? {
        let digest = digest(row.get(0).map_err(StoreError::Read)?)?;
        let text: String = row.get(1).map_err(StoreError::Read)?;
        if Digest::of_bytes(text.as_bytes()) != digest {
            return Err(StoreError::Damaged(format!("the text {digest} was changed")));
        }
    }
    Ok(())
}

pub(super) fn digest(bytes: Vec<u8>) -> Result<Digest, StoreError> {
    let bytes = bytes.try_into().map_err(|_| StoreError::Damaged("a digest is not 32 bytes long".into()))?;
    Ok(Digest(bytes))
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
        let bodies = [
            // One whose own words look like the mark of a kept text.
            (
                Body::Host(HostEvent::PolicyRefused { reason: "\"$kept\": \"x\"\n\u{1f980}".into() }),
                "policy-refused",
                0,
            ),
            (Body::Answer(Answer::Asked { question: Kept::new("which?") }), "asked", 1),
        ];
        for (body, kind, texts) in bodies {
            let event = Event { at_ms: u64::MAX, owner: Owner::Host, settles: None, body };
            let stripped = strip(&event).unwrap();
            assert_eq!((stripped.kind.as_str(), stripped.texts.len()), (kind, texts));
            let mut value = serde_json::to_value(&event).unwrap();
            take_texts(&mut value, &mut Vec::new()).unwrap();
            assert_eq!(stripped.json, value.to_string());
        }
    }
}
