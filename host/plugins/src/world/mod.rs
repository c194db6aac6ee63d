//! One file per world of `wit/worlds.wit`: its bindings, the handle the host calls it by, and the way from WIT's types to the core's
//! and back. Generated types do not leave these files.

pub(crate) mod bound;
pub(crate) mod chat;
pub(crate) mod executor;
pub(crate) mod persona;
pub(crate) mod rule;

use crate::api::shared::borg::plugin::types;
use borg_core::{executor::BaseFile, facts::Span, persona as core};

impl From<&core::TaskBrief> for types::TaskBrief {
    fn from(task: &core::TaskBrief) -> Self {
        types::TaskBrief {
            id: task.id.0,
            title: task.title.clone(),
            description: task.description.clone(),
            repository: task.repository.clone(),
            base_branch: task.base_branch.clone(),
            read_only: task.read_only,
            extra: vec![],
        }
    }
}

impl From<&core::Handoff> for types::Handoff {
    fn from(handoff: &core::Handoff) -> Self {
        types::Handoff { name: handoff.name.clone(), text: handoff.text.clone(), complete: handoff.complete }
    }
}

impl From<&BaseFile> for types::BaseFile {
    fn from(file: &BaseFile) -> Self {
        types::BaseFile { path: file.path.clone(), text: file.text.clone() }
    }
}

impl From<types::Span> for Span {
    fn from(span: types::Span) -> Self {
        Span { path: span.path, start: span.start, end: span.end }
    }
}

/// A list of one type made into a list of another.
fn each<'a, From: 'a, To>(list: &'a [From]) -> Vec<To>
where
    To: std::convert::From<&'a From>,
{
    list.iter().map(To::from).collect()
}
