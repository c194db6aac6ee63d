//! What Claude Code 2.1.197 really sends (see `../recorded/`) passes, unchanged but for its credential.

use crate::support::{KEY, PLACEHOLDER, World, json};
use serde_json::Value;
use std::path::Path;

struct Recorded {
    name: String,
    /// As it goes over the wire.
    bytes: Vec<u8>,
    body: String,
    headers: Vec<(String, String)>,
}

fn recorded() -> Vec<Recorded> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recorded");
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|ending| ending != "json") {
            continue;
        }
        let record: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let headers: Vec<(String, String)> = serde_json::from_value(record["headers"].clone()).unwrap();
        let body = record["body"].to_string();
        let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        // Recorded with placeholders of their own, one of them as a token.
        let own = ["sk-ant-oat01-placeholder", "sk-ant-placeholder"];
        let lines = own.iter().fold(lines, |lines, own| lines.replace(own, PLACEHOLDER));
        let head = format!(
            "{} {} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n{lines}\r\n",
            record["method"].as_str().unwrap(),
            record["target"].as_str().unwrap(),
            body.len()
        );
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let bytes = [head.as_bytes(), body.as_bytes()].concat();
        all.push(Recorded { name, bytes, body, headers });
    }
    assert!(all.len() >= 8, "recordings are missing");
    all
}

#[tokio::test]
async fn every_recorded_request_passes_byte_for_byte() {
    let world = World::new().await;
    for (index, Recorded { name, bytes, body, headers }) in recorded().into_iter().enumerate() {
        let counts = name == "count-tokens";
        if counts {
            world.upstream.reply(json(200, "", r#"{"input_tokens":10}"#));
        }
        let answer = world.send(bytes).await;
        assert_eq!((answer.status, answer.cut), (200, false), "{name}: {answer:?}");
        let got = world.upstream.got().pop().unwrap();
        assert_eq!(got.body, body, "{name}");
        assert_eq!(got.header("x-api-key"), Some(KEY));
        assert_eq!(got.header("authorization"), None);
        assert_eq!(got.header("accept-encoding"), Some("identity"));
        assert!(!format!("{got:?}").contains("placeholder"), "{name}");
        for (header, value) in headers.iter().filter(|(header, _)| header.starts_with("x-stainless")) {
            assert_eq!(got.header(header), Some(value.as_str()), "{name}");
        }
        let betas = headers.iter().find(|(header, _)| header == "anthropic-beta").unwrap().1.clone();
        assert_eq!(got.header("anthropic-beta").unwrap(), betas.replace("oauth-2025-04-20,", ""), "{name}");
        let row = world.book.rows().pop().unwrap();
        assert_eq!(world.book.rows().len(), index + 1);
        assert_eq!(row.usage.is_none(), counts, "{name}");
        assert!(!row.estimated, "{name}");
    }
}
