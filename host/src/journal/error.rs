//! What can go wrong with a journal that is open, whoever keeps it.

use borg_core::owner::Owner;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why something was not read or written.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    #[error(
        "the journal could not be written; `df` tells whether the disk is full, `borg-host doctor` whether the journal is whole"
    )]
    Write { is_passing: bool, source: Cause },
    #[error("the journal could not be read")]
    Read { is_passing: bool, source: Cause },
    /// A row of a batch: that of the event at this place, or else one of the task's state or of what is owed to it.
    #[error("what came of it is too large for the journal: {bytes} bytes, {most} at most")]
    TooLarge { bytes: usize, most: usize, owner: Owner, event: Option<usize> },
    #[error("a row of the journal is damaged: {0}")]
    Damaged(String),
    /// The keeper is gone; the process is ending.
    #[error("the journal is closed")]
    Stopped,
}

impl JournalError {
    /// True where the same may succeed later: the disk is full, or fails for now.
    pub fn is_passing(&self) -> bool {
        match self {
            JournalError::Write { is_passing, .. } | JournalError::Read { is_passing, .. } => *is_passing,
            JournalError::TooLarge { .. } | JournalError::Damaged(_) | JournalError::Stopped => false,
        }
    }
}
