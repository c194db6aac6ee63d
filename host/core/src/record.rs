//! What an accepted stage left behind: its commit, and what its agent did to get there.

use crate::{
    collect::{Artefact, CommitId, LeftBehind},
    facts::StageCommit,
};
use serde::{Deserialize, Serialize};

/// What an accepted stage left.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageRecord {
    pub stage: String,
    pub persona: String,
    /// Attempt that was accepted.
    pub attempt: u32,
    /// Commit of the stage; the one before when it changed nothing.
    pub commit: CommitId,
    pub changed: Vec<String>,
    pub write: Vec<String>,
    /// Paths pinned by earlier stages.
    pub protected: Vec<String>,
    pub left_behind: Vec<LeftBehind>,
    /// Why the collection is not whole; any entry leads to review.
    pub incomplete: Vec<String>,
    pub artefacts: Vec<Artefact>,
}

impl StageRecord {
    /// What the rules are told of it.
    pub fn commit(&self) -> StageCommit {
        StageCommit {
            stage: self.stage.clone(),
            persona: self.persona.clone(),
            write: self.write.clone(),
            protected: self.protected.clone(),
            paths: self.changed.clone(),
            left_behind: self.left_behind.clone(),
            refused: Vec::new(),
        }
    }
}
