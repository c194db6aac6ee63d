//! Nobody is made known by a word alone: `/allow`, typed or pressed, is asked back. A button says who becomes what, and only whoever asked
//! can press it, within ten minutes; at a terminal the host asks on a line of its own. What is open is in the journal, so that a restart
//! takes nobody's answer.

use super::{Conversation, chat_of, notice};
use crate::{clock::now_ms, engine::Reply, journal::JournalError, mail::Asked, neutral};
use borg_core::{
    chat::{Button, Notice, NoticeKind, Part, Post},
    intent::{self, Intent},
    people::{PersonId, Role, role_word},
};

/// Begins the action of a button that confirms. It is no command: nobody types it.
pub(super) const CONFIRM: &str = "confirm:";
/// Longest label that every platform shows whole, in UTF-16 code units.
const LABEL: usize = 64;
/// What is typed at a terminal to confirm.
const YES: &str = "yes";

impl Conversation {
    /// Asks somebody who may make people known whether they mean it. None at a terminal, where the host asks by itself.
    pub(super) async fn ask_back(
        &self,
        chat: &str,
        asker: &PersonId,
        (person, role): (&PersonId, Role),
        key: Option<&str>,
    ) -> Option<Notice> {
        let label = becomes(person, role);
        if label.encode_utf16().count() > LABEL {
            let text = format!("{person} is too long a name for a button that says all of it");
            return Some(hint(
                chat,
                text,
                format!("add it to `{}` of [people] in policies/people.toml", role_word(role)),
            ));
        }
        let fresh = format!("{chat} {} {person} {}", now_ms(), role_word(role));
        let asked = self.desk.ask_back(key.unwrap_or(&fresh), asker, chat, (person, role)).await;
        let asked = match asked {
            Ok(asked) => asked,
            Err(error) => return Some(unreadable(chat, &error)),
        };
        if !self.chats.is_by_mail(chat) {
            return None;
        }
        let parts = vec![
            Part::Text(format!("{label} here: is that what you want?")),
            Part::Text("Only you can confirm it, with the button, within ten minutes.".into()),
        ];
        let mut notice = notice(chat, NoticeKind::Question, parts);
        notice.buttons = vec![Button { label, action: format!("{CONFIRM}{}", asked.id) }];
        Some(notice)
    }

    /// What comes of a pressed button that confirms.
    pub(super) async fn confirmed(&self, chat: &str, presser: &PersonId, id: &str, key: Option<&str>) -> Notice {
        let found = match id.parse() {
            Ok(id) => self.desk.asked_back(id).await,
            Err(_) => Ok(None),
        };
        match found {
            Ok(Some(asked)) if asked.asker == *presser => self.confirm(asked, key).await,
            Ok(Some(asked)) => hint(chat, format!("only {} can confirm that", asked.asker), "ask them".into()),
            Ok(None) => {
                let text = "that is done already, or more than ten minutes old";
                hint(chat, text.into(), "say /allow PERSON ROLE again".into())
            }
            Err(error) => unreadable(chat, &error),
        }
    }

    /// Makes somebody known, as was asked for and confirmed.
    async fn confirm(&self, asked: Asked, key: Option<&str>) -> Notice {
        let (handle, by, chat) = (&self.desk.handle, asked.asker.clone(), Some(asked.chat.clone()));
        let intent = Intent::Allow { person: asked.person.clone(), role: asked.role };
        let intended = match key {
            Some(key) => handle.intend_once(key, by, intent, chat).await,
            None => handle.intend(by, intent, chat).await,
        };
        let parts = match intended {
            Ok(Reply::Granted) => self.allow(&asked.person, asked.role).await,
            // They may have lost the right to it meanwhile.
            Ok(Reply::Refused { reason, remedy, .. }) => return hint(&asked.chat, reason, remedy.spell(intent::spell)),
            Ok(Reply::Done { text }) => vec![Part::Text(text)],
            Ok(Reply::Created { .. }) => Vec::new(),
            Err(_) => vec![Part::Text("the host is stopping; nothing was done".into())],
        };
        if let Err(error) = self.desk.forget_asked(asked.id).await {
            tracing::warn!(%error, "what was confirmed may be confirmed again");
        }
        notice(&asked.chat, NoticeKind::Answer, parts)
    }

    /// What the host asks whoever sits at a terminal, and what they are to type; none where nothing is open.
    pub async fn asks_at(&self, transport: &str, chat: &str, sender: &str) -> Option<(Asked, String)> {
        let person = PersonId(format!("{transport}:{sender}"));
        let asked = self.desk.asked_back_in(&chat_of(transport, chat), &person).await.ok().flatten()?;
        let becomes = becomes(&asked.person, asked.role);
        Some((asked, format!("{becomes} here? Type `{YES}` to confirm; anything else leaves it as it is.")))
    }

    /// Takes the line that was typed after [`Conversation::asks_at`]; none where it was no yes, and is to be taken as any other line.
    pub async fn answered_at(&self, asked: Asked, line: &str, width: u32) -> Option<Vec<Post>> {
        if !line.trim().eq_ignore_ascii_case(YES) {
            if let Err(error) = self.desk.forget_asked(asked.id).await {
                tracing::warn!(%error, "what was not confirmed stays open for a while");
            }
            return None;
        }
        let still = self.desk.asked_back(asked.id).await.ok().flatten();
        let notice = match still {
            Some(asked) => self.confirm(asked, None).await,
            None => hint(&asked.chat, "ten minutes are over".into(), "say /allow PERSON ROLE again".into()),
        };
        Some(self.chats.show(&notice, width).await.unwrap_or_else(|error| {
            tracing::error!(%error, "an answer could not be shown");
            Vec::new()
        }))
    }
}

/// Who becomes what.
fn becomes(person: &PersonId, role: Role) -> String {
    neutral::line(&format!("{person} becomes {}", role_word(role)), usize::MAX)
}

fn hint(chat: &str, text: String, remedy: String) -> Notice {
    let remedy = Part::Field { label: "what to do".into(), value: remedy };
    notice(chat, NoticeKind::Hint, vec![Part::Text(text), remedy])
}

fn unreadable(chat: &str, error: &JournalError) -> Notice {
    hint(chat, error.to_string(), "`borg-host doctor` looks at the journal".into())
}
