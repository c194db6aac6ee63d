//! The same events as each transport tells them. A new frontend adds its dress here, and nothing else to the suite.

use borg_core::chat::{Update, UpdateKind};
use serde_json::{Value, json};

/// A person's id and a chat, as every transport may have them.
pub const PERSON: &str = "1001";
pub const CHAT: &str = "1001";

/// What happens in the private chat of a person we may know.
#[derive(Clone, Copy, Debug)]
pub struct Happening<'a> {
    pub kind: UpdateKind,
    pub text: &'a str,
    /// Receipt of a post of ours it answers, or whose button was pressed.
    pub about: Option<&'a str>,
    pub by: By,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    Person,
    Bot,
    Nobody,
}

/// The update of a frontend's transport.
pub fn update(frontend: &str, happening: Happening) -> Update {
    let raw = match frontend {
        "console" => String::new(),
        "telegram" => telegram(happening).to_string(),
        other => panic!("{other} has no dress"),
    };
    Update {
        id: "9".into(),
        receipt: if happening.kind == UpdateKind::Button { "press:77".into() } else { "5".into() },
        chat: CHAT.into(),
        sender: if happening.by == By::Nobody { String::new() } else { PERSON.into() },
        sender_name: "Ada".into(),
        sender_is_bot: happening.by == By::Bot,
        own_name: "borg_bot".into(),
        text: happening.text.into(),
        kind: happening.kind,
        reply_to: happening.about.map(str::to_owned),
        raw,
        marks: None,
    }
}

fn telegram(happening: Happening) -> Value {
    let chat = json!({"id": 1001, "type": "private", "first_name": "Ada"});
    let from = match happening.by {
        By::Person => json!({"id": 1001, "is_bot": false, "first_name": "Ada"}),
        By::Bot => json!({"id": 1001, "is_bot": true, "first_name": "Ada"}),
        By::Nobody => Value::Null,
    };
    let ours = json!({"id": 42, "is_bot": true, "first_name": "Borg", "username": "borg_bot"});
    let post = json!({"message_id": 3, "date": 1, "chat": chat, "from": ours, "text": "x"});
    let answered = if happening.about.is_some() { post.clone() } else { Value::Null };
    let mut message = json!({"message_id": 5, "date": 1, "chat": chat, "from": from, "reply_to_message": answered});
    match happening.kind {
        UpdateKind::Message => {
            message["text"] = happening.text.into();
            json!({"update_id": 9, "message": message})
        }
        UpdateKind::Edited => {
            message["text"] = happening.text.into();
            json!({"update_id": 9, "edited_message": message})
        }
        UpdateKind::Document => {
            message["caption"] = happening.text.into();
            message["document"] = json!({"file_id": "x"});
            json!({"update_id": 9, "message": message})
        }
        UpdateKind::Button => {
            json!({"update_id": 9, "callback_query": {"id": "77", "from": from, "data": happening.text, "message": post}})
        }
        UpdateKind::Other => json!({"update_id": 9, "wormhole": {"text": happening.text}}),
    }
}
