//! Sends what waits in the outbox: in order within a chat, at Telegram's pace, again after whatever passes. What is new goes before edits of
//! what stands there: nobody waits for an answer because progress is shown.
//!
//! Telegram has no key by which it would know a repeated message: a post whose answer is lost is sent again and may stand there twice. One
//! whose receipt is in the journal is never sent again.

use super::{
    courier::{self, Outcome},
    pace::Pace,
    standing::Standing,
};
use crate::{
    clock::now_ms,
    engine::mailbox::{Change, Mailbox, StoreError, Unsent},
};
use borg_core::chat::Post;
use std::{collections::HashSet, time::Duration};
use teloxide_core::Bot;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Posts under way at the same time, each to another chat.
const FLYING: usize = 16;
/// Longest pause after failures in a row.
const PAUSE: Duration = Duration::from_secs(60);

/// Sends for one bot.
pub struct Outbox {
    bot: Bot,
    mailbox: Mailbox,
    standing: Standing,
    pace: Pace,
    flying: JoinSet<(Unsent, Outcome)>,
    busy: HashSet<String>,
    /// Failures in a row, of whatever chat.
    failures: u32,
}

impl Outbox {
    pub fn new(bot: Bot, mailbox: Mailbox, standing: Standing) -> Self {
        Outbox {
            bot,
            mailbox,
            standing,
            pace: Pace::new(Instant::now()),
            flying: JoinSet::new(),
            busy: HashSet::new(),
            failures: 0,
        }
    }

    /// Sends for as long as the journal can be read.
    pub async fn run(mut self) -> Result<(), StoreError> {
        loop {
            let next = self.launch().await?;
            tokio::select! {
                Some(done) = self.flying.join_next(), if !self.flying.is_empty() => match done {
                    Ok((row, outcome)) => {
                        self.busy.remove(&row.chat);
                        self.settle(row, outcome).await?;
                    }
                    Err(broken) => {
                        tracing::error!(%broken, "a fault of the host itself: a post was not sent; it is tried again");
                        self.busy.clear();
                        self.flying.abort_all();
                    }
                },
                () = self.mailbox.sends.notified() => {}
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// Sends the oldest post of each chat that may have one; gives the time when another may.
    async fn launch(&mut self) -> Result<Option<Instant>, StoreError> {
        if self.flying.len() >= FLYING {
            return Ok(None);
        }
        let (now, clock) = (Instant::now(), now_ms());
        let mut next: Option<Instant> = None;
        for head in self.mailbox.heads().await? {
            if self.busy.contains(&head.chat) {
                continue;
            }
            let due = now + Duration::from_millis(head.not_before_ms.saturating_sub(clock));
            let chat = courier::place(&head.chat).map_or(0, |(chat, _)| chat.0);
            let leave = if due > now { Err(due) } else { self.pace.take(chat, now, head.edits) };
            match leave {
                Ok(()) => {
                    let Some(row) = self.mailbox.unsent(head.id).await? else { continue };
                    self.busy.insert(row.chat.clone());
                    let bot = self.bot.clone();
                    self.flying.spawn(async move {
                        let outcome = match serde_json::from_str::<Post>(&row.post) {
                            Ok(post) => courier::send(&bot, &row.chat, &post).await,
                            Err(error) => Outcome::Refused(format!("a damaged post: {error}")),
                        };
                        (row, outcome)
                    });
                    if self.flying.len() >= FLYING {
                        return Ok(None);
                    }
                }
                Err(at) => next = Some(next.map_or(at, |next| next.min(at))),
            }
        }
        Ok(next)
    }

    async fn settle(&mut self, row: Unsent, outcome: Outcome) -> Result<(), StoreError> {
        let now = Instant::now();
        match outcome {
            Outcome::Sent(receipt) => {
                self.failures = 0;
                self.mailbox.sent(&row, receipt).await
            }
            Outcome::Wait(pause) => {
                tracing::info!(chat = row.chat, ?pause, "Telegram asks to wait");
                if let Some((chat, _)) = courier::place(&row.chat) {
                    self.pace.close(chat.0, now + pause, now);
                }
                self.put_off(&row, pause).await
            }
            Outcome::Unknown(why) => {
                let pause = pause_after(self.failures);
                self.failures = self.failures.saturating_add(1);
                tracing::warn!(chat = row.chat, why, ?pause, "Telegram could not be told; trying again");
                self.pace.close_all(now + pause);
                self.put_off(&row, pause).await
            }
            Outcome::Revoked => {
                tracing::error!(
                    "Telegram refuses the bot's token; get a new one from @BotFather, set TELEGRAM_BOT_TOKEN, and restart"
                );
                self.pace.close_all(now + PAUSE);
                self.put_off(&row, PAUSE).await
            }
            Outcome::Moved(to) => {
                let to = to.to_string();
                self.standing.moved(&row.chat, &to).await?;
                self.mailbox.changed(Change::Moved { from: row.chat, to }).await
            }
            Outcome::PutOut(reason) => {
                tracing::warn!(chat = row.chat, reason, "a chat has the bot no more; what is owed there is dropped");
                let chat = row.chat.split('/').next().unwrap_or_default().to_owned();
                self.standing.put_out(&chat).await?;
                self.mailbox.changed(Change::PutOut { chat, reason }).await
            }
            Outcome::Instead(post) => self.mailbox.send_instead(&row, &post).await,
            Outcome::Refused(reason) => {
                tracing::warn!(chat = row.chat, reason, "Telegram does not take a post");
                self.mailbox.drop_post(&row, reason).await
            }
        }
    }

    async fn put_off(&self, row: &Unsent, pause: Duration) -> Result<(), StoreError> {
        let until = now_ms() + u64::try_from(pause.as_millis()).unwrap_or(u64::MAX);
        self.mailbox.put_off(row, until).await
    }
}

/// 1, 2, 4 … seconds, at most [`PAUSE`].
pub fn pause_after(failures: u32) -> Duration {
    Duration::from_secs(1 << failures.min(6)).min(PAUSE)
}
