//! Runs of this process: whoever holds one hears when it is to end.

use super::persist::persist;
use crate::sandbox::{self, Line, Sandbox};
use borg_core::{
    executor::{EndCause, RunEnd},
    id::RunKey,
};
use borg_gateway::Door;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, watch};

/// A message for each run that was spoken of, and the ways out that are open; clones share them.
#[derive(Clone, Default)]
pub struct Runs(Arc<Mutex<HashMap<RunKey, Known>>>);

#[derive(Default)]
struct Known {
    stop: watch::Sender<Option<EndCause>>,
    door: Option<Arc<Door>>,
}

/// Held by whoever performs a run.
pub struct Held {
    run: RunKey,
    stop: watch::Receiver<Option<EndCause>>,
}

impl Runs {
    fn known(&self) -> MutexGuard<'_, HashMap<RunKey, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may have been said of a run before it is held counts as well.
    pub fn hold(&self, run: RunKey) -> Held {
        Held { run, stop: self.known().entry(run).or_default().stop.subscribe() }
    }

    /// Tells whoever holds the run, or will hold it, to end it.
    pub fn stop(&self, run: RunKey, cause: EndCause) {
        self.known().entry(run).or_default().stop.send_replace(Some(cause));
    }

    /// A way out that is shut with all others when the process ends.
    pub fn opened(&self, run: RunKey, door: Arc<Door>) {
        self.known().entry(run).or_default().door = Some(door);
    }

    pub fn forget(&self, run: RunKey) {
        self.known().remove(&run);
    }

    /// Shuts every door. Returns when what went through them is booked, within the time that responses are drained for.
    pub async fn shut(&self) {
        let doors: Vec<Arc<Door>> = self.known().values().filter_map(|known| known.door.clone()).collect();
        for door in &doors {
            door.close().await;
        }
        for door in doors {
            door.settled().await;
        }
    }
}

impl Held {
    /// Why the run is to end, if it is.
    pub fn called_off(&self) -> Option<EndCause> {
        *self.stop.borrow()
    }

    /// Waits until the run is to end.
    pub async fn until_called_off(&mut self) -> EndCause {
        match self.stop.wait_for(Option::is_some).await.map(|cause| *cause) {
            Ok(Some(cause)) => cause,
            // It was forgotten: nobody can say any more that it is to end.
            Ok(None) | Err(_) => std::future::pending().await,
        }
    }

    /// Follows the run's sandbox to its end, which may come by a message: then its way out is closed, and it is killed.
    pub async fn follow(
        &mut self,
        sandbox: &Sandbox,
        after: u64,
        lines: mpsc::Sender<Line>,
        door: Option<&Door>,
    ) -> Result<RunEnd, sandbox::Error> {
        let run = self.run;
        let mut following = std::pin::pin!(sandbox.lines(run, after, lines));
        let ending = async {
            let cause = self.until_called_off().await;
            if let Some(door) = door {
                door.close().await;
            }
            let kill = || async {
                let killed = sandbox.kill(run, cause).await;
                killed.inspect_err(|error| tracing::debug!(%run, %error, "it could not be killed, or was dead")).is_ok()
            };
            if !persist(kill).await {
                tracing::warn!(%run, "it could not be killed; its limits still hold it");
            }
        };
        tokio::select! {
            end = &mut following => return end,
            () = ending => {}
        }
        following.await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_message_reaches_who_holds_the_run_and_who_comes_to_hold_it() {
        let runs = Runs::default();
        let run = "t1-s0-a1-agent".parse().unwrap();
        let mut before = runs.hold(run);
        assert_eq!(before.called_off(), None);
        runs.stop(run, EndCause::Cancelled);
        let mut after = runs.hold(run);
        assert_eq!(
            (before.until_called_off().await, after.until_called_off().await),
            (EndCause::Cancelled, EndCause::Cancelled)
        );
        // One of the same name that comes later is another.
        runs.forget(run);
        assert_eq!(runs.hold(run).called_off(), None);
    }
}
