//! What is kept between two calls, as JSON. Every text in it is cut, so that the whole stays below 64 KiB whatever an agent prints.

use borg_sdk::executor::Usage;
use serde::{Deserialize, Serialize};

/// Longest text of the agent that is kept. JSON may double it (`"` and `\`); other characters that JSON would escape are made visible first.
const WORDS_LIMIT_BYTES: usize = 20 * 1024;
const NAME_LIMIT_BYTES: usize = 64;
const DETAIL_LIMIT_BYTES: usize = 160;
/// Calls whose result is awaited; an agent rarely has more than a handful.
const OPEN_LIMIT: usize = 16;
/// Denials remembered so that none is told twice.
const DENIED_LIMIT: usize = 64;

#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    pub session: Option<String>,
    /// The last thing the agent said; with a result, its text.
    words: String,
    open: Vec<Call>,
    denied: Vec<String>,
    pub retry: Option<Retried>,
    /// The agent's own word for the last error of the model's provider, such as `rate_limit`.
    pub api_error: Option<String>,
    pub tokens: Tokens,
    /// Id of the message whose tokens were counted last: a message is printed once per block.
    pub counted: String,
    /// Tokens of the message that streams just now.
    pub streaming: Tokens,
    pub result: Option<Finished>,
}

/// A call the agent made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Call {
    pub id: String,
    pub tool: String,
    pub detail: String,
}

/// The last time the agent asked the provider again.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retried {
    pub status: Option<u16>,
    pub delay_ms: u64,
}

/// The line `result`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Finished {
    pub uuid: String,
    pub subtype: String,
    pub is_error: bool,
    pub api_status: Option<u16>,
    pub stopped_by: String,
    pub turns: Option<u32>,
    pub cost_micros: Option<u64>,
    pub tokens: Tokens,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Tokens {
    pub input: u64,
    pub output: u64,
    pub cache_read: u64,
    pub cache_write: u64,
}

impl Tokens {
    pub fn add(&mut self, more: Tokens) {
        self.input = self.input.saturating_add(more.input);
        self.output = self.output.saturating_add(more.output);
        self.cache_read = self.cache_read.saturating_add(more.cache_read);
        self.cache_write = self.cache_write.saturating_add(more.cache_write);
    }

    pub fn usage(self) -> Usage {
        Usage {
            input_tokens: self.input,
            output_tokens: self.output,
            cache_read_tokens: self.cache_read,
            cache_write_tokens: self.cache_write,
        }
    }
}

impl State {
    /// None when the bytes are not ours.
    pub fn load(bytes: &[u8]) -> Option<State> {
        if bytes.is_empty() { Some(State::default()) } else { serde_json::from_slice(bytes).ok() }
    }

    pub fn save(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("strings, numbers and lists always become JSON")
    }

    pub fn words(&self) -> &str {
        &self.words
    }

    /// Keeps the end of a long text: there an agent sums up.
    pub fn hear(&mut self, words: &str) {
        if words.trim().is_empty() {
            return;
        }
        let words = borg_sdk::visible(words);
        let start = words.len().saturating_sub(WORDS_LIMIT_BYTES);
        let start = (start..words.len()).find(|index| words.is_char_boundary(*index)).unwrap_or(start);
        self.words = words[start..].to_owned();
    }

    pub fn opened(&mut self, id: &str, tool: &str, detail: &str) {
        if self.open.len() == OPEN_LIMIT {
            self.open.remove(0);
        }
        self.open.push(Call { id: name(id), tool: name(tool), detail: kept(detail, DETAIL_LIMIT_BYTES) });
    }

    pub fn closed(&mut self, id: &str) -> Option<Call> {
        let id = name(id);
        let index = self.open.iter().position(|call| call.id == id)?;
        Some(self.open.remove(index))
    }

    /// The call that was made last and has no result.
    pub fn awaited(&self) -> Option<&Call> {
        self.open.last()
    }

    /// True the first time.
    pub fn is_new_denial(&mut self, id: &str) -> bool {
        let id = name(id);
        if self.denied.contains(&id) {
            return false;
        }
        if self.denied.len() == DENIED_LIMIT {
            self.denied.remove(0);
        }
        self.denied.push(id);
        true
    }
}

/// Makes a short text fit to be kept: an id, a word of the protocol.
pub fn name(text: &str) -> String {
    kept(text, NAME_LIMIT_BYTES)
}

fn kept(text: &str, limit: usize) -> String {
    cut(&borg_sdk::visible(cut(text, limit)), limit).to_owned()
}

/// The beginning of a text, at most so many bytes.
pub fn cut(text: &str, limit: usize) -> &str {
    let end = text.len().min(limit);
    let end = (0..=end).rev().find(|index| text.is_char_boundary(*index)).unwrap_or(0);
    &text[..end]
}
