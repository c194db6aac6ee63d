//! A mirror, and who may write it: one at a time, by a value that the operations ask for.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OwnedMutexGuard;

/// A repository's mirror, a bare repository of ours. Its folder may not exist before the first refresh.
#[derive(Clone, Debug)]
pub struct Mirror {
    /// The repository's name in the policy.
    pub repo: String,
    pub dir: PathBuf,
}

/// The right to write one mirror, for as long as the value lives. What reads a mirror while branches may be pruned or packs put together asks
/// for it, too.
#[derive(Debug)]
pub struct MirrorLock {
    mirror: Mirror,
    _held: OwnedMutexGuard<()>,
}

impl MirrorLock {
    /// The mirror it is of.
    pub fn mirror(&self) -> &Mirror {
        &self.mirror
    }
}

/// The locks of all mirrors that were asked for, by their folder. Other processes have no part in them: they are kept out of the whole data
/// directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Locks(Arc<Mutex<HashMap<PathBuf, Arc<tokio::sync::Mutex<()>>>>>);

impl Locks {
    /// Waits until nobody else has the lock of this mirror. Who has it already waits for ever.
    pub(super) async fn lock(&self, mirror: &Mirror) -> MirrorLock {
        let lock = {
            let mut locks = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            locks.entry(mirror.dir.clone()).or_default().clone()
        };
        MirrorLock { mirror: mirror.clone(), _held: lock.lock_owned().await }
    }
}
