//! A body that holds anything not on the list is refused, and the refusal says where and by which rule.

use crate::support::{BODY, World};
use borg_gateway::Fate;
use serde_json::{Value, json as value};

/// `BODY` with the value put at the pointer; missing fields and list places are made.
fn with(pointer: &str, new: Value) -> String {
    let mut body: Value = serde_json::from_str(BODY).unwrap();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match body.pointer_mut(parent).unwrap() {
        Value::Object(map) => {
            map.insert(key.into(), new);
        }
        Value::Array(list) => list.insert(key.parse().unwrap(), new),
        other => panic!("{other}"),
    }
    body.to_string()
}

fn content(block: Value) -> String {
    with("/messages/0/content", value!([block]))
}

/// `BODY` without a field.
fn without(field: &str) -> String {
    let mut body: Value = serde_json::from_str(BODY).unwrap();
    body.as_object_mut().unwrap().remove(field).unwrap();
    body.to_string()
}

#[tokio::test]
async fn bodies_that_are_refused() {
    let world = World::new().await;
    let block = "/messages/0/content/0";
    let tool = |extra: Value| {
        let mut tool = value!({"name": "t", "input_schema": {}});
        tool.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        with("/tools", value!([tool]))
    };
    let result = |inner: Value| content(value!({"type": "tool_result", "tool_use_id": "a", "content": [inner]}));
    let cases: Vec<(String, &str, String)> = vec![
        // Fields that would make the provider reach out, keep or run something, or change the price.
        (with("/mcp_servers", value!([{"type": "url", "url": "https://x.example"}])), "field", "/mcp_servers".into()),
        (with("/container", value!("c_1")), "field", "/container".into()),
        (with("/service_tier", value!("priority")), "field", "/service_tier".into()),
        (with("/speed", value!("fast")), "field", "/speed".into()),
        (with("/inference_geo", value!("us")), "field", "/inference_geo".into()),
        (with("/a~b/c".replace("/c", "").as_str(), value!(1)), "field", "/a~0b".into()),
        (r#"{"a/b":1}"#.into(), "field", "/a~1b".into()),
        (with("/metadata", value!({"user_id": "u", "x": 1})), "field", "/metadata/x".into()),
        (with("/output_config", value!({"format": {"type": "json_schema"}})), "field", "/output_config/format".into()),
        (with("/output_config", value!({"effort": "huge"})), "field", "/output_config/effort".into()),
        (
            with("/context_management", value!({"edits": [{"type": "compact_20260112"}]})),
            "field",
            "/context_management/edits/0/type".into(),
        ),
        // Tools.
        (tool(value!({"type": "web_search_20250305"})), "field", "/tools/0/type".into()),
        (tool(value!({"type": "bash_20250124"})), "field", "/tools/0/type".into()),
        (tool(value!({"type": "code_execution_20250825"})), "field", "/tools/0/type".into()),
        (tool(value!({"allowed_callers": []})), "field", "/tools/0/allowed_callers".into()),
        (with("/tools", value!([{"name": "t"}])), "field", "/tools/0".into()),
        (with("/tools", value!([{"name": "t", "input_schema": "x"}])), "field", "/tools/0/input_schema".into()),
        (with("/tool_choice", value!({"type": "magic"})), "field", "/tool_choice/type".into()),
        // Blocks and sources.
        (content(value!({"type": "server_tool_use", "id": "a"})), "field", format!("{block}/type")),
        (content(value!({"type": "mcp_tool_use", "id": "a"})), "field", format!("{block}/type")),
        (content(value!({"type": "web_search_tool_result"})), "field", format!("{block}/type")),
        (content(value!({"type": "container_upload", "file_id": "f"})), "field", format!("{block}/type")),
        (content(value!({"type": "search_result"})), "field", format!("{block}/type")),
        (content(value!({"text": "no type"})), "field", block.into()),
        (content(value!({"type": 7})), "field", format!("{block}/type")),
        (content(value!({"type": "text", "text": "x", "citations": []})), "field", format!("{block}/citations")),
        (content(value!({"type": "text", "text": 7})), "field", format!("{block}/text")),
        (
            content(value!({"type": "image", "source": {"type": "url", "url": "http://169.254.169.254/"}})),
            "field",
            format!("{block}/source/type"),
        ),
        (
            content(value!({"type": "image", "source": {"type": "file", "file_id": "file_1"}})),
            "field",
            format!("{block}/source/type"),
        ),
        (
            content(
                value!({"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "", "url": "http://x"}}),
            ),
            "field",
            format!("{block}/source/url"),
        ),
        (
            content(value!({"type": "image", "source": {"type": "base64", "media_type": "image/svg+xml", "data": ""}})),
            "field",
            format!("{block}/source/media_type"),
        ),
        (
            content(value!({"type": "document", "source": {"type": "url", "url": "https://x.example/a.pdf"}})),
            "field",
            format!("{block}/source/type"),
        ),
        (
            content(value!({"type": "document", "source": {"type": "content", "content": "x"}})),
            "field",
            format!("{block}/source/type"),
        ),
        (
            result(value!({"type": "document", "source": {"type": "url", "url": "https://x.example"}})),
            "field",
            format!("{block}/content/0/source/type"),
        ),
        (result(value!({"type": "tool_reference", "tool_name": "x"})), "field", format!("{block}/content/0/type")),
        (
            result(value!({"type": "tool_use", "id": "x", "name": "y", "input": {}})),
            "field",
            format!("{block}/content/0/type"),
        ),
        (
            content(value!({"type": "tool_use", "id": "x", "name": "y", "input": {}, "caller": {}})),
            "field",
            format!("{block}/caller"),
        ),
        (
            content(value!({"type": "tool_use", "id": "x", "name": "y", "input": "{}"})),
            "field",
            format!("{block}/input"),
        ),
        (
            content(value!({"type": "text", "text": "x", "cache_control": {"type": "ephemeral", "ttl": "1y"}})),
            "field",
            format!("{block}/cache_control/ttl"),
        ),
        // Roles, kinds, what is missing.
        (with("/messages/0/role", value!("developer")), "field", "/messages/0/role".into()),
        (with("/messages/0/name", value!("x")), "field", "/messages/0/name".into()),
        (with("/system", value!([{"type": "image"}])), "field", "/system/0/type".into()),
        (with("/messages", value!({})), "field", "/messages".into()),
        (with("/stream", value!("yes")), "field", "/stream".into()),
        (with("/max_tokens", value!(-1)), "field", "/max_tokens".into()),
        (with("/max_tokens", value!(1.5)), "field", "/max_tokens".into()),
        (with("/max_tokens", value!("9")), "field", "/max_tokens".into()),
        (with("/thinking", value!({"type": "enabled"})), "field", "/thinking".into()),
        (without("messages"), "field", "".into()),
        (without("max_tokens"), "field", "".into()),
        (without("model"), "field", "".into()),
        ("[]".into(), "field", "".into()),
        // Models.
        (with("/model", value!("gpt-5")), "model", "/model".into()),
        (with("/model", value!("")), "model", "/model".into()),
        (with("/model", value!("claude-\r\nx")), "model", "/model".into()),
        (with("/model", value!("claude-../../x")), "model", "/model".into()),
        (with("/model", value!("unpriced")), "price", "/model".into()),
    ];
    for (index, (body, rule, pointer)) in cases.iter().enumerate() {
        let answer = world.post(body).await;
        let told = answer.json();
        assert_eq!((answer.status, answer.rule().as_str()), (403, *rule), "{body}: {told}");
        assert_eq!(told["borg"]["pointer"], pointer.as_str(), "{body}: {told}");
        assert_eq!(told["error"]["type"], "permission_error");
        assert!(told["borg"]["host"] == "127.0.0.1" && !told["borg"]["ask"].as_str().unwrap().is_empty());
        assert!(answer.head.contains("x-should-retry: false"));
        let row = world.book.rows().pop().unwrap();
        let Fate::Refused { rule: recorded, pointer: at } = row.fate else { panic!("{row:?}") };
        assert_eq!((recorded.as_str(), at.as_deref()), (*rule, Some(pointer.as_str())));
        assert_eq!((world.book.rows().len(), row.status), (index + 1, 403));
    }
    assert!(world.upstream.got().is_empty(), "something got through");
    assert_eq!(world.door.spent().turns, 0);
}

#[tokio::test]
async fn texts_that_are_no_strict_json_are_refused() {
    let world = World::with(|limits| limits.json_values = 10_000, |_| {}).await;
    let nested = |depth: usize| {
        with("/tools", value!([{"name": "t", "input_schema": {"x": "DEEP"}}]))
            .replace("\"DEEP\"", &("[".repeat(depth) + &"]".repeat(depth)))
    };
    for (body, words) in [
        (BODY.replacen('{', r#"{"model":"claude-haiku-4-5","#, 1), "key `model` comes twice"),
        (BODY.replace(r#""role":"user""#, r#""role":"user","r\u006fle":"system""#), "key `role` comes twice"),
        (nested(500), "recursion limit"),
        (nested(500_000), "recursion limit"),
        (BODY.replace("\"hi\"", &format!("[{}0]", "0,".repeat(20_000))), "more values than the limit"),
        (format!("{BODY}{BODY}"), "trailing characters"),
        (BODY.replace("100", "1e999"), "out of range"),
        (BODY.replace("\"hi\"", "\"\\ud800\""), "hex escape"),
        (String::new(), "EOF"),
        ("{".into(), "EOF"),
        ("\u{feff}{}".into(), "expected"),
    ] {
        let answer = world.post(&body).await;
        assert_eq!((answer.status, answer.rule().as_str()), (400, "json"), "{}", answer.body);
        assert!(answer.message().contains(words), "{}", answer.message());
    }
    assert_eq!(world.post(&nested(100)).await.status, 200, "ordinary nesting passes");
    assert_eq!(world.upstream.got().len(), 1);
}

#[tokio::test]
async fn max_tokens_and_thinking_are_lowered_to_the_cap() {
    let world = World::with(|_| {}, |access| access.egress[0].max_tokens = 2000).await;
    let body = with("/thinking", value!({"type": "enabled", "budget_tokens": 31999})).replace("100", "32000");
    assert_eq!(world.post(&body).await.status, 200);
    let sent: Value = serde_json::from_str(&world.upstream.got()[0].body).unwrap();
    assert_eq!((&sent["max_tokens"], &sent["thinking"]["budget_tokens"]), (&value!(2000), &value!(1999)));
    // Key order is kept all the same.
    let keys: Vec<&String> = sent.as_object().unwrap().keys().collect();
    assert_eq!(keys, ["model", "max_tokens", "stream", "messages", "thinking"]);
    assert_eq!(world.post(BODY).await.status, 200);
    assert_eq!(world.upstream.got()[1].body, BODY);
}

#[tokio::test]
async fn what_is_sent_is_what_was_checked() {
    let world = World::new().await;
    // Escapes, spaces and order of the original are not carried over as bytes, but as meaning.
    let body = " { \"m\\u006fdel\" :\n\"claude-opus-4-8\",\"messages\":[{\"content\":\"\\u00e9\\/\",\"role\":\"user\"}],\"max_tokens\":1} ";
    assert_eq!(world.post(body).await.status, 200);
    let expected = r#"{"model":"claude-opus-4-8","messages":[{"content":"é/","role":"user"}],"max_tokens":1}"#;
    assert_eq!(world.upstream.got()[0].body, expected);
}
