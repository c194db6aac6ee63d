//! Answers what has come: one update after the other within a chat, several chats at a time, whatever agents are doing meanwhile.
//!
//! An update is struck off together with the posts that answer it, in one transaction. A host that dies in between answers again: what the
//! update asked for is known by its key and not done twice. Most of what is said in a group needs no answer; that is struck off many at a
//! time, for a transaction waits for the disk.

use super::{
    albums::Albums,
    courier,
    pairing::{Heard, Pairing},
    updates,
};
use crate::{
    chats::Conversation,
    journal::JournalError,
    mail::{Answered, Mailbox, Outgoing, Waiting},
};
use borg_core::{
    chat::{Notice, NoticeKind, Part, Post, TextPost, Update, UpdateKind},
    people::{PersonId, Role},
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
};
use teloxide_core::Bot;
use tokio::task::{Id, JoinSet};

/// Chats answered at the same time.
const CHATS: usize = 8;
/// Updates held in memory; the others wait in the journal.
const HELD: usize = 512;
/// Bytes of them, but for one more update.
const HELD_BYTES: usize = 16 << 20;
/// Turns without an answer that are struck off together, at most.
const SILENT: usize = 64;

/// What a new owner is told.
const PAIRED: &str = "you are an owner of this host now; /help shows what it does";

pub struct Answers {
    pub shared: Arc<Shared>,
}

/// What it takes to answer.
pub struct Shared {
    pub bot: Bot,
    pub mailbox: Mailbox,
    pub conversation: Conversation,
    pub pairing: Arc<Pairing>,
}

impl Answers {
    pub async fn run(self) -> Result<(), JournalError> {
        let mut last = 0;
        let mut held = 0;
        // More may wait in the journal than was read.
        let mut more = true;
        let mut chats: HashMap<String, VecDeque<Waiting>> = HashMap::new();
        let mut albums = Albums::default();
        let mut busy: JoinSet<Vec<Outgoing>> = JoinSet::new();
        let mut answering: HashMap<Id, Answering> = HashMap::new();
        let mut answered: Vec<Answered> = Vec::new();
        loop {
            let bytes = || chats.values().flatten().map(|waiting| waiting.update.len()).sum::<usize>();
            if more
                && held < HELD / 2
                && let Some(room) = HELD_BYTES.checked_sub(bytes()).filter(|room| *room > 0)
            {
                let page = self.shared.mailbox.waiting(last, HELD as u32, room).await?;
                more = !page.is_empty();
                for waiting in page {
                    last = waiting.id;
                    held += 1;
                    chats.entry(waiting.chat.clone()).or_default().push_back(waiting);
                }
            }
            while busy.len() < CHATS {
                // The chat whose turn came first.
                let free = chats.iter().filter(|(chat, _)| !answering.values().any(|busy| busy.chat == **chat));
                let next = free.filter_map(|(chat, queue)| Some((queue.front()?.id, chat))).min();
                let Some(chat) = next.map(|(_, chat)| chat.clone()) else { break };
                let Some(turn) = chats.get_mut(&chat).and_then(|queue| albums.next(queue)) else { break };
                let mut rows = turn.silent;
                rows.extend(turn.answered.as_ref().map(|waiting| waiting.id));
                held -= rows.len();
                let shared = self.shared.clone();
                let task = busy.spawn(async move {
                    match turn.answered {
                        Some(waiting) => shared.answer(waiting).await,
                        None => Vec::new(),
                    }
                });
                answering.insert(task.id(), Answering { chat, rows });
            }
            let owes = answered.iter().any(|answer| !answer.posts.is_empty());
            if owes || answered.len() >= SILENT || (busy.is_empty() && !answered.is_empty()) {
                self.shared.mailbox.answered(std::mem::take(&mut answered)).await?;
            }
            tokio::select! {
                Some(first) = busy.join_next_with_id(), if !busy.is_empty() => {
                    let mut next = Some(first);
                    while let Some(done) = next {
                        let (task, mut posts) = done.unwrap_or_else(|broken| {
                            tracing::error!(%broken, "a fault of the host itself: an update is passed over");
                            (broken.id(), Vec::new())
                        });
                        let turn = answering.remove(&task).expect("every turn that is taken is noted");
                        // What is owed goes with the last row of the turn; all of them are struck off together.
                        answered.extend(turn.rows.into_iter().rev().map(|id| Answered { id, posts: std::mem::take(&mut posts) }));
                        next = busy.try_join_next_with_id();
                    }
                    chats.retain(|_, queue| !queue.is_empty());
                }
                () = self.shared.mailbox.heard.notified() => more = true,
            }
        }
    }
}

/// A chat whose turn it is, and the rows of what is answered.
struct Answering {
    chat: String,
    rows: Vec<i64>,
}

impl Shared {
    /// Answers one update; gives what is owed for it.
    async fn answer(&self, waiting: Waiting) -> Vec<Outgoing> {
        let mut outgoing = Vec::new();
        match serde_json::from_str::<Update>(&waiting.update) {
            Ok(mut update) => {
                // The chat may have moved since.
                update.chat.clone_from(&waiting.chat);
                if update.marks.is_none() {
                    update.marks = updates::marks_of(&update);
                }
                let key = format!("{}-{}", self.mailbox.transport, waiting.key);
                for (n, (notice, mut posts)) in self.exchange(&update, &key).await.into_iter().enumerate() {
                    let mut unheard = Vec::new();
                    for post in &posts {
                        match post {
                            Post::Answer { press, text, .. } => {
                                if !courier::toast(&self.bot, press, text).await && !text.trim().is_empty() {
                                    unheard.push(Post::Send(TextPost::plain(&waiting.chat, text)));
                                }
                            }
                            Post::Typing { .. } => courier::typing(&self.bot, &waiting.chat).await,
                            Post::Send(_) | Post::Edit { .. } | Post::Document { .. } => {}
                        }
                    }
                    posts.extend(unheard);
                    outgoing.extend(self.mailbox.outgoing(&format!("{key}.{n}"), &notice, posts));
                }
            }
            Err(error) => tracing::error!(%error, id = waiting.id, "a kept update cannot be read"),
        }
        outgoing
    }

    fn role(&self, person: &str) -> Option<Role> {
        self.conversation.desk.handle.policy().role(&PersonId(person.to_owned()))
    }

    async fn exchange(&self, update: &Update, key: &str) -> Vec<(Notice, Vec<Post>)> {
        // In a private chat the chat is the person, unless the words are another's.
        let is_own = update.marks.as_ref().is_some_and(|marks| !marks.forwarded && !marks.via_bot);
        let is_written = is_own && matches!(update.kind, UpdateKind::Message | UpdateKind::Document);
        if update.chat == update.sender && !update.sender_is_bot && is_written {
            let person = format!("{}:{}", self.mailbox.transport, update.sender);
            let text = match self.pairing.hear(&person, &update.text) {
                Ok(Heard::NoCode) => None,
                Ok(Heard::Wrong) => Some("that is not the code on the host's terminal".to_owned()),
                Ok(Heard::Paired) => {
                    // What the new owner says next must find them known.
                    if !self.conversation.until_known(&PersonId(person.clone()), Role::Owner).await {
                        tracing::warn!(
                            person,
                            "the policy with the new owner is not in force; `borg-host config` shows why"
                        );
                    }
                    Some(PAIRED.to_owned())
                }
                Ok(Heard::Used) => (self.role(&person) == Some(Role::Owner)).then(|| PAIRED.to_owned()),
                Err(error) => Some(format!("the code is right, but you cannot be written down: {error:#}")),
            };
            if let Some(text) = text {
                return self
                    .conversation
                    .say(self.mailbox.transport, update, NoticeKind::Answer, vec![Part::Text(text)])
                    .await;
            }
            if let Some(told) = self.request(update, key).await {
                return told;
            }
        }
        self.conversation.exchange(self.mailbox.transport, update, 0, Some(key)).await
    }
}
