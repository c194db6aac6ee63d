//! Long polls, offsets, kinds, conflicts.

use super::asking::{Asking, LIMIT};
use borg_tests::bot_api::{Limits, Options, Privacy, UserId};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use teloxide_core::{
    payloads::GetUpdatesSetters,
    prelude::Requester,
    types::{AllowedUpdate, UpdateKind},
};

fn kinds(updates: &[Value]) -> Vec<String> {
    updates.iter().map(|update| update.as_object().unwrap().keys().nth(1).unwrap().clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poll_waits_for_an_update_and_no_longer() {
    let asking = Asking::new();
    let next = i32::try_from(asking.end().await).unwrap();
    let bot = asking.bot.clone();
    let poll = tokio::spawn(async move { bot.get_updates().offset(next).timeout(30).await.unwrap() });
    asking.api.wait_calls(LIMIT, |calls| calls.len() == 2).unwrap();
    let begun = Instant::now();
    asking.api.say(asking.chat, asking.ann, "hello");
    let updates = poll.await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(5));
    let UpdateKind::Message(message) = &updates[0].kind else { panic!("{updates:?}") };
    assert_eq!(message.text(), Some("hello"));
    let begun = Instant::now();
    let none = asking.bot.get_updates().offset(next + 1).timeout(1).await.unwrap();
    assert!(none.is_empty() && begun.elapsed() >= Duration::from_secs(1));
}

#[tokio::test]
async fn what_is_not_confirmed_is_given_again() {
    let asking = Asking::new();
    for n in 0..5 {
        asking.api.say(asking.chat, asking.ann, format!("{n}"));
    }
    let texts = |updates: &[Value]| -> Vec<String> {
        updates.iter().map(|update| update["message"]["text"].as_str().unwrap_or("").to_owned()).collect()
    };
    let all = asking.pending().await;
    assert_eq!(kinds(&all[..2]), ["my_chat_member", "message"]);
    let again = asking.done("getUpdates", json!({ "limit": 4 })).await;
    assert_eq!(texts(again.as_array().unwrap()), ["", "", "0", "1"]);
    let next = again[3]["update_id"].as_i64().unwrap() + 1;
    let rest = asking.done("getUpdates", json!({ "offset": next })).await;
    assert_eq!(texts(rest.as_array().unwrap()), ["2", "3", "4"]);
    assert_eq!(asking.api.pending_updates(), 3);
    let last = asking.done("GETUPDATES", json!({ "offset": "-1" })).await;
    assert_eq!(texts(last.as_array().unwrap()), ["4"]);
    asking.api.advance(Duration::from_secs(86_400));
    assert_eq!(asking.api.pending_updates(), 0);
}

#[tokio::test]
async fn only_kinds_asked_for_are_queued() {
    let asking = Asking::new();
    asking.api.promote_bot(asking.group, asking.ann);
    let bob = asking.api.person("Bob");
    asking.api.join(asking.group, bob);
    assert_eq!(kinds(&asking.pending().await), ["my_chat_member", "message", "my_chat_member", "message"]);
    let only = asking.bot.get_updates().allowed_updates(vec![AllowedUpdate::ChatMember]);
    only.await.unwrap();
    asking.api.leave(asking.group, bob);
    asking.api.say(asking.chat, asking.ann, "not heard");
    let all = asking.pending().await;
    assert_eq!(kinds(&all[4..]), ["chat_member"]);
    let info = asking.done("getWebhookInfo", json!({})).await;
    assert_eq!(info["allowed_updates"], json!(["chat_member"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn two_polls_at_once_conflict() {
    let asking = Asking::with(Options { speed: 100.0, ..Options::default() });
    let next = asking.end().await;
    // Longer than the longest, which counts, so half a second by this clock.
    let params = json!({ "offset": next, "timeout": 5000 });
    let begin = |calls: usize| {
        let poll = asking.begin("getUpdates", params.clone());
        asking.api.wait_calls(LIMIT, |seen| seen.len() == calls).unwrap();
        poll
    };
    let (first, second) = (begin(2), begin(3));
    let (status, body) = first.await.unwrap().unwrap();
    assert_eq!(status, 409);
    assert!(body["description"].as_str().unwrap().starts_with("Conflict: terminated by other getUpdates request"));
    asking.done("setWebhook", json!({ "url": "https://bot.example:8443/x" })).await;
    let (status, body) = second.await.unwrap().unwrap();
    assert_eq!((status, body["description"].as_str().unwrap()), (409, "Conflict: terminated by setWebhook request"));
    let (code, description) = asking.refused("getUpdates", json!({})).await;
    assert!(code == 409 && description.contains("while webhook is active"), "{description}");
    asking.done("deleteWebhook", json!({ "drop_pending_updates": true })).await;
    assert_eq!(asking.api.pending_updates(), 0);
    asking.done("getUpdates", json!({})).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revoked_token_ends_the_poll() {
    let asking = Asking::new();
    let next = asking.end().await;
    let poll = asking.begin("getUpdates", json!({ "offset": next, "timeout": 50 }));
    asking.api.wait_calls(LIMIT, |calls| calls.len() == 2).unwrap();
    asking.api.revoke_token();
    let refusal = json!({ "ok": false, "error_code": 401, "description": "Unauthorized" });
    assert_eq!(poll.await.unwrap().unwrap(), (401, refusal));
    assert_eq!(asking.refused("getMe", json!({})).await, (401, "Unauthorized".into()));
    asking.api.issue_token("5000000001:AAAnotherAnotherAnotherAnotherAnother");
    asking.done("getMe", json!({})).await;
}

#[tokio::test]
async fn limits_follow_the_clock_of_the_stand_in() {
    let options = Options { speed: 200.0, limits: Some(Limits::real()), privacy: Privacy::Off, ..Options::default() };
    let asking = Asking::with(options);
    let post = || json!({ "chat_id": asking.group.0, "text": "x" });
    let mut refused = 0;
    for _ in 0..40 {
        let (status, body) = asking.ask("sendMessage", post()).await.unwrap();
        if status == 429 {
            refused += 1;
            assert_eq!(body["parameters"], json!({ "retry_after": 1 }));
            assert_eq!(body["description"], "Too Many Requests: retry after 1");
            asking.api.advance(Duration::from_secs(3));
        }
    }
    assert!(refused > 0);
    assert_eq!(asking.api.messages(asking.group).iter().filter(|shown| shown.by_bot).count(), 40 - refused);
    asking.api.set_limits(None);
    for _ in 0..40 {
        asking.done("sendMessage", post()).await;
    }
}

#[tokio::test]
async fn ten_thousand_updates_from_two_hundred_chats_are_all_given_in_order() {
    let asking = Asking::new();
    let chats: Vec<_> = (0..200).map(|n| asking.api.private(asking.api.person(&format!("P{n}")))).collect();
    for n in 0..50 {
        for chat in &chats {
            asking.api.say(*chat, UserId(chat.0), format!("{n}"));
        }
    }
    let mut heard = vec![0; chats.len()];
    let mut offset = 0;
    loop {
        let updates = asking.done("getUpdates", json!({ "offset": offset })).await;
        let updates = updates.as_array().unwrap();
        let Some(last) = updates.last() else { panic!("the queue ran dry: {heard:?}") };
        offset = last["update_id"].as_i64().unwrap() + 1;
        for message in updates.iter().map(|update| &update["message"]).filter(|message| message["text"].is_string()) {
            let at = chats.iter().position(|chat| message["chat"]["id"] == chat.0).unwrap();
            assert_eq!(message["text"], heard[at].to_string());
            heard[at] += 1;
        }
        if heard.iter().all(|count| *count == 50) {
            break;
        }
    }
}
