//! The tables: what a body for `/v1/messages` and `/v1/messages/count_tokens` may hold.
//!
//! Source: the Messages API reference (version 2023-06-01) and the requests of Claude Code in `tests/recorded/`. Absent on
//! purpose: `container`, `mcp_servers`, `service_tier`, `inference_geo`, `speed` (each changes the price or the place),
//! tools with a `type` other than `custom`, blocks of server tools, `file` and `url` sources, citations and search results.
//! Free JSON is at `tool_use.input` and `tools[].input_schema` only.

use super::weight;
use crate::{
    provider::{
        api::{Output, Prompt},
        shape::{self, Field, Shape, may, need},
    },
    refusal::{Refusal, Remedy, Rule},
};
use serde_json::Value;
use std::borrow::Cow;

/// The two things that can be asked: an answer, and how many tokens the question has.
pub(super) const PATHS: [&str; 2] = ["/v1/messages", "/v1/messages/count_tokens"];
/// Index into [`PATHS`] of what makes a model work.
const ANSWERED: usize = 0;

/// What helps where a field is not on the list.
const FIELD_REMEDY: Remedy = Remedy::Client(Cow::Borrowed(
    "no policy line allows this; leave the field out (server-side tools, file ids and URL sources are not granted)",
));

static TEXT: Shape = Shape::Text;
static BOOL: Shape = Shape::Bool;
static COUNT: Shape = Shape::Count;
static NUMBER: Shape = Shape::Number;
static FREE: Shape = Shape::FreeObject;

static CACHE: Shape = Shape::Tagged(&[("ephemeral", &[may("ttl", &TTL)])]);
static TTL: Shape = Shape::Word(&["5m", "1h"]);

static TEXT_BLOCK: [Field; 2] = [need("text", &TEXT), may("cache_control", &CACHE)];
static IMAGE_BLOCK: [Field; 2] = [need("source", &IMAGE_SOURCE), may("cache_control", &CACHE)];
static IMAGE_SOURCE: Shape = Shape::Tagged(&[("base64", &[need("media_type", &IMAGE_TYPE), need("data", &TEXT)])]);
static IMAGE_TYPE: Shape = Shape::Word(&["image/png", "image/jpeg", "image/gif", "image/webp"]);
static DOCUMENT_BLOCK: [Field; 4] =
    [need("source", &DOCUMENT_SOURCE), may("title", &TEXT), may("context", &TEXT), may("cache_control", &CACHE)];
static DOCUMENT_SOURCE: Shape = Shape::Tagged(&[
    ("base64", &[need("media_type", &PDF), need("data", &TEXT)]),
    ("text", &[need("media_type", &PLAIN), need("data", &TEXT)]),
]);
static PDF: Shape = Shape::Word(&["application/pdf"]);
static PLAIN: Shape = Shape::Word(&["text/plain"]);

static BLOCKS: Shape = Shape::TextOr(&Shape::List(&BLOCK));
static BLOCK: Shape = Shape::Tagged(&[
    ("text", &TEXT_BLOCK),
    ("image", &IMAGE_BLOCK),
    ("document", &DOCUMENT_BLOCK),
    ("thinking", &[need("thinking", &TEXT), need("signature", &TEXT)]),
    ("redacted_thinking", &[need("data", &TEXT)]),
    ("tool_use", &[need("id", &TEXT), need("name", &TEXT), need("input", &FREE), may("cache_control", &CACHE)]),
    (
        "tool_result",
        &[need("tool_use_id", &TEXT), may("content", &RESULT), may("is_error", &BOOL), may("cache_control", &CACHE)],
    ),
]);
static RESULT: Shape = Shape::TextOr(&Shape::List(&RESULT_BLOCK));
static RESULT_BLOCK: Shape =
    Shape::Tagged(&[("text", &TEXT_BLOCK), ("image", &IMAGE_BLOCK), ("document", &DOCUMENT_BLOCK)]);

static MESSAGES: Shape = Shape::List(&Shape::Object(&[need("role", &ROLE), need("content", &BLOCKS)]));
/// `system` within a conversation comes with the beta `mid-conversation-system`.
static ROLE: Shape = Shape::Word(&["user", "assistant", "system"]);
static SYSTEM: Shape = Shape::TextOr(&Shape::List(&Shape::Tagged(&[("text", &TEXT_BLOCK)])));

/// A custom tool. Its `type` may be left out, so it is a field like the others.
static TOOLS: Shape = Shape::List(&Shape::Object(&[
    may("type", &Shape::Word(&["custom"])),
    need("name", &TEXT),
    may("description", &TEXT),
    need("input_schema", &FREE),
    may("cache_control", &CACHE),
]));
static TOOL_CHOICE: Shape = Shape::Tagged(&[
    ("auto", &[may("disable_parallel_tool_use", &BOOL)]),
    ("any", &[may("disable_parallel_tool_use", &BOOL)]),
    ("tool", &[need("name", &TEXT), may("disable_parallel_tool_use", &BOOL)]),
    ("none", &[]),
]);

static THINKING: Shape =
    Shape::Tagged(&[("enabled", &[need("budget_tokens", &COUNT)]), ("adaptive", &[]), ("disabled", &[])]);
static METADATA: Shape = Shape::Object(&[may("user_id", &TEXT)]);
static CONTEXT: Shape =
    Shape::Object(&[may("edits", &Shape::List(&Shape::Tagged(&[("clear_thinking_20251015", &[may("keep", &ALL)])])))]);
static ALL: Shape = Shape::Word(&["all"]);
static OUTPUT: Shape = Shape::Object(&[may("effort", &Shape::Word(&["low", "medium", "high", "xhigh", "max"]))]);

static REQUEST: Shape = Shape::Object(&[
    need("model", &TEXT),
    need("messages", &MESSAGES),
    need("max_tokens", &COUNT),
    may("system", &SYSTEM),
    may("tools", &TOOLS),
    may("tool_choice", &TOOL_CHOICE),
    may("thinking", &THINKING),
    may("metadata", &METADATA),
    may("stop_sequences", &Shape::List(&TEXT)),
    may("stream", &BOOL),
    may("temperature", &NUMBER),
    may("top_p", &NUMBER),
    may("top_k", &COUNT),
    may("context_management", &CONTEXT),
    may("output_config", &OUTPUT),
]);
static COUNT_REQUEST: Shape = Shape::Object(&[
    need("model", &TEXT),
    need("messages", &MESSAGES),
    may("system", &SYSTEM),
    may("tools", &TOOLS),
    may("tool_choice", &TOOL_CHOICE),
    may("thinking", &THINKING),
    may("context_management", &CONTEXT),
    may("output_config", &OUTPUT),
]);

/// Checks the body against the table of its route; `bytes` is how long it was as it came.
pub(super) fn check(route: usize, body: Value, bytes: usize) -> Result<Prompt, Refusal> {
    let is_answered = route == ANSWERED;
    let table = if is_answered { &REQUEST } else { &COUNT_REQUEST };
    shape::check(&body, table).map_err(|refusal| refusal.with(FIELD_REMEDY))?;
    let model = body["model"].as_str().unwrap_or_default().to_owned();
    let is_name = !model.is_empty()
        && model.len() <= 128
        && model.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._:@".contains(&b));
    if !is_name {
        return Err(Refusal::at(Rule::Model, "/model".into(), "this is not a model name"));
    }
    let output = is_answered.then(|| Output {
        asked: u32::try_from(body["max_tokens"].as_u64().unwrap_or_default()).unwrap_or(u32::MAX),
        // A thinking budget is at least 1024 at the provider, and something has to follow.
        least: if body["thinking"]["type"] == "enabled" { 1024 + 256 } else { 256 },
    });
    let weight = weight::of(&body, bytes);
    Ok(Prompt { body, model, output, weight })
}

/// Lowers `max_tokens` to the cap, and with it a thinking budget that is not below `max_tokens`.
///
/// The provider wants it below, but for interleaved thinking, where it would count over many requests: what is paid for is one.
/// An effort and adaptive thinking have no figure of their own; `max_tokens` holds for all that comes out ("Extended thinking",
/// "Effort").
pub(super) fn limit(body: &mut Value, cap: u32) {
    let asked = body["max_tokens"].as_u64().unwrap_or_default();
    let granted = asked.min(cap.into());
    if granted < asked {
        body["max_tokens"] = granted.into();
    }
    let most = granted.saturating_sub(1);
    if let Some(budget) = body.pointer_mut("/thinking/budget_tokens")
        && budget.as_u64() > Some(most)
    {
        *budget = most.into();
    }
}
