//! What an update says to us. Who spoke is the host's word, and the update's own where it says more; nothing in a text can change that.
//!
//! | said | heard as |
//! |---|---|
//! | `/cmd`, `/cmd@us` | command; of `/cmd@another` in a group nothing |
//! | a mention of us, or our name at the beginning | mention, with that taken off |
//! | a reply to a post of ours | reply |
//! | a button of ours | button; its data is text as any other |
//! | anything in a private chat | private chat |
//! | other talk in a group | overheard |
//! | an edit, a service message, bots, channels, anonymous admins | nothing: an edited command is not run again |
//! | forwarded, or sent through a bot | never ours to act on: those are another's words |
//! | voice, stickers, files | a problem in words, where it was said to us; a caption is heard as a message |

use crate::{raw::Fields, units::positions};
use borg_sdk::{
    chat::{Addressed, Said, Update, UpdateKind},
    visible,
};

const WORDS_ONLY: &str = "I read words only; write it, please";

/// What is not read, by the field of the message, with what to do instead. The first that is there counts.
const UNREAD: [(&str, &str); 16] = [
    ("voice", "I cannot listen to voice messages; write it, please"),
    ("video_note", "I cannot watch video messages; write it, please"),
    ("audio", "I cannot listen to recordings; write it, please"),
    ("animation", WORDS_ONLY),
    ("document", "I do not read files; paste what matters into a message"),
    ("photo", "I do not look at pictures; write what matters into a message"),
    ("video", "I cannot watch videos; write it, please"),
    ("sticker", WORDS_ONLY),
    ("paid_media", WORDS_ONLY),
    ("story", WORDS_ONLY),
    ("contact", WORDS_ONLY),
    ("location", WORDS_ONLY),
    ("venue", WORDS_ONLY),
    ("poll", WORDS_ONLY),
    ("dice", WORDS_ONLY),
    ("checklist", WORDS_ONLY),
];

const NOT_YOURS: &str =
    "those are somebody else's words, so I do nothing about them; write them yourself if you mean them";

pub fn hear(name: &str, update: Update) -> Vec<Said> {
    if update.sender.is_empty() || update.sender_is_bot {
        return Vec::new();
    }
    match update.kind {
        UpdateKind::Button => pressed(update),
        UpdateKind::Message | UpdateKind::Document => said(name, update),
        UpdateKind::Edited | UpdateKind::Other => Vec::new(),
    }
}

fn pressed(update: Update) -> Vec<Said> {
    let is_bot = Fields::of(&update.raw).object("callback_query").object("from").is_true("is_bot");
    let text = clean(&update.text);
    if is_bot || text.is_empty() {
        return Vec::new();
    }
    vec![Said {
        sender: update.sender,
        chat: update.chat,
        text,
        addressed: Addressed::Button,
        reply_to: update.reply_to,
        problem: None,
        extra: Vec::new(),
    }]
}

fn said(name: &str, update: Update) -> Vec<Said> {
    let message = Fields::of(&update.raw).object("message");
    if is_nobody(&message) {
        return Vec::new();
    }
    let is_private = match message.object("chat").text("type") {
        Some(kind) => kind == "private",
        // People have positive ids, groups negative ones.
        None => !update.chat.starts_with('-'),
    };
    let heard = Heard { update: &update, is_private, answers: answers_us(&message, &update) };
    if message.has("forward_origin") || message.has("forward_date") || message.has("via_bot") {
        return if is_private { vec![heard.problem(NOT_YOURS)] } else { Vec::new() };
    }
    let unread = UNREAD.iter().find(|(field, _)| message.has(field)).map(|(_, problem)| *problem);
    let key = if message.has("caption") { "caption_entities" } else { "entities" };
    let (text, is_mentioned) = unmentioned(&update, &message, key);
    let (text, is_named) = unnamed(&text, name);
    let addressed = match word(&text) {
        Word::Ours(text) => Some((Addressed::Command, text)),
        Word::To(bot, text) if !update.own_name.is_empty() && bot.eq_ignore_ascii_case(&update.own_name) => {
            Some((Addressed::Command, text))
        }
        Word::To(bot, _) if is_private => {
            let ours = &update.own_name;
            return vec![heard.problem(&format!("that command is for @{bot}, and I am @{ours}"))];
        }
        Word::To(..) => return Vec::new(),
        Word::Plain if is_mentioned || is_named => Some((Addressed::Mention, text)),
        Word::Plain if text.is_empty() => None,
        Word::Plain if heard.answers.is_some() => Some((Addressed::Reply, text)),
        Word::Plain if is_private => Some((Addressed::PrivateChat, text)),
        Word::Plain => Some((Addressed::Overheard, text)),
    };
    let is_ours = is_private || heard.answers.is_some();
    match (addressed, unread) {
        (Some((Addressed::Overheard, text)), _) => vec![heard.said(Addressed::Overheard, text)],
        (Some((addressed, text)), None) => vec![heard.said(addressed, text)],
        // The words count; that they came with something nobody looked at is told too.
        (Some((addressed, text)), Some(problem)) if text.is_empty() => {
            vec![Said { addressed, ..heard.problem(problem) }]
        }
        (Some((addressed, text)), Some(problem)) => vec![heard.said(addressed, text), heard.problem(problem)],
        (None, Some(problem)) if is_ours => vec![heard.problem(problem)],
        (None, Some(_) | None) => Vec::new(),
    }
}

/// What is known of a message before its words.
struct Heard<'a> {
    update: &'a Update,
    is_private: bool,
    /// Receipt of our post it answers.
    answers: Option<String>,
}

impl Heard<'_> {
    fn said(&self, addressed: Addressed, text: String) -> Said {
        Said {
            sender: self.update.sender.clone(),
            chat: self.update.chat.clone(),
            text,
            addressed,
            reply_to: self.answers.clone(),
            problem: None,
            extra: Vec::new(),
        }
    }

    fn problem(&self, problem: &str) -> Said {
        let addressed = if self.is_private { Addressed::PrivateChat } else { Addressed::Reply };
        Said { problem: Some(visible(problem).into_owned()), ..self.said(addressed, String::new()) }
    }
}

/// True for a channel, a group that speaks as itself, an anonymous admin, a bot: nobody in particular.
fn is_nobody(message: &Fields) -> bool {
    let from = message.object("from");
    let hidden = from.text("username").is_some_and(|name| name.eq_ignore_ascii_case("GroupAnonymousBot"));
    message.has("sender_chat")
        || message.object("chat").text("type").as_deref() == Some("channel")
        || from.is_true("is_bot")
        || hidden
}

/// Receipt of the post of ours that a message answers. The first message of a forum topic is "answered" by all the others there.
fn answers_us(message: &Fields, update: &Update) -> Option<String> {
    let answered = message.object("reply_to_message");
    let author = answered.object("from");
    let is_ours = author.is_true("is_bot")
        && author.text("username").is_some_and(|name| name.eq_ignore_ascii_case(&update.own_name));
    update.reply_to.clone().filter(|_| is_ours && !answered.has("forum_topic_created"))
}

/// The text without mentions of us, and whether there were any.
fn unmentioned(update: &Update, message: &Fields, key: &str) -> (String, bool) {
    let (text, own) = (update.text.as_str(), format!("@{}", update.own_name));
    let entities = message.entities(key);
    let ends: Vec<usize> = entities.iter().flat_map(|entity| [entity.offset, entity.offset + entity.length]).collect();
    let positions = positions(text, &ends);
    let mut ours: Vec<(usize, usize)> = Vec::new();
    for (entity, ends) in entities.iter().zip(positions.chunks(2)) {
        let &[Some(start), Some(end)] = ends else { continue };
        let is_ours = match entity.kind.as_str() {
            "mention" => text.get(start..end).is_some_and(|name| name.eq_ignore_ascii_case(&own)),
            "text_mention" => entity.user.as_deref().is_some_and(|user| user.eq_ignore_ascii_case(&update.own_name)),
            _ => false,
        };
        if is_ours && own.len() > 1 && start < end && ours.last().is_none_or(|last| last.1 <= start) {
            ours.push((start, end));
        }
    }
    if ours.is_empty() {
        return (clean(text), false);
    }
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    for (start, end) in ours {
        join(&mut left, &text[at..start]);
        at = end;
    }
    join(&mut left, &text[at..]);
    (clean(after_name(&left)), true)
}

/// Adds what stands after something that was taken out, with one space where there were two.
fn join(left: &mut String, right: &str) {
    let is_spaced = left.is_empty() || left.ends_with(char::is_whitespace);
    left.push_str(if is_spaced { right.trim_start_matches(' ') } else { right });
}

/// The text without the assistant's name in front, and whether it was there.
fn unnamed(text: &str, name: &str) -> (String, bool) {
    let bare = text.strip_prefix('@').unwrap_or(text);
    let mut rest = bare.chars();
    let mut wanted = name.trim().chars().flat_map(char::to_lowercase).peekable();
    if wanted.peek().is_none() {
        return (text.to_owned(), false);
    }
    while wanted.peek().is_some() {
        let Some(c) = rest.next() else { return (text.to_owned(), false) };
        for small in c.to_lowercase() {
            if wanted.next() != Some(small) {
                return (text.to_owned(), false);
            }
        }
    }
    let rest = rest.as_str();
    if rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '\'' | '’' | '.'))
        && !rest.starts_with(". ")
    {
        return (text.to_owned(), false);
    }
    (after_name(rest).to_owned(), true)
}

/// What follows a name at the beginning.
fn after_name(text: &str) -> &str {
    text.trim_start().trim_start_matches([',', ':', ';', '.', '!', '?', '—', '–']).trim_start()
}

/// What the first word of a text is.
enum Word {
    /// A command to whoever listens; the text with it.
    Ours(String),
    /// A command to a bot of this name; the text without the name.
    To(String, String),
    Plain,
}

fn word(text: &str) -> Word {
    if !text.starts_with('/') {
        return Word::Plain;
    }
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    match text[..end].split_once('@') {
        Some((command, bot)) => Word::To(bot.to_owned(), format!("{command}{}", &text[end..])),
        None => Word::Ours(text.to_owned()),
    }
}

/// A text of others as it is handed on: nothing in it is hidden.
fn clean(text: &str) -> String {
    visible(text.trim()).into_owned()
}

#[cfg(test)]
mod tests;
