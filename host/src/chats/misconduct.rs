//! Components that were caught at what they have no right to: noted once each, for the log at once, for journal and owners when somebody
//! attends to it.

use borg_core::id::Digest;
use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;

/// What a component did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caught {
    pub plugin: String,
    /// SHA-256 of the component.
    pub digest: Digest,
    pub what: &'static str,
}

/// Cheap to clone; all clones are the same.
#[derive(Clone, Default)]
pub struct Misconduct(Arc<Shared>);

#[derive(Default)]
struct Shared {
    kept: Mutex<Kept>,
    news: Notify,
}

#[derive(Default)]
struct Kept {
    seen: BTreeSet<(Digest, &'static str)>,
    untold: VecDeque<Caught>,
}

impl Misconduct {
    /// Notes what a component did; the same again is only logged.
    pub fn note(&self, plugin: &str, digest: Digest, what: &'static str) {
        tracing::warn!(plugin, %digest, what, "a component did what it has no right to; that is left out");
        let mut kept = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.seen.insert((digest, what)) {
            kept.untold.push_back(Caught { plugin: plugin.to_owned(), digest, what });
            self.0.news.notify_one();
        }
    }

    /// The next that nobody was told of; waits for one.
    pub async fn next(&self) -> Caught {
        loop {
            if let Some(caught) = self.0.kept.lock().unwrap_or_else(PoisonError::into_inner).untold.pop_front() {
                return caught;
            }
            self.0.news.notified().await;
        }
    }
}
