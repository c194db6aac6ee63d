//! borg-plugins: loads WebAssembly components, links what is granted, enforces limits.
//!
//! A plugin gets facts and returns decisions; it reaches nothing. [`Plugins`] finds and loads them, [`Persona`], [`Rule`], [`Executor`]
//! and [`Chat`] call them with the core's own types. What is granted is policy's matter, what is done with an answer the engine's.
//!
//! | limit | how | error |
//! |---|---|---|
//! | state between calls | a fresh instance for each | – |
//! | time | epoch every 10 ms, and a timer for when the guest waits in the host | [`Cause::TimedOut`] |
//! | memory, tables | counted as they grow | [`Cause::Memory`], [`Cause::Table`] |
//! | stack | 512 KiB | [`Cause::Stack`] |
//! | answers | bytes copied out of the guest; counts and shapes by kind | [`Cause::OutputTooLarge`], [`Cause::BadAnswer`] |
//! | texts that are kept and told | 16 KiB, an agent's own 1 MiB; cut, and said so | – |
//! | reach | an import that is not offered, asked for and granted is refused at load | [`Problem`] |

mod api;
mod cache;
mod compile;
mod engine;
mod error;
mod found;
mod guest;
mod limits;
mod load;
mod manifest;
mod nearest;
mod permits;
mod plugin;
mod plugins;
mod settings;
mod shipped;
mod state;
mod stderr;
mod text;
mod ticker;
mod world;

pub use compile::{Compilation, Compiler, StartChild, compile};
pub use error::{CallError, Cause, CompileError, LoadError, Problem, StartError};
pub use limits::{
    Limits, MAX_BATCH_BYTES, MAX_FINDINGS, MAX_LINE_BYTES, MAX_STATE_BYTES, MAX_TEXT_BYTES, MAX_WASM_BYTES,
};
pub use manifest::{Asks, Fault, Kind, MAX_MANIFEST_BYTES, Manifest};
pub use permits::Permits;
pub use plugin::{Brought, Plugin, Summary};
pub use plugins::{Options, Plugins, brought};
pub use settings::{Schema, Setting, SettingType};
pub use shipped::SHIPPED;
pub use world::{chat::Chat, executor::Executor, facts::Facts, persona::Persona, rule::Rule};
