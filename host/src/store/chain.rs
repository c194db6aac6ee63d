//! The hash chain as it lies in the file.

use super::error::{unread, unwritten};
use crate::journal::{
    ChainBreak, JournalError,
    chain::{Stripped, genesis, next},
};
use borg_core::{event::Event, id::Digest};
use rusqlite::{Connection, params};

pub(super) fn append(
    db: &Connection,
    head: Digest,
    event: &Event,
    stripped: &Stripped,
) -> Result<Digest, JournalError> {
    for (digest, text) in &stripped.texts {
        db.execute("INSERT OR IGNORE INTO texts(digest, text) VALUES (?1, ?2)", params![digest.0.as_slice(), text])
            .map_err(unwritten)?;
    }
    let hash = next(&head, &stripped.json);
    let mut insert = db
        .prepare_cached("INSERT INTO events(at_ms, task, kind, event, hash) VALUES (?1, ?2, ?3, ?4, ?5)")
        .map_err(unwritten)?;
    let task = event.owner.task().map(|task| task.0);
    insert.execute(params![event.at_ms, task, stripped.kind, stripped.json, hash.0.as_slice()]).map_err(unwritten)?;
    Ok(hash)
}

pub(super) fn head(db: &Connection) -> Result<Digest, JournalError> {
    let mut last = db.prepare("SELECT hash FROM events ORDER BY seq DESC LIMIT 1").map_err(unread)?;
    let mut rows = last.query([]).map_err(unread)?;
    match rows.next().map_err(unread)? {
        Some(row) => digest(row.get(0).map_err(unread)?),
        None => Ok(genesis()),
    }
}

pub(super) fn last_seq(db: &Connection) -> Result<u64, JournalError> {
    db.query_row("SELECT COALESCE(MAX(seq), 0) FROM events", [], |row| row.get(0)).map_err(unread)
}

pub(super) fn verify(db: &Connection) -> Result<Option<ChainBreak>, JournalError> {
    let mut all = db.prepare("SELECT seq, event, hash FROM events ORDER BY seq").map_err(unread)?;
    let mut rows = all.query([]).map_err(unread)?;
    let mut head = genesis();
    while let Some(row) = rows.next().map_err(unread)? {
        let seq = row.get(0).map_err(unread)?;
        let json: String = row.get(1).map_err(unread)?;
        let found = digest(row.get(2).map_err(unread)?)?;
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
fn verify_texts(db: &Connection) -> Result<(), JournalError> {
    let mut all = db.prepare("SELECT digest, text FROM texts").map_err(unread)?;
    let mut rows = all.query([]).map_err(unread)?;
    while let Some(row) = rows.next().map_err(unread)? {
        let digest = digest(row.get(0).map_err(unread)?)?;
        let text: String = row.get(1).map_err(unread)?;
        if Digest::of_bytes(text.as_bytes()) != digest {
            return Err(JournalError::Damaged(format!("the text {digest} was changed")));
        }
    }
    Ok(())
}

pub(super) fn digest(bytes: Vec<u8>) -> Result<Digest, JournalError> {
    let bytes = bytes.try_into().map_err(|_| JournalError::Damaged("a digest is not 32 bytes long".into()))?;
    Ok(Digest(bytes))
}
