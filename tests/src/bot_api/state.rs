//! Everything the stand-in knows, behind one lock: the bot, the people, the chats and what was said in them.
//!
//! Here: finding a chat and saying why the bot may not write to it, and putting a message into it. What a call does is under `methods/`, what
//! people do in `script/`.

use super::{
    Options, Privacy,
    chats::{Chat, Kind, Standing, User},
    clock::Clock,
    faults::Faults,
    files::Files,
    ids::{CHANNEL_BOT, ChatId, GROUP_ANONYMOUS_BOT, MessageId, TELEGRAM, UserId},
    limits::Meter,
    poll::Polls,
    posts::Post,
    presses::Presses,
    record::Calls,
    refusal::Refusal,
    updates::Updates,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

pub(super) struct State {
    pub clock: Clock,
    pub token: String,
    pub revoked: bool,
    pub me: UserId,
    pub privacy: Privacy,
    pub press_life: Duration,
    pub users: BTreeMap<UserId, User>,
    pub chats: BTreeMap<ChatId, Chat>,
    pub files: Files,
    pub presses: Presses,
    pub updates: Updates,
    pub polls: Polls,
    pub meter: Meter,
    pub faults: Faults,
    pub calls: Calls,
    /// Lists of commands by scope and language.
    pub commands: BTreeMap<(String, String), Value>,
    pub webhook: Option<Value>,
    /// What a real server would have put up with, or the stand-in does not play.
    pub problems: Vec<String>,
    /// Adds a field no library knows to each object sent.
    pub unknown_fields: bool,
    /// Private chats and groups share one count of messages.
    last_message: i64,
    last_id: i64,
}

impl State {
    pub fn new(options: &Options) -> Self {
        let me = UserId(options.token.split(':').next().and_then(|id| id.parse().ok()).unwrap_or(1));
        let mut state = Self {
            clock: Clock::new(options.speed),
            token: options.token.clone(),
            revoked: false,
            me,
            privacy: options.privacy,
            press_life: options.press_life,
            users: BTreeMap::new(),
            chats: BTreeMap::new(),
            files: Files::default(),
            presses: Presses::default(),
            updates: Updates::new(740_100_001),
            polls: Polls::default(),
            meter: Meter::new(options.limits),
            faults: Faults::default(),
            calls: Calls::default(),
            commands: BTreeMap::new(),
            webhook: None,
            problems: Vec::new(),
            unknown_fields: false,
            last_message: 0,
            last_id: 0,
        };
        let known = [
            (me, true, options.name.as_str(), Some(options.username.as_str())),
            (GROUP_ANONYMOUS_BOT, true, "Group", Some("GroupAnonymousBot")),
            (CHANNEL_BOT, true, "Channel", Some("Channel_Bot")),
            (TELEGRAM, false, "Telegram", None),
        ];
        for (id, is_bot, name, username) in known {
            let username = username.map(str::to_owned);
            let user = User { id, is_bot, first_name: name.into(), username, language_code: None, deactivated: false };
            state.users.insert(id, user);
        }
        state
    }

    /// A number nobody has yet, for people and chats.
    pub fn fresh_id(&mut self) -> i64 {
        self.last_id += 1;
        self.last_id
    }

    pub fn chat(&self, id: ChatId) -> &Chat {
        self.chats.get(&id).unwrap_or_else(|| panic!("no chat {id:?} was made"))
    }

    pub fn chat_mut(&mut self, id: ChatId) -> &mut Chat {
        self.chats.get_mut(&id).unwrap_or_else(|| panic!("no chat {id:?} was made"))
    }

    pub fn user(&self, id: UserId) -> &User {
        self.users.get(&id).unwrap_or_else(|| panic!("no user {id:?} was made"))
    }

    pub fn user_wire(&self, id: UserId) -> Value {
        self.user(id).wire()
    }

    pub fn chat_wire(&self, id: ChatId) -> Value {
        let chat = self.chat(id);
        let person = match chat.kind {
            Kind::Private { user, .. } => Some(self.user(user)),
            Kind::Group { .. } | Kind::Supergroup { .. } | Kind::Channel => None,
        };
        chat.wire(person)
    }

    pub fn member_wire(&self, chat: ChatId, user: UserId, standing: Standing) -> Value {
        standing.wire(self.user_wire(user), &self.chat(chat).kind)
    }

    /// The chat a call names, by number or by `@name`, whatever the bot may do there.
    pub fn named(&self, chat_id: &str) -> Option<ChatId> {
        match chat_id.strip_prefix('@') {
            Some(name) => {
                let mut public = self.chats.values().filter(|chat| !matches!(chat.kind, Kind::Private { .. }));
                let same =
                    |chat: &&Chat| chat.username.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(name));
                public.find(same).map(|chat| chat.id)
            }
            None => chat_id.parse().ok().map(ChatId).filter(|id| self.chats.contains_key(id)),
        }
    }

    /// The chat a call names, if the bot may see it.
    pub fn readable(&self, chat_id: &str) -> Result<ChatId, Refusal> {
        if chat_id.is_empty() {
            return Err(Refusal::bad("chat_id is empty"));
        }
        let not_found = || Refusal::bad("chat not found");
        let id = self.named(chat_id).ok_or_else(not_found)?;
        let chat = self.chat(id);
        let standing = chat.standing(self.me);
        let shut_out = |what: &str| match standing {
            Standing::Kicked => Err(Refusal::forbidden(format!("bot was kicked from the {what} chat"))),
            Standing::Left => Err(Refusal::forbidden(format!("bot is not a member of the {what} chat"))),
            Standing::Creator | Standing::Administrator | Standing::Member => Ok(id),
        };
        match &chat.kind {
            Kind::Private { user, started, .. } => {
                if *started || self.shares_a_group(*user) {
                    Ok(id)
                } else {
                    Err(not_found())
                }
            }
            Kind::Group { migrated_to: Some(to) } => Err(Refusal::migrated(to.0)),
            Kind::Group { migrated_to: None } => shut_out("group"),
            Kind::Supergroup { .. } => shut_out("supergroup"),
            Kind::Channel => shut_out("channel"),
        }
    }

    /// The chat a call names, if the bot may write to it.
    pub fn writable(&self, chat_id: &str) -> Result<ChatId, Refusal> {
        let id = self.readable(chat_id)?;
        match &self.chat(id).kind {
            Kind::Private { user, started, blocked } => {
                let person = self.user(*user);
                if person.is_bot {
                    Err(Refusal::forbidden("bot can't send messages to bots"))
                } else if person.deactivated {
                    Err(Refusal::forbidden("user is deactivated"))
                } else if *blocked {
                    Err(Refusal::forbidden("bot was blocked by the user"))
                } else if !started {
                    Err(Refusal::forbidden("bot can't initiate conversation with a user"))
                } else {
                    Ok(id)
                }
            }
            Kind::Channel if !self.chat(id).standing(self.me).is_admin() => {
                Err(Refusal::bad("need administrator rights in the channel chat"))
            }
            Kind::Channel | Kind::Group { .. } | Kind::Supergroup { .. } => Ok(id),
        }
    }

    fn shares_a_group(&self, user: UserId) -> bool {
        let with_both = |chat: &Chat| chat.standing(self.me).is_in() && chat.standing(user).is_in();
        self.chats.values().any(with_both)
    }

    /// Puts a message into a chat, under the next number and with the present date.
    pub fn put(&mut self, chat: ChatId, mut post: Post) -> MessageId {
        post.date = self.clock.unix();
        post.at = self.clock.elapsed();
        let own_count = matches!(self.chat(chat).kind, Kind::Supergroup { .. } | Kind::Channel);
        post.id = if own_count {
            let chat = self.chat_mut(chat);
            chat.last_message += 1;
            chat.last_message
        } else {
            self.last_message += 1;
            self.last_message
        };
        let id = post.id;
        self.chat_mut(chat).posts.insert(id, post);
        MessageId(id)
    }

    /// Queues an update that is kept for a day.
    pub fn update(&mut self, kind: &str, value: Value) -> Option<i64> {
        let now = self.clock.unix();
        self.updates.push(kind, value, super::updates::DAY_S, now)
    }

    /// The `User` object of the bot with what only `getMe` tells.
    pub fn me_wire(&self) -> Value {
        let mut wire = self.user_wire(self.me);
        wire["can_join_groups"] = json!(true);
        wire["can_read_all_group_messages"] = json!(self.privacy == Privacy::Off);
        for ability in [
            "supports_inline_queries",
            "can_connect_to_business",
            "has_main_web_app",
            "has_topics_enabled",
            "allows_users_to_create_topics",
            "can_manage_bots",
            "supports_join_request_queries",
        ] {
            wire[ability] = json!(false);
        }
        wire
    }
}
