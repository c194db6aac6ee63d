//! What a person sees in a chat: each message as it stands now, what it was before, and how it came there.

use super::{
    BotApi,
    chats::{Action, Chat, Kind},
    ids::{ChatId, MessageId, TopicId},
    keyboard::{Button, buttons},
    posts::{Author, Edit, Post},
    presses::Toast,
    record::Answer,
    state::State,
};
use anyhow::Context;
use hyper::body::Bytes;
use serde_json::Value;
use std::{fmt::Write, time::Duration};

/// A file below a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    pub name: Option<String>,
    pub mime: Option<String>,
    pub bytes: Bytes,
}

impl Document {
    /// The content as text; what is not valid UTF-8 is replaced.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// One message as a person sees it.
#[derive(Clone, Debug)]
pub struct Shown {
    pub chat: ChatId,
    pub id: MessageId,
    /// First name, or title of a channel; `bot` for the bot itself.
    pub from: String,
    pub by_bot: bool,
    /// Text or caption.
    pub text: String,
    /// Entities of the text, as the Bot API writes them; offsets are UTF-16 code units.
    pub entities: Vec<Value>,
    /// Earlier versions, oldest first.
    pub edits: Vec<Edit>,
    pub reply_to: Option<MessageId>,
    pub topic: Option<TopicId>,
    /// Rows of the inline keyboard.
    pub buttons: Vec<Vec<Button>>,
    pub document: Option<Document>,
    /// What happened, of a message nobody wrote.
    pub service: Option<String>,
    pub silent: bool,
    pub pinned: bool,
    pub deleted: bool,
    /// Since the start of the stand-in.
    pub at: Duration,
    /// Numbers of the calls that posted and changed it.
    pub calls: Vec<u64>,
    /// Whether the answer to the call that posted it arrived; `None` when no call did.
    pub answer: Option<Answer>,
}

impl Shown {
    /// The button with this label or this data.
    pub fn button(&self, wanted: &str) -> Option<&Button> {
        let mut all = self.buttons.iter().flatten();
        all.find(|button| button.label == wanted || button.data.as_deref() == Some(wanted))
    }

    /// The part of the text an entity covers.
    pub fn covered(&self, entity: &Value) -> String {
        let wide: Vec<u16> = self.text.encode_utf16().collect();
        let start = entity["offset"].as_u64().unwrap_or(0) as usize;
        let end = start + entity["length"].as_u64().unwrap_or(0) as usize;
        String::from_utf16_lossy(wide.get(start..end).unwrap_or_default())
    }
}

impl BotApi {
    /// Every message of a chat, in order; deleted ones are marked.
    pub fn messages(&self, chat: ChatId) -> Vec<Shown> {
        let state = self.shared.state();
        let chat = state.chat(chat);
        chat.posts.values().map(|post| state.shown(chat, post)).collect()
    }

    pub fn message(&self, chat: ChatId, id: MessageId) -> Option<Shown> {
        let state = self.shared.state();
        let chat = state.chat(chat);
        chat.posts.get(&id.0).map(|post| state.shown(chat, post))
    }

    /// Waits for a message by the bot that satisfies `wanted`, and gives the newest.
    ///
    /// # Errors
    /// After `limit`, with the transcript of the chat.
    pub fn wait_for(&self, chat: ChatId, wanted: impl Fn(&Shown) -> bool, limit: Duration) -> anyhow::Result<Shown> {
        let look = |state: &State| {
            let chat = state.chat(chat);
            let mut newest = chat.posts.values().rev().map(|post| state.shown(chat, post));
            newest.find(|shown| shown.by_bot && !shown.deleted && wanted(shown))
        };
        self.wait(limit, look).with_context(|| format!("no such message; the chat reads:\n{}", self.transcript(chat)))
    }

    /// Waits for a message by the bot that holds `text`.
    ///
    /// # Errors
    /// After `limit`, with the transcript of the chat.
    pub fn wait_text(&self, chat: ChatId, text: &str, limit: Duration) -> anyhow::Result<Shown> {
        self.wait_for(chat, |shown| shown.text.contains(text), limit).with_context(|| format!("waiting for {text:?}"))
    }

    /// The answer to a press, once there is one.
    ///
    /// # Errors
    /// After `limit`.
    pub fn wait_toast(&self, press: &str, limit: Duration) -> anyhow::Result<Toast> {
        self.wait(limit, |state| state.presses.toast(press))
    }

    /// The toasts of a chat, in the order of the presses.
    pub fn toasts(&self, chat: ChatId) -> Vec<Toast> {
        self.shared.state().presses.toasts(chat)
    }

    /// What the bot said it was about to do.
    pub fn actions(&self, chat: ChatId) -> Vec<Action> {
        self.shared.state().chat(chat).actions.clone()
    }

    /// The chat as lines of text: `who ↩ what they answer: text 📄 file [button=data] (edited 2×)`.
    pub fn transcript(&self, chat: ChatId) -> String {
        let state = self.shared.state();
        let chat = state.chat(chat);
        let mut text = String::new();
        for post in chat.posts.values() {
            state.shown(chat, post).line(&mut text, chat);
        }
        text
    }
}

impl Shown {
    fn line(&self, out: &mut String, chat: &Chat) {
        if let Some(service) = &self.service {
            return push(out, &format!("* {service}\n"));
        }
        push(out, &self.from);
        if let Some(topic) = self.topic.and_then(|topic| chat.topics.get(&topic)) {
            push(out, &format!(" in #{}", topic.name));
        }
        if let Some(answered) = self.reply_to.and_then(|id| chat.posts.get(&id.0)) {
            let begin: String = answered.text().chars().take(24).collect();
            push(out, &format!(" ↩ {:?}", begin));
        }
        push(out, ": ");
        push(out, &self.text.replace('\n', "\n    "));
        if let Some(document) = &self.document {
            let name = document.name.as_deref().unwrap_or("file");
            push(out, &format!(" 📄 {name} ({} bytes)", document.bytes.len()));
        }
        for row in &self.buttons {
            for button in row {
                let what = button.data.as_deref().or(button.url.as_deref()).unwrap_or("");
                push(out, &format!(" [{}={what}]", button.label));
            }
        }
        if !self.edits.is_empty() {
            push(out, &format!(" (edited {}×)", self.edits.len()));
        }
        let lost = self.answer == Some(Answer::Lost);
        for (is, note) in [(self.pinned, "pinned"), (self.deleted, "deleted"), (lost, "answer lost")] {
            if is {
                push(out, &format!(" ({note})"));
            }
        }
        out.push('\n');
    }
}

fn push(out: &mut String, text: &str) {
    out.write_str(text).expect("strings take everything");
}

impl State {
    fn shown(&self, chat: &Chat, post: &Post) -> Shown {
        let by_call = post
            .calls
            .first()
            .filter(|_| matches!(&post.author, Author::User(user) if *user == self.me) || chat.kind == Kind::Channel);
        let content = |field: &str| post.content.get(field);
        let file =
            ["document", "voice"].iter().find_map(|kind| content(kind)).or(content("photo").map(|sizes| &sizes[0]));
        let file = file.and_then(|file| file["file_id"].as_str()).and_then(|id| self.files.get(id));
        Shown {
            chat: chat.id,
            id: MessageId(post.id),
            from: self.name_of(chat, &post.author),
            by_bot: by_call.is_some(),
            text: post.text().to_owned(),
            entities: post.entities().to_vec(),
            edits: post.edits.clone(),
            reply_to: post.reply_to.map(MessageId),
            topic: post.topic,
            buttons: buttons(post.keyboard.as_ref()),
            document: file.map(|file| Document {
                name: file.name.clone(),
                mime: file.mime.clone(),
                bytes: file.bytes.clone(),
            }),
            service: post.is_service().then(|| self.happened(post)),
            silent: post.silent,
            pinned: chat.pinned.contains(&post.id),
            deleted: post.deleted,
            at: post.at,
            calls: post.calls.clone(),
            answer: by_call.map(|n| self.calls.get(*n).answer),
        }
    }

    fn name_of(&self, chat: &Chat, author: &Author) -> String {
        match author {
            Author::User(user) if *user == self.me => "bot".into(),
            Author::User(user) => self.user(*user).first_name.clone(),
            Author::Anonymous | Author::Channel => chat.title.clone(),
            Author::AsChannel(channel) | Author::Forwarded(channel) => self.chat(*channel).title.clone(),
        }
    }

    /// A service message in words.
    fn happened(&self, post: &Post) -> String {
        let name = |user: &Value| user["first_name"].as_str().unwrap_or("?").to_owned();
        let Some((field, value)) = post.content.iter().next() else { return "nothing".into() };
        match field.as_str() {
            "new_chat_members" => format!("{} joined", name(&value[0])),
            "left_chat_member" => format!("{} left", name(value)),
            "pinned_message" => format!("pinned {:?}", value["text"].as_str().unwrap_or("a message")),
            "migrate_to_chat_id" => format!("became {value}"),
            "migrate_from_chat_id" => format!("was {value}"),
            "forum_topic_created" => format!("topic #{}", value["name"].as_str().unwrap_or("")),
            other => other.replace('_', " "),
        }
    }
}
