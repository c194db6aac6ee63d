//! What the stand-in saw and what it found wrong, for assertions; tests wait on it instead of sleeping.

use super::script::Usage;
use serde_json::Value;
use std::collections::BTreeMap;

/// One request as it arrived, and what became of it.
#[derive(Clone, Debug)]
pub struct Seen {
    /// 1-based, over all requests.
    pub n: u64,
    pub method: String,
    /// Path and query, raw.
    pub path: String,
    /// Lower-case names, in the order received.
    pub headers: Vec<(String, String)>,
    /// The body as it came.
    pub raw: String,
    /// The body parsed; null when it is not JSON.
    pub body: Value,
    /// Persona of the script that was recognised.
    pub persona: Option<String>,
    /// Which of the persona's runs, and which turn of it, was played; both 0-based.
    pub played: Option<(usize, usize)>,
    /// Status answered; 0 while it is being worked on, or when a fault gave no answer.
    pub status: u16,
    /// What was told the client in full: `None` until the last byte was handed over.
    pub billed: Option<Usage>,
    pub tool_results: Vec<ToolResult>,
}

/// A result of a tool call that came back with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ToolResult {
    pub id: String,
    /// Name and input of the call it answers, as the request repeats them.
    pub tool: String,
    pub input: Value,
    pub is_error: bool,
    pub text: String,
}

impl Seen {
    /// The first value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// True when `text` stands anywhere: in the path, a header or the body.
    pub fn mentions(&self, text: &str) -> bool {
        self.path.contains(text)
            || self.raw.contains(text)
            || self.headers.iter().any(|(_, value)| value.contains(text))
    }

    /// Names of the tools the client offered.
    pub fn tools(&self) -> Vec<&str> {
        let tools = self.body["tools"].as_array().map(Vec::as_slice).unwrap_or_default();
        tools.iter().filter_map(|tool| tool["name"].as_str()).collect()
    }
}

/// Text of a `content` that is a string or a list of blocks.
pub(super) fn text_of(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(blocks) => blocks.iter().filter_map(|block| block["text"].as_str()).collect::<Vec<_>>().join("\n"),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => String::new(),
    }
}

/// The tool results in the last message of a request, with the calls they answer.
pub(super) fn tool_results(body: &Value) -> Vec<ToolResult> {
    let messages = body["messages"].as_array().map(Vec::as_slice).unwrap_or_default();
    let blocks = |message: &Value| message["content"].as_array().cloned().unwrap_or_default();
    let mut calls = BTreeMap::new();
    for block in messages.iter().flat_map(blocks).filter(|block| block["type"] == "tool_use") {
        calls.insert(block["id"].as_str().unwrap_or("").to_owned(), block);
    }
    let last = messages.last().map(blocks).unwrap_or_default();
    let results = last.iter().filter(|block| block["type"] == "tool_result");
    let read = results.map(|block| {
        let id = block["tool_use_id"].as_str().unwrap_or("").to_owned();
        let call = calls.get(&id).cloned().unwrap_or_default();
        ToolResult {
            tool: call["name"].as_str().unwrap_or("").to_owned(),
            input: call["input"].clone(),
            is_error: block["is_error"] == true,
            text: text_of(&block["content"]),
            id,
        }
    });
    read.collect()
}
