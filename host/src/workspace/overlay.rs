//! The tree a check runs on: the change, with what steers its tests as the base has it.
//!
//! Done on Git's side (an index and a tree), never in a folder: what an agent committed as a link could lead a writer astray.

use super::{
    Error, Result, Workspace,
    names::show,
    object::Format,
    sweep::INDEX,
    tree::{self, Kind},
};
use crate::{
    git::mirror::{Mirror, MirrorLock},
    spawn::Stdin,
};
use borg_core::{
    check::harness::{self, Cause, Manifest, Merged, Overlaid, Sides},
    collect::CommitId,
    effect::Accepted,
    id::RunKey,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

/// Mode and id by path.
type Harness = BTreeMap<Vec<u8>, (u32, String)>;

/// Largest manifest that is taken apart, in bytes; of a larger one the base's is taken.
const MANIFEST_BYTES: usize = 1 << 20;
/// Largest `__init__.py` that is looked into: one that does nothing is short.
const PACKAGE_BYTES: usize = 64 << 10;
/// Manifests that are taken apart in one change, and blobs read at once.
const MANIFESTS: usize = 500;
const LOT: usize = 16;
/// Harness files of a base that are looked into for what they load.
const TEXTS: usize = 1000;

/// Where the harness of a check comes from.
#[derive(Clone, Copy, Debug)]
pub struct HarnessFrom<'a> {
    pub base: &'a CommitId,
    /// Stages whose own harness counts as the base's, in order.
    pub accepted: &'a [Accepted],
    /// The test command.
    pub command: &'a str,
}

/// A commit to check, and what in it is otherwise than in the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    pub commit: CommitId,
    /// By path; empty where the commit is the change's own.
    pub overlaid: Vec<Overlaid>,
}

/// What becomes of one path.
struct Edit {
    path: Vec<u8>,
    to: Option<(u32, String)>,
    cause: Cause,
}

/// Both sides of a path that differs.
#[derive(Clone)]
struct Pair {
    path: Vec<u8>,
    base: Option<(u32, String)>,
    head: Option<(u32, String)>,
}

impl Workspace {
    /// A commit like `head`, but with the base's harness; `head` itself where that makes no difference. Made the same way it has the same id.
    ///
    /// What is made is written into the mirror.
    pub async fn with_harness_of(
        &self,
        lock: &MirrorLock,
        from: HarnessFrom<'_>,
        head: &CommitId,
        run: RunKey,
    ) -> Result<Overlay> {
        let mirror = lock.mirror();
        let own = || Overlay { commit: head.clone(), overlaid: Vec::new() };
        if from.base == head {
            return Ok(own());
        }
        let mut base = self.harness(mirror, from.base).await?;
        for stage in from.accepted {
            // By the names they are shown under: that is how a stage's paths are kept.
            let paths: BTreeSet<&str> =
                stage.paths.iter().map(String::as_str).filter(|path| is_harness(path)).collect();
            if paths.is_empty() {
                continue;
            }
            base.retain(|path, _| !paths.contains(show(path).as_str()));
            let theirs = self.harness(mirror, &stage.commit).await?;
            base.extend(theirs.into_iter().filter(|(path, _)| paths.contains(show(path).as_str())));
        }
        let edits = self.edits(mirror, from.command, base, self.harness(mirror, head).await?, head).await?;
        if edits.is_empty() {
            return Ok(own());
        }
        let index = mirror.dir.join(format!("{INDEX}{run}.index"));
        let made = self.write_overlay(mirror, head, &index, lines(&edits, head.0.len())).await;
        let lock = index.with_extension("index.lock");
        for leftover in [index, lock] {
            // Gone already when the write never began.
            let _ = std::fs::remove_file(leftover);
        }
        let overlaid = edits.into_iter().map(|edit| Overlaid { path: show(&edit.path), cause: edit.cause }).collect();
        Ok(Overlay { commit: made?, overlaid })
    }

    /// Texts of a commit's harness files, by path, as far as they are text of a usual length: what else they name runs with the tests.
    /// Those nearest to the top, and how many more there are.
    pub async fn harness_texts(&self, mirror: &Mirror, commit: &CommitId) -> Result<(Vec<(String, String)>, usize)> {
        let harness = self.harness(mirror, commit).await?;
        let is_config = |path: &str| {
            let in_packages = ["node_modules/", ".yarn/", "venv/"].iter().any(|folder| path.contains(folder));
            !in_packages
                && Manifest::of(path) != Some(Manifest::Cargo)
                && borg_core::survey::classify(path) != borg_core::facts::FileClass::Ci
        };
        let mut files: Vec<(String, String)> = harness
            .into_iter()
            .filter(|(_, (mode, _))| is_file(*mode))
            .map(|(path, (_, id))| (show(&path), id))
            .filter(|(path, _)| is_config(path))
            .collect();
        files.sort_by_key(|(path, _)| path.matches('/').count());
        let more = files.len().saturating_sub(TEXTS);
        files.truncate(TEXTS);
        let mut texts = Vec::new();
        for lot in files.chunks(LOT) {
            let ids = lot.iter().map(|(_, id)| id.clone()).collect();
            for ((path, _), blob) in lot.iter().zip(self.read_blobs(mirror, ids, PACKAGE_BYTES).await?) {
                let text = blob.filter(|blob| blob.complete).and_then(|blob| String::from_utf8(blob.bytes).ok());
                texts.extend(text.map(|text| (path.clone(), text)));
            }
        }
        Ok((texts, more))
    }

    /// Where the tests of a commit lie.
    pub async fn test_places(&self, mirror: &Mirror, commit: &CommitId) -> Result<harness::Places> {
        self.with_tree(mirror, commit, |mut entries| {
            let mut places = harness::Places::default();
            while let Some(entry) = entries.next().map_err(Error::io("list a tree"))? {
                places.add(&show(&entry.path));
            }
            Ok(places)
        })
        .await
    }

    /// Mode and id of a commit's harness files, by their paths byte for byte: a runner finds those whose names are no text as well.
    async fn harness(&self, mirror: &Mirror, commit: &CommitId) -> Result<Harness> {
        self.with_tree(mirror, commit, |mut entries| {
            let mut found = Harness::new();
            while let Some(entry) = entries.next().map_err(Error::io("list a tree"))? {
                if is_harness(&show(&entry.path)) {
                    found.insert(entry.path, (entry.mode, entry.id));
                }
            }
            Ok(found)
        })
        .await
    }

    /// What is to be changed in a head's tree.
    async fn edits(
        &self,
        mirror: &Mirror,
        command: &str,
        base: Harness,
        head: Harness,
        commit: &CommitId,
    ) -> Result<Vec<Edit>> {
        let paths: BTreeSet<&Vec<u8>> = base.keys().chain(head.keys()).collect();
        let pair =
            |path: &Vec<u8>| Pair { path: path.clone(), base: base.get(path).cloned(), head: head.get(path).cloned() };
        let pairs = paths.into_iter().filter(|path| base.get(*path) != head.get(*path)).map(pair);
        let (mut whole, mut packages, mut manifests) = (Vec::new(), Vec::new(), Vec::new());
        for pair in pairs {
            let path = show(&pair.path);
            if harness::is_whole(&path) {
                whole.push(pair);
            } else if Manifest::of(&path).is_some() {
                manifests.push(pair);
            } else {
                packages.push(pair);
            }
        }
        let mut edits: Vec<Edit> = whole.into_iter().map(taken).collect();
        for lot in packages.chunks(LOT) {
            let bases = self.texts(mirror, lot.iter().map(|pair| pair.base.as_ref()), PACKAGE_BYTES).await?;
            let heads = self.texts(mirror, lot.iter().map(|pair| pair.head.as_ref()), PACKAGE_BYTES).await?;
            for ((pair, base), head) in lot.iter().zip(bases).zip(heads) {
                if !(is_idle(&pair.base, base.as_deref()) && is_idle(&pair.head, head.as_deref())) {
                    edits.push(taken(pair.clone()));
                }
            }
        }
        let rest = manifests.split_off(manifests.len().min(MANIFESTS));
        for lot in manifests.chunks(LOT) {
            let bases = self.texts(mirror, lot.iter().map(|pair| pair.base.as_ref()), MANIFEST_BYTES).await?;
            let heads = self.texts(mirror, lot.iter().map(|pair| pair.head.as_ref()), MANIFEST_BYTES).await?;
            for ((pair, base), head) in lot.iter().zip(bases).zip(heads) {
                edits.extend(self.manifest(mirror, command, pair, (base, head), commit).await?);
            }
        }
        let too_many = || Cause::Unreadable(format!("more than {MANIFESTS} manifests changed"));
        edits.extend(rest.into_iter().map(|pair| Edit { cause: too_many(), path: pair.path, to: pair.base }));
        edits.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(edits)
    }

    /// What becomes of a manifest, given the texts of both sides.
    async fn manifest(
        &self,
        mirror: &Mirror,
        command: &str,
        pair: &Pair,
        (base, head): (Option<String>, Option<String>),
        commit: &CommitId,
    ) -> Result<Option<Edit>> {
        let path = show(&pair.path);
        let Some(manifest) = Manifest::of(&path) else { return Ok(None) };
        let edit = |to, cause| Some(Edit { path: pair.path.clone(), to, cause });
        let is_lost = |side: &Option<(u32, String)>, text: &Option<String>| side.is_some() && text.is_none();
        if is_lost(&pair.base, &base) || is_lost(&pair.head, &head) {
            return Ok(edit(pair.base.clone(), Cause::Unreadable("it is no text file of a usual length".into())));
        }
        let asked = manifest.asks(&path, base.as_deref(), head.as_deref());
        let there = self.which(mirror, commit, &asked).await?;
        let merged = {
            let has = |path: &str| there.contains(path);
            manifest.merge(&Sides { path: &path, base: base.as_deref(), head: head.as_deref(), command, has: &has })
        };
        Ok(match merged {
            Merged::Same => None,
            Merged::Edited { text, keys } => {
                let mode = pair.head.as_ref().or(pair.base.as_ref()).map_or(0o100644, |(mode, _)| *mode);
                edit(Some((mode, self.write_blob(mirror, text).await?)), Cause::Keys(keys))
            }
            Merged::Unreadable(why) => edit(pair.base.clone(), Cause::Unreadable(why)),
        })
    }

    /// Texts of files, in the same order; none for what is not there, no file, no text, or longer than `limit` bytes.
    async fn texts<'a>(
        &self,
        mirror: &Mirror,
        sides: impl Iterator<Item = Option<&'a (u32, String)>>,
        limit: usize,
    ) -> Result<Vec<Option<String>>> {
        let ids: Vec<Option<String>> =
            sides.map(|side| side.filter(|(mode, _)| is_file(*mode)).map(|(_, id)| id.clone())).collect();
        let mut blobs = self.read_blobs(mirror, ids.iter().flatten().cloned().collect(), limit).await?.into_iter();
        let mut text = |_: &String| {
            let blob = blobs.next().flatten().filter(|blob| blob.complete)?;
            String::from_utf8(blob.bytes).ok()
        };
        Ok(ids.iter().map(|id| id.as_ref().and_then(&mut text)).collect())
    }

    /// Those of some paths that a commit's tree has.
    async fn which(&self, mirror: &Mirror, commit: &CommitId, paths: &[String]) -> Result<BTreeSet<String>> {
        let mut found = BTreeSet::new();
        for lot in paths.chunks(MANIFESTS) {
            let call =
                self.git().on(&mirror.dir, "ls-tree").global(["--literal-pathspecs"]).args(["-z", "--full-tree"]);
            let plain = lot.iter().filter(|path| super::names::check_path(path.as_bytes()).is_ok());
            let output = self.git().run(call.args([commit.0.as_str(), "--"]).args(plain)).await?;
            let mut entries = tree::Stream::new(&output.stdout[..]);
            while let Some(entry) = entries.next().map_err(Error::io("list a tree"))? {
                found.insert(show(&entry.path));
            }
        }
        Ok(found)
    }

    async fn write_blob(&self, mirror: &Mirror, text: String) -> Result<String> {
        let call = self.git().on(&mirror.dir, "hash-object").args(["-w", "--no-filters", "--stdin"]);
        let output = self.git().run(call.stdin(Stdin::Bytes(text.into_bytes()))).await?;
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        Format::of_id(&id).map(|_| id).ok_or_else(|| Error::io("write a blob")(std::io::Error::other("git told no id")))
    }

    async fn write_overlay(&self, mirror: &Mirror, head: &CommitId, index: &Path, edits: Vec<u8>) -> Result<CommitId> {
        let git = |what: &str| self.git().on(&mirror.dir, what).env("GIT_INDEX_FILE", index);
        self.git().run(git("read-tree").arg(&head.0)).await?;
        let edit = git("update-index").args(["--replace", "-z", "--index-info"]).stdin(Stdin::Bytes(edits));
        self.git().run(edit).await?;
        let tree = self.git().run(git("write-tree")).await?;
        let tree = String::from_utf8_lossy(&tree.stdout).trim().to_owned();
        let commit = git("commit-tree").args([&tree, "-p", &head.0, "-m", "tree of a check"]);
        let dates =
            ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"].into_iter().fold(commit, |call, name| call.env(name, "@0 +0000"));
        let commit = self.git().run(dates).await?;
        Ok(CommitId(String::from_utf8_lossy(&commit.stdout).trim().to_owned()))
    }

    /// Folder of a run that a check may leave its report in.
    pub fn report_path(&self, run: RunKey) -> PathBuf {
        self.run_dir(run).out.join("junit.xml")
    }
}

/// True for a path whose file steers tests, or holds something that does.
fn is_harness(path: &str) -> bool {
    harness::is_whole(path) || harness::is_test_package(path) || Manifest::of(path).is_some()
}

fn is_file(mode: u32) -> bool {
    matches!(Kind::of_mode(mode), Some(Kind::Regular | Kind::Executable))
}

/// True for a side of an `__init__.py` that does nothing; one that is not there does not either. What cannot be read may do anything.
fn is_idle(side: &Option<(u32, String)>, text: Option<&str>) -> bool {
    side.is_none() || text.is_some_and(harness::is_bare)
}

/// The base's in the place of the head's.
fn taken(pair: Pair) -> Edit {
    let cause = match (&pair.base, &pair.head) {
        (Some(_), Some(_)) => Cause::Replaced,
        (None, _) => Cause::TakenOut,
        (Some(_), None) => Cause::PutBack,
    };
    Edit { path: pair.path, to: pair.base, cause }
}

/// Input of `update-index -z --index-info`: first what to take out, then what to put in, which may lie below what was a link.
fn lines(edits: &[Edit], id_length: usize) -> Vec<u8> {
    let nothing = (0, "0".repeat(id_length));
    let (put, out): (Vec<&Edit>, Vec<&Edit>) = edits.iter().partition(|edit| edit.to.is_some());
    let mut lines = Vec::new();
    for edit in out.into_iter().chain(put) {
        let (mode, id) = edit.to.as_ref().unwrap_or(&nothing);
        lines.extend(format!("{mode:o} {id}\t").bytes());
        lines.extend(&edit.path);
        lines.push(0);
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_out_goes_before_what_is_put_back() {
        let side = |id: &str| Some((0o100644, id.to_owned()));
        let pair = |path: &[u8], base: &str, head: &str| Pair {
            path: path.to_vec(),
            base: side(base).filter(|_| !base.is_empty()),
            head: side(head).filter(|_| !head.is_empty()),
        };
        let edits: Vec<Edit> =
            [pair(b"Makefile", "a", "z"), pair(b"\xff/pytest.ini", "", "x"), pair(b"conftest.py", "c", "")]
                .into_iter()
                .map(taken)
                .collect();
        let causes: Vec<&Cause> = edits.iter().map(|edit| &edit.cause).collect();
        assert_eq!(causes, [&Cause::Replaced, &Cause::TakenOut, &Cause::PutBack]);
        assert_eq!(lines(&edits, 2), b"0 00\t\xff/pytest.ini\x00100644 a\tMakefile\x00100644 c\tconftest.py\0");
        assert_eq!(lines(&[], 2), b"");
    }
}
