//! Reads trees and blobs of a mirror through `git ls-tree` and `git cat-file --batch`.

use super::{Error, Result, Workspace, blocking, names::show, tree};
use crate::{
    git::mirror::Mirror,
    spawn::{Output, Stdin, Stdout},
};
use borg_core::collect::CommitId;
use std::{
    io::{self, BufRead, BufReader, Read, Write},
    process::ChildStdout,
};

/// Content of a file, cut at the caller's limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    pub bytes: Vec<u8>,
    /// False when the file is longer.
    pub complete: bool,
}

/// One path of a commit's tree, for callers outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeEntry {
    /// Bytes that are not UTF-8 are shown as `\xNN`.
    pub path: String,
    /// Mode bits as Git keeps them, such as `0o100644`.
    pub mode: u32,
    /// Object id of the content.
    pub id: String,
}

impl Workspace {
    /// Lists a commit's tree in the order of its paths, at most `limit` entries; true when that is all of it.
    pub async fn list_tree(&self, mirror: &Mirror, commit: &CommitId, limit: usize) -> Result<(Vec<TreeEntry>, bool)> {
        let list = move |mut entries: tree::Stream<_>| {
            let mut list = Vec::new();
            while let Some(entry) = entries.next().map_err(Error::io("list a tree"))? {
                if list.len() == limit {
                    return Ok((list, false));
                }
                list.push(TreeEntry { path: show(&entry.path), mode: entry.mode, id: entry.id });
            }
            Ok((list, true))
        };
        let ((list, whole), ended) = self.over_tree(mirror, commit, list).await?;
        // Git fails for want of a reader when it is not read to its end, which for a tree of trees of trees might never come.
        if whole {
            self.git.check("ls-tree", ended)?;
        }
        Ok((list, whole))
    }

    /// Reads a file at a commit, up to `limit` bytes; nothing when there is no such file.
    pub async fn read_file(
        &self,
        mirror: &Mirror,
        commit: &CommitId,
        path: &str,
        limit: usize,
    ) -> Result<Option<Blob>> {
        let call = self.git.on(&mirror.dir, "ls-tree").global(["--literal-pathspecs"]).args(["-z", "--full-tree"]);
        let output = self.git.run(call.args([commit.0.as_str(), "--", path])).await?;
        let found = tree::Stream::new(&output.stdout[..]).next().map_err(Error::io("list a tree"))?;
        match found {
            Some(entry) if matches!(entry.kind(), Ok(tree::Kind::Regular | tree::Kind::Executable)) => {
                Ok(self.read_blobs(mirror, vec![entry.id], limit).await?.pop().flatten())
            }
            _ => Ok(None),
        }
    }

    /// Paths of a commit's submodules, the first so many, and how many there are: none of them is fetched.
    pub async fn submodules(&self, mirror: &Mirror, commit: &CommitId, most: usize) -> Result<(Vec<String>, usize)> {
        self.with_tree(mirror, commit, move |mut entries| {
            let (mut paths, mut count) = (Vec::new(), 0);
            while let Some(entry) = entries.next().map_err(Error::io("read a tree"))? {
                if entry.kind().map_err(Error::io("read a tree"))? == tree::Kind::Submodule {
                    count += 1;
                    if paths.len() < most {
                        paths.push(show(&entry.path));
                    }
                }
            }
            Ok((paths, count))
        })
        .await
    }

    /// Reads blobs by id, each up to `limit` bytes, in the same order; nothing for ids that are not there.
    pub async fn read_blobs(&self, mirror: &Mirror, ids: Vec<String>, limit: usize) -> Result<Vec<Option<Blob>>> {
        let count = ids.len();
        let asked = ids.iter().flat_map(|id| [id.as_bytes(), b"\n"]).flatten().copied().collect();
        let call = self.git.on(&mirror.dir, "cat-file").arg("--batch").stdin(Stdin::Bytes(asked)).stdout(Stdout::Piped);
        let mut running = self.git.stream(call).await?;
        let output = running.take_stdout().expect("asked for a pipe");
        let work = blocking(move || {
            let mut blobs = Blobs::new(output);
            (0..count)
                .map(|_| blobs.read(limit))
                .collect::<io::Result<Vec<_>>>()
                .map_err(Error::io("read from git cat-file"))
        });
        let (found, ended) = tokio::join!(work, running.finish());
        self.git.check("cat-file", ended.map_err(crate::git::Error::from)?)?;
        found
    }

    /// Hands a commit's tree, as a stream, to blocking work.
    pub(super) async fn with_tree<T: Send + 'static>(
        &self,
        mirror: &Mirror,
        commit: &CommitId,
        work: impl FnOnce(tree::Stream<BufReader<ChildStdout>>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (done, ended) = self.over_tree(mirror, commit, work).await?;
        self.git.check("ls-tree", ended)?;
        Ok(done)
    }

    /// The same for work that may stop early; how Git ended is then no matter.
    async fn over_tree<T: Send + 'static>(
        &self,
        mirror: &Mirror,
        commit: &CommitId,
        work: impl FnOnce(tree::Stream<BufReader<ChildStdout>>) -> Result<T> + Send + 'static,
    ) -> Result<(T, Output)> {
        let call = self.git.on(&mirror.dir, "ls-tree").args(tree::ARGS).arg(&commit.0).stdout(Stdout::Piped);
        let mut running = self.git.stream(call).await?;
        let output = running.take_stdout().expect("asked for a pipe");
        let work = blocking(move || work(tree::Stream::new(BufReader::with_capacity(1 << 16, output))));
        let (done, ended) = tokio::join!(work, running.finish());
        // Broken work stops reading, and Git then fails for want of a reader: the work's own error is the cause.
        Ok((done?, ended.map_err(crate::git::Error::from)?))
    }
}

/// Answers of `git cat-file --batch`, in the order of the questions (git-cat-file(1), "Batch output").
pub(super) struct Blobs<R> {
    output: BufReader<R>,
}

impl<R: Read> Blobs<R> {
    pub fn new(output: R) -> Self {
        Blobs { output: BufReader::with_capacity(1 << 16, output) }
    }

    /// Size of the next object, whose content follows; nothing when it is missing or no blob.
    pub fn header(&mut self) -> io::Result<Option<u64>> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut words = line.trim_end().split(' ').skip(1);
        match (words.next(), words.next().and_then(|size| size.parse().ok())) {
            (Some("missing"), None) => Ok(None),
            (Some("blob"), Some(size)) => Ok(Some(size)),
            (Some("tree" | "commit" | "tag"), Some(size)) => {
                self.copy(size, &mut io::sink())?;
                Ok(None)
            }
            _ => Err(io::Error::other("an answer of git cat-file that cannot be read")),
        }
    }

    /// Copies the content announced by [`Blobs::header`].
    pub fn copy(&mut self, size: u64, to: &mut impl Write) -> io::Result<()> {
        if io::copy(&mut (&mut self.output).take(size), to)? < size {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut end = [0];
        self.output.read_exact(&mut end)
    }

    fn read(&mut self, limit: usize) -> io::Result<Option<Blob>> {
        let Some(size) = self.header()? else { return Ok(None) };
        let kept = size.min(limit as u64);
        let mut bytes = Vec::new();
        if (&mut self.output).take(kept).read_to_end(&mut bytes)? < kept as usize {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        self.copy(size - kept, &mut io::sink())?;
        Ok(Some(Blob { bytes, complete: kept == size }))
    }
}
