//! Presses of buttons: each is a query that the bot may answer once, soon, with a toast.

use super::ids::ChatId;
use std::{collections::BTreeMap, time::Duration};

/// Code units of a toast.
pub(super) const TOAST_LIMIT: usize = 200;

/// What a person saw after a press.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Toast {
    pub text: String,
    /// A dialogue that must be closed, not a passing note.
    pub alert: bool,
}

#[derive(Clone, Debug)]
struct Press {
    chat: ChatId,
    /// On the stand-in's clock.
    at: Duration,
    answer: Option<Toast>,
}

#[derive(Debug, Default)]
pub(super) struct Presses {
    by_id: BTreeMap<String, Press>,
}

impl Presses {
    /// Makes a new query and gives its id.
    pub fn open(&mut self, chat: ChatId, now: Duration) -> String {
        let id = format!("{}", 4_382_000_000_000_000_000_u64 + self.by_id.len() as u64);
        self.by_id.insert(id.clone(), Press { chat, at: now, answer: None });
        id
    }

    /// Takes the bot's answer; false when the query is unknown, answered, or older than `life`.
    pub fn answer(&mut self, id: &str, toast: Toast, now: Duration, life: Duration) -> bool {
        match self.by_id.get_mut(id) {
            Some(press) if press.answer.is_none() && now.saturating_sub(press.at) <= life => {
                press.answer = Some(toast);
                true
            }
            Some(_) | None => false,
        }
    }

    /// The answer to a query; without text when the bot only made the button stop waiting.
    pub fn toast(&self, id: &str) -> Option<Toast> {
        self.by_id.get(id)?.answer.clone()
    }

    /// All toasts in a chat, in the order of the presses.
    pub fn toasts(&self, chat: ChatId) -> Vec<Toast> {
        self.by_id.values().filter(|press| press.chat == chat).filter_map(|press| press.answer.clone()).collect()
    }
}
