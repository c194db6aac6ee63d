//! Personas: asked for orders before a run, and for their opinion after it.

use super::{
    given::{handoffs, settings},
    performed::plugin_failed,
};
use crate::{causes::chain, workspace::Workspace};
use borg_core::{
    dispatch::{Accepting, Briefing},
    effect::{AcceptOrder, BriefOrder},
    event::{Answer, Body},
    grant::{self, Ceiling},
    kept::Kept,
    persona::QUESTION_FILE,
};
use borg_plugins::{Kind, Plugins};

/// Longest question passed on, in bytes.
const QUESTION_BYTES: usize = 4 << 10;

pub(super) struct Personas {
    pub workspace: Workspace,
    pub plugins: Plugins,
}

impl Personas {
    pub async fn brief(&self, what: Briefing) -> Body {
        let Briefing { order, persona: granted } = what;
        let BriefOrder { persona, mut work, artefacts, records } = *order;
        let Some(granted) = granted else {
            return failed(&persona, format!("policy has no [persona.{persona}]"));
        };
        work.handoffs = match handoffs(&self.workspace, &artefacts).await {
            Ok(handoffs) => handoffs,
            Err(error) => return failed(&persona, format!("an artefact cannot be read: {}", chain(&error))),
        };
        let settings = match settings(&self.plugins, Kind::Persona, &persona, &granted.settings) {
            Ok(settings) => settings,
            Err(reason) => return failed(&persona, reason),
        };
        let plugin = match self.plugins.persona(&persona, None) {
            Ok(plugin) => plugin,
            Err(error) => return plugin_failed(&error),
        };
        let assignment = match plugin.brief(&settings, &work).await {
            Ok(Ok(assignment)) => assignment,
            Ok(Err(reason)) => return Body::Answer(Answer::BriefRefused { reason }),
            Err(error) => return plugin_failed(&error),
        };
        let asks = &plugin.plugin().manifest().asks;
        let ceiling = Ceiling { tools: asks.tools.clone(), write: asks.write.clone() };
        let read_only = work.task.read_only;
        let grant =
            grant::grant(&persona, &assignment.tools, &assignment.write, &ceiling, &granted, &records, read_only);
        match serde_json::to_string(&assignment) {
            Ok(json) => Body::Answer(Answer::Briefed { assignment: Kept::new(json), grant }),
            Err(error) => failed(&persona, error.to_string()),
        }
    }

    pub async fn accept(&self, what: Accepting) -> Body {
        let Accepting { order, settings: given } = what;
        let AcceptOrder { persona, mut work, artefacts, mut report, produced } = *order;
        let settings = match settings(&self.plugins, Kind::Persona, &persona, &given) {
            Ok(settings) => settings,
            Err(reason) => return failed(&persona, reason),
        };
        match (handoffs(&self.workspace, &artefacts).await, handoffs(&self.workspace, &produced).await) {
            (Ok(handoffs), Ok(made)) => {
                work.handoffs = handoffs;
                report.artefacts = made;
            }
            (Err(error), _) | (_, Err(error)) => {
                return failed(&persona, format!("an artefact cannot be read: {}", chain(&error)));
            }
        }
        let question = report.artefacts.iter().find(|made| made.name == QUESTION_FILE).map(|made| made.text.trim());
        if let Some(question) = question.filter(|question| !question.is_empty()) {
            return Body::Answer(Answer::Asked {
                question: Kept::new(&question[..question.floor_char_boundary(QUESTION_BYTES)]),
            });
        }
        match self.plugins.persona(&persona, None) {
            Ok(plugin) => match plugin.accept(&settings, &work, &report).await {
                Ok(acceptance) => Body::Answer(Answer::Accepted { acceptance }),
                Err(error) => plugin_failed(&error),
            },
            Err(error) => plugin_failed(&error),
        }
    }
}

fn failed(persona: &str, reason: String) -> Body {
    Body::Answer(Answer::PluginFailed { plugin: persona.to_owned(), reason })
}
