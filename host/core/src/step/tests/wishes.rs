//! People in play: whatever they ask for, whoever they are, in whatever state it meets. A wish is decided, what comes of it happens, and
//! what they were told is held against what became true.

use super::world::{PIPELINES, REPOSITORIES, World};
use crate::{
    decide::{Decision, Reply, Request, decide},
    event::{Body, Event, HostEvent},
    id::TaskId,
    intent::{self, Intent, Look, TaskRequest},
    owner::Owner,
    policy::PersonId,
    remedy::Remedy,
    step::State,
    task::{Status, Task},
};
use proptest::{option, prelude::*};

/// An owner, an admin, a member, a guest of nowhere, and two that come by chat.
pub const WHO: [&str; 6] = ["console:1", "console:2", "console:3", "console:4", "telegram:1", "console:77"];

/// What somebody asks for; what a change is called is found out when they do.
#[derive(Clone, Debug)]
pub enum Wish {
    Says(Intent),
    /// Decides on a change: that which waits, another, or whichever it is.
    Decides {
        task: u64,
        approves: bool,
        named: Option<bool>,
    },
}

pub fn wishes() -> impl Strategy<Value = Wish> {
    let task = || (1..7_u64).prop_map(TaskId);
    let text =
        || prop_oneof![9 => Just("in euros".to_owned()), 1 => Just(" ".to_owned()), 1 => Just("x".repeat(9_000))];
    prop_oneof![
        2 => (0..PIPELINES.len(), 0..REPOSITORIES.len()).prop_map(|(pipeline, repository)| {
            Wish::Says(Intent::Task(TaskRequest {
                title: "Add a discount".into(),
                repository: Some(REPOSITORIES[repository].into()),
                pipeline: Some(PIPELINES[pipeline].into()),
                ..TaskRequest::default()
            }))
        }),
        1 => Just(Wish::Says(Intent::Task(TaskRequest { title: "Nowhere".into(), ..TaskRequest::default() }))),
        1 => option::of(Just("acme/shop".to_owned()))
            .prop_map(|repository| Wish::Says(Intent::Ask { repository, question: "why?".into() })),
        6 => (1..7_u64, any::<bool>(), option::of(prop::bool::weighted(0.8)))
            .prop_map(|(task, approves, named)| Wish::Decides { task, approves, named }),
        2 => (task(), text()).prop_map(|(task, text)| Wish::Says(Intent::Note { task, text })),
        2 => (task(), text()).prop_map(|(task, text)| Wish::Says(Intent::Answer { task, text })),
        2 => (task(), text()).prop_map(|(task, text)| Wish::Says(Intent::Continue { task, text })),
        3 => task().prop_map(|task| Wish::Says(Intent::Retry { task })),
        1 => task().prop_map(|task| Wish::Says(Intent::Cancel { task })),
        1 => task().prop_map(|task| Wish::Says(Intent::Look(Look::Diff { task }))),
        1 => option::of(Just("acme/site".to_owned())).prop_map(|repository| Wish::Says(Intent::Register { repository })),
        1 => Just(Wish::Says(Intent::Unregister)),
        1 => Just(Wish::Says(Intent::Pause)),
        2 => Just(Wish::Says(Intent::Resume)),
    ]
}

impl World {
    /// Somebody asks for something, in a chat of their own.
    pub fn wish(&mut self, who: &str, wish: &Wish) {
        let intent = match wish {
            Wish::Says(intent) => intent.clone(),
            Wish::Decides { task, approves, named } => {
                let task = TaskId(*task);
                let waits = self.state.tasks.get(&task).and_then(|task| task.phase.waiting_review());
                let change = named.map(|right| match waits.filter(|_| right) {
                    Some(review) => review.digest.short(),
                    None => "0123456789ab".to_owned(),
                });
                match approves {
                    true => Intent::Approve { task, change, note: String::new() },
                    false => Intent::Reject { task, change, note: String::new() },
                }
            }
        };
        // As many tasks as other things are tried with.
        if intent.begins_task() && self.state.tasks.len() >= 5 {
            return;
        }
        let person = PersonId(who.to_owned());
        let before = self.state.clone();
        let (events, reply) = self.decided(&person, &intent, &before);
        for (owner, body) in events.clone() {
            self.take(Event { at_ms: self.now, owner, settles: None, body });
        }
        self.hold_reply(&before, &person, &intent, &events, &reply);
    }

    /// The decision; the engine keeps only what has not ended.
    fn decided(&self, person: &PersonId, intent: &Intent, state: &State) -> Decision {
        let has_ended = |task: &Task| task.status().is_terminal();
        let mut live = state.clone();
        live.tasks.retain(|_, task| !has_ended(task));
        let request = Request {
            person,
            intent: intent.clone(),
            chat: Some(format!("{}:chat", person.0.split(':').next().unwrap_or_default())),
            ended: intent.task().and_then(|id| state.tasks.get(&id)).filter(|task| has_ended(task)),
            now_ms: self.now,
            next_task: TaskId(state.tasks.len() as u64 + 1),
            full: None,
        };
        let decision = decide(&live, &self.policies, request.clone());
        assert_eq!(decision, decide(&live, &self.policies, request), "the same wish came out differently");
        decision
    }

    /// What is told is true: a no changes nothing, and what is done shows.
    fn hold_reply(&self, before: &State, person: &PersonId, intent: &Intent, events: &[(Owner, Body)], reply: &Reply) {
        let known = self.policies.current().role(person).is_some();
        match reply {
            Reply::Refused { reason, remedy, stranger } => {
                assert_eq!(*stranger, !known);
                assert_eq!(&self.state, before, "refused ({reason}), and yet");
                let only_noted =
                    events.iter().all(|(_, body)| matches!(body, Body::Host(HostEvent::PersonDenied { .. })));
                assert!(only_noted, "{events:?}");
                assert!(!reason.is_empty() && !remedy.is_empty(), "{intent:?}: {reason}");
                self.hold_remedies(person, remedy.remedies());
            }
            Reply::Granted => assert_eq!(events, [], "{intent:?} only looks"),
            Reply::Created { task, .. } => {
                assert!(known && !before.tasks.contains_key(task));
                assert_eq!(&self.task(*task).spec.by, person);
            }
            Reply::Done { .. } => self.hold_done(before, person, intent),
        }
    }

    fn hold_done(&self, before: &State, person: &PersonId, intent: &Intent) {
        let now = |id: &TaskId| self.task(*id);
        match intent {
            Intent::Approve { task, .. } => {
                let decision = now(task).decision.as_ref().expect("recorded");
                assert!(decision.approved && decision.by == *person);
                assert!(matches!(now(task).status(), Status::Approved | Status::Completed), "{:?}", now(task).phase);
            }
            Intent::Reject { task, .. } => assert_eq!(now(task).status(), Status::Rejected),
            Intent::Cancel { task } => assert!(matches!(now(task).status(), Status::Running | Status::Cancelled)),
            Intent::Retry { task } => assert_ne!(now(task).phase, before.tasks[task].phase, "nothing goes on"),
            Intent::Note { task, .. } | Intent::Answer { task, .. } => {
                assert_eq!(now(task).notes.len(), before.tasks[task].notes.len() + 1, "nobody hears of it");
            }
            Intent::Pause | Intent::Resume => assert_eq!(self.state.paused, *intent == Intent::Pause),
            Intent::Register { .. } | Intent::Unregister => {
                assert_eq!(
                    self.state.chats.len() > before.chats.len(),
                    matches!(intent, Intent::Register { .. }) && before.chats.len() < self.state.chats.len()
                );
            }
            other => panic!("{other:?} was told to be done"),
        }
    }

    /// What a remedy says can be said is understood, and names what is there.
    fn hold_remedies(&self, person: &PersonId, remedies: &[Remedy]) {
        for remedy in remedies {
            let Remedy::Do(intent) = remedy else { continue };
            assert_eq!(intent::parse(&intent::spell(intent)).as_ref(), Ok(intent));
            let (_, reply) = self.decided(person, intent, &self.state);
            if let Reply::Refused { reason, remedy, .. } = reply {
                assert!(
                    !reason.contains("is empty") && !reason.contains("names no change"),
                    "{}",
                    remedy.spell(intent::spell)
                );
            }
        }
    }
}
