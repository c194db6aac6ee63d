//! Another kind of owner, as small as one can be: what it takes to add one is this file, a line in `owner.rs`, what is known of it in
//! [`State`](super::super::State), and its line in the router.
//!
//! A counter has the tests run three times, one after the other, and is done.

use super::{
    super::Round,
    doers::{Choice, body},
    world::{World, person},
};
use crate::{
    collect::CommitId,
    effect::{CheckOrder, Effect, ForgetOrder, Order},
    event::{Answer, Body, Event, Said},
    id::{Digest, EffectKey, RunKey, RunKind},
    owner::Owner,
    people::{PersonId, Role},
};

/// How often it runs the tests.
const ROUNDS: u32 = 3;

/// An event meets a counter.
pub(in crate::step) fn meet(round: &mut Round, number: u8) {
    match (&round.event.body, round.state.counters.get(&number)) {
        (Body::Said(Said::Unblocked { .. }), None) => count(round, number, 1),
        (Body::Answer(Answer::Checked { .. }), Some(at)) if round.event.settles.as_ref() == Some(&key(number, *at)) => {
            let next = at + 1;
            let forget = Order::Forget(ForgetOrder { run: run(number, next - 1) });
            round.effects.push(Effect {
                key: EffectKey(format!("{}-forget", run(number, next - 1))),
                owner: Owner::Counter(number),
                order: forget,
            });
            if next <= ROUNDS {
                count(round, number, next);
            } else {
                round.state.counters.insert(number, next);
            }
        }
        _ => {}
    }
}

fn count(round: &mut Round, number: u8, fence: u32) {
    round.state.counters.insert(number, fence);
    let order = Order::Check(Box::new(CheckOrder {
        run: run(number, fence),
        repository: "acme/shop".into(),
        image: "base".into(),
        command: "pytest".into(),
        base: CommitId("base".into()),
        head: CommitId("base".into()),
        changed: Vec::new(),
        accepted: Vec::new(),
        baseline: None,
        limits: round.policies.current().executors["scripted"].limits_of(true),
        policy: Digest::of_bytes(b"policy"),
    }));
    round.effects.push(Effect { key: key(number, fence), owner: Owner::Counter(number), order });
}

fn run(number: u8, fence: u32) -> RunKey {
    RunKey { owner: Owner::Counter(number), place: 0, fence, kind: RunKind::Check }
}

fn key(number: u8, fence: u32) -> EffectKey {
    EffectKey(run(number, fence).to_string())
}

fn event(world: &World, settles: Option<EffectKey>, body: Body) -> Event {
    let event = Event { at_ms: world.now, owner: Owner::Counter(7), settles, body };
    let json = serde_json::to_string(&event).unwrap();
    assert!(json.contains(r#""task":"n-7""#), "{json}");
    assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), event, "the journal keeps it");
    event
}

#[test]
fn another_owner_has_its_turn_beside_the_tasks() {
    let mut world = World::new();
    let task = world.create("quick", "acme/shop");
    let before = world.task(task).clone();
    let started = Body::Said(Said::Unblocked { by: person(Role::Owner) });
    world.take(event(&world, None, started));
    for fence in 1..=ROUNDS {
        let owed = world.owed.get(&key(7, fence)).expect("a test run is owed").clone();
        assert_eq!(owed.order.run().unwrap().to_string(), format!("n-7-s0-a{fence}-check"));
        let done = event(&world, Some(owed.key.clone()), body(&owed.order, &Choice::Done));
        world.take(done.clone());
        assert_eq!(world.state.counters[&7], fence + 1);
        // The same again is outdated.
        world.take(done);
        assert_eq!(world.state.counters[&7], fence + 1);
    }
    assert_eq!(world.task(task), &before, "no task heard of it");
    // Whoever is told of a task in the name of another owner is not.
    let cancel = Body::Said(Said::CancelRequested { by: PersonId("console:1".into()) });
    world.take(event(&world, None, cancel));
    assert_eq!(world.task(task), &before);
}
