//! The daily caps at work: from 80 % of one a person is told, from 90 % on one task runs at a time, at 100 % nothing starts, and agents at
//! work are stopped, their work kept, their tasks parked until the day ends or the cap is raised.
//!
//! What costs nothing goes on: tests, rules, deliveries. A task stops where its next agent would begin.

use super::{super::Round, Turn, stop};
use crate::{
    daily::{Level, Purse, Shut},
    event::{Body, Meanwhile, StartFailure},
    executor::{EndCause, Outcome, OutcomeStatus, RunEnd},
    id::{RunKey, TaskId},
    people::PersonId,
    record::StageRecord,
    task::{AfterCollect, Doing, Ending, Phase, Position, Running, Stopping, Task},
};

/// True for what a cap that is used up or raised moves.
fn is_held_or_may_be(task: &Task) -> bool {
    match &task.phase {
        Phase::Queued { .. } | Phase::Running(Running { doing: Doing::Agent(_), stopping: None, .. }) => true,
        Phase::Parked { daily, .. } => *daily,
        Phase::Running(_)
        | Phase::Blocked { .. }
        | Phase::NeedsReview { .. }
        | Phase::Approved { .. }
        | Phase::Ended { .. } => false,
    }
}

impl Round<'_> {
    /// Books a request for the human who asked for its task, and tells them once a day when most of their money is spent.
    pub(super) fn pay(&mut self) {
        let now = self.event.at_ms;
        let (Body::Meanwhile(Meanwhile::Metered { spent, .. }), Some(id)) = (&self.event.body, self.event.owner.task())
        else {
            return;
        };
        let task = self.state.tasks.get(&id);
        self.state.day.pay(id, task.map(|task| &task.spec.by), spent.paid(), now);
        self.changed.day = true;
        let Some(by) = task.filter(|task| task.spec.chat.is_some()).map(|task| task.spec.by.clone()) else { return };
        let policy = self.policies.current();
        let Some(purse) = self.state.day.person(&by, policy, now).filter(|purse| purse.level() >= Level::Told) else {
            return;
        };
        if self.state.day.warn(policy.human(&by))
            && let Some(mut turn) = self.turn(id)
        {
            turn.tell_purse(&purse);
        }
    }

    /// Who asked for a task is still to be known when the rest of its cost comes.
    pub(super) fn note_ended(&mut self) {
        if let Some(task) = self.event.owner.task().and_then(|id| self.state.tasks.get(&id))
            && task.status().is_terminal()
            && task.changed_ms == self.event.at_ms
        {
            self.state.day.task_ended(task.id(), &task.spec.by, self.event.at_ms);
            self.changed.day = true;
        }
    }

    /// Holds back what a cap that is used up holds back, and lets go of what none holds any more.
    pub(super) fn hold_for_day(&mut self) {
        let ids: Vec<TaskId> = self.state.tasks.values().filter(|task| is_held_or_may_be(task)).map(Task::id).collect();
        for id in ids {
            if let Some(mut turn) = self.turn(id) {
                turn.hold_for_day();
            }
        }
    }

    /// How many tasks may run at once now.
    pub(super) fn slots(&self) -> usize {
        let policy = self.policies.current();
        let purse = self.state.day.host(policy, self.event.at_ms);
        if purse.is_some_and(|purse| purse.level() >= Level::Narrow) { 1 } else { policy.host.parallel as usize }
    }

    /// The task of the same human that this one waits for, where most of their money is spent.
    pub(super) fn ahead(&self, task: &Task) -> Option<&Task> {
        let policy = self.policies.current();
        let purse = self.state.day.person(&task.spec.by, policy, self.event.at_ms);
        purse.filter(|purse| purse.level() >= Level::Narrow)?;
        let is_theirs = |by: &PersonId| policy.human(by) == policy.human(&task.spec.by);
        let mut others = self.state.tasks.values().filter(|other| other.id() != task.id());
        others.find(|other| other.is_running() && is_theirs(&other.spec.by))
    }

    /// Why a task waits although there would be a place for it, where a cap that is almost used up is the reason.
    pub(super) fn narrowed(&self, task: &Task) -> Option<String> {
        let (policy, now) = (self.policies.current(), self.event.at_ms);
        let why = |purse: Purse, what: &str, key: &str| {
            format!("waits: {purse} of what {what} are spent, so one task runs at a time (`daily` in {key})")
        };
        if let Some(other) = self.ahead(task) {
            let purse = self.state.day.person(&task.spec.by, policy, now)?;
            let why = why(purse, "you may spend in a day", "[people]");
            return Some(format!("{why}; #{} is at work", other.id()));
        }
        let purse = self.state.day.host(policy, now).filter(|purse| purse.level() >= Level::Narrow)?;
        Some(why(purse, "this host may spend in a day", "[host]"))
    }
}

impl Turn<'_> {
    /// Moves the task where the caps want it.
    fn hold_for_day(&mut self) {
        match (self.task.phase.clone(), self.shut) {
            (Phase::Queued { at }, Some(shut)) => self.park_for_day(at, &shut),
            (Phase::Parked { at, daily: true, .. }, None) => self.enter(Phase::Queued { at }),
            (Phase::Running(Running { at, doing: Doing::Agent(agent), stopping: None }), Some(_)) => {
                self.effects.push(stop(self.task.id(), agent.run));
                let stopping = Some(Stopping::ForTheDay);
                self.enter(Phase::Running(Running { at, doing: Doing::Agent(agent), stopping }));
            }
            (
                Phase::Queued { .. }
                | Phase::Parked { .. }
                | Phase::Running(_)
                | Phase::Blocked { .. }
                | Phase::NeedsReview { .. }
                | Phase::Approved { .. }
                | Phase::Ended { .. },
                _,
            ) => {}
        }
    }

    pub(super) fn park_for_day(&mut self, at: Position, shut: &Shut) {
        let reason = shut.to_string();
        self.enter(Phase::Parked { at, until_ms: shut.until_ms, reason: reason.clone(), daily: true });
        self.tell_parked(&reason, shut.until_ms);
    }

    /// Waits for the day to end, or goes on at once where the cap was raised meanwhile.
    fn wait_for_day(&mut self, at: Position) {
        match self.shut {
            Some(shut) => self.park_for_day(at, &shut),
            None => self.enter(Phase::Queued { at }),
        }
    }

    /// A run has ended that was stopped for the day. It used up no attempt, whatever became of it.
    pub(super) fn stopped_for_day(
        &mut self,
        (run, at): (RunKey, Position),
        end: &RunEnd,
        outcome: &Outcome,
        start_error: Option<&StartFailure>,
    ) {
        if start_error.is_some() || end.cause == EndCause::Lost {
            self.forget(run);
            self.wait_for_day(at);
        } else if end.cause == EndCause::Exited && outcome.status == OutcomeStatus::Completed {
            // It was done before it could be stopped.
            self.judge_outcome(run, at, outcome);
        } else if let Some(cap) = self.cap() {
            let reason = format!("the budget for {cap} is used up");
            self.collect(at, AfterCollect::End { ending: Ending::Capped, reason });
        } else {
            self.collect(at, AfterCollect::Wait);
        }
    }

    /// What a run that was stopped for the day left is where the next one begins.
    pub(super) fn keep_for_day(&mut self, at: Position, record: StageRecord) {
        self.tried(&record);
        let has_work = self.task.head.as_ref() != Some(&record.commit) || !record.artefacts.is_empty();
        let kept = (has_work || !record.incomplete.is_empty()).then(|| Box::new(record));
        self.wait_for_day(Position { kept, ..at });
    }

    /// Takes what an earlier run of this try left out of the way: the work of the one after it has it, too.
    pub(super) fn take_kept(&mut self) -> Option<Box<StageRecord>> {
        if let Phase::Running(running) = &mut self.task.phase { running.at.kept.take() } else { None }
    }
}
