//! What a body can come to at most at the provider, in tokens of input: the bound that is held for it while nobody knows.
//!
//! Text: a token is at least one byte of UTF-8, and JSON only adds to that, so the bytes of the body, as the client sent them, are the worst
//! density there is. They count what stands around the text, too (keys, roles, quotes), which is more than what the provider puts between
//! messages. It holds for all that is text here: prompts, tool results and definitions, thinking (encrypted thinking is longer than what it
//! hides) and plain documents. An image counts by the provider's largest, whatever its bytes. A PDF counts for the whole context window:
//! its pages are read as text *and* as images, and what is in it shows only when it is unpacked.
//!
//! Sources, as of 2026: "Vision" (about width × height / 750 tokens; scaled down to at most 4,784 on models that take 2,576 pixels, to about
//! 1,600 on others), "PDF support" (each page as text and image), "Tool use" (the system prompt that comes with tools: at most 804 tokens),
//! "Context windows", "Prompt caching" (a write for five minutes 1.25 times input, for an hour twice).

use crate::usage::{Kept, Weight};
use serde_json::Value;

/// The largest image there is, in tokens.
const IMAGE: u64 = 5_000;
/// What comes with the first tool.
const TOOLS: u64 = 1_024;

/// Of a checked body that was this many bytes long.
pub(super) fn of(body: &Value, bytes: usize) -> Weight {
    let mut found = Found::default();
    found.content(&body["system"]);
    for tool in list(&body["tools"]) {
        found.cache(tool);
    }
    for message in list(&body["messages"]) {
        found.content(&message["content"]);
    }
    let text = (bytes as u64).saturating_sub(found.encoded);
    let tools = if list(&body["tools"]).is_empty() { 0 } else { TOOLS };
    Weight { tokens: text + tools + found.images * IMAGE, is_unbounded: found.has_pdf, kept: found.kept }
}

#[derive(Default)]
struct Found {
    images: u64,
    /// A PDF may fill the whole window.
    has_pdf: bool,
    /// Bytes of images and PDFs, which are no text.
    encoded: u64,
    kept: Kept,
}

impl Found {
    /// A text or a list of blocks; results of tools hold blocks of their own.
    fn content(&mut self, content: &Value) {
        for block in list(content) {
            self.cache(block);
            let source = &block["source"];
            let is_encoded = source["type"] == "base64";
            match block["type"].as_str() {
                Some("image") => self.images += 1,
                Some("document") if is_encoded => self.has_pdf = true,
                Some("tool_result") => self.content(&block["content"]),
                Some(_) | None => {}
            }
            if is_encoded {
                self.encoded += source["data"].as_str().map_or(0, |data| data.len() as u64);
            }
        }
    }

    fn cache(&mut self, holder: &Value) {
        let asked = &holder["cache_control"];
        let kept = match asked["ttl"].as_str() {
            Some("1h") => Kept::Hour,
            Some(_) => Kept::Minutes,
            None if asked.is_object() => Kept::Minutes,
            None => Kept::No,
        };
        self.kept = self.kept.max(kept);
    }
}

fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const WINDOW: u64 = 200_000;

    fn weight(content: Value) -> Weight {
        let body = json!({ "model": "m", "max_tokens": 1, "messages": [{ "role": "user", "content": content }] });
        of(&body, body.to_string().len())
    }

    fn encoded(kind: &str, media: &str, bytes: usize) -> Value {
        json!({ "type": kind, "source": { "type": "base64", "media_type": media, "data": "A".repeat(bytes) } })
    }

    #[test]
    fn every_kind_of_block_is_bounded_from_above() {
        let result = |content: Value| json!([{ "type": "tool_result", "tool_use_id": "t", "content": content }]);
        let image = || encoded("image", "image/png", 100_000);
        let pdf = || encoded("document", "application/pdf", 100);
        // One byte may be one token; more than the window never goes in.
        for text in ["x".repeat(1000), "\u{1F600}".repeat(250), "\n".repeat(1000)] {
            let most = weight(json!(text)).most(WINDOW);
            assert!(most >= text.len() as u64 && most < 2_300, "{most}");
        }
        assert_eq!(weight(json!("x".repeat(300_000))).most(WINDOW), WINDOW);
        // An image counts by the largest there is and not by its bytes.
        for (content, images) in [(json!([image()]), 1), (json!([image(), image()]), 2), (result(json!([image()])), 1)]
        {
            let most = weight(content).most(WINDOW);
            assert!(most >= images * IMAGE && most < images * IMAGE + 1_000, "{most}");
        }
        // A PDF of some bytes may be all there is room for.
        for content in [json!([pdf()]), result(json!([{ "type": "text", "text": "a" }, pdf()]))] {
            assert_eq!(weight(content).most(WINDOW), WINDOW);
        }
        let plain = json!([{ "type": "document", "title": "t",
            "source": { "type": "text", "media_type": "text/plain", "data": "y".repeat(2_000) } }]);
        let most = weight(plain).most(WINDOW);
        assert!((2_000..3_000).contains(&most), "{most}");
        // What comes with tools is the provider's.
        let body = json!({ "tools": [{ "name": "t", "input_schema": {} }] });
        assert!(of(&body, 10).most(WINDOW) > TOOLS);
    }

    #[test]
    fn what_may_be_kept_is_seen_wherever_it_is_asked_for() {
        let text = |cache: Value| json!({ "type": "text", "text": "a", "cache_control": cache });
        let five = || json!({ "type": "ephemeral" });
        let hour = || json!({ "type": "ephemeral", "ttl": "1h" });
        assert_eq!(weight(json!([{ "type": "text", "text": "a" }])).kept, Kept::No);
        assert_eq!(weight(json!([text(five())])).kept, Kept::Minutes);
        assert_eq!(weight(json!([text(json!({ "type": "ephemeral", "ttl": "5m" }))])).kept, Kept::Minutes);
        assert_eq!(weight(json!([text(hour()), text(five())])).kept, Kept::Hour);
        let inner = json!([{ "type": "tool_result", "tool_use_id": "t", "content": [text(hour())] }]);
        assert_eq!(weight(inner).kept, Kept::Hour);
        for body in
            [json!({ "system": [text(hour())] }), json!({ "tools": [{ "name": "t", "cache_control": hour() }] })]
        {
            assert_eq!(of(&body, 10).kept, Kept::Hour, "{body}");
        }
    }
}
