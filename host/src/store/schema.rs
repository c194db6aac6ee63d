//! Tables, and how older ones become newer ones. A backup precedes every migration.

use super::{
    OpenError,
    error::{unread, unwritten},
};
use crate::journal::JournalError;
use borg_core::event::EVENT_VERSION;
use rusqlite::Connection;
use std::path::Path;

/// Each entry brings the format from its index to the next; never edited once released.
const MIGRATIONS: [&str; 7] = [
    "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE events (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    task INTEGER,
    kind TEXT NOT NULL,
    event TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
CREATE INDEX events_by_task ON events (task, seq);
CREATE TABLE texts (digest BLOB PRIMARY KEY, text TEXT NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE tasks (
    id INTEGER PRIMARY KEY,
    status TEXT NOT NULL,
    live INTEGER NOT NULL,
    changed_ms INTEGER NOT NULL,
    task TEXT NOT NULL
) STRICT;
CREATE INDEX tasks_live ON tasks (live) WHERE live = 1;
CREATE TABLE effects (key TEXT PRIMARY KEY, task INTEGER NOT NULL, ordinal INTEGER NOT NULL, effect TEXT NOT NULL) STRICT;
CREATE TABLE policies (digest BLOB PRIMARY KEY, sources TEXT NOT NULL) STRICT;
CREATE TABLE ledger (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    task INTEGER NOT NULL,
    run TEXT NOT NULL,
    row TEXT NOT NULL
) STRICT;
CREATE INDEX ledger_by_task ON ledger (task, id);
",
    "-- Events of version 2 begin here: an older program cannot read them.",
    "
CREATE TABLE cursors (transport TEXT PRIMARY KEY, cursor INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE updates (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    transport TEXT NOT NULL,
    key TEXT NOT NULL,
    chat TEXT NOT NULL,
    body TEXT NOT NULL,
    answered_ms INTEGER,
    UNIQUE (transport, key)
) STRICT;
CREATE INDEX updates_waiting ON updates (transport, id) WHERE answered_ms IS NULL;
CREATE INDEX updates_answered ON updates (transport, answered_ms) WHERE answered_ms IS NOT NULL;
CREATE TABLE posts (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    transport TEXT NOT NULL,
    key TEXT NOT NULL,
    chat TEXT NOT NULL,
    topic TEXT,
    body TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 0,
    attempts INTEGER NOT NULL DEFAULT 0,
    not_before_ms INTEGER NOT NULL DEFAULT 0,
    settled_ms INTEGER,
    receipt TEXT,
    dropped TEXT
) STRICT;
CREATE INDEX posts_unsent ON posts (transport, id) WHERE settled_ms IS NULL;
CREATE INDEX posts_unsent_topic ON posts (transport, chat, topic) WHERE settled_ms IS NULL AND topic IS NOT NULL;
CREATE INDEX posts_settled ON posts (settled_ms) WHERE settled_ms IS NOT NULL;
CREATE TABLE post_keys (
    transport TEXT NOT NULL,
    key TEXT NOT NULL,
    post INTEGER NOT NULL REFERENCES posts (id) ON DELETE CASCADE,
    PRIMARY KEY (transport, key)
) STRICT, WITHOUT ROWID;
CREATE INDEX post_keys_of_post ON post_keys (post);
CREATE TABLE topics (
    transport TEXT NOT NULL,
    chat TEXT NOT NULL,
    topic TEXT NOT NULL,
    receipt TEXT NOT NULL,
    PRIMARY KEY (transport, chat, topic)
) STRICT, WITHOUT ROWID;
CREATE TABLE replies (key TEXT PRIMARY KEY, reply TEXT NOT NULL, at_ms INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE INDEX replies_by_age ON replies (at_ms);
",
    "
-- Events of version 3 begin here: an older program cannot read them.
CREATE INDEX tasks_by_change ON tasks (changed_ms);
ALTER TABLE posts ADD COLUMN about INTEGER;
CREATE INDEX posts_by_receipt ON posts (transport, chat, receipt) WHERE about IS NOT NULL AND receipt IS NOT NULL;
CREATE INDEX posts_unsent_chat ON posts (transport, chat, id) WHERE settled_ms IS NULL;
",
    "
-- Events of version 4 begin here: an older program cannot read them.
CREATE TABLE offers (
    transport TEXT NOT NULL,
    chat TEXT NOT NULL,
    receipt TEXT NOT NULL,
    action TEXT NOT NULL,
    label TEXT NOT NULL,
    about INTEGER,
    until_ms INTEGER NOT NULL,
    PRIMARY KEY (transport, chat, receipt, action, label)
) STRICT, WITHOUT ROWID;
CREATE INDEX offers_by_age ON offers (until_ms);
CREATE TABLE asked_back (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    key TEXT NOT NULL UNIQUE,
    asker TEXT NOT NULL,
    chat TEXT NOT NULL,
    person TEXT NOT NULL,
    role TEXT NOT NULL,
    until_ms INTEGER NOT NULL
) STRICT;
ALTER TABLE tasks ADD COLUMN holds INTEGER NOT NULL DEFAULT 0;
CREATE INDEX tasks_holding ON tasks (id) WHERE holds > 0;
",
    "
-- Events of version 5 begin here: an older program cannot read them.
-- What is owed and what was asked for belongs to an owner: a task is one, by its text.
CREATE TABLE effects_6 (key TEXT PRIMARY KEY, owner TEXT NOT NULL, ordinal INTEGER NOT NULL, effect TEXT NOT NULL) STRICT;
INSERT INTO effects_6 SELECT key, 't' || task, ordinal, effect FROM effects;
DROP TABLE effects;
ALTER TABLE effects_6 RENAME TO effects;
CREATE TABLE ledger_6 (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at_ms INTEGER NOT NULL,
    owner TEXT NOT NULL,
    run TEXT NOT NULL,
    row TEXT NOT NULL
) STRICT;
INSERT INTO ledger_6 SELECT id, at_ms, 't' || task, run, row FROM ledger;
DROP TABLE ledger;
ALTER TABLE ledger_6 RENAME TO ledger;
CREATE INDEX ledger_by_owner ON ledger (owner, id);
",
    "
-- From here on a task's facts lie apart from its row, once either was written again: an older program would not find them.
CREATE TABLE facts (id INTEGER PRIMARY KEY, facts TEXT NOT NULL) STRICT;
",
];

/// Whoever cannot read the events must not open the file either.
const _: () =
    assert!(MIGRATIONS.len() >= EVENT_VERSION as usize, "a new version of events comes with a new format of the file");

pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), OpenError> {
    migrate_by(&MIGRATIONS, db, path)
}

fn migrate_by(migrations: &[&str], db: &mut Connection, path: &Path) -> Result<(), OpenError> {
    let found = check_version_of(migrations, db)?;
    if found == migrations.len() {
        return Ok(());
    }
    if found > 0 {
        let copy = path.with_extension(format!("v{found}.backup.db"));
        db.backup("main", &copy, None::<fn(rusqlite::backup::Progress)>)
            .map_err(|error| OpenError::Backup(error.to_string()))?;
    }
    let write = db.transaction().map_err(unwritten)?;
    for migration in &migrations[found..] {
        write.execute_batch(migration).map_err(unwritten)?;
    }
    write.pragma_update(None, "user_version", migrations.len() as i64).map_err(unwritten)?;
    Ok(write.commit().map_err(unwritten)?)
}

/// Format of the file; a newer one than ours is an error.
pub(super) fn check_version(db: &Connection) -> Result<usize, OpenError> {
    check_version_of(&MIGRATIONS, db)
}

fn check_version_of(migrations: &[&str], db: &Connection) -> Result<usize, OpenError> {
    let found: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(unread)?;
    let known = migrations.len();
    match usize::try_from(found) {
        Ok(format) if format <= known => Ok(format),
        Ok(_) => Err(OpenError::Newer { found, known: known as i64 }),
        Err(_) => Err(JournalError::Damaged(format!("its format is {found}")).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_migration_keeps_what_was_there_and_a_backup_of_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let mut db = Connection::open(&path).unwrap();
        let (first, second) = ("CREATE TABLE a (x INTEGER) STRICT", "ALTER TABLE a ADD COLUMN y INTEGER");
        migrate_by(&[first], &mut db, &path).unwrap();
        db.execute("INSERT INTO a(x) VALUES (7)", []).unwrap();
        migrate_by(&[first, second], &mut db, &path).unwrap();
        let row: (i64, Option<i64>) =
            db.query_row("SELECT x, y FROM a", [], |row| Ok((row.get(0)?, row.get(1)?))).unwrap();
        assert_eq!(row, (7, None));
        let backup = Connection::open(dir.path().join("journal.v1.backup.db")).unwrap();
        assert_eq!(check_version_of(&[first, second], &backup).unwrap(), 1);
        assert_eq!(backup.query_row("SELECT * FROM a", [], |row| row.get::<_, i64>(0)).unwrap(), 7);
    }

    #[test]
    fn every_format_there_was_becomes_the_newest_and_works() {
        use crate::{mail::Outgoing, store::sqlite::Sqlite};
        for old in 1..MIGRATIONS.len() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("journal.db");
            let mut db = Connection::open(&path).unwrap();
            migrate_by(&MIGRATIONS[..old], &mut db, &path).unwrap();
            db.execute("INSERT INTO meta(key, value) VALUES ('paused', 'true')", []).unwrap();
            drop(db);
            let mut journal = Sqlite::open(&path).unwrap();
            assert!(journal.is_paused().unwrap(), "format {old}");
            assert_eq!(journal.verify().unwrap(), None);
            assert_eq!(journal.cursor("telegram").unwrap(), None);
            let post = Outgoing { key: "a".into(), chat: "1".into(), about: None, topic: None, post: "{}".into() };
            journal.enqueue("telegram", &[post]).unwrap();
            assert_eq!(journal.unsent("telegram", 0, 9).unwrap().len(), 1);
            assert_eq!(journal.reply("b").unwrap(), None);
            let backup = Connection::open(path.with_extension(format!("v{old}.backup.db"))).unwrap();
            assert_eq!(check_version(&backup).unwrap(), old);
        }
    }

    #[test]
    fn a_migration_that_fails_changes_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("journal.db");
        let mut db = Connection::open(&path).unwrap();
        let first = "CREATE TABLE a (x INTEGER) STRICT";
        migrate_by(&[first], &mut db, &path).unwrap();
        let broken = [first, "CREATE TABLE b (x INTEGER) STRICT", "CREATE NONSENSE"];
        migrate_by(&broken, &mut db, &path).unwrap_err();
        assert_eq!(check_version_of(&broken, &db).unwrap(), 1);
        db.query_row("SELECT * FROM b", [], |_| Ok(())).unwrap_err();
    }

    #[test]
    fn a_format_that_makes_no_sense_is_no_panic() {
        let mut db = Connection::open_in_memory().unwrap();
        db.pragma_update(None, "user_version", -3).unwrap();
        assert!(matches!(migrate(&mut db, Path::new("journal.db")), Err(OpenError::Journal(JournalError::Damaged(_)))));
    }
}
