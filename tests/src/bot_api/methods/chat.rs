//! Questions about a chat, and leaving it.

use super::{Context, Done};
use crate::bot_api::{
    chats::{Kind, Standing},
    ids::UserId,
    refusal::Refusal,
};
use serde_json::{Value, json};

pub(super) fn get_chat(context: Context<'_>) -> Done {
    let id = context.state.readable(&context.params.text("chat_id"))?;
    let chat = context.state.chat(id);
    let mut wire = context.state.chat_wire(id);
    wire["accent_color_id"] = json!(id.0.rem_euclid(7));
    wire["max_reaction_count"] = json!(11);
    let gifts = matches!(chat.kind, Kind::Private { .. });
    let mut accepted = json!({});
    for kind in ["unlimited_gifts", "limited_gifts", "unique_gifts", "premium_subscription", "gifts_from_channels"] {
        accepted[kind] = json!(gifts);
    }
    wire["accepted_gift_types"] = accepted;
    if matches!(chat.kind, Kind::Group { .. } | Kind::Supergroup { .. }) {
        wire["permissions"] = permissions();
    }
    if let Some(post) = chat.pinned.last().and_then(|pinned| chat.posts.get(pinned)) {
        wire["pinned_message"] = context.state.message(id, post);
    }
    Ok(wire)
}

fn permissions() -> Value {
    let mut permissions = json!({});
    for what in [
        "can_send_messages",
        "can_send_audios",
        "can_send_documents",
        "can_send_photos",
        "can_send_videos",
        "can_send_video_notes",
        "can_send_voice_notes",
        "can_send_polls",
        "can_send_other_messages",
        "can_add_web_page_previews",
        "can_change_info",
        "can_invite_users",
        "can_pin_messages",
        "can_manage_topics",
    ] {
        permissions[what] = json!(true);
    }
    permissions
}

pub(super) fn get_member(context: Context<'_>) -> Done {
    let id = context.state.readable(&context.params.text("chat_id"))?;
    let user = context.params.integer("user_id").filter(|id| *id > 0);
    let user = user.map(UserId).ok_or_else(|| Refusal::bad("invalid user_id specified"))?;
    if !context.state.users.contains_key(&user) {
        return Err(Refusal::bad("user not found"));
    }
    let chat = context.state.chat(id);
    let standing = match chat.kind {
        Kind::Private { user: person, .. } if user == person || user == context.state.me => Standing::Member,
        Kind::Private { .. } => return Err(Refusal::bad("user not found")),
        Kind::Group { .. } | Kind::Supergroup { .. } | Kind::Channel => chat.standing(user),
    };
    Ok(context.state.member_wire(id, user, standing))
}

pub(super) fn get_administrators(context: Context<'_>) -> Done {
    let id = context.state.readable(&context.params.text("chat_id"))?;
    let chat = context.state.chat(id);
    if !chat.is_group() {
        return Err(Refusal::bad("there are no administrators in the private chat"));
    }
    let admins = chat.members.iter().filter(|(user, standing)| {
        // Other bots are left out.
        standing.is_admin() && (**user == context.state.me || !context.state.user(**user).is_bot)
    });
    Ok(admins.map(|(user, standing)| context.state.member_wire(id, *user, *standing)).collect())
}

pub(super) fn leave(context: Context<'_>) -> Done {
    let id = context.state.readable(&context.params.text("chat_id"))?;
    if !context.state.chat(id).is_group() {
        return Err(Refusal::bad("chat member status can't be changed in private chats"));
    }
    let me = context.state.me;
    context.state.set_standing(id, me, me, Standing::Left);
    Ok(json!(true))
}
