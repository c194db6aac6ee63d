//! A chat component that means harm (`tests/guests/impostor`) in a real host: whatever it claims was said, nobody's name is lent to it, and
//! whatever it shows, no press can do what the host did not offer.

use super::*;
use crate::{
    fixture::Fixture,
    mail::{Mail, Mailbox, Unsent},
};
use borg_core::{
    chat::{Button, Marks, NoticeKind, Part, TextPost, UpdateKind},
    event::{Body, HostEvent},
    id::TaskId,
    people::{PersonId, Role},
    policy::{ChatPolicy, Policy},
    task::Status,
    words,
};
use borg_tests::guest;
use std::{fs, time::Duration};

const MANIFEST: &str = "name = \"telegram\"\nkind = \"chat\"\nworld = \"0.2.0\"\nversion = \"1.0.0\"\n\
    summary = \"means no harm\"\n[asks]\n[settings.mode]\ntype = \"string\"\ndefault = \"\"\ndoc = \"How.\"\n\
    [settings.name]\ntype = \"string\"\ndefault = \"do not\"\ndoc = \"What it would have us called.\"\n";

/// What nobody is to have done in anybody's name.
const DEEDS: [&str; 8] =
    ["paused", "person-allowed", "noted", "answered", "approved", "rejected", "cancel-requested", "chat-registered"];

/// A host whose Telegram is spoken by the impostor; Ann, `telegram:1`, owns it, Bob, `telegram:2`, is a guest.
struct Stage {
    fixture: Fixture,
    conversation: Conversation,
    mailbox: Mailbox,
    /// A task with a post about it in Ann's chat, whose receipt is 100.
    task: TaskId,
    _plugins: tempfile::TempDir,
}

impl Stage {
    async fn set() -> Stage {
        let plugins = tempfile::tempdir().unwrap();
        let folder = plugins.path().join("telegram");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("plugin.toml"), MANIFEST).unwrap();
        fs::copy(guest::component("impostor").unwrap(), folder.join("telegram.wasm")).unwrap();
        let people = [("telegram:1", Role::Owner), ("telegram:2", Role::Guest)];
        let fixture = Fixture::start(&people, Some(plugins.path().to_owned())).await;
        let mailbox = Mailbox::new(telegram::NAME, fixture.store.clone());
        let chats = fixture.conversation.chats.clone().by_mail(mailbox.clone());
        let operators = Operators::new(chats.clone(), fixture.handle.clone(), None);
        let conversation = Conversation { chats, operators, ..fixture.conversation.clone() };
        let task = fixture.task("telegram:1").await;
        fixture.until(task, Status::Blocked).await;
        let stage = Stage { fixture, conversation, mailbox, task, _plugins: plugins };
        let mut about = Notice::new("telegram:1", NoticeKind::Final, &words::topic(task), vec![Part::Text("x".into())]);
        about.buttons = vec![Button { label: "Diff".into(), action: "/diff 1".into() }];
        stage.conversation.chats.tell("about", &about).await.unwrap();
        stage.mailbox.sent(&stage.unsent().await, "100".into()).await.unwrap();
        stage
    }

    async fn unsent(&self) -> Unsent {
        let head = self.mailbox.heads().await.unwrap().remove(0);
        self.mailbox.unsent(head.id).await.unwrap().unwrap()
    }

    /// From now on it does this.
    async fn does(&self, mode: &str) {
        let mut policy = Policy::clone(&*self.fixture.handle.policy());
        let settings = serde_json::json!({ "mode": mode });
        policy.chats.insert("telegram".into(), ChatPolicy { enabled: true, settings });
        self.fixture.handle.policy_changed(Ok((policy, Vec::new()))).await.unwrap();
    }

    /// What Ann, or whoever it is, is told on what they sent.
    async fn told(&self, update: &Update) -> Vec<String> {
        let exchanged = self.conversation.exchange("telegram", update, 0, None).await;
        let text = |post: &Post| match post {
            Post::Send(post) | Post::Edit { post, .. } => post.text.clone(),
            Post::Answer { text, .. } => text.clone(),
            Post::Document { document, .. } => document.text.clone(),
            Post::Typing { .. } => String::new(),
        };
        exchanged.iter().flat_map(|(_, posts)| posts.iter().map(text)).collect()
    }

    /// What it was caught at since this was last asked.
    async fn caught(&self) -> Option<&'static str> {
        let next = self.conversation.chats.misconduct.next();
        tokio::time::timeout(Duration::ZERO, next).await.ok().map(|caught| caught.what)
    }

    #[track_caller]
    fn deeds(&self, entries: &[crate::journal::Recorded]) -> Vec<String> {
        let kinds = entries.iter().map(|entry| serde_json::to_value(&entry.event.body).unwrap()["kind"].take());
        kinds
            .filter_map(|kind| kind.as_str().map(str::to_owned))
            .filter(|kind| DEEDS.contains(&kind.as_str()))
            .collect()
    }

    async fn done(&self) -> Vec<String> {
        self.deeds(&self.conversation.desk.events(0, None, 10_000).await.unwrap())
    }
}

fn sent(text: &str) -> Update {
    Update {
        id: "1".into(),
        receipt: "7".into(),
        chat: "1".into(),
        sender: "1".into(),
        sender_name: String::new(),
        sender_is_bot: false,
        own_name: "borg_bot".into(),
        text: text.into(),
        kind: UpdateKind::Message,
        reply_to: None,
        raw: String::new(),
        marks: Some(Marks::default()),
    }
}

#[tokio::test]
async fn whatever_it_claims_nothing_is_done_in_anybodys_name() {
    let stage = Stage::set().await;
    let forwarded = Some(Marks { forwarded: true, ..Marks::default() });
    let via_bot = Some(Marks { via_bot: true, ..Marks::default() });
    let press = |text: &str| Update {
        kind: UpdateKind::Button,
        receipt: "press:9".into(),
        reply_to: Some("100".into()),
        ..sent(text)
    };
    const OTHERS: &str = "these are not the words that were sent";
    const MORE: &str = "more than one thing was said by one message";
    const NOT_OWN: &str = "words of others, forwarded or sent through a bot, are no command";
    // What it does, with what; what it is caught at, and what is told.
    let rows: [(&str, Update, Option<&str>, &[&str]); 22] = [
        ("forged-text", sent("good morning"), Some(OTHERS), &[]),
        ("first-word", sent("/pause is not what I want"), Some(OTHERS), &[]),
        ("last-line", sent("she wrote:\n/pause"), Some(OTHERS), &[]),
        ("longer", sent("/task Add a discount"), Some(OTHERS), &[]),
        ("unhidden", sent("/pa\u{202e}use"), Some(OTHERS), &[]),
        ("renamed", sent("do not /pause"), Some(OTHERS), &[]),
        ("from-raw", Update { raw: "{}|/pause|".into(), ..sent("hello") }, Some(OTHERS), &[]),
        ("reply-to", sent("good morning"), None, &["that is not a command"]),
        ("second", sent("/ping"), Some(OTHERS), &["up"]),
        ("twice", sent("/ping"), Some(MORE), &["up"]),
        ("after-problem", sent("/ping"), Some(OTHERS), &["a file"]),
        ("sender", Update { sender: "2".into(), chat: "2".into(), ..sent("/pause") }, None, &["that needs the role"]),
        ("pressed", sent("hello"), Some(OTHERS), &[]),
        ("typed", press("/diff 1"), Some(OTHERS), &[]),
        ("forwarded", Update { marks: forwarded, ..sent("/pause") }, Some(NOT_OWN), &[]),
        ("via-bot", Update { marks: via_bot, ..sent("/pause") }, Some(NOT_OWN), &[]),
        ("unmarked", Update { marks: None, ..sent("/pause") }, Some("did not tell"), &[]),
        ("edited", Update { kind: UpdateKind::Edited, ..sent("/pause") }, Some("an edited message is no command"), &[]),
        ("other", Update { kind: UpdateKind::Other, ..sent("/pause") }, Some("nobody said anything"), &[]),
        ("never-offered", press("/pause"), None, &["type it:\n/pause"]),
        ("other-post", Update { reply_to: Some("101".into()), ..press("/diff 1") }, None, &["type it:\n/diff 1"]),
        ("no-post", Update { reply_to: None, ..press("/diff 1") }, None, &["type it:\n/diff 1"]),
    ];
    for (mode, update, caught, told) in rows {
        stage.does(mode).await;
        let heard = stage.told(&update).await;
        assert_eq!(heard.len(), told.len(), "{mode}: {heard:?}");
        for (heard, told) in heard.iter().zip(told) {
            assert!(heard.contains(told), "{mode}: {heard}");
        }
        // The same of the same component is noted once.
        if let Some(now) = stage.caught().await {
            assert!(caught.is_some_and(|caught| now.contains(caught)), "{mode}: {now}");
        }
        assert_eq!(stage.done().await, Vec::<String>::new(), "{mode}");
        let policies = stage.fixture.dir.path().join("policies");
        assert!(fs::read_dir(policies).unwrap().next().is_none(), "{mode}: nobody was made known");
    }
    // The same words of an honest one do what they say, so that the rows above are of the component and not of the host.
    stage.does("").await;
    for (update, deed) in [
        (Update { reply_to: Some("100".into()), ..sent("mind the tests") }, "noted"),
        (sent("/cancel 1"), "cancel-requested"),
        (sent("/pause"), "paused"),
    ] {
        stage.told(&update).await;
        assert!(stage.done().await.contains(&deed.to_owned()), "{deed}");
    }
    let pressed = stage.told(&press("/diff 1")).await;
    assert!(pressed[0].contains("not begun"), "what was offered counts: {pressed:?}");
    assert_eq!(stage.task, TaskId(1));
    stage.fixture.stop().await;
}

#[tokio::test]
async fn whatever_it_shows_no_press_does_what_was_not_offered() {
    let stage = Stage::set().await;
    let mut review = Notice::new("telegram:7", NoticeKind::Review, "task-1", vec![Part::Text("look".into())]);
    review.buttons = vec![
        Button { label: "Approve".into(), action: "/approve 1 change:0123456789ab".into() },
        Button { label: "Reject".into(), action: "/reject 1".into() },
    ];
    let show = async |mode: &str| {
        stage.does(mode).await;
        let posts = stage.conversation.chats.show(&review, 0).await.unwrap();
        let owed = stage.mailbox.outgoing(mode, &review, posts.clone());
        assert!(owed.iter().all(|post| post.chat == "7"), "{mode}: it is told nowhere else");
        posts
    };
    const NOT_OFFERED: &str = "showed buttons that the host did not offer";
    for (mode, caught) in
        [("more-buttons", Some(NOT_OFFERED)), ("other-action", None), ("other-label", None), ("cut-label", None)]
    {
        let posts = show(mode).await;
        let [Post::Send(TextPost { buttons, text, .. })] = posts.as_slice() else { panic!("{mode}: {posts:?}") };
        assert!(buttons.is_empty() && text == "look", "{mode}: {posts:?}");
        assert_eq!(stage.caught().await, caught, "{mode}");
    }
    let posts = show("other-post").await;
    assert!(matches!(posts.as_slice(), [Post::Send(_)]), "what stands there stays: {posts:?}");
    assert!(show("other-press").await.is_empty());
    show("elsewhere").await;
    assert!(show("flood").await.len() <= 32);
    let honest = show("").await;
    let [Post::Send(TextPost { buttons, .. })] = honest.as_slice() else { panic!("{honest:?}") };
    assert_eq!(*buttons, review.buttons);
    stage.fixture.stop().await;
}

#[tokio::test]
async fn what_it_was_caught_at_is_told_to_the_owners_once_and_noted() {
    let stage = Stage::set().await;
    stage.does("forged-text").await;
    let attending = tokio::spawn(stage.conversation.operators.clone().attend_to_misconduct());
    for _ in 0..3 {
        assert!(stage.told(&sent("good morning")).await.is_empty(), "no answer in anybody's name");
    }
    let mut committed = stage.fixture.handle.committed();
    let noted = async || {
        let entries = stage.conversation.desk.events(0, None, 10_000).await.unwrap();
        let all = entries.into_iter().filter_map(|entry| match entry.event.body {
            Body::Host(HostEvent::PluginMisbehaved { plugin, what, .. }) => Some((plugin, what)),
            _ => None,
        });
        all.collect::<Vec<_>>()
    };
    while noted().await.is_empty() {
        committed.changed().await.unwrap();
    }
    let told = loop {
        let owed = stage.mailbox.heads().await.unwrap();
        if let Some(head) = owed.first() {
            break stage.mailbox.unsent(head.id).await.unwrap().unwrap();
        }
        stage.mailbox.sends.notified().await;
    };
    assert!(told.chat == "1" && told.post.contains("not the words that were sent"), "{}", told.post);
    stage.mailbox.sent(&told, "102".into()).await.unwrap();
    assert_eq!(noted().await, [("telegram".to_owned(), "these are not the words that were sent".to_owned())]);
    assert!(stage.mailbox.heads().await.unwrap().is_empty(), "it is told once");
    attending.abort();
    stage.fixture.stop().await;
}

#[tokio::test]
async fn nobody_is_made_known_by_a_word_alone() {
    let stage = Stage::set().await;
    let ask = async |n: u32, text: &str| {
        let key = format!("ask-{n}");
        stage.conversation.exchange("telegram", &sent(text), 0, Some(&key)).await.remove(0).0
    };
    let press = async |sender: &str, action: &str| {
        let update = Update {
            kind: UpdateKind::Button,
            receipt: "press:9".into(),
            reply_to: Some("200".into()),
            sender: sender.into(),
            ..sent(action)
        };
        stage.told(&update).await.join("\n")
    };
    let asked = ask(1, "/allow telegram:66 owner").await;
    let [button] = asked.buttons.as_slice() else { panic!("{asked:?}") };
    assert_eq!(button.label, "telegram:66 becomes owner");
    assert_eq!(ask(1, "/allow telegram:66 owner").await.buttons, asked.buttons, "the same update asks the same again");
    // As it goes out.
    stage.conversation.chats.tell("asked", &asked).await.unwrap();
    stage.mailbox.sent(&stage.unsent().await, "200".into()).await.unwrap();
    assert!(stage.done().await.is_empty());
    // Bob is known, and it is not his to confirm.
    let others = press("2", &button.action).await;
    assert!(others.contains("only telegram:1 can confirm that"), "{others}");
    for wrong in ["confirm:99", "confirm:", "confirm:1 ", "/allow telegram:66 owner"] {
        assert!(press("1", wrong).await.contains("counts for nothing"), "{wrong}");
    }
    // Typed it is no command.
    let typed = stage.told(&sent(&button.action)).await.join("\n");
    assert!(typed.contains("not a command") && stage.done().await.is_empty(), "{typed}");
    // What was asked more than ten minutes ago is void.
    let old = crate::clock::now_ms() - 10 * 60_000 - 1;
    let (ann, eve) = (PersonId("telegram:1".into()), PersonId("telegram:66".into()));
    let store = stage.fixture.store.clone();
    let void = store.ask_back("old", &ann, "telegram:1", (&eve, Role::Owner), old).await;
    let void = Button { label: "x".into(), action: format!("confirm:{}", void.unwrap().id) };
    let mut notice = asked.clone();
    notice.buttons = vec![void.clone()];
    stage.conversation.chats.tell("void", &notice).await.unwrap();
    stage.mailbox.sent(&stage.unsent().await, "201".into()).await.unwrap();
    let late = Update {
        kind: UpdateKind::Button,
        receipt: "press:9".into(),
        reply_to: Some("201".into()),
        ..sent(&void.action)
    };
    let late = stage.told(&late).await.join("\n");
    assert!(late.contains("more than ten minutes old") && stage.done().await.is_empty(), "{late}");
    // Ann's own press it takes.
    fs::write(stage.fixture.dir.path().join("policies/people.toml"), "[people]\nowner = [\"telegram:1\"]\n").unwrap();
    let mut policy = Policy::clone(&*stage.fixture.handle.policy());
    policy.people.insert(PersonId("telegram:66".into()), Role::Owner);
    stage.fixture.handle.policy_changed(Ok((policy, Vec::new()))).await.unwrap();
    let done = press("1", &button.action).await;
    assert!(done.contains("telegram:66 is owner now"), "{done}");
    assert_eq!(stage.done().await, ["person-allowed"]);
    let people = fs::read_to_string(stage.fixture.dir.path().join("policies/people.toml")).unwrap();
    assert!(people.contains("telegram:66"), "{people}");
    let again = press("1", &button.action).await;
    assert!(again.contains("done already") && stage.done().await.len() == 1, "{again}");
    stage.fixture.stop().await;
}
