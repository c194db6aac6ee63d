//! A journal of an earlier format, as a host of then left it (`recorded/`), in the hands of this one.

use super::sqlite::Sqlite;
use crate::journal::Batch;
use borg_core::{
    event::{Body, Event},
    id::{EffectKey, TaskId},
    owner::Owner,
    step::Durable,
    task::Status,
};
use rusqlite::Connection;
use std::fs;

const RECORDED: &str = include_str!("recorded/v5.sql");

fn rows(db: &Connection, sql: &str) -> Vec<String> {
    let mut query = db.prepare(sql).unwrap();
    let rows = query.query_map([], |row| row.get::<_, String>(0)).unwrap();
    rows.collect::<Result<_, _>>().unwrap()
}

#[test]
fn a_journal_of_tasks_alone_becomes_one_of_owners_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let events = "SELECT event FROM events ORDER BY seq";
    let effects = "SELECT effect FROM effects ORDER BY ordinal";
    let recorded = Connection::open(&path).unwrap();
    recorded.execute_batch(RECORDED).unwrap();
    let before = (rows(&recorded, events), rows(&recorded, effects));
    drop(recorded);

    let mut journal = Sqlite::open(&path).unwrap();
    let backup = Connection::open(dir.path().join("journal.v5.backup.db")).unwrap();
    assert_eq!((rows(&backup, events), rows(&backup, effects)), before, "a copy of it stays as it was");
    // What was written stays as it was, byte for byte, and is read in the form it had.
    assert_eq!((rows(&journal.db, events), rows(&journal.db, effects)), before);
    assert_eq!(journal.verify().unwrap(), None);
    assert_eq!(journal.events(0, None, 1_000).unwrap().len(), before.0.len());

    let loaded = journal.load().unwrap();
    let status = |id: u64| loaded.state.tasks[&TaskId(id)].status();
    assert_eq!((status(2), status(3), loaded.next_task), (Status::Running, Status::Queued, 4));
    assert_eq!(journal.task(TaskId(1)).unwrap().unwrap().status(), Status::Completed);
    let agent = loaded.state.tasks[&TaskId(2)].agent_run().expect("at work").run;
    assert_eq!(agent.to_string(), "t2-s0-a2-agent", "its container has this name");
    let owed: Vec<_> =
        loaded.owed.iter().map(|effect| (effect.key.0.as_str(), effect.owner, effect.order.run())).collect();
    assert_eq!(owed, [("t2-s0-a2-agent", Owner::Task(TaskId(2)), Some(agent))]);
    let ledger = journal.ledger(TaskId(2).into()).unwrap();
    assert_eq!((ledger.len(), ledger[0].row["cost-micros"].as_u64()), (1, Some(1200)));

    // What is known of their work and tests was in their rows then. Written again, it lies apart, and is the same.
    let whole = journal.task(TaskId(1)).unwrap().unwrap();
    assert_eq!((whole.records.len(), whole.evidence.len(), whole.required.len(), whole.timed.len()), (3, 2, 4, 3));
    let durable = Durable { tasks: vec![whole.clone()], ..Durable::default() };
    journal.commit(&Batch { durable, ..Batch::default() }).unwrap();
    assert_eq!(journal.task(TaskId(1)).unwrap().as_ref(), Some(&whole));
    let row = "SELECT json_extract(task, '$.records') FROM tasks WHERE id = 1";
    assert_eq!(rows(&journal.db, row), ["[]"]);

    // And it goes on: what settles the effect of then strikes it off.
    let settled = Event {
        at_ms: 1,
        owner: agent.owner,
        settles: Some(EffectKey(agent.to_string())),
        body: Body::Answer(borg_core::event::Answer::Forgotten { run: agent }),
    };
    journal.commit(&Batch { events: vec![settled], ..Batch::default() }).unwrap();
    assert_eq!(journal.owed().unwrap(), []);
    assert_eq!(journal.verify().unwrap(), None);
    drop(journal);
    // Opened again it is as it is: one migration, one backup.
    fs::remove_file(dir.path().join("journal.v5.backup.db")).unwrap();
    drop(Sqlite::open(&path).unwrap());
    assert!(!dir.path().join("journal.v5.backup.db").exists());
}
