//! A message as the API sends it: one JSON object, or the same as server-sent events. Pure: text in, frames out.
//!
//! Order of events, from the API's streaming reference: `message_start`; per block `content_block_start`, deltas, `content_block_stop`;
//! one `ping` after the first block has begun; `message_delta` with the stop reason and the cumulative usage; `message_stop`.

use super::script::Usage;
use serde_json::{Value, json};

/// A finished answer of the model.
#[derive(Clone, Debug)]
pub struct Message {
    pub id: String,
    pub model: String,
    pub blocks: Vec<Block>,
    pub stop: String,
    pub usage: Usage,
}

#[derive(Clone, Debug)]
pub enum Block {
    Thinking { text: String, signature: String },
    Text(String),
    ToolUse { id: String, tool: String, input: Value },
}

/// One server-sent event.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    pub name: &'static str,
    pub data: Value,
}

impl Event {
    fn new(name: &'static str, mut data: Value) -> Self {
        let mut with_type = json!({ "type": name });
        let fields = with_type.as_object_mut().expect("built as an object above");
        fields.append(data.as_object_mut().expect("event data is an object"));
        Self { name, data: with_type }
    }

    /// The `error` event that ends a stream half-way.
    pub fn error(kind: &str, message: &str) -> Self {
        Self::new("error", json!({ "error": { "type": kind, "message": message } }))
    }

    pub fn frame(&self) -> String {
        format!("event: {}\ndata: {}\n\n", self.name, self.data)
    }
}

impl Message {
    /// The answer to a request without `stream`.
    pub fn whole(&self) -> Value {
        let content: Vec<Value> = self.blocks.iter().map(Block::whole).collect();
        self.envelope(json!(content), json!(self.stop), usage(&self.usage))
    }

    /// The answer to a request with `stream`.
    pub fn events(&self) -> Vec<Event> {
        let at_start = Usage { output: 1.min(self.usage.output), ..self.usage };
        let mut events = vec![Event::new(
            "message_start",
            json!({ "message": self.envelope(json!([]), Value::Null, usage(&at_start)) }),
        )];
        for (index, block) in self.blocks.iter().enumerate() {
            events.push(Event::new("content_block_start", json!({ "index": index, "content_block": block.empty() })));
            if index == 0 {
                events.push(Event::new("ping", json!({})));
            }
            let deltas = block.deltas().into_iter();
            events.extend(
                deltas.map(|delta| Event::new("content_block_delta", json!({ "index": index, "delta": delta }))),
            );
            events.push(Event::new("content_block_stop", json!({ "index": index })));
        }
        let end = json!({
            "delta": { "stop_reason": self.stop, "stop_sequence": null },
            "usage": {
                "input_tokens": self.usage.input,
                "cache_creation_input_tokens": self.usage.cache_write,
                "cache_read_input_tokens": self.usage.cache_read,
                "output_tokens": self.usage.output,
            },
        });
        events.push(Event::new("message_delta", end));
        events.push(Event::new("message_stop", json!({})));
        events
    }

    fn envelope(&self, content: Value, stop: Value, usage: Value) -> Value {
        json!({
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "model": self.model,
            "content": content,
            "stop_reason": stop,
            "stop_sequence": null,
            "usage": usage,
        })
    }
}

fn usage(usage: &Usage) -> Value {
    json!({
        "input_tokens": usage.input,
        "cache_creation_input_tokens": usage.cache_write,
        "cache_read_input_tokens": usage.cache_read,
        "cache_creation": { "ephemeral_5m_input_tokens": usage.cache_write, "ephemeral_1h_input_tokens": 0 },
        "output_tokens": usage.output,
        "service_tier": "standard",
    })
}

impl Block {
    /// Bytes of what the model produced, for the estimate of output tokens.
    pub fn bytes(&self) -> usize {
        match self {
            Block::Thinking { text, .. } | Block::Text(text) => text.len(),
            Block::ToolUse { tool, input, .. } => tool.len() + input.to_string().len(),
        }
    }

    fn whole(&self) -> Value {
        match self {
            Block::Thinking { text, signature } => {
                json!({ "type": "thinking", "thinking": text, "signature": signature })
            }
            Block::Text(text) => json!({ "type": "text", "text": text }),
            Block::ToolUse { id, tool, input } => json!({ "type": "tool_use", "id": id, "name": tool, "input": input }),
        }
    }

    fn empty(&self) -> Value {
        match self {
            Block::Thinking { .. } => json!({ "type": "thinking", "thinking": "", "signature": "" }),
            Block::Text(_) => json!({ "type": "text", "text": "" }),
            Block::ToolUse { id, tool, .. } => json!({ "type": "tool_use", "id": id, "name": tool, "input": {} }),
        }
    }

    fn deltas(&self) -> Vec<Value> {
        match self {
            Block::Thinking { text, signature } => {
                let thinking = pieces(text).map(|piece| json!({ "type": "thinking_delta", "thinking": piece }));
                thinking.chain([json!({ "type": "signature_delta", "signature": signature })]).collect()
            }
            Block::Text(text) => pieces(text).map(|piece| json!({ "type": "text_delta", "text": piece })).collect(),
            Block::ToolUse { input, .. } => {
                // The API opens every tool call with an empty piece.
                let json_text = input.to_string();
                let rest = pieces(&json_text).map(|piece| json!({ "type": "input_json_delta", "partial_json": piece }));
                [json!({ "type": "input_json_delta", "partial_json": "" })].into_iter().chain(rest).collect()
            }
        }
    }
}

/// Cuts text the way tokens come: a few characters at a time, never inside a character, but well inside words and JSON escapes.
/// Long texts are cut more coarsely, so that a megabyte does not become a hundred thousand events.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let size = (text.len() / 200).max(11);
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest.ceil_char_boundary(size.min(rest.len()));
        let (piece, tail) = rest.split_at(end);
        rest = tail;
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message() -> Message {
        Message {
            id: "msg_1".into(),
            model: "claude-test".into(),
            blocks: vec![
                Block::Thinking { text: "let me think about this for a while".into(), signature: "c2ln".into() },
                Block::Text("größer als gedacht — 日本語".into()),
                Block::ToolUse {
                    id: "toolu_1".into(),
                    tool: "Write".into(),
                    input: json!({ "file_path": "a\n", "content": "ü" }),
                },
            ],
            stop: "tool_use".into(),
            usage: Usage { input: 10, output: 20, cache_read: 3, cache_write: 4 },
        }
    }

    #[test]
    fn deltas_add_up_to_the_whole_message() {
        let message = message();
        let mut blocks: Vec<Value> = Vec::new();
        let mut partial = String::new();
        for event in message.events() {
            let data = event.data;
            match event.name {
                "content_block_start" => blocks.push(data["content_block"].clone()),
                "content_block_delta" => {
                    let block = blocks.last_mut().unwrap();
                    let delta = &data["delta"];
                    for field in ["text", "thinking", "signature"] {
                        if let Some(piece) = delta[field].as_str() {
                            let so_far = block[field].as_str().unwrap().to_owned();
                            block[field] = json!(so_far + piece);
                        }
                    }
                    partial += delta["partial_json"].as_str().unwrap_or("");
                }
                "content_block_stop" if !partial.is_empty() => {
                    blocks.last_mut().unwrap()["input"] = serde_json::from_str(&partial).unwrap();
                    partial.clear();
                }
                _ => {}
            }
        }
        assert_eq!(Value::Array(blocks), message.whole()["content"]);
    }

    #[test]
    fn events_come_in_the_order_of_the_reference() {
        let mut names: Vec<&str> = message().events().iter().map(|event| event.name).collect();
        names.dedup();
        let block = ["content_block_start", "content_block_delta", "content_block_stop"];
        let mut wanted =
            vec!["message_start", "content_block_start", "ping", "content_block_delta", "content_block_stop"];
        wanted.extend(block);
        wanted.extend(block);
        wanted.extend(["message_delta", "message_stop"]);
        assert_eq!(names, wanted);
    }
}
