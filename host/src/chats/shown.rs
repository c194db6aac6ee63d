//! What a component may show of a notice. Its words and their looks are its own; what a press would do, whose posts it changes and which
//! press it answers are not: buttons are the notice's by action and label, or there are none.

use crate::neutral;
use borg_core::chat::{Button, Notice, Post, TextPost};

/// Most posts of one notice; more than any text needs.
const POSTS: usize = 32;
/// UTF-16 code units after which a platform may cut a label.
const LABEL: usize = 64;
/// Fewest of them that a cut label has.
const CUT: usize = 60;

/// The posts with everything left out that the notice does not bear out, and what that was, in words; the first of it.
pub fn held(notice: &Notice, mut posts: Vec<Post>) -> (Vec<Post>, Option<&'static str>) {
    let mut fault = None;
    let mut faulty = |what| {
        fault.get_or_insert(what);
    };
    if posts.len() > POSTS {
        posts.truncate(POSTS);
        faulty("showed one notice as more posts than anybody reads");
    }
    let mut kept = Vec::with_capacity(posts.len());
    for post in posts {
        kept.push(match post {
            Post::Send(mut post) => {
                bear_out(notice, &mut post, &mut faulty);
                Post::Send(post)
            }
            Post::Edit { receipt, mut post } => {
                bear_out(notice, &mut post, &mut faulty);
                if notice.replaces.as_ref() == Some(&receipt) {
                    Post::Edit { receipt, post }
                } else {
                    faulty("changed a post that it was not to replace");
                    Post::Send(post)
                }
            }
            Post::Document { chat, document, caption, reply_to } => {
                let reply_to = reply_to.filter(|receipt| notice.reply_to.as_ref() == Some(receipt));
                Post::Document { chat, document, caption, reply_to }
            }
            Post::Answer { chat, press, text } => {
                if notice.reply_to.as_ref() != Some(&press) {
                    faulty("answered a press that was not its to answer");
                    continue;
                }
                Post::Answer { chat, press, text }
            }
            Post::Typing { chat } => Post::Typing { chat },
        });
    }
    (kept, fault)
}

/// Takes out of a post what the notice does not bear out. Where one button is wrong all of them go: what is left might mislead.
fn bear_out(notice: &Notice, post: &mut TextPost, faulty: &mut impl FnMut(&'static str)) {
    post.reply_to.take_if(|receipt| notice.reply_to.as_ref() != Some(receipt));
    let is_offered = |button: &Button| {
        notice.buttons.iter().any(|offered| offered.action == button.action && is_label(&button.label, &offered.label))
    };
    if !post.buttons.iter().all(is_offered) {
        post.buttons.clear();
        faulty("showed buttons that the host did not offer");
    }
}

/// True where a label is the offered one, on one line, or its beginning where that is too long for a platform.
fn is_label(shown: &str, offered: &str) -> bool {
    let units = |text: &str| text.encode_utf16().count();
    let lines =
        [neutral::text(offered).split_whitespace().collect::<Vec<_>>().join(" "), neutral::line(offered, usize::MAX)];
    lines.iter().any(|offered| {
        let is_beginning = shown.strip_suffix('…').is_some_and(|beginning| offered.starts_with(beginning));
        shown == offered || (is_beginning && units(offered) > LABEL && units(shown) >= CUT)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::chat::{Document, NoticeKind};

    fn button(label: &str, action: &str) -> Button {
        Button { label: label.into(), action: action.into() }
    }

    fn text(buttons: Vec<Button>) -> TextPost {
        TextPost { chat: "7".into(), text: "x".into(), entities: String::new(), buttons, reply_to: None, silent: false }
    }

    fn review() -> Notice {
        let mut notice = Notice::new("telegram:7", NoticeKind::Review, "task-3", Vec::new());
        notice.buttons = vec![button("Approve", "/approve 3 change:0123456789ab"), button("Reject", "/reject 3")];
        notice
    }

    #[test]
    fn buttons_are_the_notice_s_or_there_are_none() {
        let notice = review();
        let shown = |button| {
            let (posts, fault) = held(&notice, vec![Post::Send(text(vec![notice.buttons[1].clone(), button]))]);
            let [Post::Send(post)] = posts.as_slice() else { panic!("{posts:?}") };
            assert_eq!(post.buttons.is_empty(), fault.is_some());
            post.buttons.len()
        };
        assert_eq!(shown(notice.buttons[0].clone()), 2);
        for (label, action) in [
            ("Approve", "/reject 3"),
            ("Reject", "/approve 3 change:0123456789ab"),
            ("Diff", "/diff 3"),
            ("Say hello", "/allow telegram:66 owner"),
            ("Approve!", "/approve 3 change:0123456789ab"),
            ("A…", "/approve 3 change:0123456789ab"),
            ("", "/approve 3 change:0123456789ab"),
            ("Approve", "/approve 3"),
        ] {
            assert_eq!(shown(button(label, action)), 0, "{label} {action}");
        }
    }

    #[test]
    fn a_label_may_be_cut_where_it_is_too_long_and_nowhere_else() {
        let long = format!("telegram:{} becomes owner", "1".repeat(70));
        let cut: String = long.chars().take(63).collect();
        assert!(is_label(&format!("{cut}…"), &long) && is_label(&long, &long));
        assert!(!is_label(&format!("{}…", &long[..30]), &long), "that says too little");
        assert!(!is_label("telegram:1…", "telegram:1 becomes owner"));
        assert!(is_label("a b", " a\n b ") && is_label("a<U+202E>b", "a\u{202e}b"));
    }

    #[test]
    fn no_other_post_is_changed_and_no_other_press_answered() {
        let mut notice = review();
        (notice.replaces, notice.reply_to) = (Some("5".into()), Some("press:9".into()));
        let answer = |press: &str| Post::Answer { chat: "7".into(), press: press.into(), text: "done".into() };
        let edit = |receipt: &str| Post::Edit { receipt: receipt.into(), post: text(Vec::new()) };
        let honest = vec![answer("press:9"), edit("5"), Post::Typing { chat: "7".into() }];
        assert_eq!(held(&notice, honest.clone()), (honest, None));
        let (posts, fault) = held(&notice, vec![edit("4")]);
        assert_eq!(
            (posts, fault),
            (vec![Post::Send(text(Vec::new()))], Some("changed a post that it was not to replace"))
        );
        let (posts, fault) = held(&notice, vec![answer("press:8")]);
        assert!(posts.is_empty() && fault.is_some());
        let elsewhere = Post::Send(TextPost { reply_to: Some("3".into()), ..text(Vec::new()) });
        assert_eq!(held(&notice, vec![elsewhere]).0, [Post::Send(text(Vec::new()))]);
        let document = Document { name: "x".into(), text: "x".into() };
        let file = |reply_to| Post::Document {
            chat: "7".into(),
            document: document.clone(),
            caption: String::new(),
            reply_to,
        };
        assert_eq!(held(&notice, vec![file(Some("3".into()))]).0, [file(None)]);
        assert_eq!(held(&notice, vec![edit("5"); 1_000]).0.len(), POSTS);
    }
}
