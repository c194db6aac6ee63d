//! Sends what waits in the outbox: in order within a chat, at Telegram's pace, again after whatever passes. What is new goes before edits of
//! what stands there: nobody waits for an answer because progress is shown.
//!
//! Telegram has no key by which it would know a repeated message: a post whose answer is lost is sent again and may stand there twice. One
//! whose receipt is in the journal is never sent again.

use super::{
    courier::{self, Outcome},
    intake::TOKEN_REMEDY,
    pace::{Pace, pause_after},
    standing::Standing,
};
use crate::{
    clock::now_ms,
    journal::JournalError,
    mail::{Change, Mailbox, Unsent},
};
use borg_core::chat::Post;
use std::{collections::HashSet, time::Duration};
use teloxide_core::Bot;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};

/// Posts under way at the same time, each to another chat.
const FLYING: usize = 16;
/// Times a post is tried that Telegram does not answer in its own words, while it answers others so.
const ATTEMPTS: u32 = 5;

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
    /// Counts the polls that Telegram has answered.
    polled: watch::Receiver<u64>,
    /// Telegram refuses the token; the next poll that is answered tells that it is taken again.
    is_refused: bool,
    /// Telegram has answered something since the last answer that was none.
    is_answering: bool,
}

impl Outbox {
    pub fn new(bot: Bot, mailbox: Mailbox, standing: Standing, polled: watch::Receiver<u64>) -> Self {
        Outbox {
            bot,
            mailbox,
            standing,
            pace: Pace::new(Instant::now()),
            flying: JoinSet::new(),
            busy: HashSet::new(),
            failures: 0,
            polled,
            is_refused: false,
            is_answering: false,
        }
    }

    /// Sends for as long as the journal can be read.
    pub async fn run(mut self) -> Result<(), JournalError> {
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
                Ok(()) = self.polled.changed() => {
                    self.is_answering = true;
                    if std::mem::take(&mut self.is_refused) {
                        self.pace.open_all(Instant::now());
                    }
                }
                () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            }
        }
    }

    /// Sends the oldest post of each chat that may have one; gives the time when another may.
    async fn launch(&mut self) -> Result<Option<Instant>, JournalError> {
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

    async fn settle(&mut self, row: Unsent, outcome: Outcome) -> Result<(), JournalError> {
        let now = Instant::now();
        match outcome {
            Outcome::Sent(receipt) => {
                (self.failures, self.is_refused, self.is_answering) = (0, false, true);
                self.mailbox.sent(&row, receipt).await
            }
            Outcome::Wait(pause) => {
                tracing::info!(chat = row.chat, ?pause, "Telegram asks to wait");
                if let Some((chat, _)) = courier::place(&row.chat) {
                    self.pace.close(chat.0, now + pause, now);
                }
                self.put_off(&row, pause).await
            }
            Outcome::Garbled(why) if std::mem::take(&mut self.is_answering) => {
                let attempts = row.attempts + 1;
                if attempts >= ATTEMPTS {
                    tracing::warn!(
                        chat = row.chat,
                        why,
                        attempts,
                        "a post is given up: nobody knows whether it stands there"
                    );
                    return self.mailbox.drop_post(&row, why).await;
                }
                let pause = pause_after(row.attempts);
                tracing::warn!(chat = row.chat, why, ?pause, "nobody knows what became of a post; trying again");
                self.mailbox.tried(&row, later(pause)).await
            }
            Outcome::Unknown(why) | Outcome::Garbled(why) => {
                let pause = self.pause();
                tracing::warn!(chat = row.chat, why, ?pause, "Telegram could not be told; trying again");
                self.pace.close_all(now + pause);
                self.put_off(&row, pause).await
            }
            Outcome::Revoked => {
                let pause = self.pause();
                self.is_refused = true;
                tracing::error!(?pause, remedy = TOKEN_REMEDY, "Telegram refuses the bot's token");
                // Put off with all the others, and not for itself: it goes on as soon as the token is taken again.
                self.pace.close_all(now + pause);
                Ok(())
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

    async fn put_off(&self, row: &Unsent, pause: Duration) -> Result<(), JournalError> {
        self.mailbox.put_off(row, later(pause)).await
    }

    /// What to wait after one more failure.
    fn pause(&mut self) -> Duration {
        let pause = pause_after(self.failures);
        self.failures = self.failures.saturating_add(1);
        pause
    }
}

/// A pause from now, in milliseconds since 1970.
fn later(pause: Duration) -> u64 {
    now_ms().saturating_add(u64::try_from(pause.as_millis()).unwrap_or(u64::MAX))
}
