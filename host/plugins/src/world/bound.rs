//! From a component to a world: the table of the four.

use super::{chat, executor, persona, rule};
use crate::{error::CallError, guest::Guest, manifest::Kind, state::State};
use borg_core::{chat::ChatInfo, executor::ExecutorInfo, facts::RuleInfo, persona::PersonaInfo};
use std::sync::Arc;
use wasmtime::component::InstancePre;

/// A component bound to the world of its kind, and what it says of itself.
#[derive(Clone)]
pub(crate) enum Bound {
    Persona(persona::Pre, Arc<PersonaInfo>),
    Rule(rule::Pre, Arc<RuleInfo>),
    Executor(executor::Pre, Arc<ExecutorInfo>),
    Chat(chat::Pre, Arc<ChatInfo>),
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

/// Why a component could not be bound.
pub(crate) enum Unbound {
    /// A function or interface is missing.
    World(wasmtime::Error),
    /// Its first instance could not be made, or `describe` failed.
    Probe(CallError),
}
