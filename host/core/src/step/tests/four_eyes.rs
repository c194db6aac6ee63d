//! Who asks does not approve: row by row, and whatever happens to policy meanwhile. What is delivered is held against the promise by
//! [`super::world`].

use super::{
    doers::{Choice, Opinion},
    world::{POLICY, World, digest_of, policy},
};
use crate::{
    approval::{ApprovalError, ApprovedChange, Decider, decider::deciders},
    effect::{Audience, Order, TellOrder},
    event::{Body, Event, HostEvent, Said},
    id::{Digest, TaskId},
    intent::Intent,
    kept::Kept,
    owner::Owner,
    people::{PersonId, Role},
    permit::permit,
    policy::Policy,
    step::step,
    task::{Status, Task},
};
use proptest::{collection::vec, prelude::*};
use std::{collections::BTreeSet, sync::Arc};

/// Bodies of `[people]`, and what `[verdict]` says.
const PEOPLES: [(&str, &str); 9] = [
    ("owner = [\"console:1\"]", ""),
    ("owner = [\"console:1\"]\nadmin = [\"console:2\"]\nmember = [\"console:3\"]", ""),
    ("owner = [\"console:1\", \"bot:1\"]", ""),
    ("owner = [\"console:1\", \"bot:1\"]\nsame = [[\"console:1\", \"bot:1\"]]", ""),
    ("owner = [\"console:1\", \"bot:1\"]\nadmin = [\"console:2\"]\nsame = [[\"console:1\", \"bot:1\"]]", ""),
    ("owner = [\"console:1\", \"console:2\", \"bot:1\"]", ""),
    ("owner = [\"console:1\", \"console:2\"]", "own = \"allow\""),
    ("owner = [\"console:1\"]\nmember = [\"bot:1\"]\nadmin = [\"console:2\"]\nsame = [[\"bot:1\", \"console:2\"]]", ""),
    ("member = [\"console:1\", \"console:3\"]", ""),
];
const NAMES: [&str; 4] = ["console:1", "console:2", "console:3", "bot:1"];

fn people(n: usize) -> Policy {
    let (people, verdict) = PEOPLES[n];
    let shipped = "owner = [\"console:1\"]\nadmin = [\"console:2\"]\nmember = [\"console:3\"]";
    assert!(POLICY.contains(shipped));
    policy(&format!("{}\n[verdict]\n{verdict}\n", POLICY.replace(shipped, people)))
}

fn person(name: &str) -> PersonId {
    PersonId(name.into())
}

fn edit(world: &mut World, n: usize) {
    let policy = Arc::new(people(n));
    let digest = policy.digest;
    world.policies.load(policy);
    world.take(Event {
        at_ms: world.now,
        owner: Owner::Host,
        settles: None,
        body: Body::Host(HostEvent::PolicyLoaded { digest }),
    });
}

/// A change of somebody's that waits for a person.
fn waiting(people_of: usize, by: &str, opinion: Opinion) -> (World, TaskId) {
    let mut world = World::under(people(people_of));
    let task = world.create_with("quick", "acme/shop", |task| task.by = person(by));
    world.reach(task, "judge", "judge");
    world.answer(task, &Choice::Judged(opinion));
    (world, task)
}

fn approve(world: &mut World, task: TaskId, by: &str) -> Status {
    let digest = digest_of(world.task(task));
    world.happen(task, Body::Said(Said::Approved { by: person(by), digest, note: String::new() }));
    world.status(task)
}

/// People that were asked, by the latest event.
fn asked(world: &World) -> Vec<&str> {
    let people = world.latest.iter().filter_map(|effect| match &effect.order {
        Order::Tell(TellOrder {
            audience: Audience::Deciders { people, .. } | Audience::Joined { people, .. },
            ..
        }) => Some(people),
        _ => None,
    });
    people.flatten().map(|person| person.0.as_str()).collect()
}

#[test]
fn who_asks_leaves_it_to_another_who_may() {
    use Opinion::{Bad, Doubtful};
    #[rustfmt::skip]
    let rows: &[(usize, &str, Opinion, &[&str])] = &[
        // `[people]`, who asked, the verdict; who may decide
        (0, "console:1", Doubtful, &["console:1"]),
        (0, "console:1", Bad, &["console:1"]),
        (1, "console:1", Doubtful, &["console:2"]),
        // An admin is no other who may where it takes an owner.
        (1, "console:1", Bad, &["console:1"]),
        (1, "console:2", Doubtful, &["console:1"]),
        (1, "console:2", Bad, &["console:1"]),
        (1, "console:3", Doubtful, &["console:1", "console:2"]),
        (2, "console:1", Doubtful, &["bot:1"]),
        (2, "bot:1", Bad, &["console:1"]),
        // One human: the terminal and the bot.
        (3, "console:1", Doubtful, &["bot:1", "console:1"]),
        (3, "bot:1", Bad, &["bot:1", "console:1"]),
        (4, "bot:1", Doubtful, &["console:2"]),
        (4, "console:2", Doubtful, &["bot:1", "console:1"]),
        (6, "console:1", Bad, &["console:1", "console:2"]),
        // Each identity has its own role; what counts is who is behind it.
        (7, "bot:1", Doubtful, &["console:1"]),
        (7, "console:1", Doubtful, &["console:2"]),
        (7, "console:1", Bad, &["console:1"]),
        (8, "console:1", Doubtful, &[]),
    ];
    for (n, by, opinion, may) in rows {
        let (world, task) = waiting(*n, by, *opinion);
        assert_eq!(&asked(&world), may, "{n}, {by}");
        let names: Vec<&str> = world.task(task).deciders.iter().map(|person| person.0.as_str()).collect();
        assert_eq!(&names, may);
        for name in NAMES {
            let (mut world, task) = waiting(*n, by, *opinion);
            let before = world.status(task);
            let want = if may.contains(&name) { Status::Approved } else { before };
            assert_eq!(approve(&mut world, task, name), want, "{n}: asked for by {by}, approved by {name}");
        }
    }
}

#[test]
fn who_may_instead_is_said_and_turning_down_is_free() {
    let (mut world, task) = waiting(2, "console:1", Opinion::Doubtful);
    let by = person("console:1");
    let refused = Decider::of(world.task(task), &by, world.policies.current()).unwrap_err();
    assert_eq!(refused, ApprovalError::Own { others: vec![person("bot:1")] });
    let digest = digest_of(world.task(task));
    let approved = Decider::of(world.task(task), &person("bot:1"), world.policies.current())
        .and_then(|decider| ApprovedChange::by_person(decider, &Digest([7; 32])))
        .unwrap_err();
    assert!(matches!(approved, ApprovalError::OtherDigest { .. }), "{approved}");
    world.happen(task, Body::Said(Said::Rejected { by, digest, note: String::new() }));
    assert_eq!(world.status(task), Status::Rejected);
    let (mut world, task) = waiting(2, "console:1", Opinion::Bad);
    world.happen(task, Body::Said(Said::CancelRequested { by: person("console:1") }));
    assert_eq!(world.status(task), Status::Cancelled);
    assert_eq!(
        Decider::of(world.task(task), &person("bot:1"), world.policies.current()),
        Err(ApprovalError::NotWaiting)
    );
}

#[test]
fn every_hand_in_a_change_counts_while_there_are_others() {
    // Two owners and one who asked before: only the third may.
    for what in ["a note", "an earlier task"] {
        let mut world = World::under(people(5));
        let before = if what == "an earlier task" { vec![person("bot:1")] } else { Vec::new() };
        let task = world.create_with("quick", "acme/shop", |task| {
            task.by = person("console:1");
            task.asked_before = before;
        });
        world.reach(task, "impl", "run");
        if what == "a note" {
            world.happen(task, Body::Said(Said::Noted { by: person("bot:1"), text: Kept::new("and a back door") }));
        }
        world.reach(task, "judge", "judge");
        world.answer(task, &Choice::Judged(Opinion::Doubtful));
        assert_eq!(asked(&world), ["console:2"], "{what}");
        assert_eq!(approve(&mut world, task, "bot:1"), Status::NeedsReview, "{what}");
        assert_eq!(approve(&mut world, task, "console:1"), Status::NeedsReview, "{what}");
        // Where everybody who may had a hand in it, whoever asked for this very task still leaves it to the other.
        edit(&mut world, 2);
        assert_eq!(asked(&world), ["bot:1"], "{what}");
        assert_eq!(approve(&mut world, task, "console:1"), Status::NeedsReview, "{what}");
        assert_eq!(approve(&mut world, task, "bot:1"), Status::Approved, "{what}");
    }
}

#[test]
fn a_note_that_comes_after_the_decision_gives_nobody_a_hand_in_it() {
    let (mut world, task) = waiting(5, "console:1", Opinion::Doubtful);
    assert_eq!(approve(&mut world, task, "bot:1"), Status::Approved);
    for fails in [true, false] {
        world.happen(task, Body::Said(Said::Noted { by: person("bot:1"), text: Kept::new("well done") }));
        assert_eq!(world.task(task).askers().collect::<Vec<_>>(), [&person("console:1")]);
        world.answer(task, if fails { &Choice::Failed } else { &Choice::Done });
        world.happen(task, Body::Said(Said::Unblocked { by: person("console:1") }));
    }
    assert_eq!(world.task(task).status(), Status::Completed);
}

#[test]
fn it_holds_as_policy_is_when_it_is_decided() {
    // Alone, then with another: the review goes to the other, and is theirs.
    let (mut world, task) = waiting(0, "console:1", Opinion::Doubtful);
    edit(&mut world, 2);
    assert_eq!(asked(&world), ["bot:1"]);
    assert_eq!(approve(&mut world, task, "console:1"), Status::NeedsReview);
    edit(&mut world, 2);
    assert_eq!(asked(&world), [""; 0], "nobody is asked twice");
    // The other is gone: it is theirs again, and they are told so.
    edit(&mut world, 0);
    assert_eq!(asked(&world), ["console:1"]);
    assert_eq!(approve(&mut world, task, "bot:1"), Status::NeedsReview);
    assert_eq!(approve(&mut world, task, "console:1"), Status::Approved);
    assert_eq!(asked(&world), [""; 0]);
    let closes = world.latest.iter().any(|effect| {
        matches!(&effect.order, Order::Tell(TellOrder { audience: Audience::Copies { .. }, notice }) if notice.buttons.is_empty())
    });
    assert!(closes, "{:?}", world.latest);
    edit(&mut world, 2);
    assert_eq!(asked(&world), [""; 0], "there is nothing to decide any more");
    // A change of names is none of people.
    let (mut world, task) = waiting(2, "console:1", Opinion::Bad);
    edit(&mut world, 3);
    assert_eq!(asked(&world), ["console:1"]);
    assert_eq!(approve(&mut world, task, "bot:1"), Status::Approved);
}

#[test]
fn ones_own_task_is_ones_own_under_any_name() {
    let people =
        "owner = [\"console:1\"]\nmember = [\"console:3\", \"bot:1\", \"bot:2\"]\nsame = [[\"console:3\", \"bot:1\"]]";
    let policy = policy(&format!("[people]\n{people}\n"));
    let (world, task) = waiting(0, "console:3", Opinion::Doubtful);
    let cancels = |name: &str| permit(&person(name), Intent::Cancel { task }, Some(world.task(task)), &policy).is_ok();
    assert_eq!(["console:3", "bot:1", "bot:2", "console:1"].map(cancels), [true, true, false, true]);
}

/// One thing that happens; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Happens {
    Created { by: usize, before: Option<usize>, bad: bool },
    Edited { people: usize },
    Approved { task: u64, by: usize, right: bool },
    Rejected { task: u64, by: usize },
    Cancelled { task: u64, by: usize },
    Noted { task: u64, by: usize },
    Judged { task: u64 },
    Retried { task: u64, fails: bool },
}

fn happens() -> impl Strategy<Value = Happens> {
    let name = || 0..NAMES.len();
    let task = || 1..5_u64;
    prop_oneof![
        2 => (name(), prop::option::of(name()), any::<bool>())
            .prop_map(|(by, before, bad)| Happens::Created { by, before, bad }),
        3 => (0..PEOPLES.len()).prop_map(|people| Happens::Edited { people }),
        8 => (task(), name(), prop::bool::weighted(0.9))
            .prop_map(|(task, by, right)| Happens::Approved { task, by, right }),
        1 => (task(), name()).prop_map(|(task, by)| Happens::Rejected { task, by }),
        1 => (task(), name()).prop_map(|(task, by)| Happens::Cancelled { task, by }),
        2 => (task(), name()).prop_map(|(task, by)| Happens::Noted { task, by }),
        4 => task().prop_map(|task| Happens::Judged { task }),
        2 => (task(), any::<bool>()).prop_map(|(task, fails)| Happens::Retried { task, fails }),
    ]
}

fn play(world: &mut World, happens: &Happens, log: &mut Vec<(Event, Arc<Policy>)>) {
    let seen = world.log.len();
    match happens {
        Happens::Created { by, before, bad } => {
            let count = world.state.tasks.len();
            if count < 4 {
                world.create_with("quick", ["acme/shop", "acme/site", "acme/docs"][count % 3], |task| {
                    task.by = person(NAMES[*by]);
                    task.asked_before = before.map(|name| person(NAMES[name])).into_iter().collect();
                    task.title = if *bad { "bad".into() } else { "doubtful".into() };
                });
            }
        }
        Happens::Edited { people } => edit(world, *people),
        Happens::Approved { task, by, right } => {
            let review = world.state.tasks.get(&TaskId(*task)).and_then(|task| task.review.as_ref());
            let digest = review.filter(|_| *right).map_or(Digest([7; 32]), |review| review.digest);
            world.happen(
                TaskId(*task),
                Body::Said(Said::Approved { by: person(NAMES[*by]), digest, note: String::new() }),
            );
        }
        Happens::Rejected { task, by } => {
            let review = world.state.tasks.get(&TaskId(*task)).and_then(|task| task.review.as_ref());
            if let Some(digest) = review.map(|review| review.digest) {
                world.happen(
                    TaskId(*task),
                    Body::Said(Said::Rejected { by: person(NAMES[*by]), digest, note: String::new() }),
                );
            }
        }
        Happens::Cancelled { task, by } => {
            world.happen(TaskId(*task), Body::Said(Said::CancelRequested { by: person(NAMES[*by]) }));
        }
        Happens::Noted { task, by } => {
            world.happen(
                TaskId(*task),
                Body::Said(Said::Noted { by: person(NAMES[*by]), text: Kept::new("mind this") }),
            );
        }
        Happens::Judged { task } => {
            for _ in 0..30 {
                let task = TaskId(*task);
                let Some(effect) = world.work(task).cloned() else { break };
                let opinion = if world.task(task).spec.title == "bad" { Opinion::Bad } else { Opinion::Doubtful };
                if matches!(effect.order, Order::Judge(_)) {
                    world.answer(task, &Choice::Judged(opinion));
                    break;
                }
                let good = world.choices(task).remove(0);
                world.answer(task, &good);
            }
        }
        // A delivery that fails, and is sent on its way again under whatever policy there is then.
        Happens::Retried { task, fails } => {
            let task = TaskId(*task);
            if world.work(task).is_some_and(|effect| matches!(effect.order, Order::Deliver(_))) {
                let answer = if *fails { Choice::Failed } else { Choice::Done };
                world.answer(task, &answer);
            }
            world.happen(task, Body::Said(Said::Unblocked { by: person("console:1") }));
        }
    }
    log.extend(world.log[seen..].iter().map(|event| (event.clone(), world.policies.current().clone())));
}

/// Who may decide is known, was asked, and may: nothing waits for nobody while somebody has the role.
fn hold(world: &World, task: &Task) {
    let policy = world.policies.current();
    let Some(review) = task.phase.waiting_review() else { return };
    assert_eq!(task.deciders, deciders(task, review, policy));
    let role = if review.ruling.verdict == crate::verdict::Verdict::Block { Role::Owner } else { Role::Admin };
    assert_eq!(task.deciders.is_empty(), !policy.people.values().any(|has| *has >= role), "{:?}", policy.people);
    for name in NAMES.map(person) {
        assert_eq!(Decider::of(task, &name, policy).is_ok(), task.deciders.contains(&name), "{name}");
    }
    let asked: BTreeSet<&PersonId> = world
        .owed
        .values()
        .filter(|effect| effect.owner == task.id().into())
        .filter_map(|effect| match &effect.order {
            Order::Tell(TellOrder {
                audience: Audience::Deciders { people, change } | Audience::Joined { people, change },
                ..
            }) if *change == review.digest => Some(people),
            _ => None,
        })
        .flatten()
        .collect();
    assert!(task.deciders.iter().all(|person| asked.contains(person)), "{:?} of {:?}", asked, task.deciders);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn no_change_is_let_through_by_its_own_human_where_another_may(first in 0..PEOPLES.len(), all in vec(happens(), 1..80)) {
        let mut world = World::under(people(first));
        let mut log = Vec::new();
        for happens in &all {
            play(&mut world, happens, &mut log);
            for task in world.state.tasks.values() {
                hold(&world, task);
            }
        }
        // Replayed with the policies that were in force it comes out the same.
        let mut policies = World::under(people(first)).policies;
        let replayed = log.iter().fold(Default::default(), |state, (event, policy)| {
            policies.load(policy.clone());
            step(state, event, &policies).state
        });
        prop_assert_eq!(&world.state, &replayed);
        // Whoever is alone brings everything to an end.
        edit(&mut world, 0);
        world.drain();
        world.hold_the_end();
    }
}
