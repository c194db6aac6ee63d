//! Feeds and drains the pipes of a child, so that neither side ever waits for the other for good.

use std::{os::fd::OwnedFd, process::ChildStdin};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::unix::pipe,
};

/// Writes all bytes, then closes; a child that stops reading is its own business.
pub(super) async fn feed(stdin: Option<ChildStdin>, input: Option<Vec<u8>>) {
    let (Some(stdin), Some(bytes)) = (stdin, input) else { return };
    let Ok(mut pipe) = pipe::Sender::from_owned_fd(stdin.into()) else { return };
    if let Err(error) = pipe.write_all(&bytes).await {
        tracing::debug!(%error, "a child closed its input early");
    }
}

pub(super) enum Keep {
    Head(usize),
    Tail(usize),
}

#[derive(Default)]
pub(super) struct Drained {
    pub bytes: Vec<u8>,
    pub overflow: bool,
}

/// Reads to the end, whatever is kept, so that no child blocks on a full pipe.
pub(super) async fn drain(fd: Option<OwnedFd>, keep: Keep) -> Drained {
    let mut drained = Drained::default();
    let Some(fd) = fd else { return drained };
    let Ok(mut pipe) = pipe::Receiver::from_owned_fd(fd) else { return drained };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => return drained,
            Ok(read) => &buffer[..read],
        };
        match keep {
            Keep::Head(limit) => {
                let room = limit.saturating_sub(drained.bytes.len()).min(read.len());
                drained.bytes.extend_from_slice(&read[..room]);
                drained.overflow |= room < read.len();
            }
            Keep::Tail(limit) => {
                drained.bytes.extend_from_slice(read);
                let excess = drained.bytes.len().saturating_sub(limit);
                drained.bytes.drain(..excess);
                drained.overflow |= excess > 0;
            }
        }
    }
}
