//! Mail that goes out: each post once and in order, and the buttons under those that did.

use crate::{
    kind::{Kind, Trial},
    mail::BOT,
};
use borg_core::id::TaskId;
use borg_host::mail::{Change, Mail, Offer, Offered, Outgoing, Topic, Unsent};

pub fn post(key: &str, topic: Option<&str>, text: &str) -> Outgoing {
    Outgoing { key: key.into(), chat: "1".into(), about: None, topic: topic.map(str::to_owned), post: text.into() }
}

pub fn queued(key: &str, text: &str, revision: u32) -> (String, String, u32) {
    (key.into(), text.into(), revision)
}

pub async fn unsent(mail: &impl Mail) -> Vec<Unsent> {
    mail.unsent(BOT, 0, u32::MAX).await.unwrap()
}

/// Keys, contents and revisions of what is to go out.
pub async fn queue(mail: &impl Mail) -> Vec<(String, String, u32)> {
    unsent(mail).await.into_iter().map(|post| (post.key, post.post, post.revision)).collect()
}

pub async fn a_post_goes_out_once<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let posts = [post("a", None, "one"), post("b", None, "two")];
    trial.journal.enqueue(BOT, posts.clone().into()).await.unwrap();
    trial.journal.enqueue(BOT, posts.clone().into()).await.unwrap();
    let first = unsent(&trial.journal).await.remove(0);
    assert!(trial.journal.sent(first.id, first.revision, "100", Vec::new()).await.unwrap());
    let trial = trial.again().await;
    let journal = &trial.journal;
    assert!(journal.sent(first.id, first.revision, "100", Vec::new()).await.unwrap());
    journal.enqueue(BOT, posts.clone().into()).await.unwrap();
    assert_eq!(queue(journal).await, [queued("b", "two", 0)]);
    assert_eq!(journal.unsent(BOT, first.id, 10).await.unwrap().len(), 1);
    let second = unsent(journal).await.remove(0);
    assert!(journal.unsent(BOT, second.id, 10).await.unwrap().is_empty());
    journal.tried(second.id, 5_000).await.unwrap();
    journal.tried(second.id, 7_000).await.unwrap();
    journal.put_off(second.id, 9_000).await.unwrap();
    let Unsent { attempts, not_before_ms, .. } = unsent(journal).await.remove(0);
    assert_eq!((attempts, not_before_ms), (2, 9_000));
    journal.drop_post(second.id, "the bot was kicked").await.unwrap();
    journal.drop_post(first.id, "it went out already").await.unwrap();
    journal.put_off(second.id, 1).await.unwrap();
    assert!(!journal.rewrite(second.id, 0, "once more".into()).await.unwrap());
    let trial = trial.again().await;
    trial.journal.enqueue(BOT, posts.into()).await.unwrap();
    assert!(queue(&trial.journal).await.is_empty());
}

pub async fn edits_collapse_in_the_place_of_the_first<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let progress = |key: &str, text: &str| post(key, Some("t1"), text);
    let elsewhere = Outgoing { chat: "2".into(), ..progress("x", "elsewhere") };
    let posts = [progress("a", "10 %"), post("b", None, "words"), elsewhere, progress("c", "20 %")];
    trial.journal.enqueue(BOT, posts.clone().into()).await.unwrap();
    let expected = [queued("c", "20 %", 1), queued("b", "words", 0), queued("x", "elsewhere", 0)];
    assert_eq!(queue(&trial.journal).await, expected);
    // The keys of what was replaced are known, too.
    let trial = trial.again().await;
    let journal = &trial.journal;
    journal.enqueue(BOT, posts.into()).await.unwrap();
    assert_eq!(queue(journal).await, expected);
    let first = unsent(journal).await.remove(0);
    assert!(journal.sent(first.id, first.revision, "100", Vec::new()).await.unwrap());
    assert_eq!(journal.topic(BOT, "1", "t1").await.unwrap().receipt.as_deref(), Some("100"));
    assert_eq!(journal.topic(BOT, "2", "t1").await.unwrap().receipt, None);
    // What comes after it went out is a post of its own, behind the others.
    journal.enqueue(BOT, [progress("d", "30 %"), progress("a", "10 %")].into()).await.unwrap();
    assert_eq!(queue(journal).await, [expected[1].clone(), expected[2].clone(), queued("d", "30 %", 0)]);
    let stands: Vec<_> = unsent(journal).await.into_iter().map(|row| row.stands).collect();
    assert_eq!(stands, [None, None, Some("100".to_owned())], "it is to be an edit");
}

pub async fn what_was_replaced_while_it_was_sent_becomes_an_edit<K: Kind>() {
    let trial = Trial::<K>::start().await;
    trial.journal.enqueue(BOT, [post("a", Some("t1"), "10 %")].into()).await.unwrap();
    let sending = unsent(&trial.journal).await.remove(0);
    trial.journal.enqueue(BOT, [post("b", Some("t1"), "20 %")].into()).await.unwrap();
    assert!(!trial.journal.sent(sending.id, sending.revision, "100", Vec::new()).await.unwrap());
    // Killed before it could be turned into an edit: the receipt tells that it must be one.
    let trial = trial.again().await;
    let journal = &trial.journal;
    assert!(!journal.sent(sending.id, sending.revision, "100", Vec::new()).await.unwrap());
    assert_eq!(unsent(journal).await[0].stands.as_deref(), Some("100"));
    assert_eq!(queue(journal).await, [queued("b", "20 %", 1)]);
    assert!(!journal.rewrite(sending.id, 0, "edit 100: 10 %".into()).await.unwrap(), "an older content");
    assert!(journal.rewrite(sending.id, 1, "edit 100: 20 %".into()).await.unwrap());
    assert_eq!(queue(journal).await, [queued("b", "edit 100: 20 %", 1)]);
    assert!(journal.sent(sending.id, 1, "100", Vec::new()).await.unwrap());
    assert!(queue(journal).await.is_empty());
}

pub async fn every_chat_has_its_next_post_and_edits_come_after<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let journal = &trial.journal;
    let to = |chat: &str, key: &str, topic| Outgoing { chat: chat.into(), ..post(key, topic, key) };
    let heads = async || -> Vec<(String, bool)> {
        let heads = journal.heads(BOT).await.unwrap();
        heads.into_iter().map(|head| (head.chat, head.edits)).collect()
    };
    journal.enqueue(BOT, [to("1", "progress", Some("t1"))].into()).await.unwrap();
    assert_eq!(heads().await, [("1".into(), false)]);
    let first = unsent(journal).await.remove(0);
    journal.sent(first.id, 0, "100", Vec::new()).await.unwrap();
    journal.enqueue(BOT, [to("1", "newer", Some("t1"))].into()).await.unwrap();
    journal.enqueue(BOT, (0..3).map(|n| to("1", &format!("a{n}"), None)).collect()).await.unwrap();
    journal.enqueue(BOT, [to("2", "b", Some("t1"))].into()).await.unwrap();
    journal.enqueue("matrix", [to("3", "c", None)].into()).await.unwrap();
    assert_eq!(heads().await, [("1".into(), false), ("2".into(), false), ("1".into(), true)]);
    // What was deleted is said anew, in its turn; also where newer content has taken the place of what was to say so.
    let newer = unsent(journal).await.remove(0);
    assert!(!journal.say_anew(newer.id, newer.revision + 1, "anew".into()).await.unwrap());
    assert_eq!(heads().await, [("1".into(), false), ("2".into(), false)]);
    assert_eq!(journal.heads(BOT).await.unwrap()[0].id, newer.id);
    assert!(journal.say_anew(newer.id, newer.revision, "anew".into()).await.unwrap());
    assert_eq!(unsent(journal).await[0].post, "anew");
}

pub async fn what_is_said_about_a_topic_is_known_and_where<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let journal = &trial.journal;
    assert_eq!(journal.topic(BOT, "1", "t1").await.unwrap(), Topic::default());
    let about =
        |key: &str, chat: &str| Outgoing { chat: chat.into(), about: Some(TaskId(3)), ..post(key, Some("t1"), key) };
    journal.enqueue(BOT, [about("a", "1"), about("b", "2"), post("c", None, "c")].into()).await.unwrap();
    let waits = Topic { waiting: Some("a".into()), ..Topic::default() };
    assert_eq!(journal.topic(BOT, "1", "t1").await.unwrap(), waits);
    let row = unsent(journal).await.remove(0);
    journal.sent(row.id, 0, "100", vec![Offer { label: "X".into(), action: "/x".into() }]).await.unwrap();
    let stands = Topic { waiting: None, receipt: Some("100".into()), has_buttons: true };
    assert_eq!(journal.topic(BOT, "1", "t1").await.unwrap(), stands);
    let mut chats = journal.chats_of_topic(BOT, "t1").await.unwrap();
    chats.sort_unstable();
    assert_eq!(chats, ["1", "2"], "where it stands, and where it waits");
    assert!(journal.chats_of_topic("matrix", "t1").await.unwrap().is_empty());
    for (chat, receipt, task) in [("1", "100", Some(TaskId(3))), ("1", "101", None), ("2", "100", None)] {
        assert_eq!(journal.about(BOT, chat, receipt).await.unwrap(), task, "{chat} {receipt}");
    }
}

fn button(action: &str) -> Offer {
    Offer { label: action.to_uppercase(), action: action.into() }
}

/// A post of a chat goes out with buttons.
async fn out(mail: &impl Mail, chat: &str, actions: &[&str]) {
    let key = format!("{chat}{}", actions.concat());
    mail.enqueue(BOT, [Outgoing { chat: chat.into(), ..post(&key, None, &key) }].into()).await.unwrap();
    let row = unsent(mail).await.into_iter().find(|row| row.key == key).unwrap();
    let coming = mail.offered(BOT, chat, "999", "/nothing").await.unwrap();
    assert_eq!(coming, Offered::NotYet(vec![key]), "what has no receipt yet may have it");
    let offered = actions.iter().map(|action| button(action)).collect();
    assert!(mail.sent(row.id, row.revision, "100", offered).await.unwrap());
}

async fn is_offered(mail: &impl Mail, transport: &str, chat: &str, receipt: &str, action: &str) -> bool {
    mail.offered(transport, chat, receipt, action).await.unwrap() == Offered::Yes
}

pub async fn what_was_offered_under_a_post_is_offered_there_and_nowhere_else<K: Kind>() {
    let trial = Trial::<K>::start().await;
    out(&trial.journal, "-5/7", &["/approve 3", "/diff 3"]).await;
    let trial = trial.again().await;
    let journal = &trial.journal;
    for chat in ["-5/7", "-5", "-5/8"] {
        assert!(is_offered(journal, BOT, chat, "100", "/approve 3").await, "a receipt is of the whole chat");
    }
    for (transport, chat, receipt, action) in [
        (BOT, "-5", "101", "/approve 3"),
        (BOT, "-6", "100", "/approve 3"),
        ("other", "-5", "100", "/approve 3"),
        (BOT, "-5", "100", "/approve 31"),
        (BOT, "-5", "100", "/APPROVE 3"),
        (BOT, "-5", "100", ""),
    ] {
        assert!(!is_offered(journal, transport, chat, receipt, action).await, "{chat} {receipt} {action}");
    }
    // An edit puts others in their place, or none.
    out(journal, "-5/7", &["/diff 3"]).await;
    assert!(is_offered(journal, BOT, "-5", "100", "/diff 3").await);
    assert!(!is_offered(journal, BOT, "-5", "100", "/approve 3").await);
    out(journal, "-5/7", &[]).await;
    assert!(!is_offered(journal, BOT, "-5", "100", "/diff 3").await);
}

pub async fn a_group_takes_its_offers_along<K: Kind>() {
    let trial = Trial::<K>::start().await;
    let journal = &trial.journal;
    out(journal, "-5", &["/approve 3"]).await;
    journal.changed(BOT, Change::Moved { from: "-5".into(), to: "-1005".into() }).await.unwrap();
    for chat in ["-5", "-1005"] {
        assert!(is_offered(journal, BOT, chat, "100", "/approve 3").await, "{chat}");
    }
    out(journal, "-1005", &[]).await;
    assert!(!is_offered(journal, BOT, "-1005", "100", "/approve 3").await, "that is another post there");
}
