//! Checks that ran with the base's harness and with the change's own.

use super::{
    doers::{Choice, Opinion, Tests},
    world::World,
};
use crate::{
    check::harness::{self, OWN_ONLY},
    effect::Order,
    facts::{CheckOutcome, HarnessOf, TestEvidence},
    id::TaskId,
    task::{Phase, Status},
};

fn at(pipeline: &str, stage: &str, kind: &str) -> (World, TaskId) {
    let mut world = World::new();
    let task = world.create(pipeline, "acme/shop");
    world.reach(task, stage, kind);
    (world, task)
}

fn both(base: Tests, own: Tests) -> Choice {
    Choice::TestedWithBoth(base, own)
}

/// The evidence of the last stage that was accepted.
fn evidence(world: &World, task: TaskId) -> &TestEvidence {
    world.task(task).evidence.last().unwrap()
}

#[test]
fn met_with_the_bases_harness_counts_as_ever_and_both_are_kept() {
    for own in [Tests::Green, Tests::Red, Tests::TimedOut] {
        let (mut world, task) = at("quick", "impl", "check");
        world.reach(task, "impl", "run");
        world.reach(task, "impl", "check");
        world.answer(task, &both(Tests::Green, own));
        world.reach(task, "judge", "judge");
        let evidence = evidence(&world, task);
        let other = evidence.other.as_ref().unwrap();
        assert_eq!(
            (evidence.outcome, other.harness, other.met),
            (CheckOutcome::Green, HarnessOf::Change, own == Tests::Green)
        );
        assert_eq!(evidence.overlaid[0].path, "conftest.py");
        let findings = harness::told(std::slice::from_ref(evidence));
        assert_eq!(findings.iter().map(|finding| finding.id.as_str()).collect::<Vec<_>>(), ["harness-overlaid"]);
    }
}

#[test]
fn met_with_its_own_harness_only_goes_on_to_a_certain_review() {
    let (mut world, task) = at("quick", "judge", "judge");
    assert_eq!(evidence(&world, task).other, None);
    let (mut own, id) = at("quick", "impl", "run");
    own.reach(id, "impl", "check");
    own.answer(id, &both(Tests::Red, Tests::Green));
    // Red counts when it is so twice, whichever harness it had.
    own.reach(id, "impl", "check");
    own.answer(id, &both(Tests::Red, Tests::Green));
    own.reach(id, "judge", "judge");
    let Order::Judge(order) = own.work(id).unwrap().order.clone() else { panic!() };
    let findings = harness::told(&order.evidence);
    assert_eq!(findings[0].id, OWN_ONLY);
    assert!(findings[0].message.contains("failed: tests/test_new.py::test_new"), "{}", findings[0].message);
    // Whatever rules think of it.
    own.answer_with(id, findings);
    assert_eq!(own.status(id), Status::NeedsReview);
    world.answer(task, &Choice::Judged(Opinion::Clean));
    assert_eq!(world.status(task), Status::Running);
}

#[test]
fn met_with_neither_fails_and_is_told_of_both() {
    let (mut world, task) = at("quick", "impl", "run");
    world.reach(task, "impl", "check");
    world.answer(task, &both(Tests::Red, Tests::TimedOut));
    world.answer(task, &both(Tests::Red, Tests::TimedOut));
    let Phase::Running(running) = &world.task(task).phase else { panic!() };
    let why = running.at.failure.as_deref().unwrap();
    assert!(why.contains("with the base's harness: failed: tests/test_new.py::test_new"), "{why}");
    assert!(why.contains("with the change's own harness: the test command ran out of time"), "{why}");
    let (mut world, task) = at("quick", "impl", "run");
    world.reach(task, "impl", "check");
    world.answer(task, &both(Tests::TimedOut, Tests::TimedOut));
    assert_eq!(world.status(task), Status::Blocked, "neither could be run");
}

#[test]
fn tests_that_a_stage_writes_are_held_to_their_own_harness() {
    // Red without it and green with it: that proves nothing.
    let (mut world, task) = at("feature", "qa", "check");
    world.answer(task, &both(Tests::Red, Tests::Green));
    let Phase::Running(running) = &world.task(task).phase else { panic!() };
    let why = running.at.failure.as_deref().unwrap();
    assert!(why.contains("with the change's own harness: all tests pass already"), "{why}");

    // Red with it: what is demanded is what that run shows, and not that of the base's, which could not be run at all.
    let (mut world, task) = at("feature", "qa", "check");
    world.answer(task, &both(Tests::TimedOut, Tests::Red));
    world.answer(task, &both(Tests::TimedOut, Tests::Red));
    assert_eq!(world.task(task).required, ["tests/test_new.py::test_new"]);
    let evidence = evidence(&world, task);
    assert_eq!((evidence.outcome, evidence.other.as_ref().unwrap().harness), (CheckOutcome::Red, HarnessOf::Base));
    assert_eq!(harness::told(std::slice::from_ref(evidence))[0].id, OWN_ONLY);
}

#[test]
fn the_harness_of_an_accepted_stage_that_wrote_tests_is_the_bases_from_then_on() {
    let (mut world, task) = at("feature", "qa", "check");
    let order = |world: &World| match &world.work(task).unwrap().order {
        Order::Check(order) => order.clone(),
        other => panic!("{other:?}"),
    };
    // Its own check is held to what was there before.
    assert_eq!(order(&world).accepted, []);
    let qa = order(&world).head.clone();
    world.reach(task, "impl", "check");
    let accepted = order(&world).accepted.clone();
    assert_eq!(
        (accepted.len(), &accepted[0].commit, accepted[0].paths.as_slice()),
        (1, &qa, &["shop.py".to_owned()][..])
    );
    world.reach(task, "judge", "judge");
    let Order::Judge(judge) = &world.work(task).unwrap().order else { panic!() };
    // What another stage wrote over since is no test of that stage any more.
    assert_eq!((judge.accepted.len(), judge.accepted[0].paths.len()), (1, 0));
    assert_eq!(judge.check.as_deref(), Some("pytest"));
}

#[test]
fn a_second_run_beside_a_first_of_an_older_host_is_the_last() {
    let (mut world, task) = at("quick", "impl", "run");
    world.reach(task, "impl", "check");
    world.answer(task, &Choice::Tested(Tests::Red));
    world.answer(task, &both(Tests::Red, Tests::Red));
    assert_eq!(world.task(task).phase.position().unwrap().used, 1);
}
