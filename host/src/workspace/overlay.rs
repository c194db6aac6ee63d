//! The tree a check runs on: the change, with files that are harness as a whole as the base has them.
//!
//! Done on Git's side (an index and a tree), never in a folder: what an agent committed as a link could lead a writer astray.

use super::{Mirror, Result, TreeEntry, Workspace};
use crate::spawn::Stdin;
use borg_core::{check::harness, collect::CommitId, id::RunKey};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

/// Most files of a tree that is checked.
const FILES: usize = 2_000_000;

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
        let (before, _) = self.list_tree(mirror, base, FILES).await?;
        let (after, _) = self.list_tree(mirror, head, FILES).await?;
        let edits = edits(&before, &after, head.0.len());
        if edits.is_empty() {
            return Ok(head.clone());
        }
        let index = mirror.dir.join(format!("overlay-{run}.index"));
        let made = self.write_overlay(mirror, head, &index, edits).await;
        let lock = index.with_extension("index.lock");
        for leftover in [index, lock] {
            // Gone already when the write never began.
            let _ = std::fs::remove_file(leftover);
        }
        made
    }

    async fn write_overlay(&self, mirror: &Mirror, head: &CommitId, index: &Path, edits: String) -> Result<CommitId> {
        let git = |what: &str| self.git().on(&mirror.dir, what).env("GIT_INDEX_FILE", index);
        self.git().run(git("read-tree").arg(&head.0)).await?;
        let edit =
            git("update-index").args(["--replace", "-z", "--index-info"]).stdin(Stdin::Bytes(edits.into_bytes()));
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
fn edits(base: &[TreeEntry], head: &[TreeEntry], id_length: usize) -> String {
    fn whole(entries: &[TreeEntry]) -> BTreeMap<&str, &TreeEntry> {
        entries
            .iter()
            .filter(|entry| harness::is_whole(&entry.path))
            .map(|entry| (entry.path.as_str(), entry))
            .collect()
    }
    let (before, after) = (whole(base), whole(head));
    let nothing = "0".repeat(id_length);
    let gone = after.keys().filter(|path| !before.contains_key(*path)).map(|path| format!("0 {nothing}\t{path}\0"));
    let kept = before
        .values()
        .filter(|entry| {
            after.get(entry.path.as_str()).is_none_or(|other| (other.mode, &other.id) != (entry.mode, &entry.id))
        })
        .map(|entry| format!("{:o} {}\t{}\0", entry.mode, entry.id, entry.path));
    gone.chain(kept).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(path: &str, id: &str) -> TreeEntry {
        TreeEntry { path: path.into(), mode: 0o100644, id: id.into() }
    }

    #[test]
    fn only_harness_is_put_back_or_taken_out() {
        let base = [entry("Makefile", "a"), entry("src/a.py", "b"), entry("conftest.py", "c")];
        let head = [entry("Makefile", "z"), entry("src/a.py", "y"), entry("pytest.ini", "x")];
        let got = edits(&base, &head, 2);
        assert!(got.contains("0 00\tpytest.ini\0"), "{got:?}");
        assert!(got.contains("100644 a\tMakefile\0"), "{got:?}");
        assert!(got.contains("100644 c\tconftest.py\0"), "{got:?}");
        assert!(!got.contains("src/a.py"), "{got:?}");
        assert_eq!(edits(&base, &base, 2), "");
    }
}
