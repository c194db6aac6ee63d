//! How tasks stop: for a person, or for good. And what people are told on the way.

use super::Turn;
use crate::{
    approval::decider::deciders,
    chat::Notice,
    daily::Purse,
    effect::{Audience, Order, TellOrder},
    id::Digest,
    intent::Intent,
    people::PersonId,
    remedy::Advice,
    task::{BlockedOn, Doing, Ending, Phase, Position, Resume, Running, Stopping},
    words,
};

impl Turn<'_> {
    pub(super) fn block(&mut self, reason: &str, remedy: impl Into<Advice>) {
        let Some(at) = self.task.phase.position().cloned() else { return };
        self.block_at(at, reason, remedy);
    }

    pub(super) fn block_at(&mut self, at: Position, reason: &str, remedy: impl Into<Advice>) {
        self.task.transients = 0;
        self.enter(Phase::Blocked { at, on: BlockedOn::Repair, reason: reason.to_owned(), remedy: remedy.into() });
        self.tell_blocked();
    }

    pub(super) fn end(&mut self, ending: Ending, reason: &str) {
        // Work of a run that was stopped for the day, and that none went on with.
        if let Some(record) = self.task.phase.position().and_then(|at| at.kept.clone()) {
            self.keep(*record);
        }
        self.enter(Phase::Ended { ending, reason: reason.to_owned() });
        let notice = words::ended(&self.task);
        self.tell(notice);
    }

    /// Ends the task for a person. What is at work in a sandbox is stopped first, and its work so far kept.
    pub(super) fn cancel(&mut self, by: &PersonId) {
        if self.task.phase.waiting_review().is_some() {
            self.tell_closed("cancelled", by);
        }
        match self.task.phase.clone() {
            Phase::Queued { at } | Phase::Parked { at, .. } | Phase::Blocked { at, .. } => {
                match at.resume {
                    Some(Resume::Accept(record) | Resume::Check(record)) => self.keep(*record),
                    Some(Resume::Collect { agent, .. }) => self.forget(agent.run),
                    None => {}
                }
                self.end(Ending::Cancelled, "cancelled");
            }
            Phase::NeedsReview { .. } => self.end(Ending::Cancelled, "cancelled"),
            Phase::Running(Running { at, doing, stopping }) => match doing {
                Doing::Agent(_) | Doing::Collecting { .. } | Doing::Baseline { .. } | Doing::Checking { .. } => {
                    if stopping.is_none()
                        && let Some(run) = self.task.live_run()
                    {
                        self.effects.push(super::stop(self.task.id(), run));
                    }
                    self.enter(Phase::Running(Running {
                        at,
                        doing,
                        stopping: Some(Stopping::Ends(Ending::Cancelled)),
                    }));
                }
                Doing::Accepting { record } => {
                    self.keep(*record);
                    self.end(Ending::Cancelled, "cancelled");
                }
                Doing::Preparing | Doing::Briefing | Doing::Judging => self.end(Ending::Cancelled, "cancelled"),
                // Too late: what is being delivered is complete and approved.
                Doing::Delivering { .. } => {}
            },
            Phase::Approved { .. } | Phase::Ended { .. } => {}
        }
    }

    /// A plugin failed a call that the task cannot do without.
    pub(super) fn plugin_failed(&mut self, plugin: &str, reason: &str) {
        let mend = format!("`borg-host doctor` shows the plugins; mend {plugin}, then ");
        let remedy = Advice::from(mend).act(self.retry());
        let reason = format!("plugin {plugin} failed: {reason}");
        if let Some(run) = self.task.live_run() {
            self.forget(run);
        }
        match self.running().cloned() {
            Some(Running { at, doing: Doing::Accepting { record }, .. }) => {
                self.block_at(Position { resume: Some(Resume::Accept(record)), ..at }, &reason, remedy);
            }
            Some(running) => self.give_up(running, &reason, remedy),
            None => {}
        }
    }

    /// Something broke in the middle of a run: an end that was decided already stands, else a person looks.
    pub(super) fn give_up(&mut self, running: Running, reason: &str, remedy: impl Into<Advice>) {
        match (running.stopping.and_then(Stopping::ending), running.doing) {
            (Some(ending), _) => self.end(ending, &format!("cancelled; {reason}")),
            (
                None,
                Doing::Preparing
                | Doing::Baseline { .. }
                | Doing::Briefing
                | Doing::Agent(_)
                | Doing::Collecting { .. }
                | Doing::Accepting { .. }
                | Doing::Checking { .. }
                | Doing::Judging
                | Doing::Delivering { .. },
            ) => self.block(reason, remedy),
        }
    }

    /// What a person says who has mended what the task waits for.
    pub(super) fn retry(&self) -> Intent {
        Intent::Retry { task: self.task.id() }
    }

    pub(super) fn tell_progress(&mut self, doing: &str) {
        let notice = words::progress(&self.task, doing);
        self.tell(notice);
    }

    pub(super) fn tell_parked(&mut self, reason: &str, until_ms: u64) {
        let notice = words::parked(&self.task, reason, until_ms.saturating_sub(self.event.at_ms));
        self.tell(notice);
    }

    /// Most of what the person who asked may spend in a day is spent.
    pub(super) fn tell_purse(&mut self, purse: &Purse) {
        let notice = words::purse(&self.task, purse);
        self.tell(notice);
    }

    pub(super) fn tell_blocked(&mut self) {
        let notice = words::blocked(&self.task);
        self.tell(notice);
    }

    pub(super) fn tell_question(&mut self) {
        let notice = words::question(&self.task);
        self.tell(notice);
    }

    pub(super) fn tell_review(&mut self) {
        let Some(review) = self.task.phase.waiting_review() else { return };
        let change = review.digest;
        let people = deciders(&self.task, review, self.current);
        self.task.deciders.clone_from(&people);
        let notice = words::review(&self.task);
        self.tell_to(notice, Audience::Deciders { change, people });
    }

    /// The same for people who may decide on it only now.
    pub(super) fn tell_joined(&mut self, change: Digest, people: Vec<PersonId>) {
        let notice = words::review(&self.task).map(|notice| Notice { chat: String::new(), ..notice });
        self.tell_to(notice, Audience::Joined { change, people });
    }

    /// The change that waits was decided on: nobody need look at it any more.
    pub(super) fn tell_closed(&mut self, what: &str, by: &PersonId) {
        let Some(change) = self.task.phase.waiting_review().map(|review| review.digest) else { return };
        let notice = words::closed(&self.task, what, by);
        self.tell_to(notice, Audience::Copies { change });
    }

    fn tell(&mut self, notice: Option<Notice>) {
        self.tell_to(notice, Audience::Chat);
    }

    fn tell_to(&mut self, notice: Option<Notice>, audience: Audience) {
        if let Some(notice) = notice {
            self.task.told += 1;
            let order = Order::Tell(TellOrder { notice: Box::new(notice), audience });
            self.also(format!("t{}-tell-{}", self.task.id(), self.task.told), order);
        }
    }
}
