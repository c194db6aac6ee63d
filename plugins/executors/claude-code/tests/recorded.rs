//! Every recorded stream against the table `recorded/expected.toml`, and the same streams damaged in ways nobody recorded.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_sdk::executor::{AgentEvent, EndCause, Executor, Job, Limit, Outcome, RunEnd, STATE_LIMIT_BYTES, Status};
use claude_code::ClaudeCode;
use proptest::prelude::*;
use serde::Deserialize;
use std::{collections::BTreeMap, fs, path::PathBuf};

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Expected {
    exit: Option<i32>,
    cause: Option<String>,
    status: String,
    #[serde(default)]
    says: String,
    #[serde(default)]
    tools: Vec<String>,
    #[serde(default)]
    failed: usize,
    #[serde(default)]
    denied: usize,
    #[serde(default)]
    retries: usize,
    cost_micros: Option<u64>,
    tokens: Option<[u64; 4]>,
    #[serde(default = "yes")]
    session: bool,
}

fn yes() -> bool {
    true
}

fn recorded() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "recorded"].iter().collect()
}

fn table() -> BTreeMap<String, Expected> {
    toml::from_str(&fs::read_to_string(recorded().join("expected.toml")).unwrap()).unwrap()
}

fn stream(name: &str) -> Vec<String> {
    let path = recorded().join(format!("{name}.ndjson"));
    if !path.exists() {
        return Vec::new();
    }
    fs::read_to_string(path).unwrap().lines().map(Into::into).collect()
}

fn end_of(name: &str, expected: &Expected) -> RunEnd {
    let cause = match expected.cause.as_deref() {
        None => EndCause::Exited,
        Some("killed") => EndCause::KilledBySignal,
        Some("silent") => EndCause::Silent,
        Some("timed-out") => EndCause::TimedOut,
        Some(other) => panic!("{name}: unknown cause {other}"),
    };
    let stderr_tail = fs::read_to_string(recorded().join(format!("{name}.stderr"))).unwrap_or_default();
    RunEnd { stderr_tail, ..RunEnd::new(cause, expected.exit) }
}

/// Reads in as many calls as there are batches, as the host does, and holds every state to its limit.
fn play(batches: &[Vec<String>]) -> (Vec<u8>, Vec<AgentEvent>) {
    let (mut state, mut events) = (Vec::new(), Vec::new());
    for batch in batches {
        let step = ClaudeCode::read(Job::default(), state, batch.clone());
        assert!(step.state.len() <= STATE_LIMIT_BYTES, "a state of {} bytes", step.state.len());
        state = step.state;
        events.extend(step.events);
    }
    (state, events)
}

fn exited(code: i32) -> RunEnd {
    RunEnd::new(EndCause::Exited, Some(code))
}

fn finish(lines: &[String], end: RunEnd) -> Outcome {
    ClaudeCode::finish(Job::default(), play(&[lines.to_vec()]).0, end)
}

fn word(status: Status) -> &'static str {
    match status {
        Status::Completed => "completed",
        Status::Failed => "failed",
        Status::Transient => "transient",
        Status::Auth => "auth",
        Status::RateLimited => "rate-limited",
        Status::Capped => "capped",
    }
}

#[test]
fn every_recorded_stream_comes_out_as_the_table_says() {
    let table = table();
    let mut files: Vec<_> = fs::read_dir(recorded()).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension != "toml"));
    for path in files {
        assert!(table.contains_key(path.file_stem().unwrap().to_str().unwrap()), "{} is in no row", path.display());
    }
    for (name, expected) in &table {
        let lines = stream(name);
        let (state, events) = play(&[lines]);
        let outcome = ClaudeCode::finish(Job::default(), state, end_of(name, expected));
        assert_eq!(word(outcome.status), expected.status, "{name}: {}", outcome.message);
        assert!(outcome.message.contains(&expected.says), "{name}: {}", outcome.message);
        assert!(!outcome.message.is_empty(), "{name} ends without a word");
        let tools: Vec<_> = events
            .iter()
            .filter_map(|event| if let AgentEvent::ToolUse(call) = event { Some(call.tool.clone()) } else { None })
            .collect();
        assert_eq!(tools, expected.tools, "{name}");
        let count = |is: fn(&AgentEvent) -> bool| events.iter().filter(|event| is(event)).count();
        assert_eq!(
            count(|event| matches!(event, AgentEvent::ToolResult(result) if !result.ok)),
            expected.failed,
            "{name}"
        );
        assert_eq!(count(|event| matches!(event, AgentEvent::Denied(_))), expected.denied, "{name}");
        assert_eq!(count(|event| matches!(event, AgentEvent::Retrying(_))), expected.retries, "{name}");
        assert_eq!(count(|event| matches!(event, AgentEvent::Noise(_))), 0, "{name}");
        assert_eq!(count(|event| matches!(event, AgentEvent::Session(_))), usize::from(expected.session), "{name}");
        assert_eq!(outcome.session.is_some(), expected.session, "{name}");
        assert_eq!(outcome.claimed_cost_micros, expected.cost_micros, "{name}");
        if let Some(tokens) = expected.tokens {
            let usage = outcome.usage;
            let seen = [usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens];
            assert_eq!(seen, tokens, "{name}");
        }
    }
}

#[test]
fn a_stream_cut_into_calls_anywhere_gives_the_same() {
    for name in table().keys() {
        let lines = stream(name);
        let whole = play(std::slice::from_ref(&lines));
        let single: Vec<_> = lines.iter().map(|line| vec![line.clone()]).collect();
        assert_eq!(play(&single).1, whole.1, "{name}");
        if !lines.is_empty() {
            assert_eq!(play(&single).0, whole.0, "{name}");
        }
    }
}

#[test]
fn a_line_cut_anywhere_is_noise_and_the_rest_still_counts() {
    let lines = stream("persona-mgr");
    for victim in 0..lines.len() {
        let line = &lines[victim];
        for at in (0..line.len()).step_by(37).filter(|at| line.is_char_boundary(*at)) {
            let mut torn = lines.clone();
            torn[victim] = line[..at].to_owned();
            torn.insert(victim + 1, line[at..].to_owned());
            let (state, events) = play(&[torn]);
            let noise = events.iter().filter(|event| matches!(event, AgentEvent::Noise(_))).count();
            assert_eq!(noise, if at == 0 { 0 } else { 2 }, "{victim} {at}");
            let outcome = ClaudeCode::finish(Job::default(), state, exited(0));
            let expected = if victim == lines.len() - 1 && at > 0 { Status::Failed } else { Status::Completed };
            assert_eq!(outcome.status, expected, "{victim} {at}");
            assert!(outcome.session.is_some());
        }
    }
}

#[test]
fn success_counts_only_together_with_exit_code_0() {
    let good = stream("text");
    assert_eq!(finish(&good, exited(0)).status, Status::Completed);
    for code in [1, 2, 126, 127, 137, 143, 255, -1] {
        assert_eq!(finish(&good, exited(code)).status, Status::Failed, "{code}");
    }
    for (cause, status) in [
        (EndCause::KilledBySignal, Status::Failed),
        (EndCause::TimedOut, Status::Failed),
        (EndCause::Silent, Status::Transient),
        (EndCause::OutOfMemory, Status::Failed),
        (EndCause::OutputCap, Status::Failed),
        (EndCause::DiskCap, Status::Failed),
        (EndCause::Capped, Status::Capped),
        (EndCause::Cancelled, Status::Failed),
        (EndCause::Lost, Status::Transient),
    ] {
        let end = RunEnd::new(cause, None);
        assert_eq!(finish(&good, end).status, status, "{cause:?}");
    }
    assert_eq!(finish(&stream("e401-full"), exited(0)).status, Status::Auth);
}

#[test]
fn a_missing_result_and_no_output_at_all_are_failures() {
    let mut lines = stream("tool-allowed");
    lines.pop();
    let outcome = finish(&lines, exited(0));
    assert_eq!((outcome.status, outcome.message.as_str()), (Status::Failed, "the agent ended without a result"));
    // What the messages told about tokens still counts.
    assert_eq!(outcome.usage.input_tokens, 2400);
    assert_eq!(finish(&[], exited(0)).status, Status::Failed);
    assert!(finish(&[], exited(127)).message.contains("borg-host agent install claude-code"));
}

#[test]
fn a_result_printed_twice_counts_once_and_two_turns_add_up() {
    let mut lines = stream("persona-mgr");
    lines.push(lines.last().unwrap().clone());
    let (state, events) = play(&[lines]);
    let outcome = ClaudeCode::finish(Job::default(), state, exited(0));
    assert_eq!((outcome.usage.input_tokens, outcome.claimed_cost_micros), (2400, Some(18350)));
    assert_eq!(events.iter().filter(|event| matches!(event, AgentEvent::Denied(_))).count(), 1);
    let outcome = finish(&stream("persistent"), exited(0));
    assert_eq!((outcome.usage.input_tokens, outcome.claimed_cost_micros), (4800, Some(36700)));
}

#[test]
fn rate_limits_tell_how_long_to_wait() {
    assert_eq!(finish(&stream("e429-noretry"), exited(1)).retry_after_ms, Some(1000));
    let end = RunEnd::new(EndCause::TimedOut, None);
    let outcome = finish(&stream("rate-limited-long"), end);
    assert_eq!((outcome.status, outcome.retry_after_ms), (Status::RateLimited, Some(45_000)));
    assert_eq!(finish(&stream("text"), exited(0)).retry_after_ms, None);
}

#[test]
fn denials_name_tool_and_path() {
    let denial = |name: &str| {
        let events = play(&[stream(name)]).1;
        events.iter().find_map(|event| {
            if let AgentEvent::Denied(denial) = event {
                Some((denial.tool.clone(), denial.detail.clone()))
            } else {
                None
            }
        })
    };
    assert_eq!(denial("persona-mgr"), Some(("Write".into(), "src/x.rs".into())));
    assert_eq!(denial("bash-scoped-denied"), Some(("Bash".into(), "rm -rf zzz".into())));
    assert_eq!(denial("denied-by-rule"), Some(("Write".into(), "a2.txt".into())));
    // The kernel's refusal is a failed call, not a denial of the agent's own.
    assert_eq!(denial("docker-ro-workspace"), None);
}

#[test]
fn a_tool_that_was_not_granted_is_a_denial() {
    let lines = [
        r#"{"type":"assistant","message":{"id":"m1","content":[{"type":"tool_use","id":"t1","name":"Bash","input":{"command":"echo x > a.py"}}]}}"#,
        r#"{"type":"user","message":{"content":[{"type":"tool_result","tool_use_id":"t1","is_error":true,"content":"<tool_use_error>Error: No such tool available: Bash. Bash exists but is not enabled in this context. Use one of the available tools instead.</tool_use_error>"}]}}"#,
    ];
    let (_, events) = play(&[lines.map(String::from).to_vec()]);
    let denials = events.iter().filter_map(|event| match event {
        AgentEvent::Denied(denial) => Some((denial.tool.as_str(), denial.detail.as_str())),
        _ => None,
    });
    assert_eq!(denials.collect::<Vec<_>>(), [("Bash", "echo x > a.py")]);
}

#[test]
fn hooks_and_failed_servers_are_told() {
    let warnings = |name: &str| {
        let events = play(&[stream(name)]).1;
        events
            .iter()
            .filter_map(|event| if let AgentEvent::Warning(words) = event { Some(words.clone()) } else { None })
            .collect::<Vec<_>>()
    };
    assert!(warnings("mcp-broken")[0].contains("MCP server `bad` is failed"));
    assert!(
        warnings("hostile-default").iter().any(|words| words.contains("a hook ran in the agent: SessionStart:startup"))
    );
}

#[test]
fn silence_is_the_tools_or_the_models() {
    let end = || RunEnd::new(EndCause::Silent, None);
    let calls: Vec<_> = stream("tool-allowed").into_iter().take(2).collect();
    let outcome = finish(&calls, end());
    assert_eq!(outcome.status, Status::Failed);
    assert!(outcome.message.contains("`Write` was running: "), "{}", outcome.message);
    assert_eq!(finish(&calls[..1], end()).status, Status::Transient);
}

#[test]
fn a_line_of_a_megabyte_passes() {
    let long = "x".repeat(1 << 20);
    let said =
        format!(r#"{{"type":"assistant","message":{{"id":"m","content":[{{"type":"text","text":"{long}"}}]}}}}"#);
    let result = format!(
        r#"{{"type":"result","subtype":"success","is_error":false,"result":"{}"}}"#,
        "\\\\\\\"".repeat(100_000)
    );
    let (state, events) = play(&[vec![long, said, result]]);
    assert!(matches!(&events[0], AgentEvent::Noise(noise) if noise.len() == 2048));
    assert!(matches!(&events[1], AgentEvent::Said(said) if said.len() == 64 * 1024));
    assert_eq!(ClaudeCode::finish(Job::default(), state, exited(0)).status, Status::Completed);
}

#[test]
fn a_state_that_is_not_ours_is_told_and_replaced() {
    let step = ClaudeCode::read(Job::default(), b"\xff not json".to_vec(), stream("text"));
    assert!(matches!(&step.events[0], AgentEvent::Warning(words) if words.contains("lost")));
    assert_eq!(ClaudeCode::finish(Job::default(), step.state, exited(0)).status, Status::Completed);
}

/// Lines that look like the protocol, with hostile values in every place.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let text = prop_oneof![8 => ".{0,40}", 1 => Just("\u{1}\u{202e}\"\\".repeat(9000)), 1 => Just("ä\n".repeat(30_000)), 8 => "[\\\\\"]{0,200}"];
    let kind = prop::sample::select(vec![
        "system",
        "assistant",
        "user",
        "stream_event",
        "result",
        "rate_limit_event",
        "new_kind",
    ]);
    let subtype =
        prop::sample::select(vec!["init", "api_retry", "success", "error_max_turns", "message_start", "message_stop"]);
    let value = (kind, subtype, text.clone(), text, any::<u64>(), any::<bool>(), any::<f64>()).prop_map(|(kind, subtype, a, b, n, flag, f)| {
        serde_json::json!({
            "type": kind, "subtype": subtype, "session_id": a, "uuid": b, "is_error": flag, "result": b, "error": a,
            "total_cost_usd": f, "num_turns": n, "api_error_status": n, "error_status": n, "retry_delay_ms": f, "terminal_reason": a,
            "errors": [a, b, n], "permission_denials": [{"tool_use_id": b, "tool_name": a, "tool_input": {"x": b}}, 7],
            "usage": {"input_tokens": n, "output_tokens": f},
            "event": {"type": subtype, "message": {"id": a, "usage": {"input_tokens": n}}},
            "message": {"id": a, "usage": {"input_tokens": n}, "content": [
                {"type": "text", "text": b}, {"type": "tool_use", "id": a, "name": b, "input": {"command": b}},
                {"type": "tool_result", "tool_use_id": b, "content": a, "is_error": flag}, null]},
        }).to_string()
    });
    prop::collection::vec(prop_oneof![4 => value, 1 => ".{0,80}"], 0..24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_printed_the_state_stays_small_and_nothing_panics(lines in lines(), code in any::<i32>(), split in 0_usize..24) {
        let at = split.min(lines.len());
        let (state, events) = play(&[lines[..at].to_vec(), lines[at..].to_vec()]);
        for event in events {
            if let AgentEvent::Noise(noise) = event {
                prop_assert!(noise.len() <= 2048);
            }
        }
        ClaudeCode::finish(Job::default(), state, exited(code));
    }
}

#[test]
fn a_limit_the_host_tells_of_is_why_an_agent_failed_and_no_reason_to_doubt_one_that_did_not() {
    let limit = |reached| Limit { name: "turns".into(), given: 3, used: Some(3), reached };
    let end = |code, reached| RunEnd { limits: vec![limit(reached)], ..exited(code) };
    let outcome = finish(&[], end(1, true));
    assert!(outcome.status == Status::Capped && outcome.message.contains("limit of turns"), "{}", outcome.message);
    assert_eq!(finish(&[], end(1, false)).status, Status::Failed);
    let result = |line: &str| [format!(r#"{{"type":"result",{line},"session_id":"s"}}"#)];
    let failed = result(r#""subtype":"success","is_error":true,"result":"API Error""#);
    assert_eq!(finish(&failed, end(1, true)).status, Status::Capped);
    assert_eq!(finish(&failed, end(1, false)).status, Status::Transient);
    let done = result(r#""subtype":"success","is_error":false,"result":"done""#);
    assert_eq!(finish(&done, end(0, true)).status, Status::Completed);
}
