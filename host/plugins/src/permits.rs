//! What policy lets plugins do, and which of them may be loaded.

use crate::{
    error::{LoadError, Problem},
    found::Found,
    manifest::Manifest,
    shipped,
};
use borg_core::{id::Digest, policy::PluginPolicy};
use std::collections::BTreeSet;

/// What may change while the host runs.
#[derive(Clone, Debug, Default)]
pub struct Permits {
    /// `[plugin-defaults]` and `[plugin.NAME]` of policy: imports, pins, strictness.
    pub policy: PluginPolicy,
    /// Components that unfinished attempts began with: loaded from the cache where the folders no longer have them. All others are
    /// forgotten once nobody holds a handle of them.
    pub keep: BTreeSet<Digest>,
}

impl Permits {
    /// Log and clock: what the manifest asks for and policy grants.
    pub(crate) fn granted(&self, manifest: &Manifest) -> (bool, bool) {
        let own = self.policy.grants.get(&manifest.name).copied().unwrap_or_default();
        let log = manifest.asks.log && own.log.unwrap_or(self.policy.log);
        let clock = manifest.asks.clock && own.clock.unwrap_or(self.policy.clock);
        (log, clock)
    }

    /// Of those of one name the one that counts. The one that stands in for all others comes first; one that policy does not pin is refused,
    /// and takes nobody's place.
    pub(crate) fn choose(&self, candidates: Vec<Found>, errors: &mut Vec<LoadError>) -> Option<Found> {
        candidates.into_iter().find(|found| match self.check_pin(found) {
            Ok(()) => true,
            Err(problem) => {
                errors.push(LoadError { path: found.path.clone(), line: None, problem });
                false
            }
        })
    }

    /// What stands in for another of its name is somebody's who may write to a folder; that the operator wants it says a pin only.
    fn check_pin(&self, plugin: &Found) -> Result<(), Problem> {
        let (name, found, kind) = (plugin.manifest.name.clone(), plugin.digest, plugin.manifest.kind);
        match (self.policy.pins.get(&name), &plugin.overrides) {
            (Some(pinned), _) if *pinned != found => Err(Problem::PinMismatch { name, pinned: *pinned, found }),
            (Some(_), _) => Ok(()),
            (None, Some(other)) => Err(Problem::StandIn { name, kind, found, other: other.clone() }),
            (None, None) if let Some(kind) = shipped::kind_of(&name).filter(|_| !plugin.is_shipped) => {
                Err(Problem::ShippedName { name, kind, found })
            }
            (None, None) if self.policy.strict => Err(Problem::Unpinned { name, found }),
            (None, None) => Ok(()),
        }
    }
}
