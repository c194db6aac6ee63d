//! What the host and a chat frontend say to each other. The WIT form of these is `wit/chat.wit`, where each field is described.

use crate::people::PersonId;
use serde::{Deserialize, Serialize};

/// What is known of a chat that is one of ours.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Registration {
    pub by: PersonId,
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Repository of tasks that are asked for there and name none.
    pub repository: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Transport {
    Telegram,
    Console,
    Web,
    Http,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChatInfo {
    pub name: String,
    pub summary: String,
    pub transport: Transport,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateKind {
    Message,
    Edited,
    Button,
    Document,
    Other,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Update {
    pub id: String,
    pub receipt: String,
    pub chat: String,
    pub sender: String,
    pub sender_name: String,
    pub sender_is_bot: bool,
    pub own_name: String,
    pub text: String,
    pub kind: UpdateKind,
    pub reply_to: Option<String>,
    pub raw: String,
    /// What the transport itself saw of the words; none where nobody told, and then nothing in it is a command.
    #[serde(default)]
    pub marks: Option<Marks>,
}

/// Whose words an update brings, and where they name us: seen by the transport, which no component can change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Marks {
    /// Somebody else said it first.
    pub forwarded: bool,
    /// A bot wrote it, in the name of who sent it.
    pub via_bot: bool,
    /// Where `text` mentions us: from and to, in bytes, in order and apart from each other.
    pub mentions: Vec<(usize, usize)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Addressed {
    Command,
    Mention,
    Reply,
    Button,
    PrivateChat,
    Overheard,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    pub sender: String,
    pub chat: String,
    pub text: String,
    pub addressed: Addressed,
    pub reply_to: Option<String>,
    pub problem: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoticeKind {
    Answer,
    Hint,
    Progress,
    Final,
    Review,
    Question,
    Warning,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    Heading(String),
    Text(String),
    Code { language: String, text: String },
    Item(String),
    Field { label: String, value: String },
    Diff(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Button {
    pub label: String,
    /// At most 64 bytes.
    pub action: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Document {
    pub name: String,
    pub text: String,
}

/// Something to tell a person; text in it is not to be trusted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    pub chat: String,
    pub kind: NoticeKind,
    pub topic: String,
    pub parts: Vec<Part>,
    pub buttons: Vec<Button>,
    pub document: Option<Document>,
    pub replaces: Option<String>,
    pub reply_to: Option<String>,
    pub silent: bool,
    /// Columns of a text frontend; 0 when unknown.
    pub width: u32,
}

impl Notice {
    /// One with nothing but words; progress makes no sound.
    pub fn new(chat: &str, kind: NoticeKind, topic: &str, parts: Vec<Part>) -> Self {
        Notice {
            chat: chat.to_owned(),
            kind,
            topic: topic.to_owned(),
            parts,
            buttons: Vec::new(),
            document: None,
            replaces: None,
            reply_to: None,
            silent: kind == NoticeKind::Progress,
            width: 0,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TextPost {
    pub chat: String,
    pub text: String,
    pub entities: String,
    pub buttons: Vec<Button>,
    pub reply_to: Option<String>,
    pub silent: bool,
}

impl Part {
    /// A label and what belongs to it.
    pub fn field(label: impl Into<String>, value: impl Into<String>) -> Self {
        Part::Field { label: label.into(), value: value.into() }
    }
}

impl TextPost {
    /// A post of words alone, that no plugin laid out.
    pub fn plain(chat: &str, text: impl Into<String>) -> Self {
        TextPost {
            chat: chat.to_owned(),
            text: text.into(),
            entities: String::new(),
            buttons: Vec::new(),
            reply_to: None,
            silent: false,
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Post {
    Send(TextPost),
    Edit { receipt: String, post: TextPost },
    Document { chat: String, document: Document, caption: String, reply_to: Option<String> },
    Answer { chat: String, press: String, text: String },
    Typing { chat: String },
}
