//! Each thing the real server refuses, in its words.

use super::asking::Asking;
use borg_tests::bot_api::Privacy;
use serde_json::{Value, json};
use teloxide_core::{ApiError, RequestError, prelude::Requester, types::ChatId};

fn bad(what: &str) -> (u64, String) {
    (400, format!("Bad Request: {what}"))
}

#[tokio::test]
async fn texts_are_one_to_4096_units() {
    let asking = Asking::new();
    let send = |text: String| asking.refused("sendMessage", json!({ "chat_id": asking.chat.0, "text": text }));
    let whole = asking.done("sendMessage", json!({ "chat_id": asking.chat.0, "text": "😀".repeat(2048) })).await;
    assert_eq!(send("😀".repeat(2049)).await, bad("message is too long"));
    assert_eq!(send("x".repeat(4097)).await, bad("message is too long"));
    asking.done("sendMessage", json!({ "chat_id": asking.chat.0, "text": format!("{} \n\n", "x".repeat(4096)) })).await;
    for empty in ["", " ", "\n \n", "\u{202e}\r"] {
        assert_eq!(send(empty.into()).await, bad("message text is empty"));
    }
    let edit = json!({ "chat_id": asking.chat.0, "message_id": whole["message_id"], "text": "x".repeat(4097) });
    assert_eq!(asking.refused("editMessageText", edit).await, bad("MESSAGE_TOO_LONG"));
    let caption = json!({ "chat_id": asking.chat.0, "document": "none", "caption": "x".repeat(1025) });
    assert_eq!(asking.refused("sendDocument", caption).await, bad("message caption is too long"));
}

#[tokio::test]
async fn edits_and_deletions_need_a_message_of_the_bot() {
    let asking = Asking::new();
    let said = asking.api.say(asking.chat, asking.ann, "mine");
    let sent = asking.done("sendMessage", json!({ "chat_id": asking.chat.0, "text": "one" })).await;
    let edit = |id: Value, text: &str| json!({ "chat_id": asking.chat.0, "message_id": id, "text": text });
    let same = "message is not modified: specified new message content and reply markup are exactly the same as a current content and reply \
                markup of the message";
    let id = &sent["message_id"];
    for text in ["one", " one\n"] {
        assert_eq!(asking.refused("editMessageText", edit(id.clone(), text)).await, bad(same));
    }
    let markup = json!({ "chat_id": asking.chat.0, "message_id": id });
    assert_eq!(asking.refused("editMessageReplyMarkup", markup).await, bad(same));
    assert_eq!(asking.refused("editMessageText", edit(json!(999), "x")).await, bad("message to edit not found"));
    assert_eq!(asking.refused("editMessageText", edit(json!(said.0), "x")).await, bad("message can't be edited"));
    asking.done("deleteMessage", json!({ "chat_id": asking.chat.0, "message_id": id })).await;
    assert_eq!(asking.refused("editMessageText", edit(id.clone(), "x")).await, bad("message to edit not found"));
    let gone = asking.refused("deleteMessage", json!({ "chat_id": asking.chat.0, "message_id": id })).await;
    assert_eq!(gone, bad("message to delete not found"));
    asking.api.set_privacy(Privacy::Off);
    let theirs = asking.api.say(asking.group, asking.ann, "mine too");
    let theirs = asking.refused("deleteMessage", json!({ "chat_id": asking.group.0, "message_id": theirs.0 })).await;
    assert_eq!(theirs, bad("message can't be deleted"));
}

#[tokio::test]
async fn replies_need_a_message_unless_told_otherwise() {
    let asking = Asking::new();
    let reply = |lenient: bool| {
        let reply = json!({ "message_id": 999, "allow_sending_without_reply": lenient });
        json!({ "chat_id": asking.chat.0, "text": "x", "reply_parameters": reply })
    };
    assert_eq!(asking.refused("sendMessage", reply(false)).await, bad("message to be replied not found"));
    assert!(asking.done("sendMessage", reply(true)).await.get("reply_to_message").is_none());
}

#[tokio::test]
async fn keyboards_and_entities_are_checked() {
    let asking = Asking::new();
    let with = |field: &str, value: Value| {
        let mut params = json!({ "chat_id": asking.chat.0, "text": "hi" });
        params[field] = value;
        asking.refused("sendMessage", params)
    };
    let long = json!({ "inline_keyboard": [[{ "text": "x", "callback_data": "y".repeat(65) }]] });
    assert_eq!(with("reply_markup", long).await, bad("BUTTON_DATA_INVALID"));
    assert_eq!(with("reply_markup", json!("{")).await, bad("can't parse reply keyboard markup JSON object"));
    let past = json!([{ "type": "bold", "offset": 1, "length": 2 }]);
    let wanted = "entity beginning at UTF-16 offset 1 ends after the end of the text at UTF-16 offset 2";
    assert_eq!(with("entities", past).await, bad(wanted));
    assert_eq!(with("parse_mode", json!("Troff")).await, bad("unsupported parse_mode"));
    assert_eq!(asking.api.problems(), Vec::<String>::new());
    let nested = json!([{ "type": "bold", "offset": 0, "length": 2 }, { "type": "code", "offset": 1, "length": 2 }]);
    asking.done("sendMessage", json!({ "chat_id": asking.chat.0, "text": "abc", "entities": nested })).await;
    assert_eq!(asking.api.problems().len(), 1);
}

#[tokio::test]
async fn chats_the_bot_cannot_write_to() {
    let asking = Asking::new();
    let (api, ann) = (&asking.api, asking.ann);
    let send = async |chat: i64| asking.refused("sendMessage", json!({ "chat_id": chat, "text": "x" })).await;
    let stranger = api.person("Zoe");
    assert_eq!(send(12345).await, bad("chat not found"));
    assert_eq!(send(stranger.0).await, bad("chat not found"));
    api.join(asking.group, stranger);
    assert_eq!(send(stranger.0).await, (403, "Forbidden: bot can't initiate conversation with a user".into()));
    api.block_bot(ann);
    assert_eq!(send(ann.0).await, (403, "Forbidden: bot was blocked by the user".into()));
    let blocked = asking.bot.send_message(ChatId(ann.0), "x").await.unwrap_err();
    assert!(matches!(blocked, RequestError::Api(ApiError::BotBlocked)), "{blocked:?}");
    api.unblock_bot(ann);
    asking.done("sendMessage", json!({ "chat_id": ann.0, "text": "x" })).await;
    api.deactivate(ann);
    assert_eq!(send(ann.0).await, (403, "Forbidden: user is deactivated".into()));
    api.kick_bot(asking.group, ann);
    assert_eq!(send(asking.group.0).await, (403, "Forbidden: bot was kicked from the group chat".into()));
    let channel = api.channel("News", ann);
    assert_eq!(send(channel.0).await, (403, "Forbidden: bot is not a member of the channel chat".into()));
    api.add_bot(channel, ann);
    api.demote_bot(channel, ann);
    assert_eq!(send(channel.0).await, bad("need administrator rights in the channel chat"));
}

#[tokio::test]
async fn a_group_that_became_a_supergroup_says_where_it_went() {
    let asking = Asking::new();
    let new = asking.api.upgrade(asking.group, asking.ann);
    let (status, body) = asking.ask("sendMessage", json!({ "chat_id": asking.group.0, "text": "x" })).await.unwrap();
    assert_eq!((status, &body["parameters"]), (400, &json!({ "migrate_to_chat_id": new.0 })));
    assert_eq!(body["description"], "Bad Request: group chat was upgraded to a supergroup chat");
    let moved = asking.bot.send_message(ChatId(asking.group.0), "x").await.unwrap_err();
    assert!(matches!(moved, RequestError::MigrateToChatId(ChatId(id)) if id == new.0), "{moved:?}");
    asking.done("sendMessage", json!({ "chat_id": new.0, "text": "here" })).await;
    let updates = asking.pending().await;
    let [.., away, here] = updates.as_slice() else { panic!("{updates:?}") };
    assert_eq!(away["message"]["migrate_to_chat_id"], new.0);
    assert_eq!(here["message"]["migrate_from_chat_id"], asking.group.0);
}

#[tokio::test]
async fn tokens_paths_and_methods() {
    let asking = Asking::new();
    let answer = async |path: &str| {
        let (status, body) = asking.get(path).await;
        let body: Value = serde_json::from_slice(&body).unwrap();
        (status, body["description"].as_str().unwrap_or("ok").to_owned())
    };
    let token = asking.api.token();
    assert_eq!(answer(&format!("/bot{token}/gEtmE")).await, (200, "ok".into()));
    assert_eq!(answer("/bot5000000001:wrong/getMe").await, (401, "Unauthorized".into()));
    assert_eq!(answer("/botnothing/getMe").await, (404, "Not Found".into()));
    assert_eq!(answer("/elsewhere").await, (404, "Not Found".into()));
    assert_eq!(answer(&format!("/bot{token}/readMinds")).await, (404, "Not Found: method not found".into()));
    assert_eq!(answer(&format!("/bot{token}/sendMessage?chat_id={}&text=by+query", asking.chat.0)).await.0, 200);
    assert_eq!(asking.api.problems(), ["readminds is not played"]);
}
