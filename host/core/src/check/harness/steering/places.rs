//! What is looked at: a change, and where the tests of the base lie.

use crate::{
    check::harness::{is_test_folder, runs::Runs},
    facts::{ChangedFile, FileClass, FileStatus},
    survey::{Language, classify, language},
};
use std::collections::BTreeSet;

/// What is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Steering<'a> {
    pub files: &'a [ChangedFile],
    /// The test command.
    pub command: &'a str,
    /// What it runs.
    pub runs: &'a Runs,
    /// Harness files of the base, by path: what they name runs with the tests.
    pub texts: &'a [(String, String)],
    /// Paths of accepted stages that wrote tests; these are tests, whatever they do.
    pub tests: &'a BTreeSet<String>,
    /// Where the base's tests lie.
    pub places: &'a Places,
}

impl Steering<'_> {
    /// Folders with tests of the base, or of an accepted stage.
    pub(super) fn test_folders(&self) -> impl Iterator<Item = &str> {
        let own = self.tests.iter().filter(|path| classify(path) == FileClass::Test);
        let own = own.map(|path| path.rsplit_once('/').map_or("", |(folder, _)| folder));
        self.places.tests.iter().map(String::as_str).chain(own)
    }

    /// True for a folder that a runner of Python puts into its path for the tests that lie there: one that is no package, or not any more.
    pub(super) fn is_searched(&self, folder: &str) -> bool {
        let is_init = |file: &ChangedFile| file.path.strip_suffix("/__init__.py") == Some(folder);
        let is_gone =
            || self.files.iter().any(|file| file.status == FileStatus::Deleted && is_init(file) || moved(file, folder));
        self.test_folders().any(|tests| tests == folder) && (!self.places.packages.contains(folder) || is_gone())
    }
}

/// Folders of a tree that decide what names in its tests mean.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Places {
    /// With files of tests; empty for the top.
    tests: BTreeSet<String>,
    /// Code and data beside tests that modules of Python and JavaScript may mean, without their endings.
    pub(super) beside: BTreeSet<String>,
    /// With an `__init__.py`, which makes them packages of Python: what lies in them is found by the package's name only.
    packages: BTreeSet<String>,
}

impl Places {
    /// Takes a path of the tree.
    pub fn add(&mut self, path: &str) {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        if classify(path) == FileClass::Test {
            self.tests.insert(folder.to_owned());
        }
        if folder.split('/').any(is_test_folder) {
            self.beside.extend(importable(path));
        }
        if name == "__init__.py" {
            self.packages.insert(folder.to_owned());
        }
    }
}

/// How a module is imported that lies at a path: without its ending, and a folder in the place of what stands for it.
pub(super) fn importable(path: &str) -> Option<String> {
    let (stem, ending) = path.rsplit_once('.')?;
    let is_importable = matches!(language(path), Some(Language::Python | Language::Js)) || ending == "json";
    let stem = ["/index", "/__init__"].iter().find_map(|end| stem.strip_suffix(end)).unwrap_or(stem);
    is_importable.then(|| stem.to_owned())
}

/// True where a change moved the `__init__.py` of a folder away.
fn moved(file: &ChangedFile, folder: &str) -> bool {
    let was = |old: &String| old.strip_suffix("/__init__.py") == Some(folder);
    file.status == FileStatus::Renamed && file.old_path.as_ref().is_some_and(was)
}
