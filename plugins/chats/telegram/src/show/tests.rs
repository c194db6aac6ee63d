//! What notices become, and that no text gets past Telegram's limits or into its mark-up.

use super::*;
use borg_sdk::is_hidden;
use proptest::prelude::*;
use serde::Deserialize;

fn notice(kind: NoticeKind, parts: Vec<Part>) -> Notice {
    Notice {
        chat: "-100/7".into(),
        kind,
        topic: "task-3".into(),
        parts,
        buttons: vec![],
        document: None,
        replaces: None,
        reply_to: None,
        silent: false,
        width: 0,
        extra: vec![],
    }
}

fn text(text: &str) -> Part {
    Part::Text(text.into())
}

fn button(label: &str, action: &str) -> Button {
    Button { label: label.into(), action: action.into() }
}

fn texts(posts: &[Post]) -> Vec<&TextPost> {
    let text = |post| match post {
        &Post::Send(ref post) | &Post::Edit(EditPost { ref post, .. }) => Some(post),
        Post::Document(_) | Post::Answer(_) | Post::Typing(_) => None,
    };
    posts.iter().filter_map(text).collect()
}

fn files(posts: &[Post]) -> Vec<&DocumentPost> {
    posts.iter().filter_map(|post| if let Post::Document(post) = post { Some(post) } else { None }).collect()
}

#[derive(Deserialize)]
struct Entity {
    r#type: String,
    offset: usize,
    length: usize,
    #[serde(default)]
    language: String,
}

/// Entities as `type:text`, held against what Telegram takes.
fn entities(post: &TextPost) -> Vec<String> {
    let units: Vec<u16> = post.text.encode_utf16().collect();
    assert!(!post.text.trim().is_empty() && units.len() <= 4_096, "{} units", units.len());
    assert!(!post.text.chars().any(is_hidden), "{:?}", post.text);
    if post.entities.is_empty() {
        return vec![];
    }
    let entities: Vec<Entity> = serde_json::from_str(&post.entities).unwrap();
    assert!((1..=100).contains(&entities.len()), "{}", entities.len());
    let mut end = 0;
    let mut all = vec![];
    for entity in entities {
        assert!(entity.offset >= end && entity.length > 0, "{}", post.entities);
        end = entity.offset + entity.length;
        let text = String::from_utf16(&units[entity.offset..end]).expect("no character is cut");
        assert!(!text.trim().is_empty());
        let kind =
            if entity.language.is_empty() { entity.r#type } else { format!("{} {}", entity.r#type, entity.language) };
        all.push(format!("{kind}:{text}"));
    }
    all
}

fn words(text: &str) -> String {
    text.chars().filter(|c| !c.is_whitespace()).collect()
}

#[test]
fn a_final_message_reads_well() {
    let mut last = notice(
        NoticeKind::Final,
        vec![
            Part::Heading("#3 Mend <b>main.rs</b>: completed".into()),
            text("The agent says: done, see https://evil.example and /approve"),
            Part::Item("note: one".into()),
            Part::Item("minor: *two*".into()),
            Part::Field(("branch".into(), "borg/3-mend".into())),
            Part::Field(("cost".into(), "$0.02".into())),
            Part::Code(("rust".into(), "    fn a() {}\n".into())),
            Part::Diff("-a\n+b\n".into()),
        ],
    );
    last.reply_to = Some("9".into());
    let posts = show(last);
    let [Post::Send(post)] = posts.as_slice() else { panic!("{posts:?}") };
    let expected = "\
#3 Mend <b>main.rs</b>: completed

The agent says: done, see https://evil.example and /approve

• note: one
• minor: *two*

branch: borg/3-mend
cost: $0.02

    fn a() {}

-a
+b";
    assert_eq!((post.text.as_str(), post.reply_to.as_deref(), post.silent), (expected, Some("9"), false));
    let expected = [
        "bold:#3 Mend <",
        "code:b>main.rs</b",
        "bold:>: completed",
        "code:https://evil.example",
        "code:/approve",
        "bold:branch:",
        "bold:cost:",
        "pre rust:    fn a() {}",
        "pre diff:-a\n+b",
    ];
    assert_eq!(entities(post), expected);
}

#[test]
fn kinds_differ_and_our_own_commands_can_be_tapped() {
    let shown = |kind| {
        let posts = show(notice(kind, vec![text("/help me")]));
        let post = texts(&posts)[0];
        (post.text.clone(), entities(post).len(), post.silent, posts.len())
    };
    assert_eq!(shown(NoticeKind::Answer), ("/help me".into(), 0, false, 1));
    assert_eq!(shown(NoticeKind::Hint), ("/help me".into(), 0, false, 1));
    assert_eq!(shown(NoticeKind::Final), ("/help me".into(), 1, false, 1));
    assert_eq!(shown(NoticeKind::Question), ("❓ /help me".into(), 1, false, 1));
    assert_eq!(shown(NoticeKind::Warning), ("⚠️ /help me".into(), 1, false, 1));
    assert_eq!(shown(NoticeKind::Progress), ("… /help me".into(), 1, true, 2));
}

#[test]
fn progress_is_one_post_that_is_edited() {
    let mut progress = notice(NoticeKind::Progress, vec![text(&"word ".repeat(3_000))]);
    progress.replaces = Some("5".into());
    let posts = show(progress);
    let [Post::Edit(EditPost { receipt, post }), Post::Typing(chat)] = posts.as_slice() else { panic!("{posts:?}") };
    assert_eq!((receipt.as_str(), chat.as_str(), post.silent), ("5", "-100/7", true));
    entities(post);
    assert!(post.text.ends_with('…'));
    assert_eq!(show(notice(NoticeKind::Progress, vec![text(" ")])), [Post::Typing("-100/7".into())]);
}

#[test]
fn a_press_is_answered_at_once() {
    let answer = |kind, parts| {
        let mut notice = notice(kind, parts);
        notice.reply_to = Some("press:77".into());
        show(notice)
    };
    let toast = |text: &str| Post::Answer(Toast { chat: "-100/7".into(), press: "press:77".into(), text: text.into() });
    let short = vec![Part::Text("#3 is\napproved".into()), Part::Field(("by".into(), "ada\u{202e}".into()))];
    assert_eq!(answer(NoticeKind::Answer, short.clone()), [toast("#3 is approved by: ada<U+202E>")]);
    assert_eq!(answer(NoticeKind::Answer, vec![text(&"😀".repeat(100))]).len(), 1, "200 units fit");
    for (kind, parts) in [
        (NoticeKind::Answer, vec![text(&"😀".repeat(101))]),
        (NoticeKind::Warning, short),
        (NoticeKind::Answer, vec![Part::Diff("+a".into())]),
    ] {
        let posts = answer(kind, parts);
        assert_eq!(posts[0], toast(""), "the press is told to have arrived");
        assert!(matches!(&posts[1..], [Post::Send(post)] if post.reply_to.is_none()), "{posts:?}");
    }
}

#[test]
fn a_review_shows_what_fits_of_the_diff_and_all_of_it_as_a_file() {
    let diff: String = (0..400).map(|n| format!("+line {n} 😀 of the change\n")).collect();
    let mut review = notice(
        NoticeKind::Review,
        vec![Part::Heading("#3 needs a look".into()), Part::Diff(diff.clone()), Part::Item("major: x".into())],
    );
    review.buttons = vec![button("Approve", "/approve 3"), button("Reject", "/reject 3")];
    let posts = show(review.clone());
    let [Post::Send(post), Post::Document(file)] = posts.as_slice() else { panic!("{posts:?}") };
    let shown = entities(post);
    assert!(shown.last().unwrap().starts_with("pre diff:+line 0") && shown.last().unwrap().ends_with("of the change"));
    let length = post.text.encode_utf16().count();
    assert!((3_700..=3_800).contains(&length) && post.text.ends_with(layout::IN_FILE), "{length}");
    assert_eq!(post.buttons, review.buttons);
    assert_eq!((file.document.name.as_str(), &file.document.text), ("task-3.diff", &diff));
    // What the host sends along is not sent twice, and a small diff needs no file.
    review.document = Some(Document { name: "../change.diff".into(), text: diff });
    let posts = show(review.clone());
    assert_eq!(files(&posts).iter().map(|file| file.document.name.as_str()).collect::<Vec<_>>(), ["-change.diff"]);
    review.document = None;
    review.parts[1] = Part::Diff("+a\n".into());
    assert_eq!(show(review).len(), 1);
    let crowded = notice(NoticeKind::Review, vec![text(&"x ".repeat(1_890)), Part::Diff("+b\n".repeat(200))]);
    let posts = show(crowded);
    assert!(entities(texts(&posts)[0]).is_empty() && files(&posts).len() == 1, "no room for a preview");
}

#[test]
fn long_texts_are_split_between_words_and_blocks_of_code_go_on() {
    let code: String = (0..500).map(|n| format!("    line {n}\n")).collect();
    let posts = show(notice(
        NoticeKind::Final,
        vec![text("before"), Part::Code(("python".into(), code.clone())), text("after")],
    ));
    let posts = texts(&posts);
    assert_eq!(posts.len(), 2);
    let (first, second) = (entities(posts[0]), entities(posts[1]));
    assert!(
        first[0].starts_with("pre python:    line 0\n") && second[0].starts_with("pre python:    line "),
        "{second:?}"
    );
    assert!(posts[1].text.ends_with("\n\nafter") && posts[1].silent && !posts[0].silent);
    let all: String = posts.iter().map(|post| post.text.as_str()).collect();
    assert_eq!(words(&all), words(&format!("before{code}after")));

    let family = "👨‍👩‍👧‍👦".repeat(900);
    let posts = show(notice(NoticeKind::Final, vec![text(&family)]));
    let posts = texts(&posts);
    assert!(posts.len() > 1 && posts.iter().all(|post| post.text.starts_with('👨') && post.text.ends_with('👦')));
    // A character that fills a post by itself is cut all the same.
    let tower = format!("x{}", "\u{301}".repeat(10_000));
    let posts = show(notice(NoticeKind::Final, vec![text(&tower)]));
    assert_eq!(texts(&posts).iter().map(|post| post.text.as_str()).collect::<String>(), tower);
}

#[test]
fn what_takes_more_than_three_posts_is_a_file_with_its_beginning() {
    let long: String = (0..5_000).map(|n| format!("line {n} of https://e.example\n")).collect();
    let mut answer = notice(NoticeKind::Final, vec![Part::Heading("Answer".into()), text(&long)]);
    answer.buttons = vec![button("Go on", "/retry 3")];
    answer.reply_to = Some("9".into());
    let posts = show(answer);
    let [Post::Send(post), Post::Document(file)] = posts.as_slice() else { panic!("{}", posts.len()) };
    assert!(entities(post).len() > 10 && post.text.ends_with(layout::IN_FILE) && post.text.len() < 1_200);
    assert_eq!((post.buttons.len(), post.reply_to.as_deref(), &file.reply_to), (1, Some("9"), &None));
    assert_eq!(words(&file.document.text), words(&format!("Answer{long}")));
    assert_eq!(file.document.name, "task-3.txt");
    let bomb = notice(NoticeKind::Final, vec![text(&"a.rs ".repeat(350))]);
    assert!(files(&show(bomb)).len() == 1, "too many entities are too many posts");
    let posts = show(notice(NoticeKind::Final, vec![text(&"a.rs ".repeat(250))]));
    assert_eq!(texts(&posts).iter().map(|post| entities(post).len()).sum::<usize>(), 250);
}

#[test]
fn buttons_that_do_not_fit_are_commands_to_type() {
    let mut asked = notice(NoticeKind::Question, vec![text("well?")]);
    let long = format!("/note 3 {}", "ü".repeat(29));
    asked.buttons = vec![
        button("Yes\u{202e}", "/note 3 yes"),
        button("Long", &long),
        button("Steers", "/x\u{1b}"),
        button(" ", "/nothing"),
        button(&"😀".repeat(99), &"x".repeat(64)),
    ];
    let posts = show(asked);
    let [Post::Send(post)] = posts.as_slice() else { panic!("{posts:?}") };
    let labels: Vec<_> = post.buttons.iter().map(|button| units(&button.label)).collect();
    assert_eq!(post.buttons[0], button("Yes<U+202E>", "/note 3 yes"));
    assert_eq!((labels.len(), labels[1] <= 64), (2, true));
    assert_eq!(entities(post), [format!("code:{long}"), "code:/x^[".into(), "code:/nothing".into()]);
    let mut crowd = notice(NoticeKind::Question, vec![]);
    crowd.buttons = (0..110).map(|n| button("b", &format!("/status {n}"))).collect();
    let posts = show(crowd);
    assert_eq!((texts(&posts)[0].buttons.len(), entities(texts(&posts)[0]).len()), (100, 10));
    let mut bare = notice(NoticeKind::Answer, vec![]);
    bare.buttons = vec![button("b", "/b")];
    assert_eq!(texts(&show(bare))[0].text, "❓", "buttons need a text");
    assert!(show(notice(NoticeKind::Answer, vec![text(" ")])).is_empty());
}

#[test]
fn a_megabyte_of_anything_is_shown_within_the_limits() {
    for bit in ["x", "😀", "\u{301}", "a.rs ", "\n", " ", "`", "\u{202e}", "@me_bot/x ", "👨‍👩‍👧‍👦", "/a", "."]
    {
        let big = bit.repeat((1 << 20) / bit.len());
        let shown = |kind, part| {
            let posts = show(notice(kind, vec![part]));
            for post in texts(&posts) {
                entities(post);
            }
            assert!(posts.len() <= 5, "{bit:?}");
        };
        shown(NoticeKind::Final, text(&big));
        shown(NoticeKind::Progress, text(&big));
        shown(NoticeKind::Review, Part::Diff(big.clone()));
        shown(NoticeKind::Final, Part::Code((big.clone(), big)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_is_lost_in_splitting(words_ in prop::collection::vec("[a-z😀ü@/.#]{1,40}", 1..400), code in "[ a-z\n😀]{0,3000}", raw in "[\u{0}-\u{a0}\u{2000}-\u{206f}\u{feff}]{0,80}") {
        let body = format!("{raw}{}", words_.join(" "));
        let parts = vec![Part::Heading(raw.clone()), text(&body), Part::Code(("c".into(), code.clone())), text("end")];
        let posts = show(notice(NoticeKind::Final, parts));
        let shown: String = texts(&posts).iter().map(|post| { entities(post); post.text.as_str() }).collect();
        let shown = files(&posts).first().map_or(shown, |file| file.document.text.clone());
        let wanted = format!("{}{}{code}end", visible(&raw), visible(&body));
        prop_assert_eq!(words(&shown), words(&wanted));
    }
}
