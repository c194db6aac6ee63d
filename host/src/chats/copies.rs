//! One review in several chats: everybody who may decide is asked, wherever they can be reached, and when somebody has decided every copy
//! says so and has no buttons any more.
//!
//! A copy is a post with a topic of its own: one that is shown again in a chat where it stands already is an edit of it. What is closed
//! before it went out goes out closed.

use super::{Chats, operators::chat_of};
use borg_core::{
    chat::Notice,
    id::{Digest, TaskId},
    policy::PersonId,
};
use std::collections::BTreeSet;

/// Topic of the copies of a review.
pub fn topic(task: TaskId, change: &Digest) -> String {
    format!("review-{task}-{}", change.short())
}

impl Chats {
    /// Chats in which these people can be reached now.
    pub fn of_people(&self, people: &[PersonId]) -> BTreeSet<String> {
        people.iter().map(chat_of).filter(|chat| self.is_by_mail(chat) || self.is_heard(chat)).collect()
    }

    /// The chat of those who run this host, where it is set and can be reached.
    pub fn of_operators(&self) -> Option<String> {
        self.admin.clone().filter(|chat| self.is_by_mail(chat) || self.is_heard(chat))
    }

    /// As [`Chats::tell`], with a copy of a review: it can be closed by its topic.
    ///
    /// # Errors
    /// When the frontend's plugin or the journal fails, in words.
    pub async fn tell_copy(&self, key: &str, notice: &Notice, topic: &str) -> Result<(), String> {
        let Some(mailbox) = self.mailbox(&notice.chat) else { return self.tell(key, notice).await };
        let posts = self.show(notice, 0).await.map_err(|error| error.to_string())?;
        mailbox.post_copy(key, notice, posts, topic).await.map_err(|error| error.to_string())
    }

    /// Puts a notice in the place of every copy. A terminal is not written over: what stands there has no buttons.
    ///
    /// # Errors
    /// As of [`Chats::tell_copy`].
    pub async fn close_copies(&self, key: &str, notice: &Notice, topic: &str) -> Result<(), String> {
        for mailbox in &self.mailboxes {
            for chat in mailbox.copies(topic).await.map_err(|error| error.to_string())? {
                let chat = format!("{}:{chat}", mailbox.transport);
                let key = format!("{key}:{chat}");
                let mut posts = self
                    .show(&Notice { chat: chat.clone(), ..notice.clone() }, 0)
                    .await
                    .map_err(|error| error.to_string())?;
                // One post takes the place of one post.
                posts.truncate(1);
                let closed = Notice { chat, ..notice.clone() };
                mailbox.post_copy(&key, &closed, posts, topic).await.map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{chats::telegram, engine::Mailbox, fixture::Fixture, store::mail::Unsent};
    use borg_core::{
        chat::{Button, Document, NoticeKind, Part, Post},
        policy::Role,
    };

    const TOPIC: &str = "review-1-0123456789ab";

    fn review(chat: &str, text: &str) -> Notice {
        let buttons = vec![Button { label: "Approve".into(), action: "/approve 1".into() }];
        let document = Some(Document { name: "task-1.diff".into(), text: "+1\n".into() });
        let parts = vec![Part::Heading(text.to_owned())];
        Notice { buttons, document, ..Notice::new(chat, NoticeKind::Review, "task-1", parts) }
    }

    /// What waits in a chat, as it would go out now: its words, and `✎` where it is an edit; buttons counted.
    async fn waiting(mailbox: &Mailbox, rows: &[Unsent], chat: &str) -> Vec<String> {
        let mut told = Vec::new();
        for row in rows.iter().filter(|row| row.chat == chat) {
            let row = mailbox.unsent(row.id).await.unwrap().unwrap();
            told.push(match serde_json::from_str::<Post>(&row.post).unwrap() {
                Post::Send(post) => format!("{} [{}]", post.text, post.buttons.len()),
                Post::Edit { post, .. } => format!("✎ {} [{}]", post.text, post.buttons.len()),
                Post::Document { document, .. } => document.name,
                other => panic!("{other:?}"),
            });
        }
        told
    }

    #[tokio::test]
    async fn a_copy_is_shown_once_and_closed_wherever_it_stands() {
        let Some(fixture) = Fixture::with_chats(&[("telegram:1", Role::Owner)]).await else { return };
        let store = fixture.conversation.desk.store.clone();
        let mailbox = Mailbox::new(telegram::NAME, store.clone());
        let chats = fixture.conversation.chats.clone().by_mail(mailbox.clone());
        let unsent = || store.run(|journal| journal.unsent(telegram::NAME, 0, 99));
        let here = ["1", "2"].map(|chat| format!("telegram:{chat}"));
        // Done again, it is there once.
        for _ in 0..2 {
            for chat in &here {
                chats.tell_copy(&format!("a:{chat}"), &review(chat, "look"), TOPIC).await.unwrap();
            }
        }
        let rows = unsent().await.unwrap();
        for chat in ["1", "2"] {
            assert_eq!(waiting(&mailbox, &rows, chat).await, ["look [1]", "task-1.diff"]);
        }
        // It stands in one chat, and waits in the other: shown again it takes its own place in both, without the file.
        for row in rows.iter().filter(|row| row.chat == "1") {
            mailbox.sent(row, row.id.to_string()).await.unwrap();
        }
        for chat in &here {
            chats.tell_copy(&format!("b:{chat}"), &review(chat, "look again"), TOPIC).await.unwrap();
        }
        let rows = unsent().await.unwrap();
        assert_eq!(waiting(&mailbox, &rows, "1").await, ["✎ look again [1]"]);
        assert_eq!(waiting(&mailbox, &rows, "2").await, ["look again [1]", "task-1.diff"]);
        let closed = Notice { buttons: Vec::new(), document: None, ..review("", "approved") };
        for _ in 0..2 {
            chats.close_copies("c", &closed, TOPIC).await.unwrap();
            chats.close_copies("c", &closed, "review-1-another").await.unwrap();
        }
        let rows = unsent().await.unwrap();
        assert_eq!(waiting(&mailbox, &rows, "1").await, ["✎ approved [0]"]);
        assert_eq!(waiting(&mailbox, &rows, "2").await, ["approved [0]", "task-1.diff"]);
        assert_eq!(
            chats.of_people(&["telegram:7", "nowhere:1"].map(|name| PersonId(name.into()))),
            ["telegram:7".to_owned()].into()
        );
        fixture.stop().await;
    }
}
