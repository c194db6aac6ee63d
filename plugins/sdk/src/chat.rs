//! World `chat-plugin`: how people talk to us. The records are those of `wit/chat.wit`.

use crate::visible;

pub use crate::bindings::chat::borg::plugin::clock;
pub use crate::bindings::chat::exports::borg::plugin::chat::{
    Addressed, Batch, Button, ChatInfo, Document, DocumentPost, EditPost, Marks, Notice, NoticeKind, Part, Post, Said,
    SendError, TextPost, Toast, Transport, Update, UpdateKind,
};

/// What a chat frontend is. Sockets, tokens and offsets are the host's, but for transport `http`. `settings` is for [`crate::settings`].
pub trait Chat {
    /// Name and transport; the name must be the one in `plugin.toml`.
    fn describe() -> ChatInfo;
    /// What an update says; an update may hold nothing for us.
    fn hear(settings: &str, update: Update) -> Vec<Said>;
    /// Posts that show a notice, in order. Its text may be hostile and must not become mark-up.
    fn show(settings: &str, notice: Notice) -> Vec<Post>;
    /// Transport `http` only: new updates since the cursor.
    fn poll(settings: &str, cursor: Option<String>) -> Result<Batch, String> {
        let _ = (settings, cursor);
        Err("this frontend has no network of its own".into())
    }
    /// Transport `http` only: sends one post; `key` is the same when a send is repeated.
    fn send(settings: &str, post: Post, key: String) -> Result<String, SendError> {
        let _ = (settings, post, key);
        Err(SendError::Other("this frontend has no network of its own".into()))
    }
}

/// Makes a type that is a [`Chat`] the frontend of this component.
#[macro_export]
macro_rules! chat {
    ($chat:ty) => {
        #[cfg(target_family = "wasm")]
        const _: () = {
            use $crate::chat::{Batch, Chat, ChatInfo, Notice, Post, Said, SendError, Update};
            struct Component;
            impl $crate::bindings::chat::exports::borg::plugin::chat::Guest for Component {
                fn describe() -> ChatInfo {
                    <$chat as Chat>::describe()
                }
                fn hear(settings: String, update: Update) -> Vec<Said> {
                    <$chat as Chat>::hear(&settings, update)
                }
                fn show(settings: String, notice: Notice) -> Vec<Post> {
                    <$chat as Chat>::show(&settings, notice)
                }
                fn poll(settings: String, cursor: Option<String>) -> Result<Batch, String> {
                    <$chat as Chat>::poll(&settings, cursor)
                }
                fn send(settings: String, post: Post, key: String) -> Result<String, SendError> {
                    <$chat as Chat>::send(&settings, post, key)
                }
            }
    $crate::bindings::chat::export_chat!(Component with_types_in $crate::bindings::chat);
        };
    };
}

impl Part {
    /// True for a part that would show as nothing, once what hides in it is made visible.
    pub fn is_empty(&self) -> bool {
        let is_blank = |text: &str| visible(text).trim().is_empty();
        match self {
            Part::Heading(text) | Part::Text(text) | Part::Item(text) | Part::Diff(text) | Part::Code((_, text)) => {
                is_blank(text)
            }
            Part::Field((label, value)) => is_blank(label) && is_blank(value),
        }
    }
}

impl ChatInfo {
    /// A frontend of the given transport.
    pub fn new(name: &str, summary: &str, transport: Transport) -> Self {
        ChatInfo { name: name.into(), summary: summary.into(), transport, extra: Vec::new() }
    }
}
