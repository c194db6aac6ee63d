//! Mail in the file: what is forgotten and when, what it costs, and disks that are full. What every mail keeps is in `tests/journal/`.

use super::{mail::HEADS, sqlite::Sqlite};
use crate::{
    journal::{Batch, JournalError, REMEMBERED_MS},
    mail::{Answered, Arrived, Incoming, Outgoing, Unsent},
};

const BOT: &str = "telegram";

/// Mail in a file of its own.
struct Trial {
    journal: Sqlite,
    _dir: tempfile::TempDir,
}

impl Trial {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Trial { journal: Sqlite::open(&dir.path().join("journal.db")).unwrap(), _dir: dir }
    }

    fn take_in(&mut self, cursor: i64, updates: &[Incoming]) -> Result<(), JournalError> {
        self.journal.take_in(BOT, &Arrived { cursor, changes: Vec::new(), updates: updates.to_vec() })
    }

    fn waiting(&self) -> Vec<String> {
        self.journal.waiting(BOT, 0, u32::MAX, usize::MAX).unwrap().into_iter().map(|update| update.key).collect()
    }

    fn unsent(&self) -> Vec<Unsent> {
        self.journal.unsent(BOT, 0, u32::MAX).unwrap()
    }

    /// Keys, contents and revisions of what is to go out.
    fn queue(&self) -> Vec<(String, String, u32)> {
        self.unsent().into_iter().map(|post| (post.key, post.post, post.revision)).collect()
    }

    fn count(&self, sql: &str) -> i64 {
        self.journal.db.query_row(sql, [], |row| row.get(0)).unwrap()
    }

    /// How many updates wait for an answer, and how many posts to go out.
    fn counts(&self, transport: &str) -> (usize, usize) {
        let waiting = self.journal.waiting(transport, 0, u32::MAX, usize::MAX).unwrap();
        (waiting.len(), self.journal.unsent(transport, 0, u32::MAX).unwrap().len())
    }

    fn change(&self, sql: &str) {
        assert!(self.journal.db.execute(sql, []).unwrap() > 0, "{sql} changed nothing");
    }
}

fn update(key: impl ToString, chat: &str) -> Incoming {
    let key = key.to_string();
    Incoming { update: format!("{{\"update\":\"{key}\"}}"), key, chat: chat.into() }
}

fn post(key: &str, topic: Option<&str>, text: &str) -> Outgoing {
    Outgoing { key: key.into(), chat: "1".into(), about: None, topic: topic.map(str::to_owned), post: text.into() }
}

fn queued(key: &str, text: &str, revision: u32) -> (String, String, u32) {
    (key.into(), text.into(), revision)
}

#[test]
fn a_full_disk_takes_all_or_nothing() {
    let mut trial = Trial::start();
    trial.take_in(1, &[update(1, "1")]).unwrap();
    let first = trial.journal.waiting(BOT, 0, 1, usize::MAX).unwrap().remove(0);
    let pages = trial.count("PRAGMA page_count");
    trial.count(&format!("PRAGMA max_page_count = {pages}"));
    let long = "x".repeat(200_000);
    let big = Incoming { update: long.clone(), ..update(3, "1") };
    let error = trial.take_in(4, &[update(2, "1"), big.clone()]).unwrap_err();
    assert!(error.is_passing(), "{error:?}");
    let posts = [post("a", None, "small"), post("b", None, &long)];
    assert!(trial.journal.answered(&[Answered { id: first.id, posts: posts.to_vec() }]).unwrap_err().is_passing());
    assert!(trial.journal.enqueue(BOT, &posts).unwrap_err().is_passing());
    let replies = vec![("k".to_owned(), "{}".to_owned()), ("l".to_owned(), long)];
    let batch = Batch { replies, ..Batch::default() };
    assert!(trial.journal.commit(&batch).unwrap_err().is_passing());
    assert_eq!((trial.journal.cursor(BOT).unwrap(), trial.waiting()), (Some(1), vec!["1".to_owned()]));
    assert_eq!((trial.queue(), trial.journal.reply("k").unwrap()), (vec![], None));
    trial.count("PRAGMA max_page_count = 1000000");
    trial.take_in(4, &[update(2, "1"), big]).unwrap();
    trial.journal.answered(&[Answered { id: first.id, posts: posts.to_vec() }]).unwrap();
    trial.journal.commit(&batch).unwrap();
    assert_eq!((trial.waiting().len(), trial.queue().len()), (2, 2));
    assert_eq!(trial.journal.reply("k").unwrap().as_deref(), Some("{}"));
}

#[test]
fn what_was_said_is_gone_once_it_is_dealt_with() {
    let mut trial = Trial::start();
    let secret = Incoming { update: "a secret wish".into(), ..update(1, "1") };
    trial.take_in(1, &[secret]).unwrap();
    let wish = trial.journal.waiting(BOT, 0, 1, usize::MAX).unwrap().remove(0);
    let posts = [post("a", None, "a secret answer"), post("b", None, "a secret refusal")];
    trial.journal.answered(&[Answered { id: wish.id, posts: posts.to_vec() }]).unwrap();
    let [first, second] = &trial.unsent()[..] else { panic!() };
    trial.journal.sent(first.id, 0, "100", &[]).unwrap();
    trial.journal.drop_post(second.id, "blocked").unwrap();
    assert_eq!(trial.count("SELECT COUNT(*) FROM updates WHERE body LIKE '%secret%'"), 0);
    assert_eq!(trial.count("SELECT COUNT(*) FROM posts WHERE body LIKE '%secret%'"), 0);
}

#[test]
fn old_mail_is_forgotten_and_what_waits_is_not() {
    let mut trial = Trial::start();
    let updates: Vec<Incoming> = (0..4).map(|n| update(n, "1")).collect();
    trial.take_in(4, &updates).unwrap();
    let ids: Vec<i64> = trial.journal.waiting(BOT, 0, 10, usize::MAX).unwrap().iter().map(|update| update.id).collect();
    trial
        .journal
        .answered(&[Answered { id: ids[0], posts: vec![post("a", Some("t1"), "old"), post("b", None, "new")] }])
        .unwrap();
    trial.journal.answered(&[Answered { id: ids[1], posts: vec![post("c", None, "waits")] }]).unwrap();
    let posts: Vec<i64> = trial.unsent().iter().map(|post| post.id).collect();
    trial.journal.enqueue(BOT, &[post("a2", Some("t1"), "older edit")]).unwrap();
    trial.journal.sent(posts[0], 1, "100", &[]).unwrap();
    trial.journal.sent(posts[1], 0, "101", &[]).unwrap();
    trial.journal.commit(&Batch { replies: vec![("k".into(), "{}".into())], ..Batch::default() }).unwrap();
    trial.change(&format!("UPDATE updates SET answered_ms = answered_ms - {REMEMBERED_MS} - 1 WHERE id = {}", ids[0]));
    trial.change(&format!("UPDATE posts SET settled_ms = settled_ms - {REMEMBERED_MS} - 1 WHERE id = {}", posts[0]));
    trial.change(&format!("UPDATE replies SET at_ms = at_ms - {REMEMBERED_MS} - 1"));
    trial.take_in(4, &[]).unwrap();
    trial.journal.enqueue(BOT, &[post("d", None, "next")]).unwrap();
    trial.journal.commit(&Batch { replies: vec![("l".into(), "{}".into())], ..Batch::default() }).unwrap();
    assert_eq!(trial.count("SELECT COUNT(*) FROM updates"), 3);
    assert_eq!(trial.waiting(), ["2", "3"]);
    assert_eq!(trial.queue(), [queued("c", "waits", 0), queued("d", "next", 0)]);
    // Keys go with their posts; the receipt of a topic stays for edits to come.
    assert_eq!(trial.count("SELECT COUNT(*) FROM post_keys"), 3);
    assert_eq!(trial.journal.topic(BOT, "1", "t1").unwrap().receipt.as_deref(), Some("100"));
    assert_eq!((trial.journal.reply("k").unwrap(), trial.journal.reply("l").unwrap()), (None, Some("{}".into())));
}

#[test]
fn a_burst_of_ten_thousand_is_kept_in_order_and_forgotten_in_time() {
    let mut trial = Trial::start();
    trial.journal.db.pragma_update(None, "synchronous", "OFF").unwrap();
    let updates: Vec<Incoming> = (0..10_000).map(|n| update(n, &format!("{}", n % 200))).collect();
    for (n, batch) in (1_i64..).zip(updates.chunks(100)) {
        trial.take_in(n * 100, batch).unwrap();
        trial.take_in(n * 100, batch).unwrap();
    }
    let mut after = 0;
    let mut seen = 0;
    loop {
        let batch = trial.journal.waiting(BOT, after, 100, usize::MAX).unwrap();
        let Some(last) = batch.last() else { break };
        after = last.id;
        let answers: Vec<Answered> = batch
            .iter()
            .map(|update| {
                assert_eq!(update.key, updates[seen].key);
                seen += 1;
                let reply = Outgoing { chat: update.chat.clone(), ..post(&update.key, None, &update.key) };
                Answered { id: update.id, posts: if seen.is_multiple_of(20) { vec![reply] } else { Vec::new() } }
            })
            .collect();
        trial.journal.answered(&answers).unwrap();
    }
    assert_eq!((seen, trial.counts(BOT)), (10_000, (0, 500)));
    let keys: Vec<u32> = trial.unsent().iter().map(|post| post.key.parse().unwrap()).collect();
    assert!(keys.is_sorted() && keys.len() == 500);
    // A hundred more are answered: the first hundred are forgotten, and only they.
    let more: Vec<Incoming> = (10_000..10_100).map(|n| update(n, "1")).collect();
    trial.take_in(10_100, &more).unwrap();
    let waiting = trial.journal.waiting(BOT, 0, 100, usize::MAX).unwrap();
    let answers = waiting.iter().map(|update| Answered { id: update.id, posts: Vec::new() });
    trial.journal.answered(&answers.collect::<Vec<_>>()).unwrap();
    trial.take_in(10_100, &updates[100..200]).unwrap();
    assert_eq!(trial.counts(BOT), (0, 500));
    assert_eq!(trial.count("SELECT COUNT(*) FROM updates"), 10_000);
    assert_eq!(trial.count("SELECT MIN(CAST(key AS INTEGER)) FROM updates"), 100);
}

/// No query may get slower with what is remembered.
#[test]
fn every_queue_is_read_by_an_index() {
    let trial = Trial::start();
    for sql in [
        "SELECT id FROM updates WHERE transport = 'a' AND id > 5 AND answered_ms IS NULL ORDER BY id LIMIT 9",
        "SELECT COUNT(*) FROM updates WHERE transport = 'a' AND answered_ms IS NULL",
        "SELECT id FROM updates WHERE transport = 'a' AND answered_ms IS NOT NULL ORDER BY answered_ms DESC, id DESC",
        "DELETE FROM updates WHERE transport = 'a' AND answered_ms < 5",
        "SELECT id FROM posts WHERE transport = 'a' AND id > 5 AND settled_ms IS NULL ORDER BY id LIMIT 9",
        "SELECT id FROM posts WHERE transport = 'a' AND chat = 'b' AND topic = 'c' AND settled_ms IS NULL ORDER BY id DESC",
        "SELECT id FROM posts WHERE settled_ms < 5 LIMIT 9",
        "DELETE FROM replies WHERE at_ms < 5",
    ] {
        let mut plan = trial.journal.db.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let steps: Vec<String> = plan.query_map([], |row| row.get(3)).unwrap().collect::<Result<_, _>>().unwrap();
        let steps = steps.join("; ");
        assert!(steps.contains("INDEX") && !steps.contains("TEMP B-TREE") && !steps.contains("SCAN"), "{sql}: {steps}");
    }
}

#[test]
fn what_waits_in_a_chat_costs_the_others_nothing() {
    let mut trial = Trial::start();
    let steps = |trial: &Trial| {
        let heads = trial.journal.heads(BOT).unwrap().len();
        // The very statement that found them.
        let steps = trial.journal.db.prepare_cached(HEADS).unwrap().reset_status(rusqlite::StatementStatus::VmStep);
        (heads, steps)
    };
    let posts = |from: usize, to: usize| -> Vec<Outgoing> {
        (from..to).map(|n| Outgoing { chat: (n % 5).to_string(), ..post(&n.to_string(), None, "x") }).collect()
    };
    trial.journal.enqueue(BOT, &posts(0, 10)).unwrap();
    let few = steps(&trial);
    trial.journal.enqueue(BOT, &posts(10, 5_000)).unwrap();
    let many = steps(&trial);
    assert_eq!((few.0, many.0), (5, 5));
    assert!(many.1 < few.1 * 2, "{few:?} {many:?}");
}
