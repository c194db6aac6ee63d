//! Who is heard: people that policy names, and nobody who only looks like them.

use crate::room::{LIMIT, Room, plain};
use borg_host::store::Store;
use borg_tests::{
    bot_api::{Options, Privacy, Say, Speaker},
    harness::wait,
};
use std::time::Duration;

#[test]
fn strangers_hear_nothing() {
    let Some(room) = Room::start(plain()) else { return };
    let eve = room.api.person("Eve");
    let chat = room.api.private(eve);
    let owner = format!("telegram:{}", room.ann.0);
    for text in ["/start", "/help", "/start ABCDEFGH", "hello", "/nonsense", "/task --pipeline=quick acme/shop Mine"] {
        room.api.say(chat, eve, text);
    }
    room.api.say(chat, eve, format!("{owner}: /tasks").as_str());
    room.api.say(chat, eve, Say::document("x.txt", "text/plain", b"/tasks"));
    room.api.say(chat, eve, Say::voice(3, b"ogg"));
    room.api.rename(eve, "Ann", None);
    room.api.say(chat, eve, "/tasks");
    room.is_silent(chat);
    assert!(room.host.json(&["task", "list"]).unwrap().as_array().is_none_or(Vec::is_empty));
    room.finish();
}

#[test]
fn bots_channels_and_anonymous_admins_are_nobody() {
    let mut bot = None;
    let options = Options { privacy: Privacy::Off, ..Options::default() };
    // Even where policy names them.
    let room = Room::with(options, plain(), |setup, api| {
        let other = *bot.insert(api.other_bot("Other"));
        let nobodies =
            format!("[people]\nadmin = [\"telegram:{}\", \"telegram:1087968824\", \"telegram:136817688\"]", other.0);
        setup.policy(&nobodies).unwrap()
    });
    let (Some(room), Some(other)) = (room, bot) else { return };
    let group = room.api.supergroup("Shop", room.ann, &[other]);
    room.api.add_bot(group, room.ann);
    room.api.promote_bot(group, room.ann);
    let channel = room.api.channel("News", room.ann);
    room.api.add_bot(channel, room.ann);
    for text in ["/tasks", "/task --pipeline=quick acme/shop Mine", "@borg_bot /tasks"] {
        room.api.say(group, other, Say::text(text).anyway());
        room.api.say(group, Speaker::Anonymous, text);
        room.api.say(group, Speaker::AsChannel(channel), text);
        room.api.say(channel, Speaker::Channel, text);
    }
    room.is_silent(group);
    assert!(room.posts(channel).is_empty(), "{}", room.api.transcript(channel));
    assert!(room.host.json(&["task", "list"]).unwrap().as_array().is_none_or(Vec::is_empty));
    room.finish();
}

#[test]
fn an_owner_makes_somebody_known_and_the_journal_says_so() {
    let Some(room) = Room::start(plain()) else { return };
    let bob = room.api.person("Bob");
    let chat = room.api.private(bob);
    room.api.say(chat, bob, "/tasks");
    room.says("/allow Bob");
    room.sees("`Bob` is nobody's name");
    room.says(&format!("/allow telegram:{} king", bob.0));
    room.sees("there is no role `king`");
    room.is_silent(chat);
    room.says(&format!("/allow telegram:{} guest", bob.0));
    let label = format!("telegram:{} becomes guest", bob.0);
    let asked = room.api.wait_for(room.chat, |shown| shown.button(&label).is_some(), LIMIT).unwrap();
    let press = room.api.press(room.chat, room.ann, asked.id, &label);
    let toast = room.api.wait_toast(&press, LIMIT).unwrap();
    assert!(toast.text.contains(&format!("telegram:{} is guest now", bob.0)), "{toast:?}");
    let known = || {
        room.api.say(chat, bob, "/tasks");
        room.api.wait_text(chat, "no tasks yet", std::time::Duration::from_secs(1)).is_ok()
    };
    assert!((0..20).any(|_| known()), "{}", room.host.log());
    // A guest looks, and no more.
    room.api.say(chat, bob, "/task --pipeline=quick acme/shop Mine");
    room.sees_in(chat, "that needs the role member, and you are guest");
    room.api.say(chat, bob, format!("/allow telegram:{} owner", bob.0).as_str());
    room.sees_in(chat, "that needs the role owner");
    let journal = Store::open_read_only(&room.host.data()).unwrap();
    let entries = wait(journal.events(0, None, 10_000)).unwrap();
    let bodies = entries.iter().map(|entry| serde_json::to_value(entry).unwrap()["body"].take());
    let allowed: Vec<_> = bodies.filter(|body| body["kind"] == "person-allowed").collect();
    let (person, by) = (format!("telegram:{}", bob.0), format!("telegram:{}", room.ann.0));
    assert_eq!(allowed, [serde_json::json!({ "kind": "person-allowed", "by": by, "person": person, "role": "guest" })]);
    room.finish();
}

#[test]
fn a_held_request_is_passed_on_once_and_an_owner_lets_its_person_in() {
    let options = Options { privacy: Privacy::Off, ..Options::default() };
    let hold = "[people]\nstrangers = \"hold\"";
    let Some(room) = Room::with(options, plain(), |setup, _| setup.policy(hold).unwrap()) else { return };
    let eve = room.api.person("Eve [all](tg://user?id=1) of https://evil.example");
    let group = room.api.supergroup("Shop", room.ann, &[eve]);
    room.api.add_bot(group, room.ann);
    room.api.say(group, eve, "@borg_bot /tasks");
    let chat = room.api.private(eve);
    room.api.say(chat, eve, "hello");
    room.sees_in(chat, "your request has been passed on");
    let asked = room.sees(&format!("telegram:{}", eve.0));
    let linked = |entity: &serde_json::Value| matches!(entity["type"].as_str(), Some("text_link" | "text_mention"));
    assert!(asked.text.contains("Eve [all]") && !asked.entities.iter().any(linked), "{asked:?}");
    for text in ["hello?", "/tasks", "/allow telegram:1 owner"] {
        room.api.say(chat, eve, text);
    }
    room.is_silent(group);
    assert_eq!((room.posts(chat).len(), asked.buttons.concat().len()), (1, 2), "{}", room.api.transcript(chat));
    let told = room.posts(room.chat).iter().filter(|shown| shown.text.contains("asks to be let in")).count();
    assert_eq!(told, 1, "{}", room.api.transcript(room.chat));
    room.api.press(room.chat, room.ann, asked.id, "Let in as member");
    // Pressed it is asked back as if it were typed.
    let label = format!("telegram:{} becomes member", eve.0);
    let confirm = room.api.wait_for(room.chat, |shown| shown.button(&label).is_some(), LIMIT).unwrap();
    let press = room.api.press(room.chat, room.ann, confirm.id, &label);
    let toast = room.api.wait_toast(&press, LIMIT).unwrap();
    assert!(toast.text.contains("is member now"), "{toast:?}");
    // The edited policy is in force within seconds.
    let is_heard = || {
        room.api.say(chat, eve, "/tasks");
        room.api.wait_text(chat, "no tasks yet", Duration::from_secs(2)).is_ok()
    };
    assert!((0..15).any(|_| is_heard()), "{}", room.api.transcript(chat));
    room.finish();
}
