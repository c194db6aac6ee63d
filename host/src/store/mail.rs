//! Mail in the same file, on the same thread: what [`crate::mail`] asks for, none of it in the hash chain.

mod asked;
mod held;
mod offers;
mod posts;
mod topics;
mod updates;

#[cfg(test)]
pub(super) use posts::HEADS;

use super::{
    Store,
    error::unwritten,
    rows::put,
    sqlite::{Sqlite, put_meta},
};
use crate::{
    journal::{Answer, JournalError},
    mail::{Answered, Arrived, Asked, Change, Head, Mail, Offer, Offered, Outgoing, Topic, Unsent, Waiting, body},
};
use borg_core::{
    id::TaskId,
    people::{PersonId, Role},
};
use rusqlite::{Connection, params};
use std::sync::Arc;

impl Mail for Store {
    fn cursor<'a>(&'a self, transport: &'a str) -> Answer<'a, Option<i64>> {
        let transport = transport.to_owned();
        self.run(move |file| file.cursor(&transport))
    }

    fn take_in<'a>(&'a self, transport: &'a str, arrived: Arc<Arrived>) -> Answer<'a, ()> {
        let transport = transport.to_owned();
        self.run(move |file| file.take_in(&transport, &arrived))
    }

    fn changed<'a>(&'a self, transport: &'a str, change: Change) -> Answer<'a, ()> {
        let transport = transport.to_owned();
        self.run(move |file| file.atomically(|db| follow(db, &transport, &change)))
    }

    fn waiting<'a>(&'a self, transport: &'a str, after: i64, limit: u32, bytes: usize) -> Answer<'a, Vec<Waiting>> {
        let transport = transport.to_owned();
        self.run(move |file| file.waiting(&transport, after, limit, bytes))
    }

    fn answered(&self, answers: Arc<[Answered]>) -> Answer<'_, ()> {
        self.run(move |file| file.answered(&answers))
    }

    fn enqueue<'a>(&'a self, transport: &'a str, posts: Arc<[Outgoing]>) -> Answer<'a, ()> {
        let transport = transport.to_owned();
        self.run(move |file| file.enqueue(&transport, &posts))
    }

    fn unsent<'a>(&'a self, transport: &'a str, after: i64, limit: u32) -> Answer<'a, Vec<Unsent>> {
        let transport = transport.to_owned();
        self.run(move |file| file.unsent(&transport, after, limit))
    }

    fn heads<'a>(&'a self, transport: &'a str) -> Answer<'a, Vec<Head>> {
        let transport = transport.to_owned();
        self.run(move |file| file.heads(&transport))
    }

    fn sent<'a>(&'a self, id: i64, revision: u32, receipt: &'a str, offered: Vec<Offer>) -> Answer<'a, bool> {
        let receipt = receipt.to_owned();
        self.run(move |file| file.sent(id, revision, &receipt, &offered))
    }

    fn rewrite(&self, id: i64, revision: u32, post: String) -> Answer<'_, bool> {
        self.run(move |file| file.rewrite(id, revision, &post))
    }

    fn say_anew(&self, id: i64, revision: u32, post: String) -> Answer<'_, bool> {
        self.run(move |file| file.say_anew(id, revision, &post))
    }

    fn put_off(&self, id: i64, until_ms: u64) -> Answer<'_, ()> {
        self.run(move |file| file.put_off(id, until_ms))
    }

    fn tried(&self, id: i64, until_ms: u64) -> Answer<'_, ()> {
        self.run(move |file| file.tried(id, until_ms))
    }

    fn drop_post<'a>(&'a self, id: i64, reason: &'a str) -> Answer<'a, ()> {
        let reason = reason.to_owned();
        self.run(move |file| file.drop_post(id, &reason))
    }

    fn topic<'a>(&'a self, transport: &'a str, chat: &'a str, topic: &'a str) -> Answer<'a, Topic> {
        let (transport, chat, topic) = (transport.to_owned(), chat.to_owned(), topic.to_owned());
        self.run(move |file| file.topic(&transport, &chat, &topic))
    }

    fn chats_of_topic<'a>(&'a self, transport: &'a str, topic: &'a str) -> Answer<'a, Vec<String>> {
        let (transport, topic) = (transport.to_owned(), topic.to_owned());
        self.run(move |file| file.chats_of_topic(&transport, &topic))
    }

    fn about<'a>(&'a self, transport: &'a str, chat: &'a str, receipt: &'a str) -> Answer<'a, Option<TaskId>> {
        let (transport, chat, receipt) = (transport.to_owned(), chat.to_owned(), receipt.to_owned());
        self.run(move |file| file.about(&transport, &chat, &receipt))
    }

    fn offered<'a>(
        &'a self,
        transport: &'a str,
        chat: &'a str,
        receipt: &'a str,
        action: &'a str,
    ) -> Answer<'a, Offered> {
        let (transport, chat) = (transport.to_owned(), chat.to_owned());
        let (receipt, action) = (receipt.to_owned(), action.to_owned());
        self.run(move |file| file.offered(&transport, &chat, &receipt, &action))
    }

    fn hold<'a>(&'a self, person: &'a PersonId, key: &'a str, now_ms: u64, known: Vec<PersonId>) -> Answer<'a, bool> {
        let (person, key) = (person.clone(), key.to_owned());
        self.run(move |file| file.hold(&person, &key, now_ms, &known))
    }

    fn ask_back<'a>(
        &'a self,
        key: &'a str,
        asker: &'a PersonId,
        chat: &'a str,
        (person, role): (&'a PersonId, Role),
        now_ms: u64,
    ) -> Answer<'a, Asked> {
        let (key, asker, chat, person) = (key.to_owned(), asker.clone(), chat.to_owned(), person.clone());
        self.run(move |file| file.ask_back(&key, &asker, &chat, (&person, role), now_ms))
    }

    fn asked_back(&self, id: i64, now_ms: u64) -> Answer<'_, Option<Asked>> {
        self.run(move |file| file.asked_back(id, now_ms))
    }

    fn asked_back_in<'a>(&'a self, chat: &'a str, asker: &'a PersonId, now_ms: u64) -> Answer<'a, Option<Asked>> {
        let (chat, asker) = (chat.to_owned(), asker.clone());
        self.run(move |file| file.asked_back_in(&chat, &asker, now_ms))
    }

    fn forget_asked(&self, id: i64) -> Answer<'_, ()> {
        self.run(move |file| file.forget_asked(id))
    }

    fn noted<'a>(&'a self, name: &'a str) -> Answer<'a, Option<String>> {
        let key = note(name);
        self.run(move |file| file.meta(&key))
    }

    fn note<'a>(&'a self, name: &'a str, text: &'a str) -> Answer<'a, ()> {
        let (key, text) = (note(name), text.to_owned());
        self.run(move |file| put_meta(&file.db, &key, &text))
    }
}

/// Where a note lies in `meta`.
fn note(name: &str) -> String {
    format!("note-{name}")
}

impl Sqlite {
    /// All of it or, where it fails, nothing.
    fn atomically<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, JournalError>) -> Result<T, JournalError> {
        let write = self.db.transaction().map_err(unwritten)?;
        let done = work(&write)?;
        write.commit().map_err(unwritten)?;
        Ok(done)
    }
}

/// What is owed to a chat follows what has become of it.
fn follow(db: &Connection, transport: &str, change: &Change) -> Result<(), JournalError> {
    match change {
        Change::Moved { from, to } if from != to => move_chat(db, transport, from, to),
        Change::Moved { .. } => Ok(()),
        Change::PutOut { chat, reason } => posts::drop_all_of(db, transport, chat, reason),
    }
}

/// Moves everything of a chat to another name, as when a group becomes a supergroup: what came and what goes. Receipts of its topics are
/// forgotten: they are numbers of messages that the other chat has not, or has given to others.
fn move_chat(db: &Connection, transport: &str, from: &str, to: &str) -> Result<(), JournalError> {
    for (id, post) in posts::waiting_in(db, transport, from)? {
        if let Some(post) = body::in_another_chat(&post) {
            put(db, "UPDATE posts SET body = ?2 WHERE id = ?1", params![id, post])?;
        }
    }
    for sql in [
        "UPDATE updates SET chat = ?3 WHERE transport = ?1 AND chat = ?2",
        "UPDATE posts SET chat = ?3, receipt = NULL WHERE transport = ?1 AND chat = ?2",
    ] {
        put(db, sql, params![transport, from, to])?;
    }
    put(db, "DELETE FROM topics WHERE transport = ?1 AND chat = ?2", params![transport, from])?;
    offers::take_along(db, transport, from, to)
}
