//! People write, change and take back what they wrote.

use super::{Media, Say, Speaker};
use crate::bot_api::{
    BotApi,
    chats::Kind,
    ids::{ChatId, MessageId},
    posts::{Author, Edit, Post, text_content},
    state::State,
    text,
};
use hyper::body::Bytes;
use serde_json::{Map, Value, json};

impl BotApi {
    /// Somebody writes into a chat. To write to the bot privately is to press Start.
    ///
    /// # Panics
    /// When the speaker could not: one who is not in the group, or has blocked the bot.
    pub fn say(&self, chat: ChatId, who: impl Into<Speaker>, what: impl Into<Say>) -> MessageId {
        let (who, what) = (who.into(), what.into());
        self.shared.change(|state| state.say(chat, who, what))
    }

    /// Somebody sends several files as one album: as many messages that belong together.
    pub fn say_album(&self, chat: ChatId, who: impl Into<Speaker>, parts: Vec<Say>) -> Vec<MessageId> {
        let who = who.into();
        self.shared.change(|state| {
            let album = format!("{}", 13_500_000_000_000_000_i64 + state.fresh_id());
            parts.into_iter().map(|part| state.say(chat, who, Say { album: Some(album.clone()), ..part })).collect()
        })
    }

    /// Somebody changes the text or caption of what they wrote.
    pub fn edit_said(&self, chat: ChatId, message: MessageId, new: &str) {
        self.shared.change(|state| {
            let done = text::formatted(new, None).expect("text without entities is taken");
            let (date, at) = (state.clock.unix(), state.clock.elapsed());
            let post = state.chat_mut(chat).posts.get_mut(&message.0).expect("the message was written");
            post.edits.push(Edit { text: post.text().to_owned(), until: at });
            post.edit_date = Some(date);
            let (text, entities) =
                if post.content.contains_key("text") { ("text", "entities") } else { ("caption", "caption_entities") };
            post.content.insert(text.into(), json!(done.text));
            post.content.remove(entities);
            if !done.entities.is_empty() {
                post.content.insert(entities.into(), json!(done.entities));
            }
            state.tell(chat, message.0);
        });
    }

    /// Somebody deletes a message; bots are not told.
    pub fn delete_said(&self, chat: ChatId, message: MessageId) {
        self.shared.change(|state| {
            let post = state.chat_mut(chat).posts.get_mut(&message.0).expect("the message was written");
            post.deleted = true;
        });
    }

    /// What a channel wrote appears in the group linked to it, as Telegram forwards it there by itself.
    pub fn forward_from_channel(&self, channel: ChatId, message: MessageId, group: ChatId) -> MessageId {
        self.shared.change(|state| {
            let original = &state.chat(channel).posts[&message.0];
            let mut content = original.content.clone();
            let origin = json!({ "type": "channel", "chat": state.chat_wire(channel), "message_id": message.0, "date": original.date });
            content.insert("is_automatic_forward".into(), json!(true));
            content.insert("forward_origin".into(), origin);
            let id = state.put(group, Post::new(Author::Forwarded(channel), content));
            state.tell(group, id.0);
            id
        })
    }
}

impl State {
    fn say(&mut self, chat: ChatId, who: Speaker, what: Say) -> MessageId {
        self.may_say(chat, who);
        let content = self.content(&what);
        let author = match who {
            Speaker::Person(user) => Author::User(user),
            Speaker::Anonymous => Author::Anonymous,
            Speaker::AsChannel(channel) => Author::AsChannel(channel),
            Speaker::Channel => Author::Channel,
        };
        let mut post = Post::new(author, content);
        post.reply_to = what.reply_to.map(|id| id.0);
        post.topic = what.topic;
        if let Speaker::Person(user) = who
            && self.user(user).is_bot
        {
            self.chat_mut(chat).last_bot = Some(user);
        }
        let id = self.put(chat, post);
        if what.anyway {
            self.tell_always(chat, id.0);
        } else {
            self.tell(chat, id.0);
        }
        id
    }

    fn may_say(&mut self, id: ChatId, who: Speaker) {
        let chat = self.chat_mut(id);
        match (&mut chat.kind, who) {
            (Kind::Private { user, started, blocked }, Speaker::Person(person)) => {
                assert!(*user == person, "nobody else writes into the private chat of {user:?}");
                assert!(!*blocked, "{user:?} has blocked the bot");
                *started = true;
            }
            (Kind::Group { migrated_to }, _) if migrated_to.is_some() => panic!("the group has become a supergroup"),
            (Kind::Group { .. } | Kind::Supergroup { .. }, Speaker::Person(person)) => {
                assert!(chat.standing(person).is_in(), "{person:?} is not in {id:?}");
            }
            (Kind::Supergroup { .. } | Kind::Group { .. }, Speaker::Anonymous | Speaker::AsChannel(_))
            | (Kind::Channel, Speaker::Channel) => {}
            (kind, who) => panic!("{who:?} cannot write into {kind:?}"),
        }
    }

    fn content(&mut self, what: &Say) -> Map<String, Value> {
        let done = text::formatted(&what.text, what.entities.as_ref()).expect("a script sets entities that fit");
        let Some(media) = &what.media else { return text_content(done.text, done.entities) };
        let keep = |state: &mut Self, folder: &str, name: Option<&String>, mime: Option<&str>, bytes: &Vec<u8>| {
            state.files.keep(folder, name.cloned(), mime.map(str::to_owned), Bytes::from(bytes.clone()))
        };
        let (field, value) = match media {
            Media::Document { name, mime, bytes } => {
                let id = keep(self, "documents", Some(name), Some(mime), bytes);
                ("document", self.files.document(&id))
            }
            Media::Photo { bytes } => {
                let id = keep(self, "photos", None, None, bytes);
                let size = |side: u32| {
                    let mut size = self.files.wire(&id);
                    (size["width"], size["height"]) = (json!(side), json!(side));
                    size
                };
                ("photo", json!([size(90), size(320), size(1280)]))
            }
            Media::Voice { seconds, bytes } => {
                let id = keep(self, "voice", None, Some("audio/ogg"), bytes);
                let mut voice = self.files.wire(&id);
                (voice["duration"], voice["mime_type"]) = (json!(seconds), json!("audio/ogg"));
                ("voice", voice)
            }
        };
        let mut content = Map::new();
        content.insert(field.into(), value);
        if let Some(album) = &what.album {
            content.insert("media_group_id".into(), json!(album));
        }
        if !done.text.is_empty() {
            content.insert("caption".into(), json!(done.text));
        }
        if !done.entities.is_empty() {
            content.insert("caption_entities".into(), json!(done.entities));
        }
        content
    }

    /// Tells the bot of a message or its change, if it is to hear of it.
    pub fn tell(&mut self, chat: ChatId, id: i64) {
        if self.reaches(chat, id) {
            self.tell_always(chat, id);
        }
    }

    pub fn tell_always(&mut self, chat: ChatId, id: i64) {
        let place = self.chat(chat);
        let post = &place.posts[&id];
        let kind = match (place.kind == Kind::Channel, post.edit_date.is_some()) {
            (false, false) => "message",
            (false, true) => "edited_message",
            (true, false) => "channel_post",
            (true, true) => "edited_channel_post",
        };
        let message = self.message(chat, post);
        self.update(kind, message);
    }
}
