//! Durable events per second through the store's thread and hash chain, over plain inserts of as many bytes into SQLite.

use crate::scratch;
use anyhow::Result;
use borg_core::{
    budget::Spent,
    event::{Body, Event, Meanwhile},
    id::{RunKey, RunKind, TaskId},
};
use borg_host::{
    journal::{Batch, Journal},
    store::Store,
};
use borg_tests::measure::{Row, compare};
use rusqlite::{Connection, params};
use std::{sync::Arc, time::Instant};

const ROUNDS: usize = 9;

pub async fn measure() -> Result<()> {
    for (batch, batches, what) in [
        (1, 200, "durable events, one per transaction, over SQLite"),
        (64, 50, "durable events, 64 per transaction, over SQLite"),
    ] {
        let ours = async || through_store(batch, batches).await;
        let bare = async || through_sqlite(batch, batches);
        println!("{}", Row::speeds(what, compare(ROUNDS, ours, bare).await?));
    }
    Ok(())
}

fn event(n: usize) -> Event {
    let run = RunKey { owner: TaskId(1).into(), place: 0, fence: 1, kind: RunKind::Agent };
    let spent = Spent { turns: 1, wall_ms: n as u64, ..Spent::default() };
    Event {
        at_ms: n as u64,
        owner: run.owner,
        settles: None,
        body: Body::Meanwhile(Meanwhile::Metered { run, spent, estimated: false, request: None }),
    }
}

async fn through_store(batch: usize, batches: usize) -> Result<f64> {
    let dir = scratch()?;
    let store = Store::open(dir.path())?;
    let work: Vec<Arc<Batch>> = (0..batches)
        .map(|n| Arc::new(Batch { events: (0..batch).map(|m| event(n * batch + m)).collect(), ..Batch::default() }))
        .collect();
    let start = Instant::now();
    for batch in work {
        store.commit(batch).await?;
    }
    Ok((batch * batches) as f64 / start.elapsed().as_secs_f64())
}

/// The same bytes in a table of the same columns and with the same index, serialised beforehand.
fn through_sqlite(batch: usize, batches: usize) -> Result<f64> {
    let dir = scratch()?;
    let mut db = Connection::open(dir.path().join("bare.db"))?;
    db.pragma_update(None, "journal_mode", "WAL")?;
    db.pragma_update(None, "synchronous", "FULL")?;
    db.execute_batch(
        "CREATE TABLE events (seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, task INTEGER, kind TEXT NOT NULL,
             event TEXT NOT NULL, hash BLOB NOT NULL) STRICT;
         CREATE INDEX events_by_task ON events (task, seq);",
    )?;
    let rows: Vec<String> = (0..batch * batches).map(|n| serde_json::to_string(&event(n))).collect::<Result<_, _>>()?;
    let start = Instant::now();
    for rows in rows.chunks(batch) {
        let write = db.transaction()?;
        let mut insert = write
            .prepare_cached("INSERT INTO events(at_ms, task, kind, event, hash) VALUES (?1, 1, 'metered', ?2, ?3)")?;
        for row in rows {
            insert.execute(params![0, row, [0_u8; 32].as_slice()])?;
        }
        drop(insert);
        write.commit()?;
    }
    Ok((batch * batches) as f64 / start.elapsed().as_secs_f64())
}
