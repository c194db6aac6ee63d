//! What the host's survey marks in a file (`extra` of a changed file in `wit/rule.wit`): files that run by themselves, characters nobody
//! sees, names that collide. Which files those are is the survey's to say; what that weighs is said here.

use borg_sdk::rule::{ChangedFile, FileClass, Finding, Severity};

/// The words of a mark.
pub fn mark<'a>(file: &'a ChangedFile, name: &str) -> Option<&'a str> {
    file.extra.iter().find(|(known, _)| known == name).map(|(_, words)| words.as_str())
}

pub fn judge(file: &ChangedFile, findings: &mut Vec<Finding>) {
    let path = &file.path;
    // A file of CI, or one that says who reviews, has a finding of its own already.
    let is_told = matches!(file.class, FileClass::Ci | FileClass::Ownership);
    if let Some(words) = mark(file, "runs-by-itself").filter(|_| !is_told) {
        let message = format!("{path} runs without being called ({words}): a person must read this change");
        findings.push(Finding::new("runs-by-itself", Severity::Major, 60, message).at_head(path, 1, 1));
    }
    if let Some(words) = mark(file, "runs-when-started").filter(|_| !is_told) {
        let message = format!("{path} runs when somebody starts it ({words})");
        findings.push(Finding::new("runs-in-a-build", Severity::Note, 100, message).at_head(path, 1, 1));
    }
    if let Some((line, words)) = mark(file, "hidden").and_then(|mark| mark.split_once(' ')) {
        let line = line.parse().unwrap_or(1).max(1);
        let message =
            format!("{path} has {words} from line {line} on, which a reader does not see: write them as escapes");
        findings.push(Finding::new("hidden-characters", Severity::Major, 60, message).at_head(path, line, line));
    }
    if let Some(other) = mark(file, "collides-with") {
        let message = format!("{path} and {other} are one name on some systems, where one of them is lost: rename it");
        findings.push(Finding::new("name-collision", Severity::Major, 60, message).at_head(path, 1, 1));
    }
}
