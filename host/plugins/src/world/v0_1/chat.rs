//! Whose words an update brings arrived as pairs.

use crate::world::wit::chat::{self as wit, UpdateKind};
use wasmtime::component::{ComponentType, Lower};

#[derive(ComponentType, Lower)]
#[component(record)]
pub(crate) struct Update {
    id: String,
    receipt: String,
    chat: String,
    sender: String,
    #[component(name = "sender-name")]
    sender_name: String,
    #[component(name = "sender-is-bot")]
    sender_is_bot: bool,
    #[component(name = "own-name")]
    own_name: String,
    text: String,
    kind: UpdateKind,
    #[component(name = "reply-to")]
    reply_to: Option<String>,
    raw: String,
    extra: Vec<(String, String)>,
}

impl From<wit::Update> for Update {
    fn from(update: wit::Update) -> Self {
        let extra = marks(&update);
        Update {
            id: update.id,
            receipt: update.receipt,
            chat: update.chat,
            sender: update.sender,
            sender_name: update.sender_name,
            sender_is_bot: update.sender_is_bot,
            own_name: update.own_name,
            text: update.text,
            kind: update.kind,
            reply_to: update.reply_to,
            raw: update.raw,
            extra,
        }
    }
}

/// `forwarded` and `via-bot`, each `true` where it is so, `unmarked` where nobody told.
fn marks(update: &wit::Update) -> Vec<(String, String)> {
    let marks = match &update.marks {
        Some(marks) => vec![("forwarded", marks.forwarded), ("via-bot", marks.via_bot)],
        None => vec![("unmarked", true)],
    };
    marks.into_iter().filter(|(_, is_so)| *is_so).map(|(name, _)| (name.to_owned(), "true".to_owned())).collect()
}
