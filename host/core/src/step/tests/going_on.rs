//! What goes on, and from where: work that is still there, time that was spent, failures that repeat, tasks that wait.

use super::{
    doers::{Choice, Work},
    world::{POLICY, World, person, policy, word},
};
use crate::{
    effect::Order,
    event::{Body, Meanwhile, Said},
    executor::{EndCause, OutcomeStatus},
    id::{Digest, RunKey, TaskId},
    owner::Owner,
    people::Role,
    persona::Acceptance,
    run::Attestation,
    task::{Phase, Status},
};
use std::{collections::BTreeSet, sync::Arc};

const COMPLETED: Choice = Choice::Ended(EndCause::Exited, OutcomeStatus::Completed);

fn at(pipeline: &str, stage: &str, kind: &str) -> (World, TaskId) {
    let mut world = World::new();
    let task = world.create(pipeline, "acme/shop");
    world.reach(task, stage, kind);
    (world, task)
}

fn owed(world: &World, task: TaskId) -> &'static str {
    world.work(task).map_or("nothing", |effect| word(&effect.order))
}

fn started(world: &World, run: RunKey) -> Body {
    let attestation = Attestation {
        sandbox: "local".into(),
        image_id: None,
        policy: world.policies.current().digest,
        landlock_abi: 7,
        seccomp: true,
        missing: Vec::new(),
    };
    let executor_digest = Some(Digest::of_bytes(b"executor"));
    Body::Meanwhile(Meanwhile::RunStarted { run, executor: "scripted".into(), executor_digest, attestation })
}

#[test]
fn work_that_could_not_be_collected_is_collected_later_and_not_done_again() {
    let (mut world, task) = at("quick", "impl", "run");
    let run = world.task(task).live_run().unwrap();
    world.answer(task, &COMPLETED);
    for _ in 0..3 {
        assert_eq!(owed(&world, task), "collect");
        world.answer(task, &Choice::Failed);
        assert_eq!(world.status(task), Status::Blocked);
        assert_eq!(world.task(task).uncollected(), Some(run), "a host that starts now must not reap it");
        world.tidy();
        world.happen(task, Body::Said(Said::Unblocked { by: person(Role::Member) }));
    }
    assert!(matches!(&world.work(task).unwrap().order, Order::Collect(order) if order.run == run));
    world.answer(task, &Choice::Collected(Work::Changed));
    assert_eq!((owed(&world, task), world.task(task).uncollected()), ("accept", None));
    assert_eq!(world.task(task).phase.position().unwrap().used, 0, "it was not the attempt that failed");
    world.finish(task);
    assert_eq!(world.status(task), Status::Completed);
    world.hold_the_end();
}

#[test]
fn work_that_nobody_wants_collected_is_let_go() {
    let (mut world, task) = at("quick", "impl", "run");
    world.answer(task, &COMPLETED);
    world.answer(task, &Choice::Failed);
    world.happen(task, Body::Said(Said::CancelRequested { by: person(Role::Member) }));
    assert_eq!(world.status(task), Status::Cancelled);
    world.tidy();
    world.hold_the_end();
}

#[test]
fn time_before_a_restart_is_spent_like_any_other() {
    let (mut world, task) = at("quick", "impl", "run");
    let run = world.task(task).live_run().unwrap();
    let start = started(&world, run);
    world.now += 50_000;
    world.happen(task, start.clone());
    let began = world.task(task).agent_run().unwrap().started_ms;
    assert!(began > 50_000, "waiting for room on the disk is no running time");
    world.now = began + 60_000;
    let body = Body::Meanwhile(Meanwhile::Progressed {
        run,
        line: 1,
        state: String::new(),
        events: crate::kept::Kept::new("[]"),
        turns: 1,
    });
    world.happen(task, body);
    assert_eq!(world.task(task).agent_run().unwrap().ran_ms(), 60_000);
    assert_eq!(world.task(task).spent.wall_ms, 0, "the end of the run tells the rest");
    // The process was killed, and the sandbox went with it: the run is started again, a day later.
    world.now += 86_400_000;
    world.happen(task, start);
    assert_eq!((world.task(task).spent.wall_ms, world.task(task).stage_spent.wall_ms), (60_000, 60_000));
    assert_eq!(world.task(task).agent_run().unwrap().ran_ms(), 0);
}

#[test]
fn the_same_failure_three_times_in_a_row_is_the_last() {
    let many = POLICY.replace("attempts = 2\n[[pipeline.quick.stage]]", "attempts = 9\n[[pipeline.quick.stage]]");
    assert_ne!(many, POLICY);
    let play = |words: &[&str]| {
        let mut world = World::under(policy(&many));
        let task = world.create("quick", "acme/shop");
        for why in words {
            world.reach(task, "impl", "accept");
            world.answer(task, &Choice::Said(Acceptance::Retry((*why).to_owned())));
        }
        (world, task)
    };
    let (world, task) =
        play(&["1 failed in 0.31s at 0x7f01", "1 failed in 0.42s  at 0x7f02", "1 failed in 2s at 0x7f03"]);
    let Phase::Ended { reason, .. } = &world.task(task).phase else { panic!("{:?}", world.task(task).phase) };
    assert_eq!(world.status(task), Status::Failed);
    assert!(reason.contains("stuck") && reason.contains("3 times in a row") && reason.contains("1 failed"), "{reason}");
    assert_eq!(world.task(task).records.len(), 1, "the last work is kept for people to see");
    // Another figure or another failure in between is movement.
    for moving in [["2 failed", "1 failed", "1 failed"], ["1 failed", "other", "1 failed"]] {
        let (world, task) = play(&moving);
        assert_eq!(world.status(task), Status::Running, "{moving:?}");
    }
}

#[test]
fn whoever_sends_a_task_on_its_way_hears_what_it_waits_for() {
    let mut world = World::new();
    let told = |world: &World| world.told.last().map(|notice| format!("{:?}", notice.parts)).unwrap_or_default();
    world.create("quick", "acme/shop");
    assert!(!told(&world).contains("waits"));
    world.create("quick", "acme/shop");
    assert!(told(&world).contains("waits for #1, which works on acme/shop"), "{}", told(&world));
    world.create("quick", "acme/site");
    world.create("quick", "acme/docs");
    assert!(told(&world).contains("no more than 2 task(s)"), "{}", told(&world));
    world.happen(Owner::Host, Body::Said(Said::Paused { by: person(Role::Owner) }));
    world.create("quick", "acme/docs");
    assert!(told(&world).contains("paused"), "{}", told(&world));
}

#[test]
fn policies_that_no_task_names_are_let_go() {
    let mut world = World::new();
    let task = world.create("quick", "acme/shop");
    let first = world.task(task).spec.policy;
    for n in 3..9 {
        let edited = policy(&POLICY.replace("parallel = 2", &format!("parallel = {n}")));
        world.policies.load(Arc::new(edited));
        world.policies.keep_only(&BTreeSet::from([first]));
        assert_eq!(world.policies.len(), 2);
    }
    assert_eq!(world.policies.of(world.task(task)).digest, first, "a task keeps the policy it names");
    assert_eq!(world.policies.current().host.parallel, 8);
}

#[test]
fn what_a_request_of_an_earlier_run_costs_is_booked_where_it_belongs() {
    use crate::budget::{Hold, MicroUsd, Spent};
    let (mut world, task) = at("feature", "qa", "run");
    let first = world.task(task).live_run().unwrap();
    let cost = |cost| Spent { turns: 1, cost: MicroUsd(cost), ..Spent::default() };
    let hold = |request| {
        Body::Meanwhile(Meanwhile::Held { run: first, hold: Hold { request, model: "m".into(), most: cost(900) } })
    };
    let settled = |run, request, spent| Body::Meanwhile(Meanwhile::Metered { run, spent, estimated: false, request });
    let own = world.task(task).spent.cost;
    for request in [1, 2, 2, 3] {
        world.happen(task, hold(request));
    }
    assert_eq!(world.task(task).holds.len(), 3, "each once");
    assert_eq!((world.task(task).spent.cost, world.task(task).holds_of(first).count()), (own, 3), "held is not spent");
    // One becomes known while the stage is at work, another when the next one is.
    world.happen(task, settled(first, Some(1), cost(7)));
    assert_eq!((world.task(task).holds.len(), world.task(task).stage_spent.cost), (2, MicroUsd(7)));
    world.reach(task, "impl", "run");
    let second = world.task(task).live_run().unwrap();
    let before = (world.task(task).spent.cost.0, world.task(task).stage_spent.cost.0);
    assert_eq!(world.task(task).holds_of(second).count(), 0, "it is no burden on another stage");
    world.happen(task, settled(first, Some(2), cost(11)));
    let after = (world.task(task).spent.cost.0, world.task(task).stage_spent.cost.0);
    assert_eq!((after.0 - before.0, after.1), (11, before.1));
    // One of the same number of another run is another.
    world.happen(task, settled(second, Some(3), cost(13)));
    assert_eq!((world.task(task).holds.len(), world.task(task).stage_spent.cost.0), (1, before.1 + 13));
    // It came to nothing.
    world.happen(task, settled(first, Some(3), Spent::default()));
    assert_eq!((world.task(task).holds.len(), world.task(task).spent.cost.0), (0, before.0 + 24));
}
