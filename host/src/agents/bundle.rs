//! What an installed bundle is, and where it lies.

use borg_core::id::Digest;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// An installed agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    /// Name of the executor it was installed for.
    pub executor: String,
    pub version: String,
    /// Directory to mount at `/opt/agent`.
    pub dir: PathBuf,
    /// SHA-256 over paths and contents of its programs.
    pub digest: Digest,
}

/// What is written beside an unpacked bundle.
#[derive(Serialize, Deserialize)]
pub(super) struct Record {
    pub version: String,
    /// Of the archive it was taken out of.
    pub integrity: String,
    pub digest: Digest,
}

pub(super) const RECORD: &str = "bundle.json";

/// Folder of an executor's bundles below a data directory.
pub(super) fn home(data_dir: &Path, executor: &str) -> PathBuf {
    data_dir.join("agents").join(executor)
}

/// The digest of a bundle: of its programs' paths and SHA-256s, in the order of the paths.
pub(super) fn digest<'a>(programs: impl IntoIterator<Item = (&'a str, [u8; 32])>) -> Digest {
    let mut programs: Vec<_> = programs.into_iter().collect();
    programs.sort_unstable();
    Digest::of_parts(programs.iter().flat_map(|(path, hash)| [path.as_bytes(), &hash[..]]))
}
