//! Where the bot stands in its chats: groups that go on under another id, chats that have put it out. Both are events, for registrations and
//! tasks name chats; what is owed there is the mailbox's.
//!
//! Telegram may tell either of them again, and a crash makes us hear it again: whatever is as it should be already is left alone.

use crate::{clock::now_ms, engine::Desk, journal::JournalError};
use borg_core::{
    event::{Body, ChatEvent, Event},
    owner::Owner,
};

/// Name of the transport, of its component, and before every chat and person of it.
pub const NAME: &str = "telegram";

/// Tells the engine what has become of chats. Cheap to clone.
#[derive(Clone)]
pub struct Standing {
    pub desk: Desk,
}

impl Standing {
    /// A group goes on under another id; what is registered there and what its tasks tell goes along. Durable when this returns.
    ///
    /// # Errors
    /// [`JournalError::Stopped`] when the host is stopping: it is to be told again.
    pub async fn moved(&self, from: &str, to: &str) -> Result<(), JournalError> {
        let (from, to) = (named(from), named(to));
        let is_named = match self.is_named(&from).await {
            Ok(is_named) => is_named,
            Err(error) => {
                tracing::warn!(%error, from, "nobody can say whether this chat is one of ours; it is moved as if");
                true
            }
        };
        if is_named {
            tracing::info!(from, to, "a group goes on as a supergroup");
            self.post(Body::Chat(ChatEvent::ChatMoved { from, to })).await?;
        }
        Ok(())
    }

    /// A chat has the bot no more: neither it nor its topics are registered from now on. Durable when this returns.
    ///
    /// # Errors
    /// As [`Standing::moved`], and when the journal cannot be read.
    pub async fn put_out(&self, chat: &str) -> Result<(), JournalError> {
        let chat = named(chat);
        let chats = match self.desk.chats().await {
            Err(error) if error.is_passing() => {
                tracing::warn!(%error, chat, "a chat has put the bot out, and stays registered: the journal cannot be read");
                return Ok(());
            }
            known => known?,
        };
        for registered in chats.into_keys().filter(|registered| is_in(registered, &chat)) {
            tracing::info!(chat = registered, "a registered chat has put the bot out");
            self.post(Body::Chat(ChatEvent::ChatForgotten { chat: registered, by: None })).await?;
        }
        Ok(())
    }

    /// Hands an event in; returns when it is durable.
    pub async fn post(&self, body: Body) -> Result<(), JournalError> {
        let event = Event { at_ms: now_ms(), owner: Owner::Host, settles: None, body };
        self.desk.handle.post(event).await.map_err(|_| JournalError::Stopped)
    }

    /// True where something of ours names a chat.
    async fn is_named(&self, chat: &str) -> Result<bool, JournalError> {
        if self.desk.chats().await?.keys().any(|registered| is_in(registered, chat)) {
            return Ok(true);
        }
        let tasks = self.desk.live_tasks().await?;
        Ok(tasks.iter().filter_map(|task| task.spec.chat.as_deref()).any(|told| is_in(told, chat)))
    }
}

/// A chat as the whole host names it.
fn named(chat: &str) -> String {
    format!("{NAME}:{chat}")
}

/// True for a chat and for the topics in it.
fn is_in(name: &str, chat: &str) -> bool {
    name.strip_prefix(chat).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{engine::Reply, fixture::Fixture};
    use borg_core::{
        intent::{Intent, TaskRequest},
        people::{PersonId, Role},
    };

    const ANN: &str = "telegram:1";

    async fn says(fixture: &Fixture, intent: Intent, chat: &str) {
        let reply = fixture.handle.intend(PersonId(ANN.into()), intent, Some(chat.into())).await.unwrap();
        assert!(matches!(reply, Reply::Done { .. } | Reply::Created { .. }), "{reply:?}");
    }

    async fn events(fixture: &Fixture) -> Vec<Body> {
        let events = fixture.conversation.desk.events(0, None, 1_000).await.unwrap();
        let of_chats = |body: &Body| {
            matches!(body, Body::Chat(ChatEvent::ChatMoved { .. }) | Body::Chat(ChatEvent::ChatForgotten { .. }))
        };
        events.into_iter().map(|recorded| recorded.event.body).filter(of_chats).collect()
    }

    #[tokio::test]
    async fn a_group_that_moves_takes_its_registration_along_once() {
        let fixture = Fixture::start(&[(ANN, Role::Owner)], None).await;
        let standing = Standing { desk: fixture.conversation.desk.clone() };
        standing.moved("-5", "-1005").await.unwrap();
        assert_eq!(events(&fixture).await, [], "nothing of ours was there");
        says(&fixture, Intent::Register { repository: Some("acme/shop".into()) }, "telegram:-5").await;
        says(&fixture, Intent::Register { repository: None }, "telegram:-55").await;
        for _ in 0..2 {
            standing.moved("-5", "-1005").await.unwrap();
        }
        let moved = Body::Chat(ChatEvent::ChatMoved { from: "telegram:-5".into(), to: "telegram:-1005".into() });
        assert_eq!(events(&fixture).await, [moved]);
        let chats = standing.desk.chats().await.unwrap();
        assert_eq!(chats.keys().collect::<Vec<_>>(), ["telegram:-1005", "telegram:-55"]);
        assert_eq!(chats["telegram:-1005"].repository.as_deref(), Some("acme/shop"));
        // Where only a task tells, it counts as well.
        let request = TaskRequest { title: "Add a discount".into(), ..TaskRequest::default() };
        says(&fixture, Intent::Task(request), "telegram:-6").await;
        standing.moved("-6", "-1006").await.unwrap();
        let task = standing.desk.task(borg_core::id::TaskId(1)).await.unwrap().unwrap();
        assert!(task.status().is_terminal() || task.spec.chat.as_deref() == Some("telegram:-1006"), "{task:?}");
        fixture.stop().await;
    }

    #[tokio::test]
    async fn a_chat_that_puts_us_out_is_forgotten_with_its_topics() {
        let fixture = Fixture::start(&[(ANN, Role::Owner)], None).await;
        let standing = Standing { desk: fixture.conversation.desk.clone() };
        for chat in ["telegram:-5", "telegram:-5/7", "telegram:-55"] {
            says(&fixture, Intent::Register { repository: None }, chat).await;
        }
        for _ in 0..2 {
            standing.put_out("-5").await.unwrap();
        }
        let gone = |chat: &str| Body::Chat(ChatEvent::ChatForgotten { chat: chat.into(), by: None });
        assert_eq!(events(&fixture).await, [gone("telegram:-5"), gone("telegram:-5/7")]);
        assert_eq!(standing.desk.chats().await.unwrap().into_keys().collect::<Vec<_>>(), ["telegram:-55"]);
        fixture.stop().await;
    }
}
