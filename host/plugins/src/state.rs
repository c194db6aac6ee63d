//! What the host keeps beside one instance: its WASI context, which holds nothing of the host, and the interfaces it was granted.

use crate::{
    api::{clock::Clock, log::Log},
    limits::{Guard, HANDLES, RANDOM_BYTES},
    stderr::Tail,
};
use borg_core::id::Digest;
use std::time::Duration;
use wasmtime_wasi::{HostWallClock, ResourceTable, WasiCtx, WasiCtxView, WasiView};

/// Host side of one instance.
pub(crate) struct State {
    wasi: WasiCtx,
    table: ResourceTable,
    pub(crate) guard: Guard,
    pub(crate) log: Log,
    pub(crate) clock: Clock,
    pub(crate) stderr: Tail,
}

impl State {
    pub(crate) fn new(digest: &Digest, memory_limit: usize, log: Log, clock: Clock) -> State {
        let stderr = Tail::default();
        let mut table = ResourceTable::new();
        table.set_max_capacity(HANDLES);
        let wasi = WasiCtx::builder()
            .stderr(stderr.clone())
            .wall_clock(WallClock(clock.clone()))
            // Hash maps of the guest iterate alike in every call, so that the same facts give the same findings in the same order.
            .insecure_random_seed(seed(digest))
            .max_random_size(RANDOM_BYTES)
            .build();
        State { wasi, table, guard: Guard::new(memory_limit), log, clock, stderr }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

fn seed(digest: &Digest) -> u128 {
    let mut half = [0; 16];
    half.copy_from_slice(&digest.0[..16]);
    u128::from_le_bytes(half)
}

/// WASI's clock follows the grant of ours: without it, it is always 1970.
struct WallClock(Clock);

impl HostWallClock for WallClock {
    fn resolution(&self) -> Duration {
        Duration::from_millis(1)
    }

    fn now(&self) -> Duration {
        Duration::from_millis(self.0.now_ms())
    }
}
