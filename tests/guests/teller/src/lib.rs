//! A chat that says what time the host tells it, and what time its own standard library believes it to be; told `tell`, it says all it was
//! handed.

wit_bindgen::generate!({ world: "chat-plugin", path: "../../../wit" });

use borg::plugin::clock;
use exports::borg::plugin::chat::{
    Addressed, Batch, ChatInfo, Guest, Notice, Part, Post, Said, SendError, TextPost, Transport, Update,
};
use std::time::{SystemTime, UNIX_EPOCH};

struct Teller;

impl Guest for Teller {
    fn describe() -> ChatInfo {
        ChatInfo {
            name: "teller".into(),
            summary: "tells the time".into(),
            transport: Transport::Console,
            extra: vec![],
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "a plugin cannot ask the host's clock module; what it sees here is under test"
    )]
    fn hear(settings: String, update: Update) -> Vec<Said> {
        let own = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis());
        let text = match update.text.as_str() {
            "tell" => format!("{update:?}"),
            _ => format!("{} {own}", clock::now_ms()),
        };
        vec![Said {
            sender: update.sender,
            chat: update.chat,
            text,
            problem: Some(settings),
            addressed: Addressed::Overheard,
            reply_to: update.reply_to,
            extra: vec![],
        }]
    }

    /// Gives every part back as a post of its own kind.
    fn show(_: String, notice: Notice) -> Vec<Post> {
        let text_post = |text: String| TextPost {
            chat: notice.chat.clone(),
            text,
            entities: String::new(),
            buttons: notice.buttons.clone(),
            reply_to: notice.reply_to.clone(),
            silent: notice.silent,
        };
        let text = |part: &Part| match part {
            Part::Heading(text) => format!("# {text}"),
            Part::Text(text) => text.clone(),
            Part::Code((language, text)) => format!("{language}: {text}"),
            Part::Item(text) => format!("- {text}"),
            Part::Field((label, value)) => format!("{label} = {value}"),
            Part::Diff(text) => format!("diff {text}"),
        };
        notice.parts.iter().map(|part| Post::Send(text_post(text(part)))).collect()
    }

    fn poll(_: String, _: Option<String>) -> Result<Batch, String> {
        Err("not of transport http".into())
    }

    fn send(_: String, _: Post, _: String) -> Result<String, SendError> {
        Err(SendError::Refused("not of transport http".into()))
    }
}

export!(Teller);
