//! What collection found in a dead sandbox's work tree. Who collects is `host/src/workspace/`.

use crate::id::Digest;
use serde::{Deserialize, Serialize};

/// Hex object id of a Git commit (SHA-1 or SHA-256 form).
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CommitId(pub String);

impl std::fmt::Display for CommitId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl CommitId {
    /// First ten digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }
}

/// Why a path was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftReason {
    /// No write grant matches it.
    NotGranted,
    /// Pinned by an earlier stage; its pinned content was kept.
    Pinned,
    /// A protection of policy matches it (CI files and the like).
    Protected,
    /// Named like a Git directory.
    GitLookalike,
    /// Neither a regular file nor a symlink.
    NotAFile,
    /// Its mode bits forbid reading.
    Unreadable,
    /// Over a limit of size or count.
    OverLimit,
    /// Its name cannot be kept (not UTF-8 is kept; this is NUL, or longer than 4,096 bytes).
    BadName,
}

impl LeftReason {
    /// The word for it, as the journal and plugins have it.
    pub fn as_str(&self) -> &'static str {
        match self {
            LeftReason::NotGranted => "not-granted",
            LeftReason::Pinned => "pinned",
            LeftReason::Protected => "protected",
            LeftReason::GitLookalike => "git-lookalike",
            LeftReason::NotAFile => "not-a-file",
            LeftReason::Unreadable => "unreadable",
            LeftReason::OverLimit => "over-limit",
            LeftReason::BadName => "bad-name",
        }
    }
}

/// Paths that were written but left behind, folded to their common folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftBehind {
    /// Path, or folder with a trailing `/`; bytes that are not UTF-8 are shown as `\xNN`.
    pub path: String,
    pub reason: LeftReason,
    /// Paths folded into this row.
    pub count: u64,
}

/// A file from `/out` that was declared by the stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Artefact {
    pub name: String,
    /// SHA-256 of its bytes, which are kept in the data directory under this digest.
    pub digest: Digest,
    pub bytes: u64,
}

/// Outcome of one collection.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Collected {
    /// The stage's commit; the parent when nothing changed.
    pub commit: CommitId,
    /// Paths whose content, mode or existence differs from the parent, sorted.
    pub changed: Vec<String>,
    pub left_behind: Vec<LeftBehind>,
    /// Why the collection is not whole; any entry leads to review.
    pub incomplete: Vec<String>,
    pub artefacts: Vec<Artefact>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_and_the_journal_read_the_same_word() {
        use LeftReason::*;
        for reason in [NotGranted, Pinned, Protected, GitLookalike, NotAFile, Unreadable, OverLimit, BadName] {
            assert_eq!(serde_json::to_value(&reason).unwrap(), reason.as_str());
        }
    }
}
