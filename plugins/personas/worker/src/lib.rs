//! The Worker: implements a change. In the `feature` pipeline it works from a specification and tests that it cannot touch; in `quick`
//! from the request alone. The orders are in `system.md` and `prompt.md`.

use borg_sdk::persona::{Acceptance, Assignment, Persona, PersonaInfo, Report, Work};

pub struct Worker;

borg_sdk::persona!(Worker);

impl Persona for Worker {
    fn describe() -> PersonaInfo {
        PersonaInfo::new("worker", "Implements the change until the tests pass")
    }

    fn brief(work: Work) -> Result<Assignment, String> {
        let source = match work.handoff("spec.md") {
            Some(_) => include_str!("from-spec.md"),
            None => include_str!("from-request.md"),
        };
        let check = match work.check.as_deref() {
            Some("tests-pass") => include_str!("tests-pass.md"),
            Some(_) | None => "",
        };
        let prompt =
            borg_sdk::fill(include_str!("prompt.md"), &[("source", source.trim_end()), ("check", check.trim_end())]);
        Ok(Assignment::new(work.fill(include_str!("system.md")), work.fill(&prompt))
            .tools(&["Read", "Glob", "Grep", "Write", "Edit", "Bash"])
            .write(&["**"]))
    }

    fn accept(work: Work, report: Report) -> Acceptance {
        if report.changed.is_empty() {
            let mut why = "nothing in the repository was changed".to_owned();
            if !report.left_behind.is_empty() {
                let paths: Vec<_> = report.left_behind.iter().take(10).map(|path| format!("`{path}`")).collect();
                why.push_str(&format!("; these were written but are not yours to write: {}", paths.join(", ")));
            }
            return Acceptance::Retry(format!("{why}. Implement the change in the files of the repository."));
        }
        work.missing_artefact(&report).map_or(Acceptance::Accept, Acceptance::Retry)
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn golden_cases() {
        borg_sdk::golden::check::<super::Worker>(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"));
    }
}
