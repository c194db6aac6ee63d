//! A change that waits for a person: what they see, and what presses of its buttons do.

use crate::room::{LIMIT, Room, TASK, to_be_reviewed};
use borg_tests::bot_api::{Options, Shown};
use std::time::Duration;

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
    // A button of another change than the one that waits lets nothing through.
    let press = room.api.forge_press(room.chat, room.ann, shown.id, "/approve 1 change:0123456789ab");
    let told = room.api.wait_toast(&press, LIMIT).unwrap();
    assert!(told.text.contains("waits for no decision any more"), "{told:?}");
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
