//! What a command on Telegram costs over a bot that only echoes, both by the same library against the same stand-in: how soon it is
//! answered, how many updates pass in a second, and what a thousand chats change.

use anyhow::{Context, Result};
use borg_tests::{
    bot_api::{BotApi, ChatId, MessageId, Options, Privacy, UserId},
    harness::{Host, Setup},
    measure::{PATIENCE, Row, compare, median, seconds},
};
use std::{
    cell::RefCell,
    time::{Duration, Instant},
};
use teloxide_core::{
    Bot,
    payloads::{GetUpdatesSetters, SendMessageSetters},
    requests::Requester,
    types::{ReplyParameters, Update, UpdateKind},
};
use tokio::{task::JoinHandle, time::sleep};

/// Commands measured in each way.
const COMMANDS: usize = 200;
/// Chats that are spoken in, besides those that are many.
const GROUPS: usize = 60;
const MANY: usize = 1_000;
/// Pause between commands: a bot may post thirty times a second in all, and what is waited for that is not measured.
const PAUSE: Duration = Duration::from_millis(45);
/// Updates of a burst, all but the last without an answer.
const BURST: usize = 4_000;
const BURSTS: usize = 3;
/// A question about nothing, which costs no work.
const COMMAND: &str = "/status 100001";

/// A stand-in, a person, and groups both the bot and the person are in.
struct Room {
    api: BotApi,
    ann: UserId,
    groups: Vec<ChatId>,
}

impl Room {
    fn new() -> Result<Self> {
        let api = BotApi::with(Options { privacy: Privacy::Off, ..Options::default() })?;
        let ann = api.person("Ann");
        let mut room = Room { api, ann, groups: Vec::new() };
        room.more(GROUPS);
        Ok(room)
    }

    fn more(&mut self, groups: usize) {
        for n in 0..groups {
            let group = self.api.group(&format!("Group {n}"), self.ann, &[]);
            self.api.add_bot(group, self.ann);
            self.groups.push(group);
        }
    }

    /// Seconds until the n-th command is answered, in another group than the one before.
    fn ask(&self, n: usize) -> Result<f64> {
        let group = self.groups[n % GROUPS];
        let start = Instant::now();
        let asked = self.api.say(group, self.ann, COMMAND);
        self.api.wait_for(group, |shown| shown.reply_to == Some(asked), PATIENCE)?;
        Ok(start.elapsed().as_secs_f64())
    }

    /// Fills the queue while nobody asks for it; the last one is a command.
    fn fill(&self) -> MessageId {
        for n in 1..BURST {
            self.api.say(self.groups[n % GROUPS], self.ann, "words between people");
        }
        self.api.say(self.groups[0], self.ann, COMMAND)
    }

    /// Updates per second, from the first question for them to the answer of the last.
    fn speed(&self, calls_before: usize, last: MessageId) -> Result<f64> {
        let answer = self.api.wait_for(self.groups[0], |shown| shown.reply_to == Some(last), PATIENCE)?;
        let calls = self.api.calls();
        let begin = calls.iter().skip(calls_before).find(|call| call.is("getUpdates")).context("nobody asks")?.at;
        Ok(BURST as f64 / (answer.at - begin).as_secs_f64())
    }
}

/// A bot that answers what begins like a command with its own words.
struct Echo(JoinHandle<Result<()>>);

impl Echo {
    fn start(api: &BotApi) -> Result<Self> {
        let bot = Bot::new(api.token()).set_api_url(api.url().parse()?);
        Ok(Echo(tokio::spawn(async move {
            let mut offset = 0;
            loop {
                let asked = bot.get_updates().offset(offset).timeout(50).limit(100);
                let found: Vec<Update> = asked.await?;
                for update in found {
                    offset = i32::try_from(update.id.0)? + 1;
                    if let UpdateKind::Message(message) = &update.kind
                        && let Some(text) = message.text().filter(|text| text.starts_with('/'))
                    {
                        let echo = bot.send_message(message.chat.id, text);
                        echo.reply_parameters(ReplyParameters::new(message.id)).await?;
                    }
                }
            }
        })))
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.0.abort();
    }
}

fn installation(room: &Room) -> Result<Host> {
    let people = format!("[people]\nowner = [\"telegram:{}\"]", room.ann.0);
    let setup =
        Setup::new().context("run `cargo xtask build`")?.policy(&people)?.policy("[host]\nsandbox = \"local\"")?;
    setup.env("TELEGRAM_BOT_TOKEN", &room.api.token()).env("TELEGRAM_API_URL", &room.api.url()).start()
}

pub async fn measure() -> Result<()> {
    let (mut ours, bare) = (Room::new()?, Room::new()?);
    let mut host = installation(&ours)?;
    let echo = Echo::start(&bare.api)?;
    let all = RefCell::new((Vec::new(), Vec::new()));
    let asked = compare(
        COMMANDS,
        async || {
            sleep(PAUSE).await;
            let mut all = all.borrow_mut();
            let took = ours.ask(all.0.len())?;
            all.0.push(took);
            Ok(took)
        },
        async || {
            sleep(PAUSE).await;
            let mut all = all.borrow_mut();
            let took = tokio::task::block_in_place(|| bare.ask(all.1.len()))?;
            all.1.push(took);
            Ok(took)
        },
    )
    .await?;
    println!("{}", Row::times("a command on Telegram, update to reply, over an echo by the same library", asked));
    let (of_ours, of_bare) = all.into_inner();
    let slow = [p99(of_ours), p99(of_bare)];
    let figure = format!("{} ({} bare)", seconds(slow[0]), seconds(slow[1]));
    println!("{}", Row::alone("the same, the slowest in a hundred", figure));

    let few = memory(&host)?;
    ours.more(MANY - GROUPS);
    for group in &ours.groups {
        ours.api.say(*group, ours.ann, "/register");
    }
    for group in &ours.groups {
        ours.api.wait_text(*group, "is registered", PATIENCE)?;
    }
    let mut later = Vec::new();
    for n in 0..COMMANDS {
        sleep(PAUSE).await;
        later.push(ours.ask(n)?);
    }
    let many = memory(&host)?;
    println!("{}", Row::alone("the same with 1,000 registered chats", seconds(median(later.clone()))));
    println!("{}", Row::alone("the slowest in a hundred of these", seconds(p99(later))));
    println!("{}", Row::alone("memory of its own that 1,000 registered chats add", format!("{:+.1} MiB", many - few)));

    host.stop()?;
    drop(echo);
    let speed = compare(
        BURSTS,
        async || {
            let (calls, last) = (ours.api.calls().len(), ours.fill());
            host.start()?;
            let speed = ours.speed(calls, last)?;
            host.stop()?;
            Ok(speed)
        },
        async || {
            let (calls, last) = (bare.api.calls().len(), bare.fill());
            let echo = Echo::start(&bare.api)?;
            let speed = tokio::task::block_in_place(|| bare.speed(calls, last))?;
            drop(echo);
            Ok(speed)
        },
    )
    .await?;
    println!("{}", Row::speeds("updates from Telegram per second, in a burst, over the same echo", speed));
    Ok(())
}

/// The slowest in a hundred.
fn p99(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() * 99 / 100]
}

fn memory(host: &Host) -> Result<f64> {
    crate::whole::memory(host.pid().context("the host runs")?).map(|memory| memory.own)
}
