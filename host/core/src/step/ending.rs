//! How tasks stop: for a person, or for good. And what people are told on the way.

use super::Turn;
use crate::{
    effect::Order,
    executor::EndCause,
    id::{RunKey, RunKind},
    task::{BlockedOn, Doing, Ending, Phase, Running},
    words,
};

impl Turn<'_> {
    pub(super) fn block(&mut self, reason: &str, remedy: &str) {
        let Some(at) = self.task.phase.position().cloned() else { return };
        self.task.phase =
            Phase::Blocked { at, on: BlockedOn::Repair, reason: reason.to_owned(), remedy: remedy.to_owned() };
        self.tell_blocked();
    }

    pub(super) fn end(&mut self, ending: Ending, reason: &str) {
        self.task.phase = Phase::Ended { ending, reason: reason.to_owned() };
        let notice = words::ended(self.task);
        self.tell(notice);
    }

    pub(super) fn cancel(&mut self) {
        match self.task.phase.clone() {
            Phase::Queued { .. } | Phase::Parked { .. } | Phase::Blocked { .. } | Phase::NeedsReview { .. } => {
                self.end(Ending::Cancelled, "cancelled");
            }
            Phase::Running(Running { at, doing, stopping }) => match doing {
                Doing::Agent(agent) => {
                    if stopping.is_none() {
                        self.also(
                            format!("{}-stop", agent.run),
                            Order::Stop { run: agent.run, cause: EndCause::Cancelled },
                        );
                    }
                    self.task.phase =
                        Phase::Running(Running { at, doing: Doing::Agent(agent), stopping: Some(Ending::Cancelled) });
                }
                Doing::Collecting { .. } => {
                    self.task.phase = Phase::Running(Running { at, doing, stopping: Some(Ending::Cancelled) });
                }
                Doing::Baseline { first } => self.cancel_check(
                    at.stage,
                    at.attempt,
                    if first.is_some() { RunKind::Recheck } else { RunKind::Baseline },
                ),
                Doing::Checking { record, first } => {
                    self.task.head = Some(record.commit.clone());
                    self.task.records.push(*record);
                    self.cancel_check(
                        at.stage,
                        at.attempt,
                        if first.is_some() { RunKind::Recheck } else { RunKind::Check },
                    );
                }
                Doing::Accepting { record, .. } => {
                    self.task.head = Some(record.commit.clone());
                    self.task.records.push(*record);
                    self.end(Ending::Cancelled, "cancelled");
                }
                Doing::Preparing | Doing::Briefing | Doing::Judging => self.end(Ending::Cancelled, "cancelled"),
                // Too late: what is being delivered is complete and approved.
                Doing::Delivering { .. } => {}
            },
            Phase::Approved { .. } | Phase::Ended { .. } => {}
        }
    }

    fn cancel_check(&mut self, stage: u32, attempt: u32, kind: RunKind) {
        self.forget(RunKey { task: self.task.id(), stage, attempt, kind });
        self.end(Ending::Cancelled, "cancelled");
    }

    pub(super) fn tell_progress(&mut self, doing: &str) {
        let notice = words::progress(self.task, doing);
        self.tell(notice);
    }

    pub(super) fn tell_parked(&mut self, reason: &str, until_ms: u64) {
        let notice = words::parked(self.task, reason, until_ms.saturating_sub(self.event.at_ms));
        self.tell(notice);
    }

    pub(super) fn tell_blocked(&mut self) {
        let notice = words::blocked(self.task);
        self.tell(notice);
    }

    pub(super) fn tell_review(&mut self) {
        let notice = words::review(self.task);
        self.tell(notice);
    }

    fn tell(&mut self, notice: Option<crate::chat::Notice>) {
        if let Some(notice) = notice {
            self.task.told += 1;
            self.also(format!("t{}-tell-{}", self.task.id(), self.task.told), Order::Tell { notice: Box::new(notice) });
        }
    }
}
