//! What one call may use, and the guard that counts memory while it runs.

use std::time::Duration;
use wasmtime::ResourceLimiter;

/// Largest component, in bytes.
pub const MAX_WASM_BYTES: u64 = 64 << 20;
/// Most findings of one `judge`.
pub const MAX_FINDINGS: usize = 10_000;
/// Largest executor state, in bytes.
pub const MAX_STATE_BYTES: usize = 64 << 10;
/// Longest line handed to an executor, in bytes.
pub const MAX_LINE_BYTES: usize = 1 << 20;
/// Most bytes of lines in one `read`: they are copied into the guest, whose memory is limited.
pub const MAX_BATCH_BYTES: usize = 8 << 20;
/// Longest text of a guest that is kept and told, such as a finding's message, in bytes; the rest is cut.
pub const MAX_TEXT_BYTES: usize = 16 << 10;
/// Longest text of an agent that an executor hands on, in bytes; the rest is cut.
pub(crate) const MAX_SAID_BYTES: usize = 1 << 20;
/// Longest id, word, path or pattern of a guest, in bytes, and how many a list of them holds.
pub(crate) const MAX_ITEM_BYTES: usize = 4 << 10;
pub(crate) const MAX_ITEMS: usize = 1_000;
/// Tail of a guest's standard error that is kept for the error, in bytes.
pub(crate) const STDERR_BYTES: usize = 4 << 10;
/// Stack of a guest, in bytes.
pub(crate) const STACK_BYTES: usize = 512 << 10;
/// Period of the epoch, after which a running guest gives way to others.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// Handles a guest may hold.
pub(crate) const HANDLES: usize = 1_000;
/// Random bytes of one request: filling them is not interruptible.
pub(crate) const RANDOM_BYTES: u64 = 64 << 10;
/// Core instances, memories and tables of one component. A Rust component has 8 or 9 core instances.
pub(crate) const CORE_INSTANCES: u32 = 32;
pub(crate) const MEMORIES: u32 = 2;
pub(crate) const TABLES: u32 = 16;
/// Entries of all tables of one component.
const TABLE_ENTRIES: usize = 30_000;

/// Limits of every call.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Wall clock of one call, by kind; waiting for a free place is not counted.
    pub persona: Duration,
    pub rule: Duration,
    pub chat: Duration,
    pub executor: Duration,
    /// Memory of one instance, in bytes, over all its linear memories; at most 512 MiB.
    pub memory: usize,
    /// Bytes a guest may hand over in one call, in either direction of control.
    pub output: usize,
    /// Calls at the same time; more wait.
    pub concurrent: u32,
    /// Wall clock of compiling one component.
    pub compile: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            persona: Duration::from_secs(5),
            rule: Duration::from_secs(2),
            chat: Duration::from_secs(10),
            executor: Duration::from_secs(5),
            memory: 64 << 20,
            output: 32 << 20,
            concurrent: 32,
            compile: Duration::from_secs(60),
        }
    }
}

/// Counts what one store holds, and refuses with an error that can be told from others.
pub(crate) struct Guard {
    memory: usize,
    memory_limit: usize,
    entries: usize,
}

impl Guard {
    pub(crate) fn new(memory_limit: usize) -> Self {
        Guard { memory: 0, memory_limit, entries: 0 }
    }
}

/// A guest wanted more than [`Guard`] allows.
#[derive(Clone, Copy, Debug, thiserror::Error)]
pub(crate) enum Denied {
    #[error("memory limit")]
    Memory { asked: usize, limit: usize },
    #[error("table limit")]
    Table { asked: usize, limit: usize },
}

impl ResourceLimiter for Guard {
    fn memory_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.memory.saturating_add(desired.saturating_sub(current));
        if asked > self.memory_limit {
            return Err(wasmtime::Error::new(Denied::Memory { asked, limit: self.memory_limit }));
        }
        self.memory = asked;
        Ok(true)
    }

    fn table_growing(&mut self, current: usize, desired: usize, _: Option<usize>) -> wasmtime::Result<bool> {
        let asked = self.entries.saturating_add(desired.saturating_sub(current));
        if asked > TABLE_ENTRIES {
            return Err(wasmtime::Error::new(Denied::Table { asked, limit: TABLE_ENTRIES }));
        }
        self.entries = asked;
        Ok(true)
    }

    fn instances(&self) -> usize {
        CORE_INSTANCES as usize
    }

    fn memories(&self) -> usize {
        MEMORIES as usize
    }

    fn tables(&self) -> usize {
        TABLES as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories() {
        let mut guard = Guard::new(100);
        assert!(guard.memory_growing(0, 60, None).unwrap());
        assert!(guard.memory_growing(0, 40, None).unwrap());
        let error = guard.memory_growing(40, 41, None).unwrap_err();
        assert!(matches!(error.downcast_ref(), Some(Denied::Memory { asked: 101, limit: 100 })));
    }
}
