//! Reads `git ls-tree -r -z --full-tree` (git-ls-tree(1), "Output format") as a stream.

use std::io::{self, BufRead};

pub(super) const ARGS: [&str; 3] = ["-r", "-z", "--full-tree"];

/// One file, link or submodule of a commit's tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub mode: u32,
    pub id: String,
    pub path: Vec<u8>,
}

/// What an entry is, by its mode bits; old repositories have other permission bits than 644 and 755.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Regular,
    Executable,
    Symlink,
    Submodule,
}

impl Kind {
    pub fn of_mode(mode: u32) -> Option<Self> {
        match mode & 0o170000 {
            0o100000 if mode & 0o100 != 0 => Some(Kind::Executable),
            0o100000 => Some(Kind::Regular),
            0o120000 => Some(Kind::Symlink),
            0o160000 => Some(Kind::Submodule),
            _ => None,
        }
    }

    /// The mode Git writes today.
    pub fn mode(self) -> &'static str {
        match self {
            Kind::Regular => "100644",
            Kind::Executable => "100755",
            Kind::Symlink => "120000",
            Kind::Submodule => "160000",
        }
    }
}

impl Entry {
    pub fn kind(&self) -> io::Result<Kind> {
        Kind::of_mode(self.mode).ok_or_else(|| io::Error::other("a tree entry of unknown mode"))
    }
}

/// Entries in the order of their path's bytes, which is checked.
pub(super) struct Stream<R> {
    input: R,
    peeked: Option<Entry>,
    buffer: Vec<u8>,
}

impl<R: BufRead> Stream<R> {
    pub fn new(input: R) -> Self {
        Stream { input, peeked: None, buffer: Vec::new() }
    }

    /// The next entry, left in place.
    pub fn peek(&mut self) -> io::Result<Option<&Entry>> {
        if self.peeked.is_none() {
            self.peeked = self.read()?;
        }
        Ok(self.peeked.as_ref())
    }

    /// Takes the next entry.
    pub fn next(&mut self) -> io::Result<Option<Entry>> {
        let entry = match self.peeked.take() {
            Some(entry) => Some(entry),
            None => self.read()?,
        };
        if let Some(entry) = &entry {
            if self.buffer >= entry.path {
                return Err(io::Error::other("a tree that is not sorted"));
            }
            self.buffer.clone_from(&entry.path);
        }
        Ok(entry)
    }

    fn read(&mut self) -> io::Result<Option<Entry>> {
        let mut line = Vec::new();
        self.input.read_until(0, &mut line)?;
        if line.is_empty() {
            return Ok(None);
        }
        parse(&line).map(Some).ok_or_else(|| io::Error::other("a line of git ls-tree that cannot be read"))
    }
}

fn parse(line: &[u8]) -> Option<Entry> {
    let line = line.strip_suffix(&[0])?;
    let tab = line.iter().position(|byte| *byte == b'\t')?;
    let (head, path) = (std::str::from_utf8(&line[..tab]).ok()?, &line[tab + 1..]);
    let mut words = head.split(' ');
    let mode = u32::from_str_radix(words.next()?, 8).ok()?;
    let (_type, id) = (words.next()?, words.next()?);
    (!path.is_empty()).then(|| Entry { mode, id: id.to_owned(), path: path.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_entries_and_refuses_nonsense() {
        let text = b"100644 blob aa\ta b\n\x00120000 blob bb\tc\0";
        let mut stream = Stream::new(&text[..]);
        assert_eq!(stream.peek().unwrap().unwrap().path, b"a b\n");
        assert_eq!(stream.next().unwrap().unwrap().kind().unwrap(), Kind::Regular);
        assert_eq!(stream.next().unwrap().unwrap().kind().unwrap(), Kind::Symlink);
        assert_eq!(stream.next().unwrap(), None);
        for bad in
            ["100644 blob aa\tcut", "x blob aa\ta\0", "100644 blob\0", "100644 blob aa\tb\x00100644 blob aa\ta\0"]
        {
            let mut stream = Stream::new(bad.as_bytes());
            assert!((0..2).any(|_| stream.next().is_err()), "{bad}");
        }
    }
}
