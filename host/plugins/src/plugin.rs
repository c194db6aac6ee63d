//! One loaded plugin, and what people are shown of it.

use crate::{
    error::CallError,
    guest::Guest,
    manifest::{Kind, Manifest},
    world::{described::Described, exports::Exports},
};
use borg_core::{bundle::Recipe, id::Digest};
use semver::Version;
use serde::Serialize;
use std::path::{Path, PathBuf};
use wasmtime::component::{ComponentNamedList, Lift, Lower};

/// A component that was compiled, audited, bound to its world and asked who it is.
pub struct Plugin {
    pub(crate) guest: Guest,
    pub(crate) exports: Exports,
    pub(crate) described: Described,
    pub(crate) manifest: Manifest,
    pub(crate) manifest_text: String,
    pub(crate) recipe: Option<Recipe>,
    pub(crate) is_shipped: bool,
    /// The manifest's file.
    pub(crate) path: PathBuf,
    pub(crate) imports: Vec<String>,
    /// The manifest of an earlier folder that has the same name.
    pub(crate) overrides: Option<PathBuf>,
}

impl Plugin {
    /// Calls one of its functions in a fresh instance; `P` and `R` are the types of the contract that it speaks.
    pub(crate) async fn call<P, R>(&self, function: &'static str, given: P) -> Result<R, CallError>
    where
        P: ComponentNamedList + Lower + Send + Sync,
        R: Send + Sync + 'static,
        (R,): ComponentNamedList + Lift,
    {
        self.exports.call(&self.guest, function, given).await
    }

    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// SHA-256 of the component: what an attempt is pinned to.
    pub fn digest(&self) -> Digest {
        self.guest.digest
    }

    /// The manifest's file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What an executor brings for its bundle; none where it needs none, and for a component that was kept when its folder went.
    pub fn brought(&self) -> Option<Brought> {
        let recipe = self.recipe.clone()?;
        Some(Brought { executor: self.manifest.name.clone(), recipe, is_shipped: self.is_shipped })
    }

    /// What to show of it.
    pub fn summary(&self) -> Summary {
        Summary {
            kind: self.manifest.kind,
            name: self.manifest.name.clone(),
            version: self.manifest.version.clone(),
            world: self.manifest.world.clone(),
            summary: self.manifest.summary.clone(),
            digest: self.digest(),
            path: self.path.clone(),
            imports: self.imports.clone(),
            log: self.guest.log,
            clock: self.guest.clock,
            overrides: self.overrides.clone(),
        }
    }
}

/// Where the programs of an executor's agent come from, as its folder says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Brought {
    /// Name of the executor.
    pub executor: String,
    pub recipe: Recipe,
    /// It came with the program, as the host itself did.
    pub is_shipped: bool,
}

/// What people are shown of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Summary {
    pub kind: Kind,
    pub name: String,
    pub version: Version,
    /// Version of `borg:plugin` it was built for.
    pub world: Version,
    pub summary: String,
    /// SHA-256 of the component.
    pub digest: Digest,
    /// The manifest's file.
    pub path: PathBuf,
    /// Every interface the component can ask for, as `wasi:io/streams@0.2.6`; there is nothing else it can reach.
    pub imports: Vec<String>,
    /// Its log lines are written.
    pub log: bool,
    /// It knows the time of day.
    pub clock: bool,
    /// Manifest of the plugin in an earlier folder that this one stands in for.
    pub overrides: Option<PathBuf>,
}
