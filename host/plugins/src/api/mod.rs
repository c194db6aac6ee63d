//! What the host offers to plugins: nothing of the system but the quiet part of WASI, and the interfaces of `wit/host.wit`, one file
//! each, under their name in every version of the contract. Which kind is linked to what is [`linker`]'s table.
//!
//! Quiet means: streams that lead nowhere, an empty environment, clocks, randomness, exit. No files, no sockets, no HTTP: a component
//! that imports these is refused when it is loaded.

pub(crate) mod clock;
pub(crate) mod log;

use crate::{
    manifest::Kind,
    state::State,
    world::{contract::Contract, wit::log::Level},
};
use semver::Version;
use wasmtime::{Engine, component::Linker};
use wasmtime_wasi::{
    WasiView,
    cli::{WasiCli, WasiCliView},
    p2::{self, bindings as wasi},
    random::WasiRandom,
};

/// A linker with all that this kind of plugin may import.
pub(crate) fn linker(engine: &Engine, kind: Kind) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    let l = &mut linker;
    p2::add_to_linker_proxy_interfaces_async(l)?;
    wasi::random::insecure::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    wasi::random::insecure_seed::add_to_linker::<State, WasiRandom>(l, |state| state.ctx().ctx.random())?;
    wasi::cli::environment::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::exit::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_input::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_output::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_stdin::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_stdout::add_to_linker::<State, WasiCli>(l, State::cli)?;
    wasi::cli::terminal_stderr::add_to_linker::<State, WasiCli>(l, State::cli)?;
    let (log, clock) = match kind {
        Kind::Rule => (false, false),
        Kind::Persona | Kind::Executor => (true, false),
        Kind::Chat => (true, true),
    };
    for version in Contract::ALL.map(Contract::version) {
        if log {
            offer_log(l, &version)?;
        }
        if clock {
            offer_clock(l, &version)?;
        }
    }
    Ok(linker)
}

/// Offers `log` under the name it has in this version of the contract; it is the same in all of them.
fn offer_log(linker: &mut Linker<State>, version: &Version) -> wasmtime::Result<()> {
    let mut log = linker.instance(&format!("borg:plugin/log@{version}"))?;
    log.func_wrap("write", |mut store, (level, message): (Level, String)| {
        store.data_mut().log.write(level, &message);
        Ok(())
    })
}

/// The same of `clock`.
fn offer_clock(linker: &mut Linker<State>, version: &Version) -> wasmtime::Result<()> {
    let mut clock = linker.instance(&format!("borg:plugin/clock@{version}"))?;
    clock.func_wrap("now-ms", |store, (): ()| Ok((store.data().clock.now_ms(),)))
}
