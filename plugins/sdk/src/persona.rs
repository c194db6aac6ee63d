//! World `persona-plugin`: who works, and how. The records are those of `wit/persona.wit`.

mod fill;

pub use crate::bindings::persona::exports::borg::plugin::persona::{Acceptance, Assignment, PersonaInfo, Report, Work};
pub use crate::{Handoff, TaskBrief};

/// What a persona is: three functions without memory between calls.
pub trait Persona {
    /// Name, summary and artefacts; the name must be the one in `plugin.toml`.
    fn describe() -> PersonaInfo;
    /// Turns work into orders; an error is a refusal, shown to the person who asked.
    fn brief(work: Work) -> Result<Assignment, String>;
    /// Looks at what an attempt left behind, before the host runs any check.
    fn accept(work: Work, report: Report) -> Acceptance;
}

/// Makes a type that is a [`Persona`] the persona of this component.
#[macro_export]
macro_rules! persona {
    ($persona:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::persona::{Acceptance, Assignment, Persona, PersonaInfo, Report, Work};
            struct Component;
            impl $crate::bindings::persona::exports::borg::plugin::persona::Guest for Component {
                fn describe() -> PersonaInfo {
                    <$persona as Persona>::describe()
                }
                fn brief(work: Work) -> Result<Assignment, String> {
                    <$persona as Persona>::brief(work)
                }
                fn accept(work: Work, report: Report) -> Acceptance {
                    <$persona as Persona>::accept(work, report)
                }
            }
    $crate::bindings::persona::export_persona!(Component with_types_in $crate::bindings::persona);
        };
    };
}

impl PersonaInfo {
    /// A persona without artefacts; add them with [`PersonaInfo::produces`].
    pub fn new(name: &str, summary: &str) -> Self {
        PersonaInfo { name: name.into(), summary: summary.into(), ..Self::default() }
    }

    /// Names an artefact the persona writes to `/out`.
    pub fn produces(mut self, artefact: &str) -> Self {
        self.produces.push(artefact.into());
        self
    }
}

impl Assignment {
    /// Orders with neither tools nor paths; add them with [`Assignment::tools`] and [`Assignment::write`].
    pub fn new(system_prompt: impl Into<String>, prompt: impl Into<String>) -> Self {
        Assignment { system_prompt: system_prompt.into(), prompt: prompt.into(), ..Self::default() }
    }

    /// Asks for tools, by Claude Code's names.
    pub fn tools(mut self, tools: &[&str]) -> Self {
        self.tools.extend(tools.iter().map(|tool| tool.to_string()));
        self
    }

    /// Asks to write the paths these globs match, relative to the workspace.
    pub fn write(mut self, globs: &[&str]) -> Self {
        self.write.extend(globs.iter().map(|glob| glob.to_string()));
        self
    }
}

impl Work {
    /// The text of an earlier stage's artefact.
    pub fn handoff(&self, name: &str) -> Option<&Handoff> {
        self.handoffs.iter().find(|handoff| handoff.name == name)
    }
}

impl Work {
    /// Why an attempt cannot be accepted whatever the persona: an artefact the pipeline expects is missing or blank.
    pub fn missing_artefact(&self, report: &Report) -> Option<String> {
        let present = |name: &String| report.artefact(name).is_some_and(|artefact| !artefact.text.trim().is_empty());
        let name = self.produces.iter().find(|name| !present(name))?;
        Some(format!("`/out/{name}` is missing or empty; write it before you end"))
    }
}

impl Report {
    /// An artefact this attempt left in `/out`.
    pub fn artefact(&self, name: &str) -> Option<&Handoff> {
        self.artefacts.iter().find(|artefact| artefact.name == name)
    }
}
