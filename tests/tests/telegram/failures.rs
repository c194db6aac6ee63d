//! What goes wrong between the host and Telegram, and what people see of it: nothing lost, nothing twice that need not be.

use crate::room::{LIMIT, Room, plain};
use borg_tests::{
    bot_api::{Call, Fault, Options, Rule, Shown},
    crash::gate,
};
use std::time::Duration;

const NONE: &str = "no tasks yet";

fn refusal(code: u16, description: &str) -> Fault {
    Fault::Refuse { code, description: description.to_owned() }
}

/// How often a text stands in Ann's chat.
fn count(room: &Room, text: &str) -> usize {
    room.posts(room.chat).iter().filter(|shown| shown.text.contains(text)).count()
}

/// Asks something and waits for the answer to it.
#[track_caller]
fn ask(room: &Room, text: &str, wanted: &str) {
    let asked = room.api.say(room.chat, room.ann, text);
    let is_answer = |shown: &Shown| shown.reply_to == Some(asked) && shown.text.contains(wanted);
    room.api.wait_for(room.chat, is_answer, LIMIT).unwrap();
}

/// Asks something while a send fails so; gives how often the answer stands there.
#[track_caller]
fn answered(room: &Room, fault: Fault) -> usize {
    let before = count(room, NONE);
    room.api.fail(Rule::on("sendMessage").next(1), fault);
    ask(room, "/tasks", NONE);
    // Behind it in the same chat: what was to be repeated has been by then.
    ask(room, "/status", "tasks in progress");
    count(room, NONE) - before
}

#[test]
fn a_send_that_fails_is_repeated_and_one_that_may_have_worked_stands_twice_at_most() {
    let Some(room) = Room::start(plain()) else { return };
    for fault in [
        Fault::TooMany { retry_after_s: 2 },
        Fault::Gateway(502),
        Fault::DropBefore,
        refusal(500, "Internal Server Error"),
    ] {
        assert_eq!(answered(&room, fault.clone()), 1, "{fault:?}");
    }
    for fault in [Fault::DropAfter, Fault::GatewayAfter(502), Fault::Malformed] {
        assert!(answered(&room, fault.clone()) <= 2, "{fault:?}");
    }
    let calls = room.api.calls_of("sendMessage");
    let limited = calls.iter().position(|call| call.status == 429).unwrap();
    let pause = calls[limited + 1].at.saturating_sub(calls[limited].at);
    assert!(pause >= Duration::from_secs(2), "what it asks for is waited for: {pause:?}");
    room.finish();
}

#[test]
fn progress_goes_on_where_an_edit_is_refused() {
    let Some(room) = Room::start(gate::repo().unwrap()) else { return };
    room.api.fail(
        Rule::on("editMessageText").nth(1),
        refusal(400, "Bad Request: message is not modified: specified new message content and reply markup are exactly the same as a current content and reply markup of the message"),
    );
    room.api.fail(Rule::on("editMessageText").nth(2), refusal(400, "Bad Request: message to edit not found"));
    room.begins(room.chat);
    let run = gate::reached(&room.host, 1, 1).unwrap();
    gate::open(&room.host, &run).unwrap();
    room.ends();
    let progress = room.posts(room.chat).into_iter().filter(|shown| shown.text.starts_with('…')).count();
    assert!(progress <= 2, "{}", room.api.transcript(room.chat));
    room.finish();
}

#[test]
fn a_bot_that_is_blocked_works_on_and_speaks_when_it_may() {
    let Some(room) = Room::start(gate::repo_waiting_last(0).unwrap()) else { return };
    room.begins(room.chat);
    let run = gate::reached(&room.host, 1, 1).unwrap();
    room.api.block_bot(room.ann);
    gate::open(&room.host, &run).unwrap();
    assert_eq!(room.host.settled(1, LIMIT).unwrap(), "completed");
    room.api.wait_calls(LIMIT, |calls| calls.iter().any(|call| call.status == 403)).unwrap();
    room.api.unblock_bot(room.ann);
    room.says("/status 1");
    room.sees("#1 Add a discount: completed");
    room.finish();
}

#[test]
fn a_task_of_a_group_that_moves_ends_in_the_new_one() {
    let Some(room) = Room::start(gate::repo_waiting_last(0).unwrap()) else { return };
    let group = room.api.group("Shop", room.ann, &[]);
    room.api.add_bot(group, room.ann);
    room.begins(group);
    let run = gate::reached(&room.host, 1, 1).unwrap();
    room.sees_in(group, "until [ -e");
    let new = room.api.upgrade(group, room.ann);
    gate::open(&room.host, &run).unwrap();
    room.sees_in(new, "borg/1/add-a-discount at ");
    let posts = room.posts(new);
    let progress = posts.iter().filter(|shown| shown.text.starts_with('…')).count();
    assert!(progress <= 1, "{}", room.api.transcript(new));
    assert_eq!(posts.iter().filter(|shown| shown.text.contains("completed")).count(), 1);
    room.finish();
}

#[test]
fn a_revoked_token_and_another_program_with_it_are_outlived() {
    let Some(room) = Room::start(plain()) else { return };
    let token = room.api.token();
    room.api.fail(
        Rule::on("getUpdates").next(2),
        refusal(
            409,
            "Conflict: terminated by other getUpdates request; make sure that only one bot instance is running",
        ),
    );
    room.says("/tasks");
    room.sees(NONE);
    assert!(room.host.log().contains("another program uses this token"), "{}", room.host.log());
    room.api.revoke_token();
    room.api.wait_calls(LIMIT, |calls| calls.iter().any(|call| call.status == 401)).unwrap();
    room.says("/status");
    room.api.issue_token(&token);
    room.sees("tasks in progress");
    let log = room.host.log();
    assert!(log.contains("get a new token from @BotFather") && !log.contains(&token), "{log}");
    room.finish();
}

#[test]
fn a_network_that_is_gone_for_a_while_costs_nothing() {
    let Some(room) = Room::start(plain()) else { return };
    room.says("/tasks");
    room.sees(NONE);
    room.api.fail(Rule::any().during(Duration::from_secs(3)), Fault::DropBefore);
    room.api.cut_connections();
    room.says("/status");
    room.says("/help diff");
    room.sees("/diff N");
    let order: Vec<Shown> = room.posts(room.chat);
    assert!(order[1].text.contains("tasks in progress") && order.len() == 3, "{}", room.api.transcript(room.chat));
    room.finish();
}

#[test]
fn a_post_that_is_never_answered_in_words_is_given_up_and_stops_nobody() {
    let Some(room) = Room::start(plain()) else { return };
    let group = room.api.group("Shop", room.ann, &[]);
    room.api.add_bot(group, room.ann);
    // As a gateway does that finds one post too large, and as Telegram itself does not.
    room.api.fail(Rule::on("sendMessage").into_chat(group).next(5), Fault::Gateway(413));
    room.api.say(group, room.ann, "/tasks");
    // The others are answered as ever; that is how it is known to be the post's own trouble.
    let tried = || room.api.calls_of("sendMessage").iter().filter(|call| call.status == 413).count();
    for n in 0.. {
        if tried() >= 5 {
            break;
        }
        ask(&room, &format!("/status {n}"), "there is no task");
    }
    room.api.say(group, room.ann, "/help diff");
    room.sees_in(group, "/diff N");
    assert!(room.posts(group).iter().all(|shown| !shown.text.contains(NONE)), "{}", room.api.transcript(group));
    assert!(room.host.log().contains("a post is given up"), "{}", room.host.log());
    room.finish();
}

#[test]
fn a_refused_token_holds_posts_back_no_longer_than_it_is_refused() {
    let Some(room) = Room::start(plain()) else { return };
    // With pauses alone these would take three minutes.
    room.api.fail(Rule::on("sendMessage").next(8), Fault::Unauthorized);
    room.says("/tasks");
    for n in 1..=8 {
        let refused = |calls: &[Call]| calls.iter().filter(|call| call.status == 401).count() >= n;
        room.api.wait_calls(LIMIT, refused).unwrap();
        // Each is an answer to a poll, and so a sign that the token is taken.
        room.says("/ping");
    }
    room.sees(NONE);
    room.finish();
}

#[test]
fn a_token_that_is_refused_from_the_start_is_said_to_be() {
    let Some(room) = Room::with(Options::default(), plain(), |setup, api| {
        api.fail(Rule::on("getMe").next(1), Fault::Unauthorized);
        setup
    }) else {
        return;
    };
    room.says("/tasks");
    room.sees(NONE);
    let log = room.host.log();
    assert!(log.contains("Telegram refuses the bot's token") && log.contains("@BotFather"), "{log}");
    room.finish();
}
