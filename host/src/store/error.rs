//! What SQLite says, in the journal's words.

use crate::journal::JournalError;
use std::{io, path::PathBuf};

/// Why a journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the journal {path} could not be opened")]
    Open { path: PathBuf, source: Box<dyn std::error::Error + Send + Sync> },
    #[error("the journal {path} could not be made; check that you may write there")]
    Make { path: PathBuf, source: io::Error },
    #[error("the journal was written by a newer borg-host (format {found}, this one knows {known}); run that version")]
    Newer { found: i64, known: i64 },
    #[error("the backup before the migration failed: {0}")]
    Backup(String),
    #[error("the journal's thread could not be started")]
    Thread(#[source] io::Error),
    #[error(transparent)]
    Journal(#[from] JournalError),
}

pub(super) fn unwritten(error: rusqlite::Error) -> JournalError {
    JournalError::Write { is_passing: is_passing(&error), source: Box::new(error) }
}

pub(super) fn unread(error: rusqlite::Error) -> JournalError {
    JournalError::Read { is_passing: is_passing(&error), source: Box::new(error) }
}

/// Reading, too, may need room: for the index of what was written last.
fn is_passing(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode::{CannotOpen, DatabaseBusy, DatabaseLocked, DiskFull, SystemIoFailure};
    matches!(error.sqlite_error_code(), Some(DiskFull | SystemIoFailure | DatabaseBusy | DatabaseLocked | CannotOpen))
}
