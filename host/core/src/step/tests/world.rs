//! A host without I/O: keeps what is owed as the journal does, hands events to `step`, and holds every outcome against the promises.

use super::{
    attempts::hold_attempts,
    doers::{Choice, answers, body, followers},
};
use crate::{
    approval::Approver,
    asked::NewTask,
    budget::{Budget, MicroUsd},
    chat::Notice,
    daily::{Level, Purse},
    effect::{DeliverOrder, Effect, Order},
    event::{Answer, Body, Event, HostEvent, Meanwhile, Said},
    facts::Finding,
    id::{Digest, EffectKey, RunKey, TaskId},
    kept::Kept,
    owner::Owner,
    people::{PersonId, Role},
    policy::{OwnChanges, Policy, Via, parse, source::SourceFile},
    step::{Policies, State, Stepped, next_deadline, step},
    task::{BlockedOn, Doing, Phase, Running, Status, Task},
    verdict::Verdict,
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub const POLICY: &str = r#"
[persona.manager]
tools = ["Read", "Write"]
executor = "scripted"
[persona.qa]
tools = ["Read", "Write"]
write = ["tests/**"]
executor = "scripted"
[persona.worker]
tools = ["Read", "Write", "Edit", "Bash"]
write = ["**"]
protect = ["stage:qa"]
executor = "scripted"
[persona.answerer]
tools = ["Read"]
executor = "scripted"
[executor.scripted]
wall = "10min"
[repo."acme/shop"]
url = "/srv/shop"
check = "pytest"
[repo."acme/site"]
url = "/srv/site"
check = "pytest"
[repo."acme/docs"]
url = "/srv/docs"
check = "pytest"
[people]
owner = ["console:1"]
admin = ["console:2"]
member = ["console:3"]
[budget.default]
turns = 1000
tokens = 1000000
cost = "$10.00"
wall = "10h"
[host]
parallel = 2
transient-retries = 2

[pipeline.feature]
summary = "three personas"
[[pipeline.feature.stage]]
name = "spec"
persona = "manager"
produces = ["spec.md"]
attempts = 2
[[pipeline.feature.stage]]
name = "qa"
persona = "qa"
expect = "tests-fail"
attempts = 2
[[pipeline.feature.stage]]
name = "impl"
persona = "worker"
check = "tests-pass"
attempts = 3
[[pipeline.feature.stage]]
name = "judge"
rules = ["*"]
[[pipeline.feature.stage]]
name = "deliver"
via = "branch"

[pipeline.quick]
summary = "the worker alone"
[[pipeline.quick.stage]]
name = "impl"
persona = "worker"
check = "tests-pass"
attempts = 2
[[pipeline.quick.stage]]
name = "judge"
rules = ["*"]
[[pipeline.quick.stage]]
name = "deliver"
via = "branch"

[pipeline.look]
summary = "judged, and kept here"
[[pipeline.look.stage]]
name = "impl"
persona = "worker"
[[pipeline.look.stage]]
name = "judge"
rules = ["*"]

[pipeline.ask]
summary = "words only"
read-only = true
[[pipeline.ask.stage]]
name = "answer"
persona = "answerer"
produces = ["answer.md"]
attempts = 2
[[pipeline.ask.stage]]
name = "deliver"
via = "reply"
"#;

pub const PIPELINES: [&str; 4] = ["feature", "quick", "look", "ask"];
/// One more than may be worked on at the same time.
pub const REPOSITORIES: [&str; 3] = ["acme/shop", "acme/site", "acme/docs"];

pub fn policy(text: &str) -> Policy {
    match parse::parse(&[SourceFile { name: "test.toml".into(), text: text.into() }]) {
        Ok(policy) => policy,
        Err(errors) => panic!("{errors:?}"),
    }
}

pub fn person(role: Role) -> PersonId {
    let uid = match role {
        Role::Owner => "console:1",
        Role::Admin => "console:2",
        Role::Member => "console:3",
        Role::Guest => "console:4",
    };
    PersonId(uid.into())
}

/// A host, its journal and its neighbours.
#[derive(Clone)]
pub struct World {
    pub state: State,
    pub policies: Policies,
    pub now: u64,
    /// As the journal keeps it: one row per key, struck off by the event that settles it.
    pub owed: BTreeMap<EffectKey, Effect>,
    pub log: Vec<Event>,
    pub told: Vec<Notice>,
    /// Effects of the latest event.
    pub latest: Vec<Effect>,
    ordered: BTreeMap<EffectKey, Order>,
    runs: BTreeSet<RunKey>,
    forgotten: BTreeSet<RunKey>,
    /// Tasks that somebody cancelled while they could be.
    cancelled: BTreeSet<TaskId>,
    /// What was in force when a change was approved last.
    approved_under: BTreeMap<TaskId, Arc<Policy>>,
}

impl World {
    pub fn new() -> World {
        World::under(policy(POLICY))
    }

    pub fn under(policy: Policy) -> World {
        World {
            state: State::default(),
            policies: Policies::new(Arc::new(policy)),
            now: 1_000_000,
            owed: BTreeMap::new(),
            log: Vec::new(),
            told: Vec::new(),
            latest: Vec::new(),
            ordered: BTreeMap::new(),
            runs: BTreeSet::new(),
            forgotten: BTreeSet::new(),
            cancelled: BTreeSet::new(),
            approved_under: BTreeMap::new(),
        }
    }

    pub fn create(&mut self, pipeline: &str, repository: &str) -> TaskId {
        self.create_with(pipeline, repository, |_| {})
    }

    pub fn create_with(&mut self, pipeline: &str, repository: &str, edit: impl FnOnce(&mut NewTask)) -> TaskId {
        let id = TaskId(self.state.tasks.len() as u64 + 1);
        let policy = self.policies.current().clone();
        let mut task = NewTask {
            id,
            title: "Add a discount".into(),
            description: Kept::new("Please."),
            repository: repository.into(),
            pipeline: policy.pipelines[pipeline].clone(),
            by: person(Role::Member),
            asked_before: Vec::new(),
            chat: Some("console:1".into()),
            budget_asked: false,
            budget_name: "default".into(),
            budget: policy.budgets["default"],
            policy: policy.digest,
            retry_of: None,
            continues: None,
            branch: format!("borg/{id}/add-a-discount"),
        };
        edit(&mut task);
        self.happen(id, Body::Said(Said::TaskCreated { task: Box::new(task) }));
        id
    }

    pub fn task(&self, id: TaskId) -> &Task {
        &self.state.tasks[&id]
    }

    pub fn status(&self, id: TaskId) -> Status {
        self.task(id).status()
    }

    /// Something that settles nothing.
    pub fn happen(&mut self, owner: impl Into<Owner>, body: Body) {
        self.take(Event { at_ms: self.now, owner: owner.into(), settles: None, body });
    }

    /// What the task waits for now.
    pub fn work(&self, task: TaskId) -> Option<&Effect> {
        self.owed.values().find(|effect| effect.owner == task.into() && is_work(&effect.order))
    }

    /// Every answer there is to what the task waits for; the first is the good one.
    pub fn choices(&self, task: TaskId) -> Vec<Choice> {
        self.work(task).map(|effect| answers(&effect.order, self.task(task))).unwrap_or_default()
    }

    pub fn answer(&mut self, task: TaskId, answer: &Choice) {
        let effect = self.work(task).cloned().unwrap_or_else(|| panic!("nothing is owed: {:?}", self.task(task).phase));
        self.perform(&effect, answer);
    }

    /// A judgement that finds just this.
    pub fn answer_with(&mut self, task: TaskId, findings: Vec<Finding>) {
        let key = self.work(task).expect("a judgement is owed").key.clone();
        let body = Body::Answer(Answer::Judged { findings, failures: Vec::new(), incomplete: Vec::new() });
        self.take(Event { at_ms: self.now, owner: task.into(), settles: Some(key), body });
    }

    /// A doer does it, tells what it learns on the way, and comes back with the event that settles it.
    pub fn perform(&mut self, effect: &Effect, answer: &Choice) {
        for note in followers(&effect.order, answer) {
            self.happen(effect.owner.task().expect("a task's"), note);
        }
        let body = body(&effect.order, answer);
        self.take(Event { at_ms: self.now, owner: effect.owner, settles: Some(effect.key.clone()), body });
    }

    /// Answers well until the stage owes an effect of this kind (`brief`, `check`, …).
    pub fn reach(&mut self, task: TaskId, stage: &str, kind: &str) {
        for _ in 0..100 {
            let at = self.task(task).phase.position().map_or(0, |at| at.stage as usize);
            let here = self.task(task).spec.pipeline.stages.get(at).map_or("", |stage| stage.name.as_str()).to_owned();
            let work = self.work(task).unwrap_or_else(|| panic!("{stage}/{kind}: {:?}", self.task(task).phase));
            if here == stage && word(&work.order) == kind {
                return;
            }
            let good = self.choices(task).remove(0);
            self.answer(task, &good);
        }
        panic!("{stage}/{kind} was never reached");
    }

    /// Answers well until nothing is owed for the task, and performs what only tidies up.
    pub fn finish(&mut self, task: TaskId) {
        for _ in 0..200 {
            match self.choices(task).first() {
                Some(good) => self.answer(task, &good.clone()),
                None => break,
            }
        }
        self.tidy();
    }

    /// Performs everything that no task waits for.
    pub fn tidy(&mut self) {
        while let Some(effect) = self.owed.values().find(|effect| !is_work(&effect.order)).cloned() {
            self.perform(&effect, &Choice::Done);
        }
    }

    /// One event, as the engine takes it.
    pub fn take(&mut self, event: Event) {
        self.now += 7;
        let before = self.state.clone();
        let owed_before = event.settles.as_ref().is_none_or(|key| self.owed.contains_key(key));
        let stepped = step(before.clone(), &event, &self.policies);
        let again = step(before.clone(), &event, &self.policies);
        assert_eq!(stepped, again, "the same event came out differently");
        hold_changed(&before, &stepped, &event);
        let Stepped { state, effects, .. } = stepped;
        if let Some(key) = &event.settles {
            self.owed.remove(key);
        }
        self.state = state;
        if let (Body::Said(Said::Approved { .. }), Some(task)) = (&event.body, event.owner.task()) {
            let is_new = |state: &State| state.tasks.get(&task).is_some_and(|task| task.decision.is_some());
            if is_new(&self.state) && !is_new(&before) {
                self.approved_under.insert(task, self.policies.current().clone());
            }
        }
        for effect in &effects {
            self.owe(effect);
        }
        self.latest = effects;
        self.hold_promises(&before, &event);
        if !owed_before {
            self.hold_stale(&before, &event);
        }
        self.log.push(event);
    }

    fn owe(&mut self, effect: &Effect) {
        if let Some(known) = self.ordered.get(&effect.key) {
            assert_eq!(known, &effect.order, "{} names two things", effect.key);
            assert!(matches!(effect.order, Order::Stop(_)), "{} is ordered twice", effect.key);
        }
        self.ordered.insert(effect.key.clone(), effect.order.clone());
        self.owed.insert(effect.key.clone(), effect.clone());
        let fresh = match &effect.order {
            Order::Run(order) => self.runs.insert(order.run),
            Order::Check(order) => self.runs.insert(order.run),
            Order::Forget(order) => {
                assert!(self.runs.contains(&order.run), "{} never was", order.run);
                self.forgotten.insert(order.run)
            }
            Order::Tell(order) => {
                self.told.push((*order.notice).clone());
                true
            }
            Order::Deliver(_) => {
                self.hold_delivery(effect);
                true
            }
            Order::Prepare(_)
            | Order::Brief(_)
            | Order::Stop(_)
            | Order::Collect(_)
            | Order::Accept(_)
            | Order::Judge(_) => true,
        };
        assert!(fresh, "{}: a run begins and is forgotten once", effect.key);
    }

    /// No branch without a change that somebody, or the rules, let through by its digest.
    fn hold_delivery(&self, effect: &Effect) {
        let Order::Deliver(DeliverOrder { via, commit, .. }) = &effect.order else { return };
        let task = self.task(effect.owner.task().expect("a task's"));
        let change = match &task.phase {
            Phase::Approved { change, .. }
            | Phase::Running(Running { doing: Doing::Delivering { change: Some(change) }, .. }) => change,
            other => return assert_eq!(*via, Via::Reply, "{other:?}"),
        };
        let review = task.review.as_ref().expect("judged");
        assert_eq!((change.digest(), change.head(), commit), (&review.digest, &review.head, &review.head));
        match change.by() {
            Approver::Rules => assert!(review.ruling.reasons.is_empty(), "{:?}", review.ruling),
            Approver::Person(by) => {
                let decision = task.decision.as_ref().expect("recorded");
                assert_eq!((&decision.by, decision.digest, decision.approved), (by, review.digest, true));
                self.hold_four_eyes(task, by);
            }
        }
    }

    /// Who let the change through had the role for it when they did, and it was not their own where policy knew another who could.
    fn hold_four_eyes(&self, task: &Task, by: &PersonId) {
        let policy = &self.approved_under[&task.id()];
        let review = task.review.as_ref().expect("judged");
        let role = if review.ruling.verdict == Verdict::Block { Role::Owner } else { Role::Admin };
        assert!(policy.role(by) >= Some(role), "{by} let {:?} through", review.ruling);
        if policy.own_changes == OwnChanges::Allow {
            return;
        }
        let me = policy.human(by);
        let others: Vec<&PersonId> = policy
            .people
            .iter()
            .filter(|(other, has)| **has >= role && policy.human(other) != me)
            .map(|(other, _)| policy.human(other))
            .collect();
        if policy.human(&task.spec.by) == me {
            assert_eq!(others, Vec::<&PersonId>::new(), "{by} let their own change through");
        }
        let asked: Vec<&PersonId> = task.askers().map(|person| policy.human(person)).collect();
        if asked.contains(&me) {
            let fresh = others.iter().find(|other| !asked.contains(other));
            assert_eq!(fresh, None, "{by} had a hand in it");
        }
    }

    fn hold_promises(&mut self, before: &State, event: &Event) {
        if let (Body::Said(Said::CancelRequested { .. }), Some(task)) =
            (&event.body, event.owner.task().and_then(|id| before.tasks.get(&id)))
        {
            let too_late = matches!(
                task.phase,
                Phase::Approved { .. }
                    | Phase::Ended { .. }
                    | Phase::Running(Running { doing: Doing::Delivering { .. }, .. })
            );
            if !too_late {
                self.cancelled.insert(task.id());
            }
        }
        let mut repositories = BTreeSet::new();
        for task in self.state.tasks.values() {
            let now = task.status();
            if let Some(was) = before.tasks.get(&task.id()) {
                assert!(leads(was.status(), now), "{} to {now}", was.status());
                hold_attempts(was, task, &event.body);
            }
            if now == Status::Running {
                assert!(repositories.insert(task.spec.repository.clone()), "two at work on {}", task.spec.repository);
            }
            if self.cancelled.contains(&task.id()) {
                assert!(matches!(now, Status::Running | Status::Cancelled), "cancelled, but {now}");
            }
            let waits = match now {
                Status::Running | Status::Approved => 1,
                Status::Queued | Status::Parked | Status::Blocked | Status::NeedsReview => 0,
                // What was asked for when somebody cancelled may still be answered.
                Status::Capped | Status::Rejected | Status::Completed | Status::Failed | Status::Cancelled => continue,
            };
            let work =
                self.owed.values().filter(|effect| effect.owner == task.id().into() && is_work(&effect.order)).count();
            assert_eq!(work, waits, "{:?} owes {:?}", task.phase, self.owed.keys());
        }
        assert!(repositories.len() <= self.policies.current().host.parallel as usize);
        self.hold_caps(before, event);
    }

    /// At a daily cap nothing starts and nothing stays at work; near one, one task starts at a time, of the host or of that human.
    fn hold_caps(&self, before: &State, event: &Event) {
        let (day, policy) = (&self.state.day, self.policies.current());
        for task in self.state.tasks.values().filter(|task| day.shut(&task.spec.by, policy, event.at_ms).is_some()) {
            let at_work = match &task.phase {
                Phase::Running(Running { doing: Doing::Agent(_), stopping, .. }) => stopping.is_none(),
                Phase::Running(Running { doing: Doing::Briefing, .. }) => {
                    // Asked before the cap was reached; no agent follows it.
                    self.latest.iter().any(|effect| effect.owner == task.id().into() && is_work(&effect.order))
                }
                other => matches!(other, Phase::Queued { .. }),
            };
            assert!(!at_work, "at a cap: {:?} {:?}", task.phase, self.latest);
        }
        let is_narrow = |purse: Option<Purse>| purse.is_some_and(|purse| purse.level() >= Level::Narrow);
        let running = |task: &&Task| task.is_running();
        let is_new = |task: &&Task| {
            task.status() == Status::Running
                && before.tasks.get(&task.id()).is_none_or(|was| was.status() != Status::Running)
        };
        if is_narrow(day.host(policy, event.at_ms)) && self.state.tasks.values().any(|task| is_new(&task)) {
            assert_eq!(self.state.tasks.values().filter(running).count(), 1, "near the host's cap");
        }
        for started in self.state.tasks.values().filter(is_new) {
            let by = &started.spec.by;
            if is_narrow(day.person(by, policy, event.at_ms)) {
                let theirs = |task: &&Task| policy.human(&task.spec.by) == policy.human(by);
                let count = self.state.tasks.values().filter(theirs).filter(running).count();
                assert_eq!(count, 1, "near the cap of {by}");
            }
        }
    }

    /// What comes back for something no longer owed changes nothing; its spending is in `timed` already.
    fn hold_stale(&self, before: &State, event: &Event) {
        assert_eq!(&self.state, before, "stale: {event:?}");
        assert_eq!(self.latest, [], "stale: {event:?}");
    }

    /// Everything is over: nothing is owed, and no sandbox was left lying about.
    pub fn hold_the_end(&self) {
        for task in self.state.tasks.values() {
            assert!(task.status().is_terminal(), "{:?}", task.phase);
            if self.cancelled.contains(&task.id()) {
                assert_eq!(task.status(), Status::Cancelled);
            }
        }
        assert_eq!(self.owed.keys().collect::<Vec<_>>(), Vec::<&EffectKey>::new());
        assert_eq!(self.runs, self.forgotten, "runs and forgotten runs");
    }

    /// Sees every task to its end: doers do well, people help, time passes.
    pub fn drain(&mut self) {
        self.take(Event {
            at_ms: self.now,
            owner: Owner::Host,
            settles: None,
            body: Body::Said(Said::Resumed { by: person(Role::Owner) }),
        });
        let mut patience: BTreeMap<TaskId, u32> = BTreeMap::new();
        for _ in 0..3_000 {
            if let Some(effect) = self.owed.values().next().cloned() {
                let good = answers(&effect.order, self.task(effect.owner.task().expect("a task's"))).remove(0);
                self.perform(&effect, &good);
            } else if let Some((at_ms, task)) = next_deadline(&self.state) {
                self.now = self.now.max(at_ms);
                self.happen(task, Body::Meanwhile(Meanwhile::DeadlinePassed));
            } else if let Some(task) = self.state.tasks.values().find(|task| !task.status().is_terminal()) {
                let id = task.id();
                let by = person(Role::Owner);
                let tries = patience.entry(id).or_default();
                *tries += 1;
                let body = match (&task.phase, *tries > 5) {
                    (_, true) => Body::Said(Said::CancelRequested { by }),
                    (
                        Phase::NeedsReview { review, .. } | Phase::Blocked { on: BlockedOn::Verdict { review }, .. },
                        false,
                    ) => Body::Said(Said::Approved { by, digest: review.digest, note: String::new() }),
                    (Phase::Blocked { .. }, false) => Body::Said(Said::Unblocked { by }),
                    (phase, false) => panic!("stuck: {phase:?}"),
                };
                self.happen(id, body);
            } else {
                return;
            }
        }
        panic!("it never ends: {:?}", self.state);
    }
}

/// The word for what an effect does.
pub fn word(order: &Order) -> &'static str {
    match order {
        Order::Prepare(_) => "prepare",
        Order::Brief(_) => "brief",
        Order::Run(_) => "run",
        Order::Stop(_) => "stop",
        Order::Collect(_) => "collect",
        Order::Accept(_) => "accept",
        Order::Check(_) => "check",
        Order::Judge(_) => "judge",
        Order::Deliver(_) => "deliver",
        Order::Forget(_) => "forget",
        Order::Tell(_) => "tell",
    }
}

/// True for what a task waits for; the rest only tidies up and tells.
fn is_work(order: &Order) -> bool {
    !matches!(order, Order::Stop(_) | Order::Forget(_) | Order::Tell(_))
}

/// One event may lead through the queue: unparked and started at once, say.
fn leads(from: Status, to: Status) -> bool {
    let one = |from: Status, to: Status| from == to || from.next().contains(&to);
    one(from, to) || (one(from, Status::Queued) && one(Status::Queued, to))
}

pub fn small_budget(turns: u32) -> Budget {
    Budget { turns, tokens: 1_000_000, cost: MicroUsd(1_000_000), wall_ms: 36_000_000 }
}

pub fn digest_of(task: &Task) -> Digest {
    match &task.phase {
        Phase::NeedsReview { review, .. } | Phase::Blocked { on: BlockedOn::Verdict { review }, .. } => review.digest,
        other => panic!("no review: {other:?}"),
    }
}

/// What an event changed it says it changed, or a host that is started anew would not know; and what it only tells of is not written again.
fn hold_changed(before: &State, stepped: &Stepped, event: &Event) {
    let Stepped { state, changed, .. } = stepped;
    let differ: BTreeSet<TaskId> =
        state.tasks.values().filter(|task| before.tasks.get(&task.id()) != Some(task)).map(Task::id).collect();
    assert!(differ.is_subset(&changed.tasks), "{event:?} changed {differ:?}, and says {:?}", changed.tasks);
    assert!(changed.paused || state.paused == before.paused, "{event:?}");
    assert!(changed.chats || state.chats == before.chats, "{event:?}");
    assert!(changed.day || state.day == before.day, "{event:?}");
    let only_told = matches!(
        &event.body,
        Body::Answer(
            Answer::Told { .. } | Answer::TellFailed { .. } | Answer::Stopped { .. } | Answer::Forgotten { .. }
        ) | Body::Host(HostEvent::PolicyRefused { .. } | HostEvent::PersonDenied { .. })
    );
    assert!(!only_told || changed.tasks == differ, "{event:?} writes {:?} again", changed.tasks);
}
