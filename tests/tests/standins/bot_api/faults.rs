//! Failures by order, and what the record says of them.

use super::asking::{Asking, LIMIT};
use borg_tests::bot_api::{Answer, Fault, Rule};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    time::{Duration, Instant},
};
use teloxide_core::{
    RequestError,
    prelude::Requester,
    types::{ChatId, UpdateKind},
};

fn post(asking: &Asking, text: &str) -> Value {
    json!({ "chat_id": asking.chat.0, "text": text })
}

#[tokio::test]
async fn refusals_by_order_do_nothing() {
    let asking = Asking::new();
    asking.api.fail(Rule::on("sendMessage").next(1), Fault::TooMany { retry_after_s: 7 });
    asking.api.fail(Rule::on("sendMessage").next(1), Fault::Gateway(502));
    asking.api.fail(Rule::on("sendMessage").next(1), Fault::Unauthorized);
    let description = "Internal Server Error: restart".to_owned();
    asking.api.fail(Rule::on("sendMessage").next(1), Fault::Refuse { code: 500, description });
    let slow = asking.bot.send_message(ChatId(asking.chat.0), "x").await.unwrap_err();
    assert!(matches!(slow, RequestError::RetryAfter(seconds) if seconds.seconds() == 7), "{slow:?}");
    let (status, page) = asking.raw("sendMessage", post(&asking, "x")).await.unwrap();
    assert!(status == 502 && page.starts_with(b"<html>"));
    assert_eq!(asking.refused("sendMessage", post(&asking, "x")).await, (401, "Unauthorized".into()));
    assert_eq!(asking.refused("sendMessage", post(&asking, "x")).await.0, 500);
    assert_eq!(asking.api.messages(asking.chat).len(), 0);
    assert!(asking.api.calls().iter().all(|call| !call.accepted));
    asking.done("sendMessage", post(&asking, "x")).await;
}

#[tokio::test]
async fn a_lost_answer_is_shown_as_such() {
    let asking = Asking::new();
    asking.api.fail(Rule::on("sendMessage").nth(2), Fault::DropAfter);
    asking.api.fail(Rule::on("sendMessage").nth(3), Fault::DropBefore);
    asking.done("sendMessage", post(&asking, "one")).await;
    let lost = asking.bot.send_message(ChatId(asking.chat.0), "two").await.unwrap_err();
    assert!(matches!(lost, RequestError::Network(_)), "{lost:?}");
    asking.ask("sendMessage", post(&asking, "three")).await.unwrap_err();
    asking.done("sendMessage", post(&asking, "two")).await;
    assert_eq!(asking.api.transcript(asking.chat), "bot: one\nbot: two (answer lost)\nbot: two\n");
    let seen: Vec<(bool, bool)> =
        asking.api.calls().iter().map(|call| (call.accepted, call.answer == Answer::Lost)).collect();
    assert_eq!(seen, [(true, false), (true, true), (false, true), (true, false)]);
}

#[tokio::test]
async fn a_caller_that_dies_before_reading_leaves_its_answer_lost() {
    let asking = Asking::new();
    let body = post(&asking, "unread").to_string();
    let mut stream = TcpStream::connect(asking.api.url().trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /bot{}/sendMessage HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        asking.api.token(),
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0];
    stream.read_exact(&mut first).unwrap();
    // Closed with the rest of the answer unread, as by a kill.
    drop(stream);
    let lost = |shown: &borg_tests::bot_api::Shown| shown.answer == Some(Answer::Lost);
    assert_eq!(asking.api.wait_for(asking.chat, lost, LIMIT).unwrap().text, "unread");
}

#[tokio::test]
async fn done_but_answered_badly() {
    let asking = Asking::new();
    asking.api.fail(Rule::on("sendMessage").next(1), Fault::Malformed);
    asking.api.fail(Rule::on("sendMessage").next(1), Fault::GatewayAfter(504));
    asking.api.fail(Rule::on("sendMessage").next(1), Fault::Slow(Duration::from_millis(300)));
    let broken = asking.bot.send_message(ChatId(asking.chat.0), "one").await.unwrap_err();
    assert!(matches!(broken, RequestError::InvalidJson { .. }), "{broken:?}");
    assert_eq!(asking.raw("sendMessage", post(&asking, "two")).await.unwrap().0, 504);
    let begun = Instant::now();
    asking.done("sendMessage", post(&asking, "three")).await;
    assert!(begun.elapsed() >= Duration::from_millis(300));
    assert_eq!(asking.api.messages(asking.chat).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn stalls_and_cuts() {
    let asking = Asking::new();
    asking.api.fail(Rule::on("getUpdates").next(1), Fault::Stall);
    let stalled = asking.begin("getUpdates", json!({}));
    asking.api.wait_calls(LIMIT, |calls| calls.len() == 1).unwrap();
    asking.api.cut_connections();
    stalled.await.unwrap().unwrap_err();
    asking.api.wait_calls(LIMIT, |calls| calls[0].answer == Answer::Lost).unwrap();
    let next = asking.end().await;
    let poll = asking.begin("getUpdates", json!({ "offset": next, "timeout": 50 }));
    asking.api.wait_calls(LIMIT, |calls| calls.len() == 3).unwrap();
    asking.api.cut_connections();
    poll.await.unwrap().unwrap_err();
    asking.api.fail(Rule::any(), Fault::DropBefore);
    asking.ask("getMe", json!({})).await.unwrap_err();
    asking.api.heal();
    asking.done("getMe", json!({})).await;
}

#[tokio::test]
async fn odd_updates_come_through_teloxide() {
    let asking = Asking::new();
    asking.api.say(asking.chat, asking.ann, "one");
    let odd = asking.api.raw_update(json!({ "mind_reading": { "thought": 1 } }));
    asking.api.add_unknown_fields(true);
    asking.api.say(asking.chat, asking.ann, "two");
    asking.api.reverse_updates(1);
    let updates = asking.bot.get_updates().await.unwrap();
    let ids: Vec<u32> = updates.iter().map(|update| update.id.0).collect();
    assert!(ids.is_sorted_by(|a, b| a > b), "{ids:?}");
    let is_odd = |kind: &UpdateKind| matches!(kind, UpdateKind::Error(_));
    let odd_ones: Vec<u32> = updates.iter().filter(|update| is_odd(&update.kind)).map(|update| update.id.0).collect();
    assert_eq!(odd_ones, [u32::try_from(odd).unwrap()]);
    let next = i64::from(ids[0]) + 1;
    asking.done("getUpdates", json!({ "offset": next, "timeout": 0 })).await;
    asking.api.repeat_update(odd - 1);
    let again = asking.done("getUpdates", json!({ "offset": next })).await;
    assert_eq!((&again[0]["update_id"], again.as_array().unwrap().len()), (&json!(odd - 1), 1));
}
