//! Policies that count: the one in force, and those that owners at work still name.

use crate::{id::Digest, policy::Policy, task::Task};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Policies by digest: the one in force, and those that tasks still name.
#[derive(Clone, Debug)]
pub struct Policies {
    current: Arc<Policy>,
    all: BTreeMap<Digest, Arc<Policy>>,
}

impl Policies {
    pub fn new(current: Arc<Policy>) -> Self {
        let all = BTreeMap::from([(current.digest, current.clone())]);
        Policies { current, all }
    }

    /// Puts another policy in force; tasks keep the one they name.
    pub fn load(&mut self, policy: Arc<Policy>) {
        self.all.insert(policy.digest, policy.clone());
        self.current = policy;
    }

    /// Lets go of all but the one in force and these.
    pub fn keep_only(&mut self, named: &BTreeSet<Digest>) {
        self.all.retain(|digest, _| *digest == self.current.digest || named.contains(digest));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    /// Adds a policy that only older tasks name.
    pub fn remember(&mut self, policy: Arc<Policy>) {
        self.all.insert(policy.digest, policy);
    }

    pub fn current(&self) -> &Arc<Policy> {
        &self.current
    }

    /// The policy a task runs under; the current one when that is no longer known.
    pub fn of(&self, task: &Task) -> &Arc<Policy> {
        self.all.get(&task.spec.policy).unwrap_or(&self.current)
    }
}
