//! What the body of a post says.

use super::Offer;
use borg_core::chat::{Post, TextPost};

/// A post as it is kept.
pub fn text(post: &Post) -> String {
    serde_json::to_string(post).expect("a post is text and numbers")
}

/// Buttons of a post as it goes out.
pub fn buttons(post: &str) -> Vec<Offer> {
    match serde_json::from_str(post) {
        Ok(Post::Send(post) | Post::Edit { post, .. }) => post.buttons,
        Ok(Post::Document { .. } | Post::Answer { .. } | Post::Typing { .. }) | Err(_) => Vec::new(),
    }
}

/// The post as an edit of the message with this receipt; none where it is nothing that is edited.
pub fn as_edit(post: &str, receipt: &str) -> Option<String> {
    match serde_json::from_str(post) {
        Ok(Post::Send(post)) => Some(text(&Post::Edit { receipt: receipt.to_owned(), post })),
        Ok(Post::Edit { .. } | Post::Document { .. } | Post::Answer { .. } | Post::Typing { .. }) | Err(_) => None,
    }
}

/// The post as it goes out in a chat in which nothing that was said before can be edited or answered; none where it stays as it is.
pub fn in_another_chat(post: &str) -> Option<String> {
    let anew = match serde_json::from_str(post) {
        Ok(Post::Send(post) | Post::Edit { post, .. }) => Post::Send(TextPost { reply_to: None, ..post }),
        Ok(Post::Document { chat, document, caption, .. }) => {
            Post::Document { chat, document, caption, reply_to: None }
        }
        Ok(Post::Answer { .. } | Post::Typing { .. }) | Err(_) => return None,
    };
    Some(text(&anew))
}
