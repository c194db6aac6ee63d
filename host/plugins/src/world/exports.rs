//! The one interface that a component exports for its kind, and how its functions are called: by name, with the types of the version that
//! it speaks. So a function that is the same in two versions is called by the same code.

use super::contract::Contract;
use crate::{error::CallError, guest::Guest, manifest::Kind, state::State};
use tokio::time::timeout;
use wasmtime::{
    Store,
    component::{ComponentExportIndex, ComponentNamedList, Instance, InstancePre, Lift, Lower, TypedFunc},
};

#[derive(Clone)]
pub(crate) struct Exports {
    pub(crate) contract: Contract,
    pre: InstancePre<State>,
    interface: ComponentExportIndex,
}

impl Exports {
    pub(crate) fn find(kind: Kind, contract: Contract, pre: InstancePre<State>) -> wasmtime::Result<Exports> {
        let name = format!("borg:plugin/{kind}@{}", contract.version());
        let found = pre.component().get_export_index(None, &name);
        let interface = found.ok_or_else(|| wasmtime::format_err!("it exports no `{name}`"))?;
        Ok(Exports { contract, pre, interface })
    }

    /// Calls a function in a fresh instance.
    pub(crate) async fn call<P, R>(&self, guest: &Guest, function: &'static str, given: P) -> Result<R, CallError>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Send + Sync + 'static,
        (R,): ComponentNamedList + Lift,
    {
        self.call_checked(guest, function, given, |_| Ok(())).await
    }

    /// Calls `describe`, after `fits` has looked at all functions of the interface.
    pub(crate) async fn describe<R>(
        &self,
        guest: &Guest,
        fits: impl Fn(&mut Functions<'_>) -> wasmtime::Result<()> + Send,
    ) -> Result<R, CallError>
    where
        R: Send + Sync + 'static,
        (R,): ComponentNamedList + Lift,
    {
        self.call_checked(guest, "describe", (), fits).await
    }

    async fn call_checked<P, R>(
        &self,
        guest: &Guest,
        function: &'static str,
        given: P,
        fits: impl Fn(&mut Functions<'_>) -> wasmtime::Result<()> + Send,
    ) -> Result<R, CallError>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Send + Sync + 'static,
        (R,): ComponentNamedList + Lift,
    {
        let mut call = guest.open(function).await?;
        let answer = timeout(call.limit, async {
            let instance = self.pre.instantiate_async(&mut call.store).await?;
            let mut functions = Functions { interface: &self.interface, instance, store: &mut call.store };
            fits(&mut functions)?;
            let function = functions.find::<P, (R,)>(function)?;
            function.call_async(&mut call.store, given).await
        })
        .await;
        call.close(answer).map(|(answer,)| answer)
    }
}

/// The functions of an instance.
pub(crate) struct Functions<'a> {
    interface: &'a ComponentExportIndex,
    instance: Instance,
    store: &'a mut Store<State>,
}

impl Functions<'_> {
    /// Refuses an interface that lacks this function, or has it with other types.
    pub(crate) fn has<P, R>(&mut self, name: &str) -> wasmtime::Result<()>
    where
        P: ComponentNamedList + Lower,
        (R,): ComponentNamedList + Lift,
    {
        self.find::<P, (R,)>(name).map(drop)
    }

    fn find<P, R>(&mut self, name: &str) -> wasmtime::Result<TypedFunc<P, R>>
    where
        P: ComponentNamedList + Lower,
        R: ComponentNamedList + Lift,
    {
        let found = self.instance.get_export_index(&mut *self.store, Some(self.interface), name);
        let index = found.ok_or_else(|| wasmtime::format_err!("it exports no function `{name}`"))?;
        let function = self.instance.get_typed_func::<P, R>(&mut *self.store, index);
        function.map_err(|error| error.context(format!("its function `{name}`")))
    }
}
