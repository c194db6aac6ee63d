//! The daily caps: told at 80 %, one task at a time from 90 %, nothing at 100 %; parked work is kept and goes on the next day, or as soon as
//! the cap is raised. [`World`] holds the promises after every event.

use super::{
    doers::{Choice, Tests, Work},
    promises::{happens, play},
    world::{POLICY, World, person, policy},
};
use crate::{
    budget::{Budget, MicroUsd, Spent},
    collect::Collected,
    daily::DAY_MS,
    effect::Order,
    event::{Answer, Body, Event, HostEvent, Meanwhile, Said},
    executor::{EndCause, OutcomeStatus},
    id::{RunKey, RunKind, TaskId},
    owner::Owner,
    people::{PersonId, Role},
    policy::Policy,
    step::{State, Stepped, next_deadline, step},
    task::{Doing, Phase, Running, Status, Stopping, Task},
};
use proptest::{collection::vec, prelude::*};
use std::sync::Arc;

fn capped(host: Option<&str>, people: Option<&str>) -> Policy {
    let line = |cap: Option<&str>| cap.map(|cap| format!("daily = \"{cap}\"\n")).unwrap_or_default();
    let same = "same = [[\"console:1\", \"console:3\"]]\n";
    let text = POLICY
        .replace("[host]\n", &format!("[host]\n{}", line(host)))
        .replace("[people]\n", &format!("[people]\n{same}{}", line(people)));
    policy(&text)
}

fn costs(micros: u64) -> Spent {
    Spent { turns: 1, cost: MicroUsd(micros), ..Spent::default() }
}

/// The gateway books a request of a task's latest run.
fn pays(world: &mut World, task: TaskId, spent: Spent) {
    let run = RunKey { owner: task.into(), place: 0, fence: 1, kind: RunKind::Agent };
    world.happen(task, Body::Meanwhile(Meanwhile::Metered { run, spent, estimated: false, request: None }));
}

/// The policy files were edited.
fn edited(world: &mut World, policy: Policy) {
    let digest = policy.digest;
    world.policies.load(Arc::new(policy));
    world.take(Event {
        at_ms: world.now,
        owner: Owner::Host,
        settles: None,
        body: Body::Host(HostEvent::PolicyLoaded { digest }),
    });
}

fn killed() -> Choice {
    Choice::Ended(EndCause::Cancelled, OutcomeStatus::Failed)
}

fn stopped_at_cap(world: &mut World, task: TaskId) {
    let at = world.task(task).phase.position().expect("at work").clone();
    assert!(
        matches!(&world.task(task).phase, Phase::Running(Running { stopping: Some(Stopping::ForTheDay), .. })),
        "{:?}",
        world.task(task).phase
    );
    world.answer(task, &killed());
    world.answer(task, &Choice::Collected(Work::Changed));
    let Phase::Parked { at: parked, until_ms, reason, daily: true } = &world.task(task).phase else {
        panic!("{:?}", world.task(task).phase)
    };
    assert_eq!((parked.stage, parked.used), (at.stage, at.used), "no attempt is used up");
    assert_eq!(*until_ms, DAY_MS);
    assert!(reason.contains("until 00:00 UTC") && reason.contains("`daily` in ["), "{reason}");
    assert!(parked.kept.is_some(), "the work is kept");
}

#[test]
fn at_the_cap_a_run_is_stopped_its_work_kept_and_the_next_day_goes_on_from_there() {
    let mut world = World::under(capped(Some("$1.00"), None));
    let task = world.create("quick", "acme/shop");
    world.reach(task, "impl", "run");
    pays(&mut world, task, costs(1_000_000));
    let stops = world.latest.iter().filter(|effect| matches!(effect.order, Order::Stop(_))).count();
    assert_eq!(stops, 1);
    stopped_at_cap(&mut world, task);
    let kept = world.task(task).phase.position().and_then(|at| at.kept.clone()).expect("kept");
    assert!(world.told.iter().any(|notice| format!("{:?}", notice.parts).contains("until 00:00 UTC")));
    assert!(world.task(task).records.is_empty(), "it is nobody's accepted work");
    // A moment before midnight nothing moves; at midnight it goes on by itself.
    assert_eq!(next_deadline(&world.state), Some((DAY_MS, task)));
    world.now = DAY_MS - 1;
    world.happen(task, Body::Meanwhile(Meanwhile::DeadlinePassed));
    assert_eq!(world.status(task), Status::Parked);
    world.now = DAY_MS;
    world.happen(task, Body::Meanwhile(Meanwhile::DeadlinePassed));
    assert_eq!(world.status(task), Status::Running);
    // What it is told, what it begins with, and what its work is told from.
    let Some(Order::Brief(order)) = world.work(task).map(|effect| effect.order.clone()) else { panic!() };
    let work = order.work;
    let told = work.failure.expect("why it begins again");
    assert!(told.contains("money for the day") && told.contains("go on from there"), "{told}");
    assert_eq!(work.attempt, 1);
    world.answer(task, &Choice::Done);
    let Some(Order::Run(order)) = world.work(task).map(|effect| effect.order.clone()) else { panic!() };
    assert_eq!(order.head, kept.commit);
    let mut made = kept.artefacts.iter().filter(|made| made.name != "question.md");
    assert!(made.all(|made| order.inputs.iter().any(|file| file.digest == made.digest)));
    let head = world.task(task).head.clone();
    world.answer(task, &Choice::Ended(EndCause::Exited, OutcomeStatus::Completed));
    let Some(Order::Collect(order)) = world.work(task).map(|effect| effect.order.clone()) else { panic!() };
    assert_eq!(Some(order.parent), head, "so that nothing of the first run escapes those who look at the change");
    world.finish(task);
    assert_eq!(world.status(task), Status::Completed);
    assert_eq!(world.task(task).records.len(), 1);
    world.hold_the_end();
}

/// The run that is owed a collection left nothing in /out.
fn leaves_nothing(world: &mut World, task: TaskId) {
    let effect = world.work(task).cloned().expect("a collection");
    let Order::Collect(order) = &effect.order else { panic!("{:?}", effect.order) };
    let commit = order.parent.clone();
    let collected = Collected {
        commit,
        changed: Vec::new(),
        left_behind: Vec::new(),
        incomplete: Vec::new(),
        artefacts: Vec::new(),
    };
    let body = Body::Answer(Answer::Collected { run: order.run, collected });
    world.take(Event { at_ms: world.now, owner: task.into(), settles: Some(effect.key.clone()), body });
}

#[test]
fn what_was_written_before_a_cap_need_not_be_written_again() {
    let mut world = World::under(capped(Some("$1.00"), None));
    let task = world.create("feature", "acme/shop");
    world.reach(task, "spec", "run");
    pays(&mut world, task, costs(1_000_000));
    stopped_at_cap(&mut world, task);
    // The next day it is stopped before it writes anything, and the day after it finds all of it there.
    world.now = DAY_MS;
    world.happen(task, Body::Meanwhile(Meanwhile::DeadlinePassed));
    world.reach(task, "spec", "run");
    pays(&mut world, task, costs(1_000_000));
    world.answer(task, &killed());
    leaves_nothing(&mut world, task);
    world.now = 2 * DAY_MS;
    world.happen(task, Body::Meanwhile(Meanwhile::DeadlinePassed));
    world.reach(task, "spec", "run");
    world.answer(task, &Choice::Ended(EndCause::Exited, OutcomeStatus::Completed));
    leaves_nothing(&mut world, task);
    let Some(Order::Accept(order)) = world.work(task).map(|effect| effect.order.clone()) else { panic!() };
    assert!(order.produced.iter().any(|file| file.name == "spec.md"), "{:?}", order.produced);
    world.finish(task);
    assert_eq!(world.status(task), Status::Completed);
    assert!(world.task(task).records[0].artefacts.iter().any(|made| made.name == "spec.md"));
}

#[test]
fn a_raised_cap_goes_on_at_once_and_a_lowered_one_stops() {
    let mut world = World::under(capped(Some("$1.00"), None));
    let (first, second) = (world.create("quick", "acme/shop"), world.create("ask", "acme/site"));
    for task in [first, second] {
        world.reach(task, if task == first { "impl" } else { "answer" }, "run");
    }
    pays(&mut world, first, costs(400_000));
    assert!(world.latest.is_empty());
    edited(&mut world, capped(Some("$0.30"), None));
    for task in [first, second] {
        stopped_at_cap(&mut world, task);
    }
    let third = world.create("quick", "acme/docs");
    assert_eq!(world.status(third), Status::Parked, "nothing starts");
    edited(&mut world, capped(Some("$0.40"), None));
    assert_eq!(world.status(first), Status::Parked, "that is no more than was spent");
    edited(&mut world, capped(Some("$5.00"), None));
    assert_eq!(
        [first, second, third].map(|task| world.status(task)),
        [Status::Running, Status::Running, Status::Queued]
    );
    world.drain();
    assert!(world.state.tasks.values().all(|task| task.status() == Status::Completed));
    // A cap that is taken away holds nothing either.
    pays(&mut world, first, costs(9_000_000));
    let fourth = world.create("quick", "acme/shop");
    assert_eq!(world.status(fourth), Status::Parked);
    edited(&mut world, capped(None, None));
    assert_eq!(world.status(fourth), Status::Running);
}

#[test]
fn from_90_percent_on_one_task_runs_at_a_time_and_whoever_waits_is_told() {
    let mut world = World::under(capped(Some("$1.00"), None));
    let first = world.create("ask", "acme/shop");
    world.reach(first, "answer", "run");
    pays(&mut world, first, costs(899_999));
    let second = world.create("ask", "acme/site");
    assert_eq!(world.status(second), Status::Running, "there is a place for it");
    pays(&mut world, first, costs(1));
    assert_eq!(world.status(second), Status::Running, "what runs goes on");
    let third = world.create("ask", "acme/docs");
    assert_eq!(world.status(third), Status::Queued);
    let told = format!("{:?}", world.told.last().expect("told").parts);
    assert!(told.contains("one task runs at a time") && told.contains("$0.9000 of $1.0000"), "{told}");
    world.finish(first);
    assert_eq!(world.status(third), Status::Queued, "one is at work still");
    world.finish(second);
    assert_eq!(world.status(third), Status::Running);
    world.drain();
    assert!(world.state.tasks.values().all(|task| task.status() == Status::Completed));
}

#[test]
fn a_persons_cap_holds_back_that_human_only() {
    let mut world = World::under(capped(None, Some("$1.00")));
    let of = |name: &str| PersonId(name.into());
    let by = |world: &mut World, repository: &str, name: &str| {
        world.create_with("ask", repository, |task| task.by = of(name))
    };
    // Two identities of one human, and somebody else.
    let first = by(&mut world, "acme/shop", "console:3");
    world.reach(first, "answer", "run");
    pays(&mut world, first, costs(950_000));
    let warning = world.told.last().expect("told");
    assert!(format!("{:?}", warning.parts).contains("$0.9500 of $1.0000 of what you may spend"), "{warning:?}");
    let second = by(&mut world, "acme/site", "console:1");
    assert_eq!(world.status(second), Status::Queued, "one task of theirs at a time");
    let other = by(&mut world, "acme/docs", "console:2");
    assert_eq!(world.status(other), Status::Running);
    world.tidy();
    let before = world.told.len();
    pays(&mut world, first, costs(10_000));
    assert_eq!(world.told.len(), before, "told once a day");
    pays(&mut world, first, costs(90_000));
    assert_eq!(world.status(second), Status::Parked);
    assert_eq!(world.status(other), Status::Running);
    world.finish(other);
    assert_eq!(world.status(other), Status::Completed);
    stopped_at_cap(&mut world, first);
    world.drain();
    assert!(world.now >= DAY_MS);
    assert!(world.state.tasks.values().all(|task| task.status() == Status::Completed));
}

#[test]
fn what_costs_nothing_goes_on_and_the_next_agent_waits() {
    let mut world = World::under(capped(Some("$1.00"), None));
    let task = world.create("feature", "acme/shop");
    world.reach(task, "qa", "check");
    pays(&mut world, task, costs(2_000_000));
    assert_eq!(world.status(task), Status::Running, "tests cost nothing");
    world.answer(task, &Choice::Tested(Tests::Red));
    if world.status(task) == Status::Running {
        world.answer(task, &Choice::Tested(Tests::Red));
    }
    let at = world.task(task).phase.position().expect("a place");
    assert_eq!((world.status(task), at.stage, at.used), (Status::Parked, 2, 0), "the worker waits for the next day");
    // An answer, a retry or a deadline too early changes nothing.
    world.happen(task, Body::Said(Said::Unblocked { by: person(Role::Owner) }));
    assert_eq!(world.status(task), Status::Parked);
    // A change that is judged and waits for delivery is not held back.
    let judged = {
        let mut world = World::under(capped(Some("$1.00"), None));
        let task = world.create("quick", "acme/shop");
        world.reach(task, "judge", "judge");
        pays(&mut world, task, costs(2_000_000));
        world.finish(task);
        world.status(task)
    };
    assert_eq!(judged, Status::Completed);
}

#[test]
fn a_run_that_was_stopped_for_the_day_ends_in_every_way() {
    use Choice::{Ended, NotStarted};
    for (answer, then) in [
        (killed(), Status::Parked),
        (Ended(EndCause::KilledBySignal, OutcomeStatus::Failed), Status::Parked),
        (Ended(EndCause::Exited, OutcomeStatus::Transient), Status::Parked),
        (Ended(EndCause::Exited, OutcomeStatus::Failed), Status::Parked),
        (Ended(EndCause::TimedOut, OutcomeStatus::Failed), Status::Parked),
        (Ended(EndCause::Lost, OutcomeStatus::Failed), Status::Parked),
        (NotStarted { transient: true }, Status::Parked),
        (NotStarted { transient: false }, Status::Parked),
        // It was done before it could be stopped.
        (Ended(EndCause::Exited, OutcomeStatus::Completed), Status::Completed),
    ] {
        let mut world = World::under(capped(Some("$1.00"), None));
        let task = world.create("ask", "acme/shop");
        world.reach(task, "answer", "run");
        pays(&mut world, task, costs(1_000_000));
        world.answer(task, &answer);
        world.finish(task);
        assert_eq!(world.status(task), then, "{answer:?}");
        world.drain();
        assert_eq!(world.status(task), Status::Completed, "{answer:?}");
        assert!(world.task(task).records.iter().all(|record| record.attempt == 1), "{answer:?} used up an attempt");
        world.hold_the_end();
    }
}

#[test]
fn a_task_that_is_cancelled_while_a_cap_holds_it_keeps_its_work() {
    let mut world = World::under(capped(Some("$1.00"), None));
    let task = world.create("quick", "acme/shop");
    world.reach(task, "impl", "run");
    pays(&mut world, task, costs(1_000_000));
    stopped_at_cap(&mut world, task);
    let kept = world.task(task).phase.position().and_then(|at| at.kept.clone()).expect("kept");
    world.happen(task, Body::Said(Said::CancelRequested { by: person(Role::Member) }));
    assert_eq!((world.status(task), world.task(task).head.as_ref()), (Status::Cancelled, Some(&kept.commit)));
    assert_eq!(world.task(task).records.len(), 1);
    // Cancelled while it is being stopped: that counts, and it is stopped once.
    let task = world.create_with("quick", "acme/site", |task| task.by = PersonId("console:2".into()));
    edited(&mut world, capped(Some("$9.00"), None));
    world.reach(task, "impl", "run");
    edited(&mut world, capped(Some("$1.00"), None));
    world.happen(task, Body::Said(Said::CancelRequested { by: person(Role::Owner) }));
    assert!(!world.latest.iter().any(|effect| matches!(effect.order, Order::Stop(_))), "{:?}", world.latest);
    world.answer(task, &killed());
    world.finish(task);
    assert_eq!(world.status(task), Status::Cancelled);
}

#[test]
fn a_budget_that_is_used_up_as_well_ends_the_task_and_nothing_it_did_is_lost() {
    let mut world = World::under(capped(Some("$1.00"), None));
    let cost = MicroUsd(1_000_000);
    let task = world.create_with("quick", "acme/shop", |task| {
        task.budget = Budget { turns: 100, tokens: 1_000_000, cost, wall_ms: 36_000_000 };
    });
    world.reach(task, "impl", "run");
    pays(&mut world, task, costs(1_000_000));
    world.answer(task, &killed());
    world.answer(task, &Choice::Collected(Work::Changed));
    assert_eq!((world.status(task), world.task(task).records.len()), (Status::Capped, 1));
}

#[test]
fn a_subscription_is_no_money_and_stops_nothing() {
    let mut world = World::under(capped(Some("$1.00"), Some("$1.00")));
    let task = world.create("ask", "acme/shop");
    world.reach(task, "answer", "run");
    pays(&mut world, task, Spent { notional: MicroUsd(50_000_000), ..costs(50_000_000) });
    assert!(world.latest.is_empty(), "{:?}", world.latest);
    assert_eq!(world.task(task).spent.cost, MicroUsd(50_000_000), "it is told");
    world.finish(task);
    assert_eq!(world.status(task), Status::Completed);
    // Where policy counts it, the gateway marks none of it.
    let task = world.create("ask", "acme/shop");
    world.reach(task, "answer", "run");
    pays(&mut world, task, costs(1_000_000));
    stopped_at_cap(&mut world, task);
}

#[test]
fn what_is_booked_after_the_end_counts_for_whoever_asked() {
    let mut world = World::under(capped(None, Some("$1.00")));
    let task = world.create("ask", "acme/shop");
    world.finish(task);
    let next = world.create("ask", "acme/shop");
    let other = world.create_with("ask", "acme/site", |task| task.by = PersonId("console:2".into()));
    for task in [next, other] {
        world.reach(task, "answer", "run");
    }
    // The engine lets go of what has ended.
    world.state.tasks.remove(&task);
    pays(&mut world, task, costs(1_000_000));
    assert!(!matches!(&world.task(other).phase, Phase::Running(Running { stopping: Some(_), .. })));
    stopped_at_cap(&mut world, next);
}

#[test]
fn a_host_that_comes_back_stops_what_it_was_stopping() {
    let mut world = World::under(capped(Some("$1.00"), None));
    let task = world.create("ask", "acme/shop");
    world.reach(task, "answer", "run");
    pays(&mut world, task, costs(1_000_000));
    // As it is read from the journal.
    let read: Vec<Task> = world
        .state
        .tasks
        .values()
        .map(|task| serde_json::from_str(&serde_json::to_string(task).unwrap()).unwrap())
        .collect();
    let day = serde_json::from_str(&serde_json::to_string(&world.state.day).unwrap()).unwrap();
    let tasks = read.into_iter().map(|task| (task.id(), task)).collect();
    let state = State { tasks, day, ..State::default() };
    let body = Body::Host(HostEvent::HostStarted { version: "1".into(), sandbox: "docker".into() });
    let event = Event { at_ms: world.now, owner: Owner::Host, settles: None, body };
    let Stepped { state, effects, .. } = step(state, &event, &world.policies);
    assert_eq!(state, world.state);
    assert!(effects.iter().any(|effect| matches!(effect.order, Order::Stop(_))), "{effects:?}");
}

#[test]
fn a_run_of_an_earlier_version_that_was_being_cancelled_is_read_so() {
    for (text, want) in [("null", None), ("\"cancelled\"", Some(crate::task::Ending::Cancelled))] {
        let read: Option<Stopping> = serde_json::from_str(text).unwrap();
        assert_eq!(read.and_then(Stopping::ending), want, "{text}");
        assert_eq!(serde_json::to_string(&read).unwrap(), text);
    }
    let text = serde_json::to_string(&Some(Stopping::ForTheDay)).unwrap();
    assert_eq!(serde_json::from_str::<Option<Stopping>>(&text).unwrap(), Some(Stopping::ForTheDay));
}

/// What may happen to money while all else happens.
#[derive(Clone, Debug)]
enum Money {
    Paid { task: u64, micros: u64, notional: bool },
    Capped { host: Option<u64>, people: Option<u64> },
    NextDay,
}

fn money() -> impl Strategy<Value = Money> {
    let cap = || prop_oneof![Just(None), (1..40_u64).prop_map(Some)];
    prop_oneof![
        6 => (1..6_u64, 1..400_000_u64, prop::bool::weighted(0.2))
            .prop_map(|(task, micros, notional)| Money::Paid { task, micros, notional }),
        2 => (cap(), cap()).prop_map(|(host, people)| Money::Capped { host, people }),
        1 => Just(Money::NextDay),
    ]
}

fn spend(world: &mut World, money: &Money) {
    match money {
        Money::Paid { task, micros, notional } => {
            let spent = costs(*micros);
            let notional = MicroUsd(if *notional { *micros } else { 0 });
            pays(world, TaskId(*task), Spent { notional, ..spent });
        }
        Money::Capped { host, people } => {
            let text = |dimes: &Option<u64>| dimes.map(|dimes| format!("${}.{}0", dimes / 10, dimes % 10));
            edited(world, capped(text(host).as_deref(), text(people).as_deref()));
        }
        Money::NextDay => {
            world.now = (world.now / DAY_MS + 1) * DAY_MS;
            for task in 1..6 {
                world.happen(TaskId(task), Body::Meanwhile(Meanwhile::DeadlinePassed));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 120, max_shrink_iters: 500, ..ProptestConfig::default() })]

    /// Whatever happens, and whatever is spent and capped meanwhile: [`World`] holds that nothing starts at a cap and one at a time near it,
    /// and in the end every task has come to its end.
    #[test]
    fn no_cap_is_walked_around_and_no_task_is_lost(
        all in vec((happens(), prop::option::weighted(0.4, money())), 1..120),
    ) {
        let mut world = World::under(capped(Some("$2.00"), Some("$1.00")));
        world.create("feature", "acme/shop");
        for (happens, money) in &all {
            play(&mut world, happens);
            if let Some(money) = money {
                spend(&mut world, money);
            }
        }
        world.drain();
        world.hold_the_end();
    }

    /// Work that a cap interrupts as often as it likes is done in the end, with no attempt used up by it.
    #[test]
    fn whatever_a_cap_interrupts_is_done_on_a_later_day(costs in vec(1..900_000_u64, 1..30)) {
        let mut world = World::under(capped(Some("$1.00"), None));
        for (pipeline, repository) in [("feature", "acme/shop"), ("quick", "acme/site"), ("ask", "acme/docs")] {
            world.create(pipeline, repository);
        }
        for cost in costs {
            let at_work = world.state.tasks.values().find(|task| {
                matches!(&task.phase, Phase::Running(Running { doing: Doing::Agent(_), stopping: None, .. }))
            });
            match at_work.map(Task::id) {
                Some(task) => {
                    pays(&mut world, task, self::costs(cost));
                    let stopped: Vec<TaskId> = world.state.tasks.values().filter(|task| {
                        matches!(&task.phase, Phase::Running(Running { stopping: Some(_), .. }))
                    }).map(Task::id).collect();
                    for task in stopped {
                        world.answer(task, &killed());
                        world.answer(task, &Choice::Collected(Work::Changed));
                    }
                }
                None => {
                    if let Some(effect) = world.owed.values().next().cloned() {
                        let good = super::doers::answers(&effect.order, world.task(effect.owner.task().expect("a task's"))).remove(0);
                        world.perform(&effect, &good);
                    } else if let Some((at_ms, task)) = next_deadline(&world.state) {
                        world.now = world.now.max(at_ms);
                        world.happen(task, Body::Meanwhile(Meanwhile::DeadlinePassed));
                    }
                }
            }
        }
        world.drain();
        world.hold_the_end();
        for task in world.state.tasks.values() {
            prop_assert_eq!(task.status(), Status::Completed, "{:?}", task.phase);
            prop_assert!(task.records.iter().all(|record| record.attempt == 1), "an attempt was used up");
        }
    }
}
