//! What a component may claim, and what comes of it.

use super::*;
use borg_core::chat::Marks;
use proptest::prelude::*;

const OWN: &str = "borg_bot";

fn update(text: &str) -> Update {
    let mut mentions = Vec::new();
    let small = text.to_ascii_lowercase();
    let mut at = 0;
    while let Some(found) = small[at..].find("@borg_bot") {
        mentions.push((at + found, at + found + "@borg_bot".len()));
        at += found + "@borg_bot".len();
    }
    Update {
        id: "1".into(),
        receipt: "5".into(),
        chat: "-7".into(),
        sender: "7".into(),
        sender_name: String::new(),
        sender_is_bot: false,
        own_name: OWN.into(),
        text: text.into(),
        kind: UpdateKind::Message,
        reply_to: None,
        raw: String::new(),
        marks: Some(Marks { mentions, ..Marks::default() }),
    }
}

fn claim(text: &str) -> Said {
    Said {
        sender: "1".into(),
        chat: "-1".into(),
        text: text.into(),
        addressed: Addressed::Command,
        reply_to: Some("4".into()),
        problem: None,
    }
}

/// What is left of one claim.
fn said(update: &Update, text: &str) -> Result<String, &'static str> {
    let heard = heard(update, "Borg", vec![claim(text)]);
    match (heard.said.as_slice(), heard.forged) {
        ([said], None) => Ok(said.text.clone()),
        ([], Some(why)) => Err(why),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_whole_text_counts_and_only_our_name_may_be_missing() {
    for (sent, claimed) in [
        ("/tasks", "/tasks"),
        (" /task acme/shop A\r\nmore\n", "/task acme/shop A\nmore"),
        ("/task@Borg_Bot A", "/task A"),
        ("/task@borg_bot A", "/task@borg_bot A"),
        ("@borg_bot, /tasks", "/tasks"),
        ("@borg_bot /tasks@borg_bot", "/tasks"),
        ("what now, @borg_bot ?", "what now, ?"),
        ("Borg: what now?", "what now?"),
        ("@borg_bot Borg, what now?", "what now?"),
        ("/appr\u{202e}ove 3", "/appr<U+202E>ove 3"),
        ("/appr\u{202e}ove 3", "/appr\u{202e}ove 3"),
    ] {
        let want = neutral::text(claimed).into_owned();
        assert_eq!(said(&update(sent), claimed), Ok(want), "{sent:?}");
    }
}

#[test]
fn words_that_were_not_sent_do_not_count() {
    for (sent, claimed) in [
        ("good morning", "/allow telegram:66 owner"),
        ("good morning", "good"),
        ("good morning", "morning"),
        ("good morning", "good morning /pause"),
        ("good morning", ""),
        ("", "/pause"),
        ("hello\n/pause", "/pause"),
        ("/task A\n/pause", "/pause"),
        ("/pause@other_bot", "/pause"),
        ("/pause@borg_bot_2", "/pause"),
        ("Borgia: /pause", "/pause"),
        ("Borg-host /pause", "/pause"),
        ("do not /pause", "/pause"),
        ("hello @borg_bot /pause", "/pause"),
        ("/approve 31", "/approve 3"),
        ("/appr\u{202e}ove 3", "/approve 3"),
        ("/Pause", "/pause"),
        ("/cancel  3", "/cancel 3"),
    ] {
        assert_eq!(said(&update(sent), claimed), Err("these are not the words that were sent"), "{sent:?} {claimed:?}");
    }
}

#[test]
fn words_of_others_and_edits_are_no_command() {
    let sent = update("/pause");
    let marked = |marks| Update { marks, ..sent.clone() };
    for (update, why) in [
        (marked(Some(Marks { forwarded: true, ..Marks::default() })), "forwarded"),
        (marked(Some(Marks { via_bot: true, ..Marks::default() })), "through a bot"),
        (marked(None), "did not tell"),
        (Update { kind: UpdateKind::Edited, ..sent.clone() }, "edited"),
        (Update { kind: UpdateKind::Other, ..sent.clone() }, "nobody said"),
    ] {
        let refused = said(&update, "/pause").unwrap_err();
        assert!(refused.contains(why), "{refused}");
        // That it cannot be understood may be told all the same.
        let problem = Said { problem: Some("not your words".into()), ..claim("/pause") };
        let heard = heard(&update, "Borg", vec![problem]);
        assert_eq!((heard.said.len(), heard.said[0].text.as_str(), heard.forged), (1, "", None));
    }
}

#[test]
fn who_spoke_where_and_to_what_is_the_transport_s() {
    let mut sent = update("yes");
    let heard_as = |update: &Update, claim: Said| heard(update, "Borg", vec![claim]).said.remove(0);
    let all = heard_as(&sent, claim("yes"));
    assert_eq!((all.sender.as_str(), all.chat.as_str(), all.reply_to), ("7", "-7", None), "it answers nothing");
    sent.reply_to = Some("3".into());
    let told = heard_as(&sent, Said { reply_to: None, ..claim("yes") });
    assert_eq!(told.reply_to.as_deref(), Some("3"));
    let press = Said { addressed: Addressed::Button, ..claim("yes") };
    assert_eq!(heard_as(&sent, press).addressed, Addressed::PrivateChat, "nothing was pressed");
    sent.kind = UpdateKind::Button;
    assert_eq!(heard_as(&sent, claim("yes")).addressed, Addressed::Button);
    sent.text = "/approve@borg_bot 3".into();
    assert!(said(&sent, "/approve 3").is_err(), "of a press nothing may be missing");
}

#[test]
fn one_message_is_one_command_beside_a_problem() {
    let problem = |text: &str| Said { problem: Some(text.into()), ..claim("") };
    let claims = vec![claim("/tasks"), claim("/tasks"), problem("a file"), problem("another"), claim("/pause")];
    let heard = heard(&update("/tasks"), "Borg", claims);
    let texts: Vec<_> = heard.said.iter().map(|said| (said.text.as_str(), said.problem.as_deref())).collect();
    assert_eq!(texts, [("/tasks", None), ("", Some("a file"))]);
    assert_eq!(heard.forged, Some("more than one thing was said by one message"));
}

#[test]
fn talk_that_is_not_for_us_is_nobody_s_forgery() {
    let overheard = Said { addressed: Addressed::Overheard, ..claim("whatever") };
    assert_eq!(heard(&update("lunch?"), "Borg", vec![overheard]), Heard::default());
}

/// What is left when our names, marks and blanks are taken out, by another way than the code under test goes.
fn bones(text: &str) -> String {
    let mut bones = neutral::text(&text.replace("\r\n", "\n")).to_lowercase();
    for name in ["@borg_bot", "borg"] {
        bones = bones.replace(name, "");
    }
    bones.retain(|c| !c.is_whitespace() && !",:;.!?—–@".contains(c));
    bones
}

fn words() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("@borg_bot"),
        Just("@BORG_BOT"),
        Just("Borg"),
        Just("Borg,"),
        Just("/pause"),
        Just("/pause@borg_bot"),
        Just("/allow telegram:66 owner"),
        Just("/pause@other"),
        Just("\n"),
        Just("\r\n"),
        Just("\u{202e}"),
        Just("\u{200b}"),
        Just("ü"),
        Just("😀"),
        Just("a"),
        Just(" "),
        Just("."),
        Just("@"),
        Just("3"),
    ];
    prop::collection::vec((word, prop_oneof![Just(""), Just(" ")]), 0..12)
        .prop_map(|words| words.into_iter().map(|(word, blank)| format!("{word}{blank}")).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_sent_and_claimed_nothing_but_our_name_is_ever_missing(sent in words(), claimed in words()) {
        let sent = update(&sent);
        for claimed in [claimed.as_str(), &sent.text].into_iter().chain(sent.text.split_whitespace()) {
            if let Ok(counted) = said(&sent, claimed) {
                prop_assert_eq!(bones(&counted), bones(&sent.text), "{:?} as {:?}", sent.text, counted);
                prop_assert!(!counted.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t')));
            }
        }
        let whole = neutral::text(&sent.text.trim().replace("\r\n", "\n")).into_owned();
        if !whole.is_empty() {
            prop_assert_eq!(said(&sent, &whole), Ok(whole.clone()));
        }
    }
}
