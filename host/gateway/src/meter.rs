//! Reads usage out of responses as they pass: server-sent events of a stream, or the one JSON object of a plain answer.
//!
//! Source: Messages API, "Streaming": `message_start` carries the input's usage, each `message_delta` the usage so far.
//! Figures only ever grow, so the largest seen counts. How one could get it wrong: taking a stream that ended early for a
//! cheap one. A reading is complete only when a `message_delta` gave both the output and a reason to stop.

use crate::firewall::weight::Kept;
use borg_core::{
    budget::{MicroUsd, Usage},
    tariff::Tariff,
};
use serde::Deserialize;

/// Longest line, event or plain answer that is looked into; what is longer passes unread and makes the usage an estimate.
const LONGEST: usize = 4 << 20;

/// What a request used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Used {
    pub usage: Usage,
    /// Those of `cache_write_tokens` that are kept for an hour: they cost more.
    pub hour_writes: u64,
    /// True if part of it is an upper estimate.
    pub estimated: bool,
}

impl Used {
    /// Cost at list price, which depends on how much went in. Cache writes kept for an hour cost twice the input price (the API's
    /// pricing page); the price table has the five-minute price only.
    pub fn cost(&self, tariff: &Tariff) -> MicroUsd {
        let price = tariff.at(self.input());
        let surcharge = price.input.saturating_mul(2).saturating_sub(price.cache_write);
        let extra = (u128::from(self.hour_writes) * u128::from(surcharge)).div_ceil(1_000_000);
        price.cost(&self.usage) + MicroUsd(u64::try_from(extra).unwrap_or(u64::MAX))
    }

    /// Tokens that went in, of all classes.
    fn input(&self) -> u64 {
        let usage = Usage { output_tokens: 0, ..self.usage };
        usage.total()
    }
}

/// The most a request can use: what stands if its response does not tell.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worst {
    /// See [`crate::firewall::weight`].
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub kept: Kept,
}

impl Worst {
    /// The same as a use: all that goes in is of the class that costs most, and the provider's cache may do all it was asked for.
    pub fn used(&self, tariff: &Tariff) -> Used {
        let (tokens, output_tokens) = (self.input_tokens, self.output_tokens);
        let written = Usage { cache_write_tokens: tokens, output_tokens, ..Usage::default() };
        let plain = Usage { input_tokens: tokens, output_tokens, ..Usage::default() };
        let read = Usage { cache_read_tokens: tokens, output_tokens, ..Usage::default() };
        let classes: &[(Usage, u64)] = match self.kept {
            Kept::No => &[(plain, 0)],
            Kept::Minutes => &[(plain, 0), (read, 0), (written, 0)],
            Kept::Hour => &[(plain, 0), (read, 0), (written, 0), (written, tokens)],
        };
        let uses = classes.iter().map(|(usage, hour_writes)| Used {
            usage: *usage,
            hour_writes: *hour_writes,
            estimated: true,
        });
        uses.max_by_key(|used| used.cost(tariff)).unwrap_or_default()
    }
}

/// Reads one response.
pub(crate) struct Meter {
    form: Form,
    seen: Seen,
}

enum Form {
    Stream(Lines),
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
        Meter { form: Form::Stream(Lines::default()), seen: Seen::default() }
    }

    pub fn whole() -> Meter {
        Meter { form: Form::Whole { text: Vec::new(), overflow: false }, seen: Seen::default() }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        match &mut self.form {
            Form::Stream(lines) => lines.feed(bytes, &mut self.seen),
            Form::Whole { text, overflow } => {
                *overflow |= text.len() + bytes.len() > LONGEST;
                if !*overflow {
                    text.extend_from_slice(bytes);
                }
            }
        }
    }

    /// True if what passed so far is whole events, so that one of our own may follow.
    pub fn may_append(&self) -> bool {
        match &self.form {
            Form::Stream(lines) => lines.is_between_events(),
            Form::Whole { .. } => false,
        }
    }

    /// What was used, with the worst case in place of what is not known.
    pub fn settle(mut self, worst: &Used) -> Used {
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

/// Splits a stream into lines and events (WHATWG "Server-sent events"): lines end in LF, CR or CR LF, an event ends with an
/// empty line, `data` lines of one event are joined by LF.
#[derive(Default)]
struct Lines {
    line: Vec<u8>,
    data: Vec<u8>,
    has_data: bool,
    /// Part of the event was too long to keep.
    overflow: bool,
    after_cr: bool,
    /// Something of an event has passed since the last empty line.
    within: bool,
}

impl Lines {
    fn feed(&mut self, bytes: &[u8], seen: &mut Seen) {
        for &byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => self.end_line(seen),
                byte => {
                    self.within = true;
                    match self.line.len() < LONGEST {
                        true => self.line.push(byte),
                        false => self.overflow = true,
                    }
                }
            }
        }
    }

    fn end_line(&mut self, seen: &mut Seen) {
        if self.line.is_empty() {
            if self.has_data && !self.overflow {
                seen.event(&self.data);
            }
            self.data.clear();
            (self.has_data, self.overflow, self.within) = (false, false, false);
            return;
        }
        if let Some(data) = self.line.strip_prefix(b"data:") {
            let data = data.strip_prefix(b" ").unwrap_or(data);
            match self.data.len() + data.len() < LONGEST {
                true => {
                    if self.has_data {
                        self.data.push(b'\n');
                    }
                    self.data.extend_from_slice(data);
                }
                false => self.overflow = true,
            }
            self.has_data = true;
        }
        self.line.clear();
    }

    fn is_between_events(&self) -> bool {
        !self.within
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
    use borg_core::{budget::Price, tariff::Long};
    use proptest::prelude::*;

    const STREAM: &[u8] = include_bytes!("../tests/recorded/stream.sse");
    const WORST: Used = Used {
        usage: Usage { input_tokens: 5000, output_tokens: 64_000, cache_read_tokens: 0, cache_write_tokens: 0 },
        hour_writes: 0,
        estimated: true,
    };
    const PRICE: Price = Price { input: 3_000_000, output: 15_000_000, cache_read: 300_000, cache_write: 3_750_000 };
    const EXACT: Used = Used {
        usage: Usage { input_tokens: 1200, output_tokens: 97, cache_read_tokens: 500, cache_write_tokens: 300 },
        hour_writes: 100,
        estimated: false,
    };

    fn settle(bytes: &[u8]) -> Used {
        let mut meter = Meter::stream();
        meter.feed(bytes);
        meter.settle(&WORST)
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
    fn an_endless_line_is_bounded() {
        let mut meter = Meter::stream();
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..16 {
            meter.feed(&chunk);
        }
        let Form::Stream(lines) = &meter.form else { unreachable!() };
        assert!(lines.line.len() <= LONGEST);
        assert!(meter.settle(&WORST).estimated);
    }

    #[test]
    fn plain_answers() {
        let whole = |text: &str| {
            let mut meter = Meter::whole();
            text.as_bytes().chunks(3).for_each(|chunk| meter.feed(chunk));
            meter.settle(&WORST)
        };
        let usage = Usage { input_tokens: 3, output_tokens: 4, ..Usage::default() };
        assert_eq!(whole(r#"{"usage":{"input_tokens":3,"output_tokens":4}}"#), Used { usage, ..Used::default() });
        assert_eq!(whole(r#"{"usage":{"input_tokens":3,"output_tokens":4}"#), WORST);
        assert_eq!(whole(""), WORST);
    }

    #[test]
    fn hour_long_writes_cost_double_input() {
        let used =
            Used { usage: Usage { cache_write_tokens: 1000, ..Usage::default() }, hour_writes: 400, estimated: false };
        assert_eq!(used.cost(&PRICE.into()), MicroUsd(600 * 15 / 4 + 400 * 6));
    }

    #[test]
    fn a_long_context_costs_more_and_all_that_went_in_makes_it_long() {
        let long = Price { input: 6_000_000, output: 22_500_000, cache_read: 600_000, cache_write: 7_500_000 };
        let tariff = Tariff { long: Some(Long { above: 200_000, price: long }), ..PRICE.into() };
        let used = |cache_read_tokens| {
            let usage =
                Usage { input_tokens: 50_000, output_tokens: 1_000, cache_read_tokens, cache_write_tokens: 100_000 };
            Used { usage, hour_writes: 40_000, estimated: false }.cost(&tariff)
        };
        assert_eq!(used(50_000), MicroUsd(150_000 + 15_000 + 15_000 + 60_000 * 15 / 4 + 40_000 * 6));
        assert_eq!(used(50_001), MicroUsd(300_000 + 22_500 + 30_001 + 60_000 * 15 / 2 + 40_000 * 12));
    }

    #[test]
    fn the_worst_case_is_the_dearest_class_that_may_be() {
        let worst = |kept| Worst { input_tokens: 1_000, output_tokens: 100, kept }.used(&PRICE.into());
        let cost = |kept| worst(kept).cost(&PRICE.into());
        assert_eq!(cost(Kept::No), MicroUsd(3_000 + 1_500));
        assert_eq!(cost(Kept::Minutes), MicroUsd(3_750 + 1_500));
        assert_eq!(cost(Kept::Hour), MicroUsd(6_000 + 1_500));
        assert_eq!((worst(Kept::Hour).usage.total(), worst(Kept::No).usage.total()), (1_100, 1_100));
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
            prop_assert_eq!(meter.settle(&WORST), EXACT);
        }

        #[test]
        fn noise_never_panics_nor_lowers(noise in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut meter = Meter::stream();
            meter.feed(&noise);
            meter.feed(b"\n\n");
            meter.feed(STREAM);
            let used = meter.settle(&WORST);
            prop_assert!(used.usage.input_tokens >= 1200 && used.usage.output_tokens >= 97);
        }
    }
}
