//! People in play: whatever they ask for, whoever they are, in whatever state it meets. A wish is decided, what comes of it happens, and
//! what they were told is held against what became true.

use super::{
    doers::Choice,
    world::{PIPELINES, REPOSITORIES, World},
};
use crate::{
    decide::{Decision, Reply, Request, decide},
    event::{Body, Event, HostEvent},
    id::TaskId,
    intent::{self, Intent, Look, TaskRequest},
    owner::Owner,
    people::PersonId,
    remedy::Remedy,
    step::State,
    task::{Ending, Phase, Status, Stopping, Task},
};
use proptest::{option, prelude::*};
use std::collections::BTreeSet;

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
            Intent::Approve { task, change, .. } | Intent::Reject { task, change, .. }
                if change.as_ref().is_some_and(|change| !self.decided_on(*task).starts_with(change)) =>
            {
                panic!("{change:?} was meant, and {} decided on", self.decided_on(*task))
            }
            Intent::Approve { task, .. } => {
                let decision = now(task).decision.as_ref().expect("recorded");
                assert!(decision.approved && decision.by == *person);
                assert!(matches!(now(task).status(), Status::Approved | Status::Completed), "{:?}", now(task).phase);
            }
            Intent::Reject { task, .. } => assert_eq!(now(task).status(), Status::Rejected),
            Intent::Cancel { task } => {
                let ends = Some(Stopping::Ends(Ending::Cancelled));
                let is_stopping = matches!(&now(task).phase, Phase::Running(running) if running.stopping == ends);
                assert!(is_stopping || now(task).status() == Status::Cancelled, "{:?}", now(task).phase);
            }
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

    /// The change that somebody decided on, by its digest.
    fn decided_on(&self, task: TaskId) -> String {
        self.task(task).decision.as_ref().expect("recorded").digest.to_string()
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

/// Everything that can be asked for about a task, or without one.
fn all_wishes(task: TaskId) -> Vec<Wish> {
    let text = || "in euros".to_owned();
    let mut wishes: Vec<Wish> = [
        Intent::Note { task, text: text() },
        Intent::Answer { task, text: text() },
        Intent::Continue { task, text: text() },
        Intent::Retry { task },
        Intent::Cancel { task },
        Intent::Look(Look::Status { task: Some(task) }),
        Intent::Register { repository: None },
        Intent::Unregister,
        Intent::Pause,
        Intent::Resume,
    ]
    .map(Wish::Says)
    .into();
    for approves in [true, false] {
        wishes.extend([None, Some(true), Some(false)].map(|named| Wish::Decides { task: task.0, approves, named }));
    }
    wishes
}

/// Everybody asks for everything, each in a world of their own.
fn everybody_wishes(world: &World, task: TaskId, seen: &mut BTreeSet<String>) {
    for who in WHO {
        for wish in all_wishes(task) {
            world.clone().wish(who, &wish);
        }
    }
    let doing = match &world.task(task).phase {
        Phase::Running(running) => format!("{:?}", running.doing),
        other => format!("{other:?}"),
    };
    seen.insert(doing.split([' ', '(', '{']).next().unwrap_or_default().to_owned());
}

#[test]
fn whatever_anybody_asks_for_in_any_state_they_are_told_the_truth() {
    let mut seen = BTreeSet::new();
    for pipeline in PIPELINES {
        // The good answer each time, and each other answer once, wherever it is given.
        let mut world = World::new();
        let task = world.create(pipeline, "acme/shop");
        everybody_wishes(&world, task, &mut seen);
        while let Some(good) = world.choices(task).first().cloned() {
            for other in world.choices(task) {
                let mut aside = world.clone();
                aside.answer(task, &other);
                everybody_wishes(&aside, task, &mut seen);
                if aside.task(task).phase.waiting_review().is_some() {
                    // Let through, it is on its way out; and there it can fail.
                    aside.wish("console:1", &Wish::Decides { task: task.0, approves: true, named: Some(true) });
                    everybody_wishes(&aside, task, &mut seen);
                    aside.answer(task, &Choice::Failed);
                    everybody_wishes(&aside, task, &mut seen);
                }
            }
            world.answer(task, &good);
        }
        everybody_wishes(&world, task, &mut seen);
    }
    let all = [
        "Accepting",
        "Agent",
        "Approved",
        "Baseline",
        "Blocked",
        "Briefing",
        "Checking",
        "Collecting",
        "Delivering",
        "Ended",
        "Judging",
        "NeedsReview",
        "Parked",
        "Preparing",
    ];
    assert_eq!(seen.iter().map(String::as_str).collect::<Vec<_>>(), all, "a state was never asked in");
}
