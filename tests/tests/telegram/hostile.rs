//! A chat that means harm: presses nobody was offered, messages no client could send, words that look like others.

use crate::room::{LIMIT, Room, TASK, to_be_reviewed};
use borg_tests::{
    bot_api::{BotApi, MessageId, Options},
    harness::Setup,
};
use serde_json::{Value, json};
use std::{cell::Cell, fs};

/// A message as a server could hand it over that checks nothing.
fn message(room: &Room, id: i64, text: &str, entities: &Value) -> Value {
    let from = json!({ "id": room.ann.0, "is_bot": false, "first_name": "Ann" });
    let chat = json!({ "id": room.chat.0, "type": "private", "first_name": "Ann" });
    let message =
        json!({ "message_id": id, "date": 1, "chat": chat, "from": from, "text": text, "entities": entities });
    json!({ "message": message })
}

#[test]
fn a_press_that_nobody_was_offered_counts_for_nothing_whoever_presses() {
    let member = Cell::new(None);
    let more = |setup: Setup, api: &BotApi| {
        let carl = api.person("Carl");
        member.set(Some(carl));
        setup.policy(&format!("[people]\nmember = [\"telegram:{}\"]", carl.0)).unwrap()
    };
    let Some(room) = Room::with(Options::default(), to_be_reviewed(0), more) else { return };
    let (carl, eve) = (member.get().unwrap(), room.api.person("Eve"));
    let group = room.api.group("Shop", room.ann, &[carl, eve]);
    room.api.add_bot(group, room.ann);
    room.begins(group);
    let review = room.sees_in(group, "needs a look");
    // The change as a file is the last of it.
    room.api.wait_for(group, |shown| shown.document.is_some(), LIMIT).unwrap();
    let posts = room.posts(group).len();
    let owner = format!("/allow telegram:{} owner", eve.0);
    for data in ["/approve 1", "/pause", "/cancel 1", owner.as_str(), "/answer 1 yes", "", "\u{0}/pause"] {
        for presser in [eve, carl, room.ann] {
            room.api.forge_press(group, presser, review.id, data);
        }
    }
    // Carl may not decide, and pressing what is offered changes nothing about that.
    room.api.press(group, carl, review.id, "Reject");
    room.says("/help diff");
    room.sees("/diff");
    assert_eq!((room.host.status(1).unwrap().as_str(), room.posts(group).len()), ("needs-review", posts));
    let people = fs::read_to_string(room.host.dir().join("policies/policy.toml")).unwrap();
    assert!(!people.contains(&eve.0.to_string()), "{people}");
    // The button itself works, once.
    room.api.press(group, room.ann, review.id, "Approve");
    room.sees_in(group, "#1 Add a discount: completed");
    room.api.forge_press(group, room.ann, review.id, "/approve 1");
    room.api.forge_press(group, room.ann, review.id, "/cancel 1");
    room.is_silent(room.api.private(eve));
    // One on a message that is gone counts for nothing, and tells what to type.
    let press = room.api.forge_press(group, room.ann, MessageId(4_000), "/help diff");
    assert!(room.api.wait_toast(&press, LIMIT).unwrap().text.contains("type it:\n/help diff"));
    assert_eq!((room.host.status(1).unwrap().as_str(), room.repo.branches().unwrap().len()), ("completed", 1));
    room.finish();
}

#[test]
fn what_no_client_could_send_stops_nothing() {
    let Some(room) = Room::start(crate::room::plain()) else { return };
    let text = "x".repeat(1 << 20);
    let bomb: Vec<Value> = (0..5_000).map(|n| json!({ "type": "bold", "offset": n % 7, "length": i32::MAX })).collect();
    let mut id = 9_000;
    let mut push = |text: &str, entities: Value| {
        id += 1;
        room.api.raw_update(message(&room, id, text, &entities));
    };
    push(&text, json!([]));
    push(&format!("/task --pipeline=quick acme/shop {text}"), json!([]));
    push("/status", Value::Array(bomb));
    push(
        "/ping",
        json!([{ "type": "bot_command", "offset": -3, "length": 99 }, { "type": "no_such", "offset": 0, "length": 1 }]),
    );
    push("", json!([]));
    // What looks like a command, or like somebody else's words, is neither.
    for text in [
        "/can\u{200b}cel 1",
        "\u{202e}1 lecnac/",
        "/\u{0441}ancel 1",
        "telegram:1: /pause",
        "Ann:\n/pause",
        "```\n/pause\n```",
        "\u{feff}/pause",
    ] {
        push(text, json!([]));
    }
    room.api.raw_update(json!({ "mind_reading": { "thought": 1 } }));
    room.says("/status");
    let shown = room.sees("tasks in progress");
    assert!(!shown.text.contains("paused"), "{}", shown.text);
    room.says(TASK);
    let last = room.ends();
    assert!(last.text.contains("#1 Add a discount: completed"), "{}", last.text);
    assert_eq!(room.host.json(&["task", "list"]).unwrap().as_array().map(Vec::len), Some(1));
    room.finish();
}
