//! What requests can cost is bounded from above: whatever is asked, at once or in turn, whatever the provider makes of it, and however its
//! answers or their clients end, a budget is exceeded by what one request can cost at most.

use crate::support::{Answer, Got, PLENTY, PRICE, Piece, World, access, cut_sse, json as plain, own_pid, post, send};
use borg_core::{
    budget::{Budget, MicroUsd, Price, Usage},
    tariff::{Long, Tariff},
};
use borg_gateway::{Access, Door};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::Notify,
    time::sleep,
};

const WINDOW: u64 = 200_000;
const ABOVE: u64 = 100_000;
const LONG: Price = Price { input: 10_000_000, output: 37_500_000, cache_read: 1_000_000, cache_write: 12_500_000 };
/// The largest image of the provider's documentation, in tokens.
const IMAGE: u64 = 4_784;

fn tariff() -> Tariff {
    Tariff { price: PRICE, long: Some(Long { above: ABOVE, price: LONG }), window: WINDOW }
}

fn allow(access: &mut Access, budget: MicroUsd) {
    access.allowance = Budget { cost: budget, ..PLENTY };
    access.egress[0].prices = BTreeMap::from([("claude-*".into(), tariff())]);
}

fn pdf(bytes: usize) -> Value {
    json!({ "type": "document", "source": { "type": "base64", "media_type": "application/pdf", "data": "A".repeat(bytes) } })
}

fn image(bytes: usize) -> Value {
    json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "A".repeat(bytes) } })
}

fn body(content: Value, max_tokens: u64) -> Value {
    let messages = json!([{ "role": "user", "content": content }]);
    json!({ "model": "claude-opus-4-8", "max_tokens": max_tokens, "stream": true, "messages": messages })
}

/// What the provider charges, reckoned without any code of ours.
fn bill(usage: &Usage, hour_writes: u64) -> u64 {
    let total = usage.input_tokens + usage.cache_read_tokens + usage.cache_write_tokens;
    let price = if total > ABOVE { LONG } else { PRICE };
    let sum = u128::from(usage.input_tokens) * u128::from(price.input)
        + u128::from(usage.output_tokens) * u128::from(price.output)
        + u128::from(usage.cache_read_tokens) * u128::from(price.cache_read)
        + u128::from(usage.cache_write_tokens - hour_writes) * u128::from(price.cache_write)
        + u128::from(hour_writes) * 2 * u128::from(price.input);
    u64::try_from(sum.div_ceil(1_000_000)).unwrap()
}

/// A stream that tells this usage.
fn stream(usage: &Usage, hour_writes: u64) -> Vec<u8> {
    let start = json!({ "type": "message_start", "message": { "usage": {
        "input_tokens": usage.input_tokens, "output_tokens": 1, "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_creation": { "ephemeral_1h_input_tokens": hour_writes },
    } } });
    let delta =
        json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": "so it is" } });
    let stop = json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" },
        "usage": { "output_tokens": usage.output_tokens } });
    let events = [("message_start", start), ("content_block_delta", delta), ("message_delta", stop)];
    let text: String = events.iter().map(|(name, data)| format!("event: {name}\ndata: {data}\n\n")).collect();
    format!("{text}event: message_stop\ndata: {{\"type\":\"message_stop\"}}\n\n").into_bytes()
}

#[tokio::test]
async fn four_pdfs_at_once_cannot_spend_more_than_the_budget_and_one_bound() {
    // $0.20, and four PDFs of which each comes to the whole window: about $2 with its cache.
    let budget = MicroUsd(200_000);
    let world = World::with(|limits| limits.in_flight = 4, |access| allow(access, budget)).await;
    let spent = Arc::new(Mutex::new(0));
    let told = spent.clone();
    world.upstream.play(move |got| {
        let sent: Value = serde_json::from_str(&got.body).unwrap();
        let output_tokens = sent["max_tokens"].as_u64().unwrap();
        let usage = Usage { cache_write_tokens: WINDOW, output_tokens, ..Usage::default() };
        *told.lock().unwrap() += bill(&usage, 0);
        let stream = stream(&usage, 0);
        cut_sse(&stream, stream.len())
    });
    let mut content = pdf(50_000);
    content["cache_control"] = json!({ "type": "ephemeral" });
    let request = post("/v1/messages", "", &body(json!([content]), 8_000).to_string());
    let asked: Vec<_> = (0..4)
        .map(|_| {
            let (socket, request) = (world.socket.clone(), request.clone());
            tokio::spawn(async move { send(&socket, request.as_bytes()).await })
        })
        .collect();
    let mut passed = 0;
    for answer in asked {
        passed += u64::from(answer.await.unwrap().status == 200);
    }
    let bound = bill(&Usage { cache_write_tokens: WINDOW, output_tokens: 8_000, ..Usage::default() }, 0);
    let spent = *spent.lock().unwrap();
    assert_eq!((passed, world.upstream.got().len()), (1, 1), "the first is alone, and no other beside or after it");
    assert!(spent > budget.0 && spent <= budget.0 + bound, "{spent}");
    assert_eq!(world.door.spent().cost, MicroUsd(spent));
}

#[tokio::test]
async fn thinking_is_bounded_by_what_is_paid_for() {
    let world = World::with(|_| {}, |access| allow(access, MicroUsd(100_000))).await;
    for (thinking, effort) in
        [(json!({ "type": "enabled", "budget_tokens": 1_000_000 }), None), (json!({ "type": "adaptive" }), Some("max"))]
    {
        let mut asked = body(json!("hi"), 64_000);
        asked["thinking"] = thinking;
        if let Some(effort) = effort {
            asked["output_config"] = json!({ "effort": effort });
        }
        assert_eq!(world.post(&asked.to_string()).await.status, 200);
        let sent: Value = serde_json::from_str(&world.upstream.got().pop().unwrap().body).unwrap();
        let most = sent["max_tokens"].as_u64().unwrap();
        assert!(most * 25 <= 100_000, "$0.10 pay for 4,000 tokens: {most}");
        if effort.is_none() {
            assert_eq!(sent["thinking"]["budget_tokens"], most - 1);
        }
    }
    // Where nothing is limited, too: a budget of thinking above what is asked for is one for many requests.
    let world = World::new().await;
    let mut asked = body(json!("hi"), 4_000);
    asked["thinking"] = json!({ "type": "enabled", "budget_tokens": 200_000 });
    assert_eq!(world.post(&asked.to_string()).await.status, 200);
    let sent: Value = serde_json::from_str(&world.upstream.got().pop().unwrap().body).unwrap();
    assert_eq!((&sent["max_tokens"], &sent["thinking"]["budget_tokens"]), (&json!(4_000), &json!(3_999)));
}

/// How the provider's answer to a request ends.
#[derive(Clone, Copy, Debug)]
enum End {
    Whole,
    /// After so many thousandths of it.
    Cut(u16),
    NoHead,
    /// It fails, and charges nothing.
    Error,
}

/// A request and what becomes of it.
#[derive(Clone, Debug)]
struct Plan {
    text: usize,
    images: u64,
    pdf: bool,
    /// Within the result of a tool.
    nested: bool,
    tools: bool,
    cache: Option<&'static str>,
    max_tokens: u64,
    thinking: Option<u64>,
    end: End,
    /// Its client hangs up before the head comes.
    leaves: bool,
    /// Thousandths of the most that the provider makes of it: what goes in, what of that is written and read, what comes out.
    shares: [u16; 4],
    /// It goes with the next one, and does not wait for its own end.
    at_once: bool,
}

impl Plan {
    fn body(&self, id: usize) -> Value {
        let mut blocks = vec![json!({ "type": "text", "text": "é".repeat(self.text / 2) })];
        blocks.extend((0..self.images).map(|_| image(40)));
        blocks.extend(self.pdf.then(|| pdf(60)));
        if self.nested {
            blocks = vec![json!({ "type": "tool_result", "tool_use_id": "t", "content": blocks })];
        }
        if let Some(ttl) = self.cache {
            blocks[0]["cache_control"] = json!({ "type": "ephemeral", "ttl": ttl });
        }
        let mut asked = body(json!(blocks), self.max_tokens);
        asked["metadata"] = json!({ "user_id": id.to_string() });
        if self.tools {
            asked["tools"] = json!([{ "name": "t", "input_schema": { "type": "object" } }]);
        }
        if let Some(budget) = self.thinking {
            asked["thinking"] = json!({ "type": "enabled", "budget_tokens": budget });
        }
        asked
    }

    /// Most tokens of input, as the provider's documentation has it.
    fn most_input(&self) -> u64 {
        if self.pdf {
            return WINDOW;
        }
        // What stands around the text is some tokens a block.
        let around = 100 + if self.tools { 804 } else { 0 };
        (self.text as u64 + self.images * IMAGE + around).min(WINDOW)
    }

    /// What the provider makes of it, and how much of that is written for an hour.
    fn usage(&self, sent: &Value) -> (Usage, u64) {
        let part = |whole: u64, share: u16| whole * u64::from(share) / 1000;
        let input = part(self.most_input(), self.shares[0]).max(1);
        let (write, read) = match self.cache {
            Some(_) => {
                let write = part(input, self.shares[1]);
                (write, part(input - write, self.shares[2]))
            }
            None => (0, 0),
        };
        let output_tokens = part(sent["max_tokens"].as_u64().unwrap(), self.shares[3]).max(1);
        let hour_writes = if self.cache == Some("1h") { write } else { 0 };
        let input_tokens = input - write - read;
        (Usage { input_tokens, output_tokens, cache_read_tokens: read, cache_write_tokens: write }, hour_writes)
    }

    /// What it can cost at most: every byte of its text a token, its images the largest, all of it written to the cache.
    fn bound(&self, id: usize) -> u64 {
        let asked = self.body(id).to_string();
        let input = if self.pdf { WINDOW } else { (asked.len() as u64 + self.images * 5_000 + 1_024).min(WINDOW) };
        let output_tokens = self.max_tokens;
        let written = Usage { cache_write_tokens: input, output_tokens, ..Usage::default() };
        let plain = Usage { input_tokens: input, output_tokens, ..Usage::default() };
        match self.cache {
            Some("1h") => bill(&written, input),
            Some(_) => bill(&written, 0),
            None => bill(&plain, 0),
        }
    }
}

fn plan() -> impl Strategy<Value = Plan> {
    let end = prop_oneof![
        4 => Just(End::Whole),
        2 => (0u16..1000).prop_map(End::Cut),
        1 => Just(End::NoHead),
        1 => Just(End::Error),
    ];
    let content = (0usize..60_000, 0u64..4, prop::bool::weighted(0.2), any::<bool>(), any::<bool>());
    let cache = prop_oneof![Just(None), Just(Some("5m")), Just(Some("1h"))];
    let share = || prop_oneof![2 => Just(1000u16), 1 => 0u16..1000];
    let asks = (1u64..40_000, prop::option::weighted(0.3, 1_024u64..100_000));
    (content, cache, asks, end, prop::bool::weighted(0.3), [share(), share(), share(), share()], any::<bool>())
        .prop_map(
            |((text, images, pdf, nested, tools), cache, (max_tokens, thinking), end, leaves, shares, at_once)| Plan {
                text,
                images,
                pdf,
                nested,
                tools,
                cache,
                max_tokens,
                thinking,
                end,
                leaves,
                shares,
                at_once,
            },
        )
}

/// The provider of a played case: what it charges, and who waits for what.
#[derive(Default)]
struct Charges {
    bills: Mutex<BTreeMap<usize, u64>>,
    arrived: Mutex<BTreeMap<usize, Arc<Notify>>>,
    heads: Mutex<BTreeMap<usize, Arc<Notify>>>,
}

impl Charges {
    fn notify(of: &Mutex<BTreeMap<usize, Arc<Notify>>>, id: usize) -> Arc<Notify> {
        of.lock().unwrap().entry(id).or_default().clone()
    }

    fn play(&self, plans: &[Plan], got: &Got) -> Vec<Piece> {
        let sent: Value = serde_json::from_str(&got.body).unwrap();
        let id: usize = sent["metadata"]["user_id"].as_str().unwrap().parse().unwrap();
        let plan = &plans[id];
        if let Some(budget) = sent["thinking"]["budget_tokens"].as_u64() {
            assert!(budget < sent["max_tokens"].as_u64().unwrap());
        }
        Charges::notify(&self.arrived, id).notify_one();
        let (usage, hour_writes) = plan.usage(&sent);
        let bytes = stream(&usage, hour_writes);
        let answer = match plan.end {
            End::Whole => cut_sse(&bytes, bytes.len()),
            End::Cut(share) => cut_sse(&bytes, bytes.len() * usize::from(share) / 1000),
            End::NoHead => Vec::new(),
            End::Error => plain(529, "", r#"{"type":"error","error":{"type":"overloaded_error","message":"x"}}"#),
        };
        let charged = if matches!(plan.end, End::Error) { 0 } else { bill(&usage, hour_writes) };
        *self.bills.lock().unwrap().entry(id).or_default() += charged;
        let wait = plan.leaves.then(|| Piece::Pause(Charges::notify(&self.heads, id)));
        wait.into_iter().chain(answer).collect()
    }

    /// One client of one request.
    async fn ask(self: Arc<Self>, plan: Plan, id: usize, socket: PathBuf) {
        let request = post("/v1/messages", "", &plan.body(id).to_string());
        if !plan.leaves {
            let Answer { status, .. } = send(&socket, request.as_bytes()).await;
            assert!([200, 400, 403, 502, 529].contains(&status), "{status}");
            return;
        }
        let mut stream = UnixStream::connect(&socket).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let arrived = Charges::notify(&self.arrived, id);
        // Or the budget refuses it.
        tokio::select! {
            () = arrived.notified() => {}
            _ = stream.read_u8() => {}
        }
        drop(stream);
        let head = Charges::notify(&self.heads, id);
        tokio::spawn(async move {
            sleep(Duration::from_millis(15)).await;
            head.notify_one();
        });
    }

    /// All requests of a run, one after the other but for those that go at once.
    async fn ask_all(self: &Arc<Self>, plans: &[Plan], from: usize, socket: &Path) {
        let mut open = Vec::new();
        for (n, plan) in plans.iter().enumerate() {
            open.push(tokio::spawn(self.clone().ask(plan.clone(), from + n, socket.to_owned())));
            if !plan.at_once {
                for asked in open.drain(..) {
                    asked.await.unwrap();
                }
            }
        }
        for asked in open {
            asked.await.unwrap();
        }
    }
}

/// Plays requests over two runs of a task, the second of which takes up what the first left.
async fn played(budget: u64, first: Vec<Plan>, second: Vec<Plan>) {
    let plans: Arc<Vec<Plan>> = Arc::new(first.iter().chain(&second).cloned().collect());
    let limits = |limits: &mut borg_gateway::Limits| limits.response_time = Duration::from_secs(20);
    let world = World::with(limits, |access| allow(access, MicroUsd(budget))).await;
    let charges = Arc::new(Charges::default());
    let (played, provider) = (plans.clone(), charges.clone());
    world.upstream.play(move |got| provider.play(&played, got));
    charges.ask_all(&first, 0, &world.socket).await;
    world.door.close().await;
    world.door.settled().await;
    // As the engine does: what is booked, and what is held, at one moment.
    let (elders, rows) = loop {
        let (before, elders) = (world.book.rows(), world.book.open());
        if before == world.book.rows() {
            break (elders, before);
        }
    };
    let spent: u64 = rows.iter().map(|row| row.cost.0).sum();
    let next: Option<Door> = match budget.checked_sub(spent).filter(|left| *left > 0 && !second.is_empty()) {
        None => None,
        Some(left) => {
            let socket = world.socket.with_extension("next");
            let mut next = access(&socket);
            next.run.fence += 1;
            next.elders = elders;
            allow(&mut next, MicroUsd(left));
            let door = world.gateway.open(next).await.unwrap();
            door.admit(own_pid());
            charges.ask_all(&second, first.len(), &socket).await;
            door.close().await;
            door.settled().await;
            Some(door)
        }
    };
    let asked = if next.is_some() { plans.len() } else { first.len() };
    let rows = world.book.written(asked).await;
    assert_eq!(rows.len(), asked, "one row for each request");
    assert_eq!(world.book.open(), [], "all that was held is settled");

    let bills = charges.bills.lock().unwrap().clone();
    let booked: u64 = rows.iter().map(|row| row.cost.0).sum();
    let billed: u64 = bills.values().sum();
    assert!(booked >= billed, "booked {booked}, billed {billed}");
    let bound = plans.iter().enumerate().map(|(id, plan)| plan.bound(id)).max().unwrap_or(0);
    // Each row is rounded up by itself.
    let most = budget + bound + rows.len() as u64 + 1;
    assert!(booked <= most, "booked {booked} of {budget} and {bound}");
    // Nothing the provider charged for is booked with nothing, and what ended well exactly.
    let charged = bills.values().filter(|bill| **bill > 0).count();
    assert!(rows.iter().filter(|row| row.cost.0 > 0).count() >= charged);
    let exact = |row: &&borg_gateway::Row| row.usage.is_some() && !row.estimated;
    for row in rows.iter().filter(exact) {
        assert!(bills.values().any(|bill| (row.cost.0.saturating_sub(1)..=row.cost.0).contains(bill)), "{row:?}");
    }
    // The accounts say the same as the ledger.
    let own = rows.iter().filter(|row| row.run.fence == 2).map(|row| row.cost.0).sum::<u64>();
    assert_eq!(world.door.spent().cost, MicroUsd(own));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_budget_is_exceeded_by_one_bound_at_most(
        budget in prop_oneof![1_000u64..200_000, 200_000u64..6_000_000],
        first in prop::collection::vec(plan(), 1..7),
        second in prop::collection::vec(plan(), 0..4),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            tokio::time::timeout(Duration::from_secs(60), played(budget, first, second)).await.expect("it ends");
        });
    }
}
