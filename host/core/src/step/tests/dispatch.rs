//! What an effect is dispatched with, as its task goes on.

use super::world::World;
use crate::{
    budget::{MicroUsd, Spent},
    dispatch::{Dispatch, Running},
    event::{Body, Meanwhile},
    id::{Digest, TaskId},
    run::Attestation,
};

fn dispatched(world: &World, task: TaskId) -> Dispatch {
    let effect = world.work(task).expect("something is owed").clone();
    Dispatch::new(effect.order, effect.owner, &world.state, &world.policies)
}

fn running(world: &World, task: TaskId) -> Running {
    match dispatched(world, task) {
        Dispatch::Run(run) => *run,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_run_that_is_performed_again_goes_by_what_is_known_by_then() {
    let mut world = World::new();
    let task = world.create("quick", "acme/shop");
    world.reach(task, "impl", "run");
    let first = running(&world, task);
    assert!(!dispatched(&world, task).is_adoption(), "nothing is there to be adopted");
    assert_eq!((first.spent, first.allowance), (Spent::default(), first.order.allowance));

    let run = first.order.run;
    let attestation = Attestation {
        sandbox: "docker".into(),
        image_id: None,
        policy: first.order.policy,
        landlock_abi: 7,
        seccomp: true,
        missing: Vec::new(),
    };
    let (executor, executor_digest) = (first.order.executor.clone(), Some(Digest::of_bytes(b"component")));
    world.happen(task, Body::Meanwhile(Meanwhile::RunStarted { run, executor, executor_digest, attestation }));
    let spent = Spent { turns: 1, cost: MicroUsd(200), ..Spent::default() };
    world.happen(task, Body::Meanwhile(Meanwhile::Metered { run, spent, estimated: false, request: None }));

    let again = running(&world, task);
    assert!(dispatched(&world, task).is_adoption());
    assert_eq!(again.order, first.order, "what is owed stays as it is");
    assert_eq!(again.begun.and_then(|agent| agent.executor_digest), executor_digest);
    assert_eq!((again.spent.cost, again.spent.turns), (MicroUsd(200), 1));
    assert_eq!(again.allowance.turns, first.allowance.turns - 1);
}

#[test]
fn what_policy_knows_no_more_is_told_as_missing_and_not_made_up() {
    let mut world = World::new();
    let task = world.create("quick", "acme/shop");
    let Dispatch::Prepare(known) = dispatched(&world, task) else { panic!() };
    assert!(known.repo.is_some() && known.executors.iter().all(|executor| executor.policy.is_some()));
    // Of the owner nothing is known any more: policy in force counts, and there the repository is another's.
    world.state.tasks.remove(&task);
    let effect = world.owed.values().next().expect("it is owed still").clone();
    let mut policies = world.policies.clone();
    let mut other = (**policies.current()).clone();
    (other.digest, other.repos, other.executors) = (Digest::of_bytes(b"other"), Default::default(), Default::default());
    policies.load(std::sync::Arc::new(other));
    match Dispatch::new(effect.order, effect.owner, &world.state, &policies) {
        Dispatch::Prepare(now) => {
            assert_eq!(now.repo, None);
            assert!(now.executors.iter().all(|executor| executor.policy.is_none() && executor.secrets.is_empty()));
            assert_eq!(now.executors.len(), known.executors.len());
        }
        other => panic!("{other:?}"),
    }
}
