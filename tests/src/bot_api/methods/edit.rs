//! Changing what stands in a chat: edits, deletion, pins, and the answer to a button.

use super::{Context, Done};
use crate::bot_api::{
    chats::Kind,
    ids::ChatId,
    keyboard,
    posts::{Author, Edit, Post},
    presses::{TOAST_LIMIT, Toast},
    refusal::Refusal,
    text::{self, TEXT_LIMIT},
};
use serde_json::{Map, Value, json};

/// Seconds after which a bot can no longer delete a message.
const DELETABLE_S: i64 = 48 * 3600;

const NOT_MODIFIED: &str = "message is not modified: specified new message content and reply markup are exactly the same as a current content \
    and reply markup of the message";

pub(super) fn text(mut context: Context<'_>) -> Done {
    let done = context.formatted("text", "entities")?;
    let chat = context.writable()?;
    if done.text.is_empty() {
        return Err(Refusal::bad("message text is empty"));
    }
    if text::units(&done.text) > TEXT_LIMIT {
        return Err(Refusal::bad("MESSAGE_TOO_LONG"));
    }
    let id = context.own(chat)?;
    let keyboard = context.keyboard()?;
    let post = &context.state.chat(chat).posts[&id];
    if !post.content.contains_key("text") {
        return Err(Refusal::bad("there is no text in the message to edit"));
    }
    if post.text() == done.text && post.entities() == done.entities && post.keyboard == keyboard {
        return Err(Refusal::bad(NOT_MODIFIED));
    }
    context.meter(chat)?;
    context.change(chat, id, |post| {
        post.content.insert("text".into(), json!(done.text));
        post.content.remove("entities");
        if !done.entities.is_empty() {
            post.content.insert("entities".into(), json!(done.entities));
        }
        post.keyboard = keyboard;
    })
}

pub(super) fn reply_markup(mut context: Context<'_>) -> Done {
    let chat = context.writable()?;
    let id = context.own(chat)?;
    let keyboard = context.keyboard()?;
    if context.state.chat(chat).posts[&id].keyboard == keyboard {
        return Err(Refusal::bad(NOT_MODIFIED));
    }
    context.meter(chat)?;
    context.change(chat, id, |post| post.keyboard = keyboard)
}

pub(super) fn delete(context: Context<'_>) -> Done {
    let chat_id = context.writable()?;
    let id = context.message_id()?;
    let chat = context.state.chat(chat_id);
    let Some(post) = chat.posts.get(&id).filter(|post| !post.deleted) else {
        return Err(Refusal::bad("message to delete not found"));
    };
    let own = context.is_own(post);
    let in_private = matches!(chat.kind, Kind::Private { .. });
    if !own && !in_private && !chat.standing(context.state.me).is_admin() {
        return Err(Refusal::bad("message can't be deleted"));
    }
    if context.state.clock.unix() - post.date > DELETABLE_S {
        return Err(Refusal::bad("message can't be deleted for everyone"));
    }
    let post = context.state.chat_mut(chat_id).posts.get_mut(&id).expect("it was just found");
    post.deleted = true;
    post.calls.push(context.n);
    Ok(json!(true))
}

pub(super) fn pin(context: Context<'_>) -> Done {
    let chat_id = context.writable()?;
    let id = context.message_id()?;
    let chat = context.state.chat(chat_id);
    if chat.is_group() && !chat.standing(context.state.me).is_admin() {
        return Err(Refusal::bad("not enough rights to manage pinned messages in the chat"));
    }
    let Some(post) = chat.posts.get(&id).filter(|post| !post.deleted) else {
        return Err(Refusal::bad("message to pin not found"));
    };
    if chat.pinned.contains(&id) {
        return Ok(json!(true));
    }
    let (topic, pinned) = (post.topic, context.state.message(chat_id, post));
    let is_channel = chat.kind == Kind::Channel;
    context.state.chat_mut(chat_id).pinned.push(id);
    let mut content = Map::new();
    content.insert("pinned_message".into(), pinned);
    let mut note = Post::new(if is_channel { Author::Channel } else { Author::User(context.state.me) }, content);
    note.topic = topic;
    note.calls.push(context.n);
    let note = context.state.put(chat_id, note);
    // Of its own service messages a bot is told about this one.
    let update = context.state.message(chat_id, &context.state.chat(chat_id).posts[&note.0]);
    context.state.update(if is_channel { "channel_post" } else { "message" }, update);
    Ok(json!(true))
}

pub(super) fn answer_callback_query(context: Context<'_>) -> Done {
    let toast = Toast { text: context.params.text("text"), alert: context.params.flag("show_alert") };
    if text::units(&toast.text) > TOAST_LIMIT {
        return Err(Refusal::bad("MESSAGE_TOO_LONG"));
    }
    let (now, life) = (context.state.clock.now(), context.state.press_life);
    if context.state.presses.answer(&context.params.text("callback_query_id"), toast, now, life) {
        return Ok(json!(true));
    }
    Err(Refusal::bad("query is too old and response timeout expired or query ID is invalid"))
}

impl Context<'_> {
    fn message_id(&self) -> Result<i64, Refusal> {
        let id = self.params.integer("message_id").filter(|id| *id > 0);
        id.ok_or_else(|| Refusal::bad("message identifier is not specified"))
    }

    fn is_own(&self, post: &Post) -> bool {
        // What a channel says is the bot's when a call of the bot made it.
        post.is_by(self.state.me) || (post.author == Author::Channel && !post.calls.is_empty())
    }

    /// The message named, if the bot may edit it.
    fn own(&self, chat: ChatId) -> Result<i64, Refusal> {
        let id = self.message_id()?;
        match self.state.chat(chat).posts.get(&id) {
            Some(post) if post.deleted => Err(Refusal::bad("message to edit not found")),
            Some(post) if !self.is_own(post) || post.is_service() => Err(Refusal::bad("message can't be edited")),
            Some(_) => Ok(id),
            None => Err(Refusal::bad("message to edit not found")),
        }
    }

    fn keyboard(&self) -> Result<Option<Value>, Refusal> {
        keyboard::inline(self.params.json("reply_markup", "reply keyboard markup")?.as_ref())
    }

    fn change(&mut self, chat: ChatId, id: i64, change: impl FnOnce(&mut Post)) -> Done {
        let (n, date, at) = (self.n, self.state.clock.unix(), self.state.clock.elapsed());
        let post = self.state.chat_mut(chat).posts.get_mut(&id).expect("it was checked to be there");
        post.edits.push(Edit { text: post.text().to_owned(), until: at });
        post.edit_date = Some(date);
        post.calls.push(n);
        change(post);
        Ok(self.state.message(chat, &self.state.chat(chat).posts[&id]))
    }
}
