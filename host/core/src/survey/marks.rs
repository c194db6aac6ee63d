//! What a changed file is beside what its lines say, for rules: the WIT form is `marks` of `wit/rule.wit`.

use super::{Runs, cause, classify, hidden, plain, scripts};
use crate::{
    check::harness::mixed_changes,
    facts::{ChangedFile, FileClass, FileStatus, Marks},
};

/// Everything that can be said of a changed file by itself.
pub fn marks(file: &ChangedFile) -> Marks {
    let path = plain(&file.path);
    Marks {
        test_keys: mixed_changes(&file.path, file.base_text.as_deref(), file.head_text.as_deref()),
        same_as: (path != file.path).then(|| path.into_owned()),
        runs: runs(file),
        was: left(file),
        hidden: hidden(file),
    }
}

/// Why the file runs: what its lines say counts for more than its name, unless it says less.
fn runs(file: &ChangedFile) -> Option<(Runs, String)> {
    if file.status == FileStatus::Deleted {
        return None;
    }
    let named = cause(&file.path).map(|cause| (cause.runs, cause.words.to_owned()));
    match (scripts::told(file), named) {
        (Some((Runs::WhenStarted, _)), Some((Runs::ByItself, words))) => Some((Runs::ByItself, words)),
        (told, named) => told.or(named),
    }
}

/// The class a renamed file had, where it steered a CI or a forge and no longer does.
fn left(file: &ChangedFile) -> Option<FileClass> {
    match classify(file.old_path.as_deref()?) {
        was @ (FileClass::Ci | FileClass::Ownership) if was != file.class => Some(was),
        FileClass::Source
        | FileClass::Test
        | FileClass::Fixture
        | FileClass::Snapshot
        | FileClass::Ci
        | FileClass::Build
        | FileClass::Lint
        | FileClass::Coverage
        | FileClass::Ownership
        | FileClass::Docs
        | FileClass::Other => None,
    }
}

#[cfg(test)]
mod tests;
