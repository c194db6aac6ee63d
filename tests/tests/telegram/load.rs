//! Telegram under load: a burst from many chats at real send limits, heard and answered in order while an agent works.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use borg_tests::{
    bot_api::{BotApi, ChatId, Limits, MessageId, Options, Privacy, UserId},
    crash::{self, Sandbox, gate},
    harness::Host,
    process::Backoff,
    repo::Repo,
};
use rusqlite::{Connection, OpenFlags};
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    time::{Duration, Instant},
};

const REPOSITORY: &str = "acme/shop";
const CHECK: &str = "python3 -m unittest discover -v";
const LIMIT: Duration = Duration::from_secs(30);

const UPDATES: usize = 10_000;
/// Groups in which people talk to one another, and now and then to the bot.
const GROUPS: usize = 160;
/// Strangers who write to the bot; they get silence.
const STRANGERS: usize = 40;
/// One in so many is a command.
const EACH: usize = 20;

/// A host that knows one owner, with a repository whose agents wait at a gate.
#[track_caller]
fn installation(api: &BotApi, repo: &Repo, owner: UserId) -> Option<Host> {
    let people = format!("[people]\nowner = [\"telegram:{}\", \"console:{}\"]", owner.0, nix::unistd::getuid());
    let setup = crash::setup(Sandbox::strongest())?
        .env("TELEGRAM_BOT_TOKEN", &api.token())
        .env("TELEGRAM_API_URL", &api.url())
        .policy(&people)
        .unwrap();
    Some(crash::start(setup.repository(REPOSITORY, repo, Some(CHECK)).unwrap()).unwrap())
}

/// How long a command takes to be answered, with no other under way.
#[track_caller]
fn answered(api: &BotApi, chat: ChatId, who: UserId, command: &str) -> Duration {
    let start = Instant::now();
    let asked = api.say(chat, who, command);
    api.wait_for(chat, |shown| shown.reply_to == Some(asked), LIMIT).unwrap_or_else(|error| panic!("{error:#}"));
    start.elapsed()
}

/// A field of `/proc/PID/status` in MiB. (proc_pid_status(5))
fn memory(host: &Host, field: &str) -> u64 {
    let status = fs::read_to_string(Path::new("/proc").join(host.pid().unwrap().to_string()).join("status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches("kB").trim().parse::<u64>().unwrap() / 1024
}

/// Updates without an answer and posts without a receipt.
fn left(host: &Host) -> (u64, u64) {
    let journal =
        Connection::open_with_flags(host.data().join("journal.db"), OpenFlags::SQLITE_OPEN_READ_ONLY).unwrap();
    let count = |sql: &str| journal.query_row(sql, [], |row| row.get(0)).unwrap();
    (
        count("SELECT COUNT(*) FROM updates WHERE answered_ms IS NULL"),
        count("SELECT COUNT(*) FROM posts WHERE settled_ms IS NULL"),
    )
}

#[test]
fn a_burst_is_heard_in_order_and_answered_while_an_agent_works() {
    let options = Options { limits: Some(Limits::real()), privacy: Privacy::Off, ..Options::default() };
    let api = BotApi::with(options).unwrap();
    let ann = api.person("Ann");
    let home = api.private(ann);
    let repo = gate::repo().unwrap();
    let Some(mut host) = installation(&api, &repo, ann) else { return };
    let groups: Vec<ChatId> = (0..GROUPS)
        .map(|n| {
            let group = api.group(&format!("Group {n}"), ann, &[]);
            api.add_bot(group, ann);
            group
        })
        .collect();
    let strangers: Vec<(ChatId, UserId)> = (0..STRANGERS)
        .map(|n| {
            let person = api.person(&format!("Stranger {n}"));
            (api.private(person), person)
        })
        .collect();
    answered(&api, home, ann, "/task --pipeline=quick acme/shop Add a discount");
    let run = gate::reached(&host, 1, 1).unwrap();
    let quiet = answered(&api, home, ann, "/status");
    api.wait_confirmed(LIMIT).unwrap();
    let before = memory(&host, "VmRSS");

    // The bot hears all of it at once: nobody waits for an answer.
    let mut asked: BTreeMap<ChatId, Vec<(MessageId, String)>> = BTreeMap::new();
    for n in 0..UPDATES {
        let place = n % (GROUPS + STRANGERS);
        let round = n / (GROUPS + STRANGERS);
        match groups.get(place) {
            // In every round other groups, so that each asks several times.
            Some(group) if (place + round).is_multiple_of(EACH * GROUPS / (GROUPS + STRANGERS)) => {
                let missing = format!("{}", 100_000 + n);
                let message = api.say(*group, ann, format!("/status {missing}").as_str());
                asked.entry(*group).or_default().push((message, missing));
            }
            Some(group) => drop(api.say(*group, ann, format!("what was said in round {round}").as_str())),
            None => {
                let (chat, who) = strangers[place - GROUPS];
                api.say(chat, who, format!("/status {n}").as_str());
            }
        }
    }
    let commands: usize = asked.values().map(Vec::len).sum();
    assert_eq!(commands, UPDATES / EACH);
    let start = Instant::now();
    api.wait_confirmed(LIMIT * 2).unwrap();
    let kept = start.elapsed();
    for (chat, questions) in &asked {
        let (last, _) = questions.last().unwrap();
        api.wait_for(*chat, |shown| shown.reply_to == Some(*last), LIMIT * 4)
            .unwrap_or_else(|error| panic!("{error:#}\n{:?}", left(&host)));
    }
    let all = start.elapsed();
    let peak = memory(&host, "VmHWM");
    let busy = answered(&api, home, ann, "/status");
    let refused = api.calls().iter().filter(|call| call.status == 429).count();
    println!(
        "{UPDATES} updates kept in {kept:?}, {commands} commands answered in {all:?}; {refused} refused for haste; \
         memory {before} → {peak} MiB; `/status` alone {quiet:?}, after the burst {busy:?}"
    );

    // Each question has one answer, in the order asked; nobody else got any.
    for (chat, questions) in &asked {
        let answers: Vec<(MessageId, String)> = api
            .messages(*chat)
            .into_iter()
            .filter(|shown| shown.by_bot)
            .map(|shown| (shown.reply_to.unwrap(), shown.text))
            .collect();
        assert_eq!(answers.len(), questions.len(), "{}", api.transcript(*chat));
        for ((message, missing), (answered, text)) in questions.iter().zip(&answers) {
            assert!(message == answered && text.contains(missing.as_str()), "{}", api.transcript(*chat));
        }
    }
    for (chat, _) in &strangers {
        assert!(api.messages(*chat).iter().all(|shown| !shown.by_bot), "{}", api.transcript(*chat));
    }
    // The receipt of the last post is perhaps on its way to the journal.
    let (deadline, mut pauses) = (Instant::now() + LIMIT, Backoff::default());
    while left(&host) != (0, 0) {
        assert!(pauses.pause_until(deadline), "{:?} left", left(&host));
    }
    assert!(peak.saturating_sub(before) < 64, "{before} → {peak} MiB");
    let soon = borg_tests::busy::allowing(Duration::from_secs(2));
    assert!(quiet < soon && busy < soon, "{quiet:?}, {busy:?}");
    assert!(refused <= commands / 50, "{refused} posts refused for haste");

    gate::open(&host, &run).unwrap();
    assert_eq!(host.settled(1, LIMIT).unwrap(), "completed");
    assert!(api.problems().is_empty(), "{:?}", api.problems());
    host.stop().unwrap();
}
