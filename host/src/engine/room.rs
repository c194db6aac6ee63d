//! Room on the disk. Below a reserve nothing new is taken in or begun; when the journal itself cannot be written, everything waits, people are
//! told, and it goes on where it stopped as soon as there is room.
//!
//! How much a run may write is the sandbox's to hold.

use super::{Engine, Handle, Reply, doers::Doers, event, handle::Input};
use crate::journal::{Batch, JournalError};
use borg_core::{
    effect::Room,
    event::{Body, Meanwhile},
    id::{EffectKey, RunKey},
    intent::Intent,
    owner::Owner,
};
use std::{ops::ControlFlow, path::Path, sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, sleep_until};

/// Bytes that must be free before a wish is taken in, or before what an agent made is moved: enough for the events of what runs already.
pub const RESERVE: u64 = 16 << 20;
/// Pause between two looks.
const PAUSE: Duration = Duration::from_secs(2);

impl Engine {
    /// Makes a batch durable, however long that takes; none when the host is to stop before.
    pub(super) async fn save(&mut self, batch: Arc<Batch>) -> Result<Option<u64>, JournalError> {
        loop {
            match self.journal.commit(batch.clone()).await {
                Ok(seq) => return Ok(Some(seq)),
                Err(error) if error.is_passing() => {
                    let cause = std::error::Error::source(&error);
                    tracing::error!(%error, ?cause, "nothing more is taken in until there is room");
                }
                Err(error) => return Err(error),
            }
            if self.hold().await.is_break() {
                return Ok(None);
            }
        }
    }

    /// Lets some time pass. What doers bring waits for its turn, what people want is refused; a wish to stop ends it.
    async fn hold(&mut self) -> ControlFlow<()> {
        let over = Instant::now() + PAUSE;
        loop {
            let input = tokio::select! {
                () = sleep_until(over) => return ControlFlow::Continue(()),
                input = self.inputs.recv() => input,
            };
            match input {
                None | Some(Input::Stop) => return ControlFlow::Break(()),
                // The first with this key may be just what is not saved yet: its reply is not to be told before.
                Some(input @ Input::Intent { .. }) if self.was_taken(&input) => self.waiting.push_back(input),
                Some(Input::Intent { key: _, person, intent, chat, ended, answer }) => {
                    let reply = match *intent {
                        Intent::Look(_) => self.command(&person, *intent, chat, ended.as_deref()).1,
                        _ => full(&self.doers.data_dir),
                    };
                    // Nobody waiting any more is no reason to fail.
                    let _ = answer.send(reply);
                }
                Some(input @ (Input::Event(..) | Input::Policy(..))) => self.waiting.push_back(input),
            }
        }
    }

    fn was_taken(&self, input: &Input) -> bool {
        matches!(input, Input::Intent { key: Some(key), .. } if self.once.reply(key).is_some())
    }

    /// The refusal of something new, where the disk is almost full.
    pub(super) fn no_room(&self) -> Option<Reply> {
        (free(&self.doers.data_dir) < RESERVE).then(|| full(&self.doers.data_dir))
    }
}

impl Doers {
    /// Waits until there is as much room as is kept free, or until the run that would begin is called off.
    pub(super) async fn wait_for_room(
        &self,
        room: Room,
        (key, owner, starts): (&EffectKey, Owner, Option<RunKey>),
        handle: &Handle,
    ) {
        let held = starts.map(|run| self.runs.hold(run));
        let mut said = false;
        loop {
            let needed = needed(room, self.free_floor_bytes);
            let free = free(&self.data_dir);
            if free >= needed || held.as_ref().is_some_and(|held| held.called_off().is_some()) {
                return;
            }
            if !said {
                let (free_mib, needed_mib) = (free >> 20, needed >> 20);
                tracing::error!(%key, free_mib, needed_mib, "waiting for room on the disk; make some");
                let body = Body::Meanwhile(Meanwhile::Delayed {
                    reason: format!("the disk is almost full: {free_mib} MiB are free, and {needed_mib} MiB must be"),
                    remedy: "make room, or lower `free-space-floor` in [host] and start the host again".into(),
                });
                // A host that is stopping tells nobody any more.
                let _ = handle.post(event(owner, body)).await;
                said = true;
            }
            sleep(PAUSE).await;
        }
    }
}

/// Bytes that must be free.
fn needed(room: Room, floor: u64) -> u64 {
    match room {
        Room::Workspace => floor.max(RESERVE),
        Room::Objects => RESERVE,
        Room::Nothing => 0,
    }
}

/// Bytes free where the data lies; what cannot be measured does not hinder.
pub fn free(data: &Path) -> u64 {
    rustix::fs::statvfs(data).map_or(u64::MAX, |found| found.f_bavail.saturating_mul(found.f_frsize))
}

fn full(data: &Path) -> Reply {
    let (free, place) = (free(data) >> 20, data.display());
    Reply::Refused {
        reason: format!(
            "the disk is full: {free} MiB are free at {place}, and {} MiB must be; nothing was taken in",
            RESERVE >> 20
        ),
        remedy: "make room (`docker system df`, old files), then ask again; what runs goes on by itself".into(),
        stranger: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::{
        effect::{ForgetOrder, Order, PrepareOrder, StopOrder},
        executor::EndCause,
    };

    #[test]
    fn what_frees_space_or_ends_a_run_waits_for_no_room() {
        let run = "t1-s0-a1-agent".parse().expect("a run's key");
        let stop = StopOrder { run, cause: EndCause::Cancelled };
        for order in [Order::Forget(ForgetOrder { run }), Order::Stop(stop)] {
            assert_eq!(needed(order.room(), u64::MAX), 0);
        }
        let prepare = Order::Prepare(PrepareOrder {
            repository: "a/b".into(),
            needs_check: true,
            executors: Vec::new(),
            commits: Vec::new(),
        });
        assert_eq!((needed(prepare.room(), 0), needed(prepare.room(), 1 << 30)), (RESERVE, 1 << 30));
    }

    #[test]
    fn what_cannot_be_measured_hinders_nobody() {
        assert!(free(Path::new("/")) > 0);
        assert_eq!(free(Path::new("/nowhere/at/all")), u64::MAX);
    }
}
