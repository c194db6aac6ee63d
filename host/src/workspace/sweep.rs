//! Clears up what is left when the host is killed: by Git processes lock files, half-written packs and indexes, and quarantines; by the host
//! itself half-written artefacts.

use super::remove::remove_tree;
use std::{fs, io, os::unix::ffi::OsStrExt, path::Path};

/// How the names of artefacts begin that are being written.
pub(super) const PART: &str = ".part-";

/// How the names of our indexes in a mirror begin.
pub(super) const INDEX: &str = "overlay-";

/// True for an index of ours in a mirror, and for its lock.
fn is_index(name: &[u8]) -> bool {
    name.starts_with(INDEX.as_bytes())
}

/// Sweeps all repositories below the data directory. Only for a time when no Git process is at work there.
pub(super) fn sweep(data: &Path) -> io::Result<()> {
    for quarantine in fs::read_dir(data.join("quarantine"))? {
        remove_tree(&quarantine?.path())?;
    }
    for repositories in ["mirrors", "tasks"] {
        for repository in fs::read_dir(data.join(repositories))? {
            let repository = repository?.path();
            remove_files(&repository, |name| name.ends_with(b".lock") || is_index(name), Below::No)?;
            remove_files(&repository.join("refs"), |name| name.ends_with(b".lock"), Below::Yes)?;
            remove_files(&repository.join("objects"), |name| name.starts_with(b"tmp_"), Below::Yes)?;
        }
    }
    remove_files(&data.join("artefacts"), |name| name.starts_with(PART.as_bytes()), Below::No)
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    Yes,
    No,
}

/// Removes the files of a folder of ours whose name says so; a folder that is not there is fine.
fn remove_files(top: &Path, is_left_over: fn(&[u8]) -> bool, below: Below) -> io::Result<()> {
    let mut waiting = vec![top.to_owned()];
    while let Some(folder) = waiting.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && below == Below::Yes {
                waiting.push(entry.path());
            } else if kind.is_file() && is_left_over(entry.file_name().as_bytes()) {
                tracing::info!(path = %entry.path().display(), "removed a leftover of a host that was killed");
                fs::remove_file(entry.path())?;
            }
        }
    }
    Ok(())
}
