//! The stream below the HTTP parser. When a head is no HTTP, the parser answers with a bare status of its own; that answer is kept
//! back here, so that the client gets one in words.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::UnixStream,
};

/// Statuses the parser answers with by itself (hyper, `Server::on_error`).
const BARE: [u16; 3] = [400, 414, 431];

pub(crate) struct Wire {
    pub stream: UnixStream,
    /// The status that was kept back.
    pub kept_back: Option<u16>,
}

impl Wire {
    pub fn new(stream: UnixStream) -> Wire {
        Wire { stream, kept_back: None }
    }
}

impl AsyncRead for Wire {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Wire {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match bare_answer(bytes) {
            Some((0, status)) => {
                self.kept_back = Some(status);
                Poll::Ready(Ok(bytes.len()))
            }
            // The end of an earlier response stands before it.
            Some((at, _)) => Pin::new(&mut self.stream).poll_write(cx, &bytes[..at]),
            None => Pin::new(&mut self.stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

/// Where the parser's own answer begins in what is to be written, and its status. No response of ours is empty, and no body can look
/// like this: pieces of a body end with the end of their chunk.
fn bare_answer(bytes: &[u8]) -> Option<(usize, u16)> {
    const START: &[u8] = b"HTTP/1.";
    if !bytes.ends_with(b"\r\n\r\n") {
        return None;
    }
    let at = bytes.windows(START.len()).rposition(|window| window == START)?;
    let head = std::str::from_utf8(&bytes[at..]).ok()?;
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let is_whole = head.find("\r\n\r\n") == Some(head.len() - 4);
    let is_bare =
        is_whole && BARE.contains(&status) && head.contains("content-length: 0\r\n") && !head.contains("content-type:");
    is_bare.then_some((at, status))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_parsers_own_answer_is_kept_back() {
        let bare = "HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";
        assert_eq!(bare_answer(bare.as_bytes()), Some((0, 431)));
        assert_eq!(bare_answer(format!("0\r\n\r\n{bare}").as_bytes()), Some((5, 431)));
        for other in [
            "",
            "0\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 0\r\n\r\n",
            "HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        ] {
            assert_eq!(bare_answer(other.as_bytes()), None, "{other:?}");
        }
        assert_eq!(bare_answer(format!("{bare}\r\n").as_bytes()).map(|(at, _)| at), None, "a piece of a body");
    }
}
