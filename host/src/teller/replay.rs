//! Follows a task by its events, the way the engine did. What a test run meant and why a task stopped are not events: they follow from
//! them, and from the policies the task ran under.

use crate::neutral;
use borg_core::{
    check::Judgement,
    event::{Body, Event},
    facts::CheckOutcome,
    step::{self, Policies, State},
    task::{Phase, Status, Task},
    words,
};

/// A task as it was after each of its events.
#[derive(Clone, Debug)]
pub struct Replay {
    state: State,
    policies: Policies,
}

/// What an event meant, beside what it says itself.
#[derive(Debug, Default)]
pub struct Meaning {
    /// Of a run of the test command.
    pub check: Option<Judgement>,
    /// Where the task stands now and why, when it has stopped for a time or for good.
    pub stop: Option<(Status, String)>,
}

impl Replay {
    /// Starts before the first event; the policies are the one the task was made under, and in force the one it ran under at last.
    pub fn new(policies: Policies) -> Self {
        Replay { state: State::default(), policies }
    }

    pub fn follow(&mut self, event: &Event) -> Meaning {
        let Some(id) = event.task else { return Meaning::default() };
        let before = self.state.tasks.get(&id).map(Task::status);
        let check = match (&event.body, self.state.tasks.get(&id)) {
            // Its own words are the whole reason then.
            (Body::Checked { check, .. }, Some(task)) if check.sandbox_error.is_none() => step::judgement(task, check),
            _ => None,
        };
        // Effects are the engine's; here they have been performed long ago.
        let (state, _) = step::step(std::mem::take(&mut self.state), event, &self.policies);
        self.state = state;
        let stop = self.state.tasks.get(&id).filter(|task| Some(task.status()) != before);
        Meaning { check, stop: stop.and_then(|task| standstill(task, event.at_ms)) }
    }
}

/// What a test run meant, to stand after its figures.
pub fn judged(judgement: &Judgement) -> String {
    let (outcome, reason) = (words::outcome(judgement.outcome), neutral::line(&judgement.reason, 500));
    match (judgement.again, judgement.met, judgement.outcome) {
        // Which tests, and why, the second run tells.
        (true, _, _) => "; to be run again: it counts when it is so twice".into(),
        (false, true, _) => format!("; {outcome}, as it must be: {reason}"),
        (false, false, CheckOutcome::CheckError) => format!("; {outcome}: {reason}"),
        (false, false, CheckOutcome::Red | CheckOutcome::BuildRed | CheckOutcome::Green | CheckOutcome::NotRun) => {
            format!("; {outcome}, and that does not do: {reason}")
        }
    }
}

/// Where a task stands still, and why; none while it goes on.
fn standstill(task: &Task, now_ms: u64) -> Option<(Status, String)> {
    let id = task.id();
    let why = match &task.phase {
        Phase::Queued { .. } | Phase::Running(_) | Phase::Approved { .. } => return None,
        Phase::Parked { until_ms, reason, .. } => {
            let wait = words::duration(until_ms.saturating_sub(now_ms));
            format!("{} It goes on by itself in {wait}", sentence(reason))
        }
        Phase::Blocked { reason, remedy, .. } => format!("{} What to do: {remedy}", sentence(reason)),
        Phase::NeedsReview { review, .. } => format!(
            "{} What to do: `borg-host task diff {id}`, then `borg-host task approve {id}` or `borg-host task reject {id}`",
            sentence(&review.ruling.reasons.join("; "))
        ),
        Phase::Ended { reason, .. } => headline(reason).to_owned(),
    };
    Some((task.status(), why))
}

/// A reason without the output that follows it.
fn headline(reason: &str) -> &str {
    reason.split("\n\n").next().unwrap_or(reason).trim_end_matches('.')
}

/// The same, closed: more follows.
fn sentence(reason: &str) -> String {
    let headline = headline(reason);
    if headline.ends_with(['?', '!']) { headline.to_owned() } else { format!("{headline}.") }
}
