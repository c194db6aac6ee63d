//! The engine: one loop, and the only writer. Wait for events → `step` → commit events, states and owed effects in one
//! transaction → perform → acknowledge.
//!
//! Doers perform effects in tasks of their own and come back with one event each; anything they learn on the way (progress,
//! spending) is an event too. A full disk stops the loop loudly until there is room (`room.rs`): nothing is performed that is not durable.

mod commands;
pub mod desk;
pub mod doers;
pub mod handle;
mod once;
mod oversize;
pub mod room;
mod strangers;

pub use desk::Desk;
pub use handle::{Handle, Reply, Stopped};

use crate::{
    clock::now_ms,
    journal::{Batch, Journal, JournalError, Loaded, Reads},
    ledger,
};
use borg_core::{
    budget::Hold,
    dispatch::Dispatch,
    effect::{Effect, Room},
    event::{Body, Event, HostEvent, Meanwhile},
    id::{EffectKey, RunKey, TaskId},
    owner::Owner,
    policy::{Policy, source::SourceFile},
    step::{Changed, Policies, State, Stepped, next_deadline, step},
    task::Task,
};
use doers::{Doers, Performed};
pub(crate) use handle::Input;
use once::Recent;
use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    ops::ControlFlow,
    pin::pin,
    sync::Arc,
    time::Duration,
};
use strangers::Strangers;
use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

/// Inputs taken in one turn, and so committed together.
const BATCH: usize = 256;
/// How long a host that stops waits for the cost of requests under way.
const LAST_BOOKINGS: Duration = Duration::from_secs(10);

/// Owns the state; everything else asks it through a [`Handle`].
pub struct Engine {
    state: State,
    policies: Policies,
    next_task: u64,
    journal: Arc<dyn Journal>,
    doers: Arc<Doers>,
    handle: Handle,
    inputs: mpsc::Receiver<Input>,
    /// Inputs that came while the journal could not be written.
    waiting: VecDeque<Input>,
    performing: JoinSet<Ending>,
    /// Effects that are being performed, by the task that does so.
    busy: HashMap<tokio::task::Id, Effect>,
    committed: watch::Sender<u64>,
    /// What everybody else takes for the policy in force.
    in_force: watch::Sender<Arc<Policy>>,
    strangers: Strangers,
    once: Recent,
    /// What an earlier process held for requests it never heard the end of.
    unheard: Vec<(RunKey, Hold)>,
}

/// How the performing of an effect ended.
enum Ending {
    Done,
    /// It is to begin once more, with what is known by now.
    Again,
}

/// Answers held back until what they speak of is durable.
type Acknowledgement = Box<dyn FnOnce() + Send>;

impl Engine {
    /// Takes up where the journal left off; nothing is performed until [`Engine::run`]. `older` parses policies that tasks still name.
    pub fn new(
        loaded: Loaded,
        journal: Arc<dyn Journal>,
        doers: Doers,
        queue: Queue,
        older: impl Fn(&[SourceFile]) -> Option<Policy>,
    ) -> (Engine, Vec<Effect>) {
        let Queue { handle, inputs, committed, in_force } = queue;
        let mut policies = Policies::new(handle.policy());
        for (_, sources) in &loaded.policies {
            if let Some(policy) = older(sources) {
                policies.remember(Arc::new(policy));
            }
        }
        let engine = Engine {
            state: loaded.state,
            policies,
            next_task: loaded.next_task.max(1),
            journal,
            doers: Arc::new(doers),
            handle,
            inputs,
            waiting: VecDeque::new(),
            performing: JoinSet::new(),
            busy: HashMap::new(),
            committed,
            in_force,
            strangers: Strangers::default(),
            once: Recent::default(),
            unheard: loaded.holds,
        };
        (engine, loaded.owed)
    }

    pub fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Runs until asked to stop: redoes what is owed, then serves. `sources` are those of the current policy.
    pub async fn run(mut self, owed: Vec<Effect>, sources: Vec<SourceFile>, version: &str) -> Result<(), JournalError> {
        self.reap(&owed).await;
        let sandbox = self.doers.sandbox.describe().await.summary;
        let policy = self.policies.current().digest;
        let mut turn = Turn::default();
        turn.batch.policies.push((policy, sources));
        self.apply(
            &mut turn,
            event(Owner::Host, Body::Host(HostEvent::HostStarted { version: version.to_owned(), sandbox })),
        );
        self.apply(&mut turn, event(Owner::Host, Body::Host(HostEvent::PolicyLoaded { digest: policy })));
        for (run, hold) in std::mem::take(&mut self.unheard) {
            turn.batch.rows.push(ledger::unheard(run, &hold));
            let body = Body::Meanwhile(Meanwhile::Metered {
                run,
                spent: hold.most,
                estimated: true,
                request: Some(hold.request),
            });
            self.apply(&mut turn, event(run.owner, body));
        }
        if self.finish(turn).await?.is_break() {
            return Ok(());
        }
        let (due, void): (Vec<Effect>, Vec<Effect>) = owed.into_iter().partition(|effect| self.is_due(effect));
        let void: Vec<EffectKey> = void.into_iter().map(|effect| effect.key).collect();
        if !void.is_empty() && self.save(Arc::new(Batch { void, ..Batch::default() })).await?.is_none() {
            return Ok(());
        }
        for effect in due {
            self.perform(effect);
        }
        loop {
            let deadline = next_deadline(&self.state);
            let mut turn = Turn::default();
            tokio::select! {
                input = next(&mut self.waiting, &mut self.inputs) => match input {
                    None | Some(Input::Stop) => break,
                    Some(input) => self.take(&mut turn, input),
                },
                () = until(deadline) => {
                    if let Some((_, task)) = deadline {
                        self.apply(&mut turn, event(task, Body::Meanwhile(Meanwhile::DeadlinePassed)));
                    }
                }
                Some(ended) = self.performing.join_next_with_id() => match ended {
                    Ok((id, ending)) => {
                        let effect = self.busy.remove(&id);
                        if let (Ending::Again, Some(effect)) = (ending, effect) {
                            self.perform(effect);
                        }
                        continue;
                    }
                    Err(broken) => self.doer_broke(&mut turn, &broken),
                },
            }
            let mut stop = false;
            while turn.batch.events.len() + turn.batch.replies.len() < BATCH {
                match self.waiting.pop_front().or_else(|| self.inputs.try_recv().ok()) {
                    Some(Input::Stop) => {
                        stop = true;
                        break;
                    }
                    Some(input) => self.take(&mut turn, input),
                    None => break,
                }
            }
            if self.finish(turn).await?.is_break() {
                // Nothing is durable any more.
                self.end_doers().await;
                return Ok(());
            }
            if stop {
                break;
            }
        }
        self.end_doers().await;
        // A disk that is full holds up the booking, but not the end.
        let booked = tokio::time::timeout(2 * LAST_BOOKINGS, self.book_the_last()).await;
        self.end_doers().await;
        booked.unwrap_or(Ok(()))
    }

    /// Containers live on and are adopted by the next process; what is in flight here is redone then.
    async fn end_doers(&mut self) {
        self.performing.abort_all();
        while self.performing.join_next().await.is_some() {}
    }

    /// Shuts all doors and takes what is booked of the requests under way: the provider charges for them, whoever waits.
    async fn book_the_last(&mut self) -> Result<(), JournalError> {
        let doers = Arc::clone(&self.doers);
        let mut shut = pin!(tokio::time::timeout(LAST_BOOKINGS, doers.runs.shut()));
        let mut is_shut = false;
        loop {
            let input = tokio::select! {
                biased;
                input = next(&mut self.waiting, &mut self.inputs) => input,
                settled = &mut shut, if !is_shut => {
                    is_shut = true;
                    if settled.is_err() {
                        tracing::warn!("requests under way were waited for long enough: what they cost is in no account");
                    }
                    // What was sent before that is still taken.
                    self.inputs.close();
                    continue;
                }
            };
            match input {
                Some(input @ Input::Event(..)) => {
                    let mut turn = Turn::default();
                    self.take(&mut turn, input);
                    if self.finish(turn).await?.is_break() {
                        return Ok(());
                    }
                }
                // Whoever asks hears that the host is stopping: nobody answers.
                Some(Input::Intent { .. } | Input::Policy(..) | Input::Stop) => {}
                None => return Ok(()),
            }
        }
    }

    fn take(&mut self, turn: &mut Turn, input: Input) {
        match input {
            Input::Event(event, row, done) => {
                self.apply(turn, *event);
                turn.batch.rows.extend(row.map(|row| *row));
                turn.later(move || {
                    // The doer may have gone; the event stands all the same.
                    let _ = done.send(());
                });
            }
            Input::Intent { key, person, intent, chat, ended, answer } => {
                let before = key.as_deref().and_then(|key| self.once.reply(key)).cloned();
                let reply = match before {
                    Some(reply) => reply,
                    None => {
                        let (events, reply) = self.command(&person, *intent, chat, ended.as_deref());
                        for event in events {
                            self.apply(turn, event);
                        }
                        turn.batch.replies.extend(key.and_then(|key| self.once.remember(key, &reply)));
                        reply
                    }
                };
                turn.later(move || {
                    let _ = answer.send(reply);
                });
            }
            Input::Policy(loaded, done) => {
                match *loaded {
                    Ok((policy, sources)) => {
                        let digest = policy.digest;
                        self.policies.load(Arc::new(policy));
                        self.policies.keep_only(&self.state.tasks.values().map(|task| task.spec.policy).collect());
                        turn.batch.policies.push((digest, sources));
                        self.apply(turn, event(Owner::Host, Body::Host(HostEvent::PolicyLoaded { digest })));
                    }
                    Err(reason) => {
                        self.apply(turn, event(Owner::Host, Body::Host(HostEvent::PolicyRefused { reason })));
                    }
                }
                turn.later(move || {
                    let _ = done.send(());
                });
            }
            Input::Stop => {}
        }
    }

    fn apply(&mut self, turn: &mut Turn, event: Event) {
        let state = std::mem::take(&mut self.state);
        let Stepped { state, effects, changed } = step(state, &event, &self.policies);
        self.state = state;
        turn.batch.late.extend(changed.late.map(|id| (id, event.body.clone())));
        turn.changed.extend(changed);
        turn.batch.events.push(event);
        turn.effects.extend(effects);
    }

    /// Makes a turn durable, then performs and answers; breaks off when the host is to stop before that.
    async fn finish(&mut self, mut turn: Turn) -> Result<ControlFlow<()>, JournalError> {
        turn.batch.durable = turn.changed.of(&self.state);
        // What an event of this very batch settled already is owed no more.
        let settled: BTreeSet<&EffectKey> =
            turn.batch.events.iter().filter_map(|event| event.settles.as_ref()).collect();
        turn.effects.retain(|effect| !settled.contains(&effect.key));
        turn.batch.owed = turn.effects.clone();
        let batch = Arc::new(std::mem::take(&mut turn.batch));
        if batch.events.is_empty() && batch.owed.is_empty() && batch.replies.is_empty() {
            turn.answer();
            return Ok(ControlFlow::Continue(()));
        }
        let seq = match self.save(batch.clone()).await {
            Ok(Some(seq)) => seq,
            // Nobody was told that any of it happened; what was owed before is owed still.
            Ok(None) => return Ok(ControlFlow::Break(())),
            Err(error) => {
                let turn = self.reduce(turn, &batch, error).await?;
                return Box::pin(self.finish(turn)).await;
            }
        };
        let current = self.policies.current();
        self.in_force.send_if_modified(|known| {
            let is_new = !Arc::ptr_eq(known, current);
            known.clone_from(current);
            is_new
        });
        self.committed.send_replace(seq);
        for id in self.state.tasks.extract_if(.., |_, task| task.status().is_terminal()).map(|(id, _)| id) {
            let doers = self.doers.clone();
            self.performing.spawn(async move {
                doers.cleaner.forget_owner(&Owner::from(id).label()).await;
                Ending::Done
            });
        }
        for effect in std::mem::take(&mut turn.effects) {
            self.perform(effect);
        }
        turn.answer();
        Ok(ControlFlow::Continue(()))
    }

    fn perform(&mut self, effect: Effect) {
        if self.busy.values().any(|busy| busy.key == effect.key) {
            return;
        }
        let performed = effect.clone();
        let (room, starts) = (effect.order.room(), effect.order.starts());
        let Effect { key, owner, order } = effect;
        let dispatch = Dispatch::new(order, owner, &self.state, &self.policies);
        // It has all it will get, and nobody but its doer holds it to its limits.
        let room = if dispatch.is_adoption() { Room::Nothing } else { room };
        let (doers, handle) = (self.doers.clone(), self.handle.clone());
        let doing = self.performing.spawn(async move {
            doers.wait_for_room(room, (&key, owner, starts), &handle).await;
            let body = match doers.perform(&key, dispatch, &handle).await {
                Performed::Settled(body) => *body,
                Performed::Lost => return Ending::Again,
            };
            let event = Event { at_ms: now_ms(), owner, settles: Some(key.clone()), body };
            if handle.post(event).await.is_err() {
                tracing::debug!(%key, "the engine stopped before this was taken in; it is redone at the next start");
            }
            Ending::Done
        });
        self.busy.insert(doing.id(), performed);
    }

    /// A doer panicked, which is a fault of ours: its task waits for a person, the process lives.
    fn doer_broke(&mut self, turn: &mut Turn, broken: &tokio::task::JoinError) {
        let Some(effect) = self.busy.remove(&broken.id()) else { return };
        tracing::error!(key = %effect.key, %broken, "a fault of the host itself");
        let body = doers::broken(&effect.order, format!("a fault of the host itself: {broken}"));
        let event = Event { at_ms: now_ms(), owner: effect.owner, settles: Some(effect.key), body };
        self.apply(turn, event);
    }

    /// True for an owed effect that still means something after a restart.
    fn is_due(&self, effect: &Effect) -> bool {
        let is_alive = match effect.owner {
            Owner::Task(id) => self.state.tasks.contains_key(&id),
            Owner::Host => true,
        };
        is_alive || effect.order.outlives_owner()
    }

    /// Removes sandboxes of ours that nothing owed refers to, and no task that goes on later.
    async fn reap(&mut self, owed: &[Effect]) {
        let wanted: BTreeSet<String> = owed
            .iter()
            .filter_map(|effect| effect.order.run().map(|run| run.to_string()))
            .chain(self.state.tasks.values().filter_map(Task::uncollected).map(|run| run.to_string()))
            .collect();
        self.doers.cleaner.forget_runs_but(&wanted).await;
        let live: BTreeSet<String> = self.state.tasks.keys().map(|id| Owner::from(*id).label()).collect();
        self.doers.cleaner.forget_owners_but(&live).await;
    }
}

/// What one round of the loop gathers before it is made durable.
#[derive(Default)]
struct Turn {
    batch: Batch,
    effects: Vec<Effect>,
    changed: Changed,
    answers: Vec<Acknowledgement>,
}

impl Turn {
    fn later(&mut self, answer: impl FnOnce() + Send + 'static) {
        self.answers.push(Box::new(answer));
    }

    fn answer(&mut self) {
        for answer in self.answers.drain(..) {
            answer();
        }
    }
}

fn event(owner: impl Into<Owner>, body: Body) -> Event {
    Event { at_ms: now_ms(), owner: owner.into(), settles: None, body }
}

/// What waits first, then what comes.
async fn next(waiting: &mut VecDeque<Input>, inputs: &mut mpsc::Receiver<Input>) -> Option<Input> {
    match waiting.pop_front() {
        Some(input) => Some(input),
        None => inputs.recv().await,
    }
}

async fn until(deadline: Option<(u64, TaskId)>) {
    match deadline {
        Some((at_ms, _)) => tokio::time::sleep(Duration::from_millis(at_ms.saturating_sub(now_ms()))).await,
        None => std::future::pending().await,
    }
}

/// The engine's ends of what lies between it and everybody else, who hold a [`Handle`].
pub struct Queue {
    pub handle: Handle,
    inputs: mpsc::Receiver<Input>,
    /// Sequence number of the last committed event.
    committed: watch::Sender<u64>,
    in_force: watch::Sender<Arc<Policy>>,
}

impl Queue {
    /// Begins with the policy that is in force.
    pub fn new(journal: Arc<dyn Reads>, policy: Policy) -> Queue {
        let (into, inputs) = mpsc::channel(1024);
        let (committed, in_force) = (watch::Sender::new(0), watch::Sender::new(Arc::new(policy)));
        let handle = Handle::new(into, committed.subscribe(), in_force.subscribe(), journal);
        Queue { handle, inputs, committed, in_force }
    }

    /// The other end alone, for who takes the engine's place in a test.
    #[cfg(test)]
    pub fn into_inputs(self) -> mpsc::Receiver<Input> {
        self.inputs
    }
}

#[cfg(test)]
mod daily_tests;
