//! Checks a request body as strictly as the real API does, so that a client or a proxy that mangles bodies is caught here.
//!
//! Messages are worded after the API's own (`messages.1.content.0: …`). What a beta adds is refused without its `anthropic-beta` token, as there.
//! Signatures of thinking blocks are checked in `mod.rs`, which knows what it signed.

use super::error::ApiError;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Which of the two doors a body came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    Messages,
    CountTokens,
}

type Check = Result<(), ApiError>;

const COMMON: [&str; 7] = ["model", "messages", "system", "tools", "tool_choice", "thinking", "output_config"];
const MESSAGES_ONLY: [&str; 9] = [
    "max_tokens",
    "metadata",
    "stream",
    "stop_sequences",
    "temperature",
    "top_p",
    "top_k",
    "service_tier",
    "inference_geo",
];
/// Fields that exist only with a beta: the field and the start of the token that admits it.
const BETA: [(&str, &str); 4] = [
    ("context_management", "context-management-"),
    ("mcp_servers", "mcp-client-"),
    ("container", "code-execution-"),
    ("speed", "fast-mode-"),
];

/// Checks a body; `betas` are the tokens of `anthropic-beta`.
pub fn check(body: &Value, door: Door, betas: &[String]) -> Check {
    let Some(fields) = body.as_object() else {
        return Err(ApiError::invalid("Input should be a valid dictionary"));
    };
    known_fields(fields, door, betas)?;
    if fields.get("model").and_then(Value::as_str).is_none_or(str::is_empty) {
        return Err(ApiError::invalid("model: Field required"));
    }
    if door == Door::Messages {
        limits(fields)?;
    }
    cache_breakpoints(body)?;
    tools(fields)?;
    let mid_system = betas.iter().any(|beta| beta.starts_with("mid-conversation-system-"));
    messages(fields, mid_system)
}

fn known_fields(fields: &Map<String, Value>, door: Door, betas: &[String]) -> Check {
    for field in fields.keys().map(String::as_str) {
        let admitted =
            BETA.iter().any(|(name, start)| *name == field && betas.iter().any(|beta| beta.starts_with(start)));
        let known = COMMON.contains(&field) || (door == Door::Messages && MESSAGES_ONLY.contains(&field));
        if !known && !admitted {
            return Err(ApiError::invalid(format!("{field}: Extra inputs are not permitted")));
        }
    }
    Ok(())
}

fn limits(fields: &Map<String, Value>) -> Check {
    let max_tokens = match fields.get("max_tokens") {
        None => return Err(ApiError::invalid("max_tokens: Field required")),
        Some(value) => {
            value.as_u64().ok_or_else(|| ApiError::invalid("max_tokens: Input should be a valid integer"))?
        }
    };
    if max_tokens == 0 {
        return Err(ApiError::invalid("max_tokens: Input should be greater than or equal to 1"));
    }
    let Some(thinking) = fields.get("thinking") else { return Ok(()) };
    match thinking["type"].as_str() {
        Some("disabled" | "adaptive") => Ok(()),
        Some("enabled") => match thinking["budget_tokens"].as_u64() {
            None => Err(ApiError::invalid("thinking.enabled.budget_tokens: Field required")),
            Some(budget) if budget < 1024 => {
                Err(ApiError::invalid("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"))
            }
            Some(budget) if budget >= max_tokens => {
                Err(ApiError::invalid("`max_tokens` must be greater than `thinking.budget_tokens`"))
            }
            Some(_) => Ok(()),
        },
        _ => Err(ApiError::invalid(
            "thinking: Input tag does not match any of the expected tags: 'disabled', 'enabled', 'adaptive'",
        )),
    }
}

fn cache_breakpoints(body: &Value) -> Check {
    fn count(value: &Value) -> usize {
        match value {
            Value::Array(items) => items.iter().map(count).sum(),
            Value::Object(fields) => {
                // What a tool was called with, and its schema, is free-form: a key of that name means nothing there.
                let inner = fields.iter().filter(|(key, _)| !matches!(key.as_str(), "input" | "input_schema"));
                usize::from(fields.contains_key("cache_control")) + inner.map(|(_, value)| count(value)).sum::<usize>()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
        }
    }
    match count(body) {
        0..=4 => Ok(()),
        n => Err(ApiError::invalid(format!("A maximum of 4 blocks with cache_control may be provided. Found {n}."))),
    }
}

fn tools(fields: &Map<String, Value>) -> Check {
    let Some(tools) = fields.get("tools") else { return Ok(()) };
    let tools = tools.as_array().ok_or_else(|| ApiError::invalid("tools: Input should be a valid list"))?;
    let mut names = BTreeSet::new();
    for (n, tool) in tools.iter().enumerate() {
        let name = tool["name"].as_str().unwrap_or("");
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > 128 || !name.chars().all(plain) {
            return Err(ApiError::invalid(format!(
                "tools.{n}.custom.name: String should match pattern '^[a-zA-Z0-9_-]{{1,128}}$'"
            )));
        }
        if !names.insert(name) {
            return Err(ApiError::invalid("tools: Tool names must be unique."));
        }
        let custom = tool.get("type").is_none_or(|kind| kind == "custom");
        if custom && tool["input_schema"]["type"] != "object" {
            return Err(ApiError::invalid(format!("tools.{n}.custom.input_schema.type: Field required")));
        }
    }
    Ok(())
}

fn messages(fields: &Map<String, Value>, mid_system: bool) -> Check {
    let Some(messages) = fields.get("messages") else {
        return Err(ApiError::invalid("messages: Field required"));
    };
    let messages = messages.as_array().ok_or_else(|| ApiError::invalid("messages: Input should be a valid list"))?;
    if messages.is_empty() {
        return Err(ApiError::invalid("messages: at least one message is required"));
    }
    if messages[0]["role"] != "user" {
        return Err(ApiError::invalid("messages: first message must use the \"user\" role"));
    }
    for (n, message) in messages.iter().enumerate() {
        one_message(n, message, mid_system)?;
    }
    tool_pairs(messages)
}

fn one_message(n: usize, message: &Value, mid_system: bool) -> Check {
    let Some(fields) = message.as_object() else {
        return Err(ApiError::invalid(format!("messages.{n}: Input should be a valid dictionary")));
    };
    if let Some(extra) = fields.keys().find(|key| !matches!(key.as_str(), "role" | "content")) {
        return Err(ApiError::invalid(format!("messages.{n}.{extra}: Extra inputs are not permitted")));
    }
    match message["role"].as_str() {
        Some("user" | "assistant") => {}
        Some("system") if mid_system => {}
        _ => return Err(ApiError::invalid(format!("messages.{n}.role: Input should be 'user' or 'assistant'"))),
    }
    match &message["content"] {
        Value::String(text) if text.is_empty() => {
            Err(ApiError::invalid(format!("messages.{n}: all messages must have non-empty content")))
        }
        Value::String(_) => Ok(()),
        Value::Array(blocks) if blocks.is_empty() => {
            Err(ApiError::invalid(format!("messages.{n}: all messages must have non-empty content")))
        }
        Value::Array(blocks) => blocks
            .iter()
            .enumerate()
            .try_for_each(|(b, block)| one_block(&format!("messages.{n}.content.{b}"), block, &message["role"])),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => {
            Err(ApiError::invalid(format!("messages.{n}.content: Input should be a valid list")))
        }
    }
}

fn one_block(at: &str, block: &Value, role: &Value) -> Check {
    let need = |field: &str| match block.get(field) {
        Some(value) if !value.is_null() => Ok(()),
        _ => {
            Err(ApiError::invalid(format!("{at}.{}.{field}: Field required", block["type"].as_str().unwrap_or("text"))))
        }
    };
    let from = |wanted: &str, what: &str| {
        if role == wanted {
            Ok(())
        } else {
            Err(ApiError::invalid(format!("{at}: `{what}` blocks can only be in `{wanted}` messages")))
        }
    };
    match block["type"].as_str() {
        Some("text") => {
            need("text")?;
            if block["text"] == "" {
                return Err(ApiError::invalid("messages: text content blocks must be non-empty"));
            }
            Ok(())
        }
        Some("thinking") => from("assistant", "thinking").and(need("thinking")).and(need("signature")),
        Some("redacted_thinking") => from("assistant", "redacted_thinking").and(need("data")),
        Some("tool_use") => from("assistant", "tool_use").and(need("id")).and(need("name")).and(need("input")),
        Some("tool_result") => from("user", "tool_result").and(need("tool_use_id")),
        Some("image" | "document") => need("source"),
        Some("search_result" | "server_tool_use" | "mcp_tool_use" | "mcp_tool_result" | "web_search_tool_result") => {
            Ok(())
        }
        Some(other) => Err(ApiError::invalid(format!(
            "{at}: Input tag '{other}' found using 'type' does not match any of the expected tags"
        ))),
        None => Err(ApiError::invalid(format!("{at}.type: Field required"))),
    }
}

/// Each call is answered in the very next message, and nothing else is.
fn tool_pairs(messages: &[Value]) -> Check {
    let mut ever = BTreeSet::new();
    for (n, message) in messages.iter().enumerate() {
        let calls = ids(message, "tool_use", "id");
        if let Some(twice) = calls.iter().find(|id| !ever.insert(**id)) {
            return Err(ApiError::invalid(format!("messages.{n}: `tool_use` ids must be unique, found {twice} twice")));
        }
        let results = messages.get(n + 1).map(|next| ids(next, "tool_result", "tool_use_id")).unwrap_or_default();
        let open: Vec<&str> = calls.iter().copied().filter(|id| !results.contains(id)).collect();
        if !open.is_empty() {
            return Err(ApiError::invalid(format!(
                "messages.{n}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a \
                 corresponding `tool_result` block in the next message.",
                open.join(", ")
            )));
        }
        let asked = n.checked_sub(1).map(|before| ids(&messages[before], "tool_use", "id")).unwrap_or_default();
        let mut answered = BTreeSet::new();
        for id in ids(message, "tool_result", "tool_use_id") {
            if !asked.contains(&id) {
                return Err(ApiError::invalid(format!(
                    "messages.{n}.content.0: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a \
                     corresponding `tool_use` block in the previous message."
                )));
            }
            if !answered.insert(id) {
                return Err(ApiError::invalid(format!(
                    "messages.{n}.content: each tool_use must have a single result. Found multiple `tool_result` blocks with id: {id}"
                )));
            }
        }
    }
    Ok(())
}

fn ids<'a>(message: &'a Value, kind: &str, field: &str) -> Vec<&'a str> {
    let blocks = message["content"].as_array().map(Vec::as_slice).unwrap_or_default();
    blocks.iter().filter(|block| block["type"] == kind).filter_map(|block| block[field].as_str()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn base() -> Value {
        json!({ "model": "claude-test", "max_tokens": 10, "messages": [{ "role": "user", "content": "hello" }] })
    }

    fn refusal(change: impl FnOnce(&mut Value)) -> String {
        let mut body = base();
        change(&mut body);
        check(&body, Door::Messages, &[]).unwrap_err().message
    }

    #[test]
    fn a_plain_request_passes() {
        check(&base(), Door::Messages, &[]).unwrap();
    }

    #[test]
    fn each_flaw_is_named_where_it_is() {
        /// The refusal and the change that provokes it.
        type Row = (&'static str, fn(&mut Value));
        let rows: [Row; 13] = [
            ("max_tokens: Field required", |b| drop(b.as_object_mut().unwrap().remove("max_tokens"))),
            ("max_tokens: Input should be greater", |b| b["max_tokens"] = json!(0)),
            ("model: Field required", |b| drop(b.as_object_mut().unwrap().remove("model"))),
            ("at least one message", |b| b["messages"] = json!([])),
            ("first message must use the \"user\" role", |b| b["messages"][0]["role"] = json!("assistant")),
            ("bogus: Extra inputs", |b| b["bogus"] = json!(1)),
            ("messages.0.bogus: Extra inputs", |b| b["messages"][0]["bogus"] = json!(1)),
            ("context_management: Extra inputs", |b| b["context_management"] = json!({})),
            ("non-empty", |b| b["messages"][0]["content"] = json!([{ "type": "text", "text": "" }])),
            ("messages.0.content.0: Input tag 'odd'", |b| b["messages"][0]["content"] = json!([{ "type": "odd" }])),
            ("budget_tokens", |b| b["thinking"] = json!({ "type": "enabled", "budget_tokens": 2048 })),
            ("Tool names must be unique", |b| {
                let tool = json!({ "name": "Read", "input_schema": { "type": "object" } });
                b["tools"] = json!([tool, tool]);
            }),
            ("maximum of 4 blocks", |b| {
                let block = json!({ "type": "text", "text": "x", "cache_control": { "type": "ephemeral" } });
                b["messages"][0]["content"] = json!([block, block, block, block, block]);
            }),
        ];
        for (wanted, change) in rows {
            let message = refusal(change);
            assert!(message.contains(wanted), "{message:?} lacks {wanted:?}");
        }
    }

    fn after(calls: &[&str], results: &[&str]) -> Check {
        let mut body = base();
        let call = |id: &&str| json!({ "type": "tool_use", "id": id, "name": "Read", "input": { "cache_control": 1 } });
        let result = |id: &&str| json!({ "type": "tool_result", "tool_use_id": id, "content": "ok" });
        let messages = body["messages"].as_array_mut().unwrap();
        messages.push(json!({ "role": "assistant", "content": calls.iter().map(call).collect::<Vec<_>>() }));
        messages.push(json!({ "role": "user", "content": results.iter().map(result).collect::<Vec<_>>() }));
        check(&body, Door::Messages, &[])
    }

    #[test]
    fn calls_and_results_must_pair_up() {
        after(&["a", "b"], &["b", "a"]).unwrap();
        assert!(
            after(&["a", "b"], &["a"])
                .unwrap_err()
                .message
                .contains("without `tool_result` blocks immediately after: b")
        );
        assert!(after(&["a"], &["a", "c"]).unwrap_err().message.contains("unexpected `tool_use_id`"));
        assert!(after(&["a"], &["a", "a"]).unwrap_err().message.contains("single result"));
        assert!(after(&["a", "a"], &["a"]).unwrap_err().message.contains("unique"));
    }

    #[test]
    fn a_beta_field_needs_its_token() {
        let mut body = base();
        body["context_management"] = json!({ "edits": [] });
        check(&body, Door::Messages, &["context-management-2025-06-27".into()]).unwrap();
        check(&body, Door::Messages, &["interleaved-thinking-2025-05-14".into()]).unwrap_err();
    }

    #[test]
    fn counting_takes_no_max_tokens() {
        let message = check(&base(), Door::CountTokens, &[]).unwrap_err().message;
        assert_eq!(message, "max_tokens: Extra inputs are not permitted");
    }
}
