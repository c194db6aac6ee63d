//! Sending: text, documents, and the note that something is being prepared.

use super::{Context, Done};
use crate::bot_api::{
    chats::{Action, Kind},
    files::UPLOAD_LIMIT,
    ids::{ChatId, TopicId},
    keyboard,
    posts::{Author, Post, text_content},
    refusal::Refusal,
    text::{self, CAPTION_LIMIT, Formatted, TEXT_LIMIT},
};
use serde_json::{Map, Value, json};

const PARSE_MODES: [&str; 3] = ["markdown", "markdownv2", "html"];
const ACTIONS: [&str; 13] = [
    "typing",
    "upload_photo",
    "record_video",
    "upload_video",
    "record_voice",
    "upload_voice",
    "record_audio",
    "upload_audio",
    "upload_document",
    "choose_sticker",
    "find_location",
    "record_video_note",
    "upload_video_note",
];

pub(super) fn message(mut context: Context<'_>) -> Done {
    let done = context.formatted("text", "entities")?;
    let chat = context.writable()?;
    if done.text.is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    if text::units(&done.text) > TEXT_LIMIT {
        return Err(Refusal::bad("message is too long"));
    }
    context.post(chat, text_content(done.text, done.entities))
}

pub(super) fn document(mut context: Context<'_>) -> Done {
    let caption = context.formatted("caption", "caption_entities")?;
    let chat = context.writable()?;
    if text::units(&caption.text) > CAPTION_LIMIT {
        return Err(Refusal::bad("message caption is too long"));
    }
    let id = match context.params.upload("document") {
        Some(upload) if upload.bytes.is_empty() => return Err(Refusal::bad("file must be non-empty")),
        Some(upload) if upload.bytes.len() > UPLOAD_LIMIT => return Err(Refusal::new(413, "Request Entity Too Large")),
        Some(upload) => {
            let (name, mime) = (upload.name.clone(), upload.mime.clone());
            context.state.files.keep("documents", name, mime, upload.bytes.clone())
        }
        None => match context.params.text("document") {
            given if given.is_empty() => return Err(Refusal::bad("there is no document in the request")),
            given if given.starts_with("http://") || given.starts_with("https://") => {
                context.problem("documents by URL are not played");
                return Err(Refusal::bad("failed to get HTTP URL content"));
            }
            given if context.state.files.get(&given).is_some() => given,
            _ => {
                return Err(Refusal::bad(
                    "wrong remote file identifier specified: can't unserialize it. Wrong last symbol",
                ));
            }
        },
    };
    let mut content = Map::new();
    content.insert("document".into(), context.state.files.document(&id));
    if !caption.text.is_empty() {
        content.insert("caption".into(), json!(caption.text));
    }
    if !caption.entities.is_empty() {
        content.insert("caption_entities".into(), json!(caption.entities));
    }
    context.post(chat, content)
}

pub(super) fn chat_action(context: Context<'_>) -> Done {
    let chat = context.writable()?;
    let action = context.params.text("action").to_ascii_lowercase();
    if !ACTIONS.contains(&action.as_str()) {
        return Err(Refusal::bad("wrong parameter action in request"));
    }
    let topic = context.topic(chat)?;
    let at = context.state.clock.elapsed();
    context.state.chat_mut(chat).actions.push(Action { action, topic, at });
    Ok(json!(true))
}

impl Context<'_> {
    /// The text in one parameter with the entities in another.
    pub(super) fn formatted(&mut self, field: &str, entities: &str) -> Result<Formatted, Refusal> {
        let mode = self.params.text("parse_mode").to_ascii_lowercase();
        if !mode.is_empty() {
            if !PARSE_MODES.contains(&mode.as_str()) {
                return Err(Refusal::bad("unsupported parse_mode"));
            }
            self.problem("mark-up is not played, send entities");
            return Err(Refusal::bad("can't parse entities: mark-up is not played here"));
        }
        let entities = self.params.json(entities, "entities")?;
        let done = text::formatted(&self.params.text(field), entities.as_ref())?;
        for repair in &done.repaired {
            self.problem(format!("the server repaired entities: {repair}"));
        }
        Ok(done)
    }

    /// The topic a call names; refused when there is none of that number, or it is closed.
    fn topic(&self, chat: ChatId) -> Result<Option<TopicId>, Refusal> {
        let Some(id) = self.params.integer("message_thread_id").filter(|id| *id != 0) else { return Ok(None) };
        let chat = self.state.chat(chat);
        if !matches!(chat.kind, Kind::Supergroup { forum: true }) {
            return Err(Refusal::bad("message thread not found"));
        }
        match chat.topics.get(&TopicId(id)) {
            None => Err(Refusal::bad("message thread not found")),
            Some(topic) if topic.closed && !chat.standing(self.state.me).is_admin() => {
                Err(Refusal::bad("TOPIC_CLOSED"))
            }
            Some(_) => Ok(Some(TopicId(id))),
        }
    }

    /// The message answered, by `reply_parameters` or the older `reply_to_message_id`.
    fn reply_to(&self, chat: ChatId) -> Result<Option<i64>, Refusal> {
        let parameters = self.params.json("reply_parameters", "reply parameters")?;
        let (id, lenient) = match &parameters {
            Some(given) => (given["message_id"].as_i64(), given["allow_sending_without_reply"] == true),
            None => (self.params.integer("reply_to_message_id"), self.params.flag("allow_sending_without_reply")),
        };
        let Some(id) = id.filter(|id| *id > 0) else { return Ok(None) };
        let elsewhere =
            parameters.as_ref().is_some_and(|given| !given["chat_id"].is_null() && given["chat_id"] != chat.0);
        match self.state.chat(chat).posts.get(&id) {
            Some(post) if !post.deleted && !elsewhere => Ok(Some(id)),
            Some(_) | None if lenient => Ok(None),
            Some(_) | None => Err(Refusal::bad("message to be replied not found")),
        }
    }

    /// Puts the bot's own message into a chat and answers with it.
    fn post(&mut self, chat: ChatId, content: Map<String, Value>) -> Done {
        let keyboard = keyboard::inline(self.params.json("reply_markup", "reply keyboard markup")?.as_ref())?;
        let reply_to = self.reply_to(chat)?;
        let topic = self.topic(chat)?;
        self.meter(chat)?;
        let is_channel = self.state.chat(chat).kind == Kind::Channel;
        let author = if is_channel { Author::Channel } else { Author::User(self.state.me) };
        let mut post = Post::new(author, content);
        post.keyboard = keyboard;
        post.reply_to = reply_to;
        // An answer stands where the message stands that it answers.
        let answered = reply_to.and_then(|id| self.state.chat(chat).posts.get(&id));
        post.topic = topic.or(answered.and_then(|answered| answered.topic));
        post.silent = self.params.flag("disable_notification");
        post.calls.push(self.n);
        let id = self.state.put(chat, post);
        let me = self.state.me;
        self.state.chat_mut(chat).last_bot = Some(me);
        let chat_now = self.state.chat(chat);
        Ok(self.state.message(chat, &chat_now.posts[&id.0]))
    }
}
