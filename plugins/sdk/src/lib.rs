//! What a plugin author needs: one module per world with its records, a trait to write and a macro that makes a component of it.
//!
//! A persona is a type that implements [`persona::Persona`] and one line, `borg_sdk::persona!(MyPersona);`, a `prompt.md` beside
//! the code, and a `plugin.toml`: see `plugins/examples/security-review`. Rules, executors and chats go the same way.
//! Plugins also compile natively, so that `cargo test` tries their logic without a WASM runtime.
//!
//! What a plugin may reach, its limits and its life are the host's (`host/plugins`); the contract is in `wit/`.

#[doc(hidden)]
pub mod bindings;

pub mod chat;
pub mod executor;
#[cfg(not(target_family = "wasm"))]
pub mod golden;
pub mod log;
pub mod persona;
pub mod rule;

mod file_name;
mod marked;
mod settings;
mod template;

/// The interface `types` of the contract: values that more than one world speaks of.
pub use bindings::persona::borg::plugin::types::{BaseFile, Extra, Handoff, Span, TaskBrief};
pub use borg_visible::{is_hidden, visible};
pub use file_name::file_name;
pub use marked::{MARK_RULES, marked};
pub use settings::settings;
pub use template::fill;
