//! Deletes a used directory: never through a link, whatever the mode bits, however deep.

use super::walk;
use rustix::{
    fs::{AtFlags, Mode, OFlags},
    io::Errno,
};
use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::Path,
};

/// Removes a directory tree.
///
/// Every folder met is first emptied of files, and its folders are moved to the top under names of ours. So one descriptor
/// is enough for any depth, and no path is ever resolved that an agent made.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let parent = walk::open_top(parent)?;
    let top = match open(parent.as_fd(), name.as_encoded_bytes()) {
        Ok(top) => top,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut moved: u64 = 0;
    let mut waiting = empty(top.as_fd(), top.as_fd(), &mut moved)?;
    while let Some(name) = waiting.pop() {
        let folder = open(top.as_fd(), &name)?;
        waiting.extend(empty(top.as_fd(), folder.as_fd(), &mut moved)?);
        rustix::fs::unlinkat(&top, name.as_slice(), AtFlags::REMOVEDIR)?;
    }
    Ok(rustix::fs::unlinkat(&parent, name, AtFlags::REMOVEDIR)?)
}

/// Opens a folder, giving its owner all rights first.
fn open(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let handle = rustix::fs::openat(parent, name, flags, Mode::empty())?;
    walk::open_up(handle.as_fd())?;
    walk::open_folder(parent, name)
}

/// Removes the files of a folder and moves its folders to the top; gives the new names of those.
fn empty(top: BorrowedFd<'_>, folder: BorrowedFd<'_>, moved: &mut u64) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    let (entries, _) = walk::list(folder, usize::MAX)?;
    for named in entries {
        if !named.is_folder {
            rustix::fs::unlinkat(folder, named.name.as_slice(), AtFlags::empty())?;
            continue;
        }
        match rustix::fs::unlinkat(folder, named.name.as_slice(), AtFlags::REMOVEDIR) {
            Ok(()) => continue,
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        // Moving a folder changes its `..`, for which its owner needs the right to write it.
        drop(open(folder, &named.name)?);
        let name = loop {
            let name = format!(".borg-removed-{moved}").into_bytes();
            *moved += 1;
            match rustix::fs::renameat_with(
                folder,
                named.name.as_slice(),
                top,
                name.as_slice(),
                rustix::fs::RenameFlags::NOREPLACE,
            ) {
                Ok(()) => break name,
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        };
        names.push(name);
    }
    Ok(names)
}
