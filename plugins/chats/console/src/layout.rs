//! Lays a notice out as text. Everything in a notice may come from an agent or a stranger, so everything passes `visible`, and code and
//! diffs stand behind a bar: what they contain cannot be taken for words of ours.

use crate::wrap::{columns, cut, wrap};
use borg_sdk::chat::{Button, Notice, NoticeKind, Part};
use borg_sdk::visible;

/// Columns when the host knows none, and the range that makes sense.
const WIDTH: usize = 80;
const NARROWEST: usize = 20;
const WIDEST: usize = 160;
/// Widest column of labels.
const LABEL_COLUMNS: usize = 24;
/// What code and diffs stand behind.
const BAR: &str = "| ";

pub fn text(notice: &Notice) -> String {
    let width = width(notice);
    let sign = sign(notice.kind);
    let mut blocks = blocks(&notice.parts, width - columns(sign));
    if let Some(first) = blocks.first_mut().and_then(|block| block.first_mut()) {
        first.insert_str(0, sign);
    }
    if !notice.buttons.is_empty() {
        blocks.push(commands(&notice.buttons));
    }
    blocks.iter().map(|block| block.join("\n")).collect::<Vec<_>>().join("\n\n")
}

/// What is to be written over by the next: one row, cut where the terminal ends.
pub fn row(notice: &Notice) -> String {
    let words = notice.parts.iter().map(|part| match part {
        Part::Heading(text) | Part::Text(text) | Part::Item(text) | Part::Diff(text) | Part::Code((_, text)) => {
            one_line(text)
        }
        Part::Field((label, value)) => format!("{}: {}", one_line(label), one_line(value)),
    });
    let words = words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" ");
    // In the last column some terminals go to the next row already.
    if words.is_empty() { words } else { cut(&format!("{}{words}", sign(notice.kind)), width(notice) - 1) }
}

fn width(notice: &Notice) -> usize {
    match notice.width as usize {
        0 => WIDTH,
        width => width.clamp(NARROWEST, WIDEST),
    }
}

/// Text of others in one line.
pub fn one_line(text: &str) -> String {
    visible(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What tells kinds apart where there is no colour.
fn sign(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Answer | NoticeKind::Final | NoticeKind::Review => "",
        NoticeKind::Hint => "hint: ",
        NoticeKind::Progress => "… ",
        NoticeKind::Question => "? ",
        NoticeKind::Warning => "! ",
    }
}

/// Parts as blocks of lines, an empty line to stand between them; nothing to say makes no hole. Fields that follow each other are one block, as are items.
fn blocks(parts: &[Part], width: usize) -> Vec<Vec<String>> {
    let parts: Vec<&Part> = parts.iter().filter(|part| !part.is_empty()).collect();
    let mut blocks = Vec::new();
    let mut rest = parts.as_slice();
    while let Some(first) = rest.first() {
        let run = match first {
            Part::Field(_) => rest.iter().take_while(|part| matches!(part, Part::Field(_))).count(),
            Part::Item(_) => rest.iter().take_while(|part| matches!(part, Part::Item(_))).count(),
            Part::Heading(_) | Part::Text(_) | Part::Code(_) | Part::Diff(_) => 1,
        };
        let (together, after) = rest.split_at(run);
        let label_columns = label_columns(together);
        blocks.push(together.iter().flat_map(|part| lines(part, width, label_columns)).collect());
        rest = after;
    }
    blocks
}

fn lines(part: &Part, width: usize, label_columns: usize) -> Vec<String> {
    match part {
        Part::Heading(text) => {
            let mut lines = wrap(&one_line(text), width, "", "");
            let widest = lines.iter().map(|line| columns(line)).max().unwrap_or(0);
            lines.push("-".repeat(widest.min(width)));
            lines
        }
        Part::Text(text) => wrap(&visible(text), width, "", ""),
        Part::Item(text) => wrap(&visible(text), width, "- ", "  "),
        Part::Field((label, value)) => {
            let label = format!("{}:", one_line(label));
            let gap = " ".repeat(label_columns.saturating_sub(columns(&label)));
            wrap(&visible(value), width, &format!("{label}{gap} "), &" ".repeat(label_columns + 1))
        }
        // Copied and compared by people, so never wrapped.
        Part::Code((_, text)) | Part::Diff(text) => visible(text).lines().map(|line| format!("{BAR}{line}")).collect(),
    }
}

fn label_columns(parts: &[&Part]) -> usize {
    let label = |part: &&Part| match part {
        Part::Field((label, _)) => columns(&one_line(label)) + 1,
        Part::Heading(_) | Part::Text(_) | Part::Code(_) | Part::Item(_) | Part::Diff(_) => 0,
    };
    parts.iter().map(label).max().unwrap_or(0).min(LABEL_COLUMNS)
}

/// Buttons as the commands to type.
fn commands(buttons: &[Button]) -> Vec<String> {
    let actions: Vec<String> = buttons.iter().map(|button| one_line(&button.action)).collect();
    let widest = actions.iter().map(|action| columns(action)).max().unwrap_or(0);
    let line = |(action, button): (&String, &Button)| {
        let gap = " ".repeat(widest - columns(action));
        format!("  {action}{gap}  {}", one_line(&button.label)).trim_end().to_owned()
    };
    actions.iter().zip(buttons).map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_sdk::is_hidden;
    use proptest::prelude::*;

    fn notice(kind: NoticeKind, parts: Vec<Part>) -> Notice {
        Notice {
            chat: "console".into(),
            kind,
            topic: "task-3".into(),
            parts,
            buttons: vec![],
            document: None,
            replaces: None,
            reply_to: None,
            silent: false,
            width: 40,
            extra: vec![],
        }
    }

    #[test]
    fn a_review_reads_well() {
        let mut review = notice(
            NoticeKind::Review,
            vec![
                Part::Heading("Task 3: Add a farewell".into()),
                Part::Field(("Repository".into(), "acme/shop".into())),
                Part::Field(("Cost".into(), "$0.0183, which is well below what was allowed".into())),
                Part::Text("Two findings, and a text that is longer than one line.".into()),
                Part::Item("major: a test was removed from tests/test_shop.py".into()),
                Part::Item("note: x".into()),
                Part::Diff("--- a/shop.py\n+++ b/shop.py\n-bye\n+goodbye\n same\n".into()),
            ],
        );
        review.buttons = vec![
            Button { label: "Approve".into(), action: "/approve 3".into() },
            Button { label: "Reject".into(), action: "/reject 3".into() },
        ];
        let expected = "\
Task 3: Add a farewell
----------------------

Repository: acme/shop
Cost:       $0.0183, which is well below
            what was allowed

Two findings, and a text that is longer
than one line.

- major: a test was removed from
  tests/test_shop.py
- note: x

| --- a/shop.py
| +++ b/shop.py
| -bye
| +goodbye
|  same

  /approve 3  Approve
  /reject 3   Reject";
        assert_eq!(text(&review), expected);
    }

    #[test]
    fn kinds_are_told_apart_without_colour() {
        let shown = |kind| text(&notice(kind, vec![Part::Text("x".into())]));
        let kinds =
            [NoticeKind::Answer, NoticeKind::Hint, NoticeKind::Progress, NoticeKind::Question, NoticeKind::Warning];
        assert_eq!(kinds.map(shown), ["x", "hint: x", "… x", "? x", "! x"]);
    }

    #[test]
    fn what_is_written_over_is_one_row() {
        let parts =
            vec![Part::Text("#3 impl: “I shall\nedit\u{1b}[2K it”".into()), Part::Field(("a".into(), "b".into()))];
        let short = notice(NoticeKind::Progress, parts);
        assert_eq!(row(&short), "… #3 impl: “I shall edit^[[2K it” a: b");
        let long = notice(NoticeKind::Progress, vec![Part::Text("漢".repeat(100))]);
        assert_eq!(row(&long), format!("… {}…", "漢".repeat(18)));
        assert_eq!(row(&notice(NoticeKind::Progress, vec![Part::Text(" ".into())])), "");
    }

    #[test]
    fn nothing_to_say_is_nothing() {
        assert_eq!(text(&notice(NoticeKind::Progress, vec![Part::Text(" ".into()), Part::Heading(String::new())])), "");
    }

    #[test]
    fn hostile_text_steers_nothing_and_poses_as_nobody() {
        let hostile = "\u{1b}]0;owned\u{7}\u{1b}[2J\u{9b}1A\u{202e}txt\u{2066}\u{e0041}\r";
        let parts = vec![
            Part::Heading(hostile.into()),
            Part::Text(hostile.into()),
            Part::Code((hostile.into(), format!("{hostile}\n  /approve 3  Approve"))),
            Part::Item(hostile.into()),
            Part::Field((format!("a\nb{hostile}"), hostile.into())),
            Part::Diff(format!("{hostile}\n/approve 3")),
        ];
        let mut notice = notice(NoticeKind::Answer, parts);
        notice.buttons = vec![Button { label: hostile.into(), action: format!("/x\n{hostile}") }];
        let shown = text(&notice);
        assert!(!shown.chars().any(is_hidden), "{shown:?}");
        assert!(shown.contains("^[[2J<U+009B>1A<U+202E>txt<U+2066><U+E0041>^M"), "{shown}");
        assert!(!shown.lines().any(|line| line.trim_start().starts_with("/approve")), "{shown}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_character_that_steers_is_ever_shown(words in ".{0,200}", raw in "[\u{0}-\u{a0}\u{2000}-\u{206f}\u{feff}]{0,80}", width in 0_u32..300) {
            let any = || format!("{words}{raw}");
            let mut notice = notice(NoticeKind::Warning, vec![
                Part::Heading(any()), Part::Text(any()), Part::Code((any(), any())), Part::Item(any()), Part::Field((any(), any())), Part::Diff(any()),
            ]);
            notice.width = width;
            prop_assert!(!text(&notice).chars().any(is_hidden));
        }

        #[test]
        fn lines_of_short_words_stay_within_the_width(words in prop::collection::vec("[a-z漢]{1,6}", 1..60), width in 20_u32..100) {
            let mut notice = notice(NoticeKind::Hint, vec![Part::Text(words.join(" ")), Part::Item(words.join(" ")), Part::Heading(words.join(" "))]);
            notice.width = width;
            for line in text(&notice).lines() {
                prop_assert!(columns(line) <= width as usize, "{} columns: {}", columns(line), line);
            }
        }
    }
}
