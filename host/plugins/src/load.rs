//! From a folder to a loaded plugin: find, check, compile, audit, bind, ask its name. Each step's refusal says what to do.

use crate::{
    cache::Cache,
    compile::Compiler,
    error::{CompileError, LoadError, Problem},
    found::Found,
    guest::{Guest, Runtime},
    limits::MAX_WASM_BYTES,
    manifest::{MAX_MANIFEST_BYTES, Manifest},
    permits::Permits,
    plugin::Plugin,
    world::{
        bind::{self, Unbound},
        contract::Contract,
        described::Described,
    },
};
use borg_core::{
    bundle::{self, Recipe},
    chat::Transport,
    id::Digest,
    policy::source::{Diagnostic, SourceFile},
};
use semver::Version;
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::Arc,
};
use wasmtime::{Engine, component::Component};

/// All plugins of a folder, in the order of their paths; their components are kept in the cache, where there is one. Does blocking I/O.
pub(crate) fn discover(folder: &Path, cache: Option<&Cache>) -> Vec<Result<Found, Vec<LoadError>>> {
    let unreadable = |error| vec![Err(vec![at(folder, Problem::Unreadable(error))])];
    let entries: io::Result<Vec<_>> = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path().join("plugin.toml"))).collect(),
        // It may come yet.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return unreadable(error),
    };
    match entries {
        Ok(mut manifests) => {
            manifests.retain(|path| path.exists());
            manifests.sort();
            manifests.iter().map(|path| find(path, cache)).collect()
        }
        Err(error) => unreadable(error),
    }
}

/// The folders without those that an earlier one is already, under another name or the same: nothing stands in for itself. Does blocking I/O.
pub(crate) fn distinct(folders: &[PathBuf]) -> Vec<(usize, &Path)> {
    let mut seen = BTreeSet::new();
    // One that is not there yet is itself.
    let is_new =
        |(_, folder): &(usize, &Path)| seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf()));
    folders.iter().map(PathBuf::as_path).enumerate().filter(is_new).collect()
}

/// What tells that plugins came, went or changed, without reading them: names, sizes, times. Does blocking I/O.
pub(crate) fn fingerprint(folders: &[PathBuf]) -> Digest {
    let below = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let files = folders.iter().flat_map(|folder| below(folder)).flat_map(|plugin| below(&plugin).collect::<Vec<_>>());
    let mut parts: Vec<String> = files
        .filter_map(|file| {
            let found = fs::metadata(&file).ok()?;
            // The time of the last change of anything cannot be set by whoever copies a file with its dates.
            let times = (found.mtime(), found.mtime_nsec(), found.ctime(), found.ctime_nsec());
            Some(format!("{file:?} {} {times:?}", found.len()))
        })
        .collect();
    parts.sort();
    Digest::of_parts(parts.iter().map(String::as_bytes))
}

fn find(path: &Path, cache: Option<&Cache>) -> Result<Found, Vec<LoadError>> {
    let one = |problem| vec![at(path, problem)];
    let text = read(path, MAX_MANIFEST_BYTES).map_err(one)?;
    let text = String::from_utf8(text).map_err(|_| one(Problem::Manifest("is not UTF-8".to_owned())))?;
    let manifest = parse(path, &text)?;
    let wasm_path = path.with_file_name(&manifest.wasm);
    let wasm = read(&wasm_path, MAX_WASM_BYTES).map_err(|problem| match problem {
        Problem::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => {
            one(Problem::NoComponent { wasm: manifest.wasm.clone() })
        }
        problem => vec![at(&wasm_path, problem)],
    })?;
    let recipe = recipe(path, &manifest)?;
    let digest = Digest::of_bytes(&wasm);
    if let Some(cache) = cache {
        let kept = cache.keep(&digest, &wasm, &text);
        kept.map_err(|error| vec![at(&cache.wasm(&digest), Problem::Unreadable(error))])?;
    }
    Ok(Found {
        path: path.to_owned(),
        manifest,
        manifest_text: text,
        digest,
        recipe,
        is_shipped: false,
        overrides: None,
    })
}

/// The `bundle.toml` beside the manifest of a plugin that asks for one, and only of such a one. Those of contract 0.1.0 need none: there was
/// no such file then.
fn recipe(manifest_path: &Path, manifest: &Manifest) -> Result<Option<Recipe>, Vec<LoadError>> {
    let path = manifest_path.with_file_name(bundle::FILE);
    let one = |problem| vec![at(&path, problem)];
    let Some(asked) = &manifest.asks.bundle else {
        return if path.exists() { Err(one(Problem::BundleUnasked)) } else { Ok(None) };
    };
    let text = read(&path, bundle::MAX_BYTES).map_err(|problem| match problem {
        Problem::Unreadable(error) if error.kind() == io::ErrorKind::NotFound => None,
        problem => Some(one(problem)),
    });
    let text = match text {
        Ok(text) => text,
        Err(None) if Contract::of(&manifest.world) == Some(Contract::V0_1) => return Ok(None),
        Err(None) => return Err(vec![at(manifest_path, Problem::NoBundle { asked: asked.clone() })]),
        Err(Some(faults)) => return Err(faults),
    };
    let text = String::from_utf8(text).map_err(|_| one(Problem::Manifest("is not UTF-8".to_owned())))?;
    let recipe = Recipe::parse(&SourceFile { name: bundle::FILE.to_owned(), text }).map_err(|faults| {
        let fault = |Diagnostic { line, message, hint, .. }| {
            let text = if hint.is_empty() { message } else { format!("{message}: {hint}") };
            LoadError { path: path.clone(), line: u32::try_from(line).ok(), problem: Problem::Manifest(text) }
        };
        faults.into_iter().map(fault).collect::<Vec<_>>()
    })?;
    if recipe.name != *asked {
        return Err(one(Problem::BundleName { asked: asked.clone(), found: recipe.name }));
    }
    Ok(Some(recipe))
}

/// A component that an unfinished task began with, as the cache kept it. Does blocking I/O.
pub(crate) fn revive(digest: Digest, cache: &Cache) -> Result<Found, Vec<LoadError>> {
    let path = cache.manifest(&digest);
    let text = fs::read_to_string(&path).map_err(|error| {
        let why = error.to_string();
        vec![at(&path, Problem::Forgotten { digest, why })]
    })?;
    let manifest = parse(&path, &text)?;
    Ok(Found { path, manifest, manifest_text: text, digest, recipe: None, is_shipped: false, overrides: None })
}

fn parse(path: &Path, text: &str) -> Result<Manifest, Vec<LoadError>> {
    let fault = |fault: crate::manifest::Fault| LoadError {
        path: path.to_owned(),
        line: fault.line,
        problem: Problem::Manifest(fault.text),
    };
    Manifest::parse(text).map_err(|faults| faults.into_iter().map(fault).collect())
}

/// The whole of a regular file of at most `limit` bytes.
fn read(path: &Path, limit: u64) -> Result<Vec<u8>, Problem> {
    // Asked before opening, because opening a FIFO waits.
    let found = fs::metadata(path).map_err(Problem::Unreadable)?;
    if !found.is_file() {
        return Err(Problem::Unreadable(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")));
    }
    let mut bytes = vec![];
    let file = File::open(path).map_err(Problem::Unreadable)?;
    file.take(limit + 1).read_to_end(&mut bytes).map_err(Problem::Unreadable)?;
    if bytes.len() as u64 > limit {
        return Err(Problem::TooLarge { bytes: found.len(), limit });
    }
    Ok(bytes)
}

pub(crate) fn at(path: &Path, problem: Problem) -> LoadError {
    LoadError { path: path.to_owned(), line: None, problem }
}

/// Loads what was found.
pub(crate) async fn load(
    found: Found,
    runtime: &Arc<Runtime>,
    cache: &Arc<Cache>,
    compiler: &Compiler,
    permits: &Permits,
) -> Result<Plugin, LoadError> {
    let Found { path, manifest, manifest_text, digest, recipe, is_shipped, overrides } = found;
    let failed = |problem| at(&path, problem);
    let component = code(&digest, runtime, cache, compiler).await.map_err(|error| failed(Problem::Compile(error)))?;
    let names = Names::of(&component, &runtime.engine);
    let (log, clock) = permits.granted(&manifest);
    let contract = names.audit(&manifest, clock).map_err(failed)?;

    let mismatch =
        |error: wasmtime::Error| Problem::Mismatch { world: manifest.world.clone(), why: format!("{error:#}") };
    let pre = runtime.linker(manifest.kind).instantiate_pre(&component).map_err(|error| failed(mismatch(error)))?;
    let guest = Guest {
        runtime: Arc::clone(runtime),
        name: manifest.name.as_str().into(),
        kind: manifest.kind,
        digest,
        log,
        clock,
    };
    let (exports, described) = bind::bind(&guest, contract, pre).await.map_err(|unbound| {
        failed(match unbound {
            Unbound::World(error) => mismatch(error),
            // Whether all records have the right fields shows only when an instance is made.
            Unbound::Probe(error) => match error.cause {
                crate::Cause::Engine(why) => Problem::Mismatch { world: manifest.world.clone(), why },
                _ => Problem::Probe(error),
            },
        })
    })?;
    agrees(&manifest, &described).map_err(failed)?;
    Ok(Plugin {
        guest,
        exports,
        described,
        manifest,
        manifest_text,
        recipe,
        is_shipped,
        path,
        imports: names.imports,
        overrides,
    })
}

/// The component's machine code, compiled if the cache has none.
async fn code(
    digest: &Digest,
    runtime: &Arc<Runtime>,
    cache: &Arc<Cache>,
    compiler: &Compiler,
) -> Result<Component, CompileError> {
    if let Some(component) = cached(digest, runtime, cache).await {
        return Ok(component);
    }
    let wasm = cache.wasm(digest);
    let work = cache.workplace(digest).map_err(|source| CompileError::Read { path: wasm.clone(), source })?;
    let started = std::time::Instant::now();
    compiler.run(&wasm, &work.out(), runtime.limits.compile).await?;
    tracing::info!(%digest, elapsed_ms = started.elapsed().as_millis(), "compiled a plugin");
    cache.adopt(digest, work).map_err(|source| CompileError::Read { path: wasm.clone(), source })?;
    let what = "the code just compiled does not load: compiler and host must be of the same build".to_owned();
    cached(digest, runtime, cache).await.ok_or(CompileError::Child(what))
}

async fn cached(digest: &Digest, runtime: &Arc<Runtime>, cache: &Arc<Cache>) -> Option<Component> {
    let (digest, runtime, cache) = (*digest, Arc::clone(runtime), Arc::clone(cache));
    let load = tokio::task::spawn_blocking(move || cache.code(&runtime.engine, &digest));
    load.await.expect("loading code does not panic")
}

/// What `describe` and the manifest must agree on.
fn agrees(manifest: &Manifest, described: &Described) -> Result<(), Problem> {
    let differs = |what, manifest: &str, described: &str| {
        let (manifest, described) = (manifest.to_owned(), described.to_owned());
        Err(Problem::Described { what, manifest, described })
    };
    if described.name() != manifest.name {
        return differs("names", &manifest.name, described.name());
    }
    match described {
        Described::Executor(info) => {
            let asked = manifest.asks.bundle.as_deref().unwrap_or_default();
            if info.bundle == asked { Ok(()) } else { differs("bundles", asked, &info.bundle) }
        }
        Described::Chat(info) if info.transport == Transport::Http => Err(Problem::HttpTransport),
        Described::Persona(..) | Described::Rule(..) | Described::Chat(..) => Ok(()),
    }
}

/// Names of what a component imports and exports.
struct Names {
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Names {
    fn of(component: &Component, engine: &Engine) -> Names {
        let ty = component.component_type();
        Names {
            imports: ty.imports(engine).map(|(name, _)| name.to_owned()).collect(),
            exports: ty.exports(engine).map(|(name, _)| name.to_owned()).collect(),
        }
    }

    /// Refuses components of another world or version, and imports that are not for this kind, not asked for or not granted.
    fn audit(&self, manifest: &Manifest, clock: bool) -> Result<Contract, Problem> {
        let (kind, name) = (manifest.kind, &manifest.name);
        let contract = self.contract(manifest)?;
        let refused: Vec<_> = self.imports.iter().filter(|import| !is_offered(manifest, import)).collect();
        if !refused.is_empty() {
            let remedy = if refused.iter().any(|import| import.starts_with("wasi:")) {
                "plugins reach no files, sockets or HTTP, so build it without them (in Rust: without `std::fs` and `std::net`)"
            } else {
                "build it for the world of its kind"
            };
            let imports = refused.into_iter().cloned().collect();
            return Err(Problem::Imports { kind, imports, remedy: remedy.to_owned() });
        }
        for import in &self.imports {
            let (ask, asked) = match interface(import) {
                "borg:plugin/log" => ("log", manifest.asks.log),
                "borg:plugin/clock" => ("clock", manifest.asks.clock),
                _ => continue,
            };
            if !asked {
                return Err(Problem::Unasked { import: import.clone(), ask });
            }
            // A log that goes nowhere is none; a clock that stands still would be a lie.
            if ask == "clock" && !clock {
                return Err(Problem::NotGranted { name: name.clone(), grant: ask });
            }
        }
        tracing::debug!(%kind, plugin = %name, imports = self.imports.len(), "audited");
        Ok(contract)
    }

    /// The version of the contract that the component was built for: one that this host speaks and the manifest names.
    fn contract(&self, manifest: &Manifest) -> Result<Contract, Problem> {
        let (kind, world) = (manifest.kind, &manifest.world);
        let wanted = format!("borg:plugin/{kind}");
        let of_kind = self.exports.iter().filter_map(|export| export.strip_prefix(&wanted)?.strip_prefix('@'));
        let built: Vec<&str> = of_kind.collect();
        if let Some(contract) = Contract::of(world).filter(|_| built.iter().any(|built| *built == world.to_string())) {
            return Ok(contract);
        }
        if let Some(contract) = built.iter().find_map(|built| spoken(built)) {
            return Err(Problem::OtherVersion { world: world.clone(), built: contract.version() });
        }
        match built.first() {
            Some(built) => Err(Problem::UnknownVersion { built: (*built).to_owned(), spoken: Contract::spoken() }),
            None => {
                let exports = match self.exports.join(", ") {
                    none if none.is_empty() => "nothing".to_owned(),
                    some => some,
                };
                Err(Problem::WrongWorld { kind, wanted: format!("{wanted}@{world}"), exports })
            }
        }
    }
}

/// The version of the contract with this number, if this host speaks it.
fn spoken(version: &str) -> Option<Contract> {
    Contract::of(&Version::parse(version).ok()?)
}

/// `borg:plugin/log@0.1.0` without its version.
fn interface(name: &str) -> &str {
    name.split_once('@').map_or(name, |(interface, _)| interface)
}

/// Whether the linker of this kind has what is imported; see `api::linker`.
fn is_offered(manifest: &Manifest, import: &str) -> bool {
    use crate::Kind;
    let version = import.split_once('@').map_or("", |(_, version)| version);
    match interface(import).split_once('/') {
        Some(("borg:plugin", _)) if spoken(version).is_none() => false,
        Some(("borg:plugin", "types")) => true,
        Some(("borg:plugin", "log")) => manifest.kind != Kind::Rule,
        Some(("borg:plugin", "clock")) => manifest.kind == Kind::Chat,
        Some(("wasi:io" | "wasi:clocks" | "wasi:random" | "wasi:cli", _)) => true,
        _ => false,
    }
}
