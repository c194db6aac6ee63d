//! Follows a file that a process writes, without polling, until that process has ended and all was read.

use super::Error;
use rustix::fs::inotify;
use std::{
    fs::File,
    io::Read,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};
use tokio::{io::unix::AsyncFd, sync::watch};

/// A reader of a growing file.
pub(super) struct Tail {
    path: PathBuf,
    file: File,
    changes: AsyncFd<OwnedFd>,
    ended: watch::Receiver<Option<End>>,
    buffer: Vec<u8>,
}

impl Tail {
    /// Opens the file at its start.
    pub(super) fn open(path: &Path, ended: watch::Receiver<Option<End>>) -> Result<Self, Error> {
        let changes = || -> std::io::Result<AsyncFd<OwnedFd>> {
            let fd = inotify::init(inotify::CreateFlags::NONBLOCK | inotify::CreateFlags::CLOEXEC)?;
            inotify::add_watch(&fd, path, inotify::WatchFlags::MODIFY)?;
            // SAFETY: the descriptor is owned by the `AsyncFd` alone and never replaced.
            Ok(unsafe { AsyncFd::register(fd) }?)
        };
        let changes = changes().map_err(Error::io("watch", path))?;
        let file = File::open(path).map_err(Error::io("open", path))?;
        Ok(Tail { path: path.to_owned(), file, changes, ended, buffer: vec![0; 64 * 1024] })
    }

    /// The next bytes; none when the process has ended and the file was read to its end.
    pub(super) async fn next(&mut self) -> Result<Option<&[u8]>, Error> {
        let read = loop {
            // Asked before reading: what is written before the end is then surely read.
            let over = self.ended.borrow_and_update().is_some();
            match self.file.read(&mut self.buffer).map_err(Error::io("read", &self.path))? {
                0 if over => return Ok(None),
                0 => self.change().await?,
                read => break read,
            }
        };
        Ok(Some(&self.buffer[..read]))
    }

    /// Waits until the file or the process changed.
    async fn change(&mut self) -> Result<(), Error> {
        tokio::select! {
            ready = self.changes.readable_mut() => {
                let mut ready = ready.map_err(Error::io("watch", &self.path))?;
                let mut events = [0; 4096];
                // What changed does not matter, only that the events are taken off the queue.
                match ready.try_io(|fd| Ok(rustix::io::read(fd.get_ref(), &mut events)?)) {
                    Ok(taken) => taken.map(drop).map_err(Error::io("watch", &self.path)),
                    Err(_would_block) => Ok(()),
                }
            }
            // A sender that went away without an end is a waiter that panicked, which its owner notices.
            _ = self.ended.changed() => Ok(()),
        }
    }
}

/// How init itself ended.
#[derive(Clone)]
pub(super) struct End {
    pub(super) status: Option<i32>,
    pub(super) stderr: String,
}
