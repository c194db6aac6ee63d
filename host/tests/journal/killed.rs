//! A writer that is killed with SIGKILL, at any moment and again and again: what it said is there was there, and nothing is half.

use crate::{
    events::owed,
    kind::{Kind, Trial, task, told},
    mail::BOT,
    posts::post,
};
use borg_core::{
    event::Event,
    id::{EffectKey, TaskId},
    kept::Kept,
    step::Durable,
    task::Task,
};
use borg_host::{
    journal::{Batch, Journal, LedgerRow, Reads},
    mail::{Arrived, Incoming, Mail},
};
use std::{
    io::{BufRead, BufReader, Read},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
    sync::Arc,
    time::Duration,
};

/// Names the folder that a child writes to until it is killed.
const FOLDER: &str = "BORG_TEST_JOURNAL_FOLDER";
/// What a line begins with that says how far the writer is.
const SAID: &str = "there is ";
/// How often the writer is killed.
const KILLS: u32 = 25;
/// Events of a round.
const EVENTS: u64 = 3;

/// The writer. As a child it writes rounds until it is killed; as a test it writes a few, and finds what it wrote.
pub async fn a_writer_writes_what_it_says<K: Kind>() {
    match std::env::var_os(FOLDER) {
        Some(folder) => {
            let journal = K::open(Path::new(&folder)).await;
            let mut round = found(&journal).await.rounds;
            loop {
                round += 1;
                write(&journal, round).await;
                println!("{SAID}{round}");
            }
        }
        None => {
            let trial = Trial::<K>::start().await;
            for round in 1..=3 {
                write(&trial.journal, round).await;
            }
            assert_eq!(found(&trial.again().await.journal).await, Found { rounds: 3, brought: 3, posts: 3 });
        }
    }
}

/// Writes round `n`: one batch with something of everything, then an update and a post.
async fn write(journal: &(impl Journal + Mail), n: u64) {
    let first = Event { settles: n.checked_sub(1).map(key), ..told(&format!("{n}")) };
    let second = Event { owner: TaskId(1).into(), ..told(&"x".repeat((n % 7 * 3_000) as usize)) };
    let row = LedgerRow { at_ms: n, owner: TaskId(1).into(), run: n.to_string(), row: serde_json::json!({}) };
    let batch = Batch {
        events: vec![first, second, thought(n)],
        durable: Durable {
            tasks: vec![Task { changed_ms: n, ..task(1, 0) }],
            paused: Some(n.is_multiple_of(2)),
            ..Durable::default()
        },
        owed: vec![owed(&key(n).0)],
        rows: vec![row],
        replies: vec![(n.to_string(), "{}".into())],
        ..Batch::default()
    };
    assert_eq!(journal.commit(Arc::new(batch)).await.unwrap(), n * EVENTS);
    let update = Incoming { key: n.to_string(), chat: "1".into(), update: "{}".into() };
    let arrived = Arrived { cursor: n as i64, changes: Vec::new(), updates: vec![update] };
    journal.take_in(BOT, Arc::new(arrived)).await.unwrap();
    journal.enqueue(BOT, [post(&n.to_string(), None, "{}")].into()).await.unwrap();
}

fn key(n: u64) -> EffectKey {
    EffectKey(format!("effect-{n}"))
}

/// An event whose text lies beside it.
fn thought(n: u64) -> Event {
    use borg_core::event::{Body, Meanwhile};
    let run = "t1-s0-a1-agent".parse().unwrap();
    let events = Kept::new(format!("thought {n}"));
    let body = Meanwhile::Progressed { run, line: n, state: String::new(), events, turns: 1 };
    Event { owner: TaskId(1).into(), body: Body::Meanwhile(body), ..told("") }
}

/// How far the writer came, by batches, by updates and by posts.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    rounds: u64,
    brought: u64,
    posts: u64,
}

/// Reads all that is there and fails where anything of it is half.
async fn found(journal: &(impl Reads + Mail)) -> Found {
    assert_eq!(journal.verify().await.unwrap(), None);
    let last = journal.last_seq().await.unwrap();
    assert!(last.is_multiple_of(EVENTS), "{last} events: a part of a batch");
    let rounds = last / EVENTS;
    let events = journal.events(0, None, u32::MAX).await.unwrap();
    assert_eq!(events.iter().map(|entry| entry.seq).collect::<Vec<_>>(), (1..=last).collect::<Vec<_>>());
    for (n, round) in (1..).zip(events.chunks(EVENTS as usize)) {
        assert_eq!((round[0].event.settles.clone(), &round[2].event), (Some(key(n - 1)), &thought(n)), "round {n}");
    }
    let owed: Vec<EffectKey> = journal.owed().await.unwrap().into_iter().map(|effect| effect.key).collect();
    let now = (rounds > 0).then_some(rounds);
    assert_eq!(owed, now.map(key).into_iter().collect::<Vec<_>>());
    assert_eq!(journal.task(TaskId(1)).await.unwrap().map(|task| task.changed_ms), now);
    assert_eq!(journal.is_paused().await.unwrap(), now.is_some_and(|n| n.is_multiple_of(2)));
    let rows = journal.ledger(TaskId(1).into()).await.unwrap();
    assert_eq!(rows.iter().map(|row| row.at_ms).collect::<Vec<_>>(), (1..=rounds).collect::<Vec<_>>());
    for (n, is_there) in [(rounds, rounds > 0), (rounds + 1, false)] {
        assert_eq!(journal.reply(&n.to_string()).await.unwrap().is_some(), is_there, "the reply of round {n}");
    }
    let loaded = journal.load().await.unwrap();
    assert_eq!((loaded.owed.len() as u64, loaded.state.tasks.len() as u64), (rounds.min(1), rounds.min(1)));
    let brought = journal.cursor(BOT).await.unwrap().unwrap_or_default() as u64;
    let updates = journal.waiting(BOT, 0, u32::MAX, usize::MAX).await.unwrap();
    let keys: Vec<u64> = updates.iter().map(|update| update.key.parse().unwrap()).collect();
    assert_eq!(keys, (1..=brought).collect::<Vec<_>>(), "the cursor is where the updates end");
    let posts = journal.unsent(BOT, 0, u32::MAX).await.unwrap();
    let keys: Vec<u64> = posts.iter().map(|post| post.key.parse().unwrap()).collect();
    assert_eq!(keys, (1..=keys.len() as u64).collect::<Vec<_>>());
    Found { rounds, brought, posts: keys.len() as u64 }
}

pub async fn nothing_that_was_acknowledged_is_lost_and_nothing_is_half<K: Kind>() {
    let folder = tempfile::tempdir().unwrap();
    let mut chance = Chance::new();
    let seed = chance.0;
    let mut said = 0;
    for kill in 0..KILLS {
        let (mut child, mut lines) = writer::<K>(folder.path());
        let mut text = String::new();
        for _ in 0..1 + chance.below(8) {
            assert!(lines.read_line(&mut text).unwrap() > 0, "the writer ended by itself: {text}");
        }
        // Somewhere in the next round or so.
        std::thread::sleep(Duration::from_micros(chance.below(6_000)));
        child.kill().unwrap();
        child.wait().unwrap();
        // What it had said by then counts, too.
        lines.read_to_string(&mut text).unwrap();
        let numbers = text.lines().filter_map(|line| line.split_once(SAID)?.1.parse::<u64>().ok());
        said = numbers.max().unwrap_or(said);
        let journal = K::open(folder.path()).await;
        let mut found = found(&journal).await;
        let at = format!("kill {kill} of seed {seed}: it had said {said}, and {found:?} is there");
        assert!(found.rounds >= said && found.rounds <= said + 1, "{at}");
        assert!(found.brought >= said && found.brought <= found.rounds, "{at}");
        assert!(found.posts >= said && found.posts <= found.brought, "{at}");
        // The round that was cut off is made whole, as one who does things again would.
        if found.posts < found.rounds {
            let n = found.rounds;
            let update = Incoming { key: n.to_string(), chat: "1".into(), update: "{}".into() };
            let arrived = Arrived { cursor: n as i64, changes: Vec::new(), updates: vec![update] };
            journal.take_in(BOT, Arc::new(arrived)).await.unwrap();
            journal.enqueue(BOT, [post(&n.to_string(), None, "{}")].into()).await.unwrap();
            (found.brought, found.posts) = (n, n);
        }
        assert_eq!((found.brought, found.posts), (found.rounds, found.rounds));
        said = found.rounds;
    }
    assert!(said > 0, "seed {seed}: nobody wrote anything");
}

/// This very program, told to write to a folder; and what it says.
#[expect(clippy::disallowed_methods, reason = "the child is this test itself, with an explicit environment")]
fn writer<K: Kind>(folder: &Path) -> (Child, BufReader<ChildStdout>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", &format!("{}::a_writer_writes_what_it_says", K::NAME), "--nocapture", "--test-threads=1"])
        .env_clear()
        .env(FOLDER, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    (child, out)
}

/// Numbers that are different each time.
struct Chance(u64);

impl Chance {
    fn new() -> Self {
        let mut bytes = [0; 8];
        std::fs::File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
        Chance(u64::from_ne_bytes(bytes) | 1)
    }

    /// A number below `end` (xorshift).
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}
