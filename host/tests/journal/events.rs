//! Events: what is committed together stays together, in order, and can be read.

use crate::kind::{Kind, Trial, event, task, told};
use borg_core::{
    budget::Spent,
    chat::{Document, Notice, NoticeKind, Part},
    effect::{Audience, Effect, Order, TellOrder},
    event::{Answer, Body, Event, HostEvent, Meanwhile},
    id::{Digest, EffectKey, RunKey, TaskId},
    kept::Kept,
    step::Durable,
};
use borg_host::journal::{Batch, Journal, JournalError, LedgerRow, Reads};
use futures_util::{FutureExt, future::join_all};
use std::sync::Arc;

pub async fn what_is_committed_is_read_back_whole_and_in_order<K: Kind>() {
    let trial = Trial::<K>::start().await;
    assert_eq!(trial.journal.last_seq().await.unwrap(), 0);
    let of = |task: u64, n: u64| {
        let run = RunKey { owner: TaskId(task).into(), ..run() };
        let events = Kept::new(format!("thought {n}"));
        let body = Meanwhile::Progressed { run, line: n, state: String::new(), events, turns: 1 };
        Event { at_ms: n, owner: run.owner, settles: None, body: Body::Meanwhile(body) }
    };
    let written: Vec<Event> = (1..=30).map(|n| if n % 3 == 0 { told(&n.to_string()) } else { of(n % 3, n) }).collect();
    let mut last = 0;
    for (n, events) in written.chunks(7).enumerate() {
        let seq = trial.happened(events.to_vec()).await;
        assert_eq!(seq, last + events.len() as u64, "batch {n}");
        last = seq;
    }
    // One that has no events changes no number.
    assert_eq!(trial.commit(Batch::default()).await.unwrap(), last);
    let trial = trial.again().await;
    assert_eq!(trial.journal.last_seq().await.unwrap(), last);
    let read = trial.journal.events(0, None, u32::MAX).await.unwrap();
    assert_eq!(read.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=30).collect::<Vec<_>>());
    assert_eq!(read.into_iter().map(|entry| entry.event).collect::<Vec<_>>(), written);
    // In pages, and of one task.
    let seqs = async |after, task, limit| {
        let page = trial.journal.events(after, task, limit).await.unwrap();
        page.into_iter().map(|entry| entry.seq).collect::<Vec<_>>()
    };
    assert_eq!(seqs(10, None, 3).await, [11, 12, 13]);
    assert_eq!(seqs(10, Some(TaskId(1)), 3).await, [13, 16, 19]);
    assert_eq!(seqs(28, Some(TaskId(2)), 9).await, [29]);
    assert!(seqs(30, None, 9).await.is_empty() && seqs(0, Some(TaskId(9)), 9).await.is_empty());
    assert_eq!(trial.journal.verify().await.unwrap(), None);
}

pub async fn numbers_grow_by_one_whoever_commits_and_whatever_fails<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let commits = (0..20).map(|n| {
        let batch = Arc::new(Batch { events: vec![told(&n.to_string()), told("and")], ..Batch::default() });
        trial.journal.commit(batch)
    });
    let mut given: Vec<u64> = join_all(commits).await.into_iter().map(Result::unwrap).collect();
    given.sort_unstable();
    assert_eq!(given, (1..=20).map(|n| 2 * n).collect::<Vec<_>>(), "each has the number of its last event");
    let hindrance = K::hinder(trial.folder.path());
    for _ in 0..3 {
        trial.commit(everything()).await.unwrap_err();
    }
    drop(hindrance);
    assert_eq!(trial.happened(vec![told("after")]).await, 41);
    let trial = trial.again().await;
    assert_eq!(trial.happened(vec![told("and the next process")]).await, 42);
    let read = trial.journal.events(0, None, u32::MAX).await.unwrap();
    assert_eq!(read.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=42).collect::<Vec<_>>());
    assert_eq!(trial.journal.verify().await.unwrap(), None);
}

/// A batch with something of everything.
fn everything() -> Batch {
    let run = run();
    let spent = Spent { turns: 1, wall_ms: 7, ..Spent::default() };
    let metered = Body::Meanwhile(Meanwhile::Metered { run, spent, estimated: false, request: None });
    Batch {
        events: vec![Event { settles: Some(EffectKey("old".into())), ..told("one") }, event(metered)],
        durable: Durable { tasks: vec![task(1, 5)], paused: Some(true), ..Durable::default() },
        owed: vec![owed("new")],
        void: vec![EffectKey("void".into())],
        rows: vec![LedgerRow { at_ms: 1, owner: run.owner, run: run.to_string(), row: serde_json::json!({}) }],
        policies: vec![(Digest::of_bytes(b"p"), Vec::new())],
        replies: vec![("key".into(), "{}".into())],
        ..Batch::default()
    }
}

pub async fn a_batch_is_all_or_nothing<K: Kind>() {
    let trial = Trial::<K>::start().await;
    trial.commit(Batch { owed: vec![owed("old"), owed("void")], ..Batch::default() }).await.unwrap();
    let seen = async |journal: &K::Journal| {
        (
            journal.last_seq().await.unwrap(),
            journal.owed().await.unwrap().into_iter().map(|effect| effect.key.0).collect::<Vec<_>>(),
            journal.task(TaskId(1)).await.unwrap().is_some(),
            journal.is_paused().await.unwrap(),
            journal.ledger(TaskId(1).into()).await.unwrap().len(),
            journal.policy(Digest::of_bytes(b"p")).await.unwrap().is_some(),
            journal.reply("key").await.unwrap().is_some(),
        )
    };
    let nothing = (0, vec!["old".to_owned(), "void".to_owned()], false, false, 0, false, false);
    let hindrance = K::hinder(trial.folder.path());
    for _ in 0..2 {
        let error = trial.commit(everything()).await.unwrap_err();
        assert!(matches!(error, JournalError::Write { .. }), "{error:?}");
        assert_eq!(seen(&trial.journal).await, nothing);
    }
    let trial = trial.again().await;
    assert_eq!(seen(&trial.journal).await, nothing, "nor is any of it there for the next process");
    assert_eq!(trial.journal.verify().await.unwrap(), None);
    drop(hindrance);
    trial.commit(everything()).await.unwrap();
    let all = (2, vec!["new".to_owned()], true, true, 1, true, true);
    assert_eq!(seen(&trial.journal).await, all);
    let trial = trial.again().await;
    assert_eq!(seen(&trial.journal).await, all);
    assert_eq!(trial.journal.verify().await.unwrap(), None);
}

pub async fn a_text_that_does_not_fit_its_digest_takes_its_batch_along<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let progressed = |events| {
        event(Body::Meanwhile(Meanwhile::Progressed { run: run(), line: 1, state: String::new(), events, turns: 1 }))
    };
    let lie = Kept { text: "another".into(), ..Kept::new("one") };
    let batch = Batch { events: vec![told("before"), progressed(lie)], owed: vec![owed("a")], ..Batch::default() };
    assert!(matches!(trial.commit(batch).await, Err(JournalError::Damaged(_))));
    assert_eq!((trial.journal.last_seq().await.unwrap(), trial.journal.owed().await.unwrap()), (0, vec![]));
    // One that is gone already is none.
    trial.happened(vec![progressed(Kept::new("gone").without_text()), progressed(Kept::new("kept"))]).await;
    let read = trial.journal.events(0, None, 9).await.unwrap();
    let texts = read.into_iter().map(|entry| match entry.event.body {
        Body::Meanwhile(Meanwhile::Progressed { events, .. }) => events,
        other => panic!("{other:?}"),
    });
    assert_eq!(texts.collect::<Vec<_>>(), [Kept::new("gone").without_text(), Kept::new("kept")]);
    assert_eq!(trial.journal.verify().await.unwrap(), None);
}

pub async fn what_is_merely_called_text_stays_in_the_event<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let body = Body::Answer(Answer::Told { notice: Box::new(notice()) });
    trial.happened(vec![event(body.clone())]).await;
    assert_eq!(trial.journal.events(0, None, 10).await.unwrap()[0].event.body, body);
}

pub async fn what_was_asked_is_done_though_nobody_waits<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let batch = || Arc::new(Batch { events: vec![told("x")], ..Batch::default() });
    drop(trial.journal.commit(batch()));
    assert_eq!(trial.journal.last_seq().await.unwrap(), 0, "nothing was asked yet");
    // Polled once: it may be done by then, or not.
    drop(trial.journal.commit(batch()).now_or_never());
    assert_eq!(trial.journal.last_seq().await.unwrap(), 1, "and whoever asks afterwards sees it");
}

pub async fn a_reader_beside_the_writer_sees_whole_batches_only<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let batch = Arc::new(Batch { events: vec![told("one"), told("two")], ..Batch::default() });
    trial.journal.commit(batch.clone()).await.unwrap();
    let writer = trial.journal.clone();
    let writer = tokio::spawn(async move {
        for _ in 0..50 {
            writer.commit(batch.clone()).await.unwrap();
        }
    });
    let reader = K::look(trial.folder.path()).await;
    let mut last = 0;
    while last < 102 {
        let seen = reader.last_seq().await.unwrap();
        assert!(seen >= last && seen.is_multiple_of(2), "{seen} after {last}");
        last = seen;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert_eq!(reader.verify().await.unwrap(), None);
    assert_eq!(K::look(trial.folder.path()).await.events(0, None, u32::MAX).await.unwrap().len(), 102);
}

pub async fn a_policy_is_in_force_since_it_took_the_place_of_another<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let (old, new) = (Digest::of_bytes(b"old"), Digest::of_bytes(b"new"));
    assert_eq!(trial.journal.policy_since(old).await.unwrap(), None);
    for (at_ms, digest) in [(1, old), (2, new), (3, old), (4, old)] {
        trial.happened(vec![Event { at_ms, ..event(Body::Host(HostEvent::PolicyLoaded { digest })) }]).await;
    }
    // A restart loads the same again.
    assert_eq!(trial.journal.policy_since(old).await.unwrap(), Some(3));
    assert_eq!(trial.journal.policy_since(new).await.unwrap(), None);
}

pub async fn the_last_start_counts<K: Kind>() {
    let trial = Trial::<K>::start().await;
    assert_eq!(trial.journal.last_start().await.unwrap(), None);
    for (at_ms, version) in [(5, "1"), (6, "2")] {
        let started = HostEvent::HostStarted { version: version.into(), sandbox: String::new() };
        trial.happened(vec![Event { at_ms, ..event(Body::Host(started)) }]).await;
    }
    trial.happened(vec![told("host-started")]).await;
    assert_eq!(trial.journal.last_start().await.unwrap(), Some((6, "2".into())));
}

fn run() -> RunKey {
    "t1-s0-a1-agent".parse().unwrap()
}

/// A notice with every kind of part; some have fields of their own called `text`.
fn notice() -> Notice {
    let parts = vec![
        Part::Text("words".into()),
        Part::Code { language: "sh".into(), text: "true".into() },
        Part::Field { label: "a".into(), value: "b".into() },
    ];
    let document = Some(Document { name: "answer.md".into(), text: "forty-two".into() });
    Notice { document, ..Notice::new("console:terminal", NoticeKind::Final, "t1", parts) }
}

pub fn owed(key: &str) -> Effect {
    let order = Order::Tell(TellOrder { notice: Box::new(notice()), audience: Audience::Chat });
    Effect { key: EffectKey(key.into()), owner: TaskId(1).into(), order }
}
