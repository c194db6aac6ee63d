//! The Answerer: answers a question from what the repository says. Its last words are the answer, unless it wrote a longer one to
//! `/out/answer.md`, which then counts. The orders are in `system.md` and `prompt.md`.

use borg_sdk::persona::{Acceptance, Assignment, Persona, PersonaInfo, Report, Work};

pub struct Answerer;

borg_sdk::persona!(Answerer);

impl Persona for Answerer {
    fn describe() -> PersonaInfo {
        PersonaInfo::new("answerer", "Answers a question about a repository and changes nothing").produces("answer.md")
    }

    fn brief(work: Work) -> Result<Assignment, String> {
        if work.task.title.trim().is_empty() && work.task.description.trim().is_empty() {
            return Err("the question is empty; ask something about the repository".into());
        }
        Ok(Assignment::new(work.fill(include_str!("system.md")), work.fill(include_str!("prompt.md")))
            .tools(&["Read", "Glob", "Grep", "Write"]))
    }

    fn accept(_work: Work, report: Report) -> Acceptance {
        let written = report.artefact("answer.md").map_or("", |answer| answer.text.as_str());
        if written.trim().is_empty() && report.message.trim().is_empty() {
            Acceptance::Retry("there was no answer; your last message is what the person reads".into())
        } else {
            Acceptance::Accept
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn golden_cases() {
        borg_sdk::golden::check::<super::Answerer>(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"));
    }
}
