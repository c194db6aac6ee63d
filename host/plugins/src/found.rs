//! What lies in a folder of plugins, before it is loaded.

use crate::manifest::Manifest;
use borg_core::{bundle::Recipe, id::Digest};
use std::path::PathBuf;

/// A manifest with its component, not yet compiled.
pub(crate) struct Found {
    /// The manifest's file.
    pub(crate) path: PathBuf,
    pub(crate) manifest: Manifest,
    pub(crate) manifest_text: String,
    pub(crate) digest: Digest,
    /// What an executor brings that asks for a bundle; none where only the component was kept.
    pub(crate) recipe: Option<Recipe>,
    /// It lies in a folder of what came with the program.
    pub(crate) is_shipped: bool,
    pub(crate) overrides: Option<PathBuf>,
}
