//! The wasmtime engine: one configuration, used alike by the host that runs components and by the child that compiles them.

use crate::{
    error::StartError,
    limits::{CORE_INSTANCES, Limits, MEMORIES, STACK_BYTES, TABLES},
};
use std::hash::{DefaultHasher, Hash, Hasher};
use wasmtime::{Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// What decides the machine code; the compiling child must use the same.
fn config() -> Config {
    let mut config = Config::new();
    config.epoch_interruption(true).max_wasm_stack(STACK_BYTES);
    config
}

/// An engine for compiling only.
pub(crate) fn compiling() -> Result<Engine, String> {
    Engine::new(&config()).map_err(|error| format!("{error:#}"))
}

/// An engine for running: instances come from a pool where the address space allows one, else from the system one by one.
pub(crate) fn running(limits: &Limits) -> Result<Engine, StartError> {
    let calls = limits.concurrent;
    let mut pool = PoolingAllocationConfig::new();
    // Each memory reserves 4 GiB and a guard of address space, so their number is what to keep small.
    pool.total_component_instances(calls)
        .total_stacks(calls)
        .total_core_instances(calls * CORE_INSTANCES)
        .total_memories(calls * MEMORIES)
        .total_tables(calls * TABLES)
        .max_memories_per_component(MEMORIES)
        .max_tables_per_component(TABLES)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memory_size(512 << 20)
        .table_elements(30_000)
        .max_component_instance_size(8 << 20)
        .max_core_instance_size(8 << 20);
    let mut pooling = config();
    pooling.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    Engine::new(&pooling).or_else(|error| {
        tracing::info!(error = %error, "no pool for plugin instances; they are made one by one");
        Engine::new(&config()).map_err(|error| StartError::Engine(format!("{error:#}")))
    })
}

/// Short name of everything that machine code depends on besides the component: compiler version, settings and processor features.
///
/// It only has to be the same twice in a row on one machine; when the hash function changes with a compiler, code is made anew.
pub(crate) fn fingerprint(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_of_the_compiling_engine_fits_the_running_one() {
        let running = running(&Limits::default()).unwrap();
        assert_eq!(fingerprint(&compiling().unwrap()), fingerprint(&running));
    }
}
