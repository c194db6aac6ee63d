//! Whatever the doers answer, whatever people say, in whatever order, and however often it is said: the promises of [`super::world`].

use super::{
    doers::answers,
    wishes::{WHO, Wish, wishes},
    world::{PIPELINES, REPOSITORIES, World, person, small_budget},
};
use crate::{
    event::{Body, Event, HostEvent, Meanwhile, Said},
    id::{Digest, TaskId},
    owner::Owner,
    people::Role,
    step::step,
    task::Task,
};
use proptest::{collection::vec, prelude::*};

/// One thing that happens; numbers choose among what there is.
#[derive(Clone, Debug)]
pub(super) enum Happens {
    Created {
        pipeline: usize,
        repository: usize,
        turns: u32,
    },
    /// An owed effect is done; `how` chooses the answer, 0 the good one.
    Done {
        which: usize,
        how: usize,
    },
    Cancelled {
        task: u64,
    },
    Decided {
        task: u64,
        approves: bool,
        role: usize,
        right: bool,
    },
    Retried {
        task: u64,
    },
    Paused,
    Resumed,
    /// Somebody asks for something in words, and it is decided whether it happens.
    Wished {
        who: usize,
        wish: Wish,
    },
    Waited {
        ms: u64,
    },
    /// The host died: what is owed is done again, and an answer of before may come twice.
    Restarted,
    /// Something that was said before is said again.
    Repeated {
        which: usize,
    },
}

pub(super) fn happens() -> impl Strategy<Value = Happens> {
    prop_oneof![
        2 => (0..PIPELINES.len(), 0..REPOSITORIES.len(), prop_oneof![Just(1000_u32), 1..6_u32])
            .prop_map(|(pipeline, repository, turns)| Happens::Created { pipeline, repository, turns }),
        12 => (any::<usize>(), Just(0)).prop_map(|(which, how)| Happens::Done { which, how }),
        8 => (any::<usize>(), any::<usize>()).prop_map(|(which, how)| Happens::Done { which, how }),
        1 => (1..6_u64).prop_map(|task| Happens::Cancelled { task }),
        2 => (1..6_u64, any::<bool>(), 0..4_usize, prop::bool::weighted(0.8))
            .prop_map(|(task, approves, role, right)| Happens::Decided { task, approves, role, right }),
        2 => (1..6_u64).prop_map(|task| Happens::Retried { task }),
        1 => Just(Happens::Paused),
        1 => Just(Happens::Resumed),
        8 => (0..WHO.len(), wishes()).prop_map(|(who, wish)| Happens::Wished { who, wish }),
        2 => (1..100_000_u64).prop_map(|ms| Happens::Waited { ms }),
        1 => Just(Happens::Restarted),
        2 => any::<usize>().prop_map(|which| Happens::Repeated { which }),
    ]
}

pub(super) fn play(world: &mut World, happens: &Happens) {
    let owner = person(Role::Owner);
    match happens {
        Happens::Created { pipeline, repository, turns } => {
            if world.state.tasks.len() < 5 {
                let (pipeline, repository) = (PIPELINES[*pipeline], REPOSITORIES[*repository]);
                world.create_with(pipeline, repository, |task| task.budget = small_budget(*turns));
            }
        }
        Happens::Done { which, how } => {
            if world.owed.is_empty() {
                return;
            }
            let effect = world.owed.values().nth(which % world.owed.len()).expect("one of them").clone();
            let all = answers(&effect.order, world.task(effect.owner.task().expect("a task's")));
            world.perform(&effect, &all[how % all.len()]);
        }
        Happens::Cancelled { task } => world.happen(TaskId(*task), Body::Said(Said::CancelRequested { by: owner })),
        Happens::Decided { task, approves, role, right } => {
            let by = person([Role::Guest, Role::Member, Role::Admin, Role::Owner][*role]);
            let review = world.state.tasks.get(&TaskId(*task)).and_then(|task| task.review.as_ref());
            let digest = review.filter(|_| *right).map_or(Digest([7; 32]), |review| review.digest);
            let body = match approves {
                true => Body::Said(Said::Approved { by, digest, note: "so be it".into() }),
                false => Body::Said(Said::Rejected { by, digest, note: "no".into() }),
            };
            world.happen(TaskId(*task), body);
        }
        Happens::Retried { task } => world.happen(TaskId(*task), Body::Said(Said::Unblocked { by: owner })),
        Happens::Paused => world.happen(Owner::Host, Body::Said(Said::Paused { by: owner })),
        Happens::Resumed => world.happen(Owner::Host, Body::Said(Said::Resumed { by: owner })),
        Happens::Wished { who, wish } => world.wish(WHO[*who], wish),
        Happens::Waited { ms } => {
            world.now += ms;
            for task in 1..6 {
                world.happen(TaskId(task), Body::Meanwhile(Meanwhile::DeadlinePassed));
            }
        }
        Happens::Restarted => {
            let body = Body::Host(HostEvent::HostStarted { version: "1".into(), sandbox: "docker".into() });
            world.take(Event { at_ms: world.now, owner: Owner::Host, settles: None, body });
        }
        Happens::Repeated { which } => {
            // The latest answers most of all: those of the attempt before, or of this one.
            let answers: Vec<&Event> =
                world.log.iter().rev().filter(|event| event.settles.is_some()).take(12).collect();
            if let Some(event) = answers.get(which % answers.len().max(1)).map(|event| (*event).clone()) {
                // Stamped when it comes, as the engine takes it.
                world.take(Event { at_ms: world.now, ..event });
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, max_shrink_iters: 500, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_promises_hold(all in vec(happens(), 1..160)) {
        let mut world = World::new();
        world.create("feature", "acme/shop");
        for happens in &all {
            play(&mut world, happens);
        }
        world.drain();
        world.hold_the_end();
        // The journal says it all: replayed from nothing it gives the same state.
        let replayed = world.log.iter().fold(Default::default(), |state, event| step(state, event, &world.policies).state);
        prop_assert_eq!(&world.state, &replayed);
    }

    #[test]
    fn a_task_reads_back_as_it_was_written(all in vec(happens(), 1..60)) {
        let mut world = World::new();
        world.create("feature", "acme/shop");
        for happens in &all {
            play(&mut world, happens);
            for task in world.state.tasks.values() {
                let json = serde_json::to_string(task).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Task>(&json).unwrap(), task, "{}", json);
            }
        }
        for event in &world.log {
            let json = serde_json::to_string(event).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Event>(&json).unwrap(), event, "{}", json);
        }
        for effect in world.owed.values() {
            let json = serde_json::to_string(effect).unwrap();
            prop_assert_eq!(&serde_json::from_str::<crate::effect::Effect>(&json).unwrap(), effect, "{}", json);
        }
    }

    /// Events that make no sense at all: any body under any key, for any task, at any time.
    #[test]
    fn nonsense_breaks_nothing(
        all in vec(happens(), 1..60),
        noise in vec((any::<usize>(), any::<usize>(), 0..7_u64, any::<u64>()), 1..40),
    ) {
        let mut world = World::new();
        world.create("feature", "acme/shop");
        for happens in &all {
            play(&mut world, happens);
        }
        let keys: Vec<_> = world.log.iter().filter_map(|event| event.settles.clone()).chain(world.owed.keys().cloned()).collect();
        let mut state = world.state.clone();
        for (body, key, task, at_ms) in noise {
            let body = world.log[body % world.log.len()].body.clone();
            let settles = (!keys.is_empty()).then(|| keys[key % keys.len()].clone());
            let event = Event { at_ms, owner: TaskId(task).into(), settles, body };
            state = step(state, &event, &world.policies).state;
        }
    }
}
