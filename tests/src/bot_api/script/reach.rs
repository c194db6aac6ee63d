//! Which messages reach the bot. Source: the documentation of privacy mode.

use crate::bot_api::{
    Privacy,
    chats::{Chat, Kind},
    ids::ChatId,
    posts::{Author, Post},
    state::State,
};
use serde_json::Value;

impl State {
    /// Notes whether a new message is meant for the bot, and says whether it is told of it.
    pub fn reaches(&mut self, chat_id: ChatId, id: i64) -> bool {
        let chat = self.chat(chat_id);
        let post = &chat.posts[&id];
        let meant = self.is_meant(chat, post);
        let reaches = match &chat.kind {
            Kind::Private { blocked, .. } => !blocked,
            Kind::Channel => chat.standing(self.me).is_admin(),
            Kind::Group { .. } | Kind::Supergroup { .. } => {
                let by_bot = matches!(&post.author, Author::User(user) if self.user(*user).is_bot);
                let all = self.privacy == Privacy::Off || chat.standing(self.me).is_admin();
                chat.standing(self.me).is_in()
                    && (post.is_service() || !by_bot && (all || meant || self.is_named(post)))
            }
        };
        self.chat_mut(chat_id).posts.get_mut(&id).expect("it was just looked at").meant = meant;
        reaches
    }

    /// A command to the bot, or a reply to it or to something meant for it.
    fn is_meant(&self, chat: &Chat, post: &Post) -> bool {
        let answered = post.reply_to.and_then(|id| chat.posts.get(&id));
        if answered.is_some_and(|answered| answered.is_by(self.me) || answered.meant) {
            return true;
        }
        let for_another = chat.last_bot.is_some_and(|bot| bot != self.me);
        let mut commands = post.entities().iter().filter(|entity| entity["type"] == "bot_command");
        commands.any(|command| match covered(post.text(), command).split_once('@') {
            Some((_, name)) => self.is_my_name(name),
            None => !for_another && command["offset"] == 0,
        })
    }

    fn is_named(&self, post: &Post) -> bool {
        let mut mentions = post.entities().iter().filter(|entity| entity["type"] == "mention");
        self.privacy == Privacy::OnWithMentions
            && mentions.any(|mention| self.is_my_name(covered(post.text(), mention).trim_start_matches('@')))
    }

    fn is_my_name(&self, name: &str) -> bool {
        self.user(self.me).username.as_deref().is_some_and(|mine| mine.eq_ignore_ascii_case(name))
    }
}

fn covered(text: &str, entity: &Value) -> String {
    let number = |field: &str| entity[field].as_u64().unwrap_or(0) as usize;
    let wide: Vec<u16> = text.encode_utf16().skip(number("offset")).take(number("length")).collect();
    String::from_utf16_lossy(&wide)
}
