//! Turns Git's description of a change into facts. Pure: who runs Git, confined, is `host/src/workspace/`.
//!
//! Two outputs for the same two commits are read; [`RAW_ARGS`] and [`PATCH_ARGS`] are the exact arguments. The raw list says
//! which files changed and how, the patch says what changed in them; a file that one of them lacks makes the facts
//! `incomplete`, and so do limits that were reached and text that could not be parsed. Nothing is dropped without a reason.

mod attributes;
mod classify;
mod collide;
mod hidden;
mod marks;
mod patch;
mod quote;
mod raw;
pub(crate) mod runs;
mod scripts;

pub use attributes::attributes;
pub use classify::{CI_FILES, CI_FOLDERS, Language, classify, language, plain};
pub use collide::Collisions;
pub use hidden::hidden;
pub use marks::marks;
pub use patch::{FilePatch, read_patch};
pub use quote::{show, unquote};
pub use raw::{RawEntry, RawStatus, read_raw};
pub use runs::{Cause, Runs, cause};

use crate::facts::{ChangedFile, FileClass, FileMode, FileStatus, Marks};

/// `git ARGS BASE HEAD`: which files changed, NUL-separated. BASE and HEAD are full object ids, so neither can be an option.
pub const RAW_ARGS: [&str; 10] = [
    "diff-tree",
    "-r",
    "-M",
    "-l1000",
    "--raw",
    "-z",
    "--full-index",
    "--no-abbrev",
    "--no-commit-id",
    "--no-ext-diff",
];

/// `git ARGS BASE HEAD`: what changed in them. Rename detection is the same as in [`RAW_ARGS`], so that both agree.
pub const PATCH_ARGS: [&str; 18] = [
    "-c",
    "core.quotePath=true",
    "diff-tree",
    "-r",
    "-M",
    "-l1000",
    "-p",
    "--full-index",
    "--no-commit-id",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--unified=3",
    "--inter-hunk-context=0",
    "--diff-algorithm=histogram",
    "--src-prefix=a/",
    "--dst-prefix=b/",
    "--submodule=short",
];

/// How much of a change is looked at; what lies beyond makes it `incomplete`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Changed files.
    pub files: usize,
    /// Bytes of the patch.
    pub patch_bytes: usize,
    /// Bytes of one line of the patch.
    pub line_bytes: usize,
    /// Bytes of one file's whole text.
    pub text_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { files: 5_000, patch_bytes: 10 << 20, line_bytes: 1 << 20, text_bytes: 1 << 20 }
    }
}

/// Which version of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    Base,
    Head,
}

/// A blob the rules want to read whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedText {
    /// Index into [`Survey::files`].
    pub file: usize,
    pub side: Side,
    /// Object id, as `git cat-file --batch` takes it.
    pub blob: String,
}

/// Facts about the files of a change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// In Git's order (by path bytes).
    pub files: Vec<ChangedFile>,
    /// Why the facts are not whole.
    pub incomplete: Vec<String>,
    blobs: Vec<(String, String)>,
    text_bytes: usize,
}

/// Reads the outputs of the two Git commands.
///
/// Pass what Git wrote, cut at one byte over the limit at the earliest: the overrun is noticed here.
pub fn survey(raw: &[u8], patch: &[u8], limits: Limits) -> Survey {
    let mut survey = Survey { text_bytes: limits.text_bytes, ..Survey::default() };
    let (mut entries, fault) = read_raw(raw);
    survey.incomplete.extend(fault.map(|fault| format!("the list of changed files could not be read: {fault}")));
    if entries.len() > limits.files {
        survey.incomplete.push(format!("{} files changed; the first {} were looked at", entries.len(), limits.files));
        entries.truncate(limits.files);
    }
    let shown = if patch.len() > limits.patch_bytes {
        survey
            .incomplete
            .push(format!("the diff is larger than {} bytes; it was looked at up to there", limits.patch_bytes));
        &patch[..limits.patch_bytes]
    } else {
        patch
    };
    let (patches, faults) = read_patch(shown, limits.line_bytes);
    survey.incomplete.extend(faults);
    let mut patches = patches.into_iter().peekable();
    for entry in entries {
        let mut file = file_of(&entry);
        let mut found = false;
        // A type change is shown as a deletion followed by a creation.
        while let Some(patch) = patches.next_if(|patch| patch.is_about(&entry)) {
            file.binary |= patch.binary;
            file.hunks.extend(patch.hunks);
            found = true;
        }
        if !found {
            survey.incomplete.push(format!("the diff says nothing about {}", file.path));
        }
        survey.blobs.push((entry.old_id, entry.new_id));
        survey.files.push(file);
    }
    let rest = patches.count();
    if rest > 0 && survey.files.len() < limits.files {
        survey.incomplete.push(format!("the diff speaks of {rest} more files than the list of changed files"));
    }
    survey
}

fn file_of(entry: &RawEntry) -> ChangedFile {
    let status = match entry.status {
        RawStatus::Added => FileStatus::Added,
        RawStatus::Deleted => FileStatus::Deleted,
        RawStatus::Modified => FileStatus::Modified,
        RawStatus::Renamed => FileStatus::Renamed,
        RawStatus::TypeChanged => FileStatus::TypeChanged,
    };
    let bits = if entry.status == RawStatus::Deleted { entry.old_mode } else { entry.new_mode };
    let mode = match bits {
        0o100755 => FileMode::Executable,
        0o120000 => FileMode::Symlink,
        0o160000 => FileMode::Submodule,
        _ => FileMode::Regular,
    };
    ChangedFile {
        class: classify(&entry.path),
        path: entry.path.clone(),
        old_path: entry.old_path.clone(),
        status,
        mode,
        binary: false,
        hunks: Vec::new(),
        base_text: None,
        head_text: None,
        collides: None,
        marks: Marks::default(),
    }
}

impl Survey {
    /// Bytes of text in it, about.
    pub fn bytes(&self) -> usize {
        let lines = |file: &ChangedFile| file.hunks.iter().map(|hunk| hunk.text.len()).sum::<usize>();
        let texts = |file: &ChangedFile| file.base_text.iter().chain(&file.head_text).map(String::len).sum::<usize>();
        self.files.iter().map(|file| file.path.len() + lines(file) + texts(file)).sum()
    }

    /// Notes in each file what it is beside what its lines say: last, when all texts are there.
    pub fn mark(&mut self) {
        for file in &mut self.files {
            file.marks = marks(file);
        }
    }

    /// Blobs to fetch and hand to [`Survey::set_text`]: code, which may hold tests, and manifests.
    pub fn wanted_texts(&self) -> Vec<WantedText> {
        let mut wanted = Vec::new();
        for (index, (file, (base, head))) in self.files.iter().zip(&self.blobs).enumerate() {
            let old_path = file.old_path.as_deref().unwrap_or(&file.path);
            let wants = |path: &str| match classify(path) {
                _ if scripts::wants_text(path) => true,
                FileClass::Source | FileClass::Test => language(path).is_some(),
                FileClass::Build => true,
                FileClass::Fixture
                | FileClass::Snapshot
                | FileClass::Ci
                | FileClass::Lint
                | FileClass::Coverage
                | FileClass::Ownership
                | FileClass::Docs
                | FileClass::Other => false,
            };
            let is_text = !file.binary && matches!(file.mode, FileMode::Regular | FileMode::Executable);
            if !is_text || !(wants(old_path) || wants(&file.path)) {
                continue;
            }
            for (side, blob) in [(Side::Base, base), (Side::Head, head)] {
                if blob.bytes().any(|digit| digit != b'0') {
                    wanted.push(WantedText { file: index, side, blob: blob.clone() });
                }
            }
        }
        wanted
    }

    /// Takes the content of a wanted blob; one that is too large or no UTF-8 makes the facts incomplete.
    pub fn set_text(&mut self, wanted: &WantedText, bytes: &[u8]) {
        let Some(file) = self.files.get_mut(wanted.file) else { return };
        if bytes.len() > self.text_bytes {
            self.incomplete
                .push(format!("{} is larger than {} bytes; only its diff was looked at", file.path, self.text_bytes));
            return;
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            self.incomplete.push(format!("{} is not UTF-8; only its diff was looked at", file.path));
            return;
        };
        match wanted.side {
            Side::Base => file.base_text = Some(text.to_owned()),
            Side::Head => file.head_text = Some(text.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests;
#[cfg(test)]
pub(crate) use tests::EXAMPLES;
