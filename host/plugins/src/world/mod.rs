//! One file per world of `wit/worlds.wit`: its bindings, the handle the host calls it by, and the way from WIT's types to the core's
//! and back. Generated types do not leave these files.

pub(crate) mod chat;
pub(crate) mod executor;
pub(crate) mod persona;
pub(crate) mod rule;

use crate::{api::shared::borg::plugin::types, error::CallError, guest::Guest, manifest::Kind, state::State};
use borg_core::{
    chat::ChatInfo,
    executor::{BaseFile, ExecutorInfo},
    facts::{RuleInfo, Span},
    persona as core,
};
use std::sync::Arc;
use wasmtime::component::InstancePre;

/// A component bound to the world of its kind, and what it says of itself.
pub(crate) enum Bound {
    Persona(persona::Pre, Arc<core::PersonaInfo>),
    Rule(rule::Pre, Arc<RuleInfo>),
    Executor(executor::Pre, Arc<ExecutorInfo>),
    Chat(chat::Pre, Arc<ChatInfo>),
}

/// Why a component could not be bound.
pub(crate) enum Unbound {
    /// A function or interface is missing.
    World(wasmtime::Error),
    /// Its first instance could not be made, or `describe` failed.
    Probe(CallError),
}

impl Bound {
    /// Finds the functions of the kind's world in a component and tries them: only an instance shows whether all types fit.
    pub(crate) async fn probe(guest: &Guest, pre: InstancePre<State>) -> Result<Bound, Unbound> {
        let world = Unbound::World;
        let probe = Unbound::Probe;
        Ok(match guest.kind {
            Kind::Persona => {
                let pre = persona::Pre::new(pre).map_err(world)?;
                let info = persona::describe(guest, &pre).await.map_err(probe)?;
                Bound::Persona(pre, Arc::new(info))
            }
            Kind::Rule => {
                let pre = rule::Pre::new(pre).map_err(world)?;
                let info = rule::describe(guest, &pre).await.map_err(probe)?;
                Bound::Rule(pre, Arc::new(info))
            }
            Kind::Executor => {
                let pre = executor::Pre::new(pre).map_err(world)?;
                let info = executor::describe(guest, &pre).await.map_err(probe)?;
                Bound::Executor(pre, Arc::new(info))
            }
            Kind::Chat => {
                let pre = chat::Pre::new(pre).map_err(world)?;
                let info = chat::describe(guest, &pre).await.map_err(probe)?;
                Bound::Chat(pre, Arc::new(info))
            }
        })
    }

    /// The name the component gave itself.
    pub(crate) fn name(&self) -> &str {
        match self {
            Bound::Persona(_, info) => &info.name,
            Bound::Rule(_, info) => &info.name,
            Bound::Executor(_, info) => &info.name,
            Bound::Chat(_, info) => &info.name,
        }
    }
}

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
