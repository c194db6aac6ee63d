//! Artefacts: declared files of `/out`, copied into the data directory under the SHA-256 of their content.

use super::{Error, Result, Workspace, blocking, sweep::PART, walk};
use borg_core::{
    collect::{Artefact, LeftReason},
    id::Digest,
};
use rustix::fs::FileType;
use std::{
    fs::{self, File},
    io::{Read, Write},
    os::fd::AsFd,
    path::Path,
};

/// Names looked at in `/out`; an agent that writes more has the rest counted as one.
const NAMES: usize = 10_000;

pub(super) struct Taken {
    pub artefacts: Vec<Artefact>,
    /// Paths below `/out` that were not taken.
    pub left: Vec<(Vec<u8>, LeftReason)>,
}

/// Takes the declared names from a dead sandbox's `/out`: regular files with one link and at most `limit` bytes.
pub(super) fn take(dir: &Path, declared: &[String], limit: u64, store: &Path) -> Result<Taken> {
    let folder = walk::open_used_top(dir).map_err(Error::io(format!("open {}", dir.display())))?;
    let (names, whole) = walk::list(folder.as_fd(), NAMES).map_err(Error::io("list /out"))?;
    let mut taken = Taken { artefacts: Vec::new(), left: Vec::new() };
    for named in names {
        let shown = [b"/out/", named.name.as_slice()].concat();
        let Some(name) = declared.iter().find(|name| name.as_bytes() == named.name) else {
            taken.left.push((shown, LeftReason::NotGranted));
            continue;
        };
        match read(folder.as_fd(), &named.name, limit)? {
            Ok(bytes) => {
                let digest = keep(store, &bytes)?;
                taken.artefacts.push(Artefact { name: name.clone(), digest, bytes: bytes.len() as u64 });
            }
            Err(reason) => taken.left.push((shown, reason)),
        }
    }
    if !whole {
        taken.left.push((b"/out/".to_vec(), LeftReason::OverLimit));
    }
    Ok(taken)
}

fn read(folder: std::os::fd::BorrowedFd<'_>, name: &[u8], limit: u64) -> Result<Result<Vec<u8>, LeftReason>> {
    let what = || format!("read /out/{}", super::names::show(name));
    let seen = walk::look(folder, name).map_err(Error::io(what()))?;
    // A second link could be a name of some file elsewhere that the host may read and the agent may not.
    if FileType::from_raw_mode(seen.st_mode) != FileType::RegularFile || seen.st_nlink != 1 {
        return Ok(Err(LeftReason::NotAFile));
    }
    if seen.st_mode & 0o400 == 0 {
        return Ok(Err(LeftReason::Unreadable));
    }
    let Ok((file, stat)) = walk::open_file(folder, name) else { return Ok(Err(LeftReason::Unreadable)) };
    if stat.st_ino != seen.st_ino || stat.st_nlink != 1 {
        return Err(Error::Restless(what()));
    }
    let mut bytes = Vec::new();
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Error::io(what()))?;
    Ok(if bytes.len() as u64 > limit { Err(LeftReason::OverLimit) } else { Ok(bytes) })
}

/// Stores bytes durably under their digest; a second time is free.
fn keep(store: &Path, bytes: &[u8]) -> Result<Digest> {
    let digest = Digest::of_bytes(bytes);
    let path = store.join(digest.to_string());
    let what = || format!("store artefact {}", digest.short());
    if path.exists() {
        return Ok(digest);
    }
    let mut fresh = tempfile::Builder::new().prefix(PART).tempfile_in(store).map_err(Error::io(what()))?;
    fresh.write_all(bytes).and_then(|()| fresh.as_file().sync_all()).map_err(Error::io(what()))?;
    fresh.persist(&path).map_err(|error| Error::io(what())(error.error))?;
    File::open(store).and_then(|dir| dir.sync_all()).map_err(Error::io(what()))?;
    Ok(digest)
}

impl Workspace {
    /// Reads a stored artefact.
    pub async fn read_artefact(&self, digest: Digest) -> Result<Vec<u8>> {
        let path = self.data.join("artefacts").join(digest.to_string());
        blocking(move || fs::read(&path).map_err(Error::io(format!("read artefact {}", digest.short())))).await
    }
}
