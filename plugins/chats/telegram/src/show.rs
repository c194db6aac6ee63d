//! Posts that show a notice. Where a press of a button is answered shortly, the toast says it all; what would take more than three posts
//! goes as a file, with its beginning as the post. Progress is one post that is edited, without a sound.

use crate::{
    layout::{self, IN_FILE, line, one_line, rich},
    pages::{ENTITIES, Page, UNITS, pages},
    rich::Rich,
    units::{cut, prefix, units},
};
use borg_sdk::{
    chat::{Button, Document, DocumentPost, EditPost, Notice, NoticeKind, Part, Post, TextPost, Toast},
    file_name, visible,
};

/// Longest toast, in characters.
const TOAST: usize = 200;
/// Most posts a text is split into.
const POSTS: usize = 3;
/// Longest data of a button, in bytes.
const ACTION: usize = 64;
/// Longest label of a button, in code units.
const LABEL: usize = 64;
/// Most buttons of a post.
const BUTTONS: usize = 100;
/// Longest beginning of what is sent as a file, in code units.
const BEGINNING: usize = 1_000;
/// Longest name of a file without what tells its kind, in characters.
const NAME: usize = 60;

pub fn show(mut notice: Notice) -> Vec<Post> {
    let mut posts = Vec::new();
    if let Some(press) = notice.reply_to.take_if(|receipt| receipt.starts_with("press:")) {
        let is_short = matches!(notice.kind, NoticeKind::Answer | NoticeKind::Hint)
            && notice.buttons.is_empty()
            && notice.document.is_none()
            && notice.replaces.is_none()
            && !notice.parts.iter().any(|part| matches!(part, Part::Code(_) | Part::Diff(_)));
        let all = line(&notice, usize::MAX);
        let says_all = is_short && !all.is_empty() && units(&all) <= TOAST;
        let text = if says_all { all } else { String::new() };
        posts.push(Post::Answer(Toast { chat: notice.chat.clone(), press, text }));
        if says_all {
            return posts;
        }
    }
    let (buttons, commands) = buttons(&notice.buttons);
    let mut files = Vec::new();
    let (parts, diff) = match notice.kind {
        NoticeKind::Review => layout::preview(&notice, &commands),
        NoticeKind::Answer
        | NoticeKind::Hint
        | NoticeKind::Progress
        | NoticeKind::Final
        | NoticeKind::Question
        | NoticeKind::Warning => (notice.parts.clone(), None),
    };
    let given = notice.document.as_ref().map(|document| document.text.as_str());
    if let Some(diff) = diff.filter(|diff| given != Some(diff)) {
        files.push(Document { name: name_of(&notice.topic, "diff"), text: diff });
    }
    let rich = rich(&notice, &parts, &commands);
    let mut texts: Vec<Page> = pages(&rich).take(POSTS + 1).collect();
    if notice.kind == NoticeKind::Progress {
        // It passes: what does not fit is not worth a file.
        if texts.len() > 1 {
            texts = pages(&beginning(&rich, UNITS - 2, "…")).take(1).collect();
        }
    } else if texts.len() > POSTS {
        let is_diff = matches!(parts.as_slice(), [Part::Diff(_)]);
        let name = name_of(&notice.topic, if is_diff { "diff" } else { "txt" });
        texts = pages(&beginning(&rich, BEGINNING, &format!("\n\n{IN_FILE}"))).take(1).collect();
        files.insert(0, Document { name, text: rich.text });
    }
    if texts.is_empty() && !buttons.is_empty() {
        texts.push(Page { text: "❓".into(), entities: String::new() });
    }
    files.extend(notice.document.take());
    posts.extend(text_posts(&notice, texts, buttons));
    if notice.kind == NoticeKind::Progress {
        posts.push(Post::Typing(notice.chat.clone()));
    }
    let is_answered = posts.iter().any(|post| matches!(post, Post::Send(_) | Post::Edit(_)));
    let mut reply_to = notice.reply_to.filter(|_| !is_answered);
    for file in files {
        let document = Document { name: file_name(&file.name, "document"), text: visible(&file.text).into_owned() };
        let post =
            DocumentPost { chat: notice.chat.clone(), document, caption: String::new(), reply_to: reply_to.take() };
        posts.push(Post::Document(post));
    }
    posts
}

/// The first replaces the post there was and answers; the last has the buttons.
fn text_posts(notice: &Notice, texts: Vec<Page>, buttons: Vec<Button>) -> Vec<Post> {
    let count = texts.len();
    let post = |(index, page): (usize, Page)| {
        let (is_first, is_last) = (index == 0, index + 1 == count);
        let post = TextPost {
            chat: notice.chat.clone(),
            text: page.text,
            entities: page.entities,
            buttons: if is_last { buttons.clone() } else { Vec::new() },
            reply_to: notice.reply_to.clone().filter(|_| is_first),
            silent: notice.silent || notice.kind == NoticeKind::Progress || !is_first,
        };
        match notice.replaces.clone().filter(|_| is_first) {
            Some(receipt) => Post::Edit(EditPost { receipt, post }),
            None => Post::Send(post),
        }
    };
    texts.into_iter().enumerate().map(post).collect()
}

/// Buttons that Telegram takes, and those whose commands are to be typed.
fn buttons(all: &[Button]) -> (Vec<Button>, Vec<&Button>) {
    let fits = |button: &&Button| {
        !button.action.trim().is_empty()
            && button.action.len() <= ACTION
            && visible(&button.action) == button.action
            && !button.label.trim().is_empty()
    };
    let (mut good, mut others): (Vec<&Button>, Vec<&Button>) = all.iter().partition(fits);
    others.extend(good.split_off(good.len().min(BUTTONS)));
    let label = |button: &Button| cut(&one_line(&button.label), LABEL);
    (good.into_iter().map(|button| Button { label: label(button), action: button.action.clone() }).collect(), others)
}

/// The beginning of a long text, in so many code units and what tells of the rest.
fn beginning(rich: &Rich, limit: usize, more: &str) -> Rich {
    let end = prefix(&rich.text, limit);
    let end = rich.text[..end].rfind('\n').filter(|at| *at > end / 2).unwrap_or(end);
    let mut spans = rich.spans.clone();
    let end = spans.get(ENTITIES).map_or(end, |span| span.start.min(end));
    let mut text = rich.text[..end].trim_end().to_owned();
    spans.retain_mut(|span| {
        span.end = span.end.min(text.len());
        span.start < span.end
    });
    text.push_str(more);
    Rich { text, spans, is_tappable: rich.is_tappable }
}

/// A file of ours: its name tells what it is about.
fn name_of(topic: &str, extension: &str) -> String {
    let topic: String = file_name(topic, "borg").chars().take(NAME).collect();
    format!("{topic}.{extension}")
}

#[cfg(test)]
mod tests;
