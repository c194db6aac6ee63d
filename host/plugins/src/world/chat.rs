//! World `chat-plugin`: how people talk to us. `poll` and `send` are for transport `http`, which no host speaks yet: a component of
//! that transport is refused when it is loaded.

use super::{
    contract::Contract,
    each,
    exports::{Exports, Functions},
    v0_1::chat as v0_1,
    wit::chat as wit,
};
use crate::{
    error::{CallError, Cause},
    guest::Guest,
    plugin::Plugin,
};
use borg_core::chat as core;
use serde_json::Value;
use std::sync::Arc;
use wasmtime::component::{ComponentType, Lower};

/// Longest `action` of a button, in bytes.
const MAX_ACTION: usize = 64;

/// A loaded chat frontend; cheap to clone, and good for as long as it is held, whatever happens to the file.
#[derive(Clone)]
pub struct Chat {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) info: Arc<core::ChatInfo>,
}

impl Chat {
    /// The plugin behind this handle.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// What `describe` said when the plugin was loaded.
    pub fn info(&self) -> &core::ChatInfo {
        &self.info
    }

    /// Asks the component again; [`Self::info`] is the same for less.
    pub async fn describe(&self) -> Result<core::ChatInfo, CallError> {
        describe(&self.plugin.guest, &self.plugin.exports).await
    }

    /// What an update says; it may say nothing to us. `settings` must have been validated.
    pub async fn hear(&self, settings: &Value, update: &core::Update) -> Result<Vec<core::Said>, CallError> {
        let (settings, update) = (settings.to_string(), wit::Update::from(update));
        let said: Vec<wit::Said> = match self.plugin.exports.contract {
            Contract::V0_2 => self.plugin.call("hear", (&settings, &update)).await?,
            Contract::V0_1 => self.plugin.call("hear", (&settings, &v0_1::Update::from(update))).await?,
        };
        Ok(said.into_iter().map(core::Said::from).collect())
    }

    /// Posts that show a notice, in order. Refused as an answer: a button whose action is longer than 64 bytes.
    pub async fn show(&self, settings: &Value, notice: &core::Notice) -> Result<Vec<core::Post>, CallError> {
        let (settings, notice) = (settings.to_string(), wit::Notice::from(notice));
        let posts: Vec<wit::Post> = self.plugin.call("show", (&settings, &notice)).await?;
        let posts: Vec<core::Post> = posts.into_iter().map(core::Post::from).collect();
        let long = posts.iter().flat_map(buttons).find(|button| button.action.len() > MAX_ACTION);
        match long {
            Some(button) => {
                let why = format!("a button's action of {} bytes, over the limit of {MAX_ACTION}", button.action.len());
                Err(self.plugin.guest.error("show", Cause::BadAnswer(why)))
            }
            None => Ok(posts),
        }
    }
}

/// Asks the component who it is, once all its functions were found to be those of the contract.
pub(crate) async fn describe(guest: &Guest, exports: &Exports) -> Result<core::ChatInfo, CallError> {
    let info: wit::ChatInfo = exports
        .describe(guest, |functions| match exports.contract {
            Contract::V0_2 => fits::<wit::Update>(functions),
            Contract::V0_1 => fits::<v0_1::Update>(functions),
        })
        .await?;
    let transport = match info.transport {
        wit::Transport::Telegram => core::Transport::Telegram,
        wit::Transport::Console => core::Transport::Console,
        wit::Transport::Web => core::Transport::Web,
        wit::Transport::Http => core::Transport::Http,
    };
    Ok(core::ChatInfo { name: info.name, summary: info.summary, transport })
}

/// The functions of a chat that this host calls, with the type that differs between versions.
fn fits<Update: ComponentType + Lower>(functions: &mut Functions<'_>) -> wasmtime::Result<()> {
    functions.has::<(&str, &Update), Vec<wit::Said>>("hear")?;
    functions.has::<(&str, &wit::Notice), Vec<wit::Post>>("show")
}

fn buttons(post: &core::Post) -> &[core::Button] {
    match post {
        core::Post::Send(post) | core::Post::Edit { post, .. } => &post.buttons,
        core::Post::Document { .. } | core::Post::Answer { .. } | core::Post::Typing { .. } => &[],
    }
}

impl From<&core::Update> for wit::Update {
    fn from(update: &core::Update) -> Self {
        wit::Update {
            id: update.id.clone(),
            receipt: update.receipt.clone(),
            chat: update.chat.clone(),
            sender: update.sender.clone(),
            sender_name: update.sender_name.clone(),
            sender_is_bot: update.sender_is_bot,
            own_name: update.own_name.clone(),
            text: update.text.clone(),
            kind: match update.kind {
                core::UpdateKind::Message => wit::UpdateKind::Message,
                core::UpdateKind::Edited => wit::UpdateKind::Edited,
                core::UpdateKind::Button => wit::UpdateKind::Button,
                core::UpdateKind::Document => wit::UpdateKind::Document,
                core::UpdateKind::Other => wit::UpdateKind::Other,
            },
            reply_to: update.reply_to.clone(),
            raw: update.raw.clone(),
            marks: update.marks.as_ref().map(|marks| wit::Marks { forwarded: marks.forwarded, via_bot: marks.via_bot }),
            extra: vec![],
        }
    }
}

impl From<wit::Said> for core::Said {
    fn from(said: wit::Said) -> Self {
        core::Said {
            sender: said.sender,
            chat: said.chat,
            text: said.text,
            addressed: match said.addressed {
                wit::Addressed::Command => core::Addressed::Command,
                wit::Addressed::Mention => core::Addressed::Mention,
                wit::Addressed::Reply => core::Addressed::Reply,
                wit::Addressed::Button => core::Addressed::Button,
                wit::Addressed::PrivateChat => core::Addressed::PrivateChat,
                wit::Addressed::Overheard => core::Addressed::Overheard,
            },
            reply_to: said.reply_to,
            problem: said.problem,
        }
    }
}

impl From<&core::Notice> for wit::Notice {
    fn from(notice: &core::Notice) -> Self {
        wit::Notice {
            chat: notice.chat.clone(),
            kind: match notice.kind {
                core::NoticeKind::Answer => wit::NoticeKind::Answer,
                core::NoticeKind::Hint => wit::NoticeKind::Hint,
                core::NoticeKind::Progress => wit::NoticeKind::Progress,
                core::NoticeKind::Final => wit::NoticeKind::Final,
                core::NoticeKind::Review => wit::NoticeKind::Review,
                core::NoticeKind::Question => wit::NoticeKind::Question,
                core::NoticeKind::Warning => wit::NoticeKind::Warning,
            },
            topic: notice.topic.clone(),
            parts: each(&notice.parts),
            buttons: each(&notice.buttons),
            document: notice.document.as_ref().map(wit::Document::from),
            replaces: notice.replaces.clone(),
            reply_to: notice.reply_to.clone(),
            silent: notice.silent,
            width: notice.width,
            extra: vec![],
        }
    }
}

impl From<&core::Part> for wit::Part {
    fn from(part: &core::Part) -> Self {
        match part {
            core::Part::Heading(text) => wit::Part::Heading(text.clone()),
            core::Part::Text(text) => wit::Part::Text(text.clone()),
            core::Part::Code { language, text } => wit::Part::Code((language.clone(), text.clone())),
            core::Part::Item(text) => wit::Part::Item(text.clone()),
            core::Part::Field { label, value } => wit::Part::Field((label.clone(), value.clone())),
            core::Part::Diff(text) => wit::Part::Diff(text.clone()),
        }
    }
}

impl From<&core::Button> for wit::Button {
    fn from(button: &core::Button) -> Self {
        wit::Button { label: button.label.clone(), action: button.action.clone() }
    }
}

impl From<&core::Document> for wit::Document {
    fn from(document: &core::Document) -> Self {
        wit::Document { name: document.name.clone(), text: document.text.clone() }
    }
}

impl From<wit::TextPost> for core::TextPost {
    fn from(post: wit::TextPost) -> Self {
        let button = |button: wit::Button| core::Button { label: button.label, action: button.action };
        core::TextPost {
            chat: post.chat,
            text: post.text,
            entities: post.entities,
            buttons: post.buttons.into_iter().map(button).collect(),
            reply_to: post.reply_to,
            silent: post.silent,
        }
    }
}

impl From<wit::Post> for core::Post {
    fn from(post: wit::Post) -> Self {
        match post {
            wit::Post::Send(post) => core::Post::Send(post.into()),
            wit::Post::Edit(edit) => core::Post::Edit { receipt: edit.receipt, post: edit.post.into() },
            wit::Post::Document(post) => core::Post::Document {
                chat: post.chat,
                document: core::Document { name: post.document.name, text: post.document.text },
                caption: post.caption,
                reply_to: post.reply_to,
            },
            wit::Post::Answer(toast) => core::Post::Answer { chat: toast.chat, press: toast.press, text: toast.text },
            wit::Post::Typing(chat) => core::Post::Typing { chat },
        }
    }
}
