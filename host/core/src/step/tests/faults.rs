//! One test for each fault that was found in the state machine.

use super::{
    doers::{Choice, Opinion, Tests, Work},
    world::{POLICY, World, digest_of, person, policy, small_budget, word},
};
use crate::{
    approval::{DigestParts, change_digest},
    budget::{Budget, MicroUsd},
    chat::Part,
    denial::DenialNote,
    effect::Order,
    event::{Answer, Body, Event, HostEvent, Meanwhile, Said},
    executor::{EndCause, OutcomeStatus},
    facts::CheckOutcome,
    id::{RunKey, RunKind, TaskId},
    owner::Owner,
    people::Role,
    persona::Acceptance,
    task::{Phase, Status, Task},
};
use std::sync::Arc;

fn retry(world: &mut World, task: TaskId) {
    world.happen(task, Body::Said(Said::Unblocked { by: person(Role::Member) }));
}

fn cancel(world: &mut World, task: TaskId) {
    world.happen(task, Body::Said(Said::CancelRequested { by: person(Role::Member) }));
}

fn owed(world: &World, task: TaskId) -> &'static str {
    world.work(task).map_or("nothing", |effect| word(&effect.order))
}

fn reason(task: &Task) -> &str {
    match &task.phase {
        Phase::Blocked { reason, .. } | Phase::Ended { reason, .. } | Phase::Parked { reason, .. } => reason,
        other => panic!("{other:?}"),
    }
}

fn used(task: &Task) -> u32 {
    task.phase.position().map_or(0, |at| at.used)
}

const COMPLETED: Choice = Choice::Ended(EndCause::Exited, OutcomeStatus::Completed);
const TRANSIENT: Choice = Choice::Ended(EndCause::Exited, OutcomeStatus::Transient);
const LOST: Choice = Choice::Ended(EndCause::Lost, OutcomeStatus::Failed);

/// A world with one task of this pipeline that owes this.
fn at(pipeline: &str, stage: &str, kind: &str) -> (World, TaskId) {
    let mut world = World::new();
    let task = world.create(pipeline, "acme/shop");
    world.reach(task, stage, kind);
    (world, task)
}

#[test]
fn a_baseline_whose_sandbox_failed_is_not_skipped_by_a_retry() {
    let (mut world, task) = at("quick", "impl", "check");
    world.answer(task, &Choice::Tested(Tests::SandboxFailed));
    retry(&mut world, task);
    world.reach(task, "impl", "check");
    assert!(matches!(&world.work(task).unwrap().order, Order::Check(order) if order.run.kind == RunKind::Baseline));
    assert_eq!(world.task(task).baseline, None);
}

#[test]
fn a_repeated_baseline_and_a_repeated_check_have_names_of_their_own() {
    let (mut world, task) = at("quick", "impl", "check");
    world.answer(task, &Choice::Tested(Tests::Red));
    world.answer(task, &Choice::Tested(Tests::Green));
    world.reach(task, "impl", "accept");
    world.answer(task, &Choice::Said(Acceptance::Accept));
    // The world refuses a second run of one name.
    world.answer(task, &Choice::Tested(Tests::Red));
    world.answer(task, &Choice::Tested(Tests::Red));
    world.finish(task);
    world.hold_the_end();
}

#[test]
fn work_that_cannot_be_collected_does_not_undo_an_end() {
    let (mut world, task) = at("quick", "impl", "run");
    cancel(&mut world, task);
    world.answer(task, &Choice::Ended(EndCause::Cancelled, OutcomeStatus::Failed));
    world.answer(task, &Choice::Failed);
    assert_eq!(world.status(task), Status::Cancelled);

    // Nobody asked for this end, so the work is not given up for it.
    let (mut world, task) = at("quick", "impl", "run");
    world.answer(task, &Choice::Ended(EndCause::Capped, OutcomeStatus::Capped));
    world.answer(task, &Choice::Failed);
    assert_eq!(world.status(task), Status::Blocked);
    assert!(reason(world.task(task)).contains("the disk is full"));
    retry(&mut world, task);
    world.answer(task, &Choice::Collected(Work::Changed));
    assert_eq!((world.status(task), world.task(task).records.len()), (Status::Capped, 1));
}

#[test]
fn a_plugin_that_fails_a_cancelled_run_does_not_undo_the_cancel() {
    let (mut world, task) = at("quick", "impl", "run");
    cancel(&mut world, task);
    world.answer(task, &Choice::PluginFailed);
    assert_eq!(world.status(task), Status::Cancelled);
    world.tidy();
    world.hold_the_end();
}

#[test]
fn a_run_that_never_started_is_not_collected_when_cancelled() {
    let (mut world, task) = at("quick", "impl", "run");
    cancel(&mut world, task);
    world.answer(task, &Choice::NotStarted { transient: true });
    assert_eq!(world.status(task), Status::Cancelled);
    world.tidy();
    world.hold_the_end();
}

#[test]
fn a_check_is_stopped_and_waited_for_before_a_cancelled_task_lets_go() {
    for kind in ["baseline", "check"] {
        let (mut world, task) = at("quick", "impl", if kind == "check" { "accept" } else { "check" });
        if kind == "check" {
            world.answer(task, &Choice::Said(Acceptance::Accept));
        }
        let other = world.create("quick", "acme/shop");
        cancel(&mut world, task);
        assert_eq!(world.latest.iter().map(|effect| word(&effect.order)).collect::<Vec<_>>(), ["stop"]);
        assert_eq!((world.status(task), world.status(other)), (Status::Running, Status::Queued));
        world.answer(task, &Choice::Tested(Tests::Missing));
        assert_eq!((world.status(task), world.status(other)), (Status::Cancelled, Status::Running));
        assert_eq!(world.task(task).records.len(), usize::from(kind == "check"), "its work is kept");
    }
}

#[test]
fn a_restart_remembers_what_was_being_stopped() {
    let (mut world, task) = at("quick", "impl", "run");
    cancel(&mut world, task);
    world.tidy();
    let body = Body::Host(HostEvent::HostStarted { version: "1".into(), sandbox: "docker".into() });
    world.take(Event { at_ms: world.now, owner: Owner::Host, settles: None, body });
    assert!(matches!(&world.latest[..], [stop] if matches!(stop.order, Order::Stop(_))));
}

#[test]
fn a_persona_that_failed_is_asked_again_about_the_same_work() {
    let (mut world, task) = at("quick", "impl", "accept");
    world.answer(task, &Choice::PluginFailed);
    retry(&mut world, task);
    assert_eq!(owed(&world, task), "accept");
    let Order::Accept(order) = &world.work(task).unwrap().order else { panic!() };
    let report = &order.report;
    assert_eq!((report.message.as_str(), &report.changed[..]), ("as I said", &["shop.py".to_owned()][..]));
    world.finish(task);
    assert_eq!(world.status(task), Status::Completed);
    assert_eq!(world.task(task).records[0].attempt, 1);
}

#[test]
fn a_check_whose_sandbox_failed_is_done_again_on_the_same_work() {
    let (mut world, task) = at("quick", "impl", "accept");
    world.answer(task, &Choice::Said(Acceptance::Accept));
    world.answer(task, &Choice::Tested(Tests::SandboxFailed));
    let (mut other, same) = at("quick", "impl", "accept");
    other.answer(same, &Choice::Said(Acceptance::Accept));
    other.answer(same, &Choice::Tested(Tests::SandboxFailed));
    retry(&mut world, task);
    assert_eq!((owed(&world, task), used(world.task(task))), ("check", 0));
    // Cancelled instead, its work stays where people can see it.
    cancel(&mut other, same);
    assert!(other.task(same).has_changes());
}

#[test]
fn tests_that_ran_out_of_time_use_up_no_attempt_and_are_told_to_the_next_run() {
    let (mut world, task) = at("quick", "impl", "accept");
    world.answer(task, &Choice::Said(Acceptance::Accept));
    world.answer(task, &Choice::Tested(Tests::TimedOut));
    retry(&mut world, task);
    let Order::Brief(order) = &world.work(task).unwrap().order else { panic!() };
    let work = &order.work;
    assert_eq!(work.attempt, 1);
    assert!(work.failure.as_ref().unwrap().contains("ran out of time"));
}

#[test]
fn a_cap_between_attempts_keeps_the_work_of_the_last() {
    for (kind, answers) in [
        ("accept", vec![Choice::Said(Acceptance::Retry("why".into()))]),
        ("run", vec![Choice::Ended(EndCause::Silent, OutcomeStatus::Failed), Choice::Collected(Work::Changed)]),
    ] {
        let mut world = World::new();
        let task = world.create_with("quick", "acme/shop", |task| task.budget = small_budget(1));
        world.reach(task, "impl", kind);
        for answer in &answers {
            world.answer(task, answer);
        }
        assert_eq!(world.status(task), Status::Capped, "{kind}");
        assert!(world.task(task).has_changes(), "{kind}");
        assert!(reason(world.task(task)).contains("budget for turns"), "{}", reason(world.task(task)));
    }
}

#[test]
fn a_rate_limit_at_the_cap_keeps_the_work_so_far() {
    for status in [OutcomeStatus::RateLimited, OutcomeStatus::Transient] {
        let mut world = World::new();
        let task = world.create_with("quick", "acme/shop", |task| task.budget = small_budget(1));
        world.reach(task, "impl", "run");
        world.answer(task, &Choice::Ended(EndCause::Exited, status));
        world.answer(task, &Choice::Collected(Work::Changed));
        assert_eq!((world.status(task), world.task(task).has_changes()), (Status::Capped, true), "{status:?}");
    }
}

#[test]
fn a_state_does_not_carry_the_output_of_its_baseline() {
    let (world, task) = at("quick", "impl", "brief");
    let baseline = world.task(task).baseline.clone().unwrap();
    assert_eq!((baseline.output.text.as_str(), baseline.report.passed.len()), ("", 1));
}

#[test]
fn every_stage_has_its_own_budget_and_the_task_the_sum_of_what_was_spent() {
    let mut world = World::new();
    let task = world.create_with("feature", "acme/shop", |task| task.budget = small_budget(2));
    world.finish(task);
    assert_eq!((world.status(task), world.task(task).spent.turns), (Status::Completed, 3));
}

#[test]
fn a_path_that_was_refused_is_told_to_the_rules_once() {
    let (mut world, task) = at("look", "impl", "run");
    let run = world.task(task).live_run().unwrap();
    let denial = DenialNote { what: "tool Edit".into(), rule: "no".into(), remedy: String::new() };
    for _ in 0..2 {
        let path = Some("tests/test_new.py".to_owned());
        world.happen(task, Body::Meanwhile(Meanwhile::Denied { run, denial: denial.clone(), path }));
    }
    world.answer(task, &COMPLETED);
    world.answer(task, &Choice::Collected(Work::Nothing));
    world.answer(task, &Choice::Said(Acceptance::Accept));
    let Order::Judge(order) = &world.work(task).expect("judged although nothing changed").order else { panic!() };
    let refused: Vec<_> = order.commits.iter().flat_map(|commit| &commit.refused).collect();
    assert_eq!(refused, ["tests/test_new.py"]);
}

#[test]
fn a_run_ended_by_what_was_left_of_the_budget_is_capped_even_when_a_moment_is_left() {
    let mut world = World::new();
    // The run took 30,000 ms as the sandbox counts.
    let budget = Budget { turns: 100, tokens: 1_000_000, cost: MicroUsd(1_000_000), wall_ms: 30_010 };
    let task = world.create_with("quick", "acme/shop", |task| task.budget = budget);
    world.reach(task, "impl", "run");
    world.answer(task, &Choice::Ended(EndCause::TimedOut, OutcomeStatus::Failed));
    world.answer(task, &Choice::Collected(Work::Changed));
    assert_eq!(world.status(task), Status::Capped);
}

#[test]
fn what_only_a_rejected_attempt_lacked_does_not_lead_to_review() {
    let (mut world, task) = at("quick", "impl", "collect");
    world.answer(task, &Choice::Collected(Work::Incomplete));
    world.answer(task, &Choice::Said(Acceptance::Retry("why".into())));
    world.reach(task, "judge", "judge");
    assert!(matches!(&world.work(task).unwrap().order, Order::Judge(order) if order.incomplete.is_empty()));

    let (mut world, task) = at("quick", "impl", "collect");
    world.answer(task, &Choice::Collected(Work::Incomplete));
    world.reach(task, "judge", "judge");
    assert!(matches!(&world.work(task).unwrap().order, Order::Judge(order) if order.incomplete == ["impl: too much"]));
    world.answer(task, &Choice::Judged(Opinion::Clean));
    assert_eq!(world.status(task), Status::NeedsReview);
}

#[test]
fn nothing_changed_is_still_judged_where_something_was_tried() {
    for (work, status) in [(Work::Nothing, Status::Completed), (Work::LeftBehind, Status::Running)] {
        let (mut world, task) = at("look", "impl", "collect");
        world.answer(task, &Choice::Collected(work));
        world.answer(task, &Choice::Said(Acceptance::Accept));
        assert_eq!(world.status(task), status, "{work:?}");
    }
}

#[test]
fn who_may_decide_is_what_policy_in_force_says() {
    let (mut world, task) = at("quick", "judge", "judge");
    world.answer(task, &Choice::Judged(Opinion::Bad));
    let digest = digest_of(world.task(task));
    let by = person(Role::Member);
    let approve = Body::Said(Said::Approved { by: by.clone(), digest, note: "I looked".into() });
    world.happen(task, approve.clone());
    assert_eq!(world.status(task), Status::Blocked);
    let promoted = POLICY.replace("member = [\"console:3\"]", "").replace("[\"console:1\"]", "[\"console:3\"]");
    world.policies.load(Arc::new(policy(&promoted)));
    world.happen(task, Body::Said(Said::Approved { by: person(Role::Owner), digest, note: String::new() }));
    assert_eq!(world.status(task), Status::Blocked, "the former owner");
    world.happen(task, approve);
    assert_eq!(world.status(task), Status::Approved);
    let decision = world.task(task).decision.clone().unwrap();
    assert_eq!((decision.by, decision.approved, decision.note.as_str()), (by, true, "I looked"));
}

#[test]
fn a_word_about_another_change_decides_nothing() {
    let (mut world, task) = at("quick", "judge", "judge");
    world.answer(task, &Choice::Judged(Opinion::Doubtful));
    let (by, digest) = (person(Role::Owner), crate::id::Digest([1; 32]));
    world.happen(task, Body::Said(Said::Rejected { by: by.clone(), digest, note: String::new() }));
    world.happen(task, Body::Said(Said::Approved { by, digest, note: String::new() }));
    assert_eq!((world.status(task), &world.task(task).decision), (Status::NeedsReview, &None));
}

#[test]
fn a_change_is_approved_even_where_the_pipeline_delivers_nothing() {
    let (mut world, task) = at("look", "judge", "judge");
    world.answer(task, &Choice::Judged(Opinion::Doubtful));
    let digest = digest_of(world.task(task));
    world.happen(task, Body::Said(Said::Approved { by: person(Role::Admin), digest, note: String::new() }));
    assert_eq!(world.status(task), Status::Approved);
    world.finish(task);
    assert_eq!(reason(world.task(task)), "judged; the pipeline delivers nothing");
}

#[test]
fn a_failed_delivery_is_tried_again_with_the_same_change() {
    let (mut world, task) = at("quick", "deliver", "deliver");
    let first = world.work(task).unwrap().clone();
    world.answer(task, &Choice::Failed);
    retry(&mut world, task);
    let second = world.work(task).unwrap().clone();
    assert_ne!(first.key, second.key);
    assert_eq!(first.order, second.order);
    world.finish(task);
    assert_eq!(world.status(task), Status::Completed);
}

#[test]
fn the_digest_is_over_the_evidence_that_the_rules_saw() {
    let (mut world, task) = at("quick", "judge", "judge");
    let Order::Judge(order) = world.work(task).unwrap().order.clone() else { panic!() };
    world.answer(task, &Choice::Judged(Opinion::Clean));
    let stages: Vec<_> = order.evidence.iter().map(|e| (e.stage.as_str(), e.outcome)).collect();
    assert_eq!(stages, [("baseline", CheckOutcome::Green), ("impl", CheckOutcome::Green)]);
    let of = |evidence| DigestParts {
        repository: "acme/shop",
        base: &order.base,
        head: &order.head,
        findings: &[],
        evidence,
        policy: &world.task(task).spec.policy,
    };
    assert_eq!(world.task(task).review.as_ref().unwrap().digest, change_digest(of(&order.evidence)));
}

#[test]
fn a_retry_goes_on_under_the_policy_in_force() {
    let (mut world, task) = at("quick", "impl", "prepare");
    world.answer(task, &Choice::NoCommand);
    let mended = policy(&POLICY.replace("check = \"pytest\"", "check = \"make test\""));
    world.policies.load(Arc::new(mended.clone()));
    retry(&mut world, task);
    assert_eq!((world.task(task).spec.policy, owed(&world, task)), (mended.digest, "prepare"));
}

#[test]
fn failures_of_the_world_use_up_no_attempt_and_end_with_a_person() {
    for answer in [TRANSIENT, LOST, Choice::NotStarted { transient: true }] {
        let (mut world, task) = at("quick", "impl", "run");
        for _ in 0..2 {
            world.answer(task, &answer);
            assert_eq!(world.status(task), Status::Parked, "{answer:?}");
            world.now += 86_400_000;
            world.happen(task, Body::Meanwhile(Meanwhile::DeadlinePassed));
            world.reach(task, "impl", "run");
        }
        world.answer(task, &answer);
        assert_eq!((world.status(task), used(world.task(task))), (Status::Blocked, 0), "{answer:?}");
        assert!(reason(world.task(task)).contains("3 times in a row"));
    }
}

#[test]
fn failures_of_the_world_are_counted_in_a_row() {
    let (mut world, task) = at("quick", "impl", "run");
    for answer in [&TRANSIENT, &TRANSIENT, &Choice::Ended(EndCause::Silent, OutcomeStatus::Failed), &TRANSIENT] {
        world.answer(task, answer);
        world.now += 86_400_000;
        world.happen(task, Body::Meanwhile(Meanwhile::DeadlinePassed));
        world.reach(task, "impl", "run");
    }
    assert_eq!((world.task(task).transients, used(world.task(task))), (1, 1));
}

#[test]
fn a_rate_limit_parks_as_long_as_the_provider_says_and_never_overflows() {
    let (mut world, task) = at("quick", "impl", "run");
    world.answer(task, &Choice::Ended(EndCause::Exited, OutcomeStatus::RateLimited));
    assert!(matches!(world.task(task).phase, Phase::Parked { until_ms, .. } if until_ms == world.now - 7 + 5_000));
    let (mut world, task) = at("quick", "impl", "run");
    world.now = u64::MAX - 100;
    world.answer(task, &TRANSIENT);
    assert!(matches!(world.task(task).phase, Phase::Parked { until_ms: u64::MAX, .. }));
}

#[test]
fn time_told_twice_counts_once() {
    let (mut world, task) = at("quick", "impl", "run");
    world.answer(task, &COMPLETED);
    let spent = world.task(task).spent;
    assert_eq!((spent.wall_ms, spent.turns), (30_000, 1));
    let again = world.log.last().unwrap().clone();
    world.take(again.clone());
    assert_eq!(world.task(task).spent, spent);
    // What an older attempt spent still counts, and changes nothing else.
    let Body::Answer(Answer::RunEnded { end, outcome, .. }) = again.body else { panic!() };
    let run = RunKey { owner: task.into(), place: 0, fence: 0, kind: RunKind::Agent };
    let before = world.task(task).clone();
    world.happen(task, Body::Answer(Answer::RunEnded { run, end, outcome, wall_ms: 5, start_error: None }));
    assert_eq!(world.task(task).spent.wall_ms, 30_005);
    assert_eq!((&world.task(task).phase, &world.task(task).last_words), (&before.phase, &before.last_words));
}

#[test]
fn refusals_are_kept_once_each_and_not_without_end() {
    let (mut world, task) = at("quick", "impl", "run");
    let run = world.task(task).live_run().unwrap();
    for n in 0..1_000 {
        let denial = DenialNote { what: format!("path {}", n / 2), rule: "no".into(), remedy: String::new() };
        world.happen(task, Body::Meanwhile(Meanwhile::Denied { run, denial, path: None }));
    }
    assert_eq!(world.task(task).denials.len(), Task::DENIALS_KEPT);
    assert_eq!(world.task(task).denials[1].what, "path 1");
}

#[test]
fn an_answer_reaches_the_person_as_it_was_written() {
    let (mut world, task) = at("ask", "deliver", "deliver");
    let Order::Deliver(order) = &world.work(task).unwrap().order else { panic!() };
    assert_eq!(order.answer.as_ref().unwrap().name, "answer.md");
    world.finish(task);
    let texts: Vec<&Part> =
        world.told.last().unwrap().parts.iter().filter(|part| matches!(part, Part::Text(_))).collect();
    assert_eq!(texts, [&Part::Text("text of answer.md".into())]);
}

#[test]
fn what_kept_a_run_from_starting_is_nobodys_last_words() {
    let (mut world, task) = at("quick", "impl", "run");
    world.answer(task, &Choice::NotStarted { transient: false });
    assert_eq!(world.task(task).last_words, None);
}

#[test]
fn a_delivery_set_off_by_a_person_does_not_wait_and_holds_others_back() {
    let (mut world, task) = at("quick", "judge", "judge");
    world.answer(task, &Choice::Judged(Opinion::Doubtful));
    let running = world.create("quick", "acme/shop");
    let digest = digest_of(world.task(task));
    world.happen(task, Body::Said(Said::Approved { by: person(Role::Admin), digest, note: String::new() }));
    let third = world.create("quick", "acme/site");
    let got = [task, running, third].map(|id| world.status(id));
    assert_eq!(got, [Status::Approved, Status::Running, Status::Queued]);
    world.finish(task);
    assert_eq!(world.status(third), Status::Running);
}

#[test]
fn a_pause_starts_nothing_and_stops_nothing() {
    let (mut world, first) = at("quick", "impl", "run");
    world.happen(Owner::Host, Body::Said(Said::Paused { by: person(Role::Admin) }));
    let second = world.create("quick", "acme/site");
    world.answer(first, &COMPLETED);
    assert_eq!((owed(&world, first), world.status(second)), ("collect", Status::Queued));
    world.happen(Owner::Host, Body::Said(Said::Resumed { by: person(Role::Admin) }));
    assert_eq!(world.status(second), Status::Running);
}

#[test]
fn tests_that_could_not_be_built_must_pass_by_name_later() {
    let (mut world, task) = at("feature", "qa", "check");
    world.answer(task, &Choice::Tested(Tests::BuildRed));
    world.answer(task, &Choice::Tested(Tests::BuildRed));
    assert_eq!(world.task(task).required_names, ["test_new"]);
    assert_eq!(world.task(task).evidence[0].outcome, CheckOutcome::BuildRed);
    world.finish(task);
    assert_eq!(world.status(task), Status::Completed);
}

#[test]
fn the_last_attempt_fails_the_task_and_keeps_its_work() {
    let (mut world, task) = at("quick", "impl", "accept");
    for _ in 0..2 {
        world.reach(task, "impl", "accept");
        world.answer(task, &Choice::Said(Acceptance::Accept));
        world.answer(task, &Choice::Tested(Tests::Red));
        world.answer(task, &Choice::Tested(Tests::Red));
    }
    assert_eq!(world.status(task), Status::Failed);
    assert!(reason(world.task(task)).starts_with("stage impl failed 2 of 2 attempts: the host ran the tests"));
    assert!(reason(world.task(task)).contains("some output"));
    assert!(world.task(task).has_changes());
}
