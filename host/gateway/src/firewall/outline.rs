//! What a request will be billed for: about how many tokens go in, which of its beginnings the provider may have seen
//! before, and whether it asks for anything to be kept.
//!
//! Source: Messages API, "Prompt caching": the provider keeps a prompt up to each `cache_control`, in the order tools,
//! system, messages, and finds it again if at most 20 blocks were added. Marks move along with a conversation, so they are
//! no part of a beginning. How one could get it wrong: taking two different beginnings for the same one, for what was seen
//! before is held at a tenth of its price. So everything that goes into a prompt is in the digest, under a key of our own.

use serde_json::Value;
use std::hash::{BuildHasher, Hash, Hasher, RandomState};

/// Bytes per token. JSON escapes make the real count lower; text that is neither English nor code can make it higher.
const BYTES_PER_TOKEN: u64 = 4;
/// Tokens of one image at most; its bytes say nothing about them.
const IMAGE_TOKENS: u64 = 5000;
/// Blocks that may follow on a kept beginning so that it is still found.
const BLOCKS_BACK: usize = 20;
/// Begins a line the agent adds for the provider's statistics, of this many bytes at most; it may differ with every request
/// and is not part of the prompt.
const BILLING: (&str, usize) = ("x-anthropic-billing-header:", 200);

/// What is kept for later requests, and so costs more now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Keep {
    Nothing,
    FiveMinutes,
    Hour,
}

/// A request as its bill sees it.
#[derive(Debug)]
pub(crate) struct Outline {
    /// Estimate of all tokens that go in.
    pub tokens: u64,
    pub keep: Keep,
    /// Digest of everything but the messages, then of that and each further message.
    beginnings: Vec<u64>,
    /// How many of `beginnings`, counted from the end, the provider would look for.
    found: usize,
}

impl Outline {
    /// Of a checked body that was this many bytes long.
    pub fn of(body: &Value, bytes: usize, key: &RandomState) -> Outline {
        let mut digest = key.build_hasher();
        for field in ["model", "tools", "system", "tool_choice", "thinking", "context_management", "output_config"] {
            field.hash(&mut digest);
            match &body[field] {
                Value::Array(blocks) => {
                    blocks.iter().filter(|block| !is_billing(block)).for_each(|block| hash_block(block, &mut digest));
                }
                other => other.to_string().hash(&mut digest),
            }
        }
        let mut beginnings = vec![digest.finish()];
        let mut lengths = Vec::new();
        let mut images = (0, 0);
        for message in body["messages"].as_array().into_iter().flatten() {
            message["role"].to_string().hash(&mut digest);
            let blocks = match &message["content"] {
                Value::Array(blocks) => blocks.as_slice(),
                // A text alone is the same prompt as one block of text.
                text => {
                    hash_block(&serde_json::json!({ "type": "text", "text": text }), &mut digest);
                    &[]
                }
            };
            for block in blocks {
                hash_block(block, &mut digest);
                count_images(block, &mut images);
            }
            beginnings.push(digest.finish());
            lengths.push(blocks.len().max(1));
        }
        let (count, image_bytes) = images;
        let tokens = (bytes as u64).saturating_sub(image_bytes).div_ceil(BYTES_PER_TOKEN) + count * IMAGE_TOKENS;
        Outline { tokens, keep: keep(body), found: found(body, &lengths), beginnings }
    }

    /// Stands for the whole request.
    pub fn whole(&self) -> u64 {
        self.beginnings[self.beginnings.len() - 1]
    }

    /// True if the request goes on from the one with this digest, so that the provider finds again what it kept of it.
    pub fn goes_on_from(&self, whole: u64) -> bool {
        self.beginnings.iter().rev().take(self.found).any(|beginning| *beginning == whole)
    }
}

/// How many beginnings, from the last on, are within reach of a mark on the last message.
fn found(body: &Value, lengths: &[usize]) -> usize {
    let last = body["messages"].as_array().and_then(|messages| messages.last());
    let marked = last
        .and_then(|message| message["content"].as_array()?.last())
        .is_some_and(|block| block.get("cache_control").is_some());
    if !marked {
        return 0;
    }
    let mut after = 0;
    // The whole itself is one, with nothing after it.
    1 + lengths
        .iter()
        .rev()
        .take_while(|length| {
            after += **length;
            after < BLOCKS_BACK
        })
        .count()
}

/// A block without its mark; in its own order, for that is what is sent.
fn hash_block(block: &Value, digest: &mut impl Hasher) {
    for (name, value) in block.as_object().into_iter().flatten().filter(|(name, _)| *name != "cache_control") {
        name.hash(digest);
        value.to_string().hash(digest);
    }
    // Ends the block: no field has an empty name.
    "".hash(digest);
}

fn is_billing(block: &Value) -> bool {
    block["text"].as_str().is_some_and(|text| text.starts_with(BILLING.0) && text.len() <= BILLING.1)
}

/// Adds the images of a block, and of a tool's result, to their count and bytes.
fn count_images(block: &Value, images: &mut (u64, u64)) {
    if block["type"] == "image" {
        images.0 += 1;
        images.1 += block["source"]["data"].as_str().map_or(0, str::len) as u64;
    }
    block["content"].as_array().into_iter().flatten().for_each(|inner| count_images(inner, images));
}

/// The longest time that any mark asks for. Free JSON of tools is no place for one.
fn keep(body: &Value) -> Keep {
    let lists = ["tools", "system"].iter().filter_map(|field| body[*field].as_array()).flatten();
    let messages = body["messages"].as_array().into_iter().flatten();
    let blocks = messages.filter_map(|message| message["content"].as_array()).flatten();
    let inner = blocks.clone().filter_map(|block| block["content"].as_array()).flatten();
    let marks = lists.chain(blocks).chain(inner).filter_map(|block| block.get("cache_control"));
    marks.fold(Keep::Nothing, |keep, mark| match (keep, mark["ttl"] == "1h") {
        (Keep::Hour, _) | (_, true) => Keep::Hour,
        (Keep::Nothing | Keep::FiveMinutes, false) => Keep::FiveMinutes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn message(role: &str, text: &str, marked: bool) -> Value {
        let mut block = json!({ "type": "text", "text": text });
        if marked {
            block["cache_control"] = json!({ "type": "ephemeral" });
        }
        json!({ "role": role, "content": [block] })
    }

    fn body(system: &str, messages: &[Value]) -> Value {
        let system = json!([{ "type": "text", "text": system }, { "type": "text", "text": "You are." }]);
        json!({ "model": "m", "system": system, "messages": messages })
    }

    #[test]
    fn a_conversation_is_known_by_its_beginning_wherever_the_marks_are() {
        let key = RandomState::new();
        let of = |system: &str, messages: &[Value]| Outline::of(&body(system, messages), 100, &key);
        let first = of("x-anthropic-billing-header: a", &[message("user", "hi", true)]).whole();
        let next = |text: &str, marked| {
            [
                json!({ "role": "user", "content": text }),
                message("assistant", "yes", false),
                message("user", "go", marked),
            ]
        };
        assert!(of("x-anthropic-billing-header: b", &next("hi", true)).goes_on_from(first));
        assert!(!of("x-anthropic-billing-header: b", &next("ho", true)).goes_on_from(first), "another beginning");
        assert!(!of("Be good.", &next("hi", true)).goes_on_from(first), "another system prompt");
        assert!(!of("x-anthropic-billing-header: b", &next("hi", false)).goes_on_from(first), "looks for nothing");
        let mut far = next("hi", true).to_vec();
        far[1] = json!({ "role": "assistant", "content": vec![json!({ "type": "text", "text": "x" }); 20] });
        assert!(!of("x-anthropic-billing-header: b", &far).goes_on_from(first), "too far back to be found");
    }

    #[test]
    fn a_mark_within_free_json_hides_nothing() {
        let key = RandomState::new();
        let call = |hidden: &str| {
            let input = json!({ "cache_control": hidden });
            let call = json!({ "type": "tool_use", "id": "t", "name": "n", "input": input });
            let last = message("user", "go", true);
            Outline::of(&body("x", &[json!({ "role": "assistant", "content": [call] }), last]), 100, &key)
        };
        assert_eq!(call("a").whole(), call("a").whole());
        assert_ne!(call("a").whole(), call("b").whole());
        assert_eq!(call("1h").keep, Keep::FiveMinutes);
    }

    #[test]
    fn images_count_by_number_and_text_by_length() {
        let image = json!({ "type": "image", "source": { "type": "base64", "data": "A".repeat(1 << 20) } });
        let result = json!({ "type": "tool_result", "tool_use_id": "t", "content": [image.clone(), image] });
        let body = body("x", &[json!({ "role": "user", "content": [result] })]);
        let outline = Outline::of(&body, (2 << 20) + 400, &RandomState::new());
        assert_eq!(outline.tokens, 100 + 2 * IMAGE_TOKENS);
    }
}
