//! Sending, editing, documents, buttons, and what a person sees of it.

use super::asking::{Asking, LIMIT};
use borg_tests::bot_api::{Answer, Button, GROUP_ANONYMOUS_BOT, Say, Speaker};
use serde_json::json;
use teloxide_core::{
    net::Download,
    payloads::{
        AnswerCallbackQuerySetters, EditMessageTextSetters, GetUpdatesSetters, SendDocumentSetters, SendMessageSetters,
    },
    prelude::Requester,
    types::{
        BotCommand, CallbackQueryId, ChatAction, ChatId, FileId, InlineKeyboardButton, InlineKeyboardMarkup, InputFile,
        MessageEntity, MessageId, ReplyParameters, UpdateKind,
    },
};

fn keyboard() -> InlineKeyboardMarkup {
    InlineKeyboardMarkup::new([[
        InlineKeyboardButton::callback("Approve", "ap:1"),
        InlineKeyboardButton::callback("Reject", "rj:1"),
    ]])
}

#[tokio::test]
async fn a_conversation_reads_as_a_person_sees_it() {
    let asking = Asking::new();
    let (api, bot, chat) = (&asking.api, &asking.bot, ChatId(asking.chat.0));
    let asked = api.say(asking.chat, asking.ann, "/task fix the shop");
    bot.send_chat_action(chat, ChatAction::Typing).await.unwrap();
    let reply = ReplyParameters::new(MessageId(i32::try_from(asked.0).unwrap()));
    let sent = bot.send_message(chat, "Working…").reply_parameters(reply).await.unwrap();
    assert_eq!(sent.reply_to_message().unwrap().text(), Some("/task fix the shop"));
    let edited = bot.edit_message_text(chat, sent.id, "Done:\nmain").reply_markup(keyboard()).await.unwrap();
    assert!(edited.edit_date().is_some());
    let file = InputFile::memory(&b"+ line\n"[..]).file_name("diff.txt");
    let sent_file = bot.send_document(chat, file).caption("the whole").await.unwrap();
    assert_eq!(sent_file.document().unwrap().file.size, 7);

    assert_eq!(
        api.transcript(asking.chat),
        "Ann: /task fix the shop\n\
         bot ↩ \"/task fix the shop\": Done:\n    main [Approve=ap:1] [Reject=rj:1] (edited 1×)\n\
         bot: the whole 📄 diff.txt (7 bytes)\n"
    );
    let shown = api.wait_text(asking.chat, "Done", LIMIT).unwrap();
    assert_eq!((shown.edits[0].text.as_str(), shown.reply_to), ("Working…", Some(asked)));
    assert_eq!(shown.button("Reject"), Some(&Button { label: "Reject".into(), data: Some("rj:1".into()), url: None }));
    assert_eq!(shown.answer, Some(Answer::Read));
    let document = api.wait_for(asking.chat, |shown| shown.document.is_some(), LIMIT).unwrap().document.unwrap();
    assert_eq!((document.name.as_deref(), document.text().as_str()), (Some("diff.txt"), "+ line\n"));
    assert_eq!(api.actions(asking.chat)[0].action, "typing");
    assert_eq!(api.problems(), Vec::<String>::new());
    assert!(api.calls().iter().all(|call| call.accepted && call.status == 200));
}

#[tokio::test]
async fn a_button_is_pressed_and_answered_once() {
    let asking = Asking::new();
    let chat = ChatId(asking.chat.0);
    let sent = asking.bot.send_message(chat, "Approve?").reply_markup(keyboard()).await.unwrap();
    let message = borg_tests::bot_api::MessageId(i64::from(sent.id.0));
    let press = asking.api.press(asking.chat, asking.ann, message, "Approve");
    let updates = asking.bot.get_updates().offset(-1).await.unwrap();
    let UpdateKind::CallbackQuery(query) = &updates[0].kind else { panic!("{updates:?}") };
    assert_eq!((query.data.as_deref(), query.from.id.0), (Some("ap:1"), asking.ann.0.unsigned_abs()));
    assert_eq!(query.regular_message().unwrap().id, sent.id);
    asking.bot.answer_callback_query(query.id.clone()).text("approved").await.unwrap();
    let toast = asking.api.wait_toast(&press, LIMIT).unwrap();
    assert_eq!((toast.text.as_str(), toast.alert), ("approved", false));
    let old = "Bad Request: query is too old and response timeout expired or query ID is invalid".to_owned();
    let again = json!({ "callback_query_id": query.id.0 });
    assert_eq!(asking.refused("answerCallbackQuery", again).await, (400, old.clone()));

    let forged = asking.api.forge_press(asking.chat, asking.ann, borg_tests::bot_api::MessageId(4_000), "ap:2");
    let updates = asking.bot.get_updates().offset(-1).await.unwrap();
    let UpdateKind::CallbackQuery(query) = &updates[0].kind else { panic!("{updates:?}") };
    assert!(query.regular_message().is_none());
    asking.api.advance(std::time::Duration::from_secs(61));
    let late = asking.bot.answer_callback_query(CallbackQueryId(forged)).await.unwrap_err().to_string();
    assert!(late.contains("query is too old"), "{late}");
    assert_eq!(asking.api.toasts(asking.chat).len(), 1);
}

#[tokio::test]
async fn entities_cover_what_they_are_said_to() {
    let asking = Asking::new();
    let text = "😀 a code";
    let entities = [MessageEntity::bold(0, 2), MessageEntity::code(5, 4)];
    let sent = asking.bot.send_message(ChatId(asking.chat.0), text).entities(entities.clone()).await.unwrap();
    assert_eq!(sent.entities().unwrap(), entities);
    let shown = asking.api.messages(asking.chat).pop().unwrap();
    let covered: Vec<String> = shown.entities.iter().map(|entity| shown.covered(entity)).collect();
    assert_eq!(covered, ["😀", "code"]);
}

#[tokio::test]
async fn files_of_people_can_be_downloaded() {
    let asking = Asking::new();
    asking.api.say(asking.chat, asking.ann, Say::document("notes.txt", "text/plain", b"remember").caption("see"));
    let update = asking.bot.get_updates().offset(-1).await.unwrap().pop().unwrap();
    let UpdateKind::Message(message) = update.kind else { panic!("{update:?}") };
    let document = message.document().unwrap();
    assert_eq!((document.file_name.as_deref(), message.caption()), (Some("notes.txt"), Some("see")));
    let file = asking.bot.get_file(document.file.id.clone()).await.unwrap();
    let mut content = Vec::new();
    asking.bot.download_file(&file.path, &mut content).await.unwrap();
    assert_eq!(content, b"remember");
    assert_eq!(asking.get(&format!("/file/bot1:wrong/{}", file.path)).await.0, 401);
    assert_eq!(asking.get(&format!("/file/bot{}/documents/none", asking.api.token())).await.0, 404);
    assert!(asking.bot.get_file(FileId("none".into())).await.is_err());
    // A file once sent can be sent again by its number.
    let again = asking.bot.send_document(ChatId(asking.chat.0), InputFile::file_id(document.file.id.clone()));
    assert_eq!(again.await.unwrap().document().unwrap().file.unique_id, document.file.unique_id);
}

#[tokio::test]
async fn commands_are_kept_by_scope() {
    let asking = Asking::new();
    let commands = vec![BotCommand::new("task", "Starts a task")];
    asking.bot.set_my_commands(commands.clone()).await.unwrap();
    assert_eq!(asking.bot.get_my_commands().await.unwrap(), commands);
    let scope = json!({ "type": "chat", "chat_id": asking.chat.0 });
    let menu = json!([{ "command": "ping", "description": "Answers" }]);
    asking.done("setMyCommands", json!({ "commands": menu, "scope": scope, "language_code": "de" })).await;
    assert_eq!(asking.api.commands(&format!("chat {}", asking.chat.0), "de"), Some(menu));
    for bad in [json!([{ "command": "Task", "description": "x" }]), json!([{ "command": "a-b", "description": "x" }])] {
        assert_eq!(
            asking.refused("setMyCommands", json!({ "commands": bad })).await.1,
            "Bad Request: BOT_COMMAND_INVALID"
        );
    }
}

#[tokio::test]
async fn topics_pins_and_leaving() {
    let asking = Asking::new();
    let (api, ann) = (&asking.api, asking.ann);
    let forum = api.forum("Works", ann, &[]);
    api.add_bot(forum, ann);
    let topic = api.topic(forum, ann, "repairs");
    let said = api.say(forum, ann, Say::text("/ping").in_topic(topic));
    let params = json!({ "chat_id": forum.0, "message_thread_id": topic.0, "text": "pong" });
    let sent = asking.done("sendMessage", params).await;
    assert_eq!((&sent["message_thread_id"], &sent["is_topic_message"]), (&json!(topic.0), &json!(true)));
    assert_eq!(sent["reply_to_message"]["forum_topic_created"]["name"], "repairs");
    let none = json!({ "chat_id": forum.0, "message_thread_id": 999, "text": "pong" });
    assert_eq!(asking.refused("sendMessage", none).await.1, "Bad Request: message thread not found");
    api.close_topic(forum, topic, true);
    let closed = json!({ "chat_id": forum.0, "message_thread_id": topic.0, "text": "pong" });
    assert_eq!(asking.refused("sendMessage", closed).await.1, "Bad Request: TOPIC_CLOSED");
    let answer = json!({ "chat_id": forum.0, "text": "there", "reply_parameters": { "message_id": said.0 } });
    api.close_topic(forum, topic, false);
    assert_eq!(asking.done("sendMessage", answer).await["message_thread_id"], topic.0);
    assert!(api.transcript(forum).contains("bot in #repairs ↩ \"/ping\": there"), "{}", api.transcript(forum));

    let pin = json!({ "chat_id": forum.0, "message_id": sent["message_id"] });
    assert!(asking.refused("pinChatMessage", pin.clone()).await.1.contains("not enough rights"));
    api.promote_bot(forum, ann);
    asking.done("pinChatMessage", pin).await;
    assert!(api.wait_text(forum, "pong", LIMIT).unwrap().pinned);
    assert_eq!(asking.done("getChat", json!({ "chat_id": forum.0 })).await["pinned_message"]["text"], "pong");
    let admins = asking.done("getChatAdministrators", json!({ "chat_id": forum.0 })).await;
    assert_eq!(admins.as_array().unwrap().len(), 2);
    asking.done("leaveChat", json!({ "chat_id": forum.0 })).await;
    let gone = asking.refused("sendMessage", json!({ "chat_id": forum.0, "text": "x" })).await;
    assert_eq!(gone, (403, "Forbidden: bot is not a member of the supergroup chat".into()));
}

#[tokio::test]
async fn a_channel_and_those_who_hide_behind_a_chat() {
    let asking = Asking::new();
    let (api, ann) = (&asking.api, asking.ann);
    let channel = api.channel("News", ann);
    api.publish(channel, "borgnews");
    api.add_bot(channel, ann);
    let post = api.say(channel, Speaker::Channel, "/task from a channel");
    api.promote_bot(asking.group, ann);
    api.say(asking.group, Speaker::Anonymous, "hidden");
    api.say(asking.group, Speaker::AsChannel(channel), "as the channel");
    api.forward_from_channel(channel, post, asking.group);
    let updates = asking.pending().await;
    let last: Vec<_> = updates[updates.len() - 4..].iter().collect();
    assert_eq!(last.iter().filter(|update| update.get("message").is_some()).count(), 3);
    let shown = asking.done("sendMessage", json!({ "chat_id": "@borgnews", "text": "hello" })).await;
    assert!(shown.get("from").is_none() && shown["sender_chat"]["id"] == channel.0);
    let edit = json!({ "chat_id": channel.0, "message_id": shown["message_id"], "text": "hello again" });
    asking.done("editMessageText", edit).await;
    let anonymous = updates.iter().find(|update| update["message"]["text"] == "hidden").unwrap();
    assert_eq!(anonymous["message"]["from"]["id"], GROUP_ANONYMOUS_BOT.0);
    assert_eq!(anonymous["message"]["sender_chat"]["id"], asking.group.0);
}
