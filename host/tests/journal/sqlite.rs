//! The journal in one SQLite file (`src/store/`).

use crate::kind::Kind;
use borg_host::{journal::Reads, store::Store};
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

pub struct Sqlite;

/// A trigger in the file: replies are written last.
pub struct Trigger(PathBuf);

impl Trigger {
    fn execute(&self, sql: &str) {
        Connection::open(&self.0).unwrap().execute_batch(sql).unwrap();
    }
}

impl Drop for Trigger {
    fn drop(&mut self) {
        self.execute("DROP TRIGGER hinders");
    }
}

impl Kind for Sqlite {
    const NAME: &'static str = "sqlite_store";

    type Journal = Store;
    type Hindrance = Trigger;

    async fn open(folder: &Path) -> Store {
        Store::open(folder).unwrap()
    }

    async fn look(folder: &Path) -> Arc<dyn Reads> {
        Store::open_read_only(folder).unwrap()
    }

    fn hinder(folder: &Path) -> Trigger {
        let trigger = Trigger(Store::file(folder));
        trigger.execute(
            "CREATE TRIGGER hinders AFTER INSERT ON replies BEGIN SELECT RAISE(ABORT, 'something is in the way'); END",
        );
        trigger
    }
}
