//! Paths, headers and framing: nothing but the two exact routes, no foreign credential, no second request in the shadow of a first.

use crate::support::{BODY, KEY, PLACEHOLDER, World, json, post};
use borg_gateway::{Credential, Fate, Rule, Secret};

#[tokio::test]
async fn routes_and_queries_are_exact() {
    let world = World::new().await;
    for (line, rule) in [
        ("POST /v1/messages/batches", "route"),
        ("POST /v1/messages/", "route"),
        ("POST //v1/messages", "route"),
        ("POST /v1//messages", "route"),
        ("POST /v1/%6dessages", "route"),
        ("POST /v1/messages%2fbatches", "route"),
        ("POST /v1/%2e%2e/v1/messages", "route"),
        ("POST /v1/../v1/messages", "route"),
        ("POST /v1/./messages", "route"),
        ("POST /V1/messages", "route"),
        ("POST /v1/messages;x", "route"),
        ("POST /v1/messages/count_tokens/x", "route"),
        ("POST /v1/complete", "route"),
        ("POST /v1/files", "route"),
        ("POST /", "route"),
        ("POST *", "route"),
        ("GET /v1/messages", "route"),
        ("PUT /v1/messages", "route"),
        ("OPTIONS *", "route"),
        ("GET /v1/models", "route"),
        ("POST http://127.0.0.1/v1/messages", "route"),
        ("POST https://evil.example/v1/messages", "route"),
        ("CONNECT evil.example:443", "route"),
        ("POST /v1/messages?", "query"),
        ("POST /v1/messages?beta=true&x=1", "query"),
        ("POST /v1/messages?beta=true&beta=true", "query"),
        ("POST /v1/messages?beta=false", "query"),
        ("POST /v1/messages?beta=true%26x", "query"),
        ("POST /v1/messages?BETA=true", "query"),
        ("POST /v1/messages?x=/v1/files", "query"),
    ] {
        let answer = world.send(post("/TARGET", "", BODY).replace("POST /TARGET", line)).await;
        assert_eq!((answer.status, answer.rule().as_str()), (403, rule), "{line}: {answer:?}");
    }
    assert!(world.upstream.got().is_empty());
    // A HEAD request to the root is what the CLI tries first; it is refused like all else.
    let answer = world.send("HEAD / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert_eq!((answer.status, answer.body.as_str()), (403, ""));
    // What passes leaves from constants.
    assert_eq!(world.send(post("/v1/messages?beta=true", "", BODY)).await.status, 200);
    assert_eq!(world.upstream.got()[0].line, "POST /v1/messages?beta=true HTTP/1.1");
    assert_eq!(world.send(post("/v1/messages", "", BODY)).await.status, 200);
    assert_eq!(world.upstream.got()[1].line, "POST /v1/messages HTTP/1.1");
}

#[tokio::test]
async fn headers_that_are_refused() {
    let world = World::new().await;
    let long = format!("user-agent: {}\r\n", "x".repeat(2000));
    let many_betas = format!("anthropic-beta: {}\r\n", "a,".repeat(40) + "a");
    for (headers, rule) in [
        ("content-encoding: gzip\r\n", "header"),
        ("content-encoding: identity\r\n", "header"),
        ("upgrade: h2c\r\n", "header"),
        ("expect: 100-continue\r\n", "header"),
        ("content-type: text/plain\r\n", "header"),
        ("anthropic-version: 2023-01-01\r\n", "header"),
        ("anthropic-version: 2023-06-01\r\nAnthropic-Version: 2023-06-01\r\n", "header"),
        ("user-agent: a\r\nUser-Agent: b\r\n", "header"),
        ("user-agent: caf\u{e9}\r\n", "header"),
        (long.as_str(), "header"),
        ("anthropic-beta: files-api-2025-04-14\r\n", "beta"),
        ("anthropic-beta: claude-code-20250219,mcp-client-2025-11-20\r\n", "beta"),
        ("anthropic-beta: claude-code-20250219\r\nAnthropic-Beta: code-execution-2025-08-25\r\n", "beta"),
        ("anthropic-beta: claude-code-20250219,,\r\n", "beta"),
        ("anthropic-beta: a b\r\n", "beta"),
        ("anthropic-beta: \"fast-mode-2026-02-01\"\r\n", "beta"),
        (many_betas.as_str(), "beta"),
        ("x-api-key: sk-ant-somebody-elses\r\n", "credential"),
        ("X-Api-Key: sk-ant-somebody-elses\r\n", "credential"),
        ("authorization: Bearer sk-ant-somebody-elses\r\n", "credential"),
        ("Authorization: Basic Zm9vOmJhcg==\r\n", "credential"),
        ("authorization:\r\n", "credential"),
    ] {
        let answer = world.send(post("/v1/messages", headers, BODY)).await;
        assert_eq!((answer.status, answer.rule().as_str()), (403, rule), "{headers}: {answer:?}");
    }
    assert!(world.upstream.got().is_empty());
}

/// What a refused client reads, word for word: people and agents act on it.
#[tokio::test]
async fn every_refusal_says_what_would_help() {
    let world = World::new().await;
    let field = BODY.replace("\"stream\":true", "\"container\":\"c\"");
    let unpriced = BODY.replace("claude-opus-4-8", "unpriced");
    let paths = "only POST /v1/messages and /v1/messages/count_tokens exist here; other hosts and paths are not granted to this run";
    let operator = |what: &str| format!("an operator can add {what} of the run's `[egress.NAME]` in policies/");
    let change = "no policy line allows this; change the request";
    let leave_out =
        "no policy line allows this; leave the field out (server-side tools, file ids and URL sources are not granted)";
    for (request, rule, kind, ask) in [
        (post("/v1/files", "", BODY), "route", "permission_error", paths.to_owned()),
        (post("/v1/messages?x", "", BODY), "query", "permission_error", paths.to_owned()),
        (post("/v1/messages", "expect: x\r\n", BODY), "header", "permission_error", change.to_owned()),
        (post("/v1/messages", "", "{"), "json", "invalid_request_error", change.to_owned()),
        (
            post("/v1/messages", "anthropic-beta: x\r\n", BODY),
            "beta",
            "permission_error",
            operator("the token to `betas`"),
        ),
        (
            post("/v1/messages", "x-api-key: mine\r\n", BODY),
            "credential",
            "permission_error",
            "send the placeholder key the run was given; the host puts the real one in".to_owned(),
        ),
        (post("/v1/messages", "", &field), "field", "permission_error", leave_out.to_owned()),
        (
            post("/v1/messages", "", &BODY.replace("claude-", "gpt-")),
            "model",
            "permission_error",
            operator("the model to `models`"),
        ),
        (
            post("/v1/messages", "", &unpriced),
            "price",
            "permission_error",
            operator("the model's list price to `price`"),
        ),
    ] {
        let answer = world.send(request).await;
        let told = answer.json();
        assert_eq!((&told["borg"]["rule"], &told["borg"]["ask"]), (&rule.into(), &ask.into()), "{told}");
        assert_eq!((&told["type"], &told["error"]["type"]), (&"error".into(), &kind.into()), "{told}");
        assert_eq!(told["borg"]["host"], "127.0.0.1");
        let message = answer.message();
        let asks = told["borg"]["ask"].as_str().unwrap();
        assert!(message.starts_with(&format!("borg: refused by rule `{rule}`")), "{message}");
        assert!(message.ends_with(&format!(". {asks}.")), "{message}");
        assert!(answer.head.contains("x-should-retry: false"), "{}", answer.head);
    }
}

#[tokio::test]
async fn credentials_are_replaced_and_strangers_left_behind() {
    let world = World::new().await;
    let headers = format!(
        "X-API-KEY: {PLACEHOLDER}\r\nAuthorization: bearer {PLACEHOLDER}\r\nCookie: a=b\r\nProxy-Authorization: Basic eA==\r\n\
         X-Goog-Api-Key: g\r\nX-Forwarded-For: 1.2.3.4\r\nForwarded: for=x\r\nAnthropic-Organization: o\r\nHost: evil.example\r\n\
         X-HTTP-Method-Override: GET\r\nX-Original-URL: /v1/files\r\nx-app: cli\r\nTE: trailers\r\naccept-encoding: gzip, br\r\n\
         anthropic-beta: effort-2025-11-24, oauth-2025-04-20\r\nanthropic-beta: effort-2025-11-24\r\n"
    );
    assert_eq!(world.send(post("/v1/messages", &headers, BODY)).await.status, 200);
    let got = world.upstream.got().pop().unwrap();
    let mut names: Vec<&str> = got.headers.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "anthropic-beta",
        "anthropic-version",
        "content-length",
        "content-type",
        "host",
        "x-api-key",
        "x-app",
    ];
    assert_eq!(names, expected);
    assert_eq!(got.header("x-api-key"), Some(KEY));
    assert_eq!(got.header("anthropic-beta"), Some("effort-2025-11-24"));
    assert_eq!(got.header("host"), Some(world.upstream.base.authority().unwrap().as_str()));

    world.keys.set([Some(Credential::OAuth(Secret::new(KEY.into())))]);
    assert_eq!(world.send(post("/v1/messages", "anthropic-beta: effort-2025-11-24\r\n", BODY)).await.status, 200);
    let got = world.upstream.got().pop().unwrap();
    assert_eq!(got.header("authorization"), Some(format!("Bearer {KEY}").as_str()));
    assert_eq!(got.header("x-api-key"), None);
    assert_eq!(got.header("anthropic-beta"), Some("effort-2025-11-24,oauth-2025-04-20"));
}

#[tokio::test]
async fn framing_tricks_cannot_smuggle_a_second_request() {
    let world = World::new().await;
    let length = BODY.len();
    let head = format!(
        "POST /v1/messages HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\nx-api-key: {PLACEHOLDER}\r\nconnection: close\r\n"
    );
    // A chunked body passes and leaves with a length.
    let chunked = format!(
        "{head}transfer-encoding: chunked\r\n\r\n5\r\n{}\r\n{:x}\r\n{}\r\n0\r\n\r\n",
        &BODY[..5],
        length - 5,
        &BODY[5..]
    );
    assert_eq!(world.send(&chunked).await.status, 200);
    let got = world.upstream.got().pop().unwrap();
    assert_eq!(
        (got.header("transfer-encoding"), got.header("content-length")),
        (None, Some(length.to_string().as_str()))
    );
    let before = world.upstream.got().len();
    for trick in [
        // Two lengths; a length and chunks, in which a second request hides; an unknown coding; a bad chunk.
        format!("{head}content-length: {length}\r\ncontent-length: 3\r\n\r\n{BODY}"),
        format!("{head}content-length: {length}, {length}\r\n\r\n{BODY}"),
        format!(
            "{head}transfer-encoding: chunked\r\ncontent-length: 3\r\n\r\n0\r\n\r\nPOST /v1/files HTTP/1.1\r\n\r\n"
        ),
        format!("{head}transfer-encoding: xchunked\r\n\r\n{BODY}"),
        format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\n{BODY}"),
        format!("{head}content-length: +{length}\r\n\r\n{BODY}"),
        format!("{head} x-folded: y\r\ncontent-length: {length}\r\n\r\n{BODY}"),
        format!("{head}content-length: {length}\r\nbad\x00name: y\r\n\r\n{BODY}"),
    ] {
        let answer = world.send(&trick).await;
        assert_ne!(answer.status, 200, "{trick}");
    }
    assert_eq!(world.upstream.got().len(), before, "something got through");
    // A short body never becomes a request; the row says so though the client has left.
    let rows = world.book.rows().len();
    let stream = tokio::net::UnixStream::connect(&world.socket).await.unwrap();
    let (_read, mut write) = stream.into_split();
    tokio::io::AsyncWriteExt::write_all(&mut write, format!("{head}content-length: {length}\r\n\r\n{{").as_bytes())
        .await
        .unwrap();
    drop((_read, write));
    let row = world.book.written(rows + 1).await.pop().unwrap();
    assert_eq!(row.fate, Fate::Refused { rule: Rule::Body, pointer: None });
}

#[tokio::test]
async fn sizes_are_limited() {
    let world = World::new().await;
    let big = BODY.replace("hi", &"x".repeat(33 << 20));
    let answer = world.post(&big).await;
    assert_eq!((answer.status, answer.rule().as_str()), (413, "body-size"), "{answer:?}");
    // The same without announcing it.
    let head = post("/v1/messages", "", "").replace("content-length: 0", "transfer-encoding: chunked");
    let answer = world.send(format!("{head}{:x}\r\n{big}\r\n0\r\n\r\n", big.len())).await;
    assert_eq!((answer.status, answer.rule().as_str()), (413, "body-size"), "{answer:?}");
    // A head that is too long or has too many lines is cut off by the parser.
    let long = format!("x-a: {}\r\n", "y".repeat(200 << 10));
    assert_eq!(world.send(post("/v1/messages", &long, BODY)).await.status, 431);
    assert_eq!(world.send(post("/v1/messages", &"x-a: y\r\n".repeat(100), BODY)).await.status, 431);
    assert!(world.upstream.got().is_empty());
    let head = Fate::Refused { rule: Rule::Head, pointer: None };
    assert_eq!(world.book.written(4).await.iter().filter(|row| row.fate == head).count(), 2);
    // Just under the limit passes.
    let fits = BODY.replace("hi", &"x".repeat((32 << 20) - BODY.len()));
    assert_eq!(world.post(&fits).await.status, 200);
}

#[tokio::test]
async fn what_is_no_http_is_refused_in_words_too() {
    let world = World::with(|limits| limits.head_bytes = 16 << 10, |_| {}).await;
    let ok = post("/v1/messages", "", BODY).replace("connection: close\r\n", "");
    let tries = [
        ("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\u{0}\u{1}\u{fc}\u{3}\u{3}\r\n\r\n".to_owned(), 400),
        ("GET / HTTP/9.9\r\n\r\n".to_owned(), 400),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_owned(), 400),
        ("hello\r\n\r\n".to_owned(), 400),
        (post("/v1/messages", "bad name: y\r\n", BODY), 400),
        (post("/v1/messages", &format!("x-a: {}\r\n", "y".repeat(32 << 10)), BODY), 431),
        (post("/v1/messages", &"x-a: y\r\n".repeat(100), BODY), 431),
    ];
    for (n, (bytes, status)) in tries.iter().enumerate() {
        let answer = world.send(bytes).await;
        assert_eq!((answer.status, answer.rule().as_str()), (*status, "head"), "{bytes:?} {answer:?}");
        assert!(answer.message().contains("64 headers or 16384 bytes"), "{answer:?}");
        let rows = world.book.rows();
        assert_eq!((rows.len(), rows[n].status), (n + 1, *status), "recorded before the client hears of it");
    }
    assert!(world.upstream.got().is_empty());
    // Behind a request that was well: its answer comes whole, then the refusal.
    let answer = world.send(format!("{ok}nonsense\r\n\r\n")).await;
    assert_eq!((answer.status, answer.cut), (200, false), "{answer:?}");
    assert_eq!(
        world.book.written(tries.len() + 2).await.pop().unwrap().fate,
        Fate::Refused { rule: Rule::Head, pointer: None }
    );
}

#[tokio::test]
async fn too_many_refusals_shut_the_door() {
    let mut world = World::with(|limits| limits.refusals = 3, |_| {}).await;
    for _ in 0..3 {
        assert_eq!(world.post("{}").await.rule(), "field");
    }
    assert_eq!(world.news.recv().await.unwrap(), borg_gateway::News::TooManyRefusals);
    for body in ["{}", BODY] {
        assert_eq!(world.post(body).await.rule(), "shut");
    }
    assert_eq!(world.book.rows().len(), 3);
    assert!(world.upstream.got().is_empty());
}

#[tokio::test]
async fn response_headers_are_filtered() {
    let world = World::new().await;
    let answer = world.post(BODY).await;
    for passed in ["content-type: text/event-stream", "request-id: req_1", "anthropic-ratelimit-requests-remaining: 7"]
    {
        assert!(answer.head.contains(passed), "{}", answer.head);
    }
    for kept in ["set-cookie", "server"] {
        assert!(!answer.head.contains(kept), "{}", answer.head);
    }
    world.upstream.reply(json(302, "location: http://169.254.169.254/\r\n", "{}"));
    let answer = world.post(BODY).await;
    assert_eq!(answer.status, 502);
    assert!(!answer.head.contains("location"));
}

#[tokio::test]
async fn what_is_said_of_a_subscription_is_in_the_row() {
    let world = World::new().await;
    world.post(BODY).await;
    assert!(world.book.rows().pop().unwrap().subscription.is_empty());
    let unified = "anthropic-ratelimit-unified";
    let long = "x".repeat(200);
    let headers = format!(
        "{unified}-status: rejected\r\n{unified}-5h-utilization: 1.02\r\n{unified}-5h-reset: 1769880600\r\n{unified}-note: {long}\r\n\
         anthropic-ratelimit-requests-remaining: 7\r\n"
    );
    world.upstream.reply(json(429, &headers, "{}"));
    world.post(BODY).await;
    let told: Vec<_> = world.book.rows().pop().unwrap().subscription.into_iter().collect();
    let want = [("5h-reset", "1769880600"), ("5h-utilization", "1.02"), ("status", "rejected")];
    assert_eq!(told, want.map(|(name, value)| (name.to_owned(), value.to_owned())));
}
