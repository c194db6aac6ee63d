//! Tasks from a chat: the first one, progress, the end, and calling it off.

use crate::room::{LIMIT, Room, TASK, plain};
use borg_tests::{
    bot_api::{BotApi, Shown, UserId},
    busy,
    crash::{self, Sandbox, gate, traces, warm},
    harness::Host,
};
use std::time::{Duration, Instant};

/// How long a wish to stop may take to be answered, and its container to live on.
const SOON: Duration = Duration::from_secs(2);

/// The code on the host's terminal.
fn code(host: &Host) -> String {
    let log = host.log();
    let (_, rest) = log.split_once("/start ").unwrap_or_else(|| panic!("no code in:\n{log}"));
    rest.split('`').next().unwrap().to_owned()
}

/// Makes a person the owner, as the terminal says.
fn pair(api: &BotApi, host: &Host, person: UserId) {
    let chat = api.private(person);
    api.say(chat, person, format!("/start {}", code(host)).as_str());
    api.wait_text(chat, "owner", LIMIT).unwrap_or_else(|error| panic!("{error:#}\n{}", api.transcript(chat)));
}

#[test]
fn from_a_token_to_the_first_finished_task() {
    let api = BotApi::start().unwrap();
    let repo = plain();
    let Some(setup) = crash::setup(Sandbox::strongest()) else { return };
    let setup = setup.env("TELEGRAM_BOT_TOKEN", &api.token()).env("TELEGRAM_API_URL", &api.url());
    let check = Some("python3 -m unittest discover -v");
    let mut host = setup.repository("acme/shop", &repo, check).unwrap().write().unwrap();
    warm::before(&host).unwrap();
    host.start().unwrap();
    let ann = api.person("Ann");
    let chat = api.private(ann);
    pair(&api, &host, ann);
    api.say(chat, ann, TASK);
    api.wait_for(chat, |shown| shown.text.contains("#1 ") && shown.text.contains("borg/1/add-a-discount"), LIMIT)
        .unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", api.transcript(chat), host.log()));
    assert_eq!(host.settled(1, LIMIT).unwrap(), "completed");
    assert!(api.problems().is_empty(), "{:?}", api.problems());
    host.stop().unwrap();
}

#[test]
fn progress_is_one_silent_message_and_the_end_a_new_one() {
    let Some(room) = Room::start(gate::repo().unwrap()) else { return };
    room.begins(room.chat);
    let run = gate::reached(&room.host, 1, 1).unwrap();
    room.sees("until [ -e");
    gate::open(&room.host, &run).unwrap();
    let last = room.ends();
    let posts = room.posts(room.chat);
    let progress: Vec<&Shown> = posts.iter().filter(|shown| shown.text.starts_with('…')).collect();
    let [one] = progress.as_slice() else { panic!("{}", room.api.transcript(room.chat)) };
    assert!(one.silent && !one.edits.is_empty(), "{one:?}");
    assert!(!last.silent && last.edits.is_empty() && last.id > one.id, "{last:?}");
    let wanted =
        ["#1 Add a discount: completed", "branch: borg/1/add-a-discount", "tests after", "findings:", "spent:"];
    assert!(wanted.iter().all(|part| last.text.contains(part)), "{}", last.text);
    assert!(room.api.actions(room.chat).iter().all(|action| action.action == "typing"));
    // What was asked for is confirmed, as an answer to it.
    assert!(posts.iter().any(|shown| shown.text.contains("pipeline quick") && shown.reply_to.is_some()));
    room.finish();
}

#[test]
fn a_running_agent_is_called_off_at_once() {
    let Some(room) = Room::start(gate::repo_waiting_last(0).unwrap()) else { return };
    room.begins(room.chat);
    gate::reached(&room.host, 1, 1).unwrap();
    let begun = Instant::now();
    room.says("/cancel 1");
    let is_answer = |shown: &Shown| shown.reply_to.is_some() && shown.text.contains("cancel");
    let soon = busy::allowing(SOON);
    room.api.wait_for(room.chat, is_answer, soon).unwrap();
    traces::until(soon.saturating_sub(begun.elapsed()), "no container runs any more", || {
        Ok(traces::containers(&room.host)?.iter().all(|found| found.state != "running"))
    })
    .unwrap();
    assert_eq!(room.host.settled(1, LIMIT).unwrap(), "cancelled");
    room.sees("#1 Add a discount: cancelled");
    assert!(room.repo.branches().unwrap().is_empty());
    room.finish();
}

#[test]
fn a_command_is_answered_at_once_in_a_group_that_sees_progress() {
    let Some(room) = Room::start(gate::repo_waiting_last(0).unwrap()) else {
        return;
    };
    let group = room.api.group("Shop", room.ann, &[]);
    room.api.add_bot(group, room.ann);
    room.begins(group);
    gate::reached(&room.host, 1, 1).unwrap();
    room.api.say(group, room.ann, "/cancel 1");
    let is_answer = |shown: &Shown| shown.reply_to.is_some() && shown.text.contains("cancel");
    room.api.wait_for(group, is_answer, busy::allowing(SOON)).unwrap();
    room.sees_in(group, "#1 Add a discount: cancelled");
    room.finish();
}
