//! Who else could write to what an installation is made of.

use super::InstallationError;
use std::{
    fs::{self, Metadata},
    io,
    os::unix::fs::MetadataExt,
    path::Path,
};

/// Refuses a path that belongs to somebody else than this user or root, or that others may write; below a folder, what lies there down to
/// that many levels, too. What is not there is in order. Links count as what they lead to. Below `root`, where there is one, one command
/// closes everything: who is told of one file after another gives up.
pub(super) fn check(path: &Path, depth: u32, root: Option<&Path>) -> Result<(), InstallationError> {
    let found = match fs::metadata(path) {
        Ok(found) => found,
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => return Ok(()),
        Err(source) => return Err(InstallationError::Io { path: path.to_owned(), source }),
    };
    let me = rustix::process::geteuid().as_raw();
    if let Some((why, remedy)) = fault(&found, me, path, root) {
        return Err(InstallationError::Open { path: path.to_owned(), why, remedy });
    }
    if depth == 0 || !found.is_dir() {
        return Ok(());
    }
    let failed = |source| InstallationError::Io { path: path.to_owned(), source };
    for entry in fs::read_dir(path).map_err(failed)? {
        check(&entry.map_err(failed)?.path(), depth - 1, root)?;
    }
    Ok(())
}

fn fault(found: &Metadata, me: u32, path: &Path, root: Option<&Path>) -> Option<(String, String)> {
    let shown = path.display();
    if found.uid() != me && found.uid() != 0 {
        let why = format!("belongs to another user (uid {})", found.uid());
        return Some((why, format!("work as that user; or, if it is yours to take, `sudo chown {me} {shown}`")));
    }
    // Where each user has a group of their own, new files are open to it, and nobody else is in it.
    let is_own_group = found.gid() == me;
    let writable = match found.mode() {
        mode if mode & 0o002 != 0 => true,
        mode => mode & 0o020 != 0 && !is_own_group,
    };
    // What a link leads to elsewhere is not below it, whatever the path says.
    let below = root.filter(|root| path.canonicalize().is_ok_and(|real| real.starts_with(root)));
    let command = match below {
        Some(root) => format!("`chmod -R go-w {}`", root.display()),
        None => format!("`chmod go-w {shown}`"),
    };
    writable.then(|| (format!("can be written by others (mode {:o})", found.mode() & 0o777), command))
}
