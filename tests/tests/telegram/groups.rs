//! Groups: what is said to the bot among what people say to each other, topics, albums, edits.

use crate::room::{LIMIT, REPOSITORY, Room, TASK, plain, to_be_reviewed};
use borg_tests::{
    bot_api::{ChatId, Fault, Options, Privacy, Rule, Say, Shown},
    crash::gate,
};

const NONE: &str = "no tasks yet";

/// A room in which the bot hears everything that is said in groups.
fn hearing_all() -> Option<Room> {
    Room::with(Options { privacy: Privacy::Off, ..Options::default() }, plain(), |setup, _| setup)
}

fn group(room: &Room) -> ChatId {
    let group = room.api.supergroup("Shop", room.ann, &[]);
    room.api.add_bot(group, room.ann);
    group
}

/// Says something and waits for the answer to it.
#[track_caller]
fn answer(room: &Room, group: ChatId, what: impl Into<Say>) -> Shown {
    let said = room.api.say(group, room.ann, what);
    let found = room.api.wait_for(group, |shown| shown.reply_to == Some(said), LIMIT);
    found.unwrap_or_else(|error| panic!("{error:#}"))
}

#[test]
fn what_is_said_to_the_bot_is_answered_and_nothing_else() {
    let Some(room) = hearing_all() else { return };
    let group = group(&room);
    let first = answer(&room, group, "/tasks");
    assert!(first.text.contains(NONE), "{first:?}");
    assert!(answer(&room, group, "/tasks@borg_bot").text.contains(NONE));
    assert!(answer(&room, group, "@borg_bot /tasks").text.contains(NONE));
    assert!(answer(&room, group, Say::text("/tasks").reply_to(first.id)).text.contains(NONE));
    let before = room.posts(group).len();
    for text in ["good morning", "/tasks@other_bot", "the bot /tasks", "tell @other_bot that"] {
        room.api.say(group, room.ann, text);
    }
    // What comes after them is answered after them.
    answer(&room, group, "/status");
    assert_eq!(room.posts(group).len(), before + 1, "{}", room.api.transcript(group));
    room.finish();
}

#[test]
fn a_topic_is_answered_in_it_and_its_task_told_there() {
    let Some(room) = hearing_all() else { return };
    let forum = room.api.forum("Shop", room.ann, &[]);
    room.api.add_bot(forum, room.ann);
    let (one, other) = (room.api.topic(forum, room.ann, "One"), room.api.topic(forum, room.ann, "Other"));
    assert_eq!(answer(&room, forum, Say::text("/tasks").in_topic(other)).topic, Some(other));
    assert_eq!(answer(&room, forum, "/tasks").topic, None);
    room.api.say(forum, room.ann, Say::text(TASK).in_topic(one));
    assert_eq!(room.sees_in(forum, "borg/1/add-a-discount at ").topic, Some(one));
    let about = |shown: &Shown| shown.text.contains("Add a discount") && shown.topic != Some(one);
    assert!(!room.posts(forum).iter().any(about), "{}", room.api.transcript(forum));
    room.finish();
}

#[test]
fn a_button_and_a_reply_in_a_topic_stay_in_it() {
    let options = Options { privacy: Privacy::Off, ..Options::default() };
    let Some(room) = Room::with(options, to_be_reviewed(0), |setup, _| setup) else { return };
    let forum = room.api.forum("Shop", room.ann, &[]);
    room.api.add_bot(forum, room.ann);
    let topic = room.api.topic(forum, room.ann, "One");
    room.api.say(forum, room.ann, Say::text(TASK).in_topic(topic));
    let review = room.sees_in(forum, "needs a look");
    room.api.press(forum, room.ann, review.id, "Approve");
    let last = room.sees_in(forum, "borg/1/add-a-discount at ");
    room.api.say(forum, room.ann, Say::text("Go on").reply_to(last.id).in_topic(topic));
    room.sees_in(forum, "#2 Go on needs a look");
    let posts = room.posts(forum);
    assert!(posts.iter().all(|shown| shown.topic == Some(topic)), "{}", room.api.transcript(forum));
    room.finish();
}

#[test]
fn an_album_is_answered_once() {
    let Some(room) = Room::start(plain()) else { return };
    let photo = || Say::photo(b"png");
    room.api.say_album(room.chat, room.ann, vec![photo(), photo(), photo()]);
    room.sees("pictures");
    let captioned = vec![photo().caption("/tasks"), photo(), photo()];
    let said = room.api.say_album(room.chat, room.ann, captioned);
    room.sees(NONE);
    room.says("/help diff");
    room.sees("/diff N");
    let posts = room.posts(room.chat);
    assert_eq!(posts.iter().filter(|shown| shown.text.contains(NONE)).count(), 1);
    let told = posts.iter().filter(|shown| shown.text.contains("pictures")).count();
    assert!(told <= 2, "once for each album: {}", room.api.transcript(room.chat));
    assert!(posts.iter().all(|shown| shown.reply_to != Some(said[1]) && shown.reply_to != Some(said[2])));
    room.finish();
}

#[test]
fn an_edit_runs_nothing() {
    let Some(room) = Room::start(plain()) else { return };
    let said = room.api.say(room.chat, room.ann, "/tasks");
    room.sees(NONE);
    room.api.edit_said(room.chat, said, TASK);
    room.api.edit_said(room.chat, said, "/pause");
    room.says("/help diff");
    room.sees("/diff N");
    assert_eq!(room.posts(room.chat).len(), 2, "{}", room.api.transcript(room.chat));
    assert!(room.host.json(&["task", "list"]).unwrap().as_array().is_none_or(Vec::is_empty));
    room.finish();
}

/// A registered group in which a task waits at the gate, and its run.
fn at_work(room: &Room) -> (ChatId, String) {
    let group = room.api.group("Shop", room.ann, &[]);
    room.api.add_bot(group, room.ann);
    room.api.say(group, room.ann, format!("/register {REPOSITORY}").as_str());
    room.sees_in(group, "is registered");
    room.begins(group);
    let run = gate::reached(&room.host, 1, 1).unwrap();
    room.sees_in(group, "until [ -e");
    (group, run)
}

#[test]
fn a_registered_group_that_moves_stays_registered_and_is_told_where_it_is() {
    let Some(room) = Room::start(gate::repo_waiting_last(0).unwrap()) else { return };
    let (group, run) = at_work(&room);
    let new = room.api.upgrade(group, room.ann);
    // Heard after the move, and so answered after it.
    let shown = answer(&room, new, "/groups").text;
    assert!(shown.contains(&format!("telegram:{}", new.0)) && shown.contains(REPOSITORY), "{shown}");
    assert!(!shown.contains(&group.0.to_string()), "{shown}");
    gate::open(&room.host, &run).unwrap();
    room.sees_in(new, "borg/1/add-a-discount at ");
    let refused: Vec<_> = room.api.calls().into_iter().filter(|call| call.status == 400).collect();
    assert!(refused.is_empty(), "what is told of it goes to the new one at once: {refused:?}");
    room.finish();
}

#[test]
fn a_chat_that_puts_the_bot_out_is_registered_no_more() {
    let Some(room) = Room::start(gate::repo_waiting_last(0).unwrap()) else { return };
    let (group, run) = at_work(&room);
    room.api.kick_bot(group, room.ann);
    room.says("/groups");
    room.sees("no chat is registered");
    gate::open(&room.host, &run).unwrap();
    assert_eq!(room.host.settled(1, LIMIT).unwrap(), "completed");
    let refused = |calls: &[_]| calls.iter().any(|call: &borg_tests::bot_api::Call| call.status == 403);
    room.api.wait_calls(LIMIT, refused).unwrap();
    room.finish();
}

#[test]
fn a_refusal_is_enough_to_know_that_the_bot_is_out() {
    let Some(room) = hearing_all() else { return };
    let group = group(&room);
    room.api.say(group, room.ann, "/register");
    room.sees_in(group, "is registered");
    let kicked = "Forbidden: bot was kicked from the supergroup chat";
    room.api.fail(Rule::on("sendMessage").next(1), Fault::Refuse { code: 403, description: kicked.into() });
    room.api.say(group, room.ann, "/ping");
    room.api.wait_calls(LIMIT, |calls| calls.iter().any(|call| call.status == 403)).unwrap();
    room.says("/groups");
    room.sees("no chat is registered");
    room.finish();
}
