//! Mail: updates that came in from chats and are not answered yet, and posts that are to go out. Durable, so that a crash loses neither;
//! keyed, so that doing anything here twice is as doing it once. A [`Mailbox`] is the mail of one transport; who keeps it is behind [`Mail`].
//!
//! None of it is in the journal's hash chain. What people write and what agents say must be deletable, and nothing can be taken out of a
//! chain; also a post changes while it waits, and an event never does. So a body is kept only until the update is answered or the post is
//! out; what remains is its key, for seven days. What was decided because of an update is an event, as ever.
//!
//! Bodies are JSON that no keeper reads: what a transport brings, how fast it may send and what a receipt is are its own. What a post says
//! is known to `body` alone.

pub mod body;
mod held;
mod mailbox;

pub use held::{Held, Taken};
pub use mailbox::Mailbox;

use crate::journal::Answer;
use borg_core::{
    chat::Button,
    id::TaskId,
    people::{PersonId, Role},
};
use std::sync::Arc;

/// Time in which what was asked back can be confirmed, in milliseconds.
pub const OPEN_MS: u64 = 10 * 60_000;

/// A button as it stands under a post.
pub type Offer = Button;

/// An update as a transport brings it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incoming {
    /// The transport's id of the update.
    pub key: String,
    /// The chat as a listener names it, without the transport.
    pub chat: String,
    /// JSON.
    pub update: String,
}

/// What a transport brought at a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Arrived {
    /// Where the transport is to be asked to go on.
    pub cursor: i64,
    /// What has become of chats meanwhile.
    pub changes: Vec<Change>,
    pub updates: Vec<Incoming>,
}

/// What has become of a chat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// It has another name from now on.
    Moved { from: String, to: String },
    /// It hears us no more; nor do its topics, `CHAT/TOPIC`.
    PutOut { chat: String, reason: String },
}

/// An update that is not answered yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Place in the order of arrival.
    pub id: i64,
    pub key: String,
    pub chat: String,
    pub update: String,
}

/// An update that is answered, and what is to be posted because of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// As in [`Waiting`].
    pub id: i64,
    pub posts: Vec<Outgoing>,
}

/// A post that is to go out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The same when what leads to the post is done again.
    pub key: String,
    pub chat: String,
    /// The task it speaks of.
    pub about: Option<TaskId>,
    /// What the post is about, where a newer one about the same takes its place.
    pub topic: Option<String>,
    /// JSON.
    pub post: String,
}

/// The next post of a chat, or the next change to one that stands there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    pub id: i64,
    pub chat: String,
    /// It is about a topic that stands there already.
    pub edits: bool,
    /// As in [`Unsent`].
    pub not_before_ms: u64,
}

/// A post that has not gone out yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unsent {
    /// Place in the order of sending.
    pub id: i64,
    /// Of the newest content.
    pub key: String,
    pub chat: String,
    pub topic: Option<String>,
    /// What the transport calls the message about this topic, where one stands in the chat already.
    pub stands: Option<String>,
    pub post: String,
    /// How often newer content took the place of older.
    pub revision: u32,
    /// How often this content was tried and nobody knows what became of it.
    pub attempts: u32,
    /// Milliseconds since 1970 before which it is not to be tried; 0 for at once.
    pub not_before_ms: u64,
}

/// What is said about a topic in a chat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Topic {
    /// What waits to be said, as it is to go out.
    pub waiting: Option<String>,
    /// What the transport calls the message that went out.
    pub receipt: Option<String>,
    /// Any button stands under that message.
    pub has_buttons: bool,
}

/// Whether a button stands under a post of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Offered {
    Yes,
    /// Not now. The posts of that chat and its topics that have no receipt yet, or are to change, as they are to go out.
    NotYet(Vec<String>),
}

/// Somebody is to be made known, once who asked for it has confirmed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    pub id: i64,
    /// The only one who can confirm it.
    pub asker: PersonId,
    /// Where it was asked, `transport:chat`.
    pub chat: String,
    pub person: PersonId,
    pub role: Role,
    /// Milliseconds since 1970 after which it is void.
    pub until_ms: u64,
}

/// What a keeper of mail can be asked to do. Each is done whole or not at all, and is durable when it is answered; doing it again changes
/// nothing. Times are milliseconds since 1970.
pub trait Mail: Send + Sync {
    /// How far the transport has been read; none before the first time.
    fn cursor<'a>(&'a self, transport: &'a str) -> Answer<'a, Option<i64>>;

    /// Takes in what a transport brought, and saves how far it has been read. An update that was taken in before, and perhaps answered
    /// since, is left as it is; answered ones are forgotten after [`REMEMBERED_MS`](crate::journal::REMEMBERED_MS), or when 10,000 newer
    /// ones are answered.
    fn take_in<'a>(&'a self, transport: &'a str, arrived: Arc<Arrived>) -> Answer<'a, ()>;

    /// What is owed to a chat follows what has become of it. In a chat that moved, posts wait as
    /// [`body::in_another_chat`] has them, buttons are offered under both names, and receipts of topics are forgotten.
    fn changed<'a>(&'a self, transport: &'a str, change: Change) -> Answer<'a, ()>;

    /// Updates with an id above `after` that are not answered yet, oldest first: `limit` of them, and no more once they have `bytes`.
    fn waiting<'a>(&'a self, transport: &'a str, after: i64, limit: u32, bytes: usize) -> Answer<'a, Vec<Waiting>>;

    /// Strikes off updates that are answered, and queues what is to be posted because of them. An update is deleted but for its key. One
    /// that is answered already, or unknown, is left alone and nothing is queued for it.
    fn answered(&self, answers: Arc<[Answered]>) -> Answer<'_, ()>;

    /// Queues posts. One whose key is known is ignored, sent or not: a key is known for
    /// [`REMEMBERED_MS`](crate::journal::REMEMBERED_MS) after its post went out. One with a topic replaces the unsent one of that chat and
    /// topic, in its place in the queue.
    fn enqueue<'a>(&'a self, transport: &'a str, posts: Arc<[Outgoing]>) -> Answer<'a, ()>;

    /// Posts with an id above `after` that have not gone out, oldest first; those that are put off, too.
    fn unsent<'a>(&'a self, transport: &'a str, after: i64, limit: u32) -> Answer<'a, Vec<Unsent>>;

    /// The oldest post of each chat that has not gone out, and the oldest edit: posts first, then edits, each oldest first. However much
    /// one chat has to wait for, it hides no other.
    fn heads<'a>(&'a self, transport: &'a str) -> Answer<'a, Vec<Head>>;

    /// Records that `revision` of a post went out, what the transport calls it, and the buttons it has there, in place of any it had; the
    /// receipt is the topic's, too. False when newer content took its place meanwhile: the post stays unsent, to be sent as an edit of
    /// what went out.
    fn sent<'a>(&'a self, id: i64, revision: u32, receipt: &'a str, offered: Vec<Offer>) -> Answer<'a, bool>;

    /// Changes how an unsent post reads. False, and nothing changed, when `revision` is not its newest any more.
    fn rewrite(&self, id: i64, revision: u32, post: String) -> Answer<'_, bool>;

    /// As [`Mail::rewrite`], and whatever comes of that the message about its topic stands there no more.
    fn say_anew(&self, id: i64, revision: u32, post: String) -> Answer<'_, bool>;

    /// Puts an unsent post off.
    fn put_off(&self, id: i64, until_ms: u64) -> Answer<'_, ()>;

    /// As [`Mail::put_off`], and counts the attempt.
    fn tried(&self, id: i64, until_ms: u64) -> Answer<'_, ()>;

    /// Gives an unsent post up for good. The reason is kept as long as its key; the post is not.
    fn drop_post<'a>(&'a self, id: i64, reason: &'a str) -> Answer<'a, ()>;

    /// What is said about a topic in a chat.
    fn topic<'a>(&'a self, transport: &'a str, chat: &'a str, topic: &'a str) -> Answer<'a, Topic>;

    /// Chats in which a message about a topic stands, or waits to be sent.
    fn chats_of_topic<'a>(&'a self, transport: &'a str, topic: &'a str) -> Answer<'a, Vec<String>>;

    /// The task that a message of ours speaks of; known for [`REMEMBERED_MS`](crate::journal::REMEMBERED_MS).
    fn about<'a>(&'a self, transport: &'a str, chat: &'a str, receipt: &'a str) -> Answer<'a, Option<TaskId>>;

    /// Whether a button with this action stands under a post of ours. `chat` may name a topic: receipts are of the whole chat. An offer is
    /// kept for 30 days, and for as long as the task it is about has not ended; one about no task for a year, since nobody here knows when
    /// it is decided who is let in.
    fn offered<'a>(
        &'a self,
        transport: &'a str,
        chat: &'a str,
        receipt: &'a str,
        action: &'a str,
    ) -> Answer<'a, Offered>;

    /// Takes the request of somebody unknown, by the rules of [`Held`]; true where it is to be passed on. Of `known` people there is nothing
    /// to decide any more.
    fn hold<'a>(&'a self, person: &'a PersonId, key: &'a str, now_ms: u64, known: Vec<PersonId>) -> Answer<'a, bool>;

    /// Notes that somebody is to be made known once `asker` has confirmed it, within [`OPEN_MS`]; the same for the same key.
    fn ask_back<'a>(
        &'a self,
        key: &'a str,
        asker: &'a PersonId,
        chat: &'a str,
        whom: (&'a PersonId, Role),
        now_ms: u64,
    ) -> Answer<'a, Asked>;

    /// What was asked back, while it can be confirmed.
    fn asked_back(&self, id: i64, now_ms: u64) -> Answer<'_, Option<Asked>>;

    /// What somebody was last asked back in a chat, while it can be confirmed.
    fn asked_back_in<'a>(&'a self, chat: &'a str, asker: &'a PersonId, now_ms: u64) -> Answer<'a, Option<Asked>>;

    /// It is confirmed, or given up.
    fn forget_asked(&self, id: i64) -> Answer<'_, ()>;

    /// What was noted last under a name, so that a new process knows what an earlier one told people.
    fn noted<'a>(&'a self, name: &'a str) -> Answer<'a, Option<String>>;

    /// Notes something under a name, in place of what was noted there before.
    fn note<'a>(&'a self, name: &'a str, text: &'a str) -> Answer<'a, ()>;
}
