//! What our limits add to a plugin call: a fresh instance and `describe`, against bare wasmtime doing the same without any limit.
//!
//! Here, because nobody else may know wasmtime. Prints rows of the table in `docs/performance.md`.

use anyhow::{Context, Result};
use borg_plugins::{Compiler, Limits, Options, Permits, Plugins};
use measure::{Row, compare};
use std::{
    fs,
    hint::black_box,
    path::{Path, PathBuf},
    time::Instant,
};
use wasmtime::{
    Config, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store,
    component::{Component, ComponentType, InstancePre, Lift, Linker, ResourceTable},
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};

// By its file: a dependency on the crate would bring the whole host along, which depends on this one.
#[path = "../../../tests/src/measure.rs"]
#[allow(dead_code, reason = "other benches use the rest")]
mod measure;

const ROUNDS: usize = 15;
/// Calls of one round; a single one is too short to be timed.
const CALLS: u32 = 500;
/// The persona that is asked.
const PERSONA: &str = "manager";

#[tokio::main]
async fn main() -> Result<()> {
    let scratch = tempfile::tempdir()?;
    let folder = plugins().join("personas");
    let options = Options {
        shipped: vec![folder.clone()],
        folders: Vec::new(),
        cache: scratch.path().join("cache"),
        compiler: Compiler::InProcess,
        limits: Limits::default(),
        now_ms: || 0,
    };
    let (plugins, errors) = Plugins::load(options, &Permits::default()).await?;
    anyhow::ensure!(errors.is_empty(), "plugins do not load: {errors:?}; run `cargo xtask build`");
    let persona = plugins.persona(PERSONA, None)?;
    let bare = Bare::new(&folder.join(PERSONA).join(format!("{PERSONA}.wasm")))?;

    let compared = compare(
        ROUNDS,
        async || {
            let start = Instant::now();
            for _ in 0..CALLS {
                black_box(persona.describe().await?);
            }
            Ok(start.elapsed().as_secs_f64() / f64::from(CALLS))
        },
        async || {
            let start = Instant::now();
            for _ in 0..CALLS {
                black_box(bare.describe().await?);
            }
            Ok(start.elapsed().as_secs_f64() / f64::from(CALLS))
        },
    )
    .await?;
    println!("{}", Row::times("plugin call: fresh instance and `describe`, over bare wasmtime", compared));
    Ok(())
}

/// The plugins as `cargo xtask build` left them.
#[expect(clippy::disallowed_methods, reason = "the one setting of this bench")]
fn plugins() -> PathBuf {
    let built = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/plugins");
    std::env::var("BORG_PLUGINS").map_or_else(|_| built(), PathBuf::from)
}

/// The same component, in an engine without epochs, limits or meters.
struct Bare {
    engine: Engine,
    pre: InstancePre<Wasi>,
}

/// `persona-info` of `wit/persona.wit`.
#[derive(ComponentType, Lift)]
#[component(record)]
#[allow(dead_code, reason = "read only to be paid for")]
struct Info {
    name: String,
    summary: String,
    produces: Vec<String>,
    extra: Vec<(String, String)>,
}

#[derive(Default)]
struct Wasi {
    ctx: WasiCtx,
    table: ResourceTable,
}

impl WasiView for Wasi {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.ctx, table: &mut self.table }
    }
}

impl Bare {
    fn new(wasm: &Path) -> Result<Self> {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_memories(8).max_memory_size(512 << 20);
        let mut config = Config::new();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
        let engine = Engine::new(&config)?;
        let wasm = fs::read(wasm).with_context(|| format!("reading {}", wasm.display()))?;
        let component = Component::from_binary(&engine, &wasm)?;
        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        // `borg:plugin/log`, which `describe` does not call.
        linker.define_unknown_imports_as_traps(&component)?;
        Ok(Bare { pre: linker.instantiate_pre(&component)?, engine })
    }

    async fn describe(&self) -> Result<Info> {
        let mut store = Store::new(&self.engine, Wasi::default());
        let instance = self.pre.instantiate_async(&mut store).await?;
        let persona = instance.get_export_index(&mut store, None, "borg:plugin/persona@0.2.0");
        let describe = instance.get_export_index(&mut store, persona.as_ref(), "describe");
        let describe = describe.context("the component is a persona")?;
        let describe = instance.get_typed_func::<(), (Info,)>(&mut store, describe)?;
        Ok(describe.call_async(&mut store, ()).await?.0)
    }
}
