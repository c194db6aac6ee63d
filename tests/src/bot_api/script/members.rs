//! Coming and going: of people, of the bot, of a group that becomes a supergroup.

use crate::bot_api::{
    BotApi,
    chats::{Chat, Kind, Standing},
    ids::{ChatId, UserId},
    posts::{Author, Post},
    state::State,
};
use serde_json::{Map, Value, json};

impl BotApi {
    /// Somebody adds the bot to a chat; in a channel as an administrator.
    pub fn add_bot(&self, chat: ChatId, by: UserId) {
        self.shared.change(|state| {
            let me = state.me;
            let standing =
                if state.chat(chat).kind == Kind::Channel { Standing::Administrator } else { Standing::Member };
            state.set_standing(chat, me, by, standing);
        });
    }

    pub fn promote_bot(&self, chat: ChatId, by: UserId) {
        self.stand_bot(chat, by, Standing::Administrator);
    }

    pub fn demote_bot(&self, chat: ChatId, by: UserId) {
        self.stand_bot(chat, by, Standing::Member);
    }

    /// Somebody throws the bot out.
    pub fn kick_bot(&self, chat: ChatId, by: UserId) {
        self.stand_bot(chat, by, Standing::Kicked);
    }

    fn stand_bot(&self, chat: ChatId, by: UserId, standing: Standing) {
        self.shared.change(|state| {
            let me = state.me;
            state.set_standing(chat, me, by, standing);
        });
    }

    pub fn join(&self, chat: ChatId, person: UserId) {
        self.shared.change(|state| state.set_standing(chat, person, person, Standing::Member));
    }

    pub fn leave(&self, chat: ChatId, person: UserId) {
        self.shared.change(|state| state.set_standing(chat, person, person, Standing::Left));
    }

    /// Somebody becomes something else in a chat.
    pub fn set_standing(&self, chat: ChatId, person: UserId, by: UserId, standing: Standing) {
        self.shared.change(|state| state.set_standing(chat, person, by, standing));
    }

    pub fn block_bot(&self, person: UserId) {
        self.set_blocked(person, true);
    }

    pub fn unblock_bot(&self, person: UserId) {
        self.set_blocked(person, false);
    }

    fn set_blocked(&self, person: UserId, now: bool) {
        self.shared.change(|state| {
            let chat = ChatId(person.0);
            let Kind::Private { blocked, started, .. } = &mut state.chat_mut(chat).kind else {
                panic!("the chat of a person is private");
            };
            let was = std::mem::replace(blocked, now);
            *started = true;
            let standing = |blocked| if blocked { Standing::Kicked } else { Standing::Member };
            let me = state.me;
            state.standing_update(chat, me, person, standing(was), standing(now));
        });
    }

    /// A group becomes a supergroup: its members go along, its messages stay behind, and the old number is answered with the new one.
    pub fn upgrade(&self, group: ChatId, by: UserId) -> ChatId {
        self.shared.change(|state| {
            let new = ChatId(-1_002_000_000_000 - state.fresh_id());
            let old = state.chat_mut(group);
            assert!(matches!(old.kind, Kind::Group { migrated_to: None }), "only a group can be upgraded, and once");
            old.kind = Kind::Group { migrated_to: Some(new) };
            let mut chat = Chat::new(new, Kind::Supergroup { forum: false }, &old.title);
            chat.members = old.members.clone();
            chat.last_bot = old.last_bot;
            state.chats.insert(new, chat);
            let one = |field: &str, id: ChatId| {
                let mut content = Map::new();
                content.insert(field.to_owned(), json!(id.0));
                content
            };
            let away = state.put(group, Post::new(Author::User(by), one("migrate_to_chat_id", new)));
            state.tell(group, away.0);
            let here = Post::new(Author::Anonymous, one("migrate_from_chat_id", group));
            let here = state.put(new, here);
            state.tell(new, here.0);
            new
        })
    }
}

impl State {
    /// Makes somebody something in a chat, with the messages and updates that come of it.
    pub fn set_standing(&mut self, chat: ChatId, user: UserId, by: UserId, standing: Standing) {
        let was = self.chat_mut(chat).members.insert(user, standing).unwrap_or(Standing::Left);
        if was == standing {
            return;
        }
        self.standing_update(chat, user, by, was, standing);
        let note = match (was.is_in(), standing.is_in()) {
            (false, true) => Some(("new_chat_members", json!([self.user_wire(user)]))),
            (true, false) => Some(("left_chat_member", self.user_wire(user))),
            (true, true) | (false, false) => None,
        };
        if let (Some((field, value)), false) = (note, self.chat(chat).kind == Kind::Channel) {
            let mut content = Map::new();
            content.insert(field.to_owned(), value);
            let id = self.put(chat, Post::new(Author::User(by), content));
            // Of its own leaving a bot hears only where it can still look back.
            if user != self.me || standing.is_in() || matches!(self.chat(chat).kind, Kind::Group { .. }) {
                self.tell_always(chat, id.0);
            }
        }
    }

    fn standing_update(&mut self, chat: ChatId, user: UserId, by: UserId, was: Standing, now: Standing) {
        let change: Value = json!({
            "chat": self.chat_wire(chat),
            "from": self.user_wire(by),
            "date": self.clock.unix(),
            "old_chat_member": self.member_wire(chat, user, was),
            "new_chat_member": self.member_wire(chat, user, now),
        });
        if user == self.me {
            self.update("my_chat_member", change);
        } else if self.chat(chat).standing(self.me).is_admin() {
            self.update("chat_member", change);
        }
    }
}
