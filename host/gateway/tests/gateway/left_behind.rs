//! A client that hangs up before the head of the answer: the provider works on it all the same, so what it costs is booked when that is known,
//! and until then what it may cost is held, also against the next run.

use crate::support::{
    Answer, BODY, PLENTY, PRICE, Piece, STREAM, World, access, json as plain, own_pid, post, send, sse,
};
use borg_core::budget::{Budget, Cap, MicroUsd, Spent, Usage};
use borg_gateway::{Door, Elder, Fate, News};
use serde_json::json;
use std::{path::Path, sync::Arc, time::Duration};
use tokio::{io::AsyncWriteExt, net::UnixStream, sync::Notify, time::timeout};

/// What [`STREAM`] costs.
const TOLD: Usage = Usage { input_tokens: 1200, output_tokens: 97, cache_read_tokens: 500, cache_write_tokens: 300 };

fn told_cost() -> MicroUsd {
    PRICE.cost(&TOLD) + MicroUsd(100 * (10_000_000 - 6_250_000) / 1_000_000)
}

/// A PDF of some bytes.
fn pdf() -> String {
    let source = json!({ "type": "base64", "media_type": "application/pdf", "data": "JVBERi0xLjQK".repeat(20) });
    let messages = json!([{ "role": "user", "content": [{ "type": "document", "source": source }] }]);
    json!({ "model": "claude-opus-4-8", "max_tokens": 8000, "stream": true, "messages": messages }).to_string()
}

/// An answer whose head comes when the test says so.
fn late(pieces: Vec<Piece>) -> (Vec<Piece>, Arc<Notify>) {
    let go = Arc::new(Notify::new());
    let first = vec![Piece::Pause(go.clone())];
    (first.into_iter().chain(pieces).collect(), go)
}

/// Asks, waits until the provider has it, and hangs up.
async fn ask_and_leave(world: &World, body: &str, arrived: usize) {
    let mut stream = UnixStream::connect(&world.socket).await.unwrap();
    stream.write_all(post("/v1/messages", "", body).as_bytes()).await.unwrap();
    world.upstream.arrived(arrived).await;
    drop(stream);
}

#[tokio::test]
async fn what_was_left_before_its_head_is_booked_when_it_comes() {
    // Far longer than anybody is drained for.
    let world =
        World::with(|limits| (limits.in_flight, limits.drain_time) = (8, Duration::from_millis(1)), |_| {}).await;
    let mut go = Vec::new();
    for n in 1..=8 {
        let (reply, notify) = late(sse(STREAM));
        world.upstream.reply(reply);
        go.push(notify);
        ask_and_leave(&world, &pdf(), n).await;
    }
    let holds = world.book.held(8).await;
    // A PDF may be the whole window: $5, and 8,000 tokens of output.
    assert!(holds.iter().all(|held| held.most.cost >= MicroUsd(5_200_000) && held.most.turns == 1), "{holds:?}");
    assert!(world.book.rows().is_empty());
    go.iter().for_each(|go| go.notify_one());
    let rows = world.book.written(8).await;
    for row in &rows {
        assert_eq!((row.usage, row.cost, row.estimated), (Some(TOLD), told_cost(), false));
    }
    assert_eq!((world.book.open(), world.door.spent().turns), (vec![], 8));
    assert_eq!(world.door.spent().cost, MicroUsd(told_cost().0 * 8));
}

#[tokio::test]
async fn the_end_of_a_run_does_not_wait_for_a_head_and_the_next_run_holds_what_it_may_cost() {
    let budget = Budget { cost: MicroUsd(200_000), ..PLENTY };
    let world = World::with(|_| {}, |access| access.allowance = budget).await;
    let (reply, go) = late(sse(STREAM));
    world.upstream.reply(reply);
    ask_and_leave(&world, &pdf(), 1).await;
    timeout(Duration::from_secs(5), async {
        world.door.close().await;
        world.door.settled().await;
    })
    .await
    .expect("nobody waits for the head");
    let elders = world.book.open();
    assert!(matches!(&elders[..], [Elder { most, .. }] if most.cost > budget.cost), "{elders:?}");

    let (next, socket) = next_run(&world, budget, elders).await;
    let second = {
        let socket = socket.clone();
        tokio::spawn(async move { send(&socket, post("/v1/messages", "", BODY).as_bytes()).await })
    };
    // It waits for what is held; another request is served meanwhile, so it has had its turn.
    let other = send(&socket, post("/v1/other", "", BODY).as_bytes()).await;
    assert_eq!((other.status, world.upstream.got().len(), second.is_finished()), (403, 1, false));
    go.notify_one();
    assert_eq!(second.await.unwrap().status, 200);
    let rows = world.book.rows();
    let cost: u64 = rows.iter().map(|row| row.cost.0).sum();
    assert_eq!(cost, told_cost().0 * 2);
    assert_eq!(next.spent().cost, MicroUsd(cost), "the second run knows what the first still cost");
    assert!(rows.iter().any(|row| row.held.is_some() && row.run.fence == 2), "it is the first run's row");
}

#[tokio::test]
async fn what_is_held_for_an_earlier_run_is_not_shared() {
    let budget = Budget { cost: MicroUsd(200_000), ..PLENTY };
    let short = |limits: &mut borg_gateway::Limits| limits.response_time = Duration::from_millis(500);
    let world = World::with(short, |access| access.allowance = budget).await;
    let elder = Elder {
        run: access(Path::new("x")).run,
        request: 7,
        most: Spent { cost: budget.cost, turns: 1, ..Spent::default() },
    };
    // Where a subscription paid for it, it is told and holds nothing.
    let told = Elder { most: Spent { notional: budget.cost, ..elder.most }, request: 8, ..elder.clone() };
    let (door, socket) = next_run(&world, budget, vec![told]).await;
    assert_eq!(send(&socket, post("/v1/messages", "", BODY).as_bytes()).await.status, 200);
    assert!(door.spent().cost < budget.cost);
    let asked = world.upstream.got().len();
    // Nobody in this process knows what became of it: it is spent.
    let (door, socket) = next_run(&world, budget, vec![elder]).await;
    assert_capped(&send(&socket, post("/v1/messages", "", BODY).as_bytes()).await);
    assert_eq!((door.spent().cost, world.upstream.got().len()), (budget.cost, asked));
    // Known, and not settled in time.
    let (reply, _never) = late(Vec::new());
    world.upstream.reply(reply);
    ask_and_leave(&world, &pdf(), 1).await;
    world.book.held(1).await;
    let (_door, socket) = next_run(&world, budget, world.book.open()).await;
    assert_capped(&send(&socket, post("/v1/messages", "", BODY).as_bytes()).await);
}

#[tokio::test]
async fn a_head_that_never_comes_costs_the_most_after_the_response_time() {
    let short = |limits: &mut borg_gateway::Limits| limits.response_time = Duration::from_millis(200);
    let mut world = World::with(short, |_| {}).await;
    world.upstream.reply([Piece::Hang]);
    ask_and_leave(&world, BODY, 1).await;
    world.door.close().await;
    let row = world.book.written(1).await.pop().unwrap();
    assert_eq!((row.usage.unwrap().output_tokens, row.estimated, row.held.is_some()), (100, true, true));
    assert_eq!(row.cost, world.book.holds()[0].most.cost, "what was held is what is booked");
    // A ledger that cannot be told what is held lets nothing more through.
    let second = World::new().await;
    world.upstream = second.upstream.clone();
    second.upstream.reply([Piece::Hang]);
    second.book.broken.store(true, std::sync::atomic::Ordering::SeqCst);
    let mut news = second.door.subscribe();
    ask_and_leave(&second, BODY, 1).await;
    assert!(matches!(news.recv().await, Ok(News::LedgerFailed { .. })));
    assert_eq!(second.post(BODY).await.rule(), "shut");
}

#[tokio::test]
async fn an_error_of_the_providers_lets_go_of_what_was_held() {
    let world = World::new().await;
    let error = r#"{"type":"error","error":{"type":"overloaded_error","message":"later"}}"#;
    let (reply, go) = late(plain(529, "", error));
    world.upstream.reply(reply);
    ask_and_leave(&world, BODY, 1).await;
    world.book.held(1).await;
    go.notify_one();
    let row = world.book.written(1).await.pop().unwrap();
    assert_eq!((row.usage, row.cost, row.held.is_some()), (None, MicroUsd(0), true));
    assert_eq!(row.fate, Fate::Allowed);
    assert_eq!((world.book.open(), world.door.spent().turns), (vec![], 0));
}

/// Opens the door of the attempt before, which draws on the same budget.
async fn next_run(world: &World, allowance: Budget, elders: Vec<Elder>) -> (Door, std::path::PathBuf) {
    let socket = world.socket.with_extension(format!("{}", elders.len() + world.book.holds().len() * 10));
    let mut next = access(&socket);
    next.run.fence += 1;
    (next.allowance, next.elders) = (allowance, elders);
    let door = world.gateway.open(next).await.unwrap();
    door.admit(own_pid());
    (door, socket)
}

fn assert_capped(answer: &Answer) {
    let message = answer.message();
    assert!(
        answer.status == 400 && message.starts_with(&format!("borg: budget reached: {} (", Cap::Cost)),
        "{message}"
    );
}
