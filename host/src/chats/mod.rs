//! Chat frontends: transports live here, what is said and shown is the plugins'.
//!
//! An update becomes what was said (`hear`), that an intent, the intent a reply, the reply posts (`show`). Notices about tasks come the
//! other way, from the engine. Nobody present is no error: the journal keeps what happened.
//!
//! A component lends nobody its words: what counts as said is held against the update (`said`), what is shown against the notice
//! (`shown`), and what either leaves out is told (`misconduct`).

pub mod console;
mod conversation;
pub mod copies;
mod live;
mod misconduct;
mod operators;
mod reach;
mod said;
mod shown;
pub mod telegram;

pub use conversation::Conversation;
pub use live::Live;
pub use misconduct::{Caught, Misconduct};
pub use operators::{Operators, here, person_of};
pub use reach::Reach;

use crate::{engine::handle::Handle, mail::Mailbox};
use borg_core::chat::{Notice, Post, Said, Update};
use borg_plugins::{CallError, Kind, Plugins};
use serde_json::Value;
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::mpsc;

/// What we are called where policy gives us no other name, as in the manifests of the shipped frontends.
const CALLED: &str = "Borg";

/// Columns assumed where nobody says.
pub const WIDTH: u32 = 100;

/// Why a frontend says nothing.
#[derive(Debug, thiserror::Error)]
pub enum ChatError {
    #[error(transparent)]
    Call(#[from] CallError),
    #[error("[chat.{chat}.settings] of policy does not fit: {faults}")]
    Settings { chat: String, faults: String },
}

/// Routes notices to whoever listens in their chat.
#[derive(Clone)]
pub struct Chats {
    plugins: Plugins,
    handle: Handle,
    listeners: Arc<Mutex<HashMap<String, Listener>>>,
    /// Transports that may be away: what is told there waits in the journal.
    mailboxes: Vec<Mailbox>,
    /// Chat of those who run this host, `transport:chat`.
    admin: Option<String>,
    /// What components were caught at.
    pub misconduct: Misconduct,
}

#[derive(Clone)]
struct Listener {
    posts: mpsc::Sender<Post>,
    /// Columns there are now; a window may be made larger or smaller at any time.
    width: fn() -> u32,
}

impl Chats {
    pub fn new(plugins: Plugins, handle: Handle) -> Self {
        Chats {
            plugins,
            handle,
            listeners: Arc::default(),
            mailboxes: Vec::new(),
            admin: None,
            misconduct: Misconduct::default(),
        }
    }

    /// Tells the chats of a transport by mail from now on.
    pub fn by_mail(mut self, mailbox: Mailbox) -> Self {
        self.mailboxes.push(mailbox);
        self
    }

    /// Shows reviews in the chat of those who run this host, too.
    pub fn with_operators_in(mut self, admin: Option<String>) -> Self {
        self.admin = admin;
        self
    }

    /// True where what is told waits in the journal, to be read later and elsewhere.
    pub fn is_by_mail(&self, chat: &str) -> bool {
        self.mailbox(chat).is_some()
    }

    fn mailbox(&self, chat: &str) -> Option<&Mailbox> {
        let transport = chat.split_once(':').map_or("", |(transport, _)| transport);
        self.mailboxes.iter().find(|mailbox| mailbox.transport == transport)
    }

    /// Listens in a chat, `transport:name`; a later listener takes the place of an earlier one.
    pub fn listen(&self, chat: &str, width: fn() -> u32) -> mpsc::Receiver<Post> {
        let (posts, queue) = mpsc::channel(256);
        let listener = Listener { posts, width };
        self.listeners.lock().unwrap_or_else(PoisonError::into_inner).insert(chat.to_owned(), listener);
        queue
    }

    /// True while somebody listens in a chat.
    pub fn is_heard(&self, chat: &str) -> bool {
        let listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
        listeners.get(chat).is_some_and(|listener| !listener.posts.is_closed())
    }

    /// Shows a notice to whoever is there; nobody is no error. Where it goes by mail it is owed when this returns, once for each `key`.
    ///
    /// # Errors
    /// When the frontend's plugin or the journal fails, in words.
    pub async fn tell(&self, key: &str, notice: &Notice) -> Result<(), String> {
        if let Some(mailbox) = self.mailbox(&notice.chat) {
            let mut notice = notice.clone();
            notice.replaces = mailbox.replaced_by(&notice).await.map_err(|error| error.to_string())?;
            let posts = self.show(&notice, 0).await.map_err(|error| error.to_string())?;
            return mailbox.post(key, &notice, posts).await.map_err(|error| error.to_string());
        }
        let listener = self.listeners.lock().unwrap_or_else(PoisonError::into_inner).get(&notice.chat).cloned();
        let Some(listener) = listener else { return Ok(()) };
        for post in self.show(notice, (listener.width)()).await.map_err(|error| error.to_string())? {
            if listener.posts.send(post).await.is_err() {
                // The terminal is gone, unless another has taken its place meanwhile.
                let mut listeners = self.listeners.lock().unwrap_or_else(PoisonError::into_inner);
                if listeners.get(&notice.chat).is_some_and(|now| now.posts.same_channel(&listener.posts)) {
                    listeners.remove(&notice.chat);
                }
                break;
            }
        }
        Ok(())
    }

    /// What an update of a transport says: words that its component heard in it, and that count as said.
    pub async fn hear(&self, transport: &str, update: &Update) -> Result<Vec<Said>, ChatError> {
        let chat = self.plugins.chat(transport, None)?;
        let settings = self.settings(transport)?;
        let claims = chat.hear(&settings, update).await?;
        let heard = said::heard(update, &self.called(transport), claims);
        if let Some(what) = heard.forged {
            self.misconduct.note(transport, chat.plugin().digest(), what);
        }
        Ok(heard.said)
    }

    /// The name that may stand in front of what is meant for us. Policy's word: a manifest, which may have a default for it, is the
    /// component's own, and whatever it calls us could be left out of what people say.
    fn called(&self, transport: &str) -> String {
        let policy = self.handle.policy();
        let settings = policy.chats.get(transport).map(|chat| &chat.settings);
        let name = settings.and_then(|settings| settings.get("name")).and_then(Value::as_str);
        name.unwrap_or(CALLED).to_owned()
    }

    /// Posts for a notice, by the plugin of its transport, with nothing in them that the notice does not bear out.
    pub async fn show(&self, notice: &Notice, width: u32) -> Result<Vec<Post>, ChatError> {
        let mut notice = notice.clone();
        notice.width = width;
        let transport = notice.chat.split_once(':').map_or("console", |(transport, _)| transport);
        let chat = self.plugins.chat(transport, None)?;
        let posts = chat.show(&self.settings(transport)?, &notice).await?;
        let (posts, fault) = shown::held(&notice, posts);
        if let Some(what) = fault {
            self.misconduct.note(transport, chat.plugin().digest(), what);
        }
        Ok(posts)
    }

    /// Settings of a frontend in the policy in force.
    fn settings(&self, name: &str) -> Result<Value, ChatError> {
        let Some(manifest) = self.plugins.manifest(Kind::Chat, name) else { return Ok(Value::Null) };
        let given = self.handle.policy().chats.get(name).map(|chat| chat.settings.clone());
        manifest
            .validate_settings(&given.unwrap_or_default())
            .map_err(|faults| ChatError::Settings { chat: name.to_owned(), faults: faults.join("; ") })
    }
}

#[cfg(test)]
mod impostor;
#[cfg(test)]
mod tests;
