//! `getUpdates`: one poll at a time waits until there is an update or its time is up; a second one ends the first.
//!
//! Source: the published source of the Bot API server, with its habits: a repeated offset waits at least three seconds, refusals for
//! conflicts come at most every three seconds.

use super::{Shared, params::Params, refusal::Refusal};
use serde_json::Value;
use std::time::Duration;
use tokio::time::{Instant, sleep, sleep_until};

/// Longest wait, in seconds.
const LONGEST_S: i64 = 50;
const PAUSE_S: i64 = 3;
const PAUSE: Duration = Duration::from_secs(PAUSE_S as u64);

const OTHER_POLL: &str = "terminated by other getUpdates request; make sure that only one bot instance is running";
const HOOK_SET: &str = "terminated by setWebhook request";
const HOOKED: &str =
    "can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first";

#[derive(Debug, Default)]
pub(super) struct Polls {
    /// The poll that may wait; each new one takes the next number.
    turn: u64,
    /// Offset and beginning of the last poll, on the stand-in's clock.
    last: Option<(i64, Duration)>,
    next_conflict: Duration,
}

/// One look into the queue.
enum Look {
    Answer(Result<Value, Refusal>),
    /// After this long on the outside.
    Conflict(Refusal, Duration),
    Wait,
}

pub(super) async fn get_updates(shared: &Shared, params: &Params) -> Result<Value, Refusal> {
    let mut changed = shared.changes.subscribe();
    let limit = params.integer("limit").unwrap_or(100).clamp(1, 100).unsigned_abs() as usize;
    let offset = params.integer("offset").unwrap_or(0);
    let mut wait_s = params.integer("timeout").unwrap_or(0).clamp(0, LONGEST_S);
    let begun = Instant::now();
    let mut turn = None;
    loop {
        changed.borrow_and_update();
        let look = {
            let mut state = shared.state();
            let (now, unix) = (state.clock.now(), state.clock.unix());
            if state.revoked {
                Look::Answer(Err(Refusal::unauthorized()))
            } else if state.webhook.is_some() {
                let what = if turn.is_some() { HOOK_SET } else { HOOKED };
                state.conflict(what)
            } else if turn.is_some_and(|turn| turn != state.polls.turn) {
                state.conflict(OTHER_POLL)
            } else {
                if turn.is_none() {
                    let kinds = params.json("allowed_updates", "allowed updates").unwrap_or(None);
                    state.updates.allow(kinds.as_ref());
                    let last = state.polls.last.replace((offset, now));
                    if last.is_some_and(|(same, at)| same == offset && now < at + PAUSE) {
                        wait_s = wait_s.max(PAUSE_S);
                    }
                }
                let updates = state.updates.get(offset, limit, unix);
                let wait = Duration::from_secs(wait_s.unsigned_abs());
                let over = begun.elapsed() >= state.clock.outside(wait);
                if !updates.is_empty() || over {
                    Look::Answer(Ok(Value::Array(updates)))
                } else {
                    if turn.is_none() {
                        state.polls.turn += 1;
                        turn = Some(state.polls.turn);
                        // Ends the poll before.
                        shared.changes.send_modify(|count| *count += 1);
                        changed.borrow_and_update();
                    }
                    Look::Wait
                }
            }
        };
        match look {
            Look::Answer(answer) => return answer,
            Look::Conflict(refusal, pause) => {
                sleep(pause).await;
                return Err(refusal);
            }
            Look::Wait => {
                let wait = shared.state().clock.outside(Duration::from_secs(wait_s.unsigned_abs()));
                tokio::select! {
                    _ = changed.changed() => {}
                    () = sleep_until(begun + wait) => {}
                }
            }
        }
    }
}

impl super::state::State {
    fn conflict(&mut self, what: &str) -> Look {
        let now = self.clock.now();
        let refusal = Refusal::conflict(what);
        if now >= self.polls.next_conflict {
            self.polls.next_conflict = now + PAUSE;
            return Look::Conflict(refusal, Duration::ZERO);
        }
        Look::Conflict(refusal, self.clock.outside(PAUSE))
    }
}
