//! Answers what has come: one update after the other within a chat, several chats at a time, whatever agents are doing meanwhile.
//!
//! An update is struck off together with the posts that answer it, in one transaction. A host that dies in between answers again: what the
//! update asked for is known by its key and not done twice.

use super::{
    courier,
    pairing::{Heard, Pairing},
};
use crate::{
    chats::Conversation,
    engine::mailbox::{Mailbox, StoreError, Waiting},
};
use borg_core::{
    chat::{Notice, NoticeKind, Part, Post, Update},
    policy::PersonId,
};
use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};
use teloxide_core::Bot;
use tokio::task::JoinSet;

/// Chats answered at the same time.
const CHATS: usize = 8;
/// Updates held in memory; the others wait in the journal.
const HELD: usize = 512;
/// Longest wait for a policy that was edited; files are looked at every other second.
const PATIENCE: Duration = Duration::from_secs(15);

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
    pub async fn run(self) -> Result<(), StoreError> {
        let mut last = 0;
        let mut held = 0;
        let mut chats: HashMap<String, VecDeque<Waiting>> = HashMap::new();
        let mut busy: JoinSet<Result<String, StoreError>> = JoinSet::new();
        let mut answering: Vec<String> = Vec::new();
        loop {
            if held < HELD / 2 {
                for waiting in self.shared.mailbox.waiting(last, HELD as u32).await? {
                    last = waiting.id;
                    held += 1;
                    chats.entry(waiting.chat.clone()).or_default().push_back(waiting);
                }
            }
            while busy.len() < CHATS {
                // The chat whose turn came first.
                let free = chats.iter().filter(|(chat, _)| !answering.contains(chat));
                let next = free.filter_map(|(chat, queue)| Some((queue.front()?.id, chat.clone()))).min();
                let Some((_, chat)) = next else { break };
                let Some(waiting) = chats.get_mut(&chat).and_then(VecDeque::pop_front) else { break };
                answering.push(chat);
                held -= 1;
                let shared = self.shared.clone();
                busy.spawn(async move { shared.answer(waiting).await });
            }
            tokio::select! {
                Some(done) = busy.join_next(), if !busy.is_empty() => match done {
                    Ok(chat) => {
                        let chat = chat?;
                        answering.retain(|busy| *busy != chat);
                        chats.retain(|_, queue| !queue.is_empty());
                    }
                    Err(broken) => {
                        // Which chat it was is not known any more; all go on with their next one.
                        tracing::error!(%broken, "a fault of the host itself: an update was not answered");
                        busy.abort_all();
                        answering.clear();
                    }
                },
                () = self.shared.mailbox.heard.notified() => {}
            }
        }
    }
}

impl Shared {
    /// Answers one update; gives its chat.
    async fn answer(&self, waiting: Waiting) -> Result<String, StoreError> {
        let mut outgoing = Vec::new();
        match serde_json::from_str::<Update>(&waiting.update) {
            Ok(update) => {
                let key = format!("{}-{}", self.mailbox.transport, waiting.key);
                for (n, (notice, posts)) in self.exchange(&update, &key).await.into_iter().enumerate() {
                    for post in &posts {
                        match post {
                            Post::Answer { press, text, .. } => courier::toast(&self.bot, press, text).await,
                            Post::Typing { .. } => courier::typing(&self.bot, &waiting.chat).await,
                            Post::Send(_) | Post::Edit { .. } | Post::Document { .. } => {}
                        }
                    }
                    outgoing.extend(self.mailbox.outgoing(&format!("{key}.{n}"), &notice, posts));
                }
            }
            Err(error) => tracing::error!(%error, id = waiting.id, "a kept update cannot be read"),
        }
        self.mailbox.answered(waiting.id, outgoing).await?;
        Ok(waiting.chat)
    }

    /// Waits until the edited policy is in force: what the new owner says next must find them known.
    async fn until_known(&self, person: &str) {
        let person = PersonId(person.to_owned());
        let known = async {
            while self.conversation.desk.handle.policy().await.is_ok_and(|policy| policy.role(&person).is_none()) {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, known).await.is_err() {
            tracing::warn!(
                person = person.0,
                "the policy with the new owner is not in force; `borg-host config` shows whether it has an error"
            );
        }
    }

    async fn exchange(&self, update: &Update, key: &str) -> Vec<(Notice, Vec<Post>)> {
        // In a private chat the chat is the person.
        if update.chat == update.sender && !update.sender_is_bot {
            let person = format!("{}:{}", self.mailbox.transport, update.sender);
            let text = match self.pairing.hear(&person, &update.text) {
                Ok(Heard::NoCode) => None,
                Ok(Heard::Wrong) => Some("that is not the code on the host's terminal".to_owned()),
                Ok(Heard::Paired) => {
                    self.until_known(&person).await;
                    Some("you are an owner of this host now; /help shows what it does".to_owned())
                }
                Err(error) => Some(format!("the code is right, but you cannot be written down: {error:#}")),
            };
            if let Some(text) = text {
                return self
                    .conversation
                    .say(self.mailbox.transport, update, NoticeKind::Answer, vec![Part::Text(text)])
                    .await;
            }
        }
        self.conversation.exchange(self.mailbox.transport, update, 0, Some(key)).await
    }
}
