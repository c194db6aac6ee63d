//! Mail under trial: everything done twice, replaced while it is under way, and cut off in between.

use super::{mail::HEADS, *};

const BOT: &str = "telegram";

/// A journal that can be killed: dropped without a word, and opened again.
struct Trial {
    dir: tempfile::TempDir,
    journal: Journal,
}

impl Trial {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(&dir.path().join("journal.db")).unwrap();
        Trial { dir, journal }
    }

    fn kill(self) -> Self {
        let Trial { dir, journal } = self;
        drop(journal);
        Trial { journal: Journal::open(&dir.path().join("journal.db")).unwrap(), dir }
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
fn an_update_is_taken_in_once_and_answered_once() {
    let mut trial = Trial::start();
    assert_eq!(trial.journal.cursor(BOT).unwrap(), None);
    let updates = [update(7, "1"), update(8, "2"), update(7, "1")];
    trial.journal.take_in(BOT, 9, &updates).unwrap();
    // The answer to the poll was lost, or the process killed: the transport brings them again.
    let mut trial = trial.kill();
    trial.journal.take_in(BOT, 10, &[update(8, "2"), update(9, "1")]).unwrap();
    assert_eq!(trial.journal.cursor(BOT).unwrap(), Some(10));
    assert_eq!(trial.waiting(), ["7", "8", "9"]);
    let first = trial.journal.waiting(BOT, 0, 1, usize::MAX).unwrap().remove(0);
    assert_eq!((first.chat.as_str(), first.update.as_str()), ("1", r#"{"update":"7"}"#));
    assert_eq!(trial.journal.waiting(BOT, first.id, 1, usize::MAX).unwrap()[0].key, "8");
    let posts = [post("a", None, "hello"), post("b", None, "again")];
    trial.journal.answered(first.id, &posts).unwrap();
    let mut trial = trial.kill();
    trial.journal.answered(first.id, &posts).unwrap();
    trial.journal.answered(first.id, &[post("late", None, "a second answer")]).unwrap();
    trial.journal.answered(12_345, &posts).unwrap();
    trial.journal.take_in(BOT, 10, &updates).unwrap();
    assert_eq!(trial.waiting(), ["8", "9"]);
    assert_eq!(trial.queue(), [queued("a", "hello", 0), queued("b", "again", 0)]);
    assert_eq!(trial.counts(BOT), (2, 2));
    // Another transport has its own keys and its own cursor.
    trial.journal.take_in("matrix", 1, &[update(7, "1")]).unwrap();
    trial.journal.enqueue("matrix", &[post("a", None, "hello")]).unwrap();
    assert_eq!(trial.counts("matrix"), (1, 1));
    assert_eq!((trial.journal.cursor(BOT).unwrap(), trial.journal.cursor("matrix").unwrap()), (Some(10), Some(1)));
    assert_eq!(trial.journal.verify().unwrap(), None);
}

#[test]
fn a_post_goes_out_once() {
    let mut trial = Trial::start();
    let posts = [post("a", None, "one"), post("b", None, "two")];
    trial.journal.enqueue(BOT, &posts).unwrap();
    trial.journal.enqueue(BOT, &posts).unwrap();
    let first = trial.unsent().remove(0);
    assert!(trial.journal.sent(first.id, first.revision, "100", &[]).unwrap());
    let mut trial = trial.kill();
    assert!(trial.journal.sent(first.id, first.revision, "100", &[]).unwrap());
    trial.journal.enqueue(BOT, &posts).unwrap();
    assert_eq!(trial.queue(), [queued("b", "two", 0)]);
    assert_eq!(trial.journal.unsent(BOT, first.id, 10).unwrap().len(), 1);
    let second = trial.unsent().remove(0);
    assert!(trial.journal.unsent(BOT, second.id, 10).unwrap().is_empty());
    trial.journal.tried(second.id, 5_000).unwrap();
    trial.journal.tried(second.id, 7_000).unwrap();
    trial.journal.put_off(second.id, 9_000).unwrap();
    let Unsent { attempts, not_before_ms, .. } = trial.unsent().remove(0);
    assert_eq!((attempts, not_before_ms), (2, 9_000));
    trial.journal.drop_post(second.id, "the bot was kicked").unwrap();
    trial.journal.drop_post(first.id, "it went out already").unwrap();
    trial.journal.put_off(second.id, 1).unwrap();
    assert!(!trial.journal.rewrite(second.id, 0, "once more").unwrap());
    trial.journal.enqueue(BOT, &posts).unwrap();
    assert!(trial.queue().is_empty());
    let why = "SELECT COUNT(*) FROM posts WHERE dropped = 'the bot was kicked' AND receipt IS NULL AND attempts = 2";
    assert_eq!(trial.count(why), 1);
    assert_eq!(trial.count("SELECT COUNT(*) FROM posts WHERE dropped IS NULL AND receipt = '100'"), 1);
}

#[test]
fn edits_collapse_in_the_place_of_the_first() {
    let mut trial = Trial::start();
    let progress = |key: &str, text: &str| post(key, Some("t1"), text);
    let elsewhere = Outgoing { chat: "2".into(), ..progress("x", "elsewhere") };
    let posts = [progress("a", "10 %"), post("b", None, "words"), elsewhere, progress("c", "20 %")];
    trial.journal.enqueue(BOT, &posts).unwrap();
    let expected = [queued("c", "20 %", 1), queued("b", "words", 0), queued("x", "elsewhere", 0)];
    assert_eq!(trial.queue(), expected);
    // The keys of what was replaced are known, too.
    let mut trial = trial.kill();
    trial.journal.enqueue(BOT, &posts).unwrap();
    assert_eq!(trial.queue(), expected);
    let first = trial.unsent().remove(0);
    assert!(trial.journal.sent(first.id, first.revision, "100", &[]).unwrap());
    assert_eq!(trial.journal.topic_receipt(BOT, "1", "t1").unwrap().as_deref(), Some("100"));
    assert_eq!(trial.journal.topic_receipt(BOT, "2", "t1").unwrap(), None);
    // What comes after it went out is a post of its own, behind the others.
    trial.journal.enqueue(BOT, &[progress("d", "30 %"), progress("a", "10 %")]).unwrap();
    assert_eq!(trial.queue(), [expected[1].clone(), expected[2].clone(), queued("d", "30 %", 0)]);
}

#[test]
fn what_was_replaced_while_it_was_sent_becomes_an_edit() {
    let mut trial = Trial::start();
    trial.journal.enqueue(BOT, &[post("a", Some("t1"), "10 %")]).unwrap();
    let sending = trial.unsent().remove(0);
    trial.journal.enqueue(BOT, &[post("b", Some("t1"), "20 %")]).unwrap();
    assert!(!trial.journal.sent(sending.id, sending.revision, "100", &[]).unwrap());
    // Killed before it could be turned into an edit: the receipt tells that it must be one.
    let mut trial = trial.kill();
    assert!(!trial.journal.sent(sending.id, sending.revision, "100", &[]).unwrap());
    assert_eq!(trial.journal.topic_receipt(BOT, "1", "t1").unwrap().as_deref(), Some("100"));
    assert_eq!(trial.queue(), [queued("b", "20 %", 1)]);
    assert!(!trial.journal.rewrite(sending.id, 0, "edit 100: 10 %").unwrap(), "an older content");
    assert!(trial.journal.rewrite(sending.id, 1, "edit 100: 20 %").unwrap());
    assert_eq!(trial.queue(), [queued("b", "edit 100: 20 %", 1)]);
    assert!(trial.journal.sent(sending.id, 1, "100", &[]).unwrap());
    assert!(trial.queue().is_empty());
}

#[test]
fn a_full_disk_takes_all_or_nothing() {
    let mut trial = Trial::start();
    trial.journal.take_in(BOT, 1, &[update(1, "1")]).unwrap();
    let first = trial.journal.waiting(BOT, 0, 1, usize::MAX).unwrap().remove(0);
    let pages = trial.count("PRAGMA page_count");
    trial.count(&format!("PRAGMA max_page_count = {pages}"));
    let long = "x".repeat(200_000);
    let big = Incoming { update: long.clone(), ..update(3, "1") };
    let error = trial.journal.take_in(BOT, 4, &[update(2, "1"), big.clone()]).unwrap_err();
    assert!(error.is_passing(), "{error:?}");
    let posts = [post("a", None, "small"), post("b", None, &long)];
    assert!(trial.journal.answered(first.id, &posts).unwrap_err().is_passing());
    assert!(trial.journal.enqueue(BOT, &posts).unwrap_err().is_passing());
    let replies = vec![("k".to_owned(), "{}".to_owned()), ("l".to_owned(), long)];
    let batch = Batch { replies, ..Batch::default() };
    assert!(trial.journal.commit(&batch).unwrap_err().is_passing());
    assert_eq!((trial.journal.cursor(BOT).unwrap(), trial.waiting()), (Some(1), vec!["1".to_owned()]));
    assert_eq!((trial.queue(), trial.journal.reply("k").unwrap()), (vec![], None));
    trial.count("PRAGMA max_page_count = 1000000");
    trial.journal.take_in(BOT, 4, &[update(2, "1"), big]).unwrap();
    trial.journal.answered(first.id, &posts).unwrap();
    trial.journal.commit(&batch).unwrap();
    assert_eq!((trial.waiting().len(), trial.queue().len()), (2, 2));
    assert_eq!(trial.journal.reply("k").unwrap().as_deref(), Some("{}"));
}

#[test]
fn what_was_said_is_gone_once_it_is_dealt_with() {
    let mut trial = Trial::start();
    let secret = Incoming { update: "a secret wish".into(), ..update(1, "1") };
    trial.journal.take_in(BOT, 1, &[secret]).unwrap();
    let wish = trial.journal.waiting(BOT, 0, 1, usize::MAX).unwrap().remove(0);
    let posts = [post("a", None, "a secret answer"), post("b", None, "a secret refusal")];
    trial.journal.answered(wish.id, &posts).unwrap();
    let [first, second] = &trial.unsent()[..] else { panic!() };
    trial.journal.sent(first.id, 0, "100", &[]).unwrap();
    trial.journal.drop_post(second.id, "blocked").unwrap();
    assert_eq!(trial.count("SELECT COUNT(*) FROM updates WHERE body LIKE '%secret%'"), 0);
    assert_eq!(trial.count("SELECT COUNT(*) FROM posts WHERE body LIKE '%secret%'"), 0);
}

#[test]
fn a_group_that_gets_another_name_takes_everything_along() {
    let mut trial = Trial::start();
    trial.journal.take_in(BOT, 3, &[update(1, "1"), update(2, "2")]).unwrap();
    let posts = [post("a", Some("t1"), "sent"), post("b", Some("t2"), "in both")];
    let there =
        [("c", "t2"), ("d", "t3")].map(|(key, topic)| Outgoing { chat: "-100".into(), ..post(key, Some(topic), key) });
    trial.journal.enqueue(BOT, &posts).unwrap();
    trial.journal.enqueue(BOT, &there).unwrap();
    let ids: Vec<i64> = trial.unsent().iter().map(|post| post.id).collect();
    trial.journal.sent(ids[0], 0, "100", &[]).unwrap();
    trial.journal.sent(ids[1], 0, "101", &[]).unwrap();
    trial.journal.sent(ids[2], 0, "900", &[]).unwrap();
    trial.journal.enqueue(BOT, &[post("e", Some("t3"), "before"), post("f", None, "words")]).unwrap();
    for _ in 0..2 {
        trial.journal.rename_chat(BOT, "1", "-100").unwrap();
        trial.journal.rename_chat(BOT, "-100", "-100").unwrap();
    }
    let waiting = trial.journal.waiting(BOT, 0, 10, usize::MAX).unwrap();
    assert_eq!(waiting.iter().map(|update| update.chat.as_str()).collect::<Vec<_>>(), ["-100", "2"]);
    assert!(trial.unsent().iter().all(|post| post.chat == "-100"));
    let receipt = |topic| trial.journal.topic_receipt(BOT, "-100", topic).unwrap();
    assert_eq!((receipt("t1"), receipt("t2").as_deref()), (None, Some("900")), "its numbers mean nothing there");
    assert_eq!(trial.journal.topic_receipt(BOT, "1", "t2").unwrap(), None);
    // Both have a post about the same now: the newer one is replaced.
    let next = Outgoing { chat: "-100".into(), ..post("g", Some("t3"), "after") };
    trial.journal.enqueue(BOT, &[next]).unwrap();
    assert_eq!(trial.queue(), [queued("d", "d", 0), queued("g", "after", 1), queued("f", "words", 0)]);
}

#[test]
fn old_mail_is_forgotten_and_what_waits_is_not() {
    let mut trial = Trial::start();
    let updates: Vec<Incoming> = (0..4).map(|n| update(n, "1")).collect();
    trial.journal.take_in(BOT, 4, &updates).unwrap();
    let ids: Vec<i64> = trial.journal.waiting(BOT, 0, 10, usize::MAX).unwrap().iter().map(|update| update.id).collect();
    trial.journal.answered(ids[0], &[post("a", Some("t1"), "old"), post("b", None, "new")]).unwrap();
    trial.journal.answered(ids[1], &[post("c", None, "waits")]).unwrap();
    let posts: Vec<i64> = trial.unsent().iter().map(|post| post.id).collect();
    trial.journal.enqueue(BOT, &[post("a2", Some("t1"), "older edit")]).unwrap();
    trial.journal.sent(posts[0], 1, "100", &[]).unwrap();
    trial.journal.sent(posts[1], 0, "101", &[]).unwrap();
    trial.journal.commit(&Batch { replies: vec![("k".into(), "{}".into())], ..Batch::default() }).unwrap();
    trial.change(&format!("UPDATE updates SET answered_ms = answered_ms - {REMEMBERED_MS} - 1 WHERE id = {}", ids[0]));
    trial.change(&format!("UPDATE posts SET settled_ms = settled_ms - {REMEMBERED_MS} - 1 WHERE id = {}", posts[0]));
    trial.change(&format!("UPDATE replies SET at_ms = at_ms - {REMEMBERED_MS} - 1"));
    trial.journal.take_in(BOT, 4, &[]).unwrap();
    trial.journal.enqueue(BOT, &[post("d", None, "next")]).unwrap();
    trial.journal.commit(&Batch { replies: vec![("l".into(), "{}".into())], ..Batch::default() }).unwrap();
    assert_eq!(trial.count("SELECT COUNT(*) FROM updates"), 3);
    assert_eq!(trial.waiting(), ["2", "3"]);
    assert_eq!(trial.queue(), [queued("c", "waits", 0), queued("d", "next", 0)]);
    // Keys go with their posts; the receipt of a topic stays for edits to come.
    assert_eq!(trial.count("SELECT COUNT(*) FROM post_keys"), 3);
    assert_eq!(trial.journal.topic_receipt(BOT, "1", "t1").unwrap().as_deref(), Some("100"));
    assert_eq!((trial.journal.reply("k").unwrap(), trial.journal.reply("l").unwrap()), (None, Some("{}".into())));
}

#[test]
fn a_reply_stays_what_it_was_first() {
    let mut trial = Trial::start();
    let batch = |reply: &str| Batch { replies: vec![("k".into(), reply.into())], ..Batch::default() };
    assert_eq!(trial.journal.commit(&batch("first")).unwrap(), 0);
    let mut trial = trial.kill();
    trial.journal.commit(&batch("second")).unwrap();
    assert_eq!(trial.journal.reply("k").unwrap().as_deref(), Some("first"));
}

#[test]
fn a_burst_of_ten_thousand_is_kept_in_order_and_forgotten_in_time() {
    let mut trial = Trial::start();
    trial.journal.db.pragma_update(None, "synchronous", "OFF").unwrap();
    let updates: Vec<Incoming> = (0..10_000).map(|n| update(n, &format!("{}", n % 200))).collect();
    for (n, batch) in (1_i64..).zip(updates.chunks(100)) {
        trial.journal.take_in(BOT, n * 100, batch).unwrap();
        trial.journal.take_in(BOT, n * 100, batch).unwrap();
    }
    let mut after = 0;
    let mut seen = 0;
    loop {
        let batch = trial.journal.waiting(BOT, after, 100, usize::MAX).unwrap();
        let Some(last) = batch.last() else { break };
        after = last.id;
        let answers: Vec<(i64, Vec<Outgoing>)> = batch
            .iter()
            .map(|update| {
                assert_eq!(update.key, updates[seen].key);
                seen += 1;
                let reply = Outgoing { chat: update.chat.clone(), ..post(&update.key, None, &update.key) };
                (update.id, if seen.is_multiple_of(20) { vec![reply] } else { Vec::new() })
            })
            .collect();
        trial.journal.answered_all(answers.iter().map(|(id, posts)| (*id, posts.as_slice()))).unwrap();
    }
    assert_eq!((seen, trial.counts(BOT)), (10_000, (0, 500)));
    let keys: Vec<u32> = trial.unsent().iter().map(|post| post.key.parse().unwrap()).collect();
    assert!(keys.is_sorted() && keys.len() == 500);
    // A hundred more are answered: the first hundred are forgotten, and only they.
    let more: Vec<Incoming> = (10_000..10_100).map(|n| update(n, "1")).collect();
    trial.journal.take_in(BOT, 10_100, &more).unwrap();
    let ids: Vec<i64> =
        trial.journal.waiting(BOT, 0, 100, usize::MAX).unwrap().iter().map(|update| update.id).collect();
    trial.journal.answered_all(ids.iter().map(|id| (*id, [].as_slice()))).unwrap();
    trial.journal.take_in(BOT, 10_100, &updates[100..200]).unwrap();
    assert_eq!(trial.counts(BOT), (0, 500));
    assert_eq!(trial.count("SELECT COUNT(*) FROM updates"), 10_000);
    assert_eq!(trial.count("SELECT MIN(CAST(key AS INTEGER)) FROM updates"), 100);
}

#[test]
fn every_chat_has_its_next_post_and_edits_come_after() {
    let mut trial = Trial::start();
    let to = |chat: &str, key: &str, topic| Outgoing { chat: chat.into(), ..post(key, topic, key) };
    trial.journal.enqueue(BOT, &[to("1", "progress", Some("t1"))]).unwrap();
    let heads = |trial: &Trial| -> Vec<(String, bool)> {
        let heads = trial.journal.heads(BOT).unwrap();
        heads.into_iter().map(|head| (head.chat, head.edits)).collect()
    };
    assert_eq!(heads(&trial), [("1".into(), false)]);
    let first = trial.unsent().remove(0);
    trial.journal.sent(first.id, 0, "100", &[]).unwrap();
    trial.journal.enqueue(BOT, &[to("1", "newer", Some("t1"))]).unwrap();
    let many: Vec<Outgoing> = (0..3).map(|n| to("1", &format!("a{n}"), None)).collect();
    trial.journal.enqueue(BOT, &many).unwrap();
    trial.journal.enqueue(BOT, &[to("2", "b", Some("t1"))]).unwrap();
    trial.journal.enqueue("matrix", &[to("3", "c", None)]).unwrap();
    assert_eq!(heads(&trial), [("1".into(), false), ("2".into(), false), ("1".into(), true)]);
    // What was deleted is said anew, in its turn.
    trial.journal.forget_topic(BOT, "1", "t1").unwrap();
    assert_eq!(heads(&trial), [("1".into(), false), ("2".into(), false)]);
    assert_eq!(trial.journal.heads(BOT).unwrap()[0].id, trial.unsent()[0].id);
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
fn what_waits_is_read_in_bites() {
    let mut trial = Trial::start();
    let long = |key| Incoming { update: "x".repeat(1_000), ..update(key, "1") };
    trial.journal.take_in(BOT, 1, &[long(1), long(2), long(3)]).unwrap();
    let read = |after, bytes| -> Vec<String> {
        let page = trial.journal.waiting(BOT, after, 9, bytes).unwrap();
        page.into_iter().map(|update| update.key).collect()
    };
    assert_eq!(read(0, 1), ["1"], "one at least, however large");
    assert_eq!(read(0, 1_001), ["1", "2"]);
    assert_eq!(read(0, usize::MAX), ["1", "2", "3"]);
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

#[test]
fn a_chat_that_puts_us_out_is_owed_nothing() {
    let mut trial = Trial::start();
    let to = |key: &str, chat: &str| Outgoing { chat: chat.into(), ..post(key, None, key) };
    trial.journal.enqueue(BOT, &[to("a", "-5"), to("b", "-5/7"), to("c", "-55"), to("d", "5")]).unwrap();
    trial.journal.drop_posts_of(BOT, "-5", "thrown out").unwrap();
    trial.journal.drop_posts_of("matrix", "-55", "thrown out").unwrap();
    assert_eq!(trial.queue(), [queued("c", "c", 0), queued("d", "d", 0)]);
    assert_eq!(trial.count("SELECT COUNT(*) FROM posts WHERE dropped = 'thrown out' AND body = ''"), 2);
    trial.journal.enqueue(BOT, &[to("a", "-5")]).unwrap();
    assert_eq!(trial.queue().len(), 2, "its key is known");
}
