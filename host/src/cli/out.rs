//! Standard output and the log. A reader that goes away early (`| head`) is no fault.

use borg_host::log::Lines;
use serde::Serialize;
use std::io::{self, IsTerminal, Write};

/// Standard output takes nothing more. A type of its own: a pipe that breaks elsewhere is a fault.
#[derive(Debug, thiserror::Error)]
#[error("standard output cannot be written")]
pub struct Unwritable(#[source] io::Error);

impl Unwritable {
    /// True where whoever read it has gone away, having had enough.
    pub fn is_reader_gone(&self) -> bool {
        self.0.kind() == io::ErrorKind::BrokenPipe
    }
}

/// Prints a text and a line feed.
pub fn line(text: impl std::fmt::Display) -> Result<(), Unwritable> {
    writeln!(io::stdout().lock(), "{text}").map_err(Unwritable)
}

/// Prints a value as JSON, indented.
pub fn json(value: &impl Serialize) -> anyhow::Result<()> {
    Ok(line(serde_json::to_string_pretty(value)?)?)
}

/// True where a person reads what is printed.
pub fn is_terminal() -> bool {
    io::stdout().is_terminal()
}

/// Begins the log, on standard error or above a prompt: warnings only, unless a filter such as `info` or `borg_host=debug` says otherwise.
pub fn log(filter: Option<&str>) {
    let filter = filter.and_then(|filter| tracing_subscriber::EnvFilter::try_new(filter).ok());
    let filter = filter.unwrap_or_else(|| tracing_subscriber::EnvFilter::new("warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(|| Lines).with_target(false);
    // Only a second call could fail, and the log is there then. What stands above a prompt has no colours.
    let _ = log.with_ansi(false).try_init();
}

#[cfg(test)]
impl Unwritable {
    pub fn of(kind: io::ErrorKind) -> Self {
        Unwritable(kind.into())
    }
}
