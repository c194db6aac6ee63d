//! Reads usage out of responses as they pass: server-sent events of a stream, or the one JSON object of a plain answer.
//!
//! Source: Messages API, "Streaming": `message_start` carries the input's usage, each `message_delta` the usage so far.
//! Figures only ever grow, so the largest seen counts. How one could get it wrong: taking a stream that ended early for a
//! cheap one. A reading is complete only when a `message_delta` gave both the output and a reason to stop.

use crate::{
    provider::{
        api,
        sse::{Events, LONGEST},
    },
    usage::Used,
};
use borg_core::budget::Usage;
use serde::Deserialize;

/// Reads one response. What is longer than [`LONGEST`] passes unread and makes the usage an estimate.
pub(super) struct Meter {
    form: Form,
    seen: Seen,
}

enum Form {
    Stream(Events),
    Whole { text: Vec<u8>, overflow: bool },
}

/// What the response told so far.
#[derive(Default)]
struct Seen {
    input: Option<u64>,
    output: Option<u64>,
    cache_read: u64,
    cache_write: u64,
    hour_writes: u64,
    /// The output is final.
    stopped: bool,
    /// The provider reported an error within the stream.
    failed: bool,
    /// Bytes of content that passed; each token is at least one.
    content_bytes: u64,
}

impl Meter {
    pub fn stream() -> Meter {
        Meter { form: Form::Stream(Events::default()), seen: Seen::default() }
    }

    pub fn whole() -> Meter {
        Meter { form: Form::Whole { text: Vec::new(), overflow: false }, seen: Seen::default() }
    }
}

impl api::Meter for Meter {
    fn feed(&mut self, bytes: &[u8]) {
        match &mut self.form {
            Form::Stream(events) => events.feed(bytes, |data| self.seen.event(data)),
            Form::Whole { text, overflow } => {
                *overflow |= text.len() + bytes.len() > LONGEST;
                if !*overflow {
                    text.extend_from_slice(bytes);
                }
            }
        }
    }

    /// True between events of a stream: one of our own may follow.
    fn may_append(&self) -> bool {
        match &self.form {
            Form::Stream(events) => events.is_between_events(),
            Form::Whole { .. } => false,
        }
    }

    fn settle(mut self: Box<Self>, worst: &Used) -> Used {
        if let Form::Whole { text, overflow: false } = &self.form
            && let Ok(Whole { usage: Some(usage) }) = serde_json::from_slice(text)
        {
            self.seen.take(&usage);
            self.seen.stopped = self.seen.output.is_some();
        }
        let seen = self.seen;
        let output = match seen.output {
            Some(output) if seen.stopped => output,
            told => {
                // An error of the provider's ends the work, so what was made is what passed.
                let most = worst.usage.output_tokens;
                let most = if seen.failed { seen.content_bytes.min(most) } else { most };
                most.max(told.unwrap_or(0))
            }
        };
        let Some(input_tokens) = seen.input else {
            let usage = Usage { output_tokens: output, ..worst.usage };
            return Used { usage, hour_writes: worst.hour_writes, estimated: true };
        };
        let usage = Usage {
            input_tokens,
            output_tokens: output,
            cache_read_tokens: seen.cache_read,
            cache_write_tokens: seen.cache_write,
        };
        Used { usage, hour_writes: seen.hour_writes.min(seen.cache_write), estimated: !seen.stopped }
    }
}

impl Seen {
    fn take(&mut self, told: &UsageJson) {
        self.input = self.input.max(told.input_tokens);
        self.output = self.output.max(told.output_tokens);
        self.cache_read = self.cache_read.max(told.cache_read_input_tokens.unwrap_or(0));
        self.cache_write = self.cache_write.max(told.cache_creation_input_tokens.unwrap_or(0));
        let hour = told.cache_creation.as_ref().and_then(|kinds| kinds.ephemeral_1h_input_tokens);
        self.hour_writes = self.hour_writes.max(hour.unwrap_or(0));
    }

    fn event(&mut self, data: &[u8]) {
        let Ok(event) = serde_json::from_slice::<Event>(data) else { return };
        match event.kind.as_str() {
            "message_start" => {
                if let Some(usage) = event.message.and_then(|message| message.usage) {
                    self.take(&usage);
                }
            }
            "message_delta" => {
                let told = event.usage.unwrap_or_default();
                self.take(&told);
                let stops = event.delta.is_some_and(|delta| delta.stop_reason.is_some());
                self.stopped |= stops && told.output_tokens.is_some();
            }
            "content_block_start" | "content_block_delta" => self.content_bytes += data.len() as u64,
            "error" => self.failed = true,
            _ => {}
        }
    }
}

#[derive(Deserialize)]
struct Event {
    #[serde(rename = "type")]
    kind: String,
    message: Option<Whole>,
    usage: Option<UsageJson>,
    delta: Option<Delta>,
}

#[derive(Deserialize)]
struct Whole {
    usage: Option<UsageJson>,
}

#[derive(Deserialize)]
struct Delta {
    stop_reason: Option<String>,
}

#[derive(Default, Deserialize)]
struct UsageJson {
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_input_tokens: Option<u64>,
    cache_creation_input_tokens: Option<u64>,
    cache_creation: Option<CacheCreation>,
}

#[derive(Deserialize)]
struct CacheCreation {
    ephemeral_1h_input_tokens: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::provider::api::Meter as _;
    use proptest::prelude::*;

    const STREAM: &[u8] = include_bytes!("../../../tests/recorded/stream.sse");
    const WORST: Used = Used {
        usage: Usage { input_tokens: 5000, output_tokens: 64_000, cache_read_tokens: 0, cache_write_tokens: 0 },
        hour_writes: 0,
        estimated: true,
    };
    const EXACT: Used = Used {
        usage: Usage { input_tokens: 1200, output_tokens: 97, cache_read_tokens: 500, cache_write_tokens: 300 },
        hour_writes: 100,
        estimated: false,
    };

    fn settle(bytes: &[u8]) -> Used {
        let mut meter = Meter::stream();
        meter.feed(bytes);
        Box::new(meter).settle(&WORST)
    }

    fn find(needle: &str) -> usize {
        STREAM.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap()
    }

    #[test]
    fn whole_stream_is_exact() {
        assert_eq!(settle(STREAM), EXACT);
        let crlf = String::from_utf8(STREAM.to_vec()).unwrap().replace('\n', "\r\n");
        assert_eq!(settle(crlf.as_bytes()), EXACT);
        assert_eq!(settle(crlf.replace("\r\n", "\r").as_bytes()), EXACT);
    }

    #[test]
    fn cut_anywhere_it_is_exact_or_an_upper_estimate() {
        let told_input = find("event: ping");
        let told_all = find("event: message_stop");
        for end in 0..=STREAM.len() {
            let used = settle(&STREAM[..end]);
            if end >= told_all {
                assert_eq!(used, EXACT, "cut at {end}");
                continue;
            }
            assert!(used.estimated, "cut at {end}");
            assert_eq!(used.usage.output_tokens, WORST.usage.output_tokens, "cut at {end}");
            let input = if end >= told_input { 1200 } else { WORST.usage.input_tokens };
            assert_eq!(used.usage.input_tokens, input, "cut at {end}");
        }
    }

    #[test]
    fn a_delta_without_a_reason_to_stop_is_not_the_end() {
        let text =
            String::from_utf8(STREAM.to_vec()).unwrap().replace(r#""stop_reason":"end_turn""#, r#""stop_reason":null"#);
        let used = settle(text.as_bytes());
        assert!(used.estimated);
        assert_eq!(used.usage.output_tokens, WORST.usage.output_tokens);
    }

    #[test]
    fn an_error_of_the_providers_costs_what_passed() {
        let mut bytes = STREAM[..find("event: message_delta\n")].to_vec();
        bytes.extend(
            b"event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}}\n\n",
        );
        let used = settle(&bytes);
        assert!(used.estimated && used.usage.output_tokens < 2000 && used.usage.output_tokens >= 97, "{used:?}");
    }

    #[test]
    fn an_endless_line_is_an_estimate() {
        let mut meter = Meter::stream();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..16 {
            meter.feed(&chunk);
        }
        assert!(Box::new(meter).settle(&WORST).estimated);
    }

    #[test]
    fn plain_answers() {
        let whole = |text: &str| {
            let mut meter = Meter::whole();
            text.as_bytes().chunks(3).for_each(|chunk| meter.feed(chunk));
            Box::new(meter).settle(&WORST)
        };
        let usage = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
        assert_eq!(whole(r#"{"usage":{"input_tokens":3,"output_tokens":4}}"#), Used { usage, ..Used::default() });
        assert_eq!(whole(r#"{"usage":{"input_tokens":3,"output_tokens":4}"#), WORST);
        assert_eq!(whole(""), WORST);
    }

    proptest! {
        #[test]
        fn chunk_borders_do_not_matter(mut cuts in prop::collection::vec(0..STREAM.len(), 0..40)) {
            cuts.sort_unstable();
            cuts.push(STREAM.len());
            let mut meter = Meter::stream();
            let mut from = 0;
            for cut in cuts {
                meter.feed(&STREAM[from..cut]);
                from = cut;
            }
            prop_assert!(meter.may_append());
            prop_assert_eq!(Box::new(meter).settle(&WORST), EXACT);
        }

        #[test]
        fn noise_never_panics_nor_lowers(noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut meter = Meter::stream();
            meter.feed(&noise);
            meter.feed(b"\n\n");
            meter.feed(STREAM);
            let used = Box::new(meter).settle(&WORST);
            prop_assert!(used.usage.input_tokens >= 1200 && used.usage.output_tokens >= 97);
        }
    }
}
