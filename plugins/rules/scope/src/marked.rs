//! What the host's survey marks in a file (`marks` of `wit/rule.wit`): files that run by themselves, characters nobody sees, names that
//! collide. Which files those are is the survey's to say; what that weighs is said here.

use borg_sdk::rule::{ChangedFile, FileClass, Finding, Hidden, Runs, Severity};

pub fn judge(file: &ChangedFile, findings: &mut Vec<Finding>) {
    let path = &file.path;
    // A file of CI, or one that says who reviews, has a finding of its own already.
    let is_told = matches!(file.class, FileClass::Ci | FileClass::Ownership);
    match file.marks.runs.as_ref().filter(|_| !is_told) {
        Some(Runs::ByItself(who)) => {
            let message = format!("{path} runs without being called ({who}): a person must read this change");
            findings.push(Finding::new("runs-by-itself", Severity::Major, 60, message).at_head(path, 1, 1));
        }
        Some(Runs::WhenStarted(who)) => {
            let message = format!("{path} runs when somebody starts it ({who})");
            findings.push(Finding::new("runs-in-a-build", Severity::Note, 100, message).at_head(path, 1, 1));
        }
        None => {}
    }
    if let Some(Hidden { line, what }) = &file.marks.hidden {
        let line = *line.max(&1);
        let message =
            format!("{path} has {what} from line {line} on, which a reader does not see: write them as escapes");
        findings.push(Finding::new("hidden-characters", Severity::Major, 60, message).at_head(path, line, line));
    }
    if let Some(other) = &file.marks.collides_with {
        let message = format!("{path} and {other} are one name on some systems, where one of them is lost: rename it");
        findings.push(Finding::new("name-collision", Severity::Major, 60, message).at_head(path, 1, 1));
    }
}
