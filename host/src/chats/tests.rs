//! Conversations as people have them, with the real console plugin where what is shown matters.

use super::*;
use crate::{fixture::Fixture, journal::JournalError};
use borg_core::{
    chat::{Addressed, Marks, NoticeKind, Part, Update, UpdateKind},
    id::TaskId,
    people::{PersonId, Role},
    policy::{ChatPolicy, Policy},
    task::Status,
};
use borg_tests::require;

fn update(sender: &str, text: &str) -> Update {
    Update {
        id: "1".into(),
        receipt: String::new(),
        chat: "terminal".into(),
        sender: sender.into(),
        sender_name: String::new(),
        sender_is_bot: false,
        own_name: String::new(),
        text: text.into(),
        kind: UpdateKind::Message,
        reply_to: None,
        raw: String::new(),
        marks: Some(Marks::default()),
    }
}

fn notice(text: &str) -> Notice {
    Notice {
        chat: "console:terminal".into(),
        kind: NoticeKind::Final,
        topic: "t".into(),
        parts: vec![Part::Text(text.into())],
        buttons: Vec::new(),
        document: None,
        replaces: None,
        reply_to: None,
        silent: false,
        width: 0,
    }
}

fn text(post: &Post) -> &str {
    let Post::Send(post) = post else { panic!("{post:?}") };
    &post.text
}

const PEOPLE: [(&str, Role); 4] =
    [("console:1", Role::Guest), ("console:2", Role::Member), ("console:3", Role::Admin), ("console:4", Role::Owner)];

#[tokio::test]
async fn every_command_by_every_role() {
    let plugins = require::plugins().join("chats");
    if !plugins.is_dir() {
        return require::skip("the console plugin is not built (`cargo xtask build`)");
    }
    let fixture = Fixture::start(&PEOPLE, Some(plugins)).await;
    let task = fixture.task("console:3").await;
    fixture.until(task, Status::Blocked).await;
    // What guest, member, admin and owner are told, in that order; the task is the admin's, blocked for want of its repository.
    let no = "that needs the role";
    let rows: [(&str, [&str; 4]); 13] = [
        ("/help", ["/tasks"; 4]),
        ("/tasks", ["Add a discount"; 4]),
        ("/status", ["tasks in progress"; 4]),
        ("/status 1", ["Add a discount"; 4]),
        ("/status 99", ["no task #99"; 4]),
        ("/diff 1", ["not begun"; 4]),
        ("/approve 1", [no, no, "waits for no decision", "waits for no decision"]),
        ("/reject 1", [no, no, "waits for no decision", "waits for no decision"]),
        ("/pause", [no, no, "paused", "paused"]),
        ("/resume", [no, no, "resumed", "resumed"]),
        ("/task Other", [no, "Other (acme/shop", "Other (acme/shop", "Other (acme/shop"]),
        ("/ask why?", [no, "pipeline ask", "pipeline ask", "pipeline ask"]),
        ("/retry 1", [no, no, "#1 ", "#1 "]),
    ];
    for (command, told) in rows {
        for (sender, told) in ["1", "2", "3", "4"].into_iter().zip(told) {
            let posts = fixture.conversation.answer("console", &update(sender, command), 100).await;
            let shown: Vec<&str> = posts.iter().map(text).collect();
            let shown = shown.join("\n");
            assert!(shown.contains(told), "{command} by {sender}: {shown}");
            if told == no {
                assert!(shown.contains("people.toml"), "a no names the line that would make it a yes: {shown}");
            }
        }
    }
    for (sender, told) in [("2", no), ("1", no), ("3", "cancelled"), ("4", "no live task")] {
        let posts = fixture.conversation.answer("console", &update(sender, "/cancel 1"), 100).await;
        assert!(text(&posts[0]).contains(told), "/cancel by {sender}: {}", text(&posts[0]));
        if told == "cancelled" {
            fixture.until(task, Status::Cancelled).await;
        }
    }
    // Misunderstood, and hostile.
    for (said, hint) in
        [("hello", "/task"), ("/statusx", "/status"), ("/cancel", "Usage: /cancel"), ("/task --x=1 T", "no flag")]
    {
        let posts = fixture.conversation.answer("console", &update("2", said), 100).await;
        assert!(text(&posts[0]).contains(hint), "{said}: {}", text(&posts[0]));
    }
    let posts = fixture.conversation.answer("console", &console::update(1, "2", "/\u{1b}[2J"), 100).await;
    assert!(!text(&posts[0]).contains('\u{1b}'));
    fixture.stop().await;
}

#[tokio::test]
async fn pause_is_seen_and_a_paused_host_says_so() {
    let plugins = require::plugins().join("chats");
    if !plugins.is_dir() {
        return require::skip("the console plugin is not built (`cargo xtask build`)");
    }
    let fixture = Fixture::start(&PEOPLE, Some(plugins)).await;
    let say = async |said: &str| {
        let posts = fixture.conversation.answer("console", &update("4", said), 100).await;
        text(&posts[0]).to_owned()
    };
    assert!(!say("/status").await.contains("paused"));
    say("/pause").await;
    assert!(say("/status").await.contains("paused"));
    say("/resume").await;
    assert!(!say("/status").await.contains("paused"));
    fixture.stop().await;
}

#[tokio::test]
async fn strangers_get_silence_but_for_the_terminal_of_this_host() {
    let fixture = Fixture::start(&[("telegram:7", Role::Guest)], None).await;
    let said = |sender: &str, text: &str| borg_core::chat::Said {
        sender: sender.into(),
        chat: "c".into(),
        text: text.into(),
        addressed: borg_core::chat::Addressed::Command,
        reply_to: None,
        problem: None,
    };
    for words in ["/tasks", "/pause", "hello", "/tsaks", "/task\n"] {
        let replied = fixture.conversation.reply("telegram", &said("8", words), None).await;
        assert_eq!(replied, None, "a stranger says {words}");
        assert!(fixture.conversation.reply("telegram", &said("7", words), None).await.is_some(), "{words}");
        assert!(fixture.conversation.reply("console", &said("8", words), None).await.is_some(), "{words}");
    }
    let unheard = |sender| borg_core::chat::Said { problem: Some("say it in words".into()), ..said(sender, "/pause") };
    let told = fixture.conversation.reply("telegram", &unheard("7"), None).await.unwrap();
    assert!(told.kind == NoticeKind::Hint && told.parts == [Part::Text("say it in words".into())], "{told:?}");
    assert_eq!(fixture.conversation.reply("telegram", &unheard("8"), None).await, None);
    let overheard = borg_core::chat::Said { addressed: borg_core::chat::Addressed::Overheard, ..said("7", "/tasks") };
    assert_eq!(fixture.conversation.reply("telegram", &overheard, None).await, None);
    fixture.stop().await;
}

#[tokio::test]
async fn a_denial_is_in_the_journal_without_what_was_said() {
    let fixture = Fixture::start(&PEOPLE, None).await;
    let intent = borg_core::intent::parse("/reject 1 this is between us").unwrap();
    fixture.handle.intend(PersonId("console:1".into()), intent, None).await.unwrap();
    let events = fixture.conversation.desk.events(0, None, 100).await.unwrap();
    let all = serde_json::to_string(&events).unwrap();
    assert!(all.contains("person-denied") && all.contains("/reject 1") && !all.contains("between us"), "{all}");
    fixture.stop().await;
}

#[tokio::test]
async fn a_frontend_without_its_plugin_says_so_to_those_it_may() {
    let fixture = Fixture::start(&PEOPLE, None).await;
    let posts = fixture.conversation.answer("console", &update("4", "/tasks"), 80).await;
    assert!(text(&posts[0]).contains("console") && text(&posts[0]).contains("borg-host doctor"), "{posts:?}");
    assert!(fixture.conversation.answer("telegram", &update("9", "/tasks"), 80).await.is_empty());
    // Nobody there is no error; somebody there who is told nothing is.
    let chats = &fixture.conversation.chats;
    chats.tell("key", &notice("x")).await.unwrap();
    let _queue = chats.listen("console:terminal", || 80);
    assert!(chats.tell("key", &notice("x")).await.unwrap_err().contains("console"));
    fixture.stop().await;
}

#[tokio::test]
async fn who_listens_now_hears_and_who_left_is_forgotten() {
    let plugins = require::plugins().join("chats");
    if !plugins.is_dir() {
        return require::skip("the console plugin is not built (`cargo xtask build`)");
    }
    let fixture = Fixture::start(&PEOPLE, Some(plugins)).await;
    let chats = &fixture.conversation.chats;
    let mut old = chats.listen("console:terminal", || 80);
    let mut new = chats.listen("console:terminal", || 20);
    chats.tell("key", &notice("one two three four five six seven")).await.unwrap();
    assert!(text(&new.recv().await.unwrap()).lines().count() > 1, "in the width there is now");
    assert!(old.recv().await.is_none());
    drop(new);
    chats.tell("key", &notice("x")).await.unwrap();
    assert!(chats.listeners.lock().unwrap().is_empty());
    fixture.stop().await;
}

#[tokio::test]
async fn settings_of_the_policy_in_force_reach_a_frontend_and_wrong_ones_are_told() {
    let plugins = require::plugins().join("chats");
    if !plugins.is_dir() {
        return require::skip("the chat plugins are not built (`cargo xtask build`)");
    }
    let fixture = Fixture::start(&PEOPLE, Some(plugins)).await;
    let group = Update { chat: "-100".into(), ..update("7", "Ada, what now?") };
    let heard = async || fixture.conversation.chats.hear("telegram", &group).await.unwrap().remove(0).addressed;
    assert_eq!(heard().await, Addressed::Overheard, "that is not the name it has by default");
    let mut policy = Policy::clone(&*fixture.handle.policy());
    let settings = |settings| ChatPolicy { enabled: true, settings };
    policy.chats.insert("telegram".into(), settings(serde_json::json!({"name": "Ada"})));
    policy.chats.insert("console".into(), settings(serde_json::json!({"colour": "red"})));
    fixture.handle.policy_changed(Ok((policy, Vec::new()))).await.unwrap();
    assert_eq!(heard().await, Addressed::Mention);
    let posts = fixture.conversation.answer("console", &update("4", "/tasks"), 80).await;
    assert!(text(&posts[0]).contains("`colour`") && text(&posts[0]).contains("[chat.console.settings]"), "{posts:?}");
    let told = fixture.conversation.chats.show(&notice("x"), 80).await.unwrap_err().to_string();
    assert!(told.contains("`colour`"), "{told}");
    fixture.stop().await;
}

#[tokio::test]
async fn a_host_that_stops_says_so() {
    let fixture = Fixture::start(&PEOPLE, None).await;
    let conversation = fixture.conversation.clone();
    fixture.stop().await;
    let said = borg_core::chat::Said {
        sender: "4".into(),
        chat: "c".into(),
        text: "/pause".into(),
        addressed: borg_core::chat::Addressed::Command,
        reply_to: None,
        problem: None,
    };
    let told = conversation.reply("console", &said, None).await.unwrap();
    assert!(matches!(&told.parts[..], [Part::Text(text)] if text.contains("stopping")), "{told:?}");
    let found: Result<_, JournalError> = conversation.desk.task(TaskId(1)).await;
    assert!(found.unwrap().is_none());
}
