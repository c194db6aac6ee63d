//! Which messages of a group the bot hears.

use super::asking::Asking;
use borg_tests::bot_api::{MessageId, Privacy, Say};
use serde_json::json;

/// Texts of the messages heard since `from`.
async fn heard(asking: &Asking, from: usize) -> Vec<String> {
    let updates = asking.api.updates();
    let texts = updates[from..].iter().filter_map(|update| update["message"]["text"].as_str());
    texts.map(str::to_owned).collect()
}

#[tokio::test]
async fn with_privacy_the_bot_hears_what_is_meant_for_it() {
    let asking = Asking::new();
    let (api, ann, group) = (&asking.api, asking.ann, asking.group);
    let other = api.other_bot("Helper");
    let bob = api.person("Bob");
    api.join(group, other);
    api.join(group, bob);
    let from = api.updates().len();
    let sent = asking.done("sendMessage", json!({ "chat_id": group.0, "text": "hello" })).await;
    api.say(group, ann, "just talk");
    let command = api.say(group, ann, "/task@borg_bot one");
    api.say(group, bob, Say::text("and more").reply_to(command));
    api.say(group, ann, "/task two");
    api.say(group, ann, "/task@helper_bot three");
    api.say(group, ann, "what about /task four");
    api.say(group, bob, Say::text("a reply").reply_to(MessageId(sent["message_id"].as_i64().unwrap())));
    api.say(group, ann, "@borg_bot look");
    api.say(group, other, "/task@borg_bot from a bot");
    api.say(group, ann, "/task five");
    let wanted = ["/task@borg_bot one", "and more", "/task two", "a reply"];
    assert_eq!(heard(&asking, from).await, wanted);

    let from = api.updates().len();
    api.set_privacy(Privacy::OnWithMentions);
    api.say(group, ann, "@borg_bot look");
    api.say(group, ann, "@helper_bot look");
    api.set_privacy(Privacy::Off);
    api.say(group, ann, "just talk");
    api.say(group, other, "words of a bot");
    api.say(group, other, Say::text("leaked words").anyway());
    api.set_privacy(Privacy::On);
    api.promote_bot(group, ann);
    api.say(group, ann, "to an administrator");
    assert_eq!(heard(&asking, from).await, ["@borg_bot look", "just talk", "leaked words", "to an administrator"]);
    assert_eq!(asking.done("getMe", json!({})).await["can_read_all_group_messages"], false);
}

#[tokio::test]
async fn a_bot_outside_hears_nothing_more() {
    let asking = Asking::new();
    let (api, ann) = (&asking.api, asking.ann);
    let group = api.supergroup("Big", ann, &[]);
    api.add_bot(group, ann);
    api.kick_bot(group, ann);
    let from = api.updates().len();
    api.say(group, ann, "/task@borg_bot one");
    api.block_bot(ann);
    let last = api.updates().pop().unwrap();
    assert_eq!(last["my_chat_member"]["new_chat_member"]["status"], "kicked");
    assert_eq!(heard(&asking, from).await, Vec::<String>::new());
}

#[tokio::test]
async fn edits_albums_and_voices_are_told() {
    let asking = Asking::new();
    let (api, ann, chat) = (&asking.api, asking.ann, asking.chat);
    let from = api.updates().len();
    let said = api.say(chat, ann, "/task one");
    api.edit_said(chat, said, "/task two");
    api.say_album(chat, ann, vec![Say::photo(b"a").caption("both"), Say::photo(b"b")]);
    api.say(chat, ann, Say::voice(3, b"ogg"));
    api.delete_said(chat, said);
    let updates = &api.updates()[from..];
    assert_eq!(updates.len(), 5);
    assert_eq!(updates[1]["edited_message"]["text"], "/task two");
    assert!(updates[1]["edited_message"]["edit_date"].is_i64());
    assert_eq!(updates[2]["message"]["media_group_id"], updates[3]["message"]["media_group_id"]);
    assert_eq!(updates[4]["message"]["voice"]["duration"], 3);
    assert!(api.transcript(chat).starts_with("Ann: /task two (edited 1×) (deleted)\n"), "{}", api.transcript(chat));
}
