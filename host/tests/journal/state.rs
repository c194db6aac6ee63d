//! What the events led to: effects that are owed, tasks, replies; as the next process finds it.

use crate::{
    events::owed,
    kind::{Kind, Trial, event, task, told},
};
use borg_core::{
    budget::{Hold, MicroUsd, Spent},
    chat::Registration,
    daily::{DAY_MS, Day},
    event::{Body, Event, Meanwhile},
    id::{Digest, EffectKey, RunKey, TaskId},
    people::PersonId,
    policy::source::SourceFile,
    step::Durable,
    task::{Ending, Phase, Status, Task},
};
use borg_host::journal::{Batch, Reads};

pub async fn an_effect_is_owed_until_an_event_settles_it<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let keys = async |journal: &K::Journal| {
        let (owed, loaded) = (journal.owed().await.unwrap(), journal.load().await.unwrap().owed);
        assert_eq!(owed, loaded);
        owed.into_iter().map(|effect| effect.key.0).collect::<Vec<_>>()
    };
    let settles = |key: &str| Event { settles: Some(EffectKey(key.into())), ..told(key) };
    trial.commit(Batch { owed: vec![owed("b"), owed("a")], ..Batch::default() }).await.unwrap();
    trial.commit(Batch { owed: vec![owed("c"), owed("d")], ..Batch::default() }).await.unwrap();
    let trial = trial.again().await;
    assert_eq!(keys(&trial.journal).await, ["b", "a", "c", "d"], "in the order they were owed");
    assert_eq!(trial.journal.owed().await.unwrap()[0], owed("b"));
    // One goes and another comes, in one batch; what settles what is not owed settles nothing.
    let batch = Batch { events: vec![settles("a"), settles("nothing")], owed: vec![owed("e")], ..Batch::default() };
    trial.commit(batch).await.unwrap();
    trial.happened(vec![told("b"), settles("a")]).await;
    let trial = trial.again().await;
    assert_eq!(keys(&trial.journal).await, ["b", "c", "d", "e"]);
    // Owed again under the same key, it is owed once.
    trial.commit(Batch { owed: vec![owed("c")], ..Batch::default() }).await.unwrap();
    let void = vec![EffectKey("b".into()), EffectKey("d".into()), EffectKey("nothing".into())];
    trial.commit(Batch { void, ..Batch::default() }).await.unwrap();
    let trial = trial.again().await;
    let mut left = keys(&trial.journal).await;
    left.sort_unstable();
    assert_eq!(left, ["c", "e"]);
}

/// The same task, ended.
fn ended(mut task: Task, reason: &str) -> Task {
    task.phase = Phase::Ended { ending: Ending::Failed, reason: reason.into() };
    task
}

pub async fn what_lives_is_there_for_the_next_process<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let new = trial.journal.load().await.unwrap();
    assert_eq!((new.state, new.next_task), (Default::default(), 1));
    let run: RunKey = "t2-s0-a1-agent".parse().unwrap();
    let hold = Hold { request: 4, model: "m".into(), most: Spent { cost: MicroUsd(9), ..Spent::default() } };
    let mut over = ended(task(2, 20), "over");
    over.holds = vec![(run, hold.clone())];
    let registration = Registration { by: PersonId("console:1".into()), at_ms: 1, repository: None };
    let durable = Durable {
        tasks: vec![task(1, 10), over.clone(), task(3, 30)],
        paused: Some(true),
        chats: Some([("telegram:1".to_owned(), registration)].into()),
        day: None,
    };
    let sources = vec![SourceFile { name: "a.toml".into(), text: "b".into() }];
    let policy = task(1, 10).spec.policy;
    let policies = vec![(policy, sources.clone()), (Digest::of_bytes(b"of nobody"), Vec::new())];
    trial.commit(Batch { durable: durable.clone(), policies, ..Batch::default() }).await.unwrap();
    // What changed takes the place of what was; the rest stays.
    let newer = Task { changed_ms: 40, ..task(3, 30) };
    let batch = Durable { tasks: vec![newer.clone()], paused: Some(false), ..Durable::default() };
    trial.commit(Batch { durable: batch, ..Batch::default() }).await.unwrap();
    let trial = trial.again().await;
    let loaded = trial.journal.load().await.unwrap();
    assert_eq!(loaded.state.tasks.into_values().collect::<Vec<_>>(), [task(1, 10), newer]);
    assert_eq!((loaded.state.paused, Some(loaded.state.chats)), (false, durable.chats.clone()));
    assert_eq!(Some(trial.journal.chats().await.unwrap()), durable.chats);
    assert_eq!((loaded.next_task, loaded.policies), (4, vec![(policy, sources)]), "of what lives, and nothing else");
    assert_eq!(loaded.holds, [(run, hold)], "of tasks that have ended, too");
    // What is told of the money of one that has ended is booked there, and changes nothing else of it.
    let spent = Spent { turns: 1, cost: MicroUsd(5), ..Spent::default() };
    let body = Body::Meanwhile(Meanwhile::Metered { run, spent, estimated: false, request: Some(4) });
    let events = vec![Event { owner: run.owner, ..event(body.clone()) }];
    let late = vec![(TaskId(2), body.clone()), (TaskId(77), body.clone())];
    trial.commit(Batch { events, late, ..Batch::default() }).await.unwrap();
    let mut booked = over;
    booked.book(&body);
    assert_eq!(trial.journal.task(TaskId(2)).await.unwrap(), Some(booked.clone()));
    let trial = trial.again().await;
    assert_eq!((booked.spent.cost, trial.journal.load().await.unwrap().holds), (MicroUsd(5), vec![]));
}

pub async fn what_the_day_cost_is_known_to_the_next_process<K: Kind>() {
    let trial = Trial::<K>::start().await;
    assert_eq!(trial.journal.day().await.unwrap(), Day::default());
    let mut day = Day::default();
    day.pay(TaskId(1), Some(&PersonId("console:1".into())), MicroUsd(7), 5 * DAY_MS);
    let durable = Durable { day: Some(day.clone()), ..Durable::default() };
    trial.commit(Batch { durable, ..Batch::default() }).await.unwrap();
    let trial = trial.again().await;
    assert_eq!(trial.journal.load().await.unwrap().state.day, day);
    // A turn that pays for nothing leaves it as it is.
    trial.commit(Batch::default()).await.unwrap();
    assert_eq!(trial.journal.day().await.unwrap(), day);
}

pub async fn tasks_are_found_by_number_by_age_and_by_where_they_stand<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let changed = |id, changed_ms| Task { changed_ms, ..task(id, 10) };
    let tasks = vec![
        changed(1, 100),
        ended(changed(2, 300), "last"),
        ended(changed(3, 200), "first"),
        Task { phase: Phase::Ended { ending: Ending::Cancelled, reason: "no more".into() }, ..changed(4, 400) },
    ];
    let durable = Durable { tasks: tasks.clone(), paused: Some(true), ..Durable::default() };
    trial.commit(Batch { durable, ..Batch::default() }).await.unwrap();
    let trial = trial.again().await;
    let journal = &trial.journal;
    assert_eq!(journal.task(TaskId(3)).await.unwrap().as_ref(), Some(&tasks[2]));
    assert_eq!(journal.task(TaskId(9)).await.unwrap(), None);
    let rows = journal.tasks(3).await.unwrap();
    let rows: Vec<_> = rows.iter().map(|row| (row.id.0, row.status, row.changed_ms)).collect();
    assert_eq!(rows, [(4, Status::Cancelled, 400), (3, Status::Failed, 200), (2, Status::Failed, 300)]);
    assert_eq!(journal.live_tasks().await.unwrap(), tasks[..1]);
    let live = vec![tasks[0].status()];
    assert_eq!(journal.live_statuses().await.unwrap(), live);
    let standing = journal.standing(1).await.unwrap();
    assert_eq!((standing.ended, standing.live, standing.is_paused), (vec![(TaskId(2), Status::Failed)], live, true));
    let moved = async |since, before, limit| {
        let moved = journal.moved(since, TaskId(before), limit).await.unwrap();
        moved.iter().map(|moved| (moved.id.0, moved.created_ms, moved.changed_ms)).collect::<Vec<_>>()
    };
    assert_eq!(moved(200, u64::MAX, 2).await, [(4, 10, 400), (3, 10, 200)]);
    assert_eq!(moved(200, 3, 2).await, [(2, 10, 300)]);
    let newest = journal.moved_tasks(200, 2).await.unwrap();
    assert_eq!((newest.newest, newest.all), (vec![tasks[3].clone(), tasks[2].clone()], 3));
}

pub async fn a_reply_stays_what_it_was_first<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let batch = |reply: &str| Batch { replies: vec![("k".into(), reply.into())], ..Batch::default() };
    assert_eq!(trial.commit(batch("first")).await.unwrap(), 0);
    let trial = trial.again().await;
    trial.commit(batch("second")).await.unwrap();
    assert_eq!(trial.journal.reply("k").await.unwrap().as_deref(), Some("first"));
    assert_eq!(trial.journal.reply("l").await.unwrap(), None);
}

pub async fn policies_are_kept_under_their_digest<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let sources = |text: &str| vec![SourceFile { name: "a.toml".into(), text: text.into() }];
    let (one, other) = (Digest::of_bytes(b"1"), Digest::of_bytes(b"2"));
    let policies = vec![(one, sources("one")), (other, sources("other")), (one, sources("late"))];
    trial.commit(Batch { policies, ..Batch::default() }).await.unwrap();
    let trial = trial.again().await;
    assert_eq!(trial.journal.policy(one).await.unwrap(), Some(sources("one")));
    assert_eq!(trial.journal.policy(other).await.unwrap(), Some(sources("other")));
    assert_eq!(trial.journal.policy(Digest::of_bytes(b"3")).await.unwrap(), None);
}
