//! Compares a dead sandbox's work tree with the parent commit, entry by entry in Git's order, and decides what is taken.
//!
//! Both sides are streams, so memory is bounded by the largest folder and not by the tree. The result starts as the parent's
//! tree; a granted difference becomes a change of it, any other is left behind and the parent's (or the pinned) content stays.

use super::{
    Error, Limits, Result,
    ignores::{Ignores, is_litter},
    import::Import,
    left::Left,
    names::{MAX_DEPTH, MAX_PATH, is_git_lookalike, show},
    object::Format,
    tree::{Entry, Kind, Stream},
    walk::{self, Named},
    writes::Writes,
};
use borg_core::collect::LeftReason;
use rustix::fs::FileType;
use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead, Cursor, Read, Seek, Write},
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

/// Files up to this size are read once; larger ones are hashed first and read again if they changed.
const IN_MEMORY: u64 = 4 << 20;

/// What decides which differences are taken.
pub(super) struct Rules {
    pub writes: Writes,
    pub ignores: Ignores,
    /// Content of the pinned paths.
    pub pins: BTreeMap<Vec<u8>, (Kind, String)>,
    pub format: Format,
    pub limits: Limits,
}

/// What a comparison found.
#[derive(Default)]
pub(super) struct Found {
    pub left: Left,
    pub incomplete: Vec<String>,
    /// Paths whose content, mode or existence changed; none where one was taken back.
    changed: Vec<Option<Vec<u8>>>,
}

impl Found {
    pub fn changed(&self) -> Vec<String> {
        let mut changed: Vec<_> = self.changed.iter().flatten().map(|path| show(path)).collect();
        changed.sort();
        changed
    }
}

/// A file of the resulting tree that stands where a later path may want a folder.
struct Standing {
    path: Vec<u8>,
    what: StandingAs,
}

impl Standing {
    /// True when a path that begins like this one lies below it.
    fn is_folder_of(&self, path: &[u8]) -> bool {
        path.get(self.path.len()) == Some(&b'/')
    }
}

#[derive(Clone, Copy)]
enum StandingAs {
    /// Taken from the work tree; index into `changed`.
    Taken(usize),
    /// Kept from the parent, though it is gone from the work tree.
    Kept,
    /// Taken, and given up again for the folder of the parent's that stood there: all that is kept below must be written anew.
    GivenUp,
}

struct Folder {
    fd: OwnedFd,
    /// Length of the folder's path with its slash.
    prefix: usize,
    names: std::vec::IntoIter<Named>,
    /// Of the files here, those that make a `target` beside them litter; a few names at most.
    owners: Vec<Vec<u8>>,
    /// True when only tracked paths count, because the folder itself is ignored.
    tracked_only: bool,
}

pub(super) struct Merge<'a, R, W: Write> {
    rules: &'a Rules,
    parent: Stream<R>,
    import: Import<W>,
    found: Found,
    /// Each path here is a prefix of the next.
    standing: Vec<Standing>,
    pinned_seen: Vec<Vec<u8>>,
    listed: u64,
    taken_bytes: u64,
    read_bytes: u64,
    name_bytes: u64,
    buffer: Vec<u8>,
}

impl<'a, R: BufRead, W: Write> Merge<'a, R, W> {
    pub fn new(rules: &'a Rules, parent: Stream<R>, import: Import<W>) -> Self {
        Merge {
            rules,
            parent,
            import,
            found: Found::default(),
            standing: Vec::new(),
            pinned_seen: Vec::new(),
            listed: 0,
            taken_bytes: 0,
            read_bytes: 0,
            name_bytes: 0,
            buffer: Vec::new(),
        }
    }

    /// Walks the tree below `top`; true when there is a commit to make.
    pub fn run(mut self, top: &Path) -> Result<(Found, bool)> {
        let fd = walk::open_used_top(top).map_err(Error::io(format!("open {}", top.display())))?;
        let mut path = Vec::new();
        let mut stack = Vec::new();
        if !self.enter(fd, &mut stack, &path, false)? {
            let limit = self.rules.limits.entries;
            self.found.incomplete.push(format!("the work tree has more than {limit} entries; it was not looked at"));
            self.keep_rest()?;
        }
        while let Some(folder) = stack.last_mut() {
            path.truncate(folder.prefix);
            let Some(named) = folder.names.next() else {
                stack.pop();
                continue;
            };
            path.extend_from_slice(&named.name);
            if named.is_folder {
                path.push(b'/');
                self.folder(&named, &path, &mut stack)?;
            } else {
                self.file(&named.name, &path, folder)?;
            }
        }
        self.gone_before(None)?;
        self.restore_unseen_pins()?;
        self.found.incomplete.extend(self.rules.ignores.faults.iter().cloned());
        let commit = self.import.finish().map_err(stream_error)?;
        Ok((self.found, commit))
    }

    /// Lists a folder and puts it on the stack; false when that would be too many entries. A part of them would not do: a folder is listed
    /// in no order, and what the parent has of the others would pass for removed.
    fn enter(&mut self, fd: OwnedFd, stack: &mut Vec<Folder>, path: &[u8], tracked_only: bool) -> Result<bool> {
        let room = self.rules.limits.entries.saturating_sub(self.listed);
        let listing = walk::list(fd.as_fd(), usize::try_from(room).unwrap_or(usize::MAX));
        let (names, whole) = listing.map_err(Error::io(format!("list {}", show(path))))?;
        if !whole {
            return Ok(false);
        }
        self.listed += names.len() as u64;
        let is_owner = |named: &&Named| !named.is_folder && is_litter(b"target", true, |name| name == named.name);
        let owners = names.iter().filter(is_owner).map(|named| named.name.clone()).collect();
        stack.push(Folder { fd, prefix: path.len(), names: names.into_iter(), owners, tracked_only });
        Ok(true)
    }

    /// `path` ends in a slash.
    fn folder(&mut self, named: &Named, path: &[u8], stack: &mut Vec<Folder>) -> Result<()> {
        self.gone_before(Some(path))?;
        let above = stack.last().expect("a folder is met within another");
        let bare = &path[..path.len() - 1];
        // The comfort `.git` the host itself put at the top; what the agent made of it is never read.
        if path == b".git/" {
            return Ok(());
        }
        if is_git_lookalike(&named.name) {
            self.found.left.add(bare, LeftReason::GitLookalike);
            return self.keep_below(path);
        }
        let tracked = self.parent.peek().map_err(tree_error)?.is_some_and(|entry| entry.path.starts_with(path));
        let unwanted = above.tracked_only
            || self.rules.ignores.covers(bare, true)
            || is_litter(&named.name, true, |name| above.owners.iter().any(|owner| owner == name));
        if unwanted && !tracked {
            return Ok(());
        }
        let stat = match walk::look(above.fd.as_fd(), &named.name) {
            Ok(stat) => stat,
            Err(error) => return Err(Error::io(format!("look at {}", show(bare)))(error)),
        };
        let reason = if stat.st_mode & 0o500 != 0o500 {
            Some(LeftReason::Unreadable)
        } else if path.len() > MAX_PATH {
            Some(LeftReason::BadName)
        } else if stack.len() >= MAX_DEPTH {
            Some(LeftReason::OverLimit)
        } else {
            None
        };
        let opened = match reason {
            Some(reason) => Err(reason),
            // Another file system, or a right the host has not.
            None => walk::open_folder(above.fd.as_fd(), &named.name).map_err(|_| LeftReason::Unreadable),
        };
        let refused = match opened {
            Ok(fd) => match self.enter(fd, stack, path, unwanted)? {
                true => return Ok(()),
                false => LeftReason::OverLimit,
            },
            Err(reason) => reason,
        };
        self.found.left.add(bare, refused);
        self.keep_below(path)
    }

    fn file(&mut self, name: &[u8], path: &[u8], folder: &Folder) -> Result<()> {
        self.gone_before(Some(path))?;
        let tracked = match self.parent.peek().map_err(tree_error)? {
            Some(entry) if entry.path == path => self.parent.next().map_err(tree_error)?,
            Some(_) | None => None,
        };
        if is_git_lookalike(name) {
            self.found.left.add(path, LeftReason::GitLookalike);
            return Ok(());
        }
        if tracked.is_none()
            && (folder.tracked_only || self.rules.ignores.covers(path, false) || is_litter(name, false, |_| false))
        {
            return Ok(());
        }
        if path.len() > MAX_PATH {
            self.found.left.add(path, LeftReason::BadName);
            return Ok(());
        }
        let work = match self.read(name, path, folder, tracked.as_ref())? {
            Look::Left(reason) => {
                self.found.left.add(path, reason);
                return self.settle_pin(path, tracked.as_ref());
            }
            Look::Same => return self.settle_pin(path, tracked.as_ref()),
            Look::Differs(work) => work,
        };
        if let Some(reason) = self.refusal(path) {
            self.found.left.add(path, reason);
            return self.settle_pin(path, tracked.as_ref());
        }
        let limits = &self.rules.limits;
        if self.is_full(path) || self.taken_bytes + work.size > limits.changed_bytes {
            self.found.left.add(path, LeftReason::OverLimit);
            return Ok(());
        }
        self.taken_bytes += work.size;
        self.name_bytes += path.len() as u64;
        self.standing.push(Standing { path: path.to_vec(), what: StandingAs::Taken(self.found.changed.len()) });
        self.found.changed.push(Some(path.to_vec()));
        match work.content {
            Content::Memory(bytes) => {
                let result = self.import.set(path, work.kind, work.size, &mut Cursor::new(&bytes));
                self.buffer = bytes;
                result.map_err(stream_error)
            }
            Content::File(mut file) => match self.import.set(path, work.kind, work.size, &mut file) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(Error::Restless(show(path))),
                result => result.map_err(stream_error),
            },
        }
    }

    /// True when one more changed path would be too much to report.
    fn is_full(&self, path: &[u8]) -> bool {
        let limits = &self.rules.limits;
        self.found.changed.len() as u64 >= limits.changed_files
            || self.name_bytes + path.len() as u64 > limits.name_bytes
    }

    /// Reads what stands at a path as far as it matters.
    fn read(&mut self, name: &[u8], path: &[u8], folder: &Folder, tracked: Option<&Entry>) -> Result<Look> {
        let at = || format!("read {}", show(path));
        let stat = walk::look(folder.fd.as_fd(), name).map_err(Error::io(at()))?;
        let kind = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile if stat.st_mode & 0o400 == 0 => return Ok(Look::Left(LeftReason::Unreadable)),
            FileType::RegularFile if stat.st_mode & 0o100 != 0 => Kind::Executable,
            FileType::RegularFile => Kind::Regular,
            FileType::Symlink => Kind::Symlink,
            _ => return Ok(Look::Left(LeftReason::NotAFile)),
        };
        // Untracked and not granted: its content does not matter.
        if tracked.is_none()
            && let Some(reason) = self.refusal(path)
        {
            return Ok(Look::Left(reason));
        }
        let is_parents =
            |id: &str| tracked.is_some_and(|entry| entry.id == id && Kind::of_mode(entry.mode) == Some(kind));
        if kind == Kind::Symlink {
            let target = walk::read_link(folder.fd.as_fd(), name).map_err(Error::io(at()))?;
            if is_parents(&self.rules.format.blob_id(&target)) {
                return Ok(Look::Same);
            }
            return Ok(Look::Differs(Work { kind, size: target.len() as u64, content: Content::Memory(target) }));
        }
        let (mut file, stat) = match walk::open_file(folder.fd.as_fd(), name) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return Err(Error::Restless(show(path))),
            Err(_) => return Ok(Look::Left(LeftReason::Unreadable)),
        };
        let size = u64::try_from(stat.st_size).unwrap_or(0);
        if size > self.rules.limits.file_bytes || self.read_bytes + size > self.rules.limits.read_bytes {
            return Ok(Look::Left(LeftReason::OverLimit));
        }
        self.read_bytes += size;
        if size <= IN_MEMORY {
            let mut bytes = std::mem::take(&mut self.buffer);
            bytes.clear();
            (&mut file).take(size).read_to_end(&mut bytes).map_err(Error::io(at()))?;
            if bytes.len() as u64 != size {
                return Err(Error::Restless(show(path)));
            }
            if tracked.is_some() && is_parents(&self.rules.format.blob_id(&bytes)) {
                self.buffer = bytes;
                return Ok(Look::Same);
            }
            return Ok(Look::Differs(Work { kind, size, content: Content::Memory(bytes) }));
        }
        if tracked.is_some() {
            if is_parents(&self.hash(&mut file, size).map_err(Error::io(at()))?) {
                return Ok(Look::Same);
            }
            file.rewind().map_err(Error::io(at()))?;
        }
        Ok(Look::Differs(Work { kind, size, content: Content::File(file) }))
    }

    fn hash(&mut self, file: &mut File, size: u64) -> io::Result<String> {
        let mut hasher = self.rules.format.blob(size);
        self.buffer.resize(1 << 16, 0);
        loop {
            match file.read(&mut self.buffer)? {
                0 => return Ok(hasher.finish()),
                read => hasher.update(&self.buffer[..read]),
            }
        }
    }

    /// Why a difference at this path is not taken: by the grant, or because a kept file stands where its folder would be.
    fn refusal(&mut self, path: &[u8]) -> Option<LeftReason> {
        if let Some(reason) = self.rules.writes.refusal(path) {
            return Some(reason);
        }
        self.trim_standing(path);
        let above = self
            .standing
            .iter()
            .find(|standing| matches!(standing.what, StandingAs::Kept) && standing.is_folder_of(path))?;
        Some(self.rules.writes.refusal(&above.path).unwrap_or(LeftReason::NotGranted))
    }

    fn trim_standing(&mut self, path: &[u8]) {
        while self.standing.last().is_some_and(|standing| !path.starts_with(&standing.path)) {
            self.standing.pop();
        }
    }

    /// Handles the parent's entries that sort before `until`: they are gone from the work tree.
    fn gone_before(&mut self, until: Option<&[u8]>) -> Result<()> {
        loop {
            match self.parent.peek().map_err(tree_error)? {
                Some(entry) if until.is_none_or(|until| entry.path.as_slice() < until) => {}
                Some(_) | None => return Ok(()),
            }
            let entry = self.parent.next().map_err(tree_error)?.expect("just peeked");
            self.gone(entry)?;
        }
    }

    fn gone(&mut self, entry: Entry) -> Result<()> {
        let kind = entry.kind().map_err(tree_error)?;
        self.trim_standing(&entry.path);
        let over = self.is_full(&entry.path);
        let reason = match self.rules.writes.refusal(&entry.path) {
            // Its folder is written empty, so that nobody can tell whether it was removed.
            _ if kind == Kind::Submodule => return self.keep(entry, kind, None),
            None if over => LeftReason::OverLimit,
            None => {
                let replaced = self.taken_above(&entry.path).is_some();
                self.name_bytes += entry.path.len() as u64;
                self.found.changed.push(Some(entry.path.clone()));
                return if replaced { Ok(()) } else { self.import.remove(&entry.path).map_err(stream_error) };
            }
            Some(reason) => reason,
        };
        self.found.left.add(&entry.path, reason.clone());
        self.keep(entry, kind, Some(reason))
    }

    fn taken_above(&self, path: &[u8]) -> Option<usize> {
        self.standing
            .iter()
            .position(|standing| matches!(standing.what, StandingAs::Taken(_)) && standing.is_folder_of(path))
    }

    /// Keeps a parent's entry; a file that was taken where its folder stands is given up again.
    fn keep(&mut self, entry: Entry, kind: Kind, reason: Option<LeftReason>) -> Result<()> {
        self.trim_standing(&entry.path);
        while let Some(index) = self.taken_above(&entry.path) {
            let standing = &mut self.standing[index];
            if let StandingAs::Taken(changed) = std::mem::replace(&mut standing.what, StandingAs::GivenUp) {
                self.found.changed[changed] = None;
            }
            self.found.left.add(&standing.path, reason.clone().unwrap_or(LeftReason::NotGranted));
        }
        let is_lost =
            |standing: &Standing| matches!(standing.what, StandingAs::GivenUp) && standing.is_folder_of(&entry.path);
        if self.standing.iter().any(is_lost) {
            self.import.keep(&entry.path, kind, &entry.id).map_err(stream_error)?;
        }
        self.settle_pin(&entry.path, Some(&entry))?;
        self.standing.push(Standing { path: entry.path, what: StandingAs::Kept });
        Ok(())
    }

    /// Keeps all of the parent's entries below a folder that was not entered.
    fn keep_below(&mut self, folder: &[u8]) -> Result<()> {
        while self.parent.peek().map_err(tree_error)?.is_some_and(|entry| entry.path.starts_with(folder)) {
            let entry = self.parent.next().map_err(tree_error)?.expect("just peeked");
            self.settle_pin(&entry.path, Some(&entry))?;
        }
        Ok(())
    }

    /// Keeps all that is left of the parent's tree, because the work tree was not looked at to its end.
    fn keep_rest(&mut self) -> Result<()> {
        while let Some(entry) = self.parent.next().map_err(tree_error)? {
            let kind = entry.kind().map_err(tree_error)?;
            self.keep(entry, kind, None)?;
        }
        Ok(())
    }

    /// Sees to it that a pinned path has its pinned content in the result, whatever the parent has.
    fn settle_pin(&mut self, path: &[u8], parent: Option<&Entry>) -> Result<()> {
        let Some((kind, id)) = self.rules.pins.get(path) else { return Ok(()) };
        self.pinned_seen.push(path.to_vec());
        if parent.is_some_and(|entry| entry.id == *id && Kind::of_mode(entry.mode) == Some(*kind)) {
            return Ok(());
        }
        self.found.changed.push(Some(path.to_vec()));
        self.import.keep(path, *kind, id).map_err(stream_error)
    }

    fn restore_unseen_pins(&mut self) -> Result<()> {
        self.pinned_seen.sort();
        let rules = self.rules;
        for path in rules.pins.keys() {
            if self.pinned_seen.binary_search(path).is_err() {
                self.found.left.add(path, LeftReason::Pinned);
                self.settle_pin(path, None)?;
            }
        }
        Ok(())
    }
}

enum Look {
    Left(LeftReason),
    Same,
    Differs(Work),
}

struct Work {
    kind: Kind,
    size: u64,
    content: Content,
}

enum Content {
    Memory(Vec<u8>),
    File(File),
}

fn tree_error(source: io::Error) -> Error {
    Error::io("read the parent's tree")(source)
}

fn stream_error(source: io::Error) -> Error {
    Error::io("write to git fast-import")(source)
}
