//! A second provider, made up here: another path, another key, another body, other words, other units of usage. It is a value in `Config` and
//! `Access`; no door, no exchange and no account knows of it.

use crate::support::{self, BODY, Book, Keys, PRICE, Upstream, World, json, own_pid, post};
use borg_core::budget::{Cap, MicroUsd, Usage};
use borg_gateway::{
    Access, Config, Credential, Egress, Endpoint, Error, Fate, Gateway, News, Rule, Secret,
    provider::{
        Head, Kept, Meter, Output, Pause, Prompt, Provider, Refusal, Remedy, Retry, Said, Settings, Told, Used, Weight,
        framing, quoted,
    },
};
use http::{
    HeaderMap, HeaderValue, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, InvalidHeaderValue},
    request::Parts,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

/// Its chat: `{"engine": …, "limit": …, "ask": …}` in, `{"said": …, "paid": {"in": …, "out": …}}` out.
#[derive(Debug)]
struct Parrot {
    name: &'static str,
    placeholder: &'static str,
}

const PLACEHOLDER: &str = "parrot-placeholder";
const KEY: &str = "parrot-real-key";
static PARROT: Parrot = Parrot { name: "parrot", placeholder: PLACEHOLDER };

impl Provider for Parrot {
    fn name(&self) -> &'static str {
        self.name
    }

    fn base(&self) -> &'static str {
        "https://parrot.example"
    }

    fn settings(&self) -> Settings {
        Settings { base: "PARROT_URL", ca_file: "PARROT_CA" }
    }

    fn address(&self) -> &'static str {
        "PARROT_URL"
    }

    fn placeholder(&self) -> &'static str {
        self.placeholder
    }

    fn routes(&self) -> &'static [&'static str] {
        &["/chat"]
    }

    fn head(&self, route: usize, parts: &Parts) -> Result<Head, Refusal> {
        framing::check(&parts.headers)?;
        if parts.headers.get(AUTHORIZATION).is_some_and(|given| *given != format!("Parrot {PLACEHOLDER}")) {
            return Err(Refusal::new(Rule::Credential, "that is no cracker of this run"));
        }
        let wants = parts.headers.get_all("parrot-wants").iter().filter_map(|value| value.to_str().ok());
        let features = wants.map(str::to_owned).collect();
        let headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
        Ok(Head { route, target: "/chat".into(), headers, features, widens: false })
    }

    fn features(&self) -> &'static [&'static str] {
        &["rhymes"]
    }

    fn feature_header(&self) -> &'static str {
        "parrot-wants"
    }

    fn prompt(&self, _: &Head, body: Value, bytes: usize) -> Result<Prompt, Refusal> {
        let known = ["engine", "limit", "ask"];
        if let Some(key) = body.as_object().and_then(|body| body.keys().find(|key| !known.contains(&key.as_str()))) {
            let refusal = Refusal::at(Rule::Field, format!("/{key}"), format!("`{}` is no seed", quoted(key)));
            return Err(refusal.with(Remedy::Client("parrots eat three seeds".into())));
        }
        let model = body["engine"].as_str().unwrap_or_default().to_owned();
        let output = Output { asked: body["limit"].as_u64().unwrap_or_default() as u32, least: 1 };
        let weight = Weight { tokens: bytes as u64, is_unbounded: false, kept: Kept::No };
        Ok(Prompt { body, model, output: Some(output), weight })
    }

    fn limit(&self, body: &mut Value, most: u32) {
        body["limit"] = body["limit"].as_u64().unwrap_or_default().min(most.into()).into();
    }

    fn is_subscription(&self, _: &Credential) -> bool {
        false
    }

    fn headers(&self, head: &Head, credential: &Credential) -> Result<HeaderMap, InvalidHeaderValue> {
        let mut headers = head.headers.clone();
        headers.insert(AUTHORIZATION, HeaderValue::from_str(&format!("Parrot {}", credential.secret().expose()))?);
        Ok(headers)
    }

    fn meter(&self, _: &HeaderMap) -> Box<dyn Meter> {
        Box::new(Seeds(Vec::new()))
    }

    fn passes(&self, header: &str) -> bool {
        header == "content-type" || header == "parrot-mood"
    }

    fn subscription(&self, _: &HeaderMap) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    fn pause(&self, status: StatusCode, headers: &HeaderMap) -> Option<Pause> {
        let naps = headers.get("parrot-naps")?.to_str().ok()?.parse::<u64>().ok()?;
        (status == StatusCode::IM_A_TEAPOT).then_some(Pause { ms: Some(naps * 1000) })
    }

    fn error(&self, body: &[u8]) -> Option<Told> {
        let squawk = serde_json::from_slice::<Value>(body).ok()?["squawk"].as_str()?.to_owned();
        Some(Told { kind: "squawk".into(), message: squawk })
    }

    fn say(&self, said: &Said<'_>) -> Response<String> {
        let words = match said {
            Said::Refused { refusal, host } => format!("{} ({}) at {host}", refusal.detail, refusal.remedy),
            Said::Capped { message, .. } | Said::Failed { message, .. } => (*message).to_owned(),
            Said::Theirs { told, .. } => told.as_ref().map_or("?".to_owned(), |told| told.message.clone()),
        };
        let again = said.retry() == Retry::Open;
        let mut response = Response::new(json!({ "squawk": words, "again": again }).to_string());
        *response.status_mut() = said.status();
        response
    }

    fn say_in_stream(&self, message: &str) -> hyper::body::Bytes {
        message.to_owned().into()
    }
}

/// What it says was used.
struct Seeds(Vec<u8>);

impl Meter for Seeds {
    fn feed(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    fn may_append(&self) -> bool {
        false
    }

    fn settle(self: Box<Self>, worst: &Used) -> Used {
        let told = serde_json::from_slice::<Value>(&self.0).unwrap_or_default();
        let (Some(input_tokens), Some(output_tokens)) = (told["paid"]["in"].as_u64(), told["paid"]["out"].as_u64())
        else {
            return *worst;
        };
        Used { usage: Usage { input_tokens, output_tokens, ..Usage::default() }, hour_writes: 0, estimated: false }
    }
}

/// A run that may ask both providers, each at its own stand-in.
async fn both() -> (World, Upstream) {
    let (first, second) = (Upstream::behind(None).await, Upstream::behind(None).await);
    let parrot = Endpoint { base: second.base.clone(), ..Endpoint::usual(&PARROT) };
    let world = World::beside(first, vec![parrot], |access| access.egress.push(way())).await;
    world.door.admit(own_pid());
    world.keys.set([Some(Credential::Plain(Secret::new(KEY.into())))]);
    (world, second)
}

fn way() -> Egress {
    Egress {
        name: "cage".into(),
        provider: &PARROT,
        models: vec!["grey-*".into()],
        secret: "cracker".into(),
        counts_subscription: false,
        prices: BTreeMap::from([("grey-*".into(), PRICE.into())]),
        max_tokens: 50,
        features: vec!["songs".into()],
    }
}

fn chat(headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "POST /chat HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-type: application/json\r\n{headers}content-length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn ask(limit: u64) -> Value {
    json!({ "engine": "grey-1", "limit": limit, "ask": "who is a pretty bird?" })
}

#[tokio::test]
async fn a_second_provider_is_asked_metered_and_paid_in_its_own_terms() {
    let (world, parrot) = both().await;
    parrot.reply(json(200, "parrot-mood: gay\r\nserver: x\r\n", r#"{"said":"me","paid":{"in":7,"out":3}}"#));
    let headers = format!("authorization: Parrot {PLACEHOLDER}\r\ncookie: a=b\r\nparrot-wants: rhymes\r\n");
    let answer = world.send(chat(&headers, &ask(1000))).await;
    assert_eq!((answer.status, answer.json()["said"].as_str()), (200, Some("me")), "{answer:?}");
    assert!(answer.head.contains("parrot-mood: gay") && !answer.head.contains("server"), "{}", answer.head);
    let got = parrot.got().pop().unwrap();
    assert_eq!(got.line, "POST /chat HTTP/1.1");
    assert_eq!(got.header("authorization"), Some(format!("Parrot {KEY}").as_str()));
    assert_eq!((got.header("x-api-key"), got.header("cookie")), (None, None));
    // Lowered to what its way out allows.
    assert_eq!(serde_json::from_str::<Value>(&got.body).unwrap(), ask(50));
    let row = world.book.rows().pop().unwrap();
    let usage = Usage { input_tokens: 7, output_tokens: 3, ..Usage::default() };
    assert_eq!((row.usage, row.cost, row.estimated), (Some(usage), MicroUsd(7 * 5 + 3 * 25), false));
    assert_eq!((row.host.as_str(), row.model.as_str(), row.fate), ("127.0.0.1", "grey-1", Fate::Allowed));

    // The other way stands beside it, through the same door and on the same account.
    assert_eq!(world.post(BODY).await.status, 200);
    assert_eq!((world.upstream.got().len(), parrot.got().len()), (1, 1));
    assert_eq!(world.door.spent().turns, 2);
    // What cannot be read costs the most it can cost.
    parrot.reply(json(200, "", r#"{"said":"no more"}"#));
    world.send(chat("", &ask(40))).await;
    let row = world.book.rows().pop().unwrap();
    assert_eq!((row.estimated, row.usage.map(|usage| usage.output_tokens)), (true, Some(40)), "{row:?}");
}

#[tokio::test]
async fn refusals_are_spelled_by_the_way_that_was_asked_for() {
    let (world, parrot) = both().await;
    let with = |key: &str| {
        let mut body = ask(1);
        body[key] = json!("x");
        body
    };
    let squawk = |text: &Value| text["squawk"].as_str().unwrap_or_default().to_owned();
    for (request, rule, words) in [
        (chat("", &with("cage")), Rule::Field, "`cage` is no seed (parrots eat three seeds)"),
        (chat("authorization: Parrot stolen\r\n", &ask(1)), Rule::Credential, "no cracker of this run"),
        (chat("content-encoding: gzip\r\n", &ask(1)), Rule::Header, "`content-encoding` is not allowed"),
        (
            chat("parrot-wants: a-mate\r\n", &ask(1)),
            Rule::Beta,
            "`parrot-wants: a-mate` is not listed in `[egress.cage]`",
        ),
        (chat("", &json!({ "engine": "dodo", "ask": "" })), Rule::Model, "model `dodo` is not granted"),
    ] {
        let answer = world.send(request).await;
        let told = answer.json();
        assert_eq!((answer.status, &told["again"]), (403, &json!(false)), "{answer:?}");
        assert!(squawk(&told).contains(words), "{words}: {told}");
        let fate = world.book.rows().pop().unwrap().fate;
        assert!(matches!(fate, Fate::Refused { rule: found, .. } if found == rule), "{fate:?}");
    }
    assert_eq!(world.send(chat("parrot-wants: songs\r\n", &ask(1))).await.status, 200, "policy lists them");
    // The first way is still told in its own terms, and so is who asks for neither.
    assert_eq!(world.post("{}").await.rule(), "field");
    let answer = world.send(post("/v1/files", "", BODY)).await;
    assert_eq!(answer.rule(), "route");
    assert!(answer.message().contains("only POST /v1/messages, /v1/messages/count_tokens and /chat exist here"));
    // Errors of the provider's own, and how long it wants to be left alone.
    parrot.reply(json(418, "parrot-naps: 3\r\n", r#"{"squawk":"tired"}"#));
    let mut news = world.door.subscribe();
    let answer = world.send(chat("", &ask(1))).await;
    assert_eq!((answer.status, answer.json()), (418, json!({ "squawk": "tired", "again": true })));
    assert_eq!(news.recv().await.unwrap(), News::RetryAfter { ms: Some(3000) });
}

#[tokio::test]
async fn both_providers_draw_on_one_budget() {
    let (first, second) = (Upstream::behind(None).await, Upstream::behind(None).await);
    let parrot = Endpoint { base: second.base.clone(), ..Endpoint::usual(&PARROT) };
    let narrow = |access: &mut Access| {
        access.egress.push(way());
        access.allowance.turns = 1;
    };
    let world = World::beside(first, vec![parrot], narrow).await;
    world.door.admit(own_pid());
    assert_eq!(world.post(BODY).await.status, 200);
    let answer = world.send(chat("", &ask(1))).await;
    assert_eq!(answer.status, 400);
    assert!(answer.json()["squawk"].as_str().unwrap().contains("budget reached: turns (1 of 1)"), "{answer:?}");
    assert_eq!(world.book.rows().pop().unwrap().fate, Fate::Capped(Cap::Turns));
    assert!(second.got().is_empty());
}

#[tokio::test]
async fn strangers_are_told_by_the_first_way_and_where_there_is_none_in_plain_words() {
    let upstream = Upstream::behind(None).await;
    let world = World::beside(upstream, Vec::new(), |access| access.egress.clear()).await;
    let answer = world.post(BODY).await;
    assert_eq!((answer.status, answer.head.contains("text/plain")), (403, true), "{answer:?}");
    world.door.admit(own_pid());
    let answer = world.post(BODY).await;
    let words =
        "borg: refused by rule `route`: POST /v1/messages is not served. no host and no path is granted to this run.\n";
    assert_eq!((answer.status, answer.body.as_str()), (403, words));
    assert_eq!(world.book.rows().pop().unwrap().host, "");
}

#[tokio::test]
async fn a_provider_without_an_address_or_with_an_unfit_placeholder_is_an_error() {
    let (keys, book) = (Arc::new(Keys::default()), Arc::new(Book::default()));
    let start = |provider: &'static Parrot| {
        let endpoints = vec![Endpoint { base: "http://127.0.0.1:1".parse().unwrap(), ..Endpoint::usual(provider) }];
        Gateway::new(Config { endpoints, ..Config::default() }, keys.clone(), book.clone())
    };
    const fn unfit(placeholder: &'static str) -> Parrot {
        Parrot { name: "parrot", placeholder }
    }
    static UNFIT: [Parrot; 3] = [unfit(""), unfit("a b"), unfit("a\r\nb")];
    for parrot in &UNFIT {
        assert!(matches!(start(parrot).err(), Some(Error::Placeholder("parrot"))), "{parrot:?}");
    }
    let gateway = start(&PARROT).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let access = support::access(&dir.path().join("gw.sock"));
    let Some(Error::NoEndpoint { egress, provider }) = gateway.open(access).await.err() else { panic!("it opened") };
    assert_eq!((egress.as_str(), provider), ("anthropic", "anthropic"));
}
