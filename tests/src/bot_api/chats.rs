//! People, bots and chats: who is where, as what, and how the Bot API writes them down.

use super::{
    ids::{ChatId, TopicId, UserId},
    posts::Post,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, time::Duration};

#[derive(Clone, Debug)]
pub(super) struct User {
    pub id: UserId,
    pub is_bot: bool,
    pub first_name: String,
    pub username: Option<String>,
    pub language_code: Option<String>,
    /// The account was deleted.
    pub deactivated: bool,
}

impl User {
    pub fn wire(&self) -> Value {
        let mut wire = json!({ "id": self.id.0, "is_bot": self.is_bot, "first_name": self.first_name });
        if let Some(name) = &self.username {
            wire["username"] = json!(name);
        }
        if let Some(code) = &self.language_code {
            wire["language_code"] = json!(code);
        }
        wire
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Private {
        user: UserId,
        /// The person has written first, or pressed Start.
        started: bool,
        blocked: bool,
    },
    Group {
        migrated_to: Option<ChatId>,
    },
    Supergroup {
        forum: bool,
    },
    Channel,
}

/// What somebody is in a chat.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    Creator,
    /// With every right a test may need.
    Administrator,
    Member,
    Left,
    Kicked,
}

impl Standing {
    pub(super) fn is_in(self) -> bool {
        matches!(self, Self::Creator | Self::Administrator | Self::Member)
    }

    pub(super) fn is_admin(self) -> bool {
        matches!(self, Self::Creator | Self::Administrator)
    }

    pub(super) fn wire(self, user: Value, kind: &Kind) -> Value {
        match self {
            Self::Creator => json!({ "user": user, "status": "creator", "is_anonymous": false }),
            Self::Administrator => {
                let mut wire = json!({
                    "user": user, "status": "administrator", "can_be_edited": false, "is_anonymous": false,
                    "can_manage_chat": true, "can_delete_messages": true, "can_manage_video_chats": true,
                    "can_restrict_members": true, "can_promote_members": false, "can_change_info": true,
                    "can_invite_users": true, "can_post_stories": false, "can_edit_stories": false,
                    "can_delete_stories": false, "can_send_welcome_messages": false,
                });
                match kind {
                    Kind::Channel => {
                        wire["can_post_messages"] = json!(true);
                        wire["can_edit_messages"] = json!(true);
                    }
                    Kind::Supergroup { forum } => {
                        wire["can_pin_messages"] = json!(true);
                        wire["can_manage_topics"] = json!(forum);
                    }
                    Kind::Group { .. } | Kind::Private { .. } => wire["can_pin_messages"] = json!(true),
                }
                wire
            }
            Self::Member => json!({ "user": user, "status": "member" }),
            Self::Left => json!({ "user": user, "status": "left" }),
            Self::Kicked => json!({ "user": user, "status": "kicked", "until_date": 0 }),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub name: String,
    pub closed: bool,
}

/// A bot said that it is about to do something ("typing").
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Action {
    pub action: String,
    pub topic: Option<TopicId>,
    /// Since the start of the stand-in.
    pub at: Duration,
}

#[derive(Clone, Debug)]
pub(super) struct Chat {
    pub id: ChatId,
    pub kind: Kind,
    pub title: String,
    pub username: Option<String>,
    pub members: BTreeMap<UserId, Standing>,
    pub topics: BTreeMap<TopicId, Topic>,
    pub posts: BTreeMap<i64, Post>,
    /// Number of the last message; used by supergroups and channels, which count for themselves.
    pub last_message: i64,
    pub pinned: Vec<i64>,
    pub actions: Vec<Action>,
    /// The bot that posted last: it gets commands that name nobody.
    pub last_bot: Option<UserId>,
}

impl Chat {
    pub fn new(id: ChatId, kind: Kind, title: &str) -> Self {
        Self {
            id,
            kind,
            title: title.to_owned(),
            username: None,
            members: BTreeMap::new(),
            topics: BTreeMap::new(),
            posts: BTreeMap::new(),
            last_message: 0,
            pinned: Vec::new(),
            actions: Vec::new(),
            last_bot: None,
        }
    }

    pub fn standing(&self, user: UserId) -> Standing {
        self.members.get(&user).copied().unwrap_or(Standing::Left)
    }

    /// True where the rate per minute applies.
    pub fn is_group(&self) -> bool {
        !matches!(self.kind, Kind::Private { .. })
    }

    /// The `Chat` object; `person` is who a private chat is with.
    pub fn wire(&self, person: Option<&User>) -> Value {
        let mut wire = match &self.kind {
            Kind::Private { .. } => {
                let mut wire = json!({ "id": self.id.0, "type": "private" });
                if let Some(person) = person {
                    wire["first_name"] = json!(person.first_name);
                    if let Some(name) = &person.username {
                        wire["username"] = json!(name);
                    }
                }
                wire
            }
            Kind::Group { .. } => json!({ "id": self.id.0, "type": "group", "title": self.title }),
            Kind::Supergroup { forum } => {
                let mut wire = json!({ "id": self.id.0, "type": "supergroup", "title": self.title });
                if *forum {
                    wire["is_forum"] = json!(true);
                }
                wire
            }
            Kind::Channel => json!({ "id": self.id.0, "type": "channel", "title": self.title }),
        };
        if let Some(name) = &self.username {
            wire["username"] = json!(name);
        }
        wire
    }
}
