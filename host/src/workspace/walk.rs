//! Looks into a directory tree that somebody hostile wrote: never through a link, never onto another file system, never
//! waiting on a pipe. What the entries mean is left to `merge`.

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};
use std::{
    fs::File,
    io,
    os::fd::{BorrowedFd, OwnedFd},
    path::Path,
};

/// Resolution that stays below its starting point. (openat2(2))
const STAY: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_XDEV)
    .union(ResolveFlags::NO_MAGICLINKS);

/// Opens the top of a tree; the path itself is the host's and may lead anywhere but end in a link.
pub(super) fn open_top(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?)
}

/// Opens a folder by its name within another.
pub(super) fn open_folder(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat2(parent, name, flags, Mode::empty(), STAY)?)
}

/// Opens a regular file by its name within a folder; anything else is [`io::ErrorKind::InvalidInput`]. Never blocks.
pub(super) fn open_file(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<(File, Stat)> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let fd = rustix::fs::openat2(parent, name, flags, Mode::empty(), STAY)?;
    let stat = rustix::fs::fstat(&fd)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Ok((File::from(fd), stat)),
        _ => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// Looks at an entry itself, not at what it links to.
pub(super) fn look(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Stat> {
    Ok(rustix::fs::statat(parent, name, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Where a link points.
pub(super) fn read_link(parent: BorrowedFd<'_>, name: &[u8]) -> io::Result<Vec<u8>> {
    Ok(rustix::fs::readlinkat(parent, name, Vec::new())?.into_bytes())
}

/// One name of a folder.
#[derive(Debug)]
pub(super) struct Named {
    pub name: Vec<u8>,
    pub is_folder: bool,
}

/// The names of a folder, at most `limit`, in the order Git keeps them: folders as if their name ended in `/`.
pub(super) fn list(folder: BorrowedFd<'_>, limit: usize) -> io::Result<(Vec<Named>, bool)> {
    let mut names = Vec::new();
    for entry in Dir::read_from(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name == b"." || name == b".." {
            continue;
        }
        if names.len() == limit {
            return Ok((names, false));
        }
        let is_folder = match entry.file_type() {
            FileType::Directory => true,
            FileType::Unknown => match look(folder, name) {
                Ok(stat) => FileType::from_raw_mode(stat.st_mode) == FileType::Directory,
                Err(error) if error.raw_os_error() == Some(Errno::NOENT.raw_os_error()) => continue,
                Err(error) => return Err(error),
            },
            _ => false,
        };
        names.push(Named { name: name.to_vec(), is_folder });
    }
    names.sort_unstable_by(|a, b| {
        let key = |named: &Named| named.is_folder.then_some(b'/');
        let (a_bytes, b_bytes) = (a.name.iter().copied().chain(key(a)), b.name.iter().copied().chain(key(b)));
        a_bytes.cmp(b_bytes)
    });
    Ok((names, true))
}
