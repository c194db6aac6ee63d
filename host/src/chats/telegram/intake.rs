//! Hears what people send: asks Telegram, keeps it in the journal, and only then tells Telegram that it has come.

use super::{
    POLL, courier,
    outbox::pause_after,
    updates::{self, WANTED},
};
use crate::engine::mailbox::{Incoming, Mailbox, StoreError};
use teloxide_core::{ApiError, Bot, RequestError, payloads::GetUpdatesSetters, requests::Requester, types};
use tokio::time::sleep;

pub struct Intake {
    pub bot: Bot,
    pub own_name: String,
    pub mailbox: Mailbox,
}

impl Intake {
    /// Asks for as long as the journal can be written.
    pub async fn run(self) -> Result<(), StoreError> {
        let mut offset = self.mailbox.cursor().await?.unwrap_or(0);
        let mut failures = 0;
        loop {
            let asked =
                self.bot.get_updates().offset(i32::try_from(offset).unwrap_or(0)).timeout(POLL.as_secs() as u32);
            match asked.limit(100).allowed_updates(WANTED).await {
                Ok(found) => {
                    failures = 0;
                    if let Some(next) = found.iter().map(|update| i64::from(update.id.0) + 1).max() {
                        self.keep(&found, next).await?;
                        offset = next;
                    }
                }
                Err(error) => {
                    let pause = match &error {
                        RequestError::RetryAfter(seconds) => seconds.duration(),
                        _ => pause_after(failures),
                    };
                    failures = failures.saturating_add(1);
                    tracing::warn!(
                        why = courier::words(&self.bot, &error),
                        remedy = remedy(&error),
                        ?pause,
                        "Telegram cannot be asked"
                    );
                    sleep(pause).await;
                }
            }
        }
    }

    /// Makes a batch durable together with where to go on; nothing is confirmed before.
    async fn keep(&self, found: &[types::Update], next: i64) -> Result<(), StoreError> {
        let mut incoming = Vec::new();
        let mut moved = Vec::new();
        for update in found {
            moved.extend(updates::migration(update).map(|(from, to)| (from.to_string(), to.to_string())));
            match updates::read(update, &self.own_name) {
                Some(read) => incoming.push(Incoming {
                    key: read.id.clone(),
                    chat: read.chat.clone(),
                    update: serde_json::to_string(&read).expect("an update is text"),
                }),
                None => tracing::info!(update = update.id.0, "an update of a kind nobody asked for is passed over"),
            }
        }
        self.mailbox.take_in(next, moved, incoming).await
    }
}

fn remedy(error: &RequestError) -> &'static str {
    match error {
        RequestError::Api(ApiError::InvalidToken) => {
            "get a new token from @BotFather, set TELEGRAM_BOT_TOKEN, and restart"
        }
        RequestError::Api(ApiError::TerminatedByOtherGetUpdates) => {
            "another program uses this token: stop it, or give each a bot of its own"
        }
        RequestError::Api(ApiError::CantGetUpdates) => "a webhook is set for this bot: remove it with deleteWebhook",
        _ => "nothing is lost; it goes on by itself when Telegram answers",
    }
}
