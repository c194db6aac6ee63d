//! Looks into a directory tree that somebody hostile wrote: never through a link, never onto another file system, never
//! waiting on a pipe. What the entries mean is left to `merge`.

use rustix::{
    fs::{AtFlags, Dir, FileType, Mode, OFlags, ResolveFlags, Stat},
    io::Errno,
};
use std::{
    fs::File,
    io,
    os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd},
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

/// The same for a top that an agent of the host's own user may have shut: its mode means nothing, and is opened first.
pub(super) fn open_used_top(path: &Path) -> io::Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    open_up(rustix::fs::open(path, flags, Mode::empty())?.as_fd())?;
    open_top(path)
}

/// Gives the owner of a folder, opened as no more than a name, all rights to it.
pub(super) fn open_up(handle: BorrowedFd<'_>) -> io::Result<()> {
    // The kernel's own name of the handle: `fchmod` refuses handles that only stand for a path.
    match rustix::fs::chmod(format!("/proc/self/fd/{}", handle.as_raw_fd()), Mode::RWXU) {
        // Somebody else's folder: opening tells whether that matters.
        Ok(()) | Err(Errno::PERM) => Ok(()),
        Err(error) => Err(error.into()),
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_top_that_was_shut_is_opened_as_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let top = dir.path().join("top");
        std::fs::create_dir_all(top.join("in")).unwrap();
        let shut = || std::fs::set_permissions(&top, std::fs::Permissions::from_mode(0o000)).unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let look = || {
            shut();
            (open_top(&top).is_err(), open_used_top(&top).and_then(|fd| list(fd.as_fd(), 10)).unwrap().0.len())
        };
        if !rustix::process::geteuid().is_root() {
            assert_eq!(look(), (true, 1));
            return;
        }
        // Root reads everything; one thread of it acts as somebody else.
        let user = nix::unistd::Uid::from_raw(10_001);
        std::os::unix::fs::chown(&top, Some(user.as_raw()), None).unwrap();
        let seen = std::thread::scope(|scope| {
            let other = scope.spawn(|| {
                nix::unistd::setfsuid(user);
                look()
            });
            other.join().unwrap()
        });
        assert_eq!(seen, (true, 1));
    }
}
