//! What the host tells of itself: how it is, and in which chat it says so.

use crate::room::{LIMIT, Room, plain};
use borg_tests::{
    bot_api::{Options, Shown},
    crash::gate,
};
use std::fs;

#[test]
fn the_host_says_who_is_at_work() {
    let Some(room) = Room::start(gate::repo_waiting_last(0).unwrap()) else { return };
    room.begins(room.chat);
    let run = gate::reached(&room.host, 1, 1).unwrap();
    room.says("/status");
    let told = room.sees("tasks in progress: 1");
    for line in ["is up for", "#1 Add a discount: worker at impl", "1 running", "model of ", "repositories: acme/shop"]
    {
        assert!(told.text.contains(line), "{line}: {}", told.text);
    }
    gate::open(&room.host, &run).unwrap();
    room.ends();
    room.finish();
}

#[test]
fn a_refused_policy_edit_is_told_in_the_admin_chat_and_nowhere_else() {
    let mut group = None;
    let begun = Room::with(Options::default(), plain(), |setup, api| {
        let bob = api.person("Bob");
        let chat = api.group("Operators", bob, &[]);
        api.add_bot(chat, bob);
        group = Some(chat);
        setup.env("PIPELINE_ADMIN_CHAT", &chat.0.to_string())
    });
    let Some(room) = begun else { return };
    let group = group.unwrap();
    fs::write(room.host.dir().join("policies/wrong.toml"), "[hsot]\n").unwrap();
    let is_refusal = |shown: &Shown| shown.by_bot && shown.text.contains("hsot") && shown.text.contains("stays");
    room.api.wait_for(group, is_refusal, LIMIT).unwrap();
    room.says("/tasks");
    room.sees("no tasks yet");
    assert!(
        room.posts(room.chat).iter().all(|shown| !shown.text.contains("hsot")),
        "{}",
        room.api.transcript(room.chat)
    );
    room.finish();
}
