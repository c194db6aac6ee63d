//! Requests that nobody waits for any more: their client went away before the head of the answer came. The provider works on them all the
//! same, so what they may cost is held until that is known, also against the runs of the same task that come after.
//!
//! Who holds it durably is the task, in the journal (`Meanwhile::Held`). Here is only where a later run's account hears what became of each, in the
//! same process: what another process left open was booked when this one began.
//!
//! How one could get it wrong: a later run that is opened while such a request is being settled must count it once. So an outcome is told here
//! before it is recorded, and stays here for a while: the later run looks up what its task's state, read before or after, still has as held.

use borg_core::{
    budget::{MicroUsd, Spent, Usage},
    id::RunKey,
};
use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// How long an outcome is kept for a run that is just being opened.
const KEPT: Duration = Duration::from_secs(3600);

/// What a request of an earlier run may cost, whose answer is still out; a task's state has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elder {
    pub run: RunKey,
    pub request: u64,
    pub most: Spent,
}

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Used {
        usage: Usage,
        cost: MicroUsd,
    },
    /// The model did nothing.
    Nothing,
}

/// What became of a request and since when that is known; none while it is not.
type Known = Option<(Outcome, Instant)>;

/// The one who knows what became of a request.
pub(crate) struct Word(watch::Sender<Known>);

impl Word {
    pub fn say(self, outcome: Outcome) {
        self.0.send_replace(Some((outcome, Instant::now())));
    }
}

/// All such requests of this process.
#[derive(Default)]
pub(crate) struct Behind {
    next: AtomicU64,
    known: Mutex<HashMap<(RunKey, u64), watch::Receiver<Known>>>,
}

impl Behind {
    /// Takes a request in; gives its number and who is to tell what became of it.
    pub fn enter(&self, run: RunKey) -> (u64, Word) {
        let request = self.next.fetch_add(1, Ordering::Relaxed);
        let (word, heard) = watch::channel(None);
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|_, heard| heard.borrow().is_none_or(|(_, at)| at.elapsed() < KEPT));
        known.insert((run, request), heard);
        (request, Word(word))
    }

    /// Waits for what becomes of a request; none where nobody here knows of it.
    pub async fn outcome(&self, run: RunKey, request: u64) -> Option<Outcome> {
        let heard = self.known.lock().unwrap_or_else(PoisonError::into_inner).get(&(run, request)).cloned();
        let mut heard = heard?;
        let told = heard.wait_for(Option::is_some).await.ok()?;
        told.map(|(outcome, _)| outcome)
    }
}
