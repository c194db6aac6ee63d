//! A change that waits for a person: what they see, and what presses of its buttons do.

use crate::room::{LIMIT, Room, TASK, to_be_reviewed};
use borg_tests::bot_api::{ChatId, Options, Shown, UserId};
use std::{
    cell::Cell,
    fs,
    time::{Duration, Instant},
};

/// Waits for the review of the first task.
fn review(room: &Room) -> Shown {
    room.says(TASK);
    let found = room.api.wait_for(room.chat, |shown| shown.button("Approve").is_some(), LIMIT);
    found.unwrap_or_else(|error| panic!("{error:#}"))
}

fn status(room: &Room) -> String {
    room.host.status(1).unwrap()
}

#[test]
fn a_review_shows_its_change_and_a_press_lets_it_through_once() {
    let Some(room) = Room::start(to_be_reviewed(400)) else { return };
    let shown = review(&room);
    assert!(shown.text.contains("#1 Add a discount needs a look") && shown.text.contains("ci.yml"), "{}", shown.text);
    assert!(shown.text.encode_utf16().count() <= 3_800 && shown.text.contains("+++ b/"), "{}", shown.text);
    let approve = shown.button("Approve").unwrap().data.clone().unwrap();
    assert!(approve.starts_with("/approve 1 change:"), "{approve}");
    assert!(shown.button("Reject").is_some());
    // A button of another change than the one that waits is none, and typed it lets nothing through.
    let press = room.api.forge_press(room.chat, room.ann, shown.id, "/approve 1 change:0123456789ab");
    let told = room.api.wait_toast(&press, LIMIT).unwrap();
    assert!(told.text.contains("type it:\n/approve 1 change:0123456789ab"), "{told:?}");
    room.says("/approve 1 change:0123456789ab");
    room.sees("waits for no decision any more");
    assert_eq!(room.host.status(1).unwrap(), "needs-review");
    let file = room.api.wait_for(room.chat, |shown| shown.document.is_some(), LIMIT).unwrap().document.unwrap();
    assert_eq!(file.name.as_deref(), Some("task-1.diff"));
    for part in ["+def discounted(cents, percent):", "+line 399 of what is new"] {
        assert!(file.text().contains(part), "{part}");
    }
    assert_eq!(room.posts(room.chat).iter().filter(|shown| shown.document.is_some()).count(), 1);
    let (first, second) = (
        room.api.press(room.chat, room.ann, shown.id, "Approve"),
        room.api.press(room.chat, room.ann, shown.id, "Approve"),
    );
    let toast = room.api.wait_toast(&first, LIMIT).unwrap();
    assert!(toast.text.contains("approved"), "{toast:?}");
    assert!(!room.api.wait_toast(&second, LIMIT).unwrap().text.is_empty());
    room.ends();
    let late = room.api.press(room.chat, room.ann, shown.id, "Reject");
    assert!(!room.api.wait_toast(&late, LIMIT).unwrap().text.is_empty());
    assert_eq!(status(&room), "completed");
    assert_eq!(room.repo.branches().unwrap(), ["borg/1/add-a-discount"]);
    let decisions = room.host.entries(1).unwrap().iter().filter(|entry| entry.kind() == "approved").count();
    assert_eq!(decisions, 1);
    room.finish();
}

#[test]
fn a_press_rejects() {
    let Some(room) = Room::start(to_be_reviewed(0)) else { return };
    let shown = review(&room);
    assert!(shown.text.contains("+def discounted(cents, percent):"), "all of a short change is shown: {}", shown.text);
    let press = room.api.press(room.chat, room.ann, shown.id, "Reject");
    assert!(room.api.wait_toast(&press, LIMIT).unwrap().text.contains("rejected"));
    assert_eq!(room.host.settled(1, LIMIT).unwrap(), "rejected");
    assert!(room.repo.branches().unwrap().is_empty());
    room.finish();
}

#[test]
fn who_may_not_decide_decides_nothing() {
    let mut member = None;
    let room = Room::with(Options::default(), to_be_reviewed(0), |setup, api| {
        let bob = *member.insert(api.person("Bob"));
        setup.policy(&format!("[people]\nmember = [\"telegram:{}\"]", bob.0)).unwrap()
    });
    let (Some(room), Some(bob)) = (room, member) else { return };
    let shown = review(&room);
    let eve = room.api.person("Eve");
    // A stranger learns nothing, not even that somebody listens.
    let presses = ["/approve 1", "/reject 1", "/tasks", "/cancel 1"].map(|data| {
        room.api.forge_press(room.api.private(eve), eve, shown.id, data);
        room.api.forge_press(room.chat, eve, shown.id, data)
    });
    let hint = room.api.press(room.chat, bob, shown.id, "Approve");
    assert!(!room.api.wait_toast(&hint, LIMIT).unwrap().text.contains("approved"));
    // Forged by somebody known it is text like any other.
    for data in ["rm -rf /", "approve 1; true", "/approve 1 --by=owner", "\u{202e}/approve 1", "/approve", "/approve 2"]
    {
        let press = room.api.forge_press(room.chat, bob, shown.id, data);
        assert!(!room.api.wait_toast(&press, LIMIT).unwrap().text.contains("approved"), "{data}");
    }
    room.is_silent(room.api.private(eve));
    for press in presses {
        assert!(room.api.wait_toast(&press, Duration::ZERO).is_err(), "a stranger was answered");
    }
    assert_eq!(status(&room), "needs-review");
    room.finish();
}

#[test]
fn words_of_a_toast_that_comes_too_late_are_said() {
    let options = Options { press_life: Duration::ZERO, ..Options::default() };
    let Some(room) = Room::with(options, to_be_reviewed(0), |setup, _| setup) else { return };
    let shown = review(&room);
    room.api.press(room.chat, room.ann, shown.id, "Approve");
    let said = room.sees("approved");
    assert!(room.api.toasts(room.chat).is_empty() && said.buttons.is_empty(), "{said:?}");
    room.ends();
    room.finish();
}

/// A room with Bob, who owns this host as Ann does, and with `more` in policy.
fn with_bob(more: &str) -> Option<(Room, UserId, ChatId)> {
    let bob = Cell::new(None);
    let room = Room::with_ann(Options::default(), to_be_reviewed(0), |setup, api, ann| {
        let second = api.person("Bob");
        bob.set(Some(second));
        setup.policy(&format!("{}\n{more}", owners(&[ann, second]))).unwrap()
    })?;
    let bob = bob.get()?;
    let chat = room.api.private(bob);
    // Nobody is written to who has not written first.
    room.api.say(chat, bob, "/ping");
    room.sees_in(chat, "borg-host");
    Some((room, bob, chat))
}

/// Whoever runs this machine, and people on Telegram, of whom it is the first.
fn owners(people: &[UserId]) -> String {
    let here = format!("\"console:{}\"", nix::unistd::getuid());
    let names: Vec<String> = people.iter().map(|person| format!("\"telegram:{}\"", person.0)).collect();
    format!("[people]\nowner = [{here}, {}]\nsame = [[{here}, {}]]", names.join(", "), names[0])
}

/// Waits for the review of the first task in a chat.
#[track_caller]
fn review_in(room: &Room, chat: ChatId) -> Shown {
    room.sees_in(chat, "#1 Add a discount needs a look")
}

/// Every copy of the review says who decided, and has no button.
#[track_caller]
fn is_closed(room: &Room, chat: ChatId, review: &Shown, by: UserId) {
    let words = format!("approved by telegram:{}", by.0);
    let is_closed = |shown: &Shown| shown.id == review.id && shown.text.contains(&words) && shown.buttons.is_empty();
    room.api.wait_for(chat, is_closed, LIMIT).unwrap_or_else(|error| panic!("{error:#}"));
}

#[test]
fn who_asked_is_told_who_may_and_another_owner_lets_it_through() {
    let Some((room, bob, his)) = with_bob("") else { return };
    let may = format!("telegram:{}", bob.0);
    room.says(TASK);
    let (hers, asked) = (review_in(&room, room.chat), review_in(&room, his));
    assert!(hers.text.contains(&format!("who decides: {may}")), "{}", hers.text);
    assert!(hers.button("Approve").is_none() && hers.button("Reject").is_some(), "{hers:?}");
    assert!(asked.text.contains(&format!("asked for by: telegram:{}", room.ann.0)), "{}", asked.text);
    assert!(asked.text.contains("+def discounted(cents, percent):"), "he sees the change: {}", asked.text);
    // Typed, or at the machine under her other name: it is hers, and she is told whose it is to decide.
    room.says("/approve 1");
    assert!(room.sees("somebody else decides on it").text.contains(&may));
    let change = asked.button("Approve").unwrap().data.clone().unwrap();
    room.says(&format!("{change} I am sure"));
    let cli = room.host.cli(&["task", "approve", "1"]).unwrap();
    assert!(cli.code == Some(1) && cli.stderr.contains(&may) && cli.stderr.contains("reject 1"), "{cli:?}");
    let shown = room.host.cli(&["task", "show", "1"]).unwrap();
    let told = shown.stdout.lines().any(|line| line.contains("who decides") && line.contains(&may));
    assert!(told, "{}", shown.stdout);
    assert_eq!(status(&room), "needs-review");
    let press = room.api.press(his, bob, asked.id, "Approve");
    assert!(room.api.wait_toast(&press, LIMIT).unwrap().text.contains("approved"));
    room.ends();
    is_closed(&room, room.chat, &hers, bob);
    is_closed(&room, his, &asked, bob);
    // Who comes too late is told who was first.
    room.api.say(his, bob, change.as_str());
    room.sees_in(his, &format!("was approved by {may}"));
    let count = |chat| room.posts(chat).iter().filter(|shown| shown.document.is_some()).count();
    assert_eq!((count(room.chat), count(his)), (1, 1), "the change stands in each chat once");
    room.finish();
}

#[test]
fn a_review_goes_to_the_operators_chat_with_its_buttons_and_a_press_there_counts() {
    let (bob, group) = (Cell::new(None), Cell::new(None));
    let room = Room::with_ann(Options::default(), to_be_reviewed(0), |setup, api, ann| {
        let second = api.person("Bob");
        let operators = api.group("Operators", second, &[ann]);
        api.add_bot(operators, second);
        bob.set(Some(second));
        group.set(Some(operators));
        setup.policy(&owners(&[ann, second])).unwrap().env("PIPELINE_ADMIN_CHAT", &operators.0.to_string())
    });
    let (Some(room), Some(bob), Some(group)) = (room, bob.get(), group.get()) else { return };
    let his = room.api.private(bob);
    room.api.say(his, bob, "/ping");
    room.sees_in(his, "borg-host");
    room.says(TASK);
    // Each of those who may decide, whoever asked, and the chat of those who run this host: once.
    let (hers, asked, shown) = (review_in(&room, room.chat), review_in(&room, his), review_in(&room, group));
    let may = format!("telegram:{}", bob.0);
    for copy in [&hers, &asked, &shown] {
        assert!(copy.text.contains(&format!("who decides: {may}")), "{}", copy.text);
        assert!(copy.text.contains("+def discounted(cents, percent):"), "{}", copy.text);
        assert!(copy.button("Reject").is_some() && copy.button("Diff").is_some(), "{copy:?}");
    }
    assert!(hers.button("Approve").is_none(), "{hers:?}");
    // A group is of nobody: what is pressed there is held against whoever presses.
    for copy in [&asked, &shown] {
        let approve = copy.button("Approve").and_then(|button| button.data.clone()).unwrap();
        assert!(approve.starts_with("/approve 1 change:"), "{approve}");
    }
    let press = room.api.press(group, room.ann, shown.id, "Approve");
    let toast = room.api.wait_toast(&press, LIMIT).unwrap();
    assert!(toast.text.contains("somebody else decides on it") && toast.text.contains(&may), "{toast:?}");
    let eve = room.api.person("Eve");
    let foreign = room.api.forge_press(group, eve, shown.id, "/approve 1");
    assert_eq!(status(&room), "needs-review");
    let press = room.api.press(group, bob, shown.id, "Approve");
    assert!(room.api.wait_toast(&press, LIMIT).unwrap().text.contains("approved"));
    room.ends();
    for (chat, copy) in [(room.chat, &hers), (his, &asked), (group, &shown)] {
        is_closed(&room, chat, copy, bob);
        let copies = room.posts(chat).iter().filter(|shown| shown.document.is_some()).count();
        assert_eq!(copies, 1, "the change stands in each chat once");
    }
    assert!(room.api.wait_toast(&foreign, Duration::ZERO).is_err(), "a stranger was answered");
    room.finish();
}

#[test]
fn in_a_group_a_press_on_ones_own_says_who_may() {
    let Some((room, bob, his)) = with_bob("") else { return };
    let group = room.api.group("Shop", room.ann, &[bob]);
    room.api.add_bot(group, room.ann);
    room.begins(group);
    let (shown, asked) = (review_in(&room, group), review_in(&room, his));
    let press = room.api.press(group, room.ann, shown.id, "Approve");
    let toast = room.api.wait_toast(&press, LIMIT).unwrap();
    assert!(toast.text.contains("you asked for this change"), "{toast:?}");
    assert!(toast.text.contains(&format!("somebody else decides on it: telegram:{}", bob.0)), "{toast:?}");
    assert_eq!(status(&room), "needs-review");
    room.api.press(group, bob, shown.id, "Approve");
    room.sees_in(group, "#1 Add a discount: completed");
    is_closed(&room, group, &shown, bob);
    is_closed(&room, his, &asked, bob);
    assert!(room.posts(room.chat).iter().all(|shown| !shown.text.contains("needs a look")), "it is not hers to decide");
    room.finish();
}

#[test]
fn policy_may_let_everybody_approve_their_own() {
    let Some((room, bob, his)) = with_bob("[verdict]\nown = \"allow\"") else { return };
    room.says(TASK);
    let (hers, asked) = (review_in(&room, room.chat), review_in(&room, his));
    assert!(!hers.text.contains("who decides"), "{}", hers.text);
    let press = room.api.press(room.chat, room.ann, hers.id, "Approve");
    assert!(room.api.wait_toast(&press, LIMIT).unwrap().text.contains("approved"));
    room.ends();
    is_closed(&room, his, &asked, room.ann);
    let late = room.api.wait_for(his, |shown| shown.button("Approve").is_some(), Duration::ZERO);
    assert!(late.is_err(), "nothing is left to press for {bob:?}");
    room.finish();
}

#[test]
fn one_human_decides_alone_under_any_of_their_names() {
    let Some(room) = Room::start(to_be_reviewed(0)) else { return };
    room.says(TASK);
    let shown = review_in(&room, room.chat);
    assert!(shown.button("Approve").is_some() && !shown.text.contains("who decides"), "{shown:?}");
    // At the machine she sees what waits; no digest is asked for there.
    room.host.cli(&["task", "approve", "1"]).unwrap().success();
    room.ends();
    let closed = format!("approved by console:{}", nix::unistd::getuid());
    room.api.wait_for(room.chat, |now| now.id == shown.id && now.text.contains(&closed), LIMIT).unwrap();
    room.finish();
}

#[test]
fn a_block_is_overruled_by_another_owner() {
    let Some((room, bob, his)) = with_bob("[verdict]\nreview = 1\nblock = 2") else { return };
    room.says(TASK);
    let hers = room.sees("is blocked by its verdict");
    assert!(hers.text.contains(&format!("who decides: telegram:{}", bob.0)), "{}", hers.text);
    room.says("/approve 1");
    room.sees("somebody else decides on it");
    assert_ne!(room.host.cli(&["task", "approve", "1"]).unwrap().code, Some(0));
    assert_eq!(status(&room), "blocked");
    let asked = room.sees_in(his, "is blocked by its verdict");
    room.api.press(his, bob, asked.id, "Approve");
    room.ends();
    is_closed(&room, room.chat, &hers, bob);
    room.finish();
}

#[test]
fn who_joins_while_a_change_waits_decides_on_it() {
    let Some(room) = Room::start(to_be_reviewed(0)) else { return };
    let bob = room.api.person("Bob");
    let his = room.api.private(bob);
    room.api.say(his, bob, "/ping");
    let shown = review(&room);
    let file = room.host.dir().join("policies/policy.toml");
    let alone = fs::read_to_string(&file).unwrap();
    let hers = format!("\"telegram:{}\"", room.ann.0);
    // Listed among the owners, and not among the names of Ann.
    let two = alone.replacen(&format!("{hers}]"), &format!("{hers}, \"telegram:{}\"]", bob.0), 1);
    assert_ne!(two, alone);
    fs::write(&file, &two).unwrap();
    let asked = review_in(&room, his);
    let press = room.api.press(room.chat, room.ann, shown.id, "Approve");
    assert!(room.api.wait_toast(&press, LIMIT).unwrap().text.contains("you asked for this change"));
    assert_eq!(status(&room), "needs-review");
    // He is gone: it is hers again.
    fs::write(&file, &alone).unwrap();
    let deciders = || room.host.json(&["task", "show", "1"]).unwrap()["deciders"].to_string();
    let until = Instant::now() + LIMIT;
    while !deciders().contains(&hers) {
        assert!(Instant::now() < until, "{}", deciders());
    }
    let press = room.api.press(room.chat, room.ann, shown.id, "Approve");
    assert!(room.api.wait_toast(&press, LIMIT).unwrap().text.contains("approved"));
    room.ends();
    is_closed(&room, his, &asked, room.ann);
    room.finish();
}

#[test]
fn approving_without_a_change_shows_it_first() {
    let Some(room) = Room::start(to_be_reviewed(400)) else { return };
    let first = review(&room);
    room.says("/approve 1 looks good");
    let has_button = |shown: &Shown| shown.id > first.id && shown.button("Approve").is_some();
    let shown = room.api.wait_for(room.chat, has_button, LIMIT).unwrap();
    for part in ["needs a look", "ci.yml", "+++ b/"] {
        assert!(shown.text.contains(part), "{part}: {}", shown.text);
    }
    assert_eq!(status(&room), "needs-review", "nothing was approved yet");
    let data =
        |shown: &Shown| shown.buttons.concat().iter().filter_map(|button| button.data.clone()).collect::<Vec<_>>();
    assert_eq!(data(&shown), data(&first), "of the same change");
    assert!(data(&shown).iter().all(|data| data.len() <= 64), "{shown:?}");
    room.api.press(room.chat, room.ann, shown.id, "Approve");
    room.ends();
    // The journal tells one decision, and by whom.
    let approved = room.host.entries(1).unwrap().iter().filter(|entry| entry.kind() == "approved").count();
    assert_eq!(approved, 1);
    room.finish();
}

#[test]
fn a_decision_on_another_change_decides_nothing() {
    let Some(room) = Room::start(to_be_reviewed(0)) else { return };
    let shown = review(&room);
    let reject = shown.button("Reject").unwrap().data.clone().unwrap();
    assert!(reject.starts_with("/reject 1 change:"), "{reject}");
    for text in ["/approve 1 change:0123456789ab", "/reject 1 change:0123456789ab"] {
        room.says(text);
        let told = room.sees("waits for no decision any more");
        assert!(told.text.contains("change 0123456789ab of #1"), "{told:?}");
    }
    assert_eq!(status(&room), "needs-review");
    // Typed without one it stays free.
    room.says("/reject 1 too slow");
    assert_eq!(room.host.settled(1, LIMIT).unwrap(), "rejected");
    let closed = |now: &Shown| now.id == shown.id && now.text.contains("rejected by") && now.buttons.is_empty();
    room.api.wait_for(room.chat, closed, LIMIT).unwrap();
    room.finish();
}
