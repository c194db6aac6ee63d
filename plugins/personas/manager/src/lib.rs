//! The Manager: reads the repository and writes `/out/spec.md`, from which QA and Worker work. What makes a specification complete
//! is in `spec.rs`; the orders are in `system.md` and `prompt.md`.

mod spec;

use borg_sdk::persona::{Acceptance, Assignment, Persona, PersonaInfo, Report, Work};

pub struct Manager;

borg_sdk::persona!(Manager);

impl Persona for Manager {
    fn describe() -> PersonaInfo {
        PersonaInfo::new("manager", "Turns a request into a specification with acceptance criteria").produces("spec.md")
    }

    fn brief(work: Work) -> Result<Assignment, String> {
        if work.task.title.trim().is_empty() {
            return Err("the task has no title; say in one line what should be different afterwards".into());
        }
        Ok(Assignment::new(work.fill(include_str!("system.md")), work.fill(include_str!("prompt.md")))
            .tools(&["Read", "Glob", "Grep", "Write"]))
    }

    fn accept(work: Work, report: Report) -> Acceptance {
        let Some(artefact) = report.artefact("spec.md") else {
            return Acceptance::Retry("there is no `/out/spec.md`; write the specification there".into());
        };
        let faults = spec::faults(&artefact.text);
        if !artefact.complete {
            Acceptance::Retry("`/out/spec.md` is longer than 1 MiB; write a specification that people can read".into())
        } else if !faults.is_empty() {
            Acceptance::Retry(format!(
                "`/out/spec.md` is not complete: {}. Keep what is good and mend this.",
                faults.join("; ")
            ))
        } else {
            work.missing_artefact(&report).map_or(Acceptance::Accept, Acceptance::Retry)
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn golden_cases() {
        borg_sdk::golden::check::<super::Manager>(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"));
    }
}
