//! Compiled plugins, handed from one test's installation to the next: compiling them takes longer than all the rest of a start.
//!
//! The host itself decides whether it believes what it finds: code is kept by the digests of component, engine and code.

use crate::harness::Host;
use anyhow::{Context, Result};
use std::{
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
};

/// Fills a new installation's cache with what is there.
pub fn before(host: &Host) -> Result<()> {
    link_missing(&kept(), &cache(host)).context("warming the plugin cache")
}

/// Keeps what an installation has compiled.
pub fn after(host: &Host) -> Result<()> {
    link_missing(&cache(host), &kept()).context("keeping compiled plugins")
}

fn cache(host: &Host) -> PathBuf {
    host.data().join("plugins")
}

fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tmp/compiled-plugins")
}

/// Links (or copies) every file that the target lacks. Another test may do the same at the same time.
fn link_missing(from: &Path, to: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    // The host takes no cache that others could have written to.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(to)?;
    for entry in entries {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            link_missing(&entry.path(), &target)?;
        } else if !target.exists() {
            match link(&entry.path(), &target) {
                // Cleared away, or put there, by somebody else meanwhile.
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::AlreadyExists) => {}
                linked => linked?,
            }
        }
    }
    Ok(())
}

/// Links a file, or copies it whole to another file system.
fn link(from: &Path, to: &Path) -> io::Result<()> {
    match fs::hard_link(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let part = to.with_extension(format!("part-{}", std::process::id()));
            fs::copy(from, &part)?;
            fs::rename(part, to)
        }
        linked => linked,
    }
}
