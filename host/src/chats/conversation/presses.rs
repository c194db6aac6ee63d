//! Presses of buttons: each counts for what the host offered under that message, and for nothing else.

use super::{Conversation, asking_back::CONFIRM, chat_of, notice};
use crate::{chats::ChatError, neutral};
use borg_core::{
    chat::{Notice, NoticeKind, Part, Post, Said, Update},
    intent,
    people::PersonId,
};

/// What answers a press that is dealt with here.
pub(super) type Answered = (Notice, Vec<Post>);

impl Conversation {
    /// Looks whether a press is of a button of ours, and answers it where that is all; none where it is a command like one that was typed.
    pub(super) async fn press(
        &self,
        transport: &str,
        update: &Update,
        said: &Said,
        key: Option<&str>,
    ) -> Result<Option<Answered>, ChatError> {
        let person = PersonId(format!("{transport}:{}", said.sender));
        // Whom nobody knows is refused in silence, as with a command; and makes nobody wait or look.
        if !self.may_hear(transport, &person).await {
            return Ok(None);
        }
        let chat = chat_of(transport, &update.chat);
        let offered = match (self.chats.mailbox(&chat), &update.reply_to) {
            (Some(mailbox), Some(receipt)) => mailbox.is_offered(&update.chat, receipt, &update.text).await,
            // What does not keep what it was offered offers nothing.
            (None, _) | (Some(_), None) => Ok(false),
        };
        match offered {
            Ok(true) => {}
            Ok(false) => return Ok(Some(toast(&chat, update, unknown(&update.text)))),
            Err(error) => {
                tracing::error!(%error, "the journal cannot tell what was offered");
                return Ok(Some(toast(&chat, update, format!("{error}; nothing was done"))));
            }
        }
        let Some(id) = said.text.strip_prefix(CONFIRM) else { return Ok(None) };
        let mut notice = self.confirmed(&chat, &person, id, key).await;
        notice.reply_to = Some(update.receipt.clone()).filter(|receipt| !receipt.is_empty());
        let posts = self.chats.show(&notice, 0).await?;
        Ok(Some((notice, posts)))
    }
}

/// The host's own words, laid out by nobody.
fn toast(chat: &str, update: &Update, text: String) -> Answered {
    let post = Post::Answer { chat: update.chat.clone(), press: update.receipt.clone(), text: text.clone() };
    (notice(chat, NoticeKind::Hint, vec![Part::Text(text)]), vec![post])
}

/// What to do in place of a press that counts for nothing.
fn unknown(action: &str) -> String {
    match intent::parse(action) {
        Ok(_) => format!("that button counts for nothing here any more; type it:\n{}", neutral::text(action)),
        Err(_) => "that button counts for nothing here any more; /help tells what can be typed".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_to_type_is_a_command_and_nothing_hidden() {
        assert!(unknown("/approve 3 change:0123456789ab").ends_with("\n/approve 3 change:0123456789ab"));
        for (action, hidden) in [("confirm:7", "confirm"), ("\u{202e}/approve 3", "approve"), ("", "type it")] {
            assert!(!unknown(action).contains(hidden), "{action}");
        }
        let told = unknown("/answer 3 yes\u{202e}");
        assert!(told.contains("yes<U+202E>"), "{told}");
    }
}
