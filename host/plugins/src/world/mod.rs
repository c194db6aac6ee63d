//! The contract with plugins, `wit/`: one file per kind, with the handle the host calls it by and the way from WIT's types to the core's
//! and back. Generated types do not leave this folder.
//!
//! These files speak the newest version. Each older one has a folder (`v0_1`) with what differs in it, made from the newest one's types;
//! what did not change since is called as it is, under the older name. [`contract::Contract`] lists them.

pub(crate) mod bind;
pub(crate) mod chat;
pub(crate) mod contract;
pub(crate) mod described;
pub(crate) mod executor;
pub(crate) mod exports;
pub(crate) mod facts;
pub(crate) mod persona;
pub(crate) mod rule;
mod v0_1;
pub(crate) mod wit;

use borg_core::{executor::BaseFile, facts::Span, persona as core};
use wit::types;

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
