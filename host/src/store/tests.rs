use super::*;
use borg_core::event::{Body, Kept};

fn event(body: Body) -> Event {
    Event { at_ms: 1, task: None, settles: None, body }
}

fn refused(text: &str) -> Event {
    event(Body::PolicyRefused { reason: text.into() })
}

#[test]
fn a_changed_or_missing_event_breaks_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let mut journal = Journal::open(&path).unwrap();
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
    let mut journal = Journal::open(&dir.path().join("journal.db")).unwrap();
    let run = "t1-s0-a1-agent".parse().unwrap();
    let events = Kept::new("a secret thought");
    let body = Body::Progressed { run, line: 1, state: String::new(), events: events.clone(), turns: 1 };
    journal.commit(&Batch { events: vec![event(body.clone())], ..Batch::default() }).unwrap();
    let stored: String = journal.db.query_row("SELECT event FROM events", [], |row| row.get(0)).unwrap();
    assert!(!stored.contains("secret"), "{stored}");
    assert_eq!(journal.events(0, None, 10).unwrap()[0].event.body, body);
    journal.db.execute("DELETE FROM texts", []).unwrap();
    assert_eq!(journal.verify().unwrap(), None);
    let Body::Progressed { events: read, .. } = &journal.events(0, None, 10).unwrap()[0].event.body else { panic!() };
    assert_eq!((read.digest, read.text.as_str()), (events.digest, ""));
}

#[test]
fn a_newer_format_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("journal.db");
    let journal = Journal::open(&path).unwrap();
    journal.db.pragma_update(None, "user_version", 99).unwrap();
    drop(journal);
    assert!(matches!(Journal::open(&path), Err(StoreError::Newer { found: 99, .. })));
    assert!(matches!(Journal::open_read_only(&path), Err(StoreError::Newer { found: 99, .. })));
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
