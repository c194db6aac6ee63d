//! Who is heard: people that policy names, and nobody who only looks like them.

use crate::room::{Room, plain};
use borg_tests::bot_api::{Options, Privacy, Say, Speaker};

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
