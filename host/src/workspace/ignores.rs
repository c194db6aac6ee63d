//! What is dropped in silence: paths the base ignores, and the litter that builds and test runs leave.
//!
//! Only untracked paths are ever asked about. Rules come from a commit, never from the work tree (gitignore(5)).

use super::names::show;
use ignore::{
    Match,
    gitignore::{Gitignore, GitignoreBuilder},
};
use std::{collections::BTreeMap, ffi::OsStr, os::unix::ffi::OsStrExt, path::Path};

/// Folders that are litter wherever they are.
const LITTER_FOLDERS: [&[u8]; 9] = [
    b".venv",
    b"__pycache__",
    b"node_modules",
    b".pytest_cache",
    b".mypy_cache",
    b".ruff_cache",
    b".tox",
    b".nox",
    b".gradle",
];
/// Files that are litter wherever they are.
const LITTER_FILES: [&[u8]; 3] = [b".coverage", b".DS_Store", b"Thumbs.db"];
/// Files beside which a folder `target` is the build's output and not a module of that name.
const TARGET_OWNERS: [&[u8]; 3] = [b"Cargo.toml", b"pom.xml", b"build.sbt"];

/// True for litter; `siblings` tells whether a name stands in the same folder.
pub(super) fn is_litter(name: &[u8], is_folder: bool, siblings: impl Fn(&[u8]) -> bool) -> bool {
    if is_folder {
        LITTER_FOLDERS.contains(&name) || (name == b"target" && TARGET_OWNERS.iter().any(|owner| siblings(owner)))
    } else {
        LITTER_FILES.contains(&name) || name.ends_with(b".pyc")
    }
}

/// Lines of all `.gitignore` files together that are obeyed: a pattern takes about a kilobyte once it is compiled.
const LINES: usize = 50_000;
/// Bytes of all `.gitignore` files together that are obeyed.
const BYTES: usize = 4 << 20;
/// Faults that are told one by one.
const FAULTS: usize = 20;

/// All `.gitignore` files of one commit, by their folder (empty or ending in `/`).
#[derive(Default)]
pub(super) struct Ignores {
    folders: BTreeMap<Vec<u8>, Gitignore>,
    lines: usize,
    bytes: usize,
    /// What is not obeyed, for the report.
    pub faults: Vec<String>,
}

impl Ignores {
    /// Adds the `.gitignore` of a folder, unless there are too many already.
    pub fn add(&mut self, folder: &[u8], text: &[u8]) {
        if self.is_full() {
            return;
        }
        self.lines += text.iter().filter(|byte| **byte == b'\n').count() + 1;
        self.bytes += text.len();
        if self.is_full() {
            let why = format!(
                "is not obeyed, and none after it: together they have more than {LINES} lines or {BYTES} bytes"
            );
            self.faults.truncate(FAULTS);
            self.faults.push(format!("{}.gitignore {why}", show(folder)));
            return;
        }
        let mut builder = GitignoreBuilder::new("");
        for line in text.split(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(line.strip_suffix(b"\r").unwrap_or(line));
            if builder.add_line(None, &line).is_err() {
                self.refuse(
                    folder,
                    &format!("has a line that is no pattern: {}", line.chars().take(200).collect::<String>()),
                );
            }
        }
        match builder.build() {
            Ok(rules) => drop(self.folders.insert(folder.to_owned(), rules)),
            Err(error) => self.refuse(folder, &format!("cannot be used: {error}")),
        }
    }

    /// True when no more rules are taken.
    pub fn is_full(&self) -> bool {
        self.lines > LINES || self.bytes > BYTES
    }

    /// Notes that the `.gitignore` of a folder is not obeyed, or not as a whole.
    pub fn refuse(&mut self, folder: &[u8], why: &str) {
        match self.faults.len() {
            count if count < FAULTS => self.faults.push(format!("{}.gitignore {why}", show(folder))),
            FAULTS => self.faults.push("more .gitignore files have faults".to_owned()),
            _ => {}
        }
    }

    /// True when the rules ignore a path whose folder is not ignored itself; the deepest file that speaks decides.
    pub fn covers(&self, path: &[u8], is_folder: bool) -> bool {
        let mut cut = path.len();
        while let Some(slash) = path[..cut].iter().rposition(|byte| *byte == b'/') {
            if let Some(ignored) = self.ask(&path[..=slash], &path[slash + 1..], is_folder) {
                return ignored;
            }
            cut = slash;
        }
        self.ask(b"", path, is_folder).unwrap_or(false)
    }

    fn ask(&self, folder: &[u8], path: &[u8], is_folder: bool) -> Option<bool> {
        match self.folders.get(folder)?.matched(Path::new(OsStr::from_bytes(path)), is_folder) {
            Match::None => None,
            Match::Ignore(_) => Some(true),
            Match::Whitelist(_) => Some(false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_file_decides() {
        let mut ignores = Ignores::default();
        ignores.add(b"", b"*.log\n/build/\n# note\n!keep.log\nout\n");
        ignores.add(b"a/", b"!x.log\n/local\n");
        for (path, folder, covered) in [
            ("x.log", false, true),
            ("keep.log", false, false),
            ("a/x.log", false, false),
            ("a/b/x.log", false, false),
            ("b/x.log", false, true),
            ("build", true, true),
            ("build", false, false),
            ("a/build", true, false),
            ("a/local", false, true),
            ("local", false, false),
            ("a/b/out", true, true),
        ] {
            assert_eq!(ignores.covers(path.as_bytes(), folder), covered, "{path}");
        }
        assert!(ignores.faults.is_empty());
    }

    #[test]
    fn target_is_litter_only_beside_a_build_file() {
        assert!(is_litter(b"target", true, |name| name == b"Cargo.toml"));
        assert!(!is_litter(b"target", true, |_| false));
        assert!(!is_litter(b"target", false, |_| true));
        assert!(is_litter(b"node_modules", true, |_| false));
    }
}
