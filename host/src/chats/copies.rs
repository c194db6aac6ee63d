//! One review in several chats: everybody who may decide is asked, wherever they can be reached, and when somebody has decided every copy
//! says so and has no buttons any more.
//!
//! A copy is a post with a topic of its own: one that is shown again in a chat where it stands already is an edit of it. What is closed
//! before it went out goes out closed.

use super::{Chats, operators::chat_of};
use crate::mail::Mailbox;
use borg_core::{
    chat::{Notice, Part},
    id::{Digest, TaskId},
    people::PersonId,
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

    /// As [`Chats::tell_copy`], while `waits` says that there is something to decide. What is decided while the copy is written may have closed
    /// all others already, so this one is closed here; so is one that an earlier process wrote, and was killed before it looked again.
    ///
    /// # Errors
    /// As of [`Chats::tell_copy`], and when nobody can say whether it waits.
    pub async fn tell_copy_while<F: Future<Output = Result<bool, String>>>(
        &self,
        key: &str,
        notice: &Notice,
        topic: &str,
        waits: impl Fn() -> F,
    ) -> Result<(), String> {
        if waits().await? {
            self.tell_copy(key, notice, topic).await?;
            if waits().await? {
                return Ok(());
            }
        }
        self.close_late(key, notice, topic).await
    }

    /// Takes the buttons off a copy of what is decided. One without them is left as it is: it says by whom.
    ///
    /// # Errors
    /// As of [`Chats::tell_copy`].
    pub async fn close_late(&self, key: &str, notice: &Notice, topic: &str) -> Result<(), String> {
        let Some(mailbox) = self.mailbox(&notice.chat) else { return Ok(()) };
        if mailbox.is_open(&notice.chat, topic).await.map_err(|error| error.to_string())? {
            self.close_copy(mailbox, &format!("{key}:late"), decided(notice), topic).await?;
        }
        Ok(())
    }

    /// Puts a notice in the place of every copy. A terminal is not written over: what stands there has no buttons. One that fails does not
    /// leave the others as they are.
    ///
    /// # Errors
    /// As of [`Chats::tell_copy`], all of them.
    pub async fn close_copies(&self, key: &str, notice: &Notice, topic: &str) -> Result<(), String> {
        let mut failures = Vec::new();
        for mailbox in &self.mailboxes {
            let chats = mailbox.copies(topic).await.unwrap_or_else(|error| {
                failures.push(error.to_string());
                Vec::new()
            });
            for chat in chats {
                let chat = format!("{}:{chat}", mailbox.transport);
                let closed = Notice { chat: chat.clone(), ..notice.clone() };
                if let Err(failure) = self.close_copy(mailbox, &format!("{key}:{chat}"), closed, topic).await {
                    failures.push(format!("{chat}: {failure}"));
                }
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(failures.join("; ")) }
    }

    async fn close_copy(&self, mailbox: &Mailbox, key: &str, closed: Notice, topic: &str) -> Result<(), String> {
        let mut posts = self.show(&closed, 0).await.map_err(|error| error.to_string())?;
        // One post takes the place of one post.
        posts.truncate(1);
        mailbox.post_copy(key, &closed, posts, topic).await.map_err(|error| error.to_string())
    }
}

/// What stands in the place of a review that was decided while it was on its way; by whom stands in the other copies.
fn decided(notice: &Notice) -> Notice {
    let heading = notice.parts.iter().find(|part| matches!(part, Part::Heading(_))).cloned();
    let parts = heading.into_iter().chain([Part::Text("this is decided: there is nothing to press any more".into())]);
    Notice { parts: parts.collect(), buttons: Vec::new(), document: None, silent: true, ..notice.clone() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        chats::telegram,
        fixture::Fixture,
        mail::{Mail, Unsent},
    };
    use borg_core::{
        chat::{Button, Document, NoticeKind, Post},
        people::Role,
    };
    use std::sync::atomic::{AtomicU32, Ordering};

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
        let store = fixture.store.clone();
        let mailbox = Mailbox::new(telegram::NAME, store.clone());
        let chats = fixture.conversation.chats.clone().by_mail(mailbox.clone());
        let unsent = || store.unsent(telegram::NAME, 0, 99);
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

    #[tokio::test]
    async fn a_copy_of_what_is_decided_meanwhile_is_closed() {
        let Some(fixture) = Fixture::with_chats(&[("telegram:1", Role::Owner)]).await else { return };
        let store = fixture.store.clone();
        let mailbox = Mailbox::new(telegram::NAME, store.clone());
        let chats = fixture.conversation.chats.clone().by_mail(mailbox.clone());
        let asked = AtomicU32::new(0);
        // All copies were closed when this one was not there yet.
        let waits = || std::future::ready(Ok(asked.fetch_add(1, Ordering::SeqCst) == 0));
        chats.tell_copy_while("a", &review("telegram:1", "look"), TOPIC, waits).await.unwrap();
        chats.tell_copy_while("b", &review("telegram:2", "look"), TOPIC, waits).await.unwrap();
        let rows = store.unsent(telegram::NAME, 0, 99).await.unwrap();
        let told = waiting(&mailbox, &rows, "1").await;
        assert!(told[0].contains("this is decided") && told.iter().all(|post| !post.ends_with("[1]")), "{told:?}");
        assert!(waiting(&mailbox, &rows, "2").await.is_empty());
        // What waits on is left open.
        let on = || std::future::ready(Ok(true));
        chats.tell_copy_while("c", &review("telegram:3", "look"), TOPIC, on).await.unwrap();
        let rows = store.unsent(telegram::NAME, 0, 99).await.unwrap();
        assert_eq!(waiting(&mailbox, &rows, "3").await[0], "look [1]");
        fixture.stop().await;
    }

    #[tokio::test]
    async fn a_copy_that_a_killed_process_left_open_is_closed_and_no_other_is_said_anew() {
        let Some(fixture) = Fixture::with_chats(&[("telegram:1", Role::Owner)]).await else { return };
        let store = fixture.store.clone();
        let mailbox = Mailbox::new(telegram::NAME, store.clone());
        let chats = fixture.conversation.chats.clone().by_mail(mailbox.clone());
        let unsent = || store.unsent(telegram::NAME, 0, 99);
        // One was closed in time, in two chats it came too late: it stands in one of them, and waits in the other.
        let key = |chat: &str| format!("a:{chat}");
        chats.tell_copy(&key("telegram:1"), &review("telegram:1", "look"), TOPIC).await.unwrap();
        let closed = Notice { buttons: Vec::new(), document: None, ..review("", "approved") };
        chats.close_copies("c", &closed, TOPIC).await.unwrap();
        for chat in ["telegram:2/7", "telegram:3"] {
            chats.tell_copy(&key(chat), &review(chat, "look"), TOPIC).await.unwrap();
        }
        for row in unsent().await.unwrap().iter().filter(|row| row.chat != "3") {
            mailbox.sent(row, row.id.to_string()).await.unwrap();
        }
        // Done again, since nobody had said that it was done; twice, since that may be killed, too.
        for _ in 0..2 {
            for chat in ["telegram:1", "telegram:2/7", "telegram:3", "telegram:4", "nowhere:1"] {
                let decided = || std::future::ready(Ok(false));
                chats.tell_copy_while(&key(chat), &review(chat, "look"), TOPIC, decided).await.unwrap();
            }
        }
        let rows = unsent().await.unwrap();
        let told = |chat| waiting(&mailbox, &rows, chat);
        assert!(told("1").await.is_empty() && told("4").await.is_empty(), "it says by whom, and nobody was asked here");
        let late = "look\n\nthis is decided: there is nothing to press any more [0]";
        assert_eq!(told("2/7").await, [format!("✎ {late}")]);
        assert_eq!(told("3").await, [late, "task-1.diff"]);
        // Once that stands there it is closed, and stays as it is.
        for row in rows {
            mailbox.sent(&row, row.id.to_string()).await.unwrap();
        }
        chats.close_late("b", &review("telegram:3", "look"), TOPIC).await.unwrap();
        assert!(unsent().await.unwrap().is_empty());
        fixture.stop().await;
    }

    #[tokio::test]
    async fn a_copy_that_cannot_be_closed_leaves_no_other_open() {
        let Some(fixture) = Fixture::with_chats(&[("telegram:1", Role::Owner)]).await else { return };
        let store = fixture.store.clone();
        let (broken, mailbox) = (Mailbox::new("nowhere", store.clone()), Mailbox::new(telegram::NAME, store.clone()));
        let chats = fixture.conversation.chats.clone().by_mail(broken.clone()).by_mail(mailbox.clone());
        for chat in ["telegram:1", "telegram:2"] {
            chats.tell_copy(chat, &review(chat, "look"), TOPIC).await.unwrap();
        }
        let posts = chats.show(&review("telegram:1", "look"), 0).await.unwrap();
        broken.post_copy("x", &review("nowhere:1", "look"), posts, TOPIC).await.unwrap();
        let closed = Notice { buttons: Vec::new(), document: None, ..review("", "approved") };
        let failed = chats.close_copies("c", &closed, TOPIC).await.unwrap_err();
        assert!(failed.starts_with("nowhere:1: "), "{failed}");
        let rows = store.unsent(telegram::NAME, 0, 99).await.unwrap();
        for chat in ["1", "2"] {
            assert_eq!(waiting(&mailbox, &rows, chat).await[0], "approved [0]");
        }
        fixture.stop().await;
    }
}
