//! Hears what people send: asks Telegram, keeps it in the journal, and only then tells Telegram that it has come.

use super::{
    POLL, courier,
    outbox::pause_after,
    passed_over::PassedOver,
    standing::Standing,
    updates::{self, WANTED},
};
use crate::{
    chats::Reach,
    clock::now_ms,
    engine::mailbox::{Change, Incoming, Mailbox, StoreError},
};
use borg_core::event::Body;
use teloxide_core::{ApiError, Bot, RequestError, payloads::GetUpdatesSetters, requests::Requester, types};
use tokio::time::sleep;

pub struct Intake {
    pub bot: Bot,
    pub own_name: String,
    pub mailbox: Mailbox,
    pub standing: Standing,
    pub reach: Reach,
}

impl Intake {
    /// Asks for as long as the journal can be written.
    pub async fn run(self) -> Result<(), StoreError> {
        let mut passed_over = PassedOver::default();
        let mut offset = self.mailbox.cursor().await?.unwrap_or(0);
        let mut failures = 0;
        loop {
            let asked =
                self.bot.get_updates().offset(i32::try_from(offset).unwrap_or(0)).timeout(POLL.as_secs() as u32);
            match asked.limit(100).allowed_updates(WANTED).await {
                Ok(found) => {
                    failures = 0;
                    self.reach.served();
                    if let Some(next) = found.iter().map(|update| i64::from(update.id.0) + 1).max() {
                        self.keep(&found, next, &mut passed_over).await?;
                        offset = next;
                    }
                }
                Err(error) => {
                    let pause = match &error {
                        RequestError::RetryAfter(seconds) => seconds.duration(),
                        _ => pause_after(failures),
                    };
                    failures = failures.saturating_add(1);
                    let refusal = refusal(&error);
                    if let Some(remedy) = refusal {
                        self.reach.refused(remedy);
                    }
                    tracing::warn!(
                        why = courier::words(&self.bot, &error),
                        remedy = refusal.unwrap_or("nothing is lost; it goes on by itself when Telegram answers"),
                        ?pause,
                        "Telegram cannot be asked"
                    );
                    sleep(pause).await;
                }
            }
        }
    }

    /// Makes a batch durable together with where to go on; nothing is confirmed before. What has become of chats is told first: whoever is
    /// killed in between hears it again.
    async fn keep(&self, found: &[types::Update], next: i64, passed_over: &mut PassedOver) -> Result<(), StoreError> {
        let mut incoming = Vec::new();
        // A group that moves has the bot no more, either; where it went counts.
        let mut changes = Vec::new();
        for (from, to) in found.iter().filter_map(updates::migration) {
            let (from, to) = (from.to_string(), to.to_string());
            self.standing.moved(&from, &to).await?;
            changes.push(Change::Moved { from, to });
        }
        for update in found {
            if let Some((chat, how)) = updates::put_out(update) {
                let chat = chat.to_string();
                self.standing.put_out(&chat).await?;
                changes.push(Change::PutOut { chat, reason: how.to_owned() });
            }
            match updates::read(update, &self.own_name) {
                Some(read) => incoming.push(Incoming {
                    key: read.id.clone(),
                    chat: read.chat.clone(),
                    update: serde_json::to_string(&read).expect("an update is text"),
                }),
                None => {
                    let kind = updates::kind(update);
                    tracing::info!(update = update.id.0, kind, "an update is passed over");
                    if let Some(what) = passed_over.note(&kind, now_ms()) {
                        let update = format!("{}:{}", self.mailbox.transport, update.id.0);
                        self.standing.post(Body::UpdatePassedOver { update, what }).await?;
                    }
                }
            }
        }
        self.mailbox.take_in(next, changes, incoming).await
    }
}

/// What a person must do before Telegram serves the bot; none where it goes on by itself.
pub fn refusal(error: &RequestError) -> Option<&'static str> {
    match error {
        RequestError::Api(ApiError::InvalidToken) => {
            Some("get a new token from @BotFather, set TELEGRAM_BOT_TOKEN, and restart")
        }
        RequestError::Api(ApiError::TerminatedByOtherGetUpdates) => {
            Some("another program uses this token: stop it, or give each a bot of its own")
        }
        RequestError::Api(ApiError::CantGetUpdates) => {
            Some("a webhook is set for this bot: remove it with deleteWebhook")
        }
        _ => None,
    }
}
