//! Telegram: what its updates say to us, and how notices look there. Sockets, tokens, offsets and rate limits are the host's.
//!
//! Formatting is by entities (`rich.rs`), never by mark-up, so that no text can format itself; what Telegram would make a link of by
//! itself in text that is not ours stands as code, which it leaves alone.

mod hear;
mod layout;
mod pages;
mod raw;
mod rich;
mod show;
mod units;

use borg_sdk::chat::{Chat, ChatInfo, Notice, Post, Said, Transport, Update};
use serde::Deserialize;

pub struct Telegram;

borg_sdk::chat!(Telegram);

/// `[chat.telegram.settings]`.
#[derive(Deserialize)]
#[serde(default, rename_all = "kebab-case")]
struct Settings {
    name: String,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { name: "Borg".into() }
    }
}

impl Chat for Telegram {
    fn describe() -> ChatInfo {
        ChatInfo::new("telegram", "Talks to people on Telegram", Transport::Telegram)
    }

    fn hear(settings: &str, update: Update) -> Vec<Said> {
        // The host has validated them; a fault in them must not make anybody deaf.
        let settings: Settings = borg_sdk::settings(settings).unwrap_or_default();
        hear::hear(&settings.name, update)
    }

    fn show(_: &str, notice: Notice) -> Vec<Post> {
        show::show(notice)
    }
}
