//! How much of a work tree is taken.

/// How much of a work tree is taken; what lies beyond is left behind and makes the collection incomplete. A commit of more than that many
/// entries, or bytes, is not written at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Files, links and folders looked at; a folder of more than are left is not entered.
    pub entries: u64,
    /// Files changed by one stage.
    pub changed_files: u64,
    /// Bytes of all changed files.
    pub changed_bytes: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Bytes of files read, changed or not: a sparse file costs the agent nothing and the reader its full length.
    pub read_bytes: u64,
    /// Bytes of the names of all changed files, which an event keeps.
    pub name_bytes: u64,
    /// Bytes of one artefact.
    pub artefact_bytes: u64,
    /// Bytes of all files of a commit that is written into a directory.
    pub tree_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            entries: 2_000_000,
            changed_files: 100_000,
            changed_bytes: 1 << 30,
            file_bytes: 100 << 20,
            read_bytes: 16 << 30,
            name_bytes: 16 << 20,
            artefact_bytes: 8 << 20,
            tree_bytes: 16 << 30,
        }
    }
}
