//! World `chat-plugin`: how people talk to us. The records are those of `wit/chat.wit`.

pub use crate::bindings::chat::borg::plugin::clock;
pub use crate::bindings::chat::exports::borg::plugin::chat::{
    Addressed, Batch, Button, ChatInfo, Document, DocumentPost, EditPost, Notice, NoticeKind, Part, Post, Said,
    SendError, TextPost, Transport, Update, UpdateKind,
};

/// What a chat frontend is. Sockets, tokens and offsets are the host's, but for transport `http`.
pub trait Chat {
    /// Name and transport; the name must be the one in `plugin.toml`.
    fn describe() -> ChatInfo;
    /// What an update says; an update may hold nothing for us.
    fn hear(update: Update) -> Vec<Said>;
    /// Posts that show a notice, in order. Its text may be hostile and must not become mark-up.
    fn show(notice: Notice) -> Vec<Post>;
    /// Transport `http` only: new updates since the cursor.
    fn poll(cursor: Option<String>) -> Result<Batch, String> {
        let _ = cursor;
        Err("this frontend has no network of its own".into())
    }
    /// Transport `http` only: sends one post; `key` is the same when a send is repeated.
    fn send(post: Post, key: String) -> Result<String, SendError> {
        let _ = (post, key);
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
                fn hear(update: Update) -> Vec<Said> {
                    <$chat as Chat>::hear(update)
                }
                fn show(notice: Notice) -> Vec<Post> {
                    <$chat as Chat>::show(notice)
                }
                fn poll(cursor: Option<String>) -> Result<Batch, String> {
                    <$chat as Chat>::poll(cursor)
                }
                fn send(post: Post, key: String) -> Result<String, SendError> {
                    <$chat as Chat>::send(post, key)
                }
            }
    $crate::bindings::chat::export_chat!(Component with_types_in $crate::bindings::chat);
        };
    };
}

impl ChatInfo {
    /// A frontend of the given transport.
    pub fn new(name: &str, summary: &str, transport: Transport) -> Self {
        ChatInfo { name: name.into(), summary: summary.into(), transport, extra: Vec::new() }
    }
}
