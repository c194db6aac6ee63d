//! One message of a chat, as it is kept and as the Bot API writes it down.

use super::{
    ids::{CHANNEL_BOT, ChatId, GROUP_ANONYMOUS_BOT, TELEGRAM, TopicId, UserId},
    state::State,
};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// Whose name stands above a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Author {
    User(UserId),
    /// An administrator who speaks for the group.
    Anonymous,
    /// Somebody who speaks for a channel, in a group.
    AsChannel(ChatId),
    /// The channel itself, in the channel.
    Channel,
    /// Telegram, which forwards from a linked channel.
    Forwarded(ChatId),
}

/// An earlier version of a message.
#[derive(Clone, Debug, PartialEq)]
pub struct Edit {
    pub text: String,
    /// When it was replaced, since the start of the stand-in.
    pub until: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct Post {
    pub id: i64,
    pub author: Author,
    /// Unix seconds.
    pub date: i64,
    pub at: Duration,
    pub edit_date: Option<i64>,
    pub edits: Vec<Edit>,
    /// What the message is, as fields of `Message`: text and its entities, media, or a service message.
    pub content: Map<String, Value>,
    pub keyboard: Option<Value>,
    pub reply_to: Option<i64>,
    pub topic: Option<TopicId>,
    pub silent: bool,
    pub deleted: bool,
    /// Meant for the bot: a command to it, or an answer to it. Answers to such a message reach it too.
    pub meant: bool,
    /// The calls that made and changed it, by number.
    pub calls: Vec<u64>,
}

impl Post {
    pub fn new(author: Author, content: Map<String, Value>) -> Self {
        Self {
            id: 0,
            author,
            date: 0,
            at: Duration::ZERO,
            edit_date: None,
            edits: Vec::new(),
            content,
            keyboard: None,
            reply_to: None,
            topic: None,
            silent: false,
            deleted: false,
            meant: false,
            calls: Vec::new(),
        }
    }

    /// Text or caption; empty when there is none.
    pub fn text(&self) -> &str {
        let text = self.content.get("text").or_else(|| self.content.get("caption"));
        text.and_then(Value::as_str).unwrap_or("")
    }

    /// Entities of the text or caption.
    pub fn entities(&self) -> &[Value] {
        let entities = self.content.get("entities").or_else(|| self.content.get("caption_entities"));
        entities.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
    }

    pub fn is_by(&self, user: UserId) -> bool {
        self.author == Author::User(user)
    }

    pub fn is_service(&self) -> bool {
        const CONTENT: [&str; 4] = ["text", "document", "photo", "voice"];
        !CONTENT.iter().any(|field| self.content.contains_key(*field))
    }
}

/// Content of a plain text message.
pub(super) fn text_content(text: String, entities: Vec<Value>) -> Map<String, Value> {
    let mut content = Map::new();
    content.insert("text".into(), json!(text));
    if !entities.is_empty() {
        content.insert("entities".into(), json!(entities));
    }
    content
}

impl State {
    /// The `Message` object.
    pub fn message(&self, chat: ChatId, post: &Post) -> Value {
        self.message_at(chat, post, true)
    }

    fn message_at(&self, chat_id: ChatId, post: &Post, with_reply: bool) -> Value {
        let chat = self.chat(chat_id);
        let mut wire = json!({ "message_id": post.id, "date": post.date, "chat": self.chat_wire(chat_id) });
        match &post.author {
            Author::User(user) => wire["from"] = self.user_wire(*user),
            Author::Anonymous => {
                wire["from"] = self.user_wire(GROUP_ANONYMOUS_BOT);
                wire["sender_chat"] = self.chat_wire(chat_id);
            }
            Author::AsChannel(channel) => {
                wire["from"] = self.user_wire(CHANNEL_BOT);
                wire["sender_chat"] = self.chat_wire(*channel);
            }
            Author::Channel => wire["sender_chat"] = self.chat_wire(chat_id),
            Author::Forwarded(channel) => {
                wire["from"] = self.user_wire(TELEGRAM);
                wire["sender_chat"] = self.chat_wire(*channel);
            }
        }
        if let Some(topic) = post.topic {
            wire["message_thread_id"] = json!(topic.0);
            wire["is_topic_message"] = json!(true);
        }
        if let Some(date) = post.edit_date {
            wire["edit_date"] = json!(date);
        }
        // Without a reply of its own a message in a topic answers the message that opened the topic.
        let answered = post.reply_to.or(post.topic.map(|topic| topic.0).filter(|root| *root != post.id));
        let answered = answered.and_then(|id| chat.posts.get(&id)).filter(|answered| !answered.deleted);
        if let (true, Some(answered)) = (with_reply, answered) {
            wire["reply_to_message"] = self.message_at(chat_id, answered, false);
        }
        for (field, value) in &post.content {
            wire[field] = value.clone();
        }
        if let Some(keyboard) = &post.keyboard {
            wire["reply_markup"] = keyboard.clone();
        }
        wire
    }
}
