//! From a component to what can be called of it: the table of the four kinds.

use super::{chat, contract::Contract, described::Described, executor, exports::Exports, persona, rule};
use crate::{error::CallError, guest::Guest, manifest::Kind, state::State};
use std::sync::Arc;
use wasmtime::component::InstancePre;

/// Why a component could not be bound.
pub(crate) enum Unbound {
    /// The interface is missing.
    World(wasmtime::Error),
    /// Its first instance could not be made, a function is missing or of another type, or `describe` failed.
    Probe(CallError),
}

/// Finds the functions of a kind in a component and tries them: only an instance shows whether all types fit.
pub(crate) async fn bind(
    guest: &Guest,
    contract: Contract,
    pre: InstancePre<State>,
) -> Result<(Exports, Described), Unbound> {
    let exports = Exports::find(guest.kind, contract, pre).map_err(Unbound::World)?;
    let described = match guest.kind {
        Kind::Persona => persona::describe(guest, &exports).await.map(|info| Described::Persona(Arc::new(info))),
        Kind::Rule => rule::describe(guest, &exports).await.map(|info| Described::Rule(Arc::new(info))),
        Kind::Executor => executor::describe(guest, &exports).await.map(|info| Described::Executor(Arc::new(info))),
        Kind::Chat => chat::describe(guest, &exports).await.map(|info| Described::Chat(Arc::new(info))),
    };
    Ok((exports, described.map_err(Unbound::Probe)?))
}
