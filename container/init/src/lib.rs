//! borg-init: PID 1 of a sealed container, the sandbox without an engine, and the launcher of confined helpers.
//!
//! This library holds what the host shares with the binary: the [`Job`] it writes and the [`Line`]s it reads back.
//! What a process may do is decided by the host; how the kernel is told is left to `borg-confine`.

mod base64_bytes;
mod job;
mod line;

pub use job::*;
pub use line::{LINE_MAX, Line, Record, Stream};
