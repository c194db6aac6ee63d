//! The journal and the lock, tried by those who would bend them.

use super::{sqlite::Sqlite, *};
use borg_core::{
    chat::{Document, Notice, NoticeKind, Part},
    effect::{Audience, Order, TellOrder},
    event::{Answer, Body, Event, HostEvent, Meanwhile},
    id::{EffectKey, RunKey},
    kept::Kept,
    step::Durable,
};
use rusqlite::Connection;
use std::fs::Permissions;

fn event(body: Body) -> Event {
    Event { at_ms: 1, owner: Owner::Host, settles: None, body }
}

fn refused(text: &str) -> Event {
    event(Body::Host(HostEvent::PolicyRefused { reason: text.into() }))
}

#[test]
fn a_changed_or_missing_event_breaks_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let mut journal = Sqlite::open(&path).unwrap();
    let batch = Batch { events: vec![refused("one"), refused("two"), refused("three")], ..Batch::default() };
    assert_eq!(journal.commit(&batch).unwrap(), 3);
    assert_eq!(journal.verify().unwrap(), None);
    journal.db.execute("UPDATE events SET event = replace(event, 'two', 'tvo') WHERE seq = 2", []).unwrap();
    assert_eq!(journal.verify().unwrap().unwrap().seq, 2);
    journal.db.execute("UPDATE events SET event = replace(event, 'tvo', 'two') WHERE seq = 2", []).unwrap();
    assert_eq!(journal.verify().unwrap(), None);
    journal.db.execute("DELETE FROM events WHERE seq = 2", []).unwrap();
    assert_eq!(journal.verify().unwrap().unwrap().seq, 3);
}

#[test]
fn texts_live_beside_the_chain_and_can_be_deleted() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Sqlite::open(&dir.path().join("journal.db")).unwrap();
    let run = "t1-s0-a1-agent".parse().unwrap();
    let events = Kept::new("a secret thought");
    let body =
        Body::Meanwhile(Meanwhile::Progressed { run, line: 1, state: String::new(), events: events.clone(), turns: 1 });
    journal.commit(&Batch { events: vec![event(body.clone())], ..Batch::default() }).unwrap();
    let stored: String = journal.db.query_row("SELECT event FROM events", [], |row| row.get(0)).unwrap();
    assert!(!stored.contains("secret"), "{stored}");
    assert_eq!(journal.events(0, None, 10).unwrap()[0].event.body, body);
    journal.db.execute("DELETE FROM texts", []).unwrap();
    assert_eq!(journal.verify().unwrap(), None);
    let Body::Meanwhile(Meanwhile::Progressed { events: read, .. }) =
        &journal.events(0, None, 10).unwrap()[0].event.body
    else {
        panic!()
    };
    assert_eq!((read.digest, read.text.as_str()), (events.digest, ""));
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let journal = Sqlite::open(&path).unwrap();
    journal.db.pragma_update(None, "user_version", 99).unwrap();
    drop(journal);
    assert!(matches!(Sqlite::open(&path), Err(OpenError::Newer { found: 99, .. })));
    assert!(matches!(Sqlite::open_read_only(&path), Err(OpenError::Newer { found: 99, .. })));
}

#[test]
fn one_host_per_data_directory_and_none_on_a_copy() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let lock = DataLock::take(&data).unwrap();
    assert!(matches!(DataLock::take(&data), Err(LockError::Taken { .. })));
    let id = lock.installation().to_owned();
    let copy = dir.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::copy(data.join("installation.json"), copy.join("installation.json")).unwrap();
    assert!(matches!(DataLock::take(&copy), Err(LockError::Copied { .. })));
    drop(lock);
    let moved = dir.path().join("moved");
    std::fs::rename(&data, &moved).unwrap();
    assert_eq!(DataLock::take(&moved).unwrap().installation(), id);
}

/// A notice with every kind of part; some have fields of their own called `text`.
fn notice() -> Notice {
    Notice {
        chat: "console:terminal".into(),
        kind: NoticeKind::Final,
        topic: "t1".into(),
        parts: vec![
            Part::Text("words".into()),
            Part::Code { language: "sh".into(), text: "true".into() },
            Part::Field { label: "a".into(), value: "b".into() },
        ],
        buttons: Vec::new(),
        document: Some(Document { name: "answer.md".into(), text: "forty-two".into() }),
        replaces: None,
        reply_to: None,
        silent: false,
        width: 0,
    }
}

#[test]
fn a_text_that_does_not_fit_its_digest_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Sqlite::open(&dir.path().join("journal.db")).unwrap();
    let run = "t1-s0-a1-agent".parse().unwrap();
    let progressed =
        |events| event(Body::Meanwhile(Meanwhile::Progressed { run, line: 1, state: String::new(), events, turns: 1 }));
    let lie = Kept { text: "another".into(), ..Kept::new("one") };
    let batch = Batch { events: vec![refused("before"), progressed(lie)], ..Batch::default() };
    assert!(matches!(journal.commit(&batch), Err(JournalError::Damaged(_))));
    assert_eq!(journal.last_seq().unwrap(), 0);
    // One that is gone already is none.
    let batch = Batch { events: vec![progressed(Kept::new("gone").without_text())], ..Batch::default() };
    journal.commit(&batch).unwrap();
    journal.commit(&Batch { events: vec![progressed(Kept::new("kept"))], ..Batch::default() }).unwrap();
    assert_eq!(journal.verify().unwrap(), None);
    journal.db.execute("UPDATE texts SET text = 'swapped'", []).unwrap();
    assert!(matches!(journal.verify(), Err(JournalError::Damaged(_))));
}

fn owed(key: &str) -> Effect {
    Effect {
        key: EffectKey(key.into()),
        owner: TaskId(1).into(),
        order: Order::Tell(TellOrder { notice: Box::new(notice()), audience: Audience::Chat }),
    }
}

#[test]
fn a_full_disk_takes_all_of_a_batch_or_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let mut journal = Sqlite::open(&path).unwrap();
    journal.commit(&Batch { events: vec![refused("before")], owed: vec![owed("a")], ..Batch::default() }).unwrap();
    let pages: i64 = journal.db.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = |journal: &Sqlite, pages: i64| {
        journal.db.query_row(&format!("PRAGMA max_page_count = {pages}"), [], |_| Ok(())).unwrap();
    };
    limit(&journal, pages);
    let settled = Event { settles: Some(EffectKey("a".into())), ..refused(&"x".repeat(200_000)) };
    let batch = Batch {
        events: vec![refused("small"), settled],
        owed: vec![owed("b")],
        durable: Durable { paused: Some(true), ..Durable::default() },
        policies: vec![(Digest::of_bytes(b"p"), Vec::new())],
        ..Batch::default()
    };
    for _ in 0..3 {
        let error = journal.commit(&batch).unwrap_err();
        assert!(error.is_passing(), "{error:?}");
        assert_eq!(journal.last_seq().unwrap(), 1);
        assert_eq!(journal.owed().unwrap(), [owed("a")]);
        assert!(!journal.is_paused().unwrap());
        assert_eq!(rows::policy(&journal.db, &Digest::of_bytes(b"p")).unwrap(), None);
        assert_eq!(journal.verify().unwrap(), None);
    }
    limit(&journal, 1 << 20);
    assert_eq!(journal.commit(&batch).unwrap(), 3);
    assert_eq!(journal.owed().unwrap(), [owed("b")]);
    assert!(journal.is_paused().unwrap());
    assert_eq!(journal.verify().unwrap(), None);
    drop(journal);
    assert_eq!(Sqlite::open(&path).unwrap().verify().unwrap(), None);
}

#[test]
fn what_cannot_get_better_by_waiting_is_no_full_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Sqlite::open(&dir.path().join("journal.db")).unwrap();
    journal.db.execute("DROP TABLE events", []).unwrap();
    let error = journal.commit(&Batch { events: vec![refused("x")], ..Batch::default() }).unwrap_err();
    assert!(matches!(error, JournalError::Write { .. }) && !error.is_passing(), "{error:?}");
}

#[test]
fn nobody_else_may_read_what_was_said() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    std::fs::create_dir(&data).unwrap();
    std::fs::set_permissions(&data, Permissions::from_mode(0o755)).unwrap();
    std::fs::write(data.join("journal.db"), "").unwrap();
    std::fs::set_permissions(data.join("journal.db"), Permissions::from_mode(0o644)).unwrap();
    let _lock = DataLock::take(&data).unwrap();
    let mut journal = Sqlite::open(&data.join("journal.db")).unwrap();
    journal.commit(&Batch { events: vec![refused("x")], ..Batch::default() }).unwrap();
    for (name, mode) in [("", 0o700), ("journal.db", 0o600), ("journal.db-wal", 0o600), ("journal.db-shm", 0o600)] {
        let found = std::fs::metadata(data.join(name)).unwrap().permissions().mode() & 0o777;
        assert_eq!(found, mode, "{name}: {found:o}");
    }
}

#[test]
fn the_root_of_another_volume_is_a_copy_although_its_inode_is_the_same() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    drop(DataLock::take(&data).unwrap());
    let file = data.join("installation.json");
    let mut identity: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    if identity["born_ns"].is_null() {
        // This file system does not say when a directory was made.
        return;
    }
    identity["path"] = "/elsewhere".into();
    std::fs::write(&file, identity.to_string()).unwrap();
    drop(DataLock::take(&data).unwrap());
    identity["born_ns"] = 1.into();
    std::fs::write(&file, identity.to_string()).unwrap();
    assert!(matches!(DataLock::take(&data), Err(LockError::Copied { .. })));
}

#[test]
fn a_restored_directory_keeps_its_identity() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let id = DataLock::take(&data).unwrap().installation().to_owned();
    let identity = std::fs::read(data.join("installation.json")).unwrap();
    std::fs::rename(&data, dir.path().join("old")).unwrap();
    std::fs::create_dir(&data).unwrap();
    std::fs::write(data.join("installation.json"), identity).unwrap();
    assert_eq!(DataLock::take(&data).unwrap().installation(), id);
}

#[test]
fn what_an_agent_said_can_be_deleted_wherever_it_is_quoted() {
    use borg_core::{
        budget::Usage,
        executor::{EndCause, Outcome, OutcomeStatus, RunEnd},
    };
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Sqlite::open(&dir.path().join("journal.db")).unwrap();
    let outcome = Outcome {
        status: OutcomeStatus::Completed,
        message: "a secret thought".into(),
        session: None,
        usage: Usage::default(),
        claimed_cost_micros: None,
        turns: None,
        retry_after_ms: None,
    };
    let end = RunEnd { cause: EndCause::Exited, exit_code: Some(0), stderr_tail: "a secret sigh".into() };
    let run = "t1-s0-a1-agent".parse().unwrap();
    let quoting = Notice { parts: vec![Part::Text("it says: a secret thought".into())], ..notice() };
    let bodies = [
        Body::Answer(Answer::RunEnded { run, end, outcome, wall_ms: 1, start_error: None }),
        Body::Answer(Answer::Told { notice: Box::new(quoting) }),
    ];
    let events = bodies.iter().cloned().map(event).collect();
    journal.commit(&Batch { events, ..Batch::default() }).unwrap();
    let read = |journal: &Sqlite| -> Vec<Body> {
        journal.events(0, None, 10).unwrap().into_iter().map(|recorded| recorded.event.body).collect()
    };
    assert_eq!(read(&journal), bodies);
    let inside: i64 =
        journal.db.query_row("SELECT COUNT(*) FROM events WHERE event LIKE '%secret%'", [], |row| row.get(0)).unwrap();
    assert_eq!(inside, 0);
    journal.db.execute("DELETE FROM texts", []).unwrap();
    assert_eq!(journal.verify().unwrap(), None);
    assert!(!format!("{:?}", read(&journal)).contains("secret"));
}

#[test]
fn a_row_of_the_ledger_and_its_spending_are_one() {
    use borg_core::budget::{MicroUsd, Spent};
    let dir = tempfile::tempdir().unwrap();
    let mut journal = Sqlite::open(&dir.path().join("journal.db")).unwrap();
    let run: RunKey = "t1-s0-a1-agent".parse().unwrap();
    let spent = Spent { turns: 1, cost: MicroUsd(7), ..Spent::default() };
    let batch = || Batch {
        events: vec![event(Body::Meanwhile(Meanwhile::Metered { run, spent, estimated: false, request: None }))],
        rows: vec![LedgerRow {
            at_ms: 1,
            owner: run.owner,
            run: run.to_string(),
            row: serde_json::json!({ "cost-micros": 7 }),
        }],
        ..Batch::default()
    };
    let there = |journal: &Sqlite| (journal.ledger(run.owner).unwrap().len(), journal.last_seq().unwrap());
    // Whatever is written first, what comes after it fails.
    for table in ["ledger", "events"] {
        let stops =
            format!("CREATE TEMP TRIGGER stops AFTER INSERT ON {table} BEGIN SELECT RAISE(ABORT, 'killed'); END");
        journal.db.execute_batch(&stops).unwrap();
        assert!(matches!(journal.commit(&batch()), Err(JournalError::Write { .. })), "{table}");
        journal.db.execute_batch("DROP TRIGGER stops").unwrap();
        assert_eq!(there(&journal), (0, 0), "{table}");
    }
    journal.commit(&batch()).unwrap();
    assert_eq!(there(&journal), (1, 1));
    assert_eq!(journal.verify().unwrap(), None);
}

#[test]
fn what_is_known_of_a_task_is_written_when_it_has_changed_and_not_with_every_event() {
    let recorded = Connection::open_in_memory().unwrap();
    recorded.execute_batch(include_str!("recorded/v5.sql")).unwrap();
    let text: String = recorded.query_row("SELECT task FROM tasks WHERE id = 2", [], |row| row.get(0)).unwrap();
    let mut task: Task = serde_json::from_str(&text).unwrap();
    task.required = (0..5_000).map(|n| format!("tests.test_total.Total.test_{n:050}")).collect();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let mut journal = Sqlite::open(&path).unwrap();
    let batch = |task: &Task| Batch {
        events: vec![refused("something happened")],
        durable: Durable { tasks: vec![task.clone()], ..Durable::default() },
        ..Batch::default()
    };
    // One that failed has written nothing: what is written next knows that.
    journal
        .db
        .execute_batch("CREATE TEMP TRIGGER stops BEFORE INSERT ON facts BEGIN SELECT RAISE(ABORT, 'x'); END")
        .unwrap();
    journal.commit(&batch(&task)).unwrap_err();
    journal.db.execute_batch("DROP TRIGGER stops").unwrap();
    journal.commit(&batch(&task)).unwrap();
    assert_eq!(journal.task(task.id()).unwrap().as_ref(), Some(&task));
    journal
        .db
        .execute_batch("CREATE TEMP TRIGGER stops BEFORE INSERT ON facts BEGIN SELECT RAISE(ABORT, 'x'); END")
        .unwrap();
    task.changed_ms += 1;
    task.transients += 1;
    journal.commit(&batch(&task)).unwrap();
    let length: usize = journal.db.query_row("SELECT length(task) FROM tasks", [], |row| row.get(0)).unwrap();
    assert!(length < 8_000, "with every event {length} bytes");
    assert_eq!(journal.task(task.id()).unwrap().as_ref(), Some(&task));
    task.required.push("another".into());
    journal.commit(&batch(&task)).unwrap_err();
    journal.db.execute_batch("DROP TRIGGER stops").unwrap();
    journal.commit(&batch(&task)).unwrap();
    drop(journal);
    // The next process finds it whole.
    let found = Sqlite::open(&path).unwrap().load().unwrap().state.tasks;
    assert_eq!(found.into_values().collect::<Vec<_>>(), [task]);
}
