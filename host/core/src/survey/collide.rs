//! Names that a change brings beside others which some file system takes for the same: on such a machine one of them is lost, and which of
//! two contents a path has is decided by the order of writing.

use crate::{
    facts::{ChangedFile, FileStatus},
    spelling::{fold, fold_path},
};
use std::collections::{HashMap, HashSet};

/// What a change adds, to be held against all that lies at its head.
#[derive(Debug)]
pub struct Collisions {
    /// Paths and folders of added files, by what the most forgiving file system makes of them.
    added: HashMap<String, HashSet<String>>,
    files: HashSet<String>,
    /// Added paths and folders that were there already, by files that the change did not add.
    known: HashSet<String>,
    /// The first other path for each that is added.
    met: HashMap<String, String>,
}

impl Collisions {
    /// None when nothing was added.
    pub fn of(files: &[ChangedFile]) -> Option<Collisions> {
        let is_new = |file: &&ChangedFile| matches!(file.status, FileStatus::Added | FileStatus::Renamed);
        let files: HashSet<String> = files.iter().filter(is_new).map(|file| file.path.clone()).collect();
        let mut added: HashMap<String, HashSet<String>> = HashMap::new();
        for path in &files {
            for part in parts(path) {
                added.entry(fold_path(part)).or_default().insert(part.to_owned());
            }
        }
        (!files.is_empty()).then(|| Collisions { added, files, known: HashSet::new(), met: HashMap::new() })
    }

    /// Takes a path of the tree at head.
    pub fn see(&mut self, path: &str) {
        let is_added = self.files.contains(path);
        let mut folded = String::with_capacity(path.len());
        for part in parts(path) {
            let name = part.rsplit('/').next().unwrap_or(part);
            if !folded.is_empty() {
                folded.push('/');
            }
            folded.push_str(&fold(name));
            let Some(spellings) = self.added.get(&folded) else { return };
            for spelling in spellings {
                if spelling != part {
                    self.met.entry(spelling.clone()).or_insert_with(|| part.to_owned());
                } else if !is_added {
                    self.known.insert(spelling.clone());
                }
            }
        }
    }

    /// Notes in each file with what it, or a folder that came with it, collides.
    pub fn tell(self, files: &mut [ChangedFile]) {
        let news = |path: &str| {
            let part = parts(path).find(|part| !self.known.contains(*part) && self.met.contains_key(*part))?;
            self.met.get(part).cloned()
        };
        for file in files.iter_mut().filter(|file| self.files.contains(&file.path)) {
            file.collides = news(&file.path);
        }
    }
}

/// Each folder above a path, and the path.
fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at]).chain([path])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::survey::tests::file;

    fn told(tree: &[&str], added: &[&str]) -> Vec<Option<String>> {
        let mut files: Vec<ChangedFile> = added.iter().map(|path| file(path, FileStatus::Added, &[])).collect();
        let mut collisions = Collisions::of(&files).expect("something was added");
        tree.iter().chain(added).for_each(|path| collisions.see(path));
        collisions.tell(&mut files);
        files.into_iter().map(|file| file.collides).collect()
    }

    #[test]
    fn what_the_change_brings_together_is_told_and_what_was_so_before_is_not() {
        let some = |path: &str| Some(path.to_owned());
        for (tree, added, expected) in [
            (&["src/a.py"][..], &["src/A.py"][..], vec![some("src/a.py")]),
            (&["src/a.py"], &["Src/b.py"], vec![some("src")]),
            (&["src/a.py"], &["src/b.py"], vec![None]),
            (&["Makefile"], &["makefile"], vec![some("Makefile")]),
            (&[], &["x/R.txt", "x/r.txt"], vec![some("x/r.txt"), some("x/R.txt")]),
            // Both folders were there already.
            (&["src/a.py", "SRC/c.py"], &["src/b.py"], vec![None]),
            (&["src/a.py", "SRC/c.py"], &["src/C.py"], vec![some("SRC/c.py")]),
            (&["t\u{fc}r.md"], &["tu\u{308}r.md"], vec![some("t\u{fc}r.md")]),
            (&["a"], &["a."], vec![some("a")]),
            (&["ab"], &["a/b", "abc"], vec![None, None]),
        ] {
            assert_eq!(told(tree, added), expected, "{tree:?} {added:?}");
        }
        assert!(Collisions::of(&[file("a", FileStatus::Modified, &[])]).is_none());
    }
}
