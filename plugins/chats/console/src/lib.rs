//! The console: what a person types in a terminal, and what is shown there. Plain text without colours, so that it reads the same in a pipe.
//! The terminal itself (prompt, history, redrawing) is the host's; layout is in `layout.rs`, wrapping in `wrap.rs`.

mod layout;
mod wrap;

use borg_sdk::chat::{
    Addressed, Chat, ChatInfo, DocumentPost, EditPost, Notice, NoticeKind, Post, Said, TextPost, Transport, Update,
    UpdateKind,
};
use borg_sdk::{file_name, visible};

pub struct Console;

borg_sdk::chat!(Console);

impl Chat for Console {
    fn describe() -> ChatInfo {
        ChatInfo::new("console", "Talks to the person at the terminal", Transport::Console)
    }

    /// A line that begins with `/` is a command; in a terminal everything else is meant for us too.
    fn hear(_: &str, update: Update) -> Vec<Said> {
        let addressed = match update.kind {
            UpdateKind::Button => Addressed::Button,
            UpdateKind::Message if update.text.trim_start().starts_with('/') => Addressed::Command,
            UpdateKind::Message if update.reply_to.is_some() => Addressed::Reply,
            UpdateKind::Message => Addressed::PrivateChat,
            UpdateKind::Edited | UpdateKind::Document | UpdateKind::Other => return Vec::new(),
        };
        // Terminals slip control characters into what is pasted; what else is hidden was meant to be.
        let text: String = update.text.chars().filter(|c| !c.is_control() || matches!(c, '\n' | '\t')).collect();
        let text = visible(text.trim());
        if text.is_empty() || update.sender.is_empty() || update.sender_is_bot {
            return Vec::new();
        }
        vec![Said {
            sender: update.sender,
            chat: update.chat,
            text: text.into_owned(),
            addressed,
            reply_to: update.reply_to,
            problem: None,
            extra: Vec::new(),
        }]
    }

    fn show(_: &str, notice: Notice) -> Vec<Post> {
        let mut posts = Vec::new();
        // A terminal writes over a row of its own, and over no more than that.
        let text = match (notice.kind, &notice.replaces) {
            (NoticeKind::Progress, Some(_)) => layout::row(&notice),
            _ => layout::text(&notice),
        };
        if !text.is_empty() {
            // Buttons stand in the text as commands; a terminal has nothing to press.
            let post = TextPost {
                chat: notice.chat.clone(),
                text,
                reply_to: notice.reply_to.clone(),
                silent: notice.silent,
                ..TextPost::default()
            };
            posts.push(match notice.replaces {
                Some(receipt) => Post::Edit(EditPost { receipt, post }),
                None => Post::Send(post),
            });
        }
        if let Some(mut document) = notice.document {
            document.name = file_name(&document.name, "document");
            document.text = visible(&document.text).into_owned();
            let caption = String::new();
            posts.push(Post::Document(DocumentPost {
                chat: notice.chat,
                document,
                caption,
                reply_to: notice.reply_to,
            }));
        }
        posts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn update(kind: UpdateKind, text: &str) -> Update {
        Update {
            id: "1".into(),
            receipt: String::new(),
            chat: "console".into(),
            sender: "1000".into(),
            sender_name: "ada".into(),
            sender_is_bot: false,
            own_name: String::new(),
            text: text.into(),
            kind,
            reply_to: None,
            raw: String::new(),
            marks: None,
            extra: vec![],
        }
    }

    fn heard(text: &str) -> Option<(Addressed, String)> {
        Console::hear("", update(UpdateKind::Message, text)).pop().map(|said| (said.addressed, said.text))
    }

    #[test]
    fn commands_and_plain_text_are_told_apart() {
        assert_eq!(
            heard("  /task acme/shop Add a farewell\nwith words "),
            Some((Addressed::Command, "/task acme/shop Add a farewell\nwith words".into()))
        );
        assert_eq!(heard("how are greetings made?"), Some((Addressed::PrivateChat, "how are greetings made?".into())));
        assert_eq!(heard("\u{1b}[200~/help\u{1b}[201~").map(|said| said.0), Some(Addressed::PrivateChat));
        assert_eq!(heard("/status\u{7} 3\r"), Some((Addressed::Command, "/status 3".into())));
        assert_eq!(heard(" \n\u{1b}"), None);
    }

    #[test]
    fn buttons_replies_and_what_nobody_said() {
        let button = Console::hear("", update(UpdateKind::Button, "/approve 3"));
        assert_eq!((button[0].addressed, button[0].sender.as_str()), (Addressed::Button, "1000"));
        let reply = Console::hear("", Update { reply_to: Some("p7".into()), ..update(UpdateKind::Message, "yes") });
        assert_eq!((reply[0].addressed, reply[0].reply_to.as_deref()), (Addressed::Reply, Some("p7")));
        assert!(Console::hear("", Update { sender_is_bot: true, ..update(UpdateKind::Message, "/help") }).is_empty());
        for kind in [UpdateKind::Edited, UpdateKind::Document, UpdateKind::Other] {
            assert!(Console::hear("", update(kind, "/help")).is_empty());
        }
    }
}
