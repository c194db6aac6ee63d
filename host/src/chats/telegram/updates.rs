//! What Telegram sends, in the words every frontend shares. What was said by it, and whether to us, is the component's to tell.

use super::courier::{press, receipt};
use borg_core::chat::{Update, UpdateKind};
use serde_json::Value;
use teloxide_core::types::{self, AllowedUpdate, MaybeInaccessibleMessage, Message, MessageId};

/// Kinds asked for; everything else would only be thrown away.
pub const WANTED: [AllowedUpdate; 4] =
    [AllowedUpdate::Message, AllowedUpdate::EditedMessage, AllowedUpdate::CallbackQuery, AllowedUpdate::MyChatMember];

/// Largest update handed on, in bytes of JSON; more than a message of full length needs.
const LIMIT: usize = 256 << 10;

/// A group that goes on under another id: from, to.
pub fn migration(update: &types::Update) -> Option<(i64, i64)> {
    let types::UpdateKind::Message(message) = &update.kind else { return None };
    message.migrate_to_chat_id().map(|to| (message.chat.id.0, to.0))
}

/// A chat that has the bot no more, and how that came.
pub fn put_out(update: &types::Update) -> Option<(i64, &'static str)> {
    let types::UpdateKind::MyChatMember(change) = &update.kind else { return None };
    let now = &change.new_chat_member;
    let how = if now.is_banned() { "the bot was thrown out or blocked" } else { "the bot is in it no more" };
    (!now.is_present()).then_some((change.chat.id.0, how))
}

/// What kind an update is of, in Telegram's words.
pub fn kind(update: &types::Update) -> String {
    let told = serde_json::to_value(update).unwrap_or(Value::Null);
    let named = told.as_object().and_then(|fields| fields.keys().find(|field| *field != "update_id"));
    named.map_or_else(|| "of a kind this version does not know".to_owned(), Clone::clone)
}

/// None where nothing could be answered: no chat, or a kind nobody asked for.
pub fn read(update: &types::Update, own_name: &str) -> Option<Update> {
    let raw = serde_json::to_string(update).ok().filter(|raw| raw.len() <= LIMIT)?;
    let mut read = Update {
        id: update.id.0.to_string(),
        receipt: String::new(),
        chat: String::new(),
        sender: String::new(),
        sender_name: String::new(),
        sender_is_bot: false,
        text: String::new(),
        kind: UpdateKind::Other,
        reply_to: None,
        own_name: own_name.to_owned(),
        raw,
    };
    match &update.kind {
        types::UpdateKind::Message(message) => {
            said(&mut read, message);
            let has_document = message.document().is_some() || message.photo().is_some();
            read.kind = if has_document { UpdateKind::Document } else { UpdateKind::Message };
        }
        types::UpdateKind::EditedMessage(message) => {
            said(&mut read, message);
            read.kind = UpdateKind::Edited;
        }
        types::UpdateKind::CallbackQuery(query) => {
            let message = query.message.as_ref()?;
            by(&mut read, &query.from);
            read.chat = match message {
                MaybeInaccessibleMessage::Regular(message) => chat(message),
                MaybeInaccessibleMessage::Inaccessible(message) => message.chat.id.0.to_string(),
            };
            read.receipt = press(&query.id.0);
            read.reply_to = Some(receipt(message.id()));
            read.text = query.data.clone()?;
            read.kind = UpdateKind::Button;
        }
        types::UpdateKind::MyChatMember(change) => {
            by(&mut read, &change.from);
            read.chat = change.chat.id.0.to_string();
        }
        _ => return None,
    }
    Some(read)
}

fn said(read: &mut Update, message: &Message) {
    read.chat = chat(message);
    read.receipt = receipt(message.id);
    // Whoever speaks as a channel or a group is nobody we know, whatever stands beside it.
    if message.sender_chat.is_none()
        && let Some(from) = &message.from
    {
        by(read, from);
    }
    read.text = message.text().or_else(|| message.caption()).unwrap_or_default().to_owned();
    let root = message.thread_id.map(|thread| thread.0);
    read.reply_to = message
        .reply_to_message()
        // Every message of a forum topic "answers" the one that opened it.
        .filter(|answered| !(message.is_topic_message && Some(answered.id) == root))
        .map(|answered| receipt(answered.id));
}

fn by(read: &mut Update, person: &types::User) {
    read.sender = person.id.0.to_string();
    read.sender_name = person.full_name();
    read.sender_is_bot = person.is_bot;
}

/// `CHAT`, or `CHAT/TOPIC` in a forum.
fn chat(message: &Message) -> String {
    match message.thread_id.filter(|_| message.is_topic_message) {
        Some(types::ThreadId(MessageId(topic))) => format!("{}/{topic}", message.chat.id.0),
        None => message.chat.id.0.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn update(kind: &str, content: Value) -> types::Update {
        // As text, which is how they come: teloxide reads the kind of nothing else.
        serde_json::from_str(&json!({ "update_id": 7, kind: content }).to_string()).unwrap()
    }

    #[test]
    fn what_is_passed_over_is_named_without_what_it_says() {
        let poll = json!({
            "id": "1", "question": "secret?", "options": [], "total_voter_count": 0, "is_closed": false,
            "is_anonymous": true, "type": "regular", "allows_multiple_answers": false,
        });
        let poll = update("poll", poll);
        assert_eq!((read(&poll, "bot"), kind(&poll).as_str()), (None, "poll"));
        let unknown = update("something_new", json!({ "text": "secret" }));
        assert_eq!(read(&unknown, "bot"), None);
        assert_eq!(kind(&unknown), "of a kind this version does not know");
    }

    #[test]
    fn who_has_us_no_more_is_heard() {
        let me = json!({ "id": 5, "is_bot": true, "first_name": "borg" });
        let member = |status: &str| match status {
            "kicked" => json!({ "user": me, "status": status, "until_date": 0 }),
            _ => json!({ "user": me, "status": status }),
        };
        let became = |status: &str| {
            let from = json!({ "id": 6, "is_bot": false, "first_name": "Ann" });
            let chat = json!({ "id": -100, "type": "supergroup", "title": "Shop" });
            let change = json!({
                "chat": chat, "from": from, "date": 1, "old_chat_member": member("member"),
                "new_chat_member": member(status),
            });
            put_out(&update("my_chat_member", change)).map(|(chat, _)| chat)
        };
        assert_eq!((became("kicked"), became("left"), became("member")), (Some(-100), Some(-100), None));
    }
}
