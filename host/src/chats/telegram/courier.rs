//! One post to Telegram, and what its answer means for the post, the chat and everybody else. When and whether is `outbox.rs`.

use borg_core::chat::{Post, TextPost};
use serde_json::Value;
use std::time::Duration;
use teloxide_core::{
    ApiError, Bot, RequestError,
    payloads::{AnswerCallbackQuerySetters, EditMessageTextSetters, SendDocumentSetters, SendMessageSetters},
    requests::Requester,
    types::{
        CallbackQueryId, ChatAction, ChatId, InlineKeyboardButton, InlineKeyboardMarkup, InputFile, LinkPreviewOptions,
        Message, MessageEntity, MessageId, ReplyParameters, ThreadId,
    },
};

/// Longest toast, in characters.
const TOAST: usize = 200;

/// Begins the receipt of a pressed button.
const PRESS: &str = "press:";

/// What became of a post.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It stands there; the receipt names it.
    Sent(String),
    /// Telegram wants this chat to wait.
    Wait(Duration),
    /// Nobody knows: the network or Telegram failed. Sending again may show it twice, not sending may lose it.
    Unknown(String),
    /// An answer that is none came back: something stands between here and Telegram, or does not take this very post.
    Garbled(String),
    /// The group goes on as another one.
    Moved(i64),
    /// The chat does not have the bot any more.
    PutOut(String),
    /// It cannot be sent like this, but may be like that.
    Instead(Box<Post>),
    /// It will never be taken.
    Refused(String),
    /// The token is no good any more.
    Revoked,
}

/// Chat and forum topic of a listener's name, `CHAT` or `CHAT/TOPIC`.
pub fn place(name: &str) -> Option<(ChatId, Option<ThreadId>)> {
    let (chat, topic) = name.split_once('/').map_or((name, None), |(chat, topic)| (chat, Some(topic)));
    let topic = match topic {
        Some(topic) => Some(ThreadId(MessageId(topic.parse().ok()?))),
        None => None,
    };
    Some((ChatId(chat.parse().ok()?), topic))
}

/// Names a message within its chat, as `wit/chat.wit` says: its number.
pub fn receipt(message: MessageId) -> String {
    message.0.to_string()
}

/// Names the press of a button.
pub fn press(query: &str) -> String {
    format!("{PRESS}{query}")
}

fn message_of(receipt: &str) -> Option<MessageId> {
    receipt.parse().ok().map(MessageId)
}

/// Sends one post to a chat.
pub async fn send(bot: &Bot, chat: &str, post: &Post) -> Outcome {
    let Some((id, topic)) = place(chat) else {
        return Outcome::Refused(format!("`{chat}` is no chat of Telegram"));
    };
    let done = match post {
        Post::Send(text) => send_text(bot, id, topic, text).await,
        Post::Edit { receipt: edited, post: text } => {
            let Some(message) = message_of(edited) else {
                return Outcome::Instead(Box::new(Post::Send(text.clone())));
            };
            let mut call = bot.edit_message_text(id, message, &text.text).link_preview_options(quiet());
            call = call.entities(entities(text));
            if !text.buttons.is_empty() {
                call = call.reply_markup(keyboard(text));
            }
            call.await.map(|_| edited.clone())
        }
        Post::Document { document, caption, reply_to, .. } => {
            let file = InputFile::memory(document.text.clone().into_bytes()).file_name(document.name.clone());
            let mut call = bot.send_document(id, file).caption(caption);
            if let Some(topic) = topic {
                call = call.message_thread_id(topic);
            }
            if let Some(parameters) = reply(reply_to.as_deref()) {
                call = call.reply_parameters(parameters);
            }
            call.await.map(|message| named(&message))
        }
        // These are of the moment: whoever shows them does so at once, and nobody owes them.
        Post::Answer { .. } | Post::Typing { .. } => return Outcome::Sent(String::new()),
    };
    match done {
        Ok(receipt) => Outcome::Sent(receipt),
        Err(error) => outcome(bot, post, error),
    }
}

async fn send_text(bot: &Bot, chat: ChatId, topic: Option<ThreadId>, text: &TextPost) -> Result<String, RequestError> {
    let mut call = bot.send_message(chat, &text.text).link_preview_options(quiet());
    call = call.entities(entities(text)).disable_notification(text.silent);
    if let Some(topic) = topic {
        call = call.message_thread_id(topic);
    }
    if let Some(parameters) = reply(text.reply_to.as_deref()) {
        call = call.reply_parameters(parameters);
    }
    if !text.buttons.is_empty() {
        call = call.reply_markup(keyboard(text));
    }
    call.await.map(|message| named(&message))
}

/// Ends the little clock on a pressed button; false where its words were not shown.
pub async fn toast(bot: &Bot, press: &str, text: &str) -> bool {
    let Some(query) = press.strip_prefix(PRESS) else { return false };
    let text: String = text.chars().take(TOAST).collect();
    let answer = bot.answer_callback_query(CallbackQueryId(query.to_owned())).text(text);
    match answer.await {
        Ok(_) => true,
        Err(error) => {
            tracing::debug!(error = words(bot, &error), "a button stays unanswered");
            false
        }
    }
}

/// Shows that work goes on.
pub async fn typing(bot: &Bot, chat: &str) {
    if let Some((id, _)) = place(chat)
        && let Err(error) = bot.send_chat_action(id, ChatAction::Typing).await
    {
        tracing::debug!(error = words(bot, &error), "no typing action");
    }
}

/// An error without the token, which stands in every address.
pub fn words(bot: &Bot, error: &RequestError) -> String {
    let text = match error {
        RequestError::InvalidJson { .. } => "Telegram's answer is no JSON; it may be down".to_owned(),
        RequestError::Network(error) => {
            let mut text = error.to_string();
            let mut source = std::error::Error::source(&**error);
            while let Some(cause) = source {
                text = format!("{text}: {cause}");
                source = cause.source();
            }
            text
        }
        RequestError::Api(_) | RequestError::MigrateToChatId(_) | RequestError::RetryAfter(_) | RequestError::Io(_) => {
            error.to_string()
        }
    };
    text.replace(bot.token(), "<token>")
}

fn named(message: &Message) -> String {
    receipt(message.id)
}

fn quiet() -> LinkPreviewOptions {
    LinkPreviewOptions {
        is_disabled: true,
        url: None,
        prefer_small_media: false,
        prefer_large_media: false,
        show_above_text: false,
    }
}

fn entities(text: &TextPost) -> Vec<MessageEntity> {
    serde_json::from_str(&text.entities).unwrap_or_default()
}

fn keyboard(text: &TextPost) -> InlineKeyboardMarkup {
    let buttons: Vec<InlineKeyboardButton> =
        text.buttons.iter().map(|button| InlineKeyboardButton::callback(&button.label, &button.action)).collect();
    InlineKeyboardMarkup::new(buttons.chunks(3).map(<[InlineKeyboardButton]>::to_vec))
}

fn reply(receipt: Option<&str>) -> Option<ReplyParameters> {
    Some(ReplyParameters::new(message_of(receipt?)?).allow_sending_without_reply())
}

fn outcome(bot: &Bot, post: &Post, error: RequestError) -> Outcome {
    let said = words(bot, &error);
    match error {
        RequestError::RetryAfter(seconds) => Outcome::Wait(seconds.duration()),
        RequestError::MigrateToChatId(chat) => Outcome::Moved(chat.0),
        RequestError::InvalidJson { raw, .. } => match taken(post, &raw) {
            Some(receipt) => Outcome::Sent(receipt),
            None => Outcome::Garbled(said),
        },
        RequestError::Network(_) | RequestError::Io(_) => Outcome::Unknown(said),
        RequestError::Api(error) => refused(post, &error, said),
    }
}

/// The receipt in an answer whose message has something new in it: it stands there all the same.
fn taken(post: &Post, raw: &str) -> Option<String> {
    let answer: Value = serde_json::from_str(raw).ok()?;
    if answer["ok"] != true {
        return None;
    }
    match post {
        Post::Edit { receipt, .. } => Some(receipt.clone()),
        Post::Send(_) | Post::Document { .. } => answer["result"]["message_id"].as_i64().map(|id| id.to_string()),
        Post::Answer { .. } | Post::Typing { .. } => None,
    }
}

fn refused(post: &Post, error: &ApiError, said: String) -> Outcome {
    match (error, post) {
        (ApiError::InvalidToken, _) => Outcome::Revoked,
        (ApiError::MessageNotModified, Post::Edit { receipt, .. }) => Outcome::Sent(receipt.clone()),
        // It was deleted, or is too old to be edited: said anew.
        (
            ApiError::MessageToEditNotFound | ApiError::MessageCantBeEdited | ApiError::MessageIdInvalid,
            Post::Edit { post, .. },
        ) => Outcome::Instead(Box::new(Post::Send(post.clone()))),
        (ApiError::CantParseEntities(_) | ApiError::ButtonDataInvalid, Post::Send(text)) => {
            plain(text, said, Post::Send)
        }
        (ApiError::CantParseEntities(_) | ApiError::ButtonDataInvalid, Post::Edit { receipt, post: text }) => {
            plain(text, said, |post| Post::Edit { receipt: receipt.clone(), post })
        }
        (
            ApiError::BotBlocked
            | ApiError::BotKicked
            | ApiError::BotKickedFromSupergroup
            | ApiError::BotKickedFromChannel
            | ApiError::UserDeactivated
            | ApiError::GroupDeactivated,
            _,
        ) => Outcome::PutOut(said),
        (ApiError::Unknown(text), _) if is_put_out(text) => Outcome::PutOut(said),
        // What teloxide does not know by name: their own faults pass, refusals do not.
        (ApiError::Unknown(text), _) if is_their_fault(text) => Outcome::Unknown(said),
        _ => Outcome::Refused(said),
    }
}

/// Without formatting and buttons: ugly, but said.
fn plain(text: &TextPost, said: String, wrap: impl FnOnce(TextPost) -> Post) -> Outcome {
    if text.entities.is_empty() && text.buttons.is_empty() {
        return Outcome::Refused(said);
    }
    let plain = TextPost { entities: String::new(), buttons: Vec::new(), ..text.clone() };
    Outcome::Instead(Box::new(wrap(plain)))
}

fn is_put_out(text: &str) -> bool {
    text.contains("bot was kicked from") || text.contains("bot is not a member of")
}

fn is_their_fault(text: &str) -> bool {
    ["Internal Server Error", "Bad Gateway", "Gateway Timeout", "Service Unavailable"]
        .iter()
        .any(|word| text.contains(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(entities: &str) -> TextPost {
        TextPost {
            chat: "1".into(),
            text: "x".into(),
            entities: entities.into(),
            buttons: Vec::new(),
            reply_to: None,
            silent: false,
        }
    }

    #[test]
    fn chats_and_receipts_are_read_as_they_are_written() {
        assert_eq!(place("-100/7"), Some((ChatId(-100), Some(ThreadId(MessageId(7))))));
        assert_eq!(place("5"), Some((ChatId(5), None)));
        for nonsense in ["", "x", "5/", "5/x", "5/6/7"] {
            assert_eq!(place(nonsense), None, "{nonsense}");
        }
        assert_eq!(message_of(&receipt(MessageId(9))), Some(MessageId(9)));
        assert_eq!(message_of(&press("9")), None, "a press is no message");
    }

    #[test]
    fn a_refusal_is_answered_by_what_may_still_be_taken() {
        let edit = Post::Edit { receipt: "2".into(), post: text("[]") };
        assert_eq!(refused(&edit, &ApiError::MessageNotModified, String::new()), Outcome::Sent("2".into()));
        let anew = refused(&edit, &ApiError::MessageToEditNotFound, String::new());
        assert_eq!(anew, Outcome::Instead(Box::new(Post::Send(text("[]")))));
        let odd = ApiError::CantParseEntities("Bad Request: can't parse entities".into());
        let formatted = Post::Send(text("[1]"));
        assert_eq!(refused(&formatted, &odd, String::new()), Outcome::Instead(Box::new(Post::Send(text("")))));
        assert_eq!(refused(&Post::Send(text("")), &odd, "no".into()), Outcome::Refused("no".into()));
        let group = ApiError::Unknown("Forbidden: bot was kicked from the group chat".into());
        for gone in [ApiError::BotBlocked, ApiError::BotKickedFromSupergroup, group] {
            assert_eq!(refused(&formatted, &gone, "no".into()), Outcome::PutOut("no".into()));
        }
        assert_eq!(refused(&formatted, &ApiError::InvalidToken, String::new()), Outcome::Revoked);
        let down = ApiError::Unknown("Internal Server Error".into());
        assert_eq!(refused(&formatted, &down, "down".into()), Outcome::Unknown("down".into()));
    }

    #[test]
    fn an_answer_that_says_it_stands_there_is_a_receipt() {
        let (send, edit) = (Post::Send(text("")), Post::Edit { receipt: "2".into(), post: text("") });
        let new = r#"{"ok":true,"result":{"message_id":9,"date":"of a new kind"}}"#;
        assert_eq!((taken(&send, new).as_deref(), taken(&edit, new).as_deref()), (Some("9"), Some("2")));
        for nothing in ["<html>502</html>", r#"{"ok":true,"resu"#, r#"{"ok":false,"result":{"message_id":9}}"#] {
            assert_eq!((taken(&send, nothing), taken(&edit, nothing)), (None, None), "{nothing}");
        }
    }

    #[test]
    fn the_token_is_in_no_words() {
        let bot = Bot::new("7:SECRET");
        let error = RequestError::Api(ApiError::Unknown("at /bot7:SECRET/getMe".into()));
        assert_eq!(words(&bot, &error), "A Telegram's error: Unknown error: \"at /bot<token>/getMe\"");
    }
}
