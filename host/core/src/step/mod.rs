//! The one place where things change: `step(state, event) -> (state, effects)`. No I/O, no clock: time comes in with events.
//!
//! A task goes `prepare → baseline → (brief → run → collect → accept → check)* → judge → deliver`. Each arrow is an effect that is
//! owed until an event settles it. An event that settles something else than what is owed now comes from an older attempt and
//! changes nothing but the spending.

mod asking;
mod checking;
mod daily;
mod deciding;
mod ending;
mod running;
mod stage;

pub use checking::judgement;

use crate::{
    budget::Spent,
    chat::Registration,
    daily::{Day, Shut},
    effect::{Effect, EffectKey, Order},
    event::{Body, Event},
    executor::EndCause,
    id::{Digest, RunKey, TaskId},
    policy::Policy,
    task::{Doing, Ending, Phase, Position, Running, Task},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// All that lives: tasks that have not ended, whether new ones may start, and what the day cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub tasks: BTreeMap<TaskId, Task>,
    pub paused: bool,
    /// By `transport:chat`.
    pub chats: BTreeMap<String, Registration>,
    pub day: Day,
}

impl State {
    /// An event meets a task, if there is one of that number.
    fn turn<'a>(
        &'a mut self,
        id: TaskId,
        event: &'a Event,
        policies: &'a Policies,
        effects: &'a mut Vec<Effect>,
    ) -> Option<Turn<'a>> {
        let task = self.tasks.get_mut(&id)?;
        let current = policies.current();
        let shut = self.day.shut(&task.spec.by, current, event.at_ms);
        Some(Turn { policy: policies.of(task), task, event, current, shut, effects })
    }

    /// Repository of tasks that name none in a chat; a topic of a group has that of its group, unless it has its own.
    pub fn repository_of(&self, chat: &str) -> Option<&String> {
        let group = || self.chats.get(chat.rsplit_once('/')?.0);
        self.chats.get(chat).or_else(group)?.repository.as_ref()
    }

    /// A chat goes on under another name, with its topics.
    fn move_chat(&mut self, from: &str, to: &str) {
        let renamed = |chat: &str| {
            let rest = chat.strip_prefix(from).filter(|rest| rest.is_empty() || rest.starts_with('/'))?;
            Some(format!("{to}{rest}"))
        };
        let old: Vec<String> = self.chats.keys().filter(|chat| renamed(chat).is_some()).cloned().collect();
        for chat in old {
            if let (Some(new), Some(registration)) = (renamed(&chat), self.chats.remove(&chat)) {
                self.chats.entry(new).or_insert(registration);
            }
        }
        for task in self.tasks.values_mut() {
            if let Some(new) = task.spec.chat.as_deref().and_then(renamed) {
                task.spec.chat = Some(new);
            }
        }
    }
}

/// Policies by digest: the one in force, and those that tasks still name.
#[derive(Clone, Debug)]
pub struct Policies {
    current: Arc<Policy>,
    all: BTreeMap<Digest, Arc<Policy>>,
}

impl Policies {
    pub fn new(current: Arc<Policy>) -> Self {
        let all = BTreeMap::from([(current.digest, current.clone())]);
        Policies { current, all }
    }

    /// Puts another policy in force; tasks keep the one they name.
    pub fn load(&mut self, policy: Arc<Policy>) {
        self.all.insert(policy.digest, policy.clone());
        self.current = policy;
    }

    /// Lets go of all but the one in force and these.
    pub fn keep_only(&mut self, named: &BTreeSet<Digest>) {
        self.all.retain(|digest, _| *digest == self.current.digest || named.contains(digest));
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.all.len()
    }

    /// Adds a policy that only older tasks name.
    pub fn remember(&mut self, policy: Arc<Policy>) {
        self.all.insert(policy.digest, policy);
    }

    pub fn current(&self) -> &Arc<Policy> {
        &self.current
    }

    /// The policy a task runs under; the current one when that is no longer known.
    pub fn of(&self, task: &Task) -> &Arc<Policy> {
        self.all.get(&task.spec.policy).unwrap_or(&self.current)
    }
}

/// Applies one event. Unknown tasks and outdated results are ignored; nothing panics.
pub fn step(mut state: State, event: &Event, policies: &Policies) -> (State, Vec<Effect>) {
    let mut effects = Vec::new();
    match &event.body {
        Body::Paused { .. } => state.paused = true,
        Body::Resumed { .. } => state.paused = false,
        Body::TaskCreated { task } => {
            state.tasks.entry(task.id).or_insert_with(|| Task::new((**task).clone(), event.at_ms));
        }
        Body::ChatRegistered { chat, registration } => {
            state.chats.insert(chat.clone(), registration.clone());
        }
        Body::ChatForgotten { chat, .. } => {
            state.chats.remove(chat);
        }
        Body::ChatMoved { from, to } => state.move_chat(from, to),
        Body::HostStarted { .. } => effects.extend(state.tasks.values().filter_map(stop_again)),
        Body::PolicyLoaded { .. }
        | Body::PolicyRefused { .. }
        | Body::PersonDenied { .. }
        | Body::Prepared { .. }
        | Body::PrepareFailed { .. }
        | Body::Briefed { .. }
        | Body::BriefRefused { .. }
        | Body::RunStarted { .. }
        | Body::Progressed { .. }
        | Body::Denied { .. }
        | Body::Metered { .. }
        | Body::Held { .. }
        | Body::RunEnded { .. }
        | Body::Collected { .. }
        | Body::CollectFailed { .. }
        | Body::Accepted { .. }
        | Body::Checked { .. }
        | Body::Judged { .. }
        | Body::Approved { .. }
        | Body::Rejected { .. }
        | Body::CancelRequested { .. }
        | Body::Noted { .. }
        | Body::Asked { .. }
        | Body::Answered { .. }
        | Body::Unblocked { .. }
        | Body::Delivered { .. }
        | Body::DeliverFailed { .. }
        | Body::PluginFailed { .. }
        | Body::TellFailed { .. }
        | Body::Stopped { .. }
        | Body::Forgotten { .. }
        | Body::Told { .. }
        | Body::DeadlinePassed
        | Body::PersonAllowed { .. }
        | Body::UpdatePassedOver { .. }
        | Body::PluginMisbehaved { .. }
        | Body::Delayed { .. } => {}
    }
    daily::pay(&mut state, event, policies, &mut effects);
    if let Some(mut turn) = event.task.and_then(|id| state.turn(id, event, policies, &mut effects)) {
        turn.apply();
    }
    if matches!(event.body, Body::PolicyLoaded { .. }) {
        for id in state.tasks.keys().copied().collect::<Vec<_>>() {
            if let Some(mut turn) = state.turn(id, event, policies, &mut effects) {
                turn.ask_deciders();
            }
        }
    }
    daily::hold(&mut state, event, policies, &mut effects);
    schedule(&mut state, event, policies, &mut effects);
    daily::note_ended(&mut state, event);
    tell_waiting(&mut state, event, policies, &mut effects);
    (state, effects)
}

/// Earliest time at which something goes on by itself.
pub fn next_deadline(state: &State) -> Option<(u64, TaskId)> {
    let parked = |task: &Task| match &task.phase {
        Phase::Parked { until_ms, .. } => Some((*until_ms, task.id())),
        Phase::Queued { .. }
        | Phase::Running(_)
        | Phase::Blocked { .. }
        | Phase::NeedsReview { .. }
        | Phase::Approved { .. }
        | Phase::Ended { .. } => None,
    };
    state.tasks.values().filter_map(parked).min()
}

/// A run that was being stopped when the host died: whoever takes it up again must know.
fn stop_again(task: &Task) -> Option<Effect> {
    match &task.phase {
        Phase::Running(Running { stopping: Some(_), .. }) => task.live_run().map(|run| stop(task.id(), run)),
        Phase::Running(_)
        | Phase::Queued { .. }
        | Phase::Parked { .. }
        | Phase::Blocked { .. }
        | Phase::NeedsReview { .. }
        | Phase::Approved { .. }
        | Phase::Ended { .. } => None,
    }
}

fn stop(task: TaskId, run: RunKey) -> Effect {
    Effect { key: EffectKey(format!("{run}-stop")), task, order: Order::Stop { run, cause: EndCause::Cancelled } }
}

/// Starts queued tasks, oldest first, while there are slots and their repositories are free. A delivery that a person set off
/// counts as one of them but never waits: it only takes the mirror's lock. Where a daily cap is almost used up there is one slot, of the
/// host or of that human.
fn schedule(state: &mut State, event: &Event, policies: &Policies, effects: &mut Vec<Effect>) {
    let slots = daily::slots(state, event, policies);
    while !state.paused && state.tasks.values().filter(|task| task.is_running()).count() < slots {
        let busy = |repository: &str| {
            state.tasks.values().any(|other| other.is_running() && other.spec.repository == repository)
        };
        let next = state.tasks.values().find(|task| {
            matches!(task.phase, Phase::Queued { .. })
                && !busy(&task.spec.repository)
                && daily::ahead(state, task, event, policies).is_none()
        });
        let Some(mut turn) = next.map(Task::id).and_then(|id| state.turn(id, event, policies, effects)) else { break };
        turn.start();
    }
}

/// Tells whoever just sent a task on its way that it has to wait, and for what.
fn tell_waiting(state: &mut State, event: &Event, policies: &Policies, effects: &mut Vec<Effect>) {
    let sent = matches!(
        event.body,
        Body::TaskCreated { .. } | Body::Unblocked { .. } | Body::Answered { .. } | Body::DeadlinePassed
    );
    let Some(id) = event.task.filter(|_| sent) else { return };
    let slots = daily::slots(state, event, policies);
    let Some(task) = state.tasks.get(&id).filter(|task| matches!(task.phase, Phase::Queued { .. })) else { return };
    let other = state.tasks.values().find(|other| other.is_running() && other.spec.repository == task.spec.repository);
    let why = match other {
        _ if state.paused => "waits: the host is paused; `borg-host resume` lets it go on".to_owned(),
        Some(other) => format!("waits for #{}, which works on {}", other.id(), task.spec.repository),
        None if let Some(why) = daily::narrowed(state, task, event, policies) => why,
        None => format!("waits for a place: no more than {slots} task(s) run at once (`parallel` in [host])"),
    };
    if let Some(mut turn) = state.turn(id, event, policies, effects) {
        turn.tell_progress(&why);
    }
}

/// One event meeting one task.
struct Turn<'a> {
    task: &'a mut Task,
    event: &'a Event,
    /// What the task runs under.
    policy: &'a Policy,
    /// What is in force: it says who people are, and what a retried task runs under.
    current: &'a Policy,
    /// The daily cap that keeps its agents from starting, if one does.
    shut: Option<Shut>,
    effects: &'a mut Vec<Effect>,
}

impl Turn<'_> {
    fn apply(&mut self) {
        match &self.event.body {
            Body::Metered { run, .. } => self.metered(run),
            Body::Held { .. } => {
                self.task.book(&self.event.body);
            }
            Body::Denied { run, denial, path } => {
                self.denied(std::slice::from_ref(denial));
                if let Some(path) = path {
                    self.refused(run, path);
                }
            }
            Body::RunStarted { run, executor_digest, .. } => self.run_started(run, *executor_digest),
            Body::Progressed { run, line, state, turns, .. } => self.progressed(run, *line, state, *turns),
            Body::RunEnded { run, end, outcome, wall_ms, start_error } => {
                if self.task.timed.insert(*run) {
                    self.task.spend(Spent { wall_ms: *wall_ms, ..Spent::default() });
                }
                if self.settles_current() {
                    self.run_ended(*run, (end, *wall_ms), outcome, start_error.as_ref());
                }
            }
            Body::CancelRequested { .. } => self.cancel(),
            Body::Noted { by, text } => self.noted(by, None, text),
            Body::Asked { question } => {
                if self.settles_current() {
                    self.asked(question);
                }
            }
            Body::Answered { by, text } => self.answered(by, text),
            Body::Unblocked { .. } => self.unblock(),
            Body::DeadlinePassed => self.unpark(),
            Body::Delayed { reason, remedy } => self.tell_progress(&format!("waits: {reason}; {remedy}")),
            Body::Approved { by, digest, note } => self.approved(by, digest, note),
            Body::Rejected { by, digest, note } => self.rejected(by, digest, note),
            Body::Delivered { branch, commit, pushed_to, answer } => {
                if self.settles_current() {
                    self.delivered(branch, commit, pushed_to.as_deref(), answer.as_ref());
                }
            }
            Body::DeliverFailed { reason, remedy } => {
                if self.settles_current() {
                    self.deliver_failed(reason, remedy);
                }
            }
            Body::Prepared { branch, commit, check, .. } => {
                if self.settles_current() {
                    self.prepared(branch, commit, check.as_deref());
                }
            }
            Body::PrepareFailed { reason, remedy } => {
                if self.settles_current() {
                    self.block(reason, remedy);
                }
            }
            Body::Briefed { assignment, grant } => {
                if self.settles_current() {
                    self.briefed(assignment, grant);
                }
            }
            Body::BriefRefused { reason } => {
                if self.settles_current() {
                    self.end(Ending::Failed, &format!("the persona refused: {reason}"));
                }
            }
            Body::Collected { run, collected } => {
                if self.settles_current() {
                    self.collected(*run, collected);
                }
            }
            Body::CollectFailed { run, reason } => {
                if self.settles_current() {
                    self.collect_failed(*run, reason);
                }
            }
            Body::Accepted { acceptance } => {
                if self.settles_current() {
                    self.accepted(acceptance);
                }
            }
            Body::Checked { run, check } => {
                if self.settles_current() {
                    self.checked(*run, check);
                }
            }
            Body::Judged { findings, failures, incomplete, .. } => {
                if self.settles_current() {
                    self.judged(findings, failures, incomplete);
                }
            }
            Body::PluginFailed { plugin, reason } => {
                if self.settles_current() {
                    self.plugin_failed(plugin, reason);
                }
            }
            Body::HostStarted { .. }
            | Body::PolicyLoaded { .. }
            | Body::PolicyRefused { .. }
            | Body::Paused { .. }
            | Body::Resumed { .. }
            | Body::PersonDenied { .. }
            | Body::TaskCreated { .. }
            | Body::TellFailed { .. }
            | Body::Stopped { .. }
            | Body::Forgotten { .. }
            | Body::ChatRegistered { .. }
            | Body::ChatForgotten { .. }
            | Body::ChatMoved { .. }
            | Body::PersonAllowed { .. }
            | Body::UpdatePassedOver { .. }
            | Body::PluginMisbehaved { .. }
            | Body::Told { .. } => {}
        }
    }

    /// True when the event settles the effect this task owes right now, and answers what was asked.
    fn settles_current(&self) -> bool {
        let (at, kind, fits) = match &self.task.phase {
            Phase::Running(Running { at, doing, .. }) => (at, kind_of(doing), is_answer(doing, &self.event.body)),
            Phase::Approved { at, .. } => (at, "deliver", is_delivery(&self.event.body)),
            Phase::Queued { .. }
            | Phase::Parked { .. }
            | Phase::Blocked { .. }
            | Phase::NeedsReview { .. }
            | Phase::Ended { .. } => return false,
        };
        fits && self.event.settles.as_ref() == Some(&self.key_for(at, kind))
    }

    fn key_for(&self, at: &Position, kind: &str) -> EffectKey {
        EffectKey::new(self.task.id(), at.stage, at.attempt, kind)
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
        self.effects.push(Effect { key: EffectKey(key), task: self.task.id(), order });
    }

    fn running(&self) -> Option<&Running> {
        match &self.task.phase {
            Phase::Running(running) => Some(running),
            Phase::Queued { .. }
            | Phase::Parked { .. }
            | Phase::Blocked { .. }
            | Phase::NeedsReview { .. }
            | Phase::Approved { .. }
            | Phase::Ended { .. } => None,
        }
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
fn is_answer(doing: &Doing, body: &Body) -> bool {
    match doing {
        Doing::Preparing => matches!(body, Body::Prepared { .. } | Body::PrepareFailed { .. }),
        Doing::Briefing => {
            matches!(body, Body::Briefed { .. } | Body::BriefRefused { .. } | Body::PluginFailed { .. })
        }
        Doing::Agent(_) => matches!(body, Body::RunEnded { .. } | Body::PluginFailed { .. }),
        Doing::Collecting { .. } => matches!(body, Body::Collected { .. } | Body::CollectFailed { .. }),
        Doing::Accepting { .. } => {
            matches!(body, Body::Accepted { .. } | Body::Asked { .. } | Body::PluginFailed { .. })
        }
        Doing::Baseline { .. } | Doing::Checking { .. } => matches!(body, Body::Checked { .. }),
        Doing::Judging => matches!(body, Body::Judged { .. }),
        Doing::Delivering { .. } => is_delivery(body),
    }
}

fn is_delivery(body: &Body) -> bool {
    matches!(body, Body::Delivered { .. } | Body::DeliverFailed { .. })
}

#[cfg(test)]
mod tests;
