//! Buttons: a press counts for what was offered under that very post, and for nothing else; and what makes people known is asked back.

use crate::room::{LIMIT, Room, TASK, plain, to_be_reviewed};
use borg_tests::bot_api::{ChatId, Fault, MessageId, Rule, Shown, UserId};
use serde_json::{Value, json};
use std::{fs, time::Duration};

/// What somebody sees who pressed what counts for nothing.
const NOTHING: &str = "counts for nothing";

/// Waits for the review of the first task.
#[track_caller]
fn review(room: &Room) -> Shown {
    room.says(TASK);
    let found = room.api.wait_for(room.chat, |shown| shown.button("Approve").is_some(), LIMIT);
    found.unwrap_or_else(|error| panic!("{error:#}"))
}

#[track_caller]
fn toast(room: &Room, press: &str) -> String {
    room.api.wait_toast(press, LIMIT).unwrap_or_else(|error| panic!("{error:#}\n{}", room.host.log())).text
}

fn people(room: &Room) -> String {
    fs::read_to_string(room.host.dir().join("policies/policy.toml")).unwrap()
}

/// Ann asks for somebody to be made known; gives the post that asks back.
#[track_caller]
fn asked_back(room: &Room, chat: ChatId, whom: UserId, role: &str) -> Shown {
    room.api.say(chat, room.ann, format!("/allow telegram:{} {role}", whom.0).as_str());
    let label = format!("telegram:{} becomes {role}", whom.0);
    let found = room.api.wait_for(chat, |shown| shown.button(&label).is_some(), LIMIT);
    found.unwrap_or_else(|error| panic!("{error:#}\n{}", room.host.log()))
}

#[test]
fn a_press_counts_for_what_was_offered_under_that_post_and_for_nothing_else() {
    let Some(room) = Room::start(to_be_reviewed(0)) else { return };
    let group = room.api.group("Shop", room.ann, &[]);
    room.api.add_bot(group, room.ann);
    let shown = review(&room);
    let approve = shown.button("Approve").unwrap().data.clone().unwrap();
    let other = room.api.messages(room.chat).into_iter().find(|post| post.by_bot && post.id != shown.id).unwrap();
    let count = |press: &str| toast(&room, press);
    for (chat, post, data) in [
        // Never offered.
        (room.chat, shown.id, "/pause"),
        (room.chat, shown.id, "/approve 1"),
        (room.chat, shown.id, "/approve 1 change:0123456789ab"),
        (room.chat, shown.id, "/Approve 1"),
        // Offered under another post, in another chat, or under one that is not there.
        (room.chat, other.id, approve.as_str()),
        (room.chat, MessageId(4_000), approve.as_str()),
        (group, shown.id, approve.as_str()),
    ] {
        let told = count(&room.api.forge_press(chat, room.ann, post, data));
        assert!(told.contains(NOTHING), "{data}: {told}");
        if data.starts_with("/approve") {
            assert!(told.contains(data), "what to type is told: {told}");
        }
    }
    assert!(!count(&room.api.forge_press(room.chat, room.ann, shown.id, "rm -rf /")).contains("rm"));
    assert_eq!(room.host.status(1).unwrap(), "needs-review");
    room.says("/status");
    assert!(!room.sees("tasks in progress").text.contains("paused"));
    let press = room.api.press(room.chat, room.ann, shown.id, "Approve");
    assert!(count(&press).contains("approved"));
    room.ends();
    room.finish();
}

#[test]
fn a_press_that_beats_its_receipt_waits_for_it() {
    let Some(room) = Room::start(to_be_reviewed(0)) else { return };
    // The post stands there at once; the bot learns so later than the press.
    room.api.fail(Rule::on("sendMessage"), Fault::Slow(Duration::from_secs(2)));
    room.says(TASK);
    let shown = room.api.wait_for(room.chat, |shown| shown.button("Approve").is_some(), LIMIT).unwrap();
    let press = room.api.press(room.chat, room.ann, shown.id, "Approve");
    let told = toast(&room, &press);
    assert!(told.contains("approved"), "{told}");
    room.api.heal();
    room.ends();
    room.finish();
}

#[test]
fn what_was_offered_before_a_restart_counts_after_it() {
    let Some(mut room) = Room::start(to_be_reviewed(0)) else { return };
    let shown = review(&room);
    // Behind the review: its receipt is in the journal by then.
    room.says("/ping");
    room.sees("is up for");
    let bob = room.api.person("Bob");
    let asked = asked_back(&room, room.chat, bob, "guest");
    room.says("/help diff");
    room.sees("/diff N");
    room.host.kill().unwrap();
    room.host.start().unwrap();
    let press = room.api.press(room.chat, room.ann, shown.id, "Approve");
    assert!(toast(&room, &press).contains("approved"));
    let press = room.api.press(room.chat, room.ann, asked.id, &format!("telegram:{} becomes guest", bob.0));
    assert!(toast(&room, &press).contains("is guest now"), "{}", room.host.log());
    room.ends();
    room.finish();
}

#[test]
fn who_is_made_known_is_asked_back_and_only_who_asked_confirms() {
    let Some(room) = Room::start(plain()) else { return };
    let (carl, eve) = (room.api.person("Carl"), room.api.person("Eve"));
    let group = room.api.group("Shop", room.ann, &[carl, eve]);
    room.api.add_bot(group, room.ann);
    // Carl is an owner as Ann is.
    let asked = asked_back(&room, room.chat, carl, "owner");
    let press = room.api.press(room.chat, room.ann, asked.id, &format!("telegram:{} becomes owner", carl.0));
    assert!(toast(&room, &press).contains("is owner now"), "{}", room.host.log());
    let before = people(&room);
    let asked = asked_back(&room, group, eve, "owner");
    let label = format!("telegram:{} becomes owner", eve.0);
    let data = asked.button(&label).unwrap().data.clone().unwrap();
    assert_eq!(asked.buttons.concat().len(), 1);
    // Another owner, and a stranger.
    let others = room.api.press(group, carl, asked.id, &label);
    assert!(toast(&room, &others).contains(&format!("only telegram:{} can confirm", room.ann.0)));
    let strangers = room.api.press(group, eve, asked.id, &label);
    // Typed it is nothing.
    room.says(&data);
    room.sees("that is not a command");
    assert!(room.api.wait_toast(&strangers, Duration::ZERO).is_err(), "a stranger was answered");
    assert_eq!(people(&room), before, "nobody is known by a word alone");
    // Ten minutes later it is void.
    let late = asked_back(&room, group, eve, "guest");
    room.says("/help diff");
    room.sees("/diff N");
    let journal = rusqlite::Connection::open(room.host.data().join("journal.db")).unwrap();
    let aged = "UPDATE asked_back SET until_ms = until_ms - 600000 WHERE role = 'guest'";
    assert_eq!(journal.execute(aged, []).unwrap(), 1);
    let label_of_late = format!("telegram:{} becomes guest", eve.0);
    let press = room.api.press(group, room.ann, late.id, &label_of_late);
    assert!(toast(&room, &press).contains("more than ten minutes old"));
    assert_eq!(people(&room), before);
    let press = room.api.press(group, room.ann, asked.id, &label);
    assert!(toast(&room, &press).contains("is owner now"), "{}", room.host.log());
    assert!(people(&room).contains(&eve.0.to_string()));
    let again = room.api.press(group, room.ann, asked.id, &label);
    assert!(toast(&room, &again).contains("done already"));
    room.finish();
}

/// A message as it comes from Telegram, with more fields; `kind` is that of the update.
fn message(room: &Room, kind: &str, id: i64, text: &str, more: &Value) -> Value {
    let from = json!({ "id": room.ann.0, "is_bot": false, "first_name": "Ann" });
    let chat = json!({ "id": room.chat.0, "type": "private", "first_name": "Ann" });
    let mut message = json!({ "message_id": id, "date": 1, "chat": chat, "from": from, "text": text });
    message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    json!({ kind: message })
}

#[test]
fn words_of_others_and_edits_do_nothing_in_the_name_of_who_sent_them() {
    let Some(room) = Room::start(plain()) else { return };
    let bot = json!({ "id": 8, "is_bot": true, "first_name": "Gif", "username": "gif_bot" });
    let hidden = json!({ "type": "hidden_user", "sender_user_name": "Eve", "date": 1 });
    for (n, (kind, more)) in [
        ("message", json!({ "forward_origin": hidden, "forward_date": 1, "forward_sender_name": "Eve" })),
        ("message", json!({ "via_bot": bot })),
        ("message", json!({ "sender_business_bot": bot })),
        ("edited_message", json!({ "edit_date": 2 })),
    ]
    .into_iter()
    .enumerate()
    {
        for (m, text) in ["/pause", TASK, "/allow telegram:66 owner"].into_iter().enumerate() {
            let id = 9_000 + i64::try_from(10 * n + m).unwrap();
            room.api.raw_update(message(&room, kind, id, text, &more));
        }
    }
    room.says("/status");
    let shown = room.sees("tasks in progress");
    assert!(!shown.text.contains("paused"), "{}", shown.text);
    assert!(room.host.json(&["task", "list"]).unwrap().as_array().is_none_or(Vec::is_empty));
    assert!(room.posts(room.chat).iter().all(|post| post.buttons.is_empty()), "{}", room.api.transcript(room.chat));
    room.finish();
}

#[test]
fn a_group_that_becomes_a_supergroup_takes_its_offers_along() {
    let Some(room) = Room::start(to_be_reviewed(0)) else { return };
    let group = room.api.group("Shop", room.ann, &[]);
    room.api.add_bot(group, room.ann);
    room.begins(group);
    let shown = room.api.wait_for(group, |shown| shown.button("Approve").is_some(), LIMIT).unwrap();
    let data = shown.button("Approve").unwrap().data.clone().unwrap();
    room.api.say(group, room.ann, "/ping");
    room.sees_in(group, "is up for");
    let new = room.api.upgrade(group, room.ann);
    room.api.say(new, room.ann, "/help diff");
    room.sees_in(new, "/diff N");
    // Its history is shown in the new one, under the numbers it had.
    let press = room.api.forge_press(new, room.ann, shown.id, &data);
    assert!(toast(&room, &press).contains("approved"), "{}", room.host.log());
    assert_eq!(room.host.settled(1, LIMIT).unwrap(), "completed");
    room.finish();
}

/// A component that came into the operator's folder while the host ran, by whoever may write there.
#[test]
fn a_component_that_stands_in_for_the_shipped_one_is_refused_and_doctor_shows_the_line() {
    let Some(room) = Room::start(plain()) else { return };
    room.says("/ping");
    room.sees("is up for");
    let folder = room.host.dir().join("plugins/telegram");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(borg_tests::guest::component("impostor").unwrap(), folder.join("telegram.wasm")).unwrap();
    let manifest = "name = \"telegram\"\nkind = \"chat\"\nworld = \"0.2.0\"\nversion = \"1.0.0\"\nsummary = \"x\"\n[asks]\n\
        [settings.mode]\ntype = \"string\"\ndefault = \"forged-text\"\ndoc = \"How.\"\n";
    fs::write(folder.join("plugin.toml"), manifest).unwrap();
    // The owner is told, by the one that is shipped.
    let told = room.sees("stands in for");
    assert!(told.text.contains("[plugin.telegram]") && told.text.contains("sha256"), "{}", told.text);
    room.says("good morning");
    room.sees("that is not a command");
    assert!(!people(&room).contains("telegram:66"));
    let doctor = room.host.cli(&["doctor"]).unwrap();
    assert_ne!(doctor.code, Some(0));
    let shown = doctor.stdout + &doctor.stderr;
    let line = shown.split("`sha256 = \"").nth(1).and_then(|rest| rest.split('"').next());
    let line = line.unwrap_or_else(|| panic!("{shown}"));
    assert_eq!(line.len(), 64, "{shown}");
    // With that line it speaks, and is caught at what it does.
    let policy = room.host.dir().join("policies/policy.toml");
    let text = fs::read_to_string(&policy).unwrap();
    fs::write(&policy, format!("{text}\n[plugin.telegram]\nsha256 = \"{line}\"\n")).unwrap();
    // The edited policy is in force within seconds.
    let is_told = || {
        room.says("good morning");
        room.api.wait_text(room.chat, "did what it has no right to", Duration::from_secs(2)).is_ok()
    };
    assert!((0..15).any(|_| is_told()), "{}", room.host.log());
    let told = room.sees("did what it has no right to");
    assert!(told.text.contains("these are not the words that were sent") && told.text.contains(line), "{}", told.text);
    assert!(!people(&room).contains("telegram:66"));
    room.finish();
}
