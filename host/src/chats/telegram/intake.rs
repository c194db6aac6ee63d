//! Hears what people send: asks Telegram, keeps it in the journal, and only then tells Telegram that it has come.

use super::{
    courier,
    pace::pause_after,
    passed_over::PassedOver,
    standing::Standing,
    updates::{self, WANTED},
};
use crate::{
    chats::Reach,
    clock::now_ms,
    journal::JournalError,
    mail::{Change, Incoming, Mailbox},
};
use borg_core::event::{Body, HostEvent};
use std::time::Duration;
use teloxide_core::{ApiError, Bot, RequestError, payloads::GetUpdatesSetters, requests::Requester, types};
use tokio::{sync::watch, time::sleep};

/// Longest wait for something to come.
pub const POLL: Duration = Duration::from_secs(50);

/// What to do about a failure that passes.
pub const GOES_ON: &str = "nothing is lost; it goes on by itself when Telegram answers";
/// What to do about a token that is refused.
pub const TOKEN_REMEDY: &str = "get a new token from @BotFather, set TELEGRAM_BOT_TOKEN, and restart";

pub struct Intake {
    pub bot: Bot,
    pub own_name: String,
    pub mailbox: Mailbox,
    pub standing: Standing,
    pub reach: Reach,
    /// Counts the polls that Telegram has answered.
    pub polled: watch::Sender<u64>,
}

impl Intake {
    /// Asks for as long as the journal can be written.
    pub async fn run(self) -> Result<(), JournalError> {
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
                    self.polled.send_modify(|polls| *polls += 1);
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
                        remedy = refusal.unwrap_or(GOES_ON),
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
    async fn keep(&self, found: &[types::Update], next: i64, passed_over: &mut PassedOver) -> Result<(), JournalError> {
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
                        self.standing.post(Body::Host(HostEvent::UpdatePassedOver { update, what })).await?;
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
        RequestError::Api(ApiError::InvalidToken) => Some(TOKEN_REMEDY),
        RequestError::Api(ApiError::TerminatedByOtherGetUpdates) => {
            Some("another program uses this token: stop it, or give each a bot of its own")
        }
        RequestError::Api(ApiError::CantGetUpdates) => {
            Some("a webhook is set for this bot: remove it with deleteWebhook")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use borg_core::{
        intent::Intent,
        people::{PersonId, Role},
    };
    use serde_json::{Value, json};

    fn update(id: u32, kind: &str, content: &Value) -> types::Update {
        serde_json::from_str(&json!({ "update_id": id, kind: content }).to_string()).unwrap()
    }

    #[tokio::test]
    async fn what_has_become_of_chats_is_an_event_before_anything_is_confirmed() {
        let fixture = Fixture::start(&[("telegram:6", Role::Owner)], None).await;
        let desk = fixture.conversation.desk.clone();
        for chat in ["telegram:-5", "telegram:-100"] {
            let (ann, register) = (PersonId("telegram:6".into()), Intent::Register { repository: None });
            fixture.handle.intend(ann, register, Some(chat.into())).await.unwrap();
        }
        let intake = Intake {
            bot: Bot::new("7:TOKEN"),
            own_name: "bot".into(),
            mailbox: Mailbox::new("telegram", desk.mail.clone()),
            standing: Standing { desk: desk.clone() },
            reach: Reach::default(),
            polled: watch::Sender::new(0),
        };
        let ann = json!({ "id": 6, "is_bot": false, "first_name": "Ann" });
        let me = json!({ "id": 7, "is_bot": true, "first_name": "borg" });
        let member = json!({ "user": me, "status": "member" });
        let left = |chat: &Value| {
            json!({
                "chat": chat, "from": ann, "date": 1, "old_chat_member": member,
                "new_chat_member": { "user": me, "status": "left" },
            })
        };
        let group = json!({ "id": -5, "type": "group", "title": "Shop" });
        let away = json!({
            "message_id": 1, "date": 1, "chat": group, "from": ann, "migrate_to_chat_id": -1005,
        });
        let supergroup = json!({ "id": -100, "type": "supergroup", "title": "Other" });
        let mut found = vec![
            update(1, "something_new", &json!({ "text": "secret" })),
            // It is left because it goes on elsewhere.
            update(2, "my_chat_member", &left(&group)),
            update(3, "message", &away),
            update(4, "my_chat_member", &left(&supergroup)),
        ];
        found.extend((5..500).map(|id| update(id, "something_new", &json!({}))));
        intake.keep(&found, 500, &mut PassedOver::default()).await.unwrap();
        assert_eq!(desk.chats().await.unwrap().into_keys().collect::<Vec<_>>(), ["telegram:-1005"]);
        let events = desk.events(0, None, 1_000).await.unwrap();
        let passed: Vec<_> = events
            .iter()
            .filter_map(|recorded| match &recorded.event.body {
                Body::Host(HostEvent::UpdatePassedOver { update, what }) => Some((update.as_str(), what.as_str())),
                _ => None,
            })
            .collect();
        assert_eq!(passed[0], ("telegram:1", "of a kind this version does not know"));
        assert_eq!(passed.len(), 100, "a flood fills no journal");
        assert_eq!(intake.mailbox.cursor().await.unwrap(), Some(500));
        // Without an engine nothing is durable, and so nothing is confirmed.
        fixture.stop().await;
        let moved = update(600, "something_new", &json!({}));
        intake.keep(&[moved], 601, &mut PassedOver::default()).await.unwrap_err();
        assert_eq!(intake.mailbox.cursor().await.unwrap(), Some(500));
    }
}
