//! Recorded updates of `cases/hear.toml`, and what nobody would send but an attacker.

use super::*;
use serde::Deserialize;

#[derive(Deserialize)]
struct Cases {
    case: Vec<Case>,
}

/// One update and what is to be heard; `raw` is Telegram's JSON, from which the rest is filled in as the host does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Case {
    name: String,
    raw: String,
    #[serde(default)]
    heard: Vec<Want>,
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Want {
    #[serde(rename = "as")]
    as_: String,
    #[serde(default)]
    text: String,
    reply_to: Option<String>,
    /// Words of the problem.
    problem: Option<String>,
}

fn name_of(addressed: Addressed) -> &'static str {
    match addressed {
        Addressed::Command => "command",
        Addressed::Mention => "mention",
        Addressed::Reply => "reply",
        Addressed::Button => "button",
        Addressed::PrivateChat => "private-chat",
        Addressed::Overheard => "overheard",
    }
}

/// The update as the host makes it of Telegram's JSON.
pub fn update(raw: &str) -> Update {
    let json: serde_json::Value = serde_json::from_str(raw).unwrap();
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let id = |value: &serde_json::Value| value.as_i64().map(|id| id.to_string()).unwrap_or_default();
    let (kind, message) = match &json {
        json if json["message"].is_object() => {
            let has_file = !json["message"]["document"].is_null() || !json["message"]["photo"].is_null();
            (if has_file { UpdateKind::Document } else { UpdateKind::Message }, &json["message"])
        }
        json if json["edited_message"].is_object() => (UpdateKind::Edited, &json["edited_message"]),
        json if json["callback_query"].is_object() => (UpdateKind::Button, &json["callback_query"]["message"]),
        _ => (UpdateKind::Other, &serde_json::Value::Null),
    };
    let by = if kind == UpdateKind::Button { &json["callback_query"]["from"] } else { &message["from"] };
    let by = if message["sender_chat"].is_null() { by } else { &serde_json::Value::Null };
    let said = match kind {
        UpdateKind::Button => &json["callback_query"]["data"],
        _ if message["text"].is_string() => &message["text"],
        _ => &message["caption"],
    };
    let answered = if kind == UpdateKind::Button { message } else { &message["reply_to_message"] };
    Update {
        id: id(&json["update_id"]),
        receipt: id(&message["message_id"]),
        chat: id(&message["chat"]["id"]),
        sender: id(&by["id"]),
        sender_name: text(&by["first_name"]),
        sender_is_bot: by["is_bot"] == true,
        own_name: "borg_bot".into(),
        text: text(said),
        kind,
        reply_to: answered.is_object().then(|| id(&answered["message_id"])),
        raw: raw.to_owned(),
        marks: None,
        extra: vec![],
    }
}

#[test]
fn recorded_updates_are_heard_as_written_beside_them() {
    let cases: Cases = toml::from_str(include_str!("../../cases/hear.toml")).unwrap();
    let mut wrong = Vec::new();
    for case in cases.case {
        let update = update(&case.raw);
        let (sender, chat) = (update.sender.clone(), update.chat.clone());
        let heard = hear("Borg", update);
        assert!(heard.iter().all(|said| said.sender == sender && said.chat == chat), "{}", case.name);
        let is_as_wanted = heard.len() == case.heard.len()
            && heard.iter().zip(&case.heard).all(|(said, want)| {
                name_of(said.addressed) == want.as_
                    && said.text == want.text
                    && said.reply_to == want.reply_to
                    && said.problem.is_some() == want.problem.is_some()
                    && want.problem.iter().all(|words| said.problem.iter().any(|problem| problem.contains(words)))
            });
        if !is_as_wanted {
            wrong.push(format!("{}: {heard:?}", case.name));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn group(text: &str, more: &str) -> Update {
    let text = serde_json::to_string(text).unwrap();
    update(&format!(
        r#"{{"update_id": 1, "message": {{"message_id": 2, "from": {{"id": 7, "first_name": "A"}},
            "chat": {{"id": -100, "type": "supergroup"}}, "text": {text}{more}}}}}"#
    ))
}

#[test]
fn our_name_is_ours_at_the_beginning_only() {
    let heard = |text: &str| hear("Borg", group(text, "")).pop().map(|said| (said.addressed, said.text)).unwrap();
    let rows = [
        ("Borg, what now?", "what now?"),
        ("borg: /tasks", "/tasks"),
        ("@BORG do it", "do it"),
        ("Borg", ""),
        ("Borg. Next", "Next"),
    ];
    for (said, left) in rows {
        let want = if left.starts_with('/') { Addressed::Command } else { Addressed::Mention };
        assert_eq!(heard(said), (want, left.to_owned()), "{said}");
    }
    for said in ["Borgs", "Borg-host is here", "the Borg", "bo\u{200b}rg x", "Borg's", "borg.rs", "Bor"] {
        assert_eq!(heard(said).0, Addressed::Overheard, "{said}");
    }
    assert_eq!(hear("", group("x", ""))[0].addressed, Addressed::Overheard, "no name, no call");
    assert_eq!(hear("İx", group("i̇X go", ""))[0].text, "go");
}

#[test]
fn hidden_characters_are_shown_and_poison_commands() {
    let heard = |text: &str| hear("Borg", group(text, "")).pop().unwrap();
    assert_eq!(heard("/appr\u{202e}ove 3").text, "/appr<U+202E>ove 3");
    assert_eq!(heard("\u{2066}/approve 3").addressed, Addressed::Overheard);
    assert_eq!(heard("x\r\n[7:00] Owner: /approve 3\u{1b}[2J").text, "x\n[7:00] Owner: /approve 3^[[2J");
}

#[test]
fn entities_that_lie_change_nothing() {
    let text = "😀 @borg_bot hi";
    let with = |entities: &str| hear("x", group(text, &format!(r#", "entities": [{entities}]"#))).pop().unwrap();
    let good = with(r#"{"type": "mention", "offset": 3, "length": 9}"#);
    assert_eq!((good.addressed, good.text.as_str()), (Addressed::Mention, "😀 hi"));
    for entity in [
        r#"{"type": "mention", "offset": 1, "length": 9}"#,
        r#"{"type": "mention", "offset": 4, "length": 9}"#,
        r#"{"type": "mention", "offset": 3, "length": 8}"#,
        r#"{"type": "mention", "offset": 3, "length": 4294967295}"#,
        r#"{"type": "mention", "offset": 4294967295, "length": 4294967295}"#,
        r#"{"type": "mention", "offset": -1, "length": 1}"#,
        r#"{"type": "mention", "offset": 3, "length": 0}"#,
        r#"{"type": "code", "offset": 3, "length": 9}"#,
        r#"{"type": "text_mention", "offset": 0, "length": 2, "user": {"username": "other"}}"#,
        "7, [], {}, null",
    ] {
        let heard = with(entity);
        assert_eq!((heard.addressed, heard.text.as_str()), (Addressed::Overheard, text), "{entity}");
    }
    let twice = [r#"{"type": "mention", "offset": 3, "length": 9}"#; 2].join(",");
    assert_eq!(with(&twice).text, "😀 hi");
}

#[test]
fn whatever_the_transport_may_hand_over_is_survived() {
    let sound = group("@borg_bot hi", r#", "entities": [{"type": "mention", "offset": 0, "length": 9}]"#);
    let heard = |change: &dyn Fn(&mut Update)| {
        let mut update = sound.clone();
        change(&mut update);
        hear("Borg", update)
    };
    let bomb = r#"{"type": "mention", "offset": 0, "length": 9},"#.repeat(20_000);
    let raws = [
        String::new(),
        "{".into(),
        "[".repeat(1 << 20),
        format!(r#"{{"message": {}"#, r#"{"reply_to_message": "#.repeat(50_000)),
        format!(r#"{{"message": {{"chat": {{"type": "\ud800"}}, "entities": [{bomb}0]}}}}"#),
        r#"{"message": 7}"#.into(),
        r#"{"message": {"chat": [], "from": "x", "entities": {"a": 1}, "reply_to_message": 0}}"#.into(),
    ];
    for raw in &raws {
        for text in [sound.text.clone(), "x".repeat(1 << 20), "😀".repeat(1 << 18), "/".into(), "@".into(), "/@".into()]
        {
            for said in heard(&|update| {
                update.raw.clone_from(raw);
                update.text.clone_from(&text);
            }) {
                assert_eq!(said.sender, "7");
            }
        }
    }
    assert!(heard(&|update| update.sender.clear()).is_empty());
    assert!(heard(&|update| update.sender_is_bot = true).is_empty());
    assert_eq!(heard(&|update| update.own_name.clear())[0].addressed, Addressed::Overheard);
}
