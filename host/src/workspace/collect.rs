//! One collection: a dead sandbox's work tree and `/out` in, one commit and the artefacts out.
//!
//! Nothing here may be called while the sandbox lives. Every step can be repeated: the same work tree gives the same commit,
//! objects that are there already are not moved again, and the ref is set last.

use super::{
    Error, Result, Workspace, blocking,
    ignores::Ignores,
    import::{Head, Import},
    left::Left,
    merge::{Found, Merge, Rules},
    out,
    quarantine::object_format,
    tree::{self, Kind},
    writes::Writes,
};
use crate::{
    git::{
        self,
        mirror::{Mirror, MirrorLock},
    },
    spawn::{Stdin, Stdout},
};
use borg_core::{
    collect::{Artefact, Collected, CommitId},
    id::RunKey,
    run::WriteGrant,
};
use std::{
    collections::BTreeMap,
    io::{BufReader, BufWriter},
};

/// What is collected, and as what.
#[derive(Clone, Debug)]
pub struct Collect {
    pub run: RunKey,
    /// The commit the work tree was written from.
    pub parent: CommitId,
    /// The commit whose `.gitignore` files count: the task's base.
    pub ignores: CommitId,
    pub write: WriteGrant,
    /// The commit that holds the content of the grant's pinned paths; the parent when none is named.
    pub pinned_at: Option<CommitId>,
    /// Name of the persona, the commit's author.
    pub persona: String,
    pub message: String,
    /// Seconds since 1970, from the event that ended the run, so that a redone commit has the same id.
    pub time: i64,
    /// Full name of the ref to set, such as `refs/borg/12/s1-a2`; set even when nothing changed.
    pub reference: String,
    /// Artefacts the stage declares, by file name in `/out`.
    pub artefacts: Vec<String>,
}

/// Longest `.gitignore` that is obeyed, in bytes.
const IGNORE_BYTES: usize = 256 << 10;
/// `.gitignore` files read at once.
const IGNORE_LOT: usize = 256;

impl Workspace {
    /// Collects a run whose sandbox is dead.
    pub async fn collect(&self, lock: &MirrorLock, order: &Collect) -> Result<Collected> {
        let Collect { run, parent, .. } = order;
        let mirror = lock.mirror();
        let format = self.need_commit(mirror, parent).await?;
        if format != object_format(mirror)? {
            return Err(Error::MissingCommit { repo: mirror.repo.clone(), commit: parent.clone() });
        }
        let rules = Rules {
            writes: Writes::new(&order.write)?,
            ignores: self.ignores(mirror, &order.ignores).await?,
            pins: self.pins(mirror, order.pinned_at.as_ref().unwrap_or(parent), &order.write.pinned).await?,
            format,
            limits: self.config.limits,
        };
        let quarantine = self.quarantine(*run, mirror).await?;
        let (mut found, commit) = self.import(mirror, order, rules, &quarantine).await?;
        let commit = match commit {
            Some(commit) => {
                self.admit(quarantine).await?;
                commit
            }
            None => parent.clone(),
        };
        let artefacts = self.artefacts(order, &mut found.left).await?;
        // An earlier try of this collection may have set it; it set it to the same commit.
        self.set_ref(lock, &order.reference, &commit, None).await?;
        let changed = found.changed();
        let mut incomplete = found.incomplete;
        let (left_behind, faults) = found.left.finish();
        incomplete.extend(faults);
        Ok(Collected { commit, changed, left_behind, incomplete, artefacts })
    }

    /// Streams the differences into the quarantine; the commit's id when there are any.
    async fn import(
        &self,
        mirror: &Mirror,
        order: &Collect,
        rules: Rules,
        quarantine: &super::Quarantine,
    ) -> Result<(Found, Option<CommitId>)> {
        let tree = self.git.on(&mirror.dir, "ls-tree").args(tree::ARGS).arg(&order.parent.0).stdout(Stdout::Piped);
        let mut tree = self.git.stream(tree).await?;
        let import = self.quarantined(quarantine, "fast-import").args(["--quiet", "--done", "--date-format=raw"]);
        let mut import = self.git.stream(import.stdin(Stdin::Piped)).await?;
        let entries =
            tree::Stream::new(BufReader::with_capacity(1 << 16, tree.take_stdout().expect("asked for a pipe")));
        let sink = BufWriter::with_capacity(1 << 16, import.take_stdin().expect("asked for a pipe"));
        let head = Head {
            parent: order.parent.0.clone(),
            author: order.persona.clone(),
            message: order.message.clone(),
            time: order.time,
        };
        let top = self.run_dir(order.run).workspace;
        let work = blocking(move || Merge::new(&rules, entries, Import::new(sink, head)).run(&top));
        let (merged, listed, imported) = tokio::join!(work, tree.finish(), import.finish());
        let (listed, imported) = (listed.map_err(git::Error::from)?, imported.map_err(git::Error::from)?);
        // When Git gives up, the walk only sees a closed pipe; Git's own words say why. A walk that gives up makes Git fail too.
        let (found, begun) = match merged {
            Err(error @ Error::Io { .. }) => {
                self.git.check("fast-import", imported)?;
                self.git.check("ls-tree", listed)?;
                return Err(error);
            }
            merged => merged?,
        };
        self.git.check("ls-tree", listed)?;
        let output = self.git.check("fast-import", imported)?;
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Ok((found, begun.then_some(CommitId(id))))
    }

    /// The `.gitignore` files of a commit.
    async fn ignores(&self, mirror: &Mirror, commit: &CommitId) -> Result<Ignores> {
        self.need_commit(mirror, commit).await?;
        let found = self.with_tree(mirror, commit, |mut entries| {
            let mut found = Vec::new();
            while let Some(entry) = entries.next().map_err(Error::io("list a tree"))? {
                let folder = entry.path.strip_suffix(b".gitignore");
                if let Some(folder) = folder.filter(|folder| folder.is_empty() || folder.ends_with(b"/"))
                    && matches!(entry.kind(), Ok(Kind::Regular | Kind::Executable))
                {
                    found.push((folder.to_owned(), entry.id));
                }
            }
            Ok(found)
        });
        let mut ignores = Ignores::default();
        // One small blob can stand at any number of paths, so what is held counts by path.
        for lot in found.await?.chunks(IGNORE_LOT) {
            let ids = lot.iter().map(|(_, id)| id.clone()).collect();
            for ((folder, _), blob) in lot.iter().zip(self.read_blobs(mirror, ids, IGNORE_BYTES).await?) {
                match blob {
                    Some(blob) if blob.complete => ignores.add(folder, &blob.bytes),
                    Some(_) | None => ignores.refuse(folder, "is too large to be obeyed"),
                }
            }
            if ignores.is_full() {
                break;
            }
        }
        Ok(ignores)
    }

    /// Kind and id of the pinned paths.
    async fn pins(
        &self,
        mirror: &Mirror,
        commit: &CommitId,
        paths: &[String],
    ) -> Result<BTreeMap<Vec<u8>, (Kind, String)>> {
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        self.need_commit(mirror, commit).await?;
        let wanted: std::collections::BTreeSet<Vec<u8>> = paths.iter().map(|path| path.clone().into_bytes()).collect();
        let pins = self.with_tree(mirror, commit, move |mut entries| {
            let mut pins = BTreeMap::new();
            while let Some(entry) = entries.next().map_err(Error::io("list a tree"))? {
                if wanted.contains(&entry.path) {
                    let kind = entry.kind().map_err(Error::io("list a tree"))?;
                    pins.insert(entry.path, (kind, entry.id));
                }
            }
            Ok(pins)
        });
        let pins = pins.await?;
        match paths.iter().find(|path| !pins.contains_key(path.as_bytes())) {
            Some(missing) => Err(Error::PinMissing(missing.clone())),
            None => Ok(pins),
        }
    }

    /// Takes the declared artefacts into the data directory.
    async fn artefacts(&self, order: &Collect, left: &mut Left) -> Result<Vec<Artefact>> {
        let (dir, store) = (self.run_dir(order.run).out, self.data.join("artefacts"));
        let (names, limit) = (order.artefacts.clone(), self.config.limits.artefact_bytes);
        let taken = blocking(move || out::take(&dir, &names, limit, &store)).await?;
        for (path, reason) in taken.left {
            left.add(&path, reason);
        }
        Ok(taken.artefacts)
    }
}
