//! People, bots and chats come into being.

use crate::bot_api::{
    BotApi,
    chats::{Chat, Kind, Standing, Topic, User},
    ids::{ChatId, TopicId, UserId},
    posts::{Author, Post},
};
use serde_json::{Map, json};
use std::collections::BTreeMap;

impl BotApi {
    /// Somebody new, with a private chat in which nothing was said yet.
    pub fn person(&self, name: &str) -> UserId {
        self.user(name, false)
    }

    /// A bot that is not ours.
    pub fn other_bot(&self, name: &str) -> UserId {
        self.user(name, true)
    }

    fn user(&self, name: &str, is_bot: bool) -> UserId {
        self.shared.change(|state| {
            let id = UserId(710_000_000 + state.fresh_id());
            let plain = name.to_lowercase().replace(|c: char| !c.is_ascii_alphanumeric(), "_");
            let username = if is_bot { format!("{plain}_bot") } else { format!("{plain}_{}", id.0 % 10_000) };
            let language_code = (!is_bot).then(|| "en".to_owned());
            let first_name = name.to_owned();
            let user = User { id, is_bot, first_name, username: Some(username), language_code, deactivated: false };
            state.users.insert(id, user);
            let kind = Kind::Private { user: id, started: false, blocked: false };
            state.chats.insert(ChatId(id.0), Chat::new(ChatId(id.0), kind, ""));
            id
        })
    }

    pub fn username(&self, user: UserId) -> String {
        self.shared.state().user(user).username.clone().unwrap_or_default()
    }

    /// A person changes what is shown of them.
    pub fn rename(&self, user: UserId, name: &str, username: Option<&str>) {
        self.shared.change(|state| {
            let user = state.users.get_mut(&user).expect("the person was made");
            (user.first_name, user.username) = (name.to_owned(), username.map(str::to_owned));
        });
    }

    /// A person's account is deleted.
    pub fn deactivate(&self, user: UserId) {
        self.shared.change(|state| state.users.get_mut(&user).expect("the person was made").deactivated = true);
    }

    /// The private chat with a person, who has pressed Start before; the bot is not told.
    pub fn private(&self, person: UserId) -> ChatId {
        let id = ChatId(person.0);
        self.shared.change(|state| {
            if let Kind::Private { started, .. } = &mut state.chat_mut(id).kind {
                *started = true;
            }
        });
        id
    }

    /// A group that `creator` made, with these people; the bot is not in it yet.
    pub fn group(&self, title: &str, creator: UserId, people: &[UserId]) -> ChatId {
        self.chat_with(title, Kind::Group { migrated_to: None }, creator, people)
    }

    pub fn supergroup(&self, title: &str, creator: UserId, people: &[UserId]) -> ChatId {
        self.chat_with(title, Kind::Supergroup { forum: false }, creator, people)
    }

    /// A supergroup with topics; see [`BotApi::topic`].
    pub fn forum(&self, title: &str, creator: UserId, people: &[UserId]) -> ChatId {
        self.chat_with(title, Kind::Supergroup { forum: true }, creator, people)
    }

    pub fn channel(&self, title: &str, creator: UserId) -> ChatId {
        self.chat_with(title, Kind::Channel, creator, &[])
    }

    /// Gives a chat a public name.
    pub fn publish(&self, chat: ChatId, username: &str) {
        self.shared.change(|state| state.chat_mut(chat).username = Some(username.to_owned()));
    }

    fn chat_with(&self, title: &str, kind: Kind, creator: UserId, people: &[UserId]) -> ChatId {
        self.shared.change(|state| {
            let n = state.fresh_id();
            let id = match kind {
                Kind::Group { .. } => -4_000_000 - n,
                Kind::Supergroup { .. } | Kind::Channel | Kind::Private { .. } => -1_002_000_000_000 - n,
            };
            let mut chat = Chat::new(ChatId(id), kind, title);
            let mut members: BTreeMap<UserId, Standing> =
                people.iter().map(|person| (*person, Standing::Member)).collect();
            members.insert(creator, Standing::Creator);
            chat.members = members;
            state.chats.insert(chat.id, chat);
            ChatId(id)
        })
    }

    /// A topic in a forum; the bot is told as of any service message.
    pub fn topic(&self, forum: ChatId, by: UserId, name: &str) -> TopicId {
        self.shared.change(|state| {
            let mut content = Map::new();
            content.insert("forum_topic_created".into(), json!({ "name": name, "icon_color": 0x6F_B9_F0 }));
            let id = state.put(forum, Post::new(Author::User(by), content));
            let topic = TopicId(id.0);
            let chat = state.chat_mut(forum);
            chat.topics.insert(topic, Topic { name: name.to_owned(), closed: false });
            chat.posts.get_mut(&id.0).expect("it was just put there").topic = Some(topic);
            state.tell(forum, id.0);
            topic
        })
    }

    /// Nobody but administrators writes in the topic any more.
    pub fn close_topic(&self, forum: ChatId, topic: TopicId, closed: bool) {
        self.shared.change(|state| {
            let topics = &mut state.chat_mut(forum).topics;
            topics.get_mut(&topic).expect("the topic was made").closed = closed;
        });
    }
}
