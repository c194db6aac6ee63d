//! A new directory per attempt, and a commit's tree in it: byte for byte, without filters, attributes or line-end conversion.

use super::{
    Error, Limits, Result, Workspace, blocking, names, read::Blobs, remove::remove_tree, run_dir::RunDir, tree::Kind,
    walk,
};
use crate::{
    git::{
        self,
        mirror::{Mirror, MirrorLock},
    },
    spawn::{Stdin, Stdout, User},
};
use borg_core::{collect::CommitId, id::RunKey};
use rustix::fs::{AtFlags, Gid, Mode, OFlags, Uid};
use std::{
    collections::VecDeque,
    fs::File,
    io::{self, BufWriter, Write},
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    path::{Path, PathBuf},
};

/// What an attempt starts from.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub run: RunKey,
    pub commit: CommitId,
    /// Where the sandbox will see the task's bare repository (see [`Workspace::lend`]); none for no `.git` at all.
    pub lender: Option<PathBuf>,
}

/// Questions asked of `cat-file` at once. Two such lots may be open, which fit into a pipe's 64 KiB: nobody waits for anybody.
const LOT: usize = 256;

impl Workspace {
    /// Makes the directory of a run anew and writes the commit's tree into it. Submodules become empty folders; [`Workspace::submodules`]
    /// names them.
    pub async fn prepare(&self, lock: &MirrorLock, attempt: &Attempt) -> Result<RunDir> {
        let mirror = lock.mirror();
        let dir = self.run_dir(attempt.run);
        let format = self.need_commit(mirror, &attempt.commit).await?;
        let (folders, agent) = (dir.clone(), self.config.agent);
        blocking(move || make_folders(&folders, agent)).await?;
        self.export(mirror, &attempt.commit, &dir.workspace).await?;
        if let Some(lender) = &attempt.lender {
            self.write_comfort(mirror, attempt, format, lender, &dir).await?;
        }
        Ok(dir)
    }

    /// Writes a commit's tree into an empty folder, as the agent's.
    async fn export(&self, mirror: &Mirror, commit: &CommitId, top: &Path) -> Result<()> {
        let call = self.git.on(&mirror.dir, "cat-file").args(["--batch-command", "--buffer"]);
        let mut running = self.git.stream(call.stdin(Stdin::Piped).stdout(Stdout::Piped)).await?;
        let ask = running.take_stdin().expect("asked for a pipe");
        let blobs = Blobs::new(running.take_stdout().expect("asked for a pipe"));
        let (top, owner, limits) = (top.to_owned(), self.config.agent, self.config.limits);
        let work = self.with_tree(mirror, commit, move |mut entries| {
            let mut writer = Writer::new(&top, owner, limits, ask, blobs)?;
            while let Some(entry) = entries.next().map_err(Error::io("read a tree"))? {
                let kind = entry.kind().map_err(Error::io("read a tree"))?;
                writer.add(entry.path, kind, &entry.id)?;
            }
            writer.finish()
        });
        let (written, ended) = tokio::join!(work, running.finish());
        written?;
        self.git.check("cat-file", ended.map_err(git::Error::from)?)?;
        Ok(())
    }
}

fn make_folders(dir: &RunDir, agent: User) -> Result<()> {
    let what = |path: &Path| format!("create {}", path.display());
    remove_tree(&dir.root).map_err(Error::io(format!("remove {}", dir.root.display())))?;
    for (path, is_agents) in [
        (&dir.root, false),
        (&dir.workspace, true),
        (&dir.input, false),
        (&dir.out, true),
        (&dir.home, true),
        (&dir.run, false),
    ] {
        std::fs::create_dir(path).map_err(Error::io(what(path)))?;
        let folder = walk::open_top(path).map_err(Error::io(what(path)))?;
        let owner = is_agents.then_some(agent);
        finish_entry(folder.as_fd(), Mode::from_raw_mode(0o755), owner).map_err(Error::io(what(path)))?;
    }
    Ok(())
}

/// Gives an open file or folder its mode and owner, whatever the umask.
pub(super) fn finish_entry(fd: BorrowedFd<'_>, mode: Mode, owner: Option<User>) -> io::Result<()> {
    rustix::fs::fchmod(fd, mode)?;
    match owner.filter(|owner| *owner != User::current()) {
        Some(User { uid, gid }) => Ok(rustix::fs::fchown(fd, Some(Uid::from_raw(uid)), Some(Gid::from_raw(gid)))?),
        None => Ok(()),
    }
}

struct Writer<W: Write, R> {
    owner: User,
    /// What may still be written: a few small objects can make a tree without end.
    entries: u64,
    bytes: u64,
    ask: BufWriter<W>,
    blobs: Blobs<R>,
    /// Asked for and not answered yet.
    open: VecDeque<(Vec<u8>, Kind)>,
    /// How many of the open ones Git was not yet told to answer.
    unsent: usize,
    /// Folders from the top to the current one; the path's length before each name.
    folders: Vec<(OwnedFd, Vec<u8>)>,
}

impl<W: Write, R: io::Read> Writer<W, R> {
    fn new(top: &Path, owner: User, limits: Limits, ask: W, blobs: Blobs<R>) -> Result<Self> {
        let Limits { entries, tree_bytes: bytes, .. } = limits;
        let top = walk::open_top(top).map_err(Error::io(format!("open {}", top.display())))?;
        let (ask, open) = (BufWriter::new(ask), VecDeque::new());
        let folders = vec![(top, Vec::new())];
        Ok(Writer { owner, entries, bytes, ask, blobs, open, unsent: 0, folders })
    }

    /// Asks for the next file's content, writing answered ones when too many are open.
    fn add(&mut self, path: Vec<u8>, kind: Kind, id: &str) -> Result<()> {
        let bad = |why| Error::BadTree { path: names::show(&path), why };
        names::check_path(&path).map_err(bad)?;
        self.entries = self.entries.checked_sub(1).ok_or_else(|| bad("is one entry more than a work tree may have"))?;
        if kind != Kind::Submodule {
            writeln!(self.ask, "contents {id}").map_err(Error::io("ask git cat-file"))?;
        }
        self.open.push_back((path, kind));
        self.unsent += 1;
        if self.unsent == LOT {
            self.send()?;
            // While Git works on this lot, the one before is written.
            while self.open.len() > LOT {
                self.write_next()?;
            }
        }
        Ok(())
    }

    fn send(&mut self) -> Result<()> {
        self.unsent = 0;
        self.ask.write_all(b"flush\n").and_then(|()| self.ask.flush()).map_err(Error::io("ask git cat-file"))
    }

    fn finish(mut self) -> Result<()> {
        self.send()?;
        while !self.open.is_empty() {
            self.write_next()?;
        }
        Ok(())
    }

    fn write_next(&mut self) -> Result<()> {
        let (path, kind) = self.open.pop_front().expect("callers look first");
        let what = || format!("write {}", names::show(&path));
        let cut = path.iter().rposition(|byte| *byte == b'/').map_or(0, |slash| slash + 1);
        self.go_to(&path[..cut]).map_err(Error::io(what()))?;
        let name = &path[cut..];
        let folder = self.folders.last().expect("the top is never left").0.as_fd();
        if kind == Kind::Submodule {
            return make_folder(folder, name, self.owner).map(drop).map_err(Error::io(what()));
        }
        let Some(size) = self.blobs.header().map_err(Error::io("read from git cat-file"))? else {
            return Err(Error::BadTree { path: names::show(&path), why: "has no content in the mirror" });
        };
        self.bytes = self.bytes.checked_sub(size).ok_or_else(|| Error::BadTree {
            path: names::show(&path),
            why: "is more, with all before it, than a work tree may hold",
        })?;
        let mode = match kind {
            Kind::Symlink => {
                if size > names::MAX_PATH as u64 {
                    return Err(Error::BadTree { path: names::show(&path), why: "is a link to more than 4,096 bytes" });
                }
                let mut target = Vec::new();
                self.blobs.copy(size, &mut target).map_err(Error::io(what()))?;
                return link(folder, name, target, self.owner).map_err(Error::io(what()));
            }
            Kind::Executable => 0o755,
            Kind::Regular | Kind::Submodule => 0o644,
        };
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let fd = rustix::fs::openat(folder, name, flags, Mode::RUSR | Mode::WUSR)
            .map_err(|error| Error::io(what())(error.into()))?;
        let mut file = File::from(fd);
        self.blobs.copy(size, &mut file).map_err(Error::io(what()))?;
        finish_entry(file.as_fd(), Mode::from_raw_mode(mode), Some(self.owner)).map_err(Error::io(what()))
    }

    /// Makes `folder` (empty or ending in `/`) the current one, creating what is missing on the way.
    fn go_to(&mut self, folder: &[u8]) -> io::Result<()> {
        while self.folders.last().is_some_and(|(_, path)| !folder.starts_with(path)) {
            self.folders.pop();
        }
        loop {
            let (current, path) = self.folders.last().expect("every path starts with the top's empty one");
            let rest = &folder[path.len()..];
            let Some(slash) = rest.iter().position(|byte| *byte == b'/') else { return Ok(()) };
            let opened = make_folder(current.as_fd(), &rest[..slash], self.owner)?;
            let path = folder[..path.len() + slash + 1].to_vec();
            self.folders.push((opened, path));
        }
    }
}

/// Makes a folder, or opens the one that is there.
fn make_folder(parent: BorrowedFd<'_>, name: &[u8], owner: User) -> io::Result<OwnedFd> {
    match rustix::fs::mkdirat(parent, name, Mode::RWXU) {
        Ok(()) => {
            let folder = walk::open_folder(parent, name)?;
            finish_entry(folder.as_fd(), Mode::from_raw_mode(0o755), Some(owner))?;
            Ok(folder)
        }
        Err(rustix::io::Errno::EXIST) => walk::open_folder(parent, name),
        Err(error) => Err(error.into()),
    }
}

fn link(folder: BorrowedFd<'_>, name: &[u8], target: Vec<u8>, owner: User) -> io::Result<()> {
    rustix::fs::symlinkat(target, folder, name)?;
    if owner != User::current() {
        let (uid, gid) = (Uid::from_raw(owner.uid), Gid::from_raw(owner.gid));
        rustix::fs::chownat(folder, name, Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}
