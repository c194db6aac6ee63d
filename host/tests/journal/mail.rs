//! Mail that comes in: taken in once, answered once, and what becomes of chats meanwhile.

use crate::{
    kind::{Kind, Trial},
    posts::{post, queue, queued, unsent},
};
use borg_core::chat::{Post, TextPost};
use borg_host::{
    journal::Reads,
    mail::{Answered, Arrived, Change, Incoming, Mail, Offer, Offered, Outgoing, body},
};
use std::sync::Arc;

pub const BOT: &str = "telegram";

fn update(key: impl ToString, chat: &str) -> Incoming {
    let key = key.to_string();
    Incoming { update: format!("{{\"update\":\"{key}\"}}"), key, chat: chat.into() }
}

fn brought(cursor: i64, updates: &[Incoming]) -> Arc<Arrived> {
    Arc::new(Arrived { cursor, changes: Vec::new(), updates: updates.to_vec() })
}

fn answer(id: i64, posts: &[Outgoing]) -> Arc<[Answered]> {
    [Answered { id, posts: posts.to_vec() }].into()
}

/// Keys of what waits for an answer.
async fn waiting(mail: &impl Mail, transport: &str) -> Vec<String> {
    let waiting = mail.waiting(transport, 0, u32::MAX, usize::MAX).await.unwrap();
    waiting.into_iter().map(|update| update.key).collect()
}

pub async fn an_update_is_taken_in_once_and_answered_once<K: Kind>() {
    let trial = Trial::<K>::start().await;
    assert_eq!(trial.journal.cursor(BOT).await.unwrap(), None);
    let updates = [update(7, "1"), update(8, "2"), update(7, "1")];
    trial.journal.take_in(BOT, brought(9, &updates)).await.unwrap();
    // The answer to the poll was lost, or the process killed: the transport brings them again.
    let trial = trial.again().await;
    trial.journal.take_in(BOT, brought(10, &[update(8, "2"), update(9, "1")])).await.unwrap();
    assert_eq!(trial.journal.cursor(BOT).await.unwrap(), Some(10));
    assert_eq!(waiting(&trial.journal, BOT).await, ["7", "8", "9"]);
    let first = trial.journal.waiting(BOT, 0, 1, usize::MAX).await.unwrap().remove(0);
    assert_eq!((first.chat.as_str(), first.update.as_str()), ("1", r#"{"update":"7"}"#));
    assert_eq!(trial.journal.waiting(BOT, first.id, 1, usize::MAX).await.unwrap()[0].key, "8");
    let posts = [post("a", None, "hello"), post("b", None, "again")];
    trial.journal.answered(answer(first.id, &posts)).await.unwrap();
    let trial = trial.again().await;
    trial.journal.answered(answer(first.id, &posts)).await.unwrap();
    trial.journal.answered(answer(first.id, &[post("late", None, "a second answer")])).await.unwrap();
    trial.journal.answered(answer(12_345, &posts)).await.unwrap();
    trial.journal.take_in(BOT, brought(10, &updates)).await.unwrap();
    assert_eq!(waiting(&trial.journal, BOT).await, ["8", "9"]);
    assert_eq!(queue(&trial.journal).await, [queued("a", "hello", 0), queued("b", "again", 0)]);
    // Another transport has its own keys and its own cursor.
    trial.journal.take_in("matrix", brought(1, &[update(7, "1")])).await.unwrap();
    trial.journal.enqueue("matrix", [post("a", None, "hello")].into()).await.unwrap();
    assert_eq!(waiting(&trial.journal, "matrix").await, ["7"]);
    assert_eq!(trial.journal.unsent("matrix", 0, 9).await.unwrap().len(), 1);
    let cursors = (trial.journal.cursor(BOT).await.unwrap(), trial.journal.cursor("matrix").await.unwrap());
    assert_eq!(cursors, (Some(10), Some(1)));
    assert_eq!(trial.journal.last_seq().await.unwrap(), 0, "none of it is an event");
}

pub async fn what_waits_is_read_in_bites<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let long = |key| Incoming { update: "x".repeat(1_000), ..update(key, "1") };
    trial.journal.take_in(BOT, brought(1, &[long(1), long(2), long(3)])).await.unwrap();
    let read = async |after, bytes| -> Vec<String> {
        let page = trial.journal.waiting(BOT, after, 9, bytes).await.unwrap();
        page.into_iter().map(|update| update.key).collect()
    };
    assert_eq!(read(0, 1).await, ["1"], "one at least, however large");
    assert_eq!(read(0, 1_001).await, ["1", "2"]);
    assert_eq!(read(0, usize::MAX).await, ["1", "2", "3"]);
}

pub async fn a_chat_that_moves_takes_everything_along<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let journal = &trial.journal;
    journal.take_in(BOT, brought(3, &[update(1, "1"), update(2, "2")])).await.unwrap();
    let posts = [post("a", Some("t1"), "sent"), post("b", Some("t2"), "in both")];
    let there =
        [("c", "t2"), ("d", "t3")].map(|(key, topic)| Outgoing { chat: "-100".into(), ..post(key, Some(topic), key) });
    journal.enqueue(BOT, posts.into()).await.unwrap();
    journal.enqueue(BOT, there.into()).await.unwrap();
    let ids: Vec<i64> = unsent(journal).await.iter().map(|post| post.id).collect();
    let button = Offer { label: "Diff".into(), action: "/diff 3".into() };
    for (id, receipt) in ids.iter().zip(["100", "101", "900"]) {
        journal.sent(*id, 0, receipt, vec![button.clone()]).await.unwrap();
    }
    let edits = Post::Edit { receipt: "101".into(), post: text(Some("77")) };
    let answers = Post::Send(text(Some("77")));
    let (edits, answers) = (body::text(&edits), body::text(&answers));
    let more = [post("e", Some("t3"), "before"), post("f", None, &edits), post("g", None, &answers)];
    journal.enqueue(BOT, more.into()).await.unwrap();
    for _ in 0..2 {
        for (from, to) in [("1", "-100"), ("-100", "-100")] {
            journal.changed(BOT, Change::Moved { from: from.into(), to: to.into() }).await.unwrap();
        }
    }
    let waiting = journal.waiting(BOT, 0, 10, usize::MAX).await.unwrap();
    assert_eq!(waiting.iter().map(|update| update.chat.as_str()).collect::<Vec<_>>(), ["-100", "2"]);
    assert!(unsent(journal).await.iter().all(|post| post.chat == "-100"));
    let receipt = async |chat, topic| journal.topic(BOT, chat, topic).await.unwrap().receipt;
    assert_eq!(receipt("-100", "t1").await, None, "its numbers mean nothing there");
    assert_eq!((receipt("-100", "t2").await.as_deref(), receipt("1", "t2").await), (Some("900"), None));
    // A press of an older post may come by either name.
    for chat in ["1", "-100"] {
        assert_eq!(journal.offered(BOT, chat, "100", "/diff 3").await.unwrap(), Offered::Yes, "{chat}");
    }
    // Both have a post about the same now: the newer one is replaced.
    let next = Outgoing { chat: "-100".into(), ..post("h", Some("t3"), "after") };
    journal.enqueue(BOT, [next].into()).await.unwrap();
    let anew = body::text(&Post::Send(text(None)));
    let want = [queued("d", "d", 0), queued("h", "after", 1), queued("f", &anew, 0), queued("g", &anew, 0)];
    assert_eq!(queue(journal).await, want, "nothing said before can be edited or answered there");
}

fn text(reply_to: Option<&str>) -> TextPost {
    TextPost {
        chat: "1".into(),
        text: "words".into(),
        entities: String::new(),
        buttons: Vec::new(),
        reply_to: reply_to.map(str::to_owned),
        silent: false,
    }
}

pub async fn a_chat_that_puts_us_out_is_owed_nothing<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let journal = &trial.journal;
    let to = |key: &str, chat: &str| Outgoing { chat: chat.into(), ..post(key, None, key) };
    let posts = [to("a", "-5"), to("b", "-5/7"), to("c", "-55"), to("d", "5")];
    journal.enqueue(BOT, posts.into()).await.unwrap();
    let out = |chat: &str| Change::PutOut { chat: chat.into(), reason: "thrown out".into() };
    journal.changed(BOT, out("-5")).await.unwrap();
    journal.changed("matrix", out("-55")).await.unwrap();
    assert_eq!(queue(journal).await, [queued("c", "c", 0), queued("d", "d", 0)]);
    journal.enqueue(BOT, [to("a", "-5")].into()).await.unwrap();
    assert_eq!(queue(journal).await.len(), 2, "its key is known");
}

pub async fn what_became_of_chats_comes_with_what_they_brought<K: Kind>() {
    let trial = Trial::<K>::start().await;
    trial.journal.take_in(BOT, brought(1, &[update(1, "1")])).await.unwrap();
    let changes = vec![Change::Moved { from: "1".into(), to: "-100".into() }];
    let arrived = Arc::new(Arrived { cursor: 2, changes, updates: vec![update(2, "-100")] });
    for _ in 0..2 {
        trial.journal.take_in(BOT, arrived.clone()).await.unwrap();
    }
    let waiting = trial.again().await.journal.waiting(BOT, 0, 9, usize::MAX).await.unwrap();
    let waiting: Vec<_> = waiting.iter().map(|update| (update.key.as_str(), update.chat.as_str())).collect();
    assert_eq!(waiting, [("1", "-100"), ("2", "-100")]);
}
