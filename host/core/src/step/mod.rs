//! The one place where things change: `step(state, event) -> (state, effects, what changed)`. No I/O, no clock: time comes in with events.
//!
//! An event goes to the machine of its owner. Each machine has its own folder here, its own states, and its own words for what is owed.

mod policies;
mod task;

pub use policies::Policies;
pub use task::judgement;

use crate::{
    chat::Registration,
    daily::Day,
    effect::Effect,
    event::{Body, ChatEvent, Event, HostEvent, Said},
    id::TaskId,
    owner::Owner,
    task::{Phase, Task},
};
use std::collections::{BTreeMap, BTreeSet};

/// All that lives: tasks that have not ended, whether new ones may start, and what the day cost.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    pub tasks: BTreeMap<TaskId, Task>,
    pub paused: bool,
    /// By `transport:chat`.
    pub chats: BTreeMap<String, Registration>,
    pub day: Day,
    #[cfg(test)]
    counters: BTreeMap<u8, u32>,
}

impl State {
    /// Repository of tasks that name none in a chat; a topic of a group has that of its group, unless it has its own.
    pub fn repository_of(&self, chat: &str) -> Option<&String> {
        let group = || self.chats.get(chat.rsplit_once('/')?.0);
        self.chats.get(chat).or_else(group)?.repository.as_ref()
    }

    /// A chat goes on under another name, with its topics; gives the tasks that are told there.
    fn move_chat(&mut self, from: &str, to: &str) -> Vec<TaskId> {
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
        let mut moved = Vec::new();
        for task in self.tasks.values_mut() {
            if let Some(new) = task.spec.chat.as_deref().and_then(renamed) {
                task.spec.chat = Some(new);
                moved.push(task.id());
            }
        }
        moved
    }
}

/// What an event led to.
#[derive(Clone, Debug, PartialEq)]
pub struct Stepped {
    pub state: State,
    pub effects: Vec<Effect>,
    pub changed: Changed,
}

/// Which parts of the state an event changed, so must be made durable with it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changed {
    pub tasks: BTreeSet<TaskId>,
    /// A task that has ended, so is in the state no more, and of whose money the event tells.
    pub late: Option<TaskId>,
    pub paused: bool,
    pub chats: bool,
    pub day: bool,
}

/// What the journal keeps of the state besides what is owed: of all its parts those that changed, as they are now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Durable {
    pub tasks: Vec<Task>,
    pub paused: Option<bool>,
    pub chats: Option<BTreeMap<String, Registration>>,
    pub day: Option<Day>,
}

impl Changed {
    /// Adds what another event changed.
    pub fn extend(&mut self, other: Changed) {
        let Changed { tasks, late: _, paused, chats, day } = other;
        self.tasks.extend(tasks);
        self.paused |= paused;
        self.chats |= chats;
        self.day |= day;
    }

    /// The changed parts.
    pub fn of(&self, state: &State) -> Durable {
        Durable {
            tasks: self.tasks.iter().filter_map(|id| state.tasks.get(id)).cloned().collect(),
            paused: self.paused.then_some(state.paused),
            chats: self.chats.then(|| state.chats.clone()),
            day: self.day.then(|| state.day.clone()),
        }
    }
}

/// One event meeting the whole state: what every machine reads, and where it leaves what follows.
struct Round<'a> {
    state: &'a mut State,
    event: &'a Event,
    policies: &'a Policies,
    effects: Vec<Effect>,
    changed: Changed,
}

/// Applies one event. Unknown owners and outdated results are ignored; nothing panics.
pub fn step(mut state: State, event: &Event, policies: &Policies) -> Stepped {
    let mut round = Round { state: &mut state, event, policies, effects: Vec::new(), changed: Changed::default() };
    match event.owner {
        Owner::Host => round.host(),
        Owner::Task(id) => round.task(id),
        #[cfg(test)]
        Owner::Counter(number) => tests::counter::meet(&mut round, number),
    }
    round.tasks_go_on();
    let Round { effects, changed, .. } = round;
    Stepped { state, effects, changed }
}

impl Round<'_> {
    /// What concerns the host and its chats.
    fn host(&mut self) {
        match &self.event.body {
            Body::Said(said @ (Said::Paused { .. } | Said::Resumed { .. })) => {
                self.state.paused = matches!(said, Said::Paused { .. });
                self.changed.paused = true;
            }
            Body::Chat(chat) => {
                self.changed.chats = true;
                match chat {
                    ChatEvent::ChatRegistered { chat, registration } => {
                        self.state.chats.insert(chat.clone(), registration.clone());
                    }
                    ChatEvent::ChatForgotten { chat, .. } => {
                        self.state.chats.remove(chat);
                    }
                    ChatEvent::ChatMoved { from, to } => self.changed.tasks.extend(self.state.move_chat(from, to)),
                }
            }
            Body::Host(HostEvent::HostStarted { .. }) => self.stop_tasks_again(),
            Body::Host(HostEvent::PolicyLoaded { .. }) => self.ask_deciders(),
            Body::Host(
                HostEvent::PolicyRefused { .. }
                | HostEvent::PersonDenied { .. }
                | HostEvent::UpdatePassedOver { .. }
                | HostEvent::PluginMisbehaved { .. },
            )
            | Body::Said(_)
            | Body::Answer(_)
            | Body::Meanwhile(_) => {}
        }
    }
}

/// Earliest time at which something goes on by itself.
pub fn next_deadline(state: &State) -> Option<(u64, TaskId)> {
    let parked = |task: &Task| match &task.phase {
        Phase::Parked { until_ms, .. } => Some((*until_ms, task.id())),
        _ => None,
    };
    state.tasks.values().filter_map(parked).min()
}

#[cfg(test)]
mod tests;
