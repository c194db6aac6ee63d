//! The whole bot: host, teloxide and component against the stand-in for the Bot API, as people see it.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use borg_tests::{
    bot_api::{BotApi, UserId},
    crash::{self, Sandbox, warm},
    harness::Host,
    repo::Repo,
};
use std::time::Duration;

const REPOSITORY: &str = "acme/shop";
const CHECK: &str = "python3 -m unittest discover -v";
const LIMIT: Duration = Duration::from_secs(30);

/// A host with a bot, not started, and the shop to work on; none when the program is not built.
#[track_caller]
fn installation(api: &BotApi, repo: &Repo) -> Option<Host> {
    let setup =
        crash::setup(Sandbox::strongest())?.env("TELEGRAM_BOT_TOKEN", &api.token()).env("TELEGRAM_API_URL", &api.url());
    let host = setup.repository(REPOSITORY, repo, Some(CHECK)).unwrap().write().unwrap();
    warm::before(&host).unwrap();
    Some(host)
}

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
    let repo = crash::repo("quick", str::to_owned).unwrap();
    let Some(mut host) = installation(&api, &repo) else { return };
    host.start().unwrap();
    let ann = api.person("Ann");
    let chat = api.private(ann);
    pair(&api, &host, ann);
    api.say(chat, ann, "/task --pipeline=quick acme/shop Add a discount");
    api.wait_for(chat, |shown| shown.text.contains("#1 ") && shown.text.contains("borg/1/add-a-discount"), LIMIT)
        .unwrap_or_else(|error| panic!("{error:#}\n{}\n{}", api.transcript(chat), host.log()));
    assert_eq!(host.settled(1, LIMIT).unwrap(), "completed");
    println!("{}", api.transcript(chat));
    assert!(api.problems().is_empty(), "{:?}", api.problems());
    host.stop().unwrap();
}
