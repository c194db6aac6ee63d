//! All loaded plugins: by name for new work, by digest for work that is under way.

use crate::{
    cache::Cache,
    compile::Compiler,
    engine,
    error::{CallError, Cause, LoadError, Problem, StartError},
    found::Found,
    guest::Runtime,
    limits::Limits,
    load,
    manifest::{Kind, Manifest},
    nearest::did_you_mean,
    permits::Permits,
    plugin::{Brought, Plugin, Summary},
    world::{chat::Chat, described::Described, executor::Executor, persona::Persona, rule::Rule},
};
use borg_core::{id::Digest, policy::PluginPolicy};
use std::{
    collections::{BTreeMap, BTreeSet},
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

/// The manifests that may count, by name: each with what it overrides, the latest first. So many of the folders, from the first, hold what
/// came with the program. Does blocking I/O.
fn candidates(folders: &[PathBuf], shipped: usize, cache: Option<&Cache>) -> (Vec<Vec<Found>>, Vec<LoadError>) {
    let mut candidates: BTreeMap<String, Vec<(usize, Found)>> = BTreeMap::new();
    let mut errors = vec![];
    for (at, folder) in load::distinct(folders) {
        for found in load::discover(folder, cache) {
            let mut found = match found {
                Ok(found) => found,
                Err(faults) => {
                    errors.extend(faults);
                    continue;
                }
            };
            found.is_shipped = at < shipped;
            let name = found.manifest.name.clone();
            let earlier = candidates.entry(name.clone()).or_default();
            // A copy of the first of that name is the same plugin: there is nothing to choose.
            let is_copy = earlier.last().is_some_and(|(of, first)| {
                *of != at
                    && (first.digest, &first.manifest_text, &first.recipe)
                        == (found.digest, &found.manifest_text, &found.recipe)
            });
            if is_copy {
                continue;
            }
            match earlier.first() {
                Some((before, other)) if *before == at || other.manifest.kind != found.manifest.kind => {
                    errors.push(load::at(&found.path, Problem::NameTaken { name, by: other.path.clone() }));
                }
                Some((_, other)) => {
                    found.overrides = Some(other.path.clone());
                    earlier.insert(0, (at, found));
                }
                None => earlier.push((at, found)),
            }
        }
    }
    let found = candidates.into_values().map(|named| named.into_iter().map(|(_, found)| found).collect());
    (found.collect(), errors)
}

/// What executors bring for their bundles: of those that would be loaded from these folders under this policy, in the order of their names.
/// Also what keeps others from it. Nothing is compiled or run. Does blocking I/O.
pub fn brought(shipped: &[PathBuf], folders: &[PathBuf], policy: &PluginPolicy) -> (Vec<Brought>, Vec<LoadError>) {
    let permits = Permits { policy: policy.clone(), keep: BTreeSet::new() };
    let (found, mut errors) = candidates(&[shipped, folders].concat(), shipped.len(), None);
    let chosen = found.into_iter().filter_map(|named| permits.choose(named, &mut errors));
    let brought = chosen.filter_map(|Found { manifest, recipe, is_shipped, .. }| {
        Some(Brought { executor: manifest.name, recipe: recipe?, is_shipped })
    });
    (brought.collect(), errors)
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
    current: BTreeMap<String, Arc<Plugin>>,
    /// What unfinished work began with, or somebody holds a handle of, and the folders no longer have.
    kept: Vec<Arc<Plugin>>,
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
        for found in found.into_iter().filter_map(|named| permits.choose(named, &mut errors)).collect::<Vec<_>>() {
            let name = found.manifest.name.clone();
            match self.load_one(found, &old, permits).await {
                Ok(plugin) => drop(new.current.insert(name, plugin)),
                Err(error) => errors.push(error),
            }
        }
        for digest in &permits.keep {
            if new.current.values().any(|plugin| plugin.digest() == *digest) {
                continue;
            }
            if let Some(plugin) = old.plugins().find(|plugin| plugin.digest() == *digest) {
                new.kept.push(Arc::clone(plugin));
                continue;
            }
            let (digest, cache) = (*digest, Arc::clone(&shared.cache));
            let revived = tokio::task::spawn_blocking(move || load::revive(digest, &cache));
            match revived.await.expect("reading the cache does not panic") {
                Ok(found) => match self.load_one(found, &old, permits).await {
                    Ok(plugin) => new.kept.push(plugin),
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
            keep.extend(new.plugins().map(|plugin| plugin.digest()));
            *registry = new;
        }
        let cache = Arc::clone(&shared.cache);
        tokio::task::spawn_blocking(move || cache.prune(&keep)).await.expect("pruning does not panic");
        errors
    }

    /// See [`candidates`].
    async fn discover(&self) -> (Vec<Vec<Found>>, Vec<LoadError>) {
        let shared = Arc::clone(&self.shared);
        let found =
            tokio::task::spawn_blocking(move || candidates(&shared.folders, shared.shipped, Some(&shared.cache)));
        found.await.expect("reading the folders does not panic")
    }

    /// Loads a plugin, or takes it over when nothing about it has changed.
    async fn load_one(&self, found: Found, old: &Registry, permits: &Permits) -> Result<Arc<Plugin>, LoadError> {
        let same = |plugin: &&Arc<Plugin>| {
            plugin.digest() == found.digest
                && plugin.manifest_text == found.manifest_text
                && plugin.recipe == found.recipe
                && plugin.path == found.path
                && plugin.overrides == found.overrides
                && (plugin.guest.log, plugin.guest.clock) == permits.granted(&found.manifest)
        };
        if let Some(plugin) = old.plugins().find(same) {
            return Ok(Arc::clone(plugin));
        }
        let shared = &self.shared;
        load::load(found, &shared.runtime, &shared.cache, &shared.compiler, permits).await.map(Arc::new)
    }

    /// All plugins that new work can use, by name.
    pub fn list(&self) -> Vec<Summary> {
        self.registry().current.values().map(|plugin| plugin.summary()).collect()
    }

    /// The manifest of a plugin that new work can use.
    pub fn manifest(&self, kind: Kind, name: &str) -> Option<Manifest> {
        self.registry().current.get(name).map(|plugin| plugin.manifest.clone()).filter(|manifest| manifest.kind == kind)
    }

    /// A persona: the current one, or the one with this digest that an attempt began with.
    pub fn persona(&self, name: &str, digest: Option<Digest>) -> Result<Persona, CallError> {
        let plugin = self.find(Kind::Persona, name, digest)?;
        match &plugin.described {
            Described::Persona(info) => Ok(Persona { info: Arc::clone(info), plugin }),
            Described::Rule(..) | Described::Executor(..) | Described::Chat(..) => {
                unreachable!("`find` looked for the kind")
            }
        }
    }

    /// A rule; see [`Self::persona`].
    pub fn rule(&self, name: &str, digest: Option<Digest>) -> Result<Rule, CallError> {
        let plugin = self.find(Kind::Rule, name, digest)?;
        match &plugin.described {
            Described::Rule(info) => Ok(Rule { info: Arc::clone(info), plugin }),
            Described::Persona(..) | Described::Executor(..) | Described::Chat(..) => {
                unreachable!("`find` looked for the kind")
            }
        }
    }

    /// An executor; see [`Self::persona`].
    pub fn executor(&self, name: &str, digest: Option<Digest>) -> Result<Executor, CallError> {
        let plugin = self.find(Kind::Executor, name, digest)?;
        match &plugin.described {
            Described::Executor(info) => Ok(Executor { info: Arc::clone(info), plugin }),
            Described::Persona(..) | Described::Rule(..) | Described::Chat(..) => {
                unreachable!("`find` looked for the kind")
            }
        }
    }

    /// What the bundle of an executor is made of: what its folder brings. One of contract 0.1.0 may bring nothing, and have what another
    /// brings under the name it asks for.
    pub fn brought(&self, executor: &str) -> Option<Brought> {
        let registry = self.registry();
        let plugin = registry.current.get(executor).filter(|plugin| plugin.manifest.kind == Kind::Executor)?;
        let asked = plugin.manifest.asks.bundle.as_ref()?;
        made_of(plugin.brought(), asked, registry.current.values().filter_map(|plugin| plugin.brought()))
    }

    /// A chat frontend; see [`Self::persona`].
    pub fn chat(&self, name: &str, digest: Option<Digest>) -> Result<Chat, CallError> {
        let plugin = self.find(Kind::Chat, name, digest)?;
        match &plugin.described {
            Described::Chat(info) => Ok(Chat { info: Arc::clone(info), plugin }),
            Described::Persona(..) | Described::Rule(..) | Described::Executor(..) => {
                unreachable!("`find` looked for the kind")
            }
        }
    }

    fn find(&self, kind: Kind, name: &str, digest: Option<Digest>) -> Result<Arc<Plugin>, CallError> {
        let registry = self.registry();
        let is_it = |plugin: &&Arc<Plugin>| plugin.manifest.kind == kind && plugin.manifest.name == name;
        let found = match digest {
            None => registry.current.get(name).filter(is_it),
            Some(digest) => registry.plugins().filter(is_it).find(|plugin| plugin.digest() == digest),
        };
        if let Some(plugin) = found {
            return Ok(Arc::clone(plugin));
        }
        let cause = match (digest, registry.current.get(name)) {
            (Some(digest), _) => Cause::DigestGone(digest),
            (None, Some(other)) => Cause::Missing(kind, format!("; there is a {} of that name", other.manifest.kind)),
            (None, None) => {
                let names = registry.current.values().filter(|plugin| plugin.manifest.kind == kind);
                Cause::Missing(kind, did_you_mean(name, names.map(|plugin| plugin.manifest.name.as_str())))
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
        for plugin in old.plugins().filter(|plugin| Arc::strong_count(plugin) > 1) {
            let is_here = |other: &Arc<Plugin>| {
                (other.digest(), &other.manifest.name) == (plugin.digest(), &plugin.manifest.name)
            };
            if !self.plugins().any(is_here) {
                self.kept.push(Arc::clone(plugin));
            }
        }
    }

    fn plugins(&self) -> impl Iterator<Item = &Arc<Plugin>> {
        self.current.values().chain(&self.kept)
    }
}

/// What was brought, else what somebody brings under the name that is asked for.
fn made_of(own: Option<Brought>, asked: &str, mut others: impl Iterator<Item = Brought>) -> Option<Brought> {
    own.or_else(|| others.find(|brought| brought.recipe.name == asked))
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::{bundle::Recipe, policy::source::SourceFile};

    fn brought(executor: &str, name: &str) -> Brought {
        let hash = "A".repeat(86);
        let package = format!("[[package]]\narch = \"x86_64\"\nnpm = \"x\"\nintegrity = \"sha512-{hash}==\"\n");
        let text = format!("name = \"{name}\"\nversion = \"1\"\n{package}[[program]]\nfrom = \"a\"\nto = \"bin/a\"\n");
        let recipe = Recipe::parse(&SourceFile { name: "bundle.toml".into(), text }).unwrap();
        Brought { executor: executor.into(), recipe, is_shipped: true }
    }

    #[test]
    fn who_brings_nothing_has_what_another_brings_under_the_name_it_asks_for() {
        let others = || [brought("a", "one"), brought("b", "two")].into_iter();
        let whose = |own, asked| made_of(own, asked, others()).map(|brought| brought.executor);
        assert_eq!(whose(None, "two").as_deref(), Some("b"));
        assert_eq!(whose(None, "three"), None);
        assert_eq!(whose(Some(brought("c", "two")), "two").as_deref(), Some("c"), "its own comes first");
    }
}
