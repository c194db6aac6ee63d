//! What counts as said. A component reads an update and tells what it says; it lends nobody its own words.
//!
//! The text, the kind of an update, who sent it, where, and what it answers are the transport's. Said is the whole text, neutralised, in one
//! of few forms: as it stands, or with nothing missing but our own name, with the blank and the punctuation that went with it. Never a part
//! of it, and nothing that was forwarded, sent through a bot or edited. Whatever else a component claims is left out, and told.

use crate::neutral;
use borg_core::chat::{Addressed, Said, Update, UpdateKind};

/// What an update says.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Heard {
    /// At most one thing that is said, and at most one problem, in the component's order.
    pub said: Vec<Said>,
    /// What the component claimed beyond that, in words; the first of it.
    pub forged: Option<&'static str>,
}

/// Holds what a component heard against the update. `called` is the name that stands in front of what is meant for us, besides that of the
/// account.
pub fn heard(update: &Update, called: &str, claims: Vec<Said>) -> Heard {
    let mut heard = Heard::default();
    let forms = forms(update, called);
    let (mut has_said, mut has_problem) = (false, false);
    for claim in claims {
        let text = if claim.problem.is_some() { Ok("") } else { counts(update, &forms, &claim.text) };
        let seen = if claim.problem.is_some() { &mut has_problem } else { &mut has_said };
        let text = match text {
            Ok(_) if *seen => {
                heard.forged.get_or_insert("more than one thing was said by one message");
                continue;
            }
            Ok(text) => text.to_owned(),
            Err(why) => {
                // Talk that is not for us needs no leave: nothing comes of it.
                if claim.addressed != Addressed::Overheard {
                    heard.forged.get_or_insert(why);
                }
                continue;
            }
        };
        *seen = true;
        heard.said.push(Said {
            sender: update.sender.clone(),
            chat: update.chat.clone(),
            text,
            addressed: addressed(update.kind, claim.addressed),
            reply_to: update.reply_to.clone(),
            problem: claim.problem,
        });
    }
    heard
}

/// The host's own form of what a component says was said, or why it was not.
fn counts<'a>(update: &Update, forms: &'a [String], claimed: &str) -> Result<&'a str, &'static str> {
    match update.kind {
        UpdateKind::Message | UpdateKind::Document | UpdateKind::Button => {}
        UpdateKind::Edited => return Err("an edited message is no command"),
        UpdateKind::Other => return Err("nobody said anything"),
    }
    let Some(marks) = &update.marks else { return Err("the transport did not tell whose words they are") };
    if marks.forwarded || marks.via_bot {
        return Err("words of others, forwarded or sent through a bot, are no command");
    }
    let claimed = plain(claimed);
    let form = forms.iter().find(|form| **form == claimed).filter(|form| !form.is_empty());
    form.map(String::as_str).ok_or("these are not the words that were sent")
}

/// A press is a press, whatever a component makes of it, and nothing else is one.
fn addressed(kind: UpdateKind, claimed: Addressed) -> Addressed {
    match (kind, claimed) {
        (_, Addressed::Overheard) => Addressed::Overheard,
        (UpdateKind::Button, _) => Addressed::Button,
        (_, Addressed::Button) => Addressed::PrivateChat,
        (_, claimed) => claimed,
    }
}

/// The forms in which the text of an update may be said.
fn forms(update: &Update, called: &str) -> Vec<String> {
    let mut forms = vec![plain(&update.text)];
    if update.kind == UpdateKind::Button {
        return forms;
    }
    let mentions = update.marks.as_ref().map_or(&[][..], |marks| &marks.mentions);
    forms.extend(unmentioned(&update.text, mentions));
    let unnamed: Vec<String> = forms.iter().filter_map(|form| unnamed(form, called)).collect();
    forms.extend(unnamed);
    let bare: Vec<String> = forms.iter().filter_map(|form| unaddressed(form, &update.own_name)).collect();
    forms.extend(bare);
    forms
}

/// A text as it is read and kept: nothing in it is hidden.
fn plain(text: &str) -> String {
    neutral::text(&text.trim().replace("\r\n", "\n")).into_owned()
}

/// The text without mentions of us; none where there are none.
fn unmentioned(text: &str, mentions: &[(usize, usize)]) -> Option<String> {
    let mut left = String::with_capacity(text.len());
    let mut at = 0;
    for (from, to) in mentions {
        join(&mut left, text.get(at..*from)?);
        at = *to;
    }
    join(&mut left, text.get(at..)?);
    (!mentions.is_empty()).then(|| plain(after_name(&left)))
}

/// Adds what stands after a mention that was taken out, with one space where there were two.
fn join(left: &mut String, right: &str) {
    let is_spaced = left.is_empty() || left.ends_with(char::is_whitespace);
    left.push_str(if is_spaced { right.trim_start_matches(' ') } else { right });
}

/// The text without the name in front; none where it does not stand there, or goes on as another word.
fn unnamed(text: &str, called: &str) -> Option<String> {
    let mut rest = text.strip_prefix('@').unwrap_or(text).chars();
    let mut wanted = called.trim().chars().flat_map(char::to_lowercase).peekable();
    wanted.peek()?;
    while wanted.peek().is_some() {
        for small in rest.next()?.to_lowercase() {
            if wanted.next() != Some(small) {
                return None;
            }
        }
    }
    let rest = rest.as_str();
    let goes_on = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '\'' | '’' | '.');
    if rest.starts_with(goes_on) && !rest.starts_with(". ") {
        return None;
    }
    Some(after_name(rest).to_owned())
}

/// What follows a name at the beginning.
fn after_name(text: &str) -> &str {
    text.trim_start().trim_start_matches([',', ':', ';', '.', '!', '?', '—', '–']).trim_start()
}

/// `/command@us` as `/command`; none where that is not how it begins.
fn unaddressed(text: &str, own_name: &str) -> Option<String> {
    let end = text.find(char::is_whitespace).unwrap_or(text.len());
    let (command, name) = text[..end].split_once('@')?;
    let is_ours = command.starts_with('/') && !own_name.is_empty() && name.eq_ignore_ascii_case(own_name);
    is_ours.then(|| format!("{command}{}", &text[end..]))
}

#[cfg(test)]
mod tests;
