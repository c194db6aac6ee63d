//! Telegram by long polling: what people send is kept before it is confirmed, what they are told waits in the outbox until it has a receipt.
//!
//! | module | does |
//! |---|---|
//! | `intake`, `updates` | asks for updates, keeps them in the journal, in the words every frontend shares |
//! | `answers`, `albums` | answers them, in order within a chat, an album as one message |
//! | `outbox`, `courier`, `pace` | sends posts, one a time within a chat, at the speed Telegram allows |
//! | `standing`, `passed_over` | makes events of groups that move, chats that put the bot out, updates nobody understands |
//! | `pairing` | makes whoever has the code from the terminal the first owner |
//! | `strangers` | passes the requests of unknown people on, where policy says so |
//!
//! What is understood and shown is the component's (`plugins/chats/telegram`). The token is in every address of the Bot API: no error is
//! printed but by `courier::words`.

mod albums;
mod answers;
mod courier;
mod intake;
mod outbox;
mod pace;
mod pairing;
mod passed_over;
mod standing;
mod strangers;
mod updates;

use super::{Conversation, Live, Reach, here};
use crate::{clock::now_ms, journal::JournalError, mail::Mailbox};
use answers::{Answers, Shared};
use anyhow::{Context, Result};
use borg_core::{intent::COMMANDS, people::Role, policy::Policy};
use intake::Intake;
use outbox::Outbox;
use pace::pause_after;
use pairing::Pairing;
pub use pairing::forget as forget_pairing;
pub use standing::NAME;
use standing::Standing;
use std::{path::Path, sync::Arc, time::Duration};
use teloxide_core::{
    ApiError, Bot, RequestError, net::default_reqwest_settings, requests::Requester, types::BotCommand,
};
use tokio::{sync::watch, time::sleep};

/// What an answer may take on top of that.
const MARGIN: Duration = Duration::from_secs(20);
/// At most one edit of progress in this time.
const PROGRESS: Duration = Duration::from_secs(3);

/// What Telegram knows of a bot.
pub struct Introduction {
    /// Its user name, without `@`.
    pub name: String,
    /// True when it hears everything that is said in its groups, not only what is said to it.
    pub hears_all: bool,
}

/// Asks Telegram who a token belongs to, for `doctor`.
///
/// # Errors
/// In words, without the token.
pub async fn ask(token: &str, api: Option<&str>) -> Result<Introduction, String> {
    let mut bot = Bot::new(token);
    if let Some(api) = api {
        bot = bot.set_api_url(api.parse().map_err(|_| format!("TELEGRAM_API_URL is `{api}`, which is no address"))?);
    }
    let me = bot.get_me().await.map_err(|error| courier::words(&bot, &error))?;
    Ok(Introduction { name: me.username().to_owned(), hears_all: me.can_read_all_group_messages })
}

/// A bot that is ready to run.
pub struct Telegram {
    bot: Bot,
    /// The same for questions that are answered late.
    polling: Bot,
    mailbox: Mailbox,
    conversation: Conversation,
    pairing: Arc<Pairing>,
    /// How the bot stands with Telegram.
    pub reach: Reach,
}

impl Telegram {
    /// `api` is the address of the Bot API; another than Telegram's own may be one's own server. `policies` and `data` are folders.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(
        token: &str,
        api: Option<&str>,
        mailbox: Mailbox,
        conversation: Conversation,
        policies: &Path,
        data: &Path,
    ) -> Result<Telegram> {
        let patient =
            default_reqwest_settings().timeout(intake::POLL + MARGIN).build().context("preparing for Telegram")?;
        let (mut bot, mut polling) = (Bot::new(token), Bot::with_client(token, patient));
        if let Some(api) = api {
            let url = || api.parse().with_context(|| format!("TELEGRAM_API_URL is `{api}`, which is no address"));
            (bot, polling) = (bot.set_api_url(url()?), polling.set_api_url(url()?));
        }
        let pairing = Arc::new(Pairing::new(policies.to_owned(), data, here()));
        Ok(Telegram { bot, polling, mailbox, conversation, pairing, reach: Reach::default() })
    }

    /// The code that makes its sender an owner, where nobody on Telegram is one yet.
    pub fn begin_pairing(&self, policy: &Policy) -> Result<Option<String>> {
        let is_ours = |(person, role): (&borg_core::people::PersonId, &Role)| {
            *role == Role::Owner && person.0.strip_prefix(NAME).is_some_and(|rest| rest.starts_with(':'))
        };
        if policy.people.iter().any(is_ours) {
            self.pairing.close();
            return Ok(None);
        }
        self.pairing.begin().map(Some)
    }

    /// Serves until the journal fails.
    pub async fn run(self) -> Result<(), JournalError> {
        let own_name = self.introduce().await;
        tracing::info!(bot = own_name, "Telegram is listened to");
        let standing = Standing { desk: self.conversation.desk.clone() };
        let (polled, polls) = watch::channel(0);
        let outbox = Outbox::new(self.bot.clone(), self.mailbox.clone(), standing.clone(), polls);
        let (mailbox, reach) = (self.mailbox.clone(), self.reach);
        let intake = Intake { bot: self.polling, own_name, mailbox, standing, reach, polled };
        let live = live(self.conversation.clone(), self.mailbox.clone());
        let shared =
            Shared { bot: self.bot, mailbox: self.mailbox, conversation: self.conversation, pairing: self.pairing };
        let answers = Answers { shared: Arc::new(shared) };
        tokio::select! {
            ended = intake.run() => ended,
            ended = answers.run() => ended,
            ended = outbox.run() => ended,
            ended = live => ended,
        }
    }

    /// Learns the bot's own name and sets its menu; tried until Telegram answers.
    async fn introduce(&self) -> String {
        let mut failures = 0;
        loop {
            match self.bot.get_me().await {
                Ok(me) => {
                    let menu = COMMANDS.iter().map(|command| BotCommand::new(command.name, command.summary));
                    if let Err(error) = self.bot.set_my_commands(menu).await {
                        tracing::warn!(why = courier::words(&self.bot, &error), "the menu of commands is not set");
                    }
                    return me.username().to_owned();
                }
                Err(error) => {
                    let pause = pause_after(failures);
                    failures = failures.saturating_add(1);
                    let refusal = intake::refusal(&error);
                    if let Some(remedy) = refusal {
                        self.reach.refused(remedy);
                    }
                    if matches!(error, RequestError::Api(ApiError::InvalidToken)) {
                        tracing::error!(remedy = intake::TOKEN_REMEDY, ?pause, "Telegram refuses the bot's token");
                    } else {
                        let why = courier::words(&self.bot, &error);
                        let remedy = refusal.unwrap_or(intake::GOES_ON);
                        tracing::warn!(why, remedy, ?pause, "Telegram does not answer");
                    }
                    sleep(pause).await;
                }
            }
        }
    }
}

/// Keeps one post per task up to date with what its agent does.
async fn live(conversation: Conversation, mailbox: Mailbox) -> Result<(), JournalError> {
    let mut live = Live::of_transport(conversation.desk.clone(), NAME, PROGRESS);
    // Of this process only: what was not sent when it ends is not news any more. Ids of processes come again, times do not.
    let process = format!("live-{}-{}", now_ms(), std::process::id());
    let mut told: u64 = 0;
    loop {
        let mut notice = live.next().await;
        notice.silent = true;
        notice.replaces = mailbox.replaced_by(&notice).await?;
        match conversation.chats.show(&notice, 0).await {
            Ok(posts) => {
                told += 1;
                mailbox.post(&format!("{process}-{told}"), &notice, posts).await?;
            }
            Err(error) => tracing::warn!(%error, "progress is not shown"),
        }
    }
}
