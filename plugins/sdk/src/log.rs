//! The host's log, under the plugin's name, as far as policy grants it. Never log prompts, message text or secrets.

use crate::bindings::persona::borg::plugin::log as host;

/// Something for developers that is no news to anybody else.
pub fn debug(message: &str) {
    write(host::Level::Debug, message);
}

/// Something an operator may want to know.
pub fn info(message: &str) {
    write(host::Level::Info, message);
}

/// Something that went wrong and was dealt with.
pub fn warn(message: &str) {
    write(host::Level::Warn, message);
}

/// Something that went wrong.
pub fn error(message: &str) {
    write(host::Level::Error, message);
}

#[cfg(target_family = "wasm")]
fn write(level: host::Level, message: &str) {
    host::write(level, message);
}

/// Plugins compile natively for their unit tests; there is no host then, and nobody to read it.
#[cfg(not(target_family = "wasm"))]
fn write(_: host::Level, _: &str) {}
