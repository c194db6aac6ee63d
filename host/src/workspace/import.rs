//! Writes one commit as a `git fast-import` stream (git-fast-import(1)): bytes as they are, no work tree, no attributes.

use super::{names::quote, tree::Kind};
use std::io::{self, Read, Write};

/// Everything about a commit but its tree; the same values give the same object id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub parent: String,
    /// Author's name: the persona.
    pub author: String,
    pub message: String,
    /// Seconds since 1970, of author and committer.
    pub time: i64,
}

/// The branch written inside the quarantine; nobody else sees it.
const BRANCH: &str = "refs/heads/stage";

/// A commit being streamed. Nothing is written until the first change.
pub(super) struct Import<W: Write> {
    out: W,
    head: Option<Head>,
}

impl<W: Write> Import<W> {
    pub fn new(out: W, head: Head) -> Self {
        Import { out, head: Some(head) }
    }

    /// Writes the commit's header before its first change.
    fn begin(&mut self) -> io::Result<()> {
        let Some(Head { parent, author, message, time }) = self.head.take() else { return Ok(()) };
        let name: String = author.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).take(100).collect();
        let name = if name.trim().is_empty() { "borg" } else { name.trim() };
        let message = message.replace('\0', "");
        write!(
            self.out,
            "commit {BRANCH}\nmark :1\nauthor {name} <{email}> {time} +0000\ncommitter borg <{email}> {time} +0000\ndata {}\n{message}\nfrom {parent}\n",
            message.len(),
            email = crate::git::EMAIL,
        )
    }

    fn path(&mut self, path: &[u8]) -> io::Result<()> {
        let mut quoted = Vec::with_capacity(path.len() + 2);
        quote(path, &mut quoted);
        self.out.write_all(&quoted)
    }

    /// Sets a path to `size` bytes from `content`, which must hold that many.
    pub fn set(&mut self, path: &[u8], kind: Kind, size: u64, content: &mut impl Read) -> io::Result<()> {
        self.begin()?;
        write!(self.out, "M {} inline ", kind.mode())?;
        self.path(path)?;
        write!(self.out, "\ndata {size}\n")?;
        if io::copy(&mut content.take(size), &mut self.out)? < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.out.write_all(b"\n")
    }

    /// Sets a path to an object the mirror has.
    pub fn keep(&mut self, path: &[u8], kind: Kind, id: &str) -> io::Result<()> {
        self.begin()?;
        write!(self.out, "M {} {id} ", kind.mode())?;
        self.path(path)?;
        self.out.write_all(b"\n")
    }

    /// Removes a path.
    pub fn remove(&mut self, path: &[u8]) -> io::Result<()> {
        self.begin()?;
        self.out.write_all(b"D ")?;
        self.path(path)?;
        self.out.write_all(b"\n")
    }

    /// Ends the stream and has the commit's id printed; true when there is one.
    pub fn finish(mut self) -> io::Result<bool> {
        let begun = self.head.is_none();
        if begun {
            self.out.write_all(b"\nget-mark :1\n")?;
        }
        self.out.write_all(b"done\n")?;
        self.out.flush()?;
        Ok(begun)
    }
}
