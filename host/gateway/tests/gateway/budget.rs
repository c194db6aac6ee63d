//! Each of the four limits stops the next request, in words, and what is used is settled whatever happens to the stream.

use crate::support::{Answer, BODY, PLENTY, PRICE, Piece, STREAM, World, cut_sse, sse_head};
use borg_core::budget::{Budget, Cap, MicroUsd, Spent, Usage};
use borg_gateway::{Access, Credential, Fate, News, Secret};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    sync::Notify,
    task::JoinHandle,
};

/// What [`STREAM`] tells.
const TOLD: Usage = Usage { input_tokens: 1200, output_tokens: 97, cache_read_tokens: 500, cache_write_tokens: 300 };

/// Its cost: 100 of the writes are kept for an hour and cost 10 per token more than input would.
fn told_cost() -> MicroUsd {
    PRICE.cost(&TOLD) + MicroUsd(100 * (10_000_000 - 6_250_000) / 1_000_000)
}

fn position(needle: &str) -> usize {
    STREAM.windows(needle.len()).position(|window| window == needle.as_bytes()).unwrap()
}

fn assert_capped(answer: &Answer, cap: Cap) {
    assert_eq!(answer.status, 400, "{answer:?}");
    let told = answer.json();
    assert_eq!((&told["type"], &told["error"]["type"]), (&"error".into(), &"invalid_request_error".into()));
    let message = answer.message();
    assert!(message.starts_with(&format!("borg: budget reached: {cap} (")), "{message}");
    assert!(answer.head.contains("x-should-retry: false"));
}

#[tokio::test]
async fn each_limit_stops_the_next_request() {
    for (cap, allowance, served) in [
        (Cap::Turns, Budget { turns: 2, ..PLENTY }, 2),
        (Cap::Tokens, Budget { tokens: TOLD.counted(), ..PLENTY }, 1),
        (Cap::Cost, Budget { cost: told_cost(), ..PLENTY }, 1),
        (Cap::Wall, Budget { wall_ms: 0, ..PLENTY }, 0),
    ] {
        let mut world = World::with(|_| {}, |access| access.allowance = allowance).await;
        for _ in 0..served {
            assert_eq!(world.post(BODY).await.status, 200);
            assert_eq!(world.door.cap(), None, "a budget used up is no cap until somebody asks for more");
        }
        for _ in 0..2 {
            assert_capped(&world.post(BODY).await, cap);
        }
        assert_eq!(world.door.cap(), Some(cap));
        assert_eq!(world.upstream.got().len(), served);
        assert_eq!(world.book.rows().pop().unwrap().fate, Fate::Capped(cap));
        let mut capped = 0;
        while let Ok(news) = world.news.try_recv() {
            capped += usize::from(news == News::Capped(cap));
        }
        assert_eq!(capped, 1);
    }
}

#[tokio::test]
async fn usage_and_cost_are_settled_and_told() {
    let allow = Budget { cost: MicroUsd(told_cost().0 * 4), ..PLENTY };
    let mut world = World::with(|_| {}, |access| access.allowance = allow).await;
    for _ in 0..4 {
        assert_eq!(world.post(BODY).await.status, 200);
    }
    for percent in [50, 75, 90] {
        assert_eq!(world.news.recv().await.unwrap(), News::Reached { percent, of: Cap::Cost });
    }
    let row = world.book.rows().pop().unwrap();
    assert_eq!((row.usage, row.cost, row.estimated), (Some(TOLD), told_cost(), false));
    assert_eq!((row.fate, row.status, row.model.as_str()), (Fate::Allowed, 200, "claude-opus-4-8"));
    assert_eq!((row.bytes_in, row.bytes_out), (BODY.len() as u64, STREAM.len() as u64));
    let spent = world.door.spent();
    let sum = TOLD + TOLD + TOLD + TOLD;
    assert_eq!(Spent { wall_ms: 0, ..spent }, Spent { turns: 4, usage: sum, cost: allow.cost, ..Spent::default() });
}

#[tokio::test]
async fn the_message_tells_figures_of_the_whole_task() {
    let before = Spent { cost: MicroUsd(150_000), ..Spent::default() };
    let allow = Budget { cost: MicroUsd(5_000), ..PLENTY };
    let world = World::with(|_| {}, |access| (access.allowance, access.spent_before) = (allow, before)).await;
    world.post(BODY).await;
    let message = world.post(BODY).await.message();
    assert!(message.contains("cost ($0.16") && message.contains("of $0.1550)"), "{message}");
}

#[tokio::test]
async fn counting_tokens_costs_nothing_but_ends_with_the_budget() {
    let world = World::with(|_| {}, |access| access.allowance.turns = 1).await;
    let body = r#"{"model":"claude-opus-4-8","messages":[{"role":"user","content":"hi"}],"tools":[]}"#;
    let count = |_| world.send(crate::support::post("/v1/messages/count_tokens?beta=true", "", body));
    for n in 0..3 {
        world.upstream.reply(crate::support::json(200, "", r#"{"input_tokens":10}"#));
        let answer = count(n).await;
        assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"input_tokens":10}"#));
    }
    assert_eq!(world.upstream.got()[0].line, "POST /v1/messages/count_tokens?beta=true HTTP/1.1");
    assert_eq!((world.door.spent().turns, world.door.spent().cost), (0, MicroUsd(0)));
    assert_eq!(world.post(BODY).await.status, 200);
    assert_capped(&count(0).await, Cap::Turns);
    // What only makes sense when something is generated is not allowed here.
    let row = world.send(crate::support::post("/v1/messages/count_tokens", "", BODY)).await;
    assert_eq!(row.json()["borg"]["pointer"], "/max_tokens");
}

#[tokio::test]
async fn plain_answers_are_metered_too() {
    let world = World::new().await;
    let text = r#"{"type":"message","content":[],"usage":{"input_tokens":11,"output_tokens":5}}"#;
    world.upstream.reply(crate::support::json(200, "", text));
    assert_eq!(world.post(&BODY.replace("true", "false")).await.body, text);
    let row = world.book.rows().pop().unwrap();
    assert_eq!(row.usage, Some(Usage { input_tokens: 11, output_tokens: 5, ..Usage::default() }));
    assert!(!row.estimated);
}

#[tokio::test]
async fn a_stream_cut_at_any_byte_is_settled() {
    let world = World::new().await;
    let (told_input, told_all) = (position("event: ping"), position("event: message_stop"));
    for end in 0..STREAM.len() {
        world.upstream.reply(cut_sse(STREAM, end));
        let answer = world.post(BODY).await;
        assert_eq!(answer.status, 200);
        let row = world.book.rows().pop().unwrap();
        assert_eq!(world.book.rows().len(), end + 1);
        let usage = row.usage.unwrap();
        assert_eq!(row.estimated, end < told_all, "cut at {end}");
        assert_eq!(row.fate, Fate::Failed("the model provider dropped the connection".into()), "cut at {end}");
        assert_eq!(usage.output_tokens, if end < told_all { 100 } else { 97 }, "cut at {end}");
        assert_eq!(usage.input_tokens, if end < told_input { BODY.len() as u64 } else { 1200 }, "cut at {end}");
        // The client gets what came; then an error event where one fits, else a cut connection.
        let came = String::from_utf8_lossy(&STREAM[..end]);
        let fits = came.is_empty() || came.ends_with("\n\n");
        assert_eq!(answer.cut, !fits, "cut at {end}: {answer:?}");
        let rest = answer.body.strip_prefix(&*came).unwrap_or_else(|| panic!("cut at {end}: {answer:?}"));
        assert_eq!(rest.starts_with("event: error\ndata: {\"type\":\"error\""), fits, "cut at {end}");
    }
    let costs = world.book.rows().iter().map(|row| row.cost.0).sum::<u64>();
    assert_eq!(world.door.spent().cost, MicroUsd(costs), "ledger and account agree");
}

/// Sends `BODY` and reads until `until` has come.
async fn read_until(world: &World, until: &str) -> UnixStream {
    let mut stream = UnixStream::connect(&world.socket).await.unwrap();
    stream.write_all(crate::support::post("/v1/messages", "", BODY).as_bytes()).await.unwrap();
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains(until) {
        assert_ne!(stream.read_buf(&mut text).await.unwrap(), 0, "ended before `{until}`");
    }
    stream
}

/// The stream with a pause in its middle.
fn paused() -> (Vec<Piece>, Arc<Notify>) {
    let (go, middle) = (Arc::new(Notify::new()), position("event: content_block_stop"));
    let first = [sse_head(STREAM.len()), STREAM[..middle].to_vec()].concat();
    (vec![Piece::Bytes(first), Piece::Pause(go.clone()), Piece::Bytes(STREAM[middle..].to_vec())], go)
}

#[tokio::test]
async fn events_reach_the_client_while_the_stream_goes_on() {
    let world = World::new().await;
    let (reply, go) = paused();
    world.upstream.reply(reply);
    let mut stream = read_until(&world, "signature_delta").await;
    assert!(world.book.rows().is_empty());
    go.notify_one();
    let mut rest = String::new();
    stream.read_to_string(&mut rest).await.unwrap();
    assert!(rest.contains("message_stop"));
    assert_eq!(world.book.rows().len(), 1, "the row is there before the client sees the end");
}

#[tokio::test]
async fn a_client_that_leaves_is_drained_for_its_usage() {
    let world = World::new().await;
    let (reply, go) = paused();
    world.upstream.reply(reply);
    drop(read_until(&world, "signature_delta").await);
    go.notify_one();
    let row = world.book.written(1).await.pop().unwrap();
    assert_eq!((row.usage, row.cost, row.estimated), (Some(TOLD), told_cost(), false));
}

#[tokio::test]
async fn draining_ends() {
    let world = World::with(|limits| limits.drain_time = Duration::from_millis(50), |_| {}).await;
    let (mut reply, _) = paused();
    reply[1] = Piece::Hang;
    world.upstream.reply(reply);
    drop(read_until(&world, "signature_delta").await);
    let row = world.book.written(1).await.pop().unwrap();
    assert_eq!((row.usage.unwrap().output_tokens, row.estimated), (100, true));
    assert_eq!(world.door.spent().turns, 1);
}

/// What [`BODY`] can cost at most: a token per byte, and the 100 it asks for.
fn worst_cost() -> MicroUsd {
    let input_tokens = BODY.len() as u64;
    PRICE.cost(&Usage { input_tokens, output_tokens: 100, ..Usage::default() })
}

/// Sends `BODY` four times at once.
fn four_at_once(world: &World) -> Vec<JoinHandle<Answer>> {
    (0..4)
        .map(|_| {
            let socket = world.socket.clone();
            tokio::spawn(async move {
                crate::support::send(&socket, crate::support::post("/v1/messages", "", BODY).as_bytes()).await
            })
        })
        .collect()
}

#[tokio::test]
async fn requests_at_once_cannot_share_what_is_left() {
    let plenty = |limits: &mut borg_gateway::Limits| limits.in_flight = 5;
    for (cap, allowance) in [
        (Cap::Cost, Budget { cost: worst_cost(), ..PLENTY }),
        (Cap::Tokens, Budget { tokens: BODY.len() as u64 + 100, ..PLENTY }),
    ] {
        let world = World::with(plenty, |access| access.allowance = allowance).await;
        let (reply, go) = paused();
        world.upstream.reply(reply);
        let first = read_until(&world, "signature_delta").await;
        let waiting = four_at_once(&world);
        go.notify_one();
        for answer in waiting {
            assert_capped(&answer.await.unwrap(), cap);
        }
        assert_eq!(world.upstream.got().len(), 1);
        drop(first);
    }
}

#[tokio::test]
async fn with_next_to_nothing_left_one_of_four_is_let_through() {
    let world = World::with(|limits| limits.in_flight = 4, |access| access.allowance.cost = MicroUsd(10)).await;
    let (reply, go) = paused();
    world.upstream.reply(reply);
    let answers = four_at_once(&world);
    world.upstream.arrived(1).await;
    go.notify_one();
    let mut passed = 0;
    for answer in answers {
        match answer.await.unwrap() {
            answer if answer.status == 200 => passed += 1,
            answer => assert_capped(&answer, Cap::Cost),
        }
    }
    assert_eq!((passed, world.upstream.got().len()), (1, 1));
}

#[tokio::test]
async fn a_request_waits_for_what_an_open_one_holds_and_then_gets_it() {
    let world = World::with(|_| {}, |access| access.allowance.cost = MicroUsd(60_000)).await;
    let (reply, go) = paused();
    world.upstream.reply(reply);
    // The first may use all there is.
    let greedy = BODY.replace("100", "32000");
    let socket = world.socket.clone();
    let first = tokio::spawn(async move {
        crate::support::send(&socket, crate::support::post("/v1/messages", "", &greedy).as_bytes()).await
    });
    world.upstream.arrived(1).await;
    let second = world.post(BODY);
    let mut second = std::pin::pin!(second);
    tokio::select! {
        biased;
        answer = &mut second => panic!("nothing is left for it yet: {answer:?}"),
        // Its own connection was served by then: the answer to a request that is not held up.
        answer = world.send(crate::support::post("/v1/other", "", BODY)) => assert_eq!(answer.status, 403),
    }
    assert_eq!(world.upstream.got().len(), 1);
    go.notify_one();
    assert_eq!((first.await.unwrap().status, second.await.status), (200, 200));
    assert_eq!(world.door.cap(), None);
}

#[tokio::test]
async fn waiting_for_what_others_hold_ends() {
    let patience = |limits: &mut borg_gateway::Limits| limits.response_time = Duration::from_millis(50);
    let world = World::with(patience, |access| access.allowance.cost = worst_cost()).await;
    let (reply, go) = paused();
    world.upstream.reply(reply);
    let first = read_until(&world, "signature_delta").await;
    assert_capped(&world.post(BODY).await, Cap::Cost);
    go.notify_one();
    drop(first);
}

#[tokio::test]
async fn output_is_limited_to_what_is_left_and_a_prompt_is_not_refused_for_what_it_may_cost() {
    // The smallest budget; the prompt is 15,000 tokens, which cost $0.075 where the provider has none of them in its cache.
    let budget = Budget { tokens: 500_000, cost: MicroUsd(50_000), ..PLENTY };
    let world = World::with(|_| {}, |access| access.allowance = budget).await;
    let thinking = json!({ "type": "enabled", "budget_tokens": 31_999 });
    let messages = json!([{ "role": "user", "content": "x".repeat(60_000) }]);
    let body = json!({ "model": "claude-opus-4-8", "max_tokens": 32_000, "thinking": thinking, "messages": messages });
    let mut granted = Vec::new();
    for _ in 0..3 {
        let usage = json!({ "input_tokens": 3, "output_tokens": 200, "cache_read_input_tokens": 15_000 });
        let text = json!({ "type": "message", "content": [], "usage": usage }).to_string();
        world.upstream.reply(crate::support::json(200, "", &text));
        let answer = world.post(&body.to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let sent: Value = serde_json::from_str(&world.upstream.got().pop().unwrap().body).unwrap();
        let most = sent["max_tokens"].as_u64().unwrap();
        assert_eq!(sent["thinking"]["budget_tokens"], most - 1);
        granted.push(most);
    }
    // $0.05 pay for 2,000 tokens of output, and each request spends a quarter of that.
    assert_eq!(granted[0], 2000);
    assert!(granted.windows(2).all(|pair| pair[1] < pair[0] && pair[1] >= 1280), "{granted:?}");
}

#[tokio::test]
async fn rows_that_cost_nothing_are_limited_too() {
    let mut world = World::with(|limits| limits.free_rows = 3, |_| {}).await;
    let count = r#"{"model":"claude-opus-4-8","messages":[{"role":"user","content":"hi"}]}"#;
    world.upstream.reply(crate::support::json(200, "", r#"{"input_tokens":10}"#));
    assert_eq!(world.send(crate::support::post("/v1/messages/count_tokens", "", count)).await.status, 200);
    let error = r#"{"type":"error","error":{"type":"api_error","message":"x"}}"#;
    world.upstream.reply(crate::support::json(500, "", error));
    assert_eq!(world.post(BODY).await.status, 500);
    assert_eq!(world.post(BODY).await.status, 200, "what costs something does not count");
    world.upstream.reply(crate::support::json(400, "", error));
    assert_eq!(world.post(BODY).await.status, 400);
    assert_eq!(world.news.recv().await.unwrap(), News::TooManyRefusals);
    let answer = world.post(BODY).await;
    assert_eq!((answer.status, answer.rule().as_str()), (403, "shut"));
    assert_eq!((world.upstream.got().len(), world.book.rows().len()), (4, 4));
}

fn oauth(token: &str) -> Option<Credential> {
    Some(Credential::OAuth(Secret::new(token.into())))
}

fn api_key() -> Option<Credential> {
    Some(Credential::Plain(Secret::new("sk-ant-api03-key".into())))
}

#[tokio::test]
async fn where_a_subscription_pays_money_stops_nothing_and_all_else_does() {
    let cost = MicroUsd(told_cost().0 / 10);
    for (allowance, counts, served, cap) in [
        (Budget { cost, ..PLENTY }, false, 5, None),
        (Budget { cost, ..PLENTY }, true, 1, Some(Cap::Cost)),
        (Budget { cost, turns: 2, ..PLENTY }, false, 2, Some(Cap::Turns)),
        (Budget { cost, tokens: TOLD.counted() * 2, ..PLENTY }, false, 2, Some(Cap::Tokens)),
        (Budget { cost, wall_ms: 0, ..PLENTY }, false, 0, Some(Cap::Wall)),
    ] {
        let edit = |access: &mut Access| {
            access.allowance = allowance;
            access.egress[0].counts_subscription = counts;
        };
        let world = World::with(|_| {}, edit).await;
        world.keys.set([oauth("sk-ant-oat01-token")]);
        for _ in 0..served {
            assert_eq!(world.post(BODY).await.status, 200, "{allowance:?}");
        }
        match cap {
            Some(cap) => assert_capped(&world.post(BODY).await, cap),
            None => assert_eq!(world.door.cap(), None),
        }
        for row in world.book.rows().iter().filter(|row| row.usage.is_some()) {
            assert_eq!((row.cost, row.notional), (told_cost(), !counts), "the list price is told");
        }
    }
}

#[tokio::test]
async fn a_subscriptions_requests_hold_no_money_of_each_other() {
    let allowance = Budget { cost: MicroUsd(1), ..PLENTY };
    let world = World::with(|_| {}, |access| access.allowance = allowance).await;
    world.keys.set([oauth("sk-ant-oat01-token")]);
    let all = futures_util::future::join_all((0..4).map(|_| world.post(BODY))).await;
    assert!(all.iter().all(|answer| answer.status == 200), "{all:?}");
    assert_eq!(world.book.rows().iter().filter(|row| row.notional).count(), 4);
}

#[tokio::test]
async fn a_subscription_that_becomes_a_key_in_the_middle_of_a_request_spends_nothing_of_it() {
    let world = World::with(|_| {}, |access| access.allowance.cost = MicroUsd(1)).await;
    // The provider refuses the token; what is read anew is a key, for which nothing was held.
    world.keys.set([oauth("sk-ant-oat01-token"), api_key()]);
    world.upstream.reply(crate::support::json(
        401,
        "",
        r#"{"type":"error","error":{"type":"authentication_error","message":"no"}}"#,
    ));
    let answer = world.post(BODY).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(answer.message().contains("exchanged for one of another kind"), "{answer:?}");
    assert_eq!(world.upstream.got().len(), 1, "nothing went out with the key");
    assert_eq!(world.door.spent().turns, 0);
    // The next request is one that the key pays for.
    assert_eq!(world.post(BODY).await.status, 200);
    assert!(!world.book.rows().pop().unwrap().notional);
    assert_capped(&world.post(BODY).await, Cap::Cost);
}
