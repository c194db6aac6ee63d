//! All loaded plugins: by name for new work, by digest for work that is under way.

use crate::{
    cache::Cache,
    compile::Compiler,
    engine,
    error::{CallError, Cause, LoadError, Problem, StartError},
    found::Found,
    guest::Runtime,
    limits::Limits,
    load::{self, Loaded},
    manifest::{Kind, Manifest},
    nearest::did_you_mean,
    permits::Permits,
    plugin::Summary,
    world::{bound::Bound, chat::Chat, executor::Executor, persona::Persona, rule::Rule},
};
use borg_core::id::Digest;
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, PoisonError, RwLock},
};

/// Where plugins come from and how they run; fixed while the host runs.
pub struct Options {
    /// Folders of the plugin folders that came with the program. What has one of their names ([`crate::SHIPPED`]) and lies elsewhere needs a
    /// pin, also while these are away.
    pub shipped: Vec<PathBuf>,
    /// More of them, which need not exist yet. A plugin of a later folder stands in for one of the same name and kind in an earlier, where
    /// policy pins it.
    pub folders: Vec<PathBuf>,
    /// Folder for components and machine code; made with mode 0700, refused when others can reach into it.
    pub cache: PathBuf,
    pub compiler: Compiler,
    pub limits: Limits,
    /// The host's clock: milliseconds since 1970-01-01 00:00 UTC.
    pub now_ms: fn() -> u64,
}

/// The plugins of this host; cheap to clone.
#[derive(Clone)]
pub struct Plugins {
    shared: Arc<Shared>,
}

struct Shared {
    folders: Vec<PathBuf>,
    /// So many of the folders, from the first, hold what came with the program.
    shipped: usize,
    compiler: Compiler,
    cache: Arc<Cache>,
    runtime: Arc<Runtime>,
    registry: RwLock<Registry>,
    /// [`Plugins::fingerprint`] as it was before the latest load.
    loaded: RwLock<Digest>,
    /// One load at a time.
    loading: tokio::sync::Mutex<()>,
}

#[derive(Clone, Default)]
struct Registry {
    /// By name: what new work gets.
    current: BTreeMap<String, Loaded>,
    /// What unfinished work began with, or somebody holds a handle of, and the folders no longer have.
    kept: Vec<Loaded>,
}

impl Plugins {
    /// Starts the engine and loads all plugins: every `*/plugin.toml` in each folder. A broken one is an error in the list and hinders
    /// no other.
    pub async fn load(options: Options, permits: &Permits) -> Result<(Plugins, Vec<LoadError>), StartError> {
        let runtime = Runtime::start(options.limits, options.now_ms)?;
        let cache = Cache::open(options.cache, engine::fingerprint(&runtime.engine))?;
        let shipped = options.shipped.len();
        let plugins = Plugins {
            shared: Arc::new(Shared {
                folders: options.shipped.into_iter().chain(options.folders).collect(),
                shipped,
                compiler: options.compiler,
                cache: Arc::new(cache),
                runtime: Arc::new(runtime),
                registry: RwLock::default(),
                loaded: RwLock::new(Digest([0; 32])),
                loading: tokio::sync::Mutex::default(),
            }),
        };
        let errors = plugins.reload(permits).await;
        Ok((plugins, errors))
    }

    /// What tells that plugins came, went or changed, without reading them.
    pub async fn fingerprint(&self) -> Digest {
        let shared = Arc::clone(&self.shared);
        tokio::task::spawn_blocking(move || load::fingerprint(&shared.folders))
            .await
            .expect("looking at folders does not panic")
    }

    /// What [`Plugins::fingerprint`] said before the plugins that are here were loaded.
    pub fn loaded(&self) -> Digest {
        *self.shared.loaded.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the folders again, under this policy. Handles that are held stay good; a plugin that no longer loads is gone for new
    /// work.
    pub async fn reload(&self, permits: &Permits) -> Vec<LoadError> {
        let shared = &self.shared;
        let _one_at_a_time = shared.loading.lock().await;
        let old = shared.registry.read().unwrap_or_else(PoisonError::into_inner).clone();
        // First, so that what changes meanwhile is seen as a change.
        let seen = self.fingerprint().await;
        *shared.loaded.write().unwrap_or_else(PoisonError::into_inner) = seen;
        let (found, mut errors) = self.discover().await;

        let mut new = Registry::default();
        for candidates in found {
            // The one that stands in for all others comes first. One that policy does not pin is refused, and takes nobody's place.
            for found in candidates {
                let path = found.path.clone();
                if let Err(problem) = permits.check_pin(&found) {
                    errors.push(load::at(&path, problem));
                    continue;
                }
                let name = found.manifest.name.clone();
                match self.load_one(found, &old, permits).await {
                    Ok(loaded) => drop(new.current.insert(name, loaded)),
                    Err(error) => errors.push(error),
                }
                break;
            }
        }
        for digest in &permits.keep {
            if new.current.values().any(|loaded| loaded.plugin.digest() == *digest) {
                continue;
            }
            if let Some(loaded) = old.plugins().find(|loaded| loaded.plugin.digest() == *digest) {
                new.kept.push(loaded.clone());
                continue;
            }
            let (digest, cache) = (*digest, Arc::clone(&shared.cache));
            let revived = tokio::task::spawn_blocking(move || load::revive(digest, &cache));
            match revived.await.expect("reading the cache does not panic") {
                Ok(found) => match self.load_one(found, &old, permits).await {
                    Ok(loaded) => new.kept.push(loaded),
                    Err(error) => errors.push(error),
                },
                Err(found) => errors.extend(found),
            }
        }

        drop(old);
        let mut keep = permits.keep.clone();
        {
            let mut registry = shared.registry.write().unwrap_or_else(PoisonError::into_inner);
            new.keep_held(&registry);
            keep.extend(new.plugins().map(|loaded| loaded.plugin.digest()));
            *registry = new;
        }
        let cache = Arc::clone(&shared.cache);
        tokio::task::spawn_blocking(move || cache.prune(&keep)).await.expect("pruning does not panic");
        errors
    }

    /// The manifests that may count, by name: each with what it overrides, the latest first.
    async fn discover(&self) -> (Vec<Vec<Found>>, Vec<LoadError>) {
        let shared = Arc::clone(&self.shared);
        let found = tokio::task::spawn_blocking(move || {
            let folders = load::distinct(&shared.folders);
            folders.into_iter().map(|(at, folder)| (at, load::discover(folder, &shared.cache))).collect::<Vec<_>>()
        });
        let mut candidates: BTreeMap<String, Vec<(usize, Found)>> = BTreeMap::new();
        let mut errors = vec![];
        for (folder, found) in found.await.expect("reading the folders does not panic") {
            for found in found {
                let mut found = match found {
                    Ok(found) => found,
                    Err(faults) => {
                        errors.extend(faults);
                        continue;
                    }
                };
                found.is_shipped = folder < self.shared.shipped;
                let name = found.manifest.name.clone();
                let earlier = candidates.entry(name.clone()).or_default();
                // A copy of the first of that name is the same plugin: there is nothing to choose.
                let is_copy = earlier.last().is_some_and(|(of, first)| {
                    *of != folder && (first.digest, &first.manifest_text) == (found.digest, &found.manifest_text)
                });
                if is_copy {
                    continue;
                }
                match earlier.first() {
                    Some((before, other)) if *before == folder || other.manifest.kind != found.manifest.kind => {
                        errors.push(load::at(&found.path, Problem::NameTaken { name, by: other.path.clone() }));
                    }
                    Some((_, other)) => {
                        found.overrides = Some(other.path.clone());
                        earlier.insert(0, (folder, found));
                    }
                    None => earlier.push((folder, found)),
                }
            }
        }
        let found = candidates.into_values().map(|named| named.into_iter().map(|(_, found)| found).collect());
        (found.collect(), errors)
    }

    /// Loads a plugin, or takes it over when nothing about it has changed.
    async fn load_one(&self, found: Found, old: &Registry, permits: &Permits) -> Result<Loaded, LoadError> {
        let same = |loaded: &&Loaded| {
            let plugin = &loaded.plugin;
            plugin.digest() == found.digest
                && plugin.manifest_text == found.manifest_text
                && plugin.path == found.path
                && plugin.overrides == found.overrides
                && (plugin.guest.log, plugin.guest.clock) == permits.granted(&found.manifest)
        };
        if let Some(loaded) = old.plugins().find(same) {
            return Ok(loaded.clone());
        }
        let shared = &self.shared;
        load::load(found, &shared.runtime, &shared.cache, &shared.compiler, permits).await
    }

    /// All plugins that new work can use, by name.
    pub fn list(&self) -> Vec<Summary> {
        self.registry().current.values().map(|loaded| loaded.plugin.summary()).collect()
    }

    /// The manifest of a plugin that new work can use.
    pub fn manifest(&self, kind: Kind, name: &str) -> Option<Manifest> {
        self.registry()
            .current
            .get(name)
            .map(|loaded| loaded.plugin.manifest.clone())
            .filter(|manifest| manifest.kind == kind)
    }

    /// A persona: the current one, or the one with this digest that an attempt began with.
    pub fn persona(&self, name: &str, digest: Option<Digest>) -> Result<Persona, CallError> {
        let Loaded { plugin, bound } = self.find(Kind::Persona, name, digest)?;
        match bound {
            Bound::Persona(pre, info) => Ok(Persona { pre, info, plugin }),
            Bound::Rule(..) | Bound::Executor(..) | Bound::Chat(..) => unreachable!("`find` looked for the kind"),
        }
    }

    /// A rule; see [`Self::persona`].
    pub fn rule(&self, name: &str, digest: Option<Digest>) -> Result<Rule, CallError> {
        let Loaded { plugin, bound } = self.find(Kind::Rule, name, digest)?;
        match bound {
            Bound::Rule(pre, info) => Ok(Rule { pre, info, plugin }),
            Bound::Persona(..) | Bound::Executor(..) | Bound::Chat(..) => unreachable!("`find` looked for the kind"),
        }
    }

    /// An executor; see [`Self::persona`].
    pub fn executor(&self, name: &str, digest: Option<Digest>) -> Result<Executor, CallError> {
        let Loaded { plugin, bound } = self.find(Kind::Executor, name, digest)?;
        match bound {
            Bound::Executor(pre, info) => Ok(Executor { pre, info, plugin }),
            Bound::Persona(..) | Bound::Rule(..) | Bound::Chat(..) => unreachable!("`find` looked for the kind"),
        }
    }

    /// A chat frontend; see [`Self::persona`].
    pub fn chat(&self, name: &str, digest: Option<Digest>) -> Result<Chat, CallError> {
        let Loaded { plugin, bound } = self.find(Kind::Chat, name, digest)?;
        match bound {
            Bound::Chat(pre, info) => Ok(Chat { pre, info, plugin }),
            Bound::Persona(..) | Bound::Rule(..) | Bound::Executor(..) => unreachable!("`find` looked for the kind"),
        }
    }

    fn find(&self, kind: Kind, name: &str, digest: Option<Digest>) -> Result<Loaded, CallError> {
        let registry = self.registry();
        let is_it = |loaded: &&Loaded| loaded.plugin.manifest.kind == kind && loaded.plugin.manifest.name == name;
        let found = match digest {
            None => registry.current.get(name).filter(is_it),
            Some(digest) => registry.plugins().filter(is_it).find(|loaded| loaded.plugin.digest() == digest),
        };
        if let Some(loaded) = found {
            return Ok(loaded.clone());
        }
        let cause = match (digest, registry.current.get(name)) {
            (Some(digest), _) => Cause::DigestGone(digest),
            (None, Some(other)) => {
                Cause::Missing(kind, format!("; there is a {} of that name", other.plugin.manifest.kind))
            }
            (None, None) => {
                let names = registry.current.values().map(|loaded| &loaded.plugin.manifest);
                let names = names.filter(|manifest| manifest.kind == kind);
                Cause::Missing(kind, did_you_mean(name, names.map(|manifest| manifest.name.as_str())))
            }
        };
        Err(CallError { plugin: name.to_owned(), kind, function: "lookup", cause, stderr: String::new() })
    }

    fn registry(&self) -> std::sync::RwLockReadGuard<'_, Registry> {
        self.shared.registry.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    /// Takes over what somebody holds a handle of: a run that is just starting is in no journal yet, so `keep` cannot name what it
    /// began with. Nobody gets a handle meanwhile, since that needs the lock under which `old` is looked at.
    fn keep_held(&mut self, old: &Registry) {
        for loaded in old.plugins().filter(|loaded| Arc::strong_count(&loaded.plugin) > 1) {
            let plugin = &loaded.plugin;
            let is_here = |other: &Loaded| {
                (other.plugin.digest(), &other.plugin.manifest.name) == (plugin.digest(), &plugin.manifest.name)
            };
            if !self.plugins().any(is_here) {
                self.kept.push(loaded.clone());
            }
        }
    }

    fn plugins(&self) -> impl Iterator<Item = &Loaded> {
        self.current.values().chain(&self.kept)
    }
}
