//! How much disk a run uses and how much is left. When to look, and what follows, is `watch.rs`.

use super::Error;
use rustix::{
    fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, openat, statat, statvfs},
    io::Errno,
};
use std::{
    collections::HashSet,
    io,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// Directories nested deeper than this are not followed; a tree that deep is over every limit.
const MAX_DEPTH: usize = 128;

/// What some trees occupy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Usage {
    /// Allocated blocks, in bytes; a file with several links counts once.
    pub bytes: u64,
    /// Files, directories and everything else.
    pub files: u64,
    /// Directories that could not be looked into.
    pub unreadable: u64,
    /// True when a tree is nested too deeply to be measured.
    pub too_deep: bool,
}

/// Measures trees without following links, and stops early once `max_bytes` or `max_files` is passed. Blocks.
///
/// The trees may change while they are walked: an entry that vanishes is not an error.
pub(super) fn usage(roots: &[PathBuf], max_bytes: u64, max_files: u64) -> io::Result<Usage> {
    let mut usage = Usage::default();
    let mut linked = HashSet::new();
    for root in roots {
        match open_dir(CWD, root) {
            Ok(fd) => walk(fd, &mut usage, &mut linked, max_bytes, max_files, 0)?,
            Err(Errno::NOENT) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(usage)
}

fn open_dir(at: impl std::os::fd::AsFd, path: impl rustix::path::Arg) -> Result<OwnedFd, Errno> {
    openat(at, path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())
}

fn walk(
    fd: OwnedFd,
    usage: &mut Usage,
    linked: &mut HashSet<(u64, u64)>,
    max_bytes: u64,
    max_files: u64,
    depth: usize,
) -> io::Result<()> {
    if depth > MAX_DEPTH {
        usage.too_deep = true;
        return Ok(());
    }
    let mut dir = Dir::new(fd)?;
    while let Some(entry) = dir.read() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let stat = match statat(dir.fd()?, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(Errno::NOENT) => continue,
            Err(error) => return Err(error.into()),
        };
        usage.files += 1;
        if stat.st_nlink <= 1
            || FileType::from_raw_mode(stat.st_mode).is_dir()
            || linked.insert((stat.st_dev, stat.st_ino))
        {
            usage.bytes += u64::try_from(stat.st_blocks).unwrap_or(0) * 512;
        }
        if usage.bytes > max_bytes || usage.files > max_files || usage.too_deep {
            return Ok(());
        }
        if FileType::from_raw_mode(stat.st_mode).is_dir() {
            match open_dir(dir.fd()?, name) {
                Ok(inner) => walk(inner, usage, linked, max_bytes, max_files, depth + 1)?,
                Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => {}
                Err(Errno::ACCESS) => usage.unreadable += 1,
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(())
}

/// Room on the file system of a path, in bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Space {
    /// What an unprivileged process may still take.
    pub free: u64,
    pub used: u64,
}

/// Asks the file system that holds `path`.
pub(super) fn space(path: &Path) -> io::Result<Space> {
    let stat = statvfs(path)?;
    let used = stat.f_blocks.saturating_sub(stat.f_bfree);
    Ok(Space { free: stat.f_bavail.saturating_mul(stat.f_frsize), used: used.saturating_mul(stat.f_frsize) })
}

/// Refuses to start a run where too little disk is free.
pub(super) fn check_floor(path: &Path, floor: u64) -> Result<(), Error> {
    let free = space(path).map_err(Error::io("measure the disk at", path))?.free;
    if free >= floor {
        return Ok(());
    }
    Err(Error::BelowFloor { path: path.to_owned(), free_mib: free >> 20, floor_mib: floor >> 20 })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{fs, os::unix::fs::symlink};

    fn measure(root: &Path) -> Usage {
        usage(&[root.to_owned()], u64::MAX, u64::MAX).unwrap()
    }

    #[test]
    fn links_count_once_and_symlinks_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        fs::write(elsewhere.path().join("big"), vec![1; 1 << 20]).unwrap();
        fs::create_dir(dir.path().join("a")).unwrap();
        fs::write(dir.path().join("a/file"), vec![1; 256 << 10]).unwrap();
        fs::hard_link(dir.path().join("a/file"), dir.path().join("again")).unwrap();
        symlink(elsewhere.path(), dir.path().join("out")).unwrap();
        let found = measure(dir.path());
        assert_eq!(found.files, 4);
        assert!((256 << 10..512 << 10).contains(&found.bytes), "{found:?}");
    }

    #[test]
    fn stops_at_the_limits() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..50 {
            fs::write(dir.path().join(n.to_string()), b"x").unwrap();
        }
        assert_eq!(usage(&[dir.path().to_owned()], u64::MAX, 10).unwrap().files, 11);
    }

    #[test]
    fn a_bottomless_tree_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let mut at = open_dir(CWD, dir.path()).unwrap();
        for _ in 0..600 {
            rustix::fs::mkdirat(&at, "d", Mode::RWXU).unwrap();
            at = open_dir(&at, "d").unwrap();
        }
        assert!(measure(dir.path()).too_deep);
        assert!(measure(&dir.path().join("none")) == Usage::default());
        // Removed step by step from its own bottom up, because its path is too long for one call.
        for _ in 0..600 {
            at = openat(&at, "..", OFlags::RDONLY | OFlags::DIRECTORY, Mode::empty()).unwrap();
            rustix::fs::unlinkat(&at, "d", AtFlags::REMOVEDIR).unwrap();
        }
    }
}
