//! A notice as text with styles: headings and labels bold, code and diffs in blocks, items with bullets.

use crate::{
    rich::Rich,
    units::{cut, prefix, units},
};
use borg_sdk::{
    chat::{Button, Notice, NoticeKind, Part},
    visible,
};

/// Longest text of a review, in code units, with its preview of the diff.
pub const REVIEW: usize = 3_800;
/// Tells of what is not shown.
pub const IN_FILE: &str = "… all of it is in the file";
/// Smallest preview worth showing.
const PREVIEW: usize = 200;

/// All of a notice. `commands` are the buttons that cannot be buttons.
pub fn rich(notice: &Notice, parts: &[Part], commands: &[&Button]) -> Rich {
    let is_tappable = matches!(notice.kind, NoticeKind::Answer | NoticeKind::Hint);
    let mut rich = Rich { is_tappable, ..Rich::default() };
    rich.own(sign(notice.kind));
    let mut last: Option<&Part> = None;
    for part in parts.iter().filter(|part| !part.is_empty()) {
        rich.own(last.map_or("", |last| gap(last, part)));
        add(&mut rich, part);
        last = Some(part);
    }
    for (index, button) in commands.iter().enumerate() {
        rich.own(if index > 0 {
            "\n"
        } else if last.is_some() {
            "\n\n"
        } else {
            ""
        });
        rich.code(&one_line(&button.action));
        rich.own("  ");
        rich.plain(&one_line(&button.label));
    }
    if last.is_none() && commands.is_empty() { Rich::default() } else { rich }
}

/// The parts of a review with its diffs cut to what is left of the room, and the diff where it was cut.
pub fn preview(notice: &Notice, commands: &[&Button]) -> (Vec<Part>, Option<String>) {
    let (diffs, others): (Vec<&Part>, Vec<&Part>) = notice.parts.iter().partition(|part| matches!(part, Part::Diff(_)));
    let diff: Vec<&str> =
        diffs.iter().filter_map(|part| if let Part::Diff(text) = part { Some(&**text) } else { None }).collect();
    let whole = diff.join("\n");
    let mut parts: Vec<Part> = others.into_iter().cloned().collect();
    let room = REVIEW.saturating_sub(units(&rich(notice, &parts, commands).text));
    if whole.trim().is_empty() {
        return (parts, None);
    }
    // A gap before it counts, too.
    if units(&visible(&whole)) + 2 <= room {
        parts.push(Part::Diff(whole));
        return (parts, None);
    }
    let shown = visible(&whole);
    let end = prefix(&shown, room.saturating_sub(units(IN_FILE) + 4));
    let end = shown[..end].rfind('\n').unwrap_or(0);
    if room > PREVIEW && end > 0 {
        parts.push(Part::Diff(shown[..end].to_owned()));
    }
    parts.push(Part::Text(IN_FILE.to_owned()));
    (parts, Some(whole))
}

/// Everything in one line, for a toast.
pub fn line(notice: &Notice, limit: usize) -> String {
    let words = notice.parts.iter().map(|part| match part {
        Part::Heading(text) | Part::Text(text) | Part::Item(text) | Part::Diff(text) | Part::Code((_, text)) => {
            one_line(text)
        }
        Part::Field((label, value)) => format!("{}: {}", one_line(label), one_line(value)),
    });
    cut(&words.filter(|words| !words.is_empty()).collect::<Vec<_>>().join(" "), limit)
}

/// Text of others in one line.
pub fn one_line(text: &str) -> String {
    visible(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

fn sign(kind: NoticeKind) -> &'static str {
    match kind {
        NoticeKind::Answer | NoticeKind::Hint | NoticeKind::Final | NoticeKind::Review => "",
        NoticeKind::Progress => "… ",
        NoticeKind::Question => "❓ ",
        NoticeKind::Warning => "⚠️ ",
    }
}

/// Without blanks around it. Other white space steers terminals or hides things, and is shown.
fn trimmed(text: &str) -> &str {
    text.trim_matches([' ', '\n', '\t'])
}

/// Fields that follow each other are one block, as are items.
fn gap(last: &Part, next: &Part) -> &'static str {
    match (last, next) {
        (Part::Field(_), Part::Field(_)) | (Part::Item(_), Part::Item(_)) => "\n",
        (Part::Heading(_) | Part::Text(_) | Part::Code(_) | Part::Item(_) | Part::Field(_) | Part::Diff(_), _) => {
            "\n\n"
        }
    }
}

fn add(rich: &mut Rich, part: &Part) {
    match part {
        Part::Heading(text) => rich.bold(&one_line(text)),
        Part::Text(text) => rich.plain(trimmed(text)),
        Part::Code((language, text)) => rich.pre(language, text),
        Part::Diff(text) => rich.pre("diff", text),
        Part::Item(text) => {
            rich.own("• ");
            rich.plain(trimmed(text));
        }
        Part::Field((label, value)) => {
            rich.bold(&format!("{}:", one_line(label)));
            rich.own(" ");
            rich.plain(trimmed(value));
        }
    }
}
