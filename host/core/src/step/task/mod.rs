//! A task goes `prepare → baseline → (brief → run → collect → accept → check)* → judge → deliver`. Each arrow is an effect that is
//! owed until an event settles it. An event that settles something else than what is owed now comes from an older attempt and
//! changes nothing but the spending.

mod asking;
mod checking;
mod daily;
mod deciding;
mod ending;
mod running;
mod schedule;
mod stage;

pub use checking::judgement;

use super::Round;
use crate::{
    budget::Spent,
    daily::Shut,
    effect::{Effect, Order, StopOrder},
    event::{Answer, Body, Event, Meanwhile, Said},
    executor::EndCause,
    id::{EffectKey, RunKey, TaskId},
    intent,
    policy::Policy,
    task::{Doing, Ending, Phase, Position, Running, Task},
};
use std::{
    collections::BTreeSet,
    ops::{Deref, DerefMut},
};

impl Round<'_> {
    /// An event of a task, which may have ended.
    pub(super) fn task(&mut self, id: TaskId) {
        if let Body::Said(Said::TaskCreated { task }) = &self.event.body
            && task.id == id
            && !self.state.tasks.contains_key(&id)
        {
            self.state.tasks.insert(id, Task::new((**task).clone(), self.event.at_ms));
            self.changed.tasks.insert(id);
        }
        self.pay();
        if let Some(mut turn) = self.turn(id) {
            turn.apply();
        } else if tells_of_money(&self.event.body) {
            self.changed.late = Some(id);
        }
    }

    /// What any event may set going.
    pub(super) fn tasks_go_on(&mut self) {
        self.hold_for_day();
        self.start_queued();
        self.note_ended();
        self.tell_waiting();
    }

    /// Runs that were being stopped when the host died: whoever takes them up again must know.
    pub(super) fn stop_tasks_again(&mut self) {
        let stopping = |task: &Task| match &task.phase {
            Phase::Running(Running { stopping: Some(_), .. }) => task.live_run().map(|run| stop(task.id(), run)),
            _ => None,
        };
        self.effects.extend(self.state.tasks.values().filter_map(stopping));
    }

    /// Policy says anew who may decide on what waits.
    pub(super) fn ask_deciders(&mut self) {
        for id in self.state.tasks.keys().copied().collect::<Vec<_>>() {
            if let Some(mut turn) = self.turn(id) {
                turn.ask_deciders();
            }
        }
    }

    /// The event meets a task, if there is one of that number.
    fn turn(&mut self, id: TaskId) -> Option<Turn<'_>> {
        let task = self.state.tasks.get_mut(&id)?;
        let current = self.policies.current();
        let shut = self.state.day.shut(&task.spec.by, current, self.event.at_ms);
        Some(Turn {
            policy: self.policies.of(task),
            task: Touched { task, id, changed: &mut self.changed.tasks },
            event: self.event,
            current,
            shut,
            effects: &mut self.effects,
        })
    }
}

fn tells_of_money(body: &Body) -> bool {
    matches!(body, Body::Meanwhile(Meanwhile::Metered { .. } | Meanwhile::Held { .. }))
}

fn stop(task: TaskId, run: RunKey) -> Effect {
    Effect {
        key: EffectKey(format!("{run}-stop")),
        owner: task.into(),
        order: Order::Stop(StopOrder { run, cause: EndCause::Cancelled }),
    }
}

/// One event meeting one task.
struct Turn<'a> {
    task: Touched<'a>,
    event: &'a Event,
    /// What the task runs under.
    policy: &'a Policy,
    /// What is in force: it says who people are, and what a retried task runs under.
    current: &'a Policy,
    /// The daily cap that keeps its agents from starting, if one does.
    shut: Option<Shut>,
    effects: &'a mut Vec<Effect>,
}

/// A task, which whoever touches it to change it leaves the number of.
struct Touched<'a> {
    task: &'a mut Task,
    id: TaskId,
    changed: &'a mut BTreeSet<TaskId>,
}

impl Deref for Touched<'_> {
    type Target = Task;
    fn deref(&self) -> &Task {
        self.task
    }
}

impl DerefMut for Touched<'_> {
    fn deref_mut(&mut self) -> &mut Task {
        self.changed.insert(self.id);
        self.task
    }
}

impl Turn<'_> {
    fn apply(&mut self) {
        match &self.event.body {
            Body::Said(said) => self.hear(said),
            Body::Meanwhile(news) => self.follow(news),
            Body::Answer(answer) => {
                self.time(answer);
                if self.settles_current(answer) {
                    self.take(answer);
                }
            }
            Body::Host(_) | Body::Chat(_) => {}
        }
    }

    /// What a person said about the task.
    fn hear(&mut self, said: &Said) {
        match said {
            Said::Approved { by, digest, note } => self.approved(by, digest, note),
            Said::Rejected { by, digest, note } => self.rejected(by, digest, note),
            Said::CancelRequested { by } => self.cancel(by),
            Said::Noted { by, text } => self.noted(by, None, text),
            Said::Answered { by, text } => self.answered(by, text),
            Said::Unblocked { .. } => self.unblock(),
            Said::Paused { .. } | Said::Resumed { .. } | Said::TaskCreated { .. } | Said::PersonAllowed { .. } => {}
        }
    }

    /// What is heard of a run under way, and of the time that passes.
    fn follow(&mut self, news: &Meanwhile) {
        match news {
            Meanwhile::RunStarted { run, executor_digest, .. } => self.run_started(run, *executor_digest),
            Meanwhile::Progressed { run, line, state, turns, .. } => self.progressed(run, *line, state, *turns),
            Meanwhile::Denied { run, denial, path } => {
                self.denied(std::slice::from_ref(denial));
                if let Some(path) = path {
                    self.refused(run, path);
                }
            }
            Meanwhile::Metered { run, .. } => self.metered(run),
            Meanwhile::Held { .. } => {
                self.task.book(&self.event.body);
            }
            Meanwhile::DeadlinePassed => self.unpark(),
            Meanwhile::Delayed { reason, remedy } => {
                self.tell_progress(&format!("waits: {reason}; {}", remedy.spell(intent::spell)))
            }
        }
    }

    /// A run takes its time, whether or not anybody waits for its end any more; but once.
    fn time(&mut self, answer: &Answer) {
        if let Answer::RunEnded { run, wall_ms, .. } = answer
            && !self.task.timed.contains(run)
        {
            self.task.timed.insert(*run);
            self.task.spend(Spent { wall_ms: *wall_ms, ..Spent::default() });
        }
    }

    /// What came of the effect that is owed now.
    fn take(&mut self, answer: &Answer) {
        match answer {
            Answer::Prepared { branch, commit, check, .. } => self.prepared(branch, commit, check.as_deref()),
            Answer::PrepareFailed { reason, remedy } => self.block(reason, remedy.clone()),
            Answer::Briefed { assignment, grant } => self.briefed(assignment, grant),
            Answer::BriefRefused { reason } => self.end(Ending::Failed, &format!("the persona refused: {reason}")),
            Answer::RunEnded { run, end, outcome, wall_ms, start_error } => {
                self.run_ended(*run, (end, *wall_ms), outcome, start_error.as_ref());
            }
            Answer::Collected { run, collected } => self.collected(*run, collected),
            Answer::CollectFailed { run, reason } => self.collect_failed(*run, reason),
            Answer::Accepted { acceptance } => self.accepted(acceptance),
            Answer::Asked { question } => self.asked(question),
            Answer::Checked { run, check } => self.checked(*run, check),
            Answer::Judged { findings, failures, incomplete } => self.judged(findings, failures, incomplete),
            Answer::Delivered { branch, commit, pushed_to, answer } => {
                self.delivered(branch, commit, pushed_to.as_deref(), answer.as_ref());
            }
            Answer::DeliverFailed { reason, remedy } => self.deliver_failed(reason, remedy),
            Answer::PluginFailed { plugin, reason } => self.plugin_failed(plugin, reason),
            // Nothing waits for these.
            Answer::Told { .. } | Answer::TellFailed { .. } | Answer::Stopped { .. } | Answer::Forgotten { .. } => {}
        }
    }

    /// True when the event settles the effect this task owes right now, and answers what was asked.
    fn settles_current(&self, answer: &Answer) -> bool {
        let (at, kind, fits) = match &self.task.phase {
            Phase::Running(Running { at, doing, .. }) => (at, kind_of(doing), is_answer(doing, answer)),
            Phase::Approved { at, .. } => (at, "deliver", is_delivery(answer)),
            Phase::Queued { .. }
            | Phase::Parked { .. }
            | Phase::Blocked { .. }
            | Phase::NeedsReview { .. }
            | Phase::Ended { .. } => return false,
        };
        fits && self.event.settles.as_ref() == Some(&self.key_for(at, kind))
    }

    fn key_for(&self, at: &Position, kind: &str) -> EffectKey {
        EffectKey::new(self.task.id().into(), at.stage, at.attempt, kind)
    }

    /// The one place where a phase changes.
    fn enter(&mut self, phase: Phase) {
        let (from, to) = (self.task.status(), phase.status());
        debug_assert!(from == to || from.next().contains(&to), "no transition leads from {from} to {to}");
        self.task.changed_ms = self.event.at_ms;
        self.task.phase = phase;
    }

    /// Sets what the task does now and owes the effect for it.
    fn owe(&mut self, at: Position, doing: Doing, order: Order) {
        let key = self.key_for(&at, kind_of(&doing));
        self.also(key.0, order);
        self.enter(Phase::Running(Running { at, doing, stopping: None }));
    }

    /// Owes an effect that nothing waits for.
    fn also(&mut self, key: String, order: Order) {
        self.effects.push(Effect { key: EffectKey(key), owner: self.task.id().into(), order });
    }

    fn running(&self) -> Option<&Running> {
        if let Phase::Running(running) = &self.task.phase { Some(running) } else { None }
    }
}

/// The word in the key of the effect that `doing` waits for.
fn kind_of(doing: &Doing) -> &'static str {
    match doing {
        Doing::Preparing => "prepare",
        Doing::Baseline { first: None } => "baseline",
        Doing::Baseline { first: Some(_) } => "rebaseline",
        Doing::Briefing => "brief",
        Doing::Agent(_) => "agent",
        Doing::Collecting { .. } => "collect",
        Doing::Accepting { .. } => "accept",
        Doing::Checking { first: None, .. } => "check",
        Doing::Checking { first: Some(_), .. } => "recheck",
        Doing::Judging => "judge",
        Doing::Delivering { .. } => "deliver",
    }
}

/// True for what may come back where this is done.
fn is_answer(doing: &Doing, answer: &Answer) -> bool {
    match doing {
        Doing::Preparing => matches!(answer, Answer::Prepared { .. } | Answer::PrepareFailed { .. }),
        Doing::Briefing => {
            matches!(answer, Answer::Briefed { .. } | Answer::BriefRefused { .. } | Answer::PluginFailed { .. })
        }
        Doing::Agent(_) => matches!(answer, Answer::RunEnded { .. } | Answer::PluginFailed { .. }),
        Doing::Collecting { .. } => matches!(answer, Answer::Collected { .. } | Answer::CollectFailed { .. }),
        Doing::Accepting { .. } => {
            matches!(answer, Answer::Accepted { .. } | Answer::Asked { .. } | Answer::PluginFailed { .. })
        }
        Doing::Baseline { .. } | Doing::Checking { .. } => matches!(answer, Answer::Checked { .. }),
        Doing::Judging => matches!(answer, Answer::Judged { .. }),
        Doing::Delivering { .. } => is_delivery(answer),
    }
}

fn is_delivery(answer: &Answer) -> bool {
    matches!(answer, Answer::Delivered { .. } | Answer::DeliverFailed { .. })
}
