//! What the host offers to plugins: nothing of the system but the quiet part of WASI, and the interfaces of `wit/host.wit`, one file
//! each, under their name in every version of the contract. Which kind is linked to what is [`linker`]'s table.
//!
//! Quiet means: streams that lead nowhere, an empty environment, clocks, randomness, exit. No files, no sockets, no HTTP: a component
//! that imports these is refused when it is loaded.

pub(crate) mod clock;
pub(crate) mod log;

use crate::{manifest::Kind, state::State, world::contract::Contract};
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
            log::offer(l, &version)?;
        }
        if clock {
            clock::offer(l, &version)?;
        }
    }
    Ok(linker)
}
