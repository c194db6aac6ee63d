//! What rules are told of a file beside its record: pairs of a name and words, described in `wit/rule.wit`.

use super::{Runs, cause, classify, hidden, plain, scripts};
use crate::{
    check::harness::mixed_changes,
    facts::{ChangedFile, FileClass, FileStatus},
};

/// Everything that can be said of a changed file by itself.
pub fn marks(file: &ChangedFile) -> Vec<(String, String)> {
    let mut marks = Vec::new();
    let mut tell = |name: &str, words: String| marks.push((name.to_owned(), words));
    if let Some(keys) = mixed_changes(&file.path, file.base_text.as_deref(), file.head_text.as_deref()) {
        tell("test-keys", keys);
    }
    let path = plain(&file.path);
    if path != file.path {
        tell("same-as", path.into_owned());
    }
    if let Some((runs, words)) = runs(file) {
        match runs {
            Runs::ByItself => tell("runs-by-itself", words),
            Runs::WhenStarted => tell("runs-when-started", words),
        }
    }
    if let Some(class) = left(file) {
        tell("was", class.to_owned());
    }
    if let Some(hidden) = hidden(file) {
        tell("hidden", format!("{} {}", hidden.line, hidden.words));
    }
    if let Some(other) = &file.collides {
        tell("collides-with", other.clone());
    }
    marks
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
fn left(file: &ChangedFile) -> Option<&'static str> {
    match classify(file.old_path.as_deref()?) {
        FileClass::Ci if file.class != FileClass::Ci => Some("ci"),
        FileClass::Ownership if file.class != FileClass::Ownership => Some("ownership"),
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
