//! The tree a check runs on: the change, with files that are harness as a whole as the base has them.
//!
//! Done on Git's side (an index and a tree), never in a folder: what an agent committed as a link could lead a writer astray.

use super::{Error, Mirror, Result, Workspace, names::show};
use crate::spawn::Stdin;
use borg_core::{check::harness, collect::CommitId, id::RunKey};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Mode and id by path.
type Harness = BTreeMap<Vec<u8>, (u32, String)>;

/// How the names of our indexes in a mirror begin.
const INDEX: &str = "overlay-";

/// True for an index of ours in a mirror, and for its lock.
pub(super) fn is_index(name: &[u8]) -> bool {
    name.starts_with(INDEX.as_bytes())
}

impl Workspace {
    /// A commit like `head`, but with the base's harness; `head` itself where that makes no difference. Made the same way it has the same id.
    pub async fn with_harness_of(
        &self,
        mirror: &Mirror,
        base: &CommitId,
        head: &CommitId,
        run: RunKey,
    ) -> Result<CommitId> {
        if base == head {
            return Ok(head.clone());
        }
        let edits = edits(&self.harness(mirror, base).await?, &self.harness(mirror, head).await?, head.0.len());
        if edits.is_empty() {
            return Ok(head.clone());
        }
        let index = mirror.dir.join(format!("{INDEX}{run}.index"));
        let made = self.write_overlay(mirror, head, &index, edits).await;
        let lock = index.with_extension("index.lock");
        for leftover in [index, lock] {
            // Gone already when the write never began.
            let _ = std::fs::remove_file(leftover);
        }
        made
    }

    /// Mode and id of a commit's harness files, by their paths byte for byte: a runner finds those whose names are no text as well.
    async fn harness(&self, mirror: &Mirror, commit: &CommitId) -> Result<Harness> {
        self.with_tree(mirror, commit, |mut entries| {
            let mut found = Harness::new();
            while let Some(entry) = entries.next().map_err(Error::io("list a tree"))? {
                if harness::is_whole(&show(&entry.path)) {
                    found.insert(entry.path, (entry.mode, entry.id));
                }
            }
            Ok(found)
        })
        .await
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

/// Input of `update-index -z --index-info`: what to take out, what to put in.
fn edits(base: &Harness, head: &Harness, id_length: usize) -> Vec<u8> {
    let mut edits = Vec::new();
    let mut edit = |mode: u32, id: &str, path: &[u8]| {
        edits.extend(format!("{mode:o} {id}\t").bytes());
        edits.extend(path);
        edits.push(0);
    };
    let nothing = "0".repeat(id_length);
    for path in head.keys().filter(|path| !base.contains_key(*path)) {
        edit(0, &nothing, path);
    }
    for (path, (mode, id)) in base.iter().filter(|(path, kept)| head.get(*path) != Some(kept)) {
        edit(*mode, id, path);
    }
    edits
}

#[cfg(test)]
mod tests {
    use super::*;

    fn harness(files: &[(&[u8], &str)]) -> Harness {
        files.iter().map(|(path, id)| (path.to_vec(), (0o100644, (*id).to_owned()))).collect()
    }

    #[test]
    fn what_differs_is_put_back_or_taken_out() {
        let base = harness(&[(b"Makefile", "a"), (b"same.mk", "b"), (b"conftest.py", "c")]);
        let head = harness(&[(b"Makefile", "z"), (b"same.mk", "b"), (b"\xff/pytest.ini", "x")]);
        assert_eq!(edits(&base, &head, 2), b"0 00\t\xff/pytest.ini\x00100644 a\tMakefile\x00100644 c\tconftest.py\0");
        assert_eq!(edits(&base, &base, 2), b"");
    }
}
