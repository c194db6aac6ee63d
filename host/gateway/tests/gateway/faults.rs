//! The provider, the ledger and the key store fail in every way they can; the client hears it in the provider's shape, the
//! budget is charged for what may have been used, and no secret comes out.

use crate::support::{BODY, KEY, Piece, World, json, post};
use borg_core::budget::MicroUsd;
use borg_gateway::{Credential, Fate, News, Secret};
use std::{sync::atomic::Ordering, time::Duration};

fn error(kind: &str, message: &str) -> String {
    format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}},"request_id":"req_9"}}"#)
}

fn key(text: &str) -> Option<Credential> {
    Some(Credential::Plain(Secret::new(text.into())))
}

#[tokio::test]
async fn a_rejected_key_is_read_again_once() {
    let mut world = World::new().await;
    let refusal = || json(401, "", &error("authentication_error", "invalid x-api-key"));
    world.keys.set([key("sk-old"), key("sk-new")]);
    world.upstream.reply(refusal());
    assert_eq!(world.post(BODY).await.status, 200);
    let keys: Vec<_> = world.upstream.got().iter().map(|got| got.header("x-api-key").unwrap().to_owned()).collect();
    assert_eq!(keys, ["sk-old", "sk-new"]);
    assert_eq!(*world.keys.rejected.lock().unwrap(), ["claude"]);
    assert_eq!((world.door.spent().turns, world.book.rows().len()), (1, 1));

    world.upstream.reply(refusal());
    world.upstream.reply(refusal());
    let answer = world.post(BODY).await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (401, &"authentication_error".into()));
    assert!(answer.message().contains("`claude`") && answer.head.contains("x-should-retry: false"));
    assert_eq!(world.upstream.got().len(), 4);
    assert_eq!(world.keys.rejected.lock().unwrap().len(), 2);
    assert_eq!(world.news.recv().await.unwrap(), News::CredentialRejected { secret: "claude".into() });
    assert_eq!(world.door.spent().turns, 1, "a request the provider refused is no turn");
}

#[tokio::test]
async fn errors_of_the_provider_pass_in_shape_and_cost_nothing() {
    let mut world = World::new().await;
    for (status, headers, kind) in [
        (429, "retry-after: 7\r\nset-cookie: a=b\r\n", "rate_limit_error"),
        (529, "", "overloaded_error"),
        (500, "", "api_error"),
        (503, "", "api_error"),
        (400, "", "invalid_request_error"),
        (403, "x-should-retry: false\r\n", "permission_error"),
        (404, "", "not_found_error"),
    ] {
        world.upstream.reply(json(status, headers, &error(kind, "so it is")));
        let answer = world.post(BODY).await;
        assert_eq!((answer.status, answer.json()["error"]["type"].as_str()), (status, Some(kind)));
        assert_eq!(answer.message(), "so it is");
        assert_eq!(answer.head.contains("retry-after: 7"), status == 429);
        assert_eq!(answer.head.contains("x-should-retry: false"), status == 403);
        assert_eq!(answer.head.matches("content-type").count(), 1);
        assert!(!answer.head.contains("set-cookie"));
        let row = world.book.rows().pop().unwrap();
        assert_eq!((row.status, row.fate, row.usage, row.cost), (status, Fate::Allowed, None, MicroUsd(0)));
    }
    assert_eq!(world.news.recv().await.unwrap(), News::RetryAfter { ms: Some(7000) });
    assert_eq!(world.news.recv().await.unwrap(), News::RetryAfter { ms: None });
    assert_eq!((world.door.spent().turns, world.door.spent().cost), (0, MicroUsd(0)));
}

#[tokio::test]
async fn how_long_to_wait_is_read_in_every_form() {
    let mut world = World::new().await;
    let date = "date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";
    for (headers, ms) in [
        ("retry-after: 1.5\r\n".to_owned(), Some(1_500)),
        ("retry-after-ms: 250\r\nretry-after: 9\r\n".to_owned(), Some(250)),
        ("retry-after: -3\r\n".to_owned(), Some(0)),
        (format!("{date}retry-after: Sun, 06 Nov 1994 08:51:07 GMT\r\n"), Some(90_000)),
        (format!("{date}retry-after: Sunday, 06-Nov-94 08:49:47 GMT\r\n"), Some(10_000)),
        (format!("{date}retry-after: Sun, 06 Nov 1994 08:00:00 GMT\r\n"), Some(0)),
        ("retry-after: Sun, 06 Nov 1994 08:49:37 GMT\r\n".to_owned(), None),
        (format!("{date}retry-after: soon\r\n"), None),
        (String::new(), None),
    ] {
        world.upstream.reply(json(429, &headers, &error("rate_limit_error", "slower")));
        assert_eq!(world.post(BODY).await.status, 429);
        assert_eq!(world.news.recv().await.unwrap(), News::RetryAfter { ms }, "{headers}");
    }
}

#[tokio::test]
async fn errors_without_shape_are_put_in_shape() {
    let world = World::new().await;
    let html = json(502, "", "<html>bad gateway</html>");
    let echo = json(400, "", &error("invalid_request_error", &format!("your key {KEY} is odd")));
    let huge = json(500, "", &error("api_error", &"x".repeat(1 << 20)));
    let squeezed = json(500, "content-encoding: gzip\r\n", "\u{1f}x");
    for reply in [html, echo, huge, squeezed] {
        world.upstream.reply(reply);
        let answer = world.post(BODY).await;
        assert_eq!(answer.json()["error"]["type"], "api_error");
        assert!(answer.message().starts_with("the model provider answered with status"), "{}", answer.message());
        assert!(!answer.body.contains(KEY));
    }
}

#[tokio::test]
async fn a_response_the_meter_cannot_read_is_not_passed() {
    let world = World::new().await;
    world.upstream.reply(json(200, "content-encoding: gzip\r\n", "{}"));
    let answer = world.post(BODY).await;
    assert_eq!(answer.status, 502);
    let row = world.book.rows().pop().unwrap();
    assert!(row.estimated && row.usage.unwrap().output_tokens == 100, "{row:?}");
}

#[tokio::test]
async fn silence_ends() {
    let short = Duration::from_millis(100);
    let world = World::with(|limits| (limits.response_time, limits.idle_time) = (short, short), |_| {}).await;
    world.upstream.reply([Piece::Hang]);
    let answer = world.post(BODY).await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (504, &"api_error".into()));
    assert!(world.book.rows()[0].estimated);

    // Silent between two events: an error event. Silent within one: a cut.
    let ping = "event: ping\ndata: {\"type\":\"ping\"}\n\n";
    for (came, cut) in [(ping, false), ("event: pi", true)] {
        let head = [crate::support::sse_head(1000), came.as_bytes().to_vec()].concat();
        world.upstream.reply([Piece::Bytes(head), Piece::Hang]);
        let answer = world.post(BODY).await;
        assert_eq!((answer.cut, answer.body.contains("went silent")), (cut, !cut), "{answer:?}");
        let row = world.book.rows().pop().unwrap();
        assert_eq!((row.fate, row.estimated), (Fate::Failed("the model provider went silent".into()), true));
    }
}

#[tokio::test]
async fn a_provider_that_hangs_up_or_is_not_there() {
    let world = World::new().await;
    world.upstream.reply([]);
    let answer = world.post(BODY).await;
    assert_eq!((answer.status, &answer.json()["error"]["type"]), (502, &"api_error".into()));
    let row = world.book.rows().pop().unwrap();
    assert!(row.estimated, "it may have worked on the request: {row:?}");

    // A port that was free a moment ago.
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let base = format!("http://127.0.0.1:{port}").parse().unwrap();
    let config = borg_gateway::Config { endpoints: vec![crate::support::at(&base)], ..Default::default() };
    let gateway = borg_gateway::Gateway::new(config, world.keys.clone(), world.book.clone()).unwrap();
    let socket = world.socket.with_extension("none");
    let door = gateway.open(crate::support::access(&socket)).await.unwrap();
    door.admit(crate::support::own_pid());
    let answer = crate::support::send(&socket, post("/v1/messages", "", BODY).as_bytes()).await;
    assert_eq!((answer.status, answer.message().as_str()), (502, "borg: the model provider cannot be reached"));
    assert_eq!((door.spent().turns, door.spent().cost), (0, MicroUsd(0)), "nothing left, nothing spent");
}

#[tokio::test]
async fn without_a_credential_nothing_leaves() {
    let mut world = World::new().await;
    world.keys.set([None]);
    let answer = world.post(BODY).await;
    assert_eq!(answer.status, 403);
    assert!(answer.message().contains("`claude`: there is no secret `claude`"), "{}", answer.message());
    let Ok(News::NoCredential { secret, .. }) = world.news.recv().await else { panic!("no news") };
    assert_eq!(secret, "claude");
    world.keys.set([key("line\r\nx-evil: 1")]);
    let answer = world.post(BODY).await;
    assert_eq!(answer.status, 403);
    assert!(!answer.body.contains("evil"));
    assert!(world.upstream.got().is_empty());
    assert_eq!(world.door.spent().turns, 0);
}

#[tokio::test]
async fn a_ledger_that_fails_closes_the_door() {
    let mut world = World::new().await;
    assert_eq!(world.post(BODY).await.status, 200);
    world.book.broken.store(true, Ordering::SeqCst);
    let answer = world.post(BODY).await;
    assert!(answer.cut, "the end of a response that is not in the ledger is withheld: {answer:?}");
    let Ok(News::LedgerFailed { why }) = world.news.recv().await else { panic!("no news") };
    assert!(why.contains("disk full"));
    // It stays shut, whatever the ledger does.
    world.book.broken.store(false, Ordering::SeqCst);
    assert_eq!(world.post(BODY).await.rule(), "shut");
    assert_eq!((world.upstream.got().len(), world.book.rows().len()), (2, 1));
    assert_eq!(world.door.spent().turns, 2, "it counts though it is not recorded");

    let world = World::new().await;
    world.book.broken.store(true, Ordering::SeqCst);
    assert_eq!(world.post("{}").await.rule(), "shut");
    assert_eq!(world.post(BODY).await.rule(), "shut");
    assert!(world.upstream.got().is_empty());
}

#[tokio::test]
async fn no_secret_comes_out() {
    let world = World::new().await;
    world.post(BODY).await;
    world.post("{}").await;
    world.upstream.reply(json(401, "", &error("authentication_error", KEY)));
    world.upstream.reply(json(401, "", &error("authentication_error", KEY)));
    let answer = world.post(BODY).await;
    let shown = format!("{:?} {answer:?} {:?}", world.book.rows(), Credential::Plain(Secret::new(KEY.into())));
    assert!(!shown.contains(KEY));
}
