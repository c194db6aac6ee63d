//! What is sent, measured on teloxide's types: everything parses, as what it is, and nothing of it is lost.

use super::asking::Asking;
use borg_tests::bot_api::{Say, Speaker, Standing};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use teloxide_core::types::{
    BotCommand, ChatFullInfo, ChatMember, File, Me, Message, True, Update, UpdateKind, WebhookInfo,
};

/// Fields teloxide has no place for, though the Bot API's documentation names them; each is listed with where it stands.
const UNPLACED: [&str; 1] = ["getChat.accepted_gift_types.gifts_from_channels"];

/// Every field of `sent` must come back.
fn nothing_lost(at: &str, sent: &Value, back: &Value) {
    match (sent, back) {
        (Value::Object(sent), back) => {
            for (field, value) in sent {
                let at = format!("{at}.{field}");
                // Written out by the server, left out by teloxide.
                let left_out =
                    matches!(value, Value::Bool(false)) || value.as_array().is_some_and(Vec::is_empty) || value == "";
                // The sign of a message that can no longer be seen.
                let default = left_out || (field == "date" && value == 0);
                if (default && back.get(field).is_none()) || UNPLACED.contains(&at.as_str()) {
                    continue;
                }
                let back = back.get(field).unwrap_or_else(|| panic!("{at} is lost: {sent:?}"));
                nothing_lost(&at, value, back);
            }
        }
        (Value::Array(sent), Value::Array(back)) => {
            assert_eq!(sent.len(), back.len(), "{at}");
            sent.iter().zip(back).for_each(|(sent, back)| nothing_lost(at, sent, back));
        }
        (sent, back) => assert_eq!(sent, back, "{at}"),
    }
}

fn kept<T: DeserializeOwned + Serialize>(what: &str, sent: &Value) -> T {
    // From text, as it comes over the wire: teloxide wants to borrow from it.
    let parsed: T = serde_json::from_str(&sent.to_string()).unwrap_or_else(|error| panic!("{what}: {error}: {sent}"));
    nothing_lost(what, sent, &serde_json::to_value(&parsed).unwrap());
    parsed
}

fn kind(update: &Update) -> &'static str {
    match &update.kind {
        UpdateKind::Message(_) => "message",
        UpdateKind::EditedMessage(_) => "edited_message",
        UpdateKind::ChannelPost(_) => "channel_post",
        UpdateKind::EditedChannelPost(_) => "edited_channel_post",
        UpdateKind::CallbackQuery(_) => "callback_query",
        UpdateKind::MyChatMember(_) => "my_chat_member",
        UpdateKind::ChatMember(_) => "chat_member",
        other => panic!("nothing of the kind is made: {other:?}"),
    }
}

#[tokio::test]
async fn every_update_is_what_it_is() {
    let asking = Asking::new();
    let (api, ann, chat, group) = (&asking.api, asking.ann, asking.chat, asking.group);
    asking
        .done(
            "getUpdates",
            json!({ "allowed_updates": ["message", "edited_message", "channel_post", "edited_channel_post",
        "callback_query", "my_chat_member", "chat_member"] }),
        )
        .await;
    let bob = api.person("Bob");
    api.rename(bob, "Bob", None);
    let said = api.say(
        chat,
        ann,
        Say::text("/task fix https://example.org for @borg_bot").entities(json!([
            { "type": "text_link", "offset": 6, "length": 3, "url": "https://example.org/" }
        ])),
    );
    api.edit_said(chat, said, "/task");
    api.say(chat, ann, Say::text("reply").reply_to(said));
    api.say(chat, ann, Say::document("a.txt", "text/plain", b"a").caption("/task x"));
    api.say(chat, ann, Say::voice(3, b"v"));
    api.say_album(chat, ann, vec![Say::photo(b"1"), Say::photo(b"2").caption("two")]);
    let keyboard = json!({ "inline_keyboard": [[{ "text": "A", "callback_data": "a" }, { "text": "B", "url": "https://example.org/" }]] });
    let sent = asking.done("sendMessage", json!({ "chat_id": chat.0, "text": "x", "reply_markup": keyboard })).await;
    let sent_id = borg_tests::bot_api::MessageId(sent["message_id"].as_i64().unwrap());
    api.press(chat, ann, sent_id, "A");
    api.forge_press(chat, bob, borg_tests::bot_api::MessageId(999), "zzz");
    asking.done("pinChatMessage", json!({ "chat_id": chat.0, "message_id": sent_id.0 })).await;
    api.block_bot(bob);
    api.unblock_bot(bob);
    api.promote_bot(group, ann);
    api.join(group, bob);
    api.set_standing(group, bob, ann, Standing::Kicked);
    api.say(group, Speaker::Anonymous, "hidden");
    let channel = api.channel("News", ann);
    api.publish(channel, "borgnews");
    api.add_bot(channel, ann);
    let news = api.say(channel, Speaker::Channel, "news");
    api.edit_said(channel, news, "more news");
    api.say(group, Speaker::AsChannel(channel), "as the channel");
    api.forward_from_channel(channel, news, group);
    api.demote_bot(group, ann);
    let new = api.upgrade(group, ann);
    api.kick_bot(new, ann);
    let forum = api.forum("Works", ann, &[bob]);
    api.add_bot(forum, ann);
    let topic = api.topic(forum, ann, "repairs");
    api.say(forum, bob, Say::text("/ping@borg_bot").in_topic(topic));

    let made = api.updates();
    let mut seen = std::collections::BTreeSet::new();
    for update in &made {
        let wanted = update.as_object().unwrap().keys().nth(1).unwrap();
        let parsed: Update = kept(wanted, update);
        assert_eq!(kind(&parsed), wanted);
        if let UpdateKind::Message(message) = &parsed.kind {
            assert!(!matches!(message.kind, teloxide_core::types::MessageKind::Empty {}), "{update}");
        }
        seen.insert(wanted.clone());
    }
    assert_eq!(seen.len(), 7, "{seen:?}");
    assert!(made.len() > 30);
}

#[tokio::test]
async fn every_answer_is_what_it_is() {
    let asking = Asking::new();
    let (api, ann, chat, group) = (&asking.api, asking.ann, asking.chat, asking.group);
    let me: Me = kept("getMe", &asking.done("getMe", json!({})).await);
    assert_eq!((me.username(), me.id.0), ("borg_bot", api.me().0.unsigned_abs()));
    kept::<WebhookInfo>("getWebhookInfo", &asking.done("getWebhookInfo", json!({})).await);
    asking.done("setWebhook", json!({ "url": "https://bot.example/x", "allowed_updates": ["message"] })).await;
    kept::<WebhookInfo>("getWebhookInfo", &asking.done("getWebhookInfo", json!({})).await);
    kept::<True>("deleteWebhook", &asking.done("deleteWebhook", json!({})).await);
    let entities = json!([{ "type": "pre", "offset": 0, "length": 2, "language": "rust" }, { "type": "custom_emoji", "offset": 3, "length": 1,
        "custom_emoji_id": "5" }]);
    let sent = asking.done("sendMessage", json!({ "chat_id": chat.0, "text": "fn x", "entities": entities })).await;
    kept::<Message>("sendMessage", &sent);
    let id = &sent["message_id"];
    let edit = json!({ "chat_id": chat.0, "message_id": id, "text": "fn y", "reply_markup": { "inline_keyboard": [[{ "text": "A", "callback_data": "a" }]] } });
    kept::<Message>("editMessageText", &asking.done("editMessageText", edit).await);
    let bare = json!({ "chat_id": chat.0, "message_id": id });
    kept::<Message>("editMessageReplyMarkup", &asking.done("editMessageReplyMarkup", bare.clone()).await);
    kept::<True>("pinChatMessage", &asking.done("pinChatMessage", bare.clone()).await);
    kept::<True>(
        "sendChatAction",
        &asking.done("sendChatAction", json!({ "chat_id": chat.0, "action": "typing" })).await,
    );
    for place in [chat, group, api.upgrade(group, ann)] {
        if place == group {
            continue;
        }
        kept::<ChatFullInfo>("getChat", &asking.done("getChat", json!({ "chat_id": place.0 })).await);
        for user in [ann, api.me()] {
            let member = asking.done("getChatMember", json!({ "chat_id": place.0, "user_id": user.0 })).await;
            kept::<ChatMember>("getChatMember", &member);
        }
    }
    let channel = api.channel("News", ann);
    api.add_bot(channel, ann);
    kept::<ChatFullInfo>("getChat", &asking.done("getChat", json!({ "chat_id": channel.0 })).await);
    let admins = asking.done("getChatAdministrators", json!({ "chat_id": channel.0 })).await;
    kept::<Vec<ChatMember>>("getChatAdministrators", &admins);
    kept::<Message>("sendMessage", &asking.done("sendMessage", json!({ "chat_id": channel.0, "text": "x" })).await);
    api.say(chat, ann, Say::document("a.txt", "text/plain", b"abc"));
    let file = api.updates().pop().unwrap()["message"]["document"]["file_id"].clone();
    kept::<File>("getFile", &asking.done("getFile", json!({ "file_id": file })).await);
    asking.done("setMyCommands", json!({ "commands": [{ "command": "a", "description": "b" }] })).await;
    kept::<Vec<BotCommand>>("getMyCommands", &asking.done("getMyCommands", json!({})).await);
    kept::<True>("deleteMessage", &asking.done("deleteMessage", bare).await);
}
