//! An example to copy: a persona that reads what the stages before it made and writes `/out/security.md`. It changes nothing.
//!
//! How to use one of your own, without building the host:
//!
//! 1. Copy this folder, rename it in `Cargo.toml` and `plugin.toml`, write `prompt.md`.
//! 2. `cargo build --release --target wasm32-wasip2`, and put the `.wasm` with `plugin.toml` into a folder of its name below the
//!    host's plugin folder.
//! 3. Grant it in a policy file, and name it in a pipeline:
//!
//! ```toml
//! [persona.security-review]
//! tools = ["Read", "Glob", "Grep", "Write"]
//! write = []
//!
//! [[pipeline.feature.stage]]
//! name = "security"
//! persona = "security-review"
//! produces = ["security.md"]
//! ```

use borg_sdk::persona::{Acceptance, Assignment, Persona, PersonaInfo, Report, Work};

pub struct SecurityReview;

borg_sdk::persona!(SecurityReview);

#[derive(serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Settings {
    #[serde(default = "ten")]
    most_findings: u32,
}

fn ten() -> u32 {
    10
}

impl Persona for SecurityReview {
    /// What people see of it; the name is the one in `plugin.toml`.
    fn describe() -> PersonaInfo {
        PersonaInfo::new("security-review", "Reads a change with an attacker's eyes and writes security.md")
            .produces("security.md")
    }

    /// Orders for the agent. `fill` puts the task into the prompt, with text of strangers in marked blocks.
    fn brief(work: Work) -> Result<Assignment, String> {
        let settings: Settings = borg_sdk::settings(&work.settings)?;
        let most = settings.most_findings.to_string();
        let prompt = borg_sdk::fill(include_str!("prompt.md"), &[("most-findings", &most)]);
        Ok(Assignment::new(work.fill(include_str!("system.md")), work.fill(&prompt))
            .tools(&["Read", "Glob", "Grep", "Write"]))
    }

    /// Looks at what the host found, not at what the agent says: a reason given here is what the next attempt reads.
    fn accept(_work: Work, report: Report) -> Acceptance {
        match report.artefact("security.md") {
            Some(review) if review.text.contains("Verdict:") => Acceptance::Accept,
            Some(_) => Acceptance::Retry("`/out/security.md` has no line `Verdict:`; end it with one".into()),
            None => Acceptance::Retry("there is no `/out/security.md`; write your review there".into()),
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn golden_cases() {
        borg_sdk::golden::check::<super::SecurityReview>(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"));
    }
}
