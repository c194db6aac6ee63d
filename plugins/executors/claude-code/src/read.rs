//! Turns the stream of `--output-format stream-json` into events. Every line is looked at on its own; what cannot be understood is noise,
//! never an error. The same stream gives the same events however it is cut into calls.

use crate::state::{Finished, Retried, State, Tokens, cut, name};
use borg_sdk::executor::{AgentEvent, Denial, ReadStep, Retry, ToolResult, ToolUse};
use serde_json::Value;

const NOISE_LIMIT_BYTES: usize = 2 * 1024;
const SAID_LIMIT_BYTES: usize = 64 * 1024;
const DETAIL_LIMIT_BYTES: usize = 400;

pub fn read(state: &[u8], lines: &[String]) -> ReadStep {
    let mut events = Vec::new();
    let mut state = State::load(state).unwrap_or_else(|| {
        events.push(AgentEvent::Warning("what was read before this point is lost; counting starts again".into()));
        State::default()
    });
    for line in lines {
        read_line(&mut state, line, &mut events);
    }
    ReadStep { state: state.save(), events }
}

fn read_line(state: &mut State, line: &str, events: &mut Vec<AgentEvent>) {
    if line.trim().is_empty() {
        return;
    }
    let parsed = serde_json::from_str::<Value>(line).ok().filter(Value::is_object);
    let Some(value) = parsed else {
        return events.push(noise(line));
    };
    match text(&value, "type") {
        "system" => system(state, &value, events),
        "assistant" => assistant(state, &value, events),
        "user" => user(state, &value, events),
        "stream_event" => stream(state, &value["event"], events),
        "result" => result(state, &value, events),
        "rate_limit_event" => rate_limit(&value["rate_limit_info"], events),
        // Heartbeats and answers to requests that we do not make.
        "keep_alive" | "control_response" | "control_request" | "control_cancel_request" | "tool_progress" => {}
        _ => events.push(noise(line)),
    }
}

fn system(state: &mut State, value: &Value, events: &mut Vec<AgentEvent>) {
    match text(value, "subtype") {
        "init" => {
            session(state, value, events);
            for server in value["mcp_servers"].as_array().into_iter().flatten() {
                let status = text(server, "status");
                if status != "connected" {
                    events.push(warning(format!("MCP server `{}` is {}", text(server, "name"), status)));
                }
            }
        }
        "api_retry" => {
            let status = value["error_status"].as_u64().and_then(|status| u16::try_from(status).ok());
            let delay_ms = value["retry_delay_ms"].as_f64().unwrap_or(0.0).max(0.0) as u64;
            let reason = text(value, "error");
            (state.retry, state.api_error) = (Some(Retried { status, delay_ms }), Some(name(reason)));
            let attempt = value["attempt"].as_u64().and_then(|attempt| u32::try_from(attempt).ok()).unwrap_or(0);
            events.push(AgentEvent::Retrying(Retry { attempt, delay_ms, status, reason: line_of(reason) }));
        }
        // None is configured by us, so somebody else's ran.
        "hook_started" => events.push(warning(format!("a hook ran in the agent: {}", text(value, "hook_name")))),
        // Other system lines tell about progress inside the agent.
        _ => {}
    }
}

fn session(state: &mut State, value: &Value, events: &mut Vec<AgentEvent>) {
    let id = text(value, "session_id");
    if !id.is_empty() && state.session.as_deref() != Some(name(id).as_str()) {
        state.session = Some(name(id));
        events.push(AgentEvent::Session(name(id)));
    }
}

fn assistant(state: &mut State, value: &Value, events: &mut Vec<AgentEvent>) {
    let message = &value["message"];
    let error = text(value, "error");
    if !error.is_empty() {
        state.api_error = Some(name(error));
    }
    for block in message["content"].as_array().into_iter().flatten() {
        match text(block, "type") {
            // Words the program put into the model's mouth.
            "text" if text(message, "model") == "<synthetic>" => {
                state.hear(text(block, "text"));
                events.push(warning(text(block, "text").to_owned()));
            }
            "text" => {
                let said = text(block, "text");
                if !said.trim().is_empty() {
                    state.hear(said);
                    events.push(AgentEvent::Said(cut(said, SAID_LIMIT_BYTES).to_owned()));
                }
            }
            "tool_use" => {
                let (id, tool) = (text(block, "id"), text(block, "name"));
                let (detail, path) = describe(&block["input"]);
                state.opened(id, tool, &detail);
                events.push(AgentEvent::ToolUse(ToolUse { id: name(id), tool: name(tool), detail, path }));
            }
            // Thinking, and kinds of blocks yet to come.
            _ => {}
        }
    }
    let id = text(message, "id");
    if error.is_empty() {
        // The model answered: whatever made the agent ask again is over.
        (state.retry, state.api_error) = (None, None);
    }
    if !id.is_empty() && state.counted != name(id) {
        count(state, id, tokens(&message["usage"]), events);
    }
}

/// Partial messages: they tell the tokens of a message before and after it, and that the agent is alive.
fn stream(state: &mut State, event: &Value, events: &mut Vec<AgentEvent>) {
    match text(event, "type") {
        "message_start" => {
            (state.retry, state.api_error) = (None, None);
            state.streaming = tokens(&event["message"]["usage"]);
            // The whole message, printed before its last figures are known, is not to be counted once more.
            state.counted = name(text(&event["message"], "id"));
        }
        "message_delta" => {
            state.streaming.output = tokens(&event["usage"]).output.max(state.streaming.output);
        }
        "message_stop" => {
            let (id, streamed) = (state.counted.clone(), std::mem::take(&mut state.streaming));
            count(state, &id, streamed, events);
        }
        _ => {}
    }
}

fn count(state: &mut State, id: &str, tokens: Tokens, events: &mut Vec<AgentEvent>) {
    state.counted = name(id);
    if tokens != Tokens::default() {
        state.tokens.add(tokens);
        events.push(AgentEvent::Usage(tokens.usage()));
    }
}

fn user(state: &mut State, value: &Value, events: &mut Vec<AgentEvent>) {
    for block in value["message"]["content"].as_array().into_iter().flatten() {
        if text(block, "type") != "tool_result" {
            continue;
        }
        let id = text(block, "tool_use_id");
        let words = match &block["content"] {
            Value::String(words) => words.clone(),
            Value::Array(blocks) => blocks.iter().map(|block| text(block, "text")).collect::<Vec<_>>().join(" "),
            _ => String::new(),
        };
        let ok = !block["is_error"].as_bool().unwrap_or(false);
        let call = state.closed(id).unwrap_or_default();
        if !ok && is_denial(&words) && state.is_new_denial(id) {
            events.push(denied(&call.tool, &call.detail, &words));
        }
        events.push(AgentEvent::ToolResult(ToolResult { id: name(id), ok, detail: line_of(&words) }));
    }
}

/// Denials of its permission system, by how they begin. The line `result` lists them too, but a run that is killed has none.
fn is_denial(words: &str) -> bool {
    let words = words.trim_start_matches("<tool_use_error>");
    (words.starts_with("Permission to use ") && words.contains(" has been denied"))
        || words.starts_with("Claude requested permissions ")
        || words.contains(" was blocked. For security, Claude Code ")
        || words.contains(" that is denied by your permission settings")
        // What `--tools` left out: our grant.
        || (words.starts_with("Error: No such tool available: ") && words.contains(" is not enabled in this context"))
        || (words.starts_with("Cannot ") && words.contains(" while in plan mode"))
}

fn result(state: &mut State, value: &Value, events: &mut Vec<AgentEvent>) {
    session(state, value, events);
    for denial in value["permission_denials"].as_array().into_iter().flatten() {
        if state.is_new_denial(text(denial, "tool_use_id")) {
            events.push(denied(text(denial, "tool_name"), &describe(&denial["tool_input"]).0, ""));
        }
    }
    let uuid = name(text(value, "uuid"));
    let before = state.result.take().unwrap_or_default();
    if !uuid.is_empty() && before.uuid == uuid {
        state.result = Some(before);
        return;
    }
    let errors: Vec<&str> = value["errors"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    match value["result"].as_str() {
        Some(words) if !words.trim().is_empty() => state.hear(words),
        Some(_) | None => state.hear(&errors.join("; ")),
    }
    // Cost is counted over the process, tokens over the turn.
    let mut sum = before.tokens;
    sum.add(tokens(&value["usage"]));
    state.result = Some(Finished {
        uuid,
        subtype: name(text(value, "subtype")),
        is_error: value["is_error"].as_bool().unwrap_or(false),
        api_status: value["api_error_status"].as_u64().and_then(|status| u16::try_from(status).ok()),
        stopped_by: name(text(value, "terminal_reason")),
        turns: value["num_turns"].as_u64().and_then(|turns| u32::try_from(turns).ok()),
        cost_micros: value["total_cost_usd"]
            .as_f64()
            .filter(|cost| *cost >= 0.0)
            .map(|cost| (cost * 1e6).round() as u64),
        tokens: sum,
    });
}

/// Comes with a subscription instead of a key.
fn rate_limit(info: &Value, events: &mut Vec<AgentEvent>) {
    let status = text(info, "status");
    if status != "allowed" {
        events.push(warning(format!("the subscription's limit: {status}")));
    }
}

fn denied(tool: &str, detail: &str, words: &str) -> AgentEvent {
    let detail = if detail.is_empty() { line_of(words) } else { detail.to_owned() };
    AgentEvent::Denied(Denial { tool: name(tool), detail })
}

/// What a call does, in a line, and the path it is about.
fn describe(input: &Value) -> (String, Option<String>) {
    let path = ["file_path", "notebook_path", "path"].iter().map(|key| text(input, key)).find(|path| !path.is_empty());
    let named = ["command", "pattern", "query", "url"].iter().map(|key| text(input, key)).find(|text| !text.is_empty());
    let detail = match (named, path) {
        (Some(named), Some(path)) => format!("{named} in {path}"),
        (Some(words), None) | (None, Some(words)) => words.to_owned(),
        (None, None) => cut(&input.to_string(), DETAIL_LIMIT_BYTES).to_owned(),
    };
    (line_of(&detail), path.map(|path| cut(path, 4096).to_owned()))
}

fn tokens(usage: &Value) -> Tokens {
    let figure = |key: &str| usage[key].as_u64().unwrap_or(0);
    Tokens {
        input: figure("input_tokens"),
        output: figure("output_tokens"),
        cache_read: figure("cache_read_input_tokens"),
        cache_write: figure("cache_creation_input_tokens"),
    }
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or("")
}

fn line_of(words: &str) -> String {
    let line: String = cut(words, DETAIL_LIMIT_BYTES).split_whitespace().collect::<Vec<_>>().join(" ");
    if words.len() > DETAIL_LIMIT_BYTES { format!("{line} …") } else { line }
}

fn warning(words: String) -> AgentEvent {
    AgentEvent::Warning(line_of(&words))
}

fn noise(line: &str) -> AgentEvent {
    AgentEvent::Noise(cut(line, NOISE_LIMIT_BYTES).to_owned())
}
