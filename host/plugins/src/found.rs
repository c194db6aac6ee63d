//! What lies in a folder of plugins, before it is loaded.

use crate::manifest::Manifest;
use borg_core::id::Digest;
use std::path::PathBuf;

/// A manifest with its component, kept in the cache, not yet compiled.
pub(crate) struct Found {
    /// The manifest's file.
    pub(crate) path: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) manifest_text: String,
    pub(crate) digest: Digest,
    /// It lies in a folder of what came with the program.
    pub(crate) is_shipped: bool,
    pub(crate) overrides: Option<PathBuf>,
}
