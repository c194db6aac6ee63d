//! The stand-in for the Messages API, asked over HTTP: what it plays, what it refuses, how it fails.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::messages_api::{Expect, Fault, FaultKind, MessagesApi, Options, Persona, Script, Turn, Usage};
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, body::Bytes, body::Incoming};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use serde_json::{Value, json};
use std::time::Duration;

const KEY: &str = "sk-ant-api-test";
const LIMIT: Duration = Duration::from_secs(10);

struct Asking {
    api: MessagesApi,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Asking {
    fn new(script: Script) -> Self {
        Self::with(Options::new(KEY, script))
    }

    fn with(options: Options) -> Self {
        Self { api: MessagesApi::start(options).unwrap(), client: Client::builder(TokioExecutor::new()).build_http() }
    }

    async fn send(&self, path: &str, headers: &[(&str, &str)], body: &Value) -> Response<Incoming> {
        let mut request = Request::post(format!("{}{path}", self.api.url())).header("content-type", "application/json");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.client.request(request.body(Full::from(body.to_string())).unwrap()).await.unwrap()
    }

    async fn ask(&self, body: &Value) -> (u16, Value) {
        read(self.send("/v1/messages", &[("x-api-key", KEY), ("anthropic-version", "2023-06-01")], body).await).await
    }

    /// The raw stream, up to where it ended or broke.
    async fn stream(&self, mut body: Value) -> (String, bool) {
        body["stream"] = json!(true);
        let response =
            self.send("/v1/messages", &[("x-api-key", KEY), ("anthropic-version", "2023-06-01")], &body).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream; charset=utf-8");
        let mut text = String::new();
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            match frame {
                Ok(frame) => text += std::str::from_utf8(frame.data_ref().unwrap()).unwrap(),
                Err(_) => return (text, false),
            }
        }
        (text, true)
    }
}

async fn read(response: Response<Incoming>) -> (u16, Value) {
    let status = response.status().as_u16();
    assert!(response.headers().contains_key("request-id"));
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, serde_json::from_slice(&bytes).unwrap())
}

fn opening(text: &str) -> Value {
    json!({ "model": "claude-test", "max_tokens": 100, "messages": [{ "role": "user", "content": text }] })
}

/// The conversation after the model's answer and the results of its calls.
fn reply(mut body: Value, answer: &Value, results: Value) -> Value {
    let messages = body["messages"].as_array_mut().unwrap();
    messages.push(json!({ "role": "assistant", "content": answer["content"] }));
    messages.push(json!({ "role": "user", "content": results }));
    body
}

fn writer() -> Script {
    let first = Turn::think("hm")
        .and_say("writing")
        .and_call("Write", json!({ "file_path": "a" }))
        .expect(Expect::ok().containing("created"));
    Script::new().persona(Persona::new("worker", "persona: worker").turn(first).turn(Turn::say("done")))
}

#[tokio::test]
async fn a_script_is_played_turn_by_turn_and_results_are_compared() {
    let asking = Asking::new(writer());
    let opening = opening("persona: worker, go");
    let (status, answer) = asking.ask(&opening).await;
    assert_eq!(status, 200);
    assert_eq!(answer["stop_reason"], "tool_use");
    let kinds: Vec<&Value> = answer["content"].as_array().unwrap().iter().map(|block| &block["type"]).collect();
    assert_eq!(kinds, ["thinking", "text", "tool_use"]);

    // The same request again gets the same turn: clients retry.
    assert_eq!(asking.ask(&opening).await.1["content"][1], answer["content"][1]);

    let id = &answer["content"][2]["id"];
    let good = json!([{ "type": "tool_result", "tool_use_id": id, "content": "File created" }]);
    let (_, last) = asking.ask(&reply(opening.clone(), &answer, good)).await;
    assert_eq!((&last["stop_reason"], &last["content"][0]["text"]), (&json!("end_turn"), &json!("done")));
    assert_eq!(asking.api.problems(), Vec::<String>::new());

    let bad = json!([{ "type": "tool_result", "tool_use_id": id, "content": "denied", "is_error": true }]);
    asking.ask(&reply(opening, &answer, bad)).await;
    let problems = asking.api.problems();
    assert!(problems.len() == 1 && problems[0].contains("is_error is true"), "{problems:?}");

    let seen = asking.api.seen_of("worker");
    assert_eq!(seen.iter().map(|seen| seen.played.unwrap().1).collect::<Vec<_>>(), [0, 0, 1, 1]);
    assert_eq!(
        (seen[2].tool_results[0].tool.as_str(), &seen[2].tool_results[0].input),
        ("Write", &json!({ "file_path": "a" }))
    );
}

#[tokio::test]
async fn a_persona_started_again_plays_its_next_run() {
    let persona =
        Persona::new("worker", "persona: worker").turn(Turn::say("first")).next_run().turn(Turn::say("second"));
    let asking = Asking::new(Script::new().persona(persona));
    for (session, wanted) in [("1", "first"), ("1", "first"), ("2", "second"), ("3", "second"), ("1", "first")] {
        let mut body = opening("persona: worker");
        body["metadata"] = json!({ "user_id": session });
        assert_eq!(asking.ask(&body).await.1["content"][0]["text"], wanted);
    }
}

#[tokio::test]
async fn what_the_script_does_not_foresee_is_a_problem() {
    let asking = Asking::new(writer());
    asking.ask(&opening("who am I?")).await;
    assert!(asking.api.problems()[0].contains("no persona"));
    let mut body = opening("persona: worker");
    for _ in 0..2 {
        body["messages"].as_array_mut().unwrap().push(json!({ "role": "assistant", "content": "x" }));
        body["messages"].as_array_mut().unwrap().push(json!({ "role": "user", "content": "y" }));
    }
    asking.ask(&body).await;
    assert!(asking.api.problems()[1].contains("wants turn 3 of run 1, which has 2"), "{:?}", asking.api.problems());
}

#[tokio::test]
async fn only_the_right_key_is_let_in() {
    let oauth = "sk-ant-oat01-x";
    /// The key expected, the headers sent, the status and the message answered.
    type Row<'a> = (&'a str, &'a [(&'a str, &'a str)], u16, &'a str);
    let rows: [Row; 7] = [
        (KEY, &[("x-api-key", KEY)], 200, ""),
        (KEY, &[("authorization", "Bearer sk-ant-api-test")], 200, ""),
        (KEY, &[], 401, "x-api-key header is required"),
        (KEY, &[("x-api-key", "placeholder")], 401, "invalid x-api-key"),
        (KEY, &[("authorization", "Bearer placeholder")], 401, "Invalid bearer token"),
        (oauth, &[("authorization", "Bearer sk-ant-oat01-x")], 401, "OAuth authentication is currently not supported."),
        (oauth, &[("authorization", "Bearer sk-ant-oat01-x"), ("anthropic-beta", "a,oauth-2025-04-20")], 200, ""),
    ];
    for (key, headers, status, message) in rows {
        let asking = Asking::with(Options::new(key, writer()));
        let with_version = [headers, &[("anthropic-version", "2023-06-01")]].concat();
        let (got, body) = read(asking.send("/v1/messages", &with_version, &opening("persona: worker")).await).await;
        assert_eq!(got, status, "{headers:?}: {body}");
        if status == 401 {
            assert_eq!(body["error"], json!({ "type": "authentication_error", "message": message }));
            assert!(body["request_id"].as_str().unwrap().starts_with("req_"));
        }
        assert_eq!(asking.api.seen()[0].status, status);
    }
}

#[tokio::test]
async fn doors_versions_and_bodies_are_checked() {
    let asking = Asking::new(writer());
    let body = opening("persona: worker");
    let key = ("x-api-key", KEY);
    let version = ("anthropic-version", "2023-06-01");
    assert_eq!(read(asking.send("/v1/messages", &[key], &body).await).await.0, 400);
    assert_eq!(read(asking.send("/v1/messages/batches", &[key, version], &body).await).await.0, 404);
    assert_eq!(read(asking.send("/v1/messages?beta=true", &[key, version], &body).await).await.0, 200);
    let mut count = body.clone();
    count.as_object_mut().unwrap().remove("max_tokens");
    let (status, counted) = read(asking.send("/v1/messages/count_tokens", &[key, version], &count).await).await;
    assert!(status == 200 && counted["input_tokens"].as_u64().unwrap() > 0);
    assert_eq!(asking.ask(&count).await.0, 400);
    let mut other_model = body.clone();
    other_model["model"] = json!("gpt-x");
    assert_eq!(asking.ask(&other_model).await.0, 404);
    let thinking = json!([{ "type": "thinking", "thinking": "forged", "signature": "00" }]);
    let (status, refused) = asking.ask(&reply(body, &json!({ "content": thinking }), json!("go on"))).await;
    assert!(
        status == 400 && refused["error"]["message"].as_str().unwrap().contains("Invalid `signature`"),
        "{refused}"
    );
}

#[tokio::test]
async fn a_stream_says_what_the_whole_says_torn_or_not() {
    for torn in [false, true] {
        let mut options = Options::new(KEY, writer());
        options.torn = torn;
        let asking = Asking::with(options);
        let (text, whole) = asking.stream(opening("persona: worker")).await;
        assert!(whole);
        let events: Vec<Value> = text
            .lines()
            .filter_map(|line| line.strip_prefix("data: "))
            .map(|data| serde_json::from_str(data).unwrap())
            .collect();
        assert_eq!(events[0]["type"], "message_start");
        let last = &events[events.len() - 2];
        assert_eq!((&last["type"], &last["delta"]["stop_reason"]), (&json!("message_delta"), &json!("tool_use")));
        asking.api.wait_until(LIMIT, |seen| seen[0].billed.is_some()).unwrap();
        let billed = asking.api.billed();
        assert_eq!(last["usage"]["output_tokens"], billed.output);
        assert_eq!(events[0]["message"]["usage"]["input_tokens"], billed.input);
    }
}

#[tokio::test]
async fn usage_is_what_the_script_says() {
    let usage = Usage { input: 1, output: 2, cache_read: 3, cache_write: 4 };
    let persona = Persona::new("qa", "persona: qa").turn(Turn::say("x").usage(usage));
    let asking = Asking::new(Script::new().persona(persona));
    let (_, answer) = asking.ask(&opening("persona: qa")).await;
    assert_eq!(answer["usage"]["cache_read_input_tokens"], 3);
    assert_eq!(answer["usage"]["cache_creation"]["ephemeral_5m_input_tokens"], 4);
    asking.api.wait_until(LIMIT, |seen| seen[0].billed == Some(usage)).unwrap();
}

#[tokio::test]
async fn faults_hit_the_nth_request_and_no_other() {
    let status = |status, retry_after_s| FaultKind::Status { status, retry_after_s };
    let script = writer()
        .fault(Fault::at(2, status(429, Some(7))))
        .fault(Fault::at(3, status(529, None)).of("worker").times(2))
        .fault(Fault::at(1, status(500, None)).of("nobody-else"));
    let asking = Asking::new(script);
    let mut got = Vec::new();
    for _ in 0..5 {
        let response = asking
            .send("/v1/messages", &[("x-api-key", KEY), ("anthropic-version", "1")], &opening("persona: worker"))
            .await;
        let retry = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        let (status, body) = read(response).await;
        got.push((status, retry, body["error"]["type"].as_str().map(str::to_owned)));
    }
    let row =
        |status, retry: Option<&str>, kind: Option<&str>| (status, retry.map(str::to_owned), kind.map(str::to_owned));
    let wanted = [
        row(200, None, None),
        row(429, Some("7"), Some("rate_limit_error")),
        row(529, None, Some("overloaded_error")),
        row(529, None, Some("overloaded_error")),
        row(200, None, None),
    ];
    assert_eq!(got, wanted);
}

#[tokio::test]
async fn streams_break_as_ordered() {
    let script = writer()
        .fault(Fault::at(1, FaultKind::Drop { after_events: 3 }))
        .fault(Fault::at(2, FaultKind::StreamError { after_events: 3 }))
        .fault(Fault::at(3, FaultKind::Malformed { after_events: 3 }))
        .fault(Fault::at(4, FaultKind::Slow { delay_ms: 1 }));
    let asking = Asking::new(script);
    let body = opening("persona: worker");
    let (cut, whole) = asking.stream(body.clone()).await;
    assert!(!whole && !cut.ends_with("\n\n") && !cut.contains("message_stop"), "{cut}");
    let (error, whole) = asking.stream(body.clone()).await;
    assert!(
        whole
            && error.ends_with(
                "{\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n"
            ),
        "{error}"
    );
    let (malformed, whole) = asking.stream(body.clone()).await;
    assert!(whole && malformed.contains("\ndata: {\"type\":\"content_bl\n\n") && malformed.contains("message_stop"));
    let (slow, whole) = asking.stream(body).await;
    assert!(whole && slow.contains("message_stop"));
}

#[tokio::test]
async fn silence_and_stalls_last_until_the_client_goes() {
    let script =
        writer().fault(Fault::at(1, FaultKind::Silence)).fault(Fault::at(2, FaultKind::Stall { after_events: 2 }));
    let asking = Asking::new(script);
    let short = Duration::from_millis(100);
    let body = opening("persona: worker");
    tokio::time::timeout(short, asking.ask(&body)).await.unwrap_err();
    tokio::time::timeout(short, asking.stream(body.clone())).await.unwrap_err();
    assert_eq!(
        asking.api.seen().iter().map(|seen| (seen.status, seen.billed)).collect::<Vec<_>>(),
        [(0, None), (200, None)]
    );
    assert_eq!(asking.ask(&body).await.0, 200);
}

#[test]
fn a_script_reads_from_toml() {
    let script = Script::from_toml(
        r#"
        [[persona]]
        name = "worker"
        match = ["persona: worker"]
        [[persona.run]]
        [[persona.run.turn]]
        say = "hello"
        call = [{ tool = "Bash", input = { command = "make" }, expect = { error = false, contains = ["ok"] } }]
        [[fault]]
        at = 2
        persona = "worker"
        kind = "status"
        status = 429
        retry-after-s = 3
        [[fault]]
        at = 1
        kind = "drop"
        after-events = 4
        "#,
    )
    .unwrap();
    assert_eq!(script.personas[0].runs[0].turns[0].calls[0].input["command"], "make");
    assert_eq!(script.faults[0].kind, FaultKind::Status { status: 429, retry_after_s: Some(3) });
    assert_eq!(script.faults[1].kind, FaultKind::Drop { after_events: 4 });
    Script::from_toml("[[persona]]\nname = 'x'\nmatch = []\nrun = []\nbogus = 1").unwrap_err();
}
