//! What components say of themselves.

use borg_core::{chat::ChatInfo, executor::ExecutorInfo, facts::RuleInfo, persona::PersonaInfo};
use std::sync::Arc;

/// What a component says of itself, by its kind.
pub(crate) enum Described {
    Persona(Arc<PersonaInfo>),
    Rule(Arc<RuleInfo>),
    Executor(Arc<ExecutorInfo>),
    Chat(Arc<ChatInfo>),
}

impl Described {
    /// The name the component gave itself.
    pub(crate) fn name(&self) -> &str {
        match self {
            Described::Persona(info) => &info.name,
            Described::Rule(info) => &info.name,
            Described::Executor(info) => &info.name,
            Described::Chat(info) => &info.name,
        }
    }
}
