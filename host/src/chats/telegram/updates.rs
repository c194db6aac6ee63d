//! What Telegram sends, in the words every frontend shares. What was said by it, and whether to us, is the component's to tell.

use super::courier::{press, receipt};
use borg_core::chat::{Marks, Update, UpdateKind};
use serde_json::Value;
use teloxide_core::types::{
    self, AllowedUpdate, MaybeInaccessibleMessage, Message, MessageEntity, MessageEntityKind, MessageId,
};

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
        marks: Some(Marks::default()),
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
    read.marks = Some(marks(read, message));
    let root = message.thread_id.map(|thread| thread.0);
    read.reply_to = message
        .reply_to_message()
        // Every message of a forum topic "answers" the one that opened it.
        .filter(|answered| !(message.is_topic_message && Some(answered.id) == root))
        .map(|answered| receipt(answered.id));
}

/// The marks of an update that was kept by a program which did not know of them.
pub fn marks_of(update: &Update) -> Option<Marks> {
    let kept: types::Update = serde_json::from_str(&update.raw).ok()?;
    read(&kept, &update.own_name).filter(|read| read.text == update.text)?.marks
}

fn marks(read: &Update, message: &Message) -> Marks {
    // Each names somebody else whose words these may be.
    let is_by_bot = message.via_bot.is_some() || message.sender_business_bot.is_some();
    let entities = message.entities().or_else(|| message.caption_entities()).unwrap_or_default();
    Marks {
        forwarded: message.forward_origin().is_some() || message.is_automatic_forward(),
        via_bot: is_by_bot,
        mentions: mentions(&read.text, entities, &read.own_name),
    }
}

/// Where a text mentions us, in bytes; entities that fit no text mention nobody.
fn mentions(text: &str, entities: &[MessageEntity], own_name: &str) -> Vec<(usize, usize)> {
    let mut starts: Vec<usize> = Vec::with_capacity(text.len());
    for (at, c) in text.char_indices() {
        starts.extend(std::iter::repeat_n(at, c.len_utf16()));
    }
    starts.push(text.len());
    let is_start = |unit: usize| unit == 0 || starts.get(unit - 1) != starts.get(unit);
    let byte = |unit: usize| starts.get(unit).copied().filter(|_| is_start(unit));
    let mut found: Vec<(usize, usize)> = Vec::new();
    for entity in entities {
        let end = entity.offset.checked_add(entity.length).and_then(byte);
        let (Some(from), Some(to)) = (byte(entity.offset), end) else { continue };
        let is_ours = match &entity.kind {
            MessageEntityKind::Mention => {
                text[from..to].strip_prefix('@').is_some_and(|name| name.eq_ignore_ascii_case(own_name))
            }
            MessageEntityKind::TextMention { user } => {
                user.username.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(own_name))
            }
            _ => false,
        };
        if is_ours && !own_name.is_empty() && from < to && found.last().is_none_or(|last| last.1 <= from) {
            found.push((from, to));
        }
    }
    found
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

    /// The marks of what somebody wrote, with more fields.
    fn marked(text: &str, more: Value) -> Marks {
        let from = json!({ "id": 6, "is_bot": false, "first_name": "Ann" });
        let chat = json!({ "id": 6, "type": "private", "first_name": "Ann" });
        let mut message = json!({ "message_id": 1, "date": 1, "chat": chat, "from": from, "text": text });
        message.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let read = read(&update("message", message), "borg_bot").unwrap();
        assert_eq!(marks_of(&Update { marks: None, ..read.clone() }), read.marks, "as an older program kept it");
        read.marks.unwrap()
    }

    #[test]
    fn whose_words_they_are_is_seen_here() {
        let bot = json!({ "id": 8, "is_bot": true, "first_name": "Gif", "username": "gif" });
        let origin = json!({ "type": "hidden_user", "sender_user_name": "Eve", "date": 1 });
        assert_eq!(marked("/pause", json!({})), Marks::default());
        assert!(marked("/pause", json!({ "forward_origin": origin })).forwarded);
        assert!(marked("/pause", json!({ "via_bot": bot })).via_bot);
        assert!(marked("/pause", json!({ "sender_business_bot": bot })).via_bot);
    }

    #[test]
    fn mentions_are_where_the_transport_has_them() {
        let mention = |offset: i64, length: i64| json!({ "type": "mention", "offset": offset, "length": length });
        let text = "😀 @Borg_bot @other_bot";
        let entities = json!([mention(3, 9), mention(13, 10), mention(1, 5), mention(3, 9), mention(20, 99)]);
        assert_eq!(marked(text, json!({ "entities": entities })).mentions, [(5, 14)]);
        let us = json!({ "id": 7, "is_bot": true, "first_name": "Borg", "username": "borg_bot" });
        let named = json!([{ "type": "text_mention", "offset": 0, "length": 4, "user": us }]);
        assert_eq!(marked("Borg /pause", json!({ "entities": named })).mentions, [(0, 4)]);
    }

    /// What a person may well write, with the entities Telegram finds in it.
    fn written(text: &str, chat: &Value) -> Value {
        let from = json!({ "id": 6, "is_bot": false, "first_name": "Ann" });
        let small = text.to_ascii_lowercase();
        let units = |end: usize| text[..end].encode_utf16().count();
        let is_mention = |at: &usize| !text[..*at].ends_with(|c: char| c.is_alphanumeric());
        let found = small.match_indices("@borg_bot").map(|(at, _)| at).filter(is_mention);
        let entity = |at: usize| json!({ "type": "mention", "offset": units(at), "length": 9 });
        let entities: Vec<Value> = found.map(entity).collect();
        json!({ "message_id": 1, "date": 1, "chat": chat, "from": from, "text": text, "entities": entities })
    }

    #[tokio::test]
    async fn whatever_the_shipped_component_hears_counts() {
        use crate::fixture::Fixture;
        use borg_core::people::Role;
        let Some(fixture) = Fixture::with_chats(&[("telegram:6", Role::Owner)]).await else { return };
        let chats = &fixture.conversation.chats;
        let before =
            ["", " ", "@borg_bot ", "@Borg_Bot, ", "Borg, ", "borg:", "@borg_bot Borg — ", "\u{1f600} ", "\u{202e}"];
        let bodies = [
            "/tasks",
            "/tasks@Borg_bot 3",
            "what now?",
            "/task acme/shop A\r\nmore \u{200b}of it\r\n\r\n",
            "hello @borg_bot there  @borg_bot",
            "\t/note 3 mind  the\u{7}\u{2028}tests ",
            "Borgia says no",
            "/x@other_bot",
        ];
        let private = json!({ "id": 6, "type": "private", "first_name": "Ann" });
        let group = json!({ "id": -100, "type": "supergroup", "title": "Shop" });
        let mut heard = 0;
        for chat in [&private, &group] {
            for (before, body) in before.iter().flat_map(|before| bodies.iter().map(move |body| (before, body))) {
                let text = format!("{before}{body}");
                let update = read(&update("message", written(&text, chat)), "borg_bot").unwrap();
                heard += chats.hear("telegram", &update).await.unwrap().len();
                let caught = tokio::time::timeout(std::time::Duration::ZERO, chats.misconduct.next()).await;
                assert!(caught.is_err(), "{text:?}: {caught:?}");
            }
        }
        assert!(heard > before.len() * bodies.len(), "only {heard} were heard");
        fixture.stop().await;
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
