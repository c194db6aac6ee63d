//! What people do, as tests tell it: they make chats, come and go, write, press. What of it the bot hears is decided in `reach.rs`.

mod members;
mod presses;
mod reach;
mod says;
mod setting;

use super::ids::{ChatId, MessageId, TopicId, UserId};
use serde_json::Value;

/// Who writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speaker {
    Person(UserId),
    /// An administrator who speaks for the group.
    Anonymous,
    /// Somebody who speaks for a channel, in a group.
    AsChannel(ChatId),
    /// The channel itself, in the channel.
    Channel,
}

impl From<UserId> for Speaker {
    fn from(user: UserId) -> Self {
        Self::Person(user)
    }
}

/// A file that comes with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Media {
    Document { name: String, mime: String, bytes: Vec<u8> },
    Photo { bytes: Vec<u8> },
    Voice { seconds: u32, bytes: Vec<u8> },
}

/// What is written. A plain string is a text message.
#[derive(Clone, Debug, Default)]
pub struct Say {
    text: String,
    entities: Option<Value>,
    media: Option<Media>,
    reply_to: Option<MessageId>,
    topic: Option<TopicId>,
    album: Option<String>,
    anyway: bool,
}

impl From<&str> for Say {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Say {
    fn from(text: String) -> Self {
        Self { text, ..Self::default() }
    }
}

impl Say {
    /// Commands, mentions and links in it are found as Telegram finds them.
    pub fn text(text: &str) -> Self {
        text.to_owned().into()
    }

    pub fn document(name: &str, mime: &str, bytes: &[u8]) -> Self {
        let media = Media::Document { name: name.into(), mime: mime.into(), bytes: bytes.to_vec() };
        Self { media: Some(media), ..Self::default() }
    }

    pub fn photo(bytes: &[u8]) -> Self {
        Self { media: Some(Media::Photo { bytes: bytes.to_vec() }), ..Self::default() }
    }

    pub fn voice(seconds: u32, bytes: &[u8]) -> Self {
        Self { media: Some(Media::Voice { seconds, bytes: bytes.to_vec() }), ..Self::default() }
    }

    /// Text below a file.
    pub fn caption(self, text: &str) -> Self {
        Self { text: text.into(), ..self }
    }

    /// Entities the writer set, as the Bot API writes them.
    pub fn entities(self, entities: Value) -> Self {
        Self { entities: Some(entities), ..self }
    }

    pub fn reply_to(self, message: MessageId) -> Self {
        Self { reply_to: Some(message), ..self }
    }

    pub fn in_topic(self, topic: TopicId) -> Self {
        Self { topic: Some(topic), ..self }
    }

    /// The bot hears it though it should not, such as the words of another bot.
    pub fn anyway(self) -> Self {
        Self { anyway: true, ..self }
    }
}
