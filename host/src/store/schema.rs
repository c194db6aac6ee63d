//! Tables, and how older ones become newer ones. A backup precedes every migration.

use super::StoreError;
use rusqlite::Connection;
use std::path::Path;

/// Each entry brings the format from its index to the next; never edited once released.
const MIGRATIONS: [&str; 1] = ["
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
"];

/// Format this program writes.
pub(super) const FORMAT: i64 = MIGRATIONS.len() as i64;

pub(super) fn migrate(db: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let found = check_version(db)?;
    if found == FORMAT {
        return Ok(());
    }
    if found > 0 {
        let copy = path.with_extension(format!("v{found}.backup.db"));
        db.backup("main", &copy, None::<fn(rusqlite::backup::Progress)>)
            .map_err(|error| StoreError::Backup(error.to_string()))?;
    }
    let write = db.transaction().map_err(StoreError::Write)?;
    for migration in &MIGRATIONS[found as usize..] {
        write.execute_batch(migration).map_err(StoreError::Write)?;
    }
    write.pragma_update(None, "user_version", FORMAT).map_err(StoreError::Write)?;
    write.commit().map_err(StoreError::Write)
}

/// Format of the file; a newer one than ours is an error.
pub(super) fn check_version(db: &Connection) -> Result<i64, StoreError> {
    let found = db.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(StoreError::Read)?;
    if found > FORMAT { Err(StoreError::Newer { found, known: FORMAT }) } else { Ok(found) }
}
