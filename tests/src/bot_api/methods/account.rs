//! The bot itself: who it is, its menu of commands, its webhook, its files.

use super::{Context, Done};
use crate::bot_api::{files::DOWNLOAD_LIMIT, refusal::Refusal, text};
use serde_json::{Value, json};

const SCOPES: [&str; 7] = [
    "default",
    "all_private_chats",
    "all_group_chats",
    "all_chat_administrators",
    "chat",
    "chat_administrators",
    "chat_member",
];
/// Commands in one list.
const COMMAND_LIMIT: usize = 100;

pub(super) fn get_me(context: Context<'_>) -> Done {
    Ok(context.state.me_wire())
}

pub(super) fn set_my_commands(context: Context<'_>) -> Done {
    let key = context.scope()?;
    let commands = context.params.json("commands", "commands")?.unwrap_or_else(|| json!([]));
    let list = commands.as_array().ok_or_else(|| Refusal::bad("expected an Array of BotCommand"))?;
    if list.len() > COMMAND_LIMIT {
        return Err(Refusal::bad("BOT_COMMANDS_TOO_MUCH"));
    }
    for command in list {
        let name = command["command"].as_str().unwrap_or("").trim_start_matches('/');
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if !(1..=32).contains(&name.len()) || !name.chars().all(plain) {
            return Err(Refusal::bad("BOT_COMMAND_INVALID"));
        }
        if !(1..=256).contains(&text::units(command["description"].as_str().unwrap_or(""))) {
            return Err(Refusal::bad("BOT_COMMAND_DESCRIPTION_INVALID"));
        }
    }
    context.state.commands.insert(key, commands);
    Ok(json!(true))
}

pub(super) fn get_my_commands(context: Context<'_>) -> Done {
    let key = context.scope()?;
    Ok(context.state.commands.get(&key).cloned().unwrap_or_else(|| json!([])))
}

pub(super) fn delete_my_commands(context: Context<'_>) -> Done {
    let key = context.scope()?;
    context.state.commands.remove(&key);
    Ok(json!(true))
}

pub(super) fn set_webhook(context: Context<'_>) -> Done {
    let url = context.params.text("url");
    if url.is_empty() {
        return delete_webhook(context);
    }
    let Some(rest) = url.strip_prefix("https://") else {
        return Err(Refusal::bad("bad webhook: An HTTPS URL must be provided for webhook"));
    };
    let host = rest.split(['/', '?']).next().unwrap_or("");
    let port = host.rsplit_once(':').map(|(_, port)| port);
    if host.is_empty() {
        return Err(Refusal::bad("invalid webhook URL specified"));
    }
    if port.is_some_and(|port| !["80", "88", "443", "8443"].contains(&port)) {
        return Err(Refusal::bad("bad webhook: Webhook can be set up only on ports 80, 88, 443 or 8443"));
    }
    context.state.updates.allow(context.params.json("allowed_updates", "allowed updates")?.as_ref());
    if context.params.flag("drop_pending_updates") {
        context.state.updates.drop_pending();
    }
    let most = context.params.integer("max_connections").unwrap_or(40).clamp(1, 100);
    context.state.webhook = Some(json!({ "url": url, "has_custom_certificate": false, "max_connections": most }));
    context.state.problems.push("a webhook is set; updates are not delivered to it here".into());
    Ok(json!(true))
}

pub(super) fn delete_webhook(context: Context<'_>) -> Done {
    context.state.webhook = None;
    if context.params.flag("drop_pending_updates") {
        context.state.updates.drop_pending();
    }
    Ok(json!(true))
}

pub(super) fn get_webhook_info(context: Context<'_>) -> Done {
    let none = || json!({ "url": "", "has_custom_certificate": false });
    let mut info = context.state.webhook.clone().unwrap_or_else(none);
    info["pending_update_count"] = json!(context.state.updates.pending(context.state.clock.unix()));
    if let Some(allowed) = context.state.updates.allowed() {
        info["allowed_updates"] = json!(allowed);
    }
    Ok(info)
}

pub(super) fn get_file(context: Context<'_>) -> Done {
    let id = context.params.text("file_id");
    let Some(file) = context.state.files.get(&id) else {
        return Err(Refusal::bad("invalid file_id"));
    };
    if file.bytes.len() > DOWNLOAD_LIMIT {
        return Err(Refusal::bad("file is too big"));
    }
    let mut wire = context.state.files.wire(&id);
    wire["file_path"] = json!(file.path);
    Ok(wire)
}

impl Context<'_> {
    /// The key under which a list of commands is kept.
    fn scope(&self) -> Result<(String, String), Refusal> {
        let scope = self.params.json("scope", "BotCommandScope")?.unwrap_or_else(|| json!({ "type": "default" }));
        let kind = scope["type"].as_str().unwrap_or("");
        if !SCOPES.contains(&kind) {
            return Err(Refusal::bad("can't parse BotCommandScope: unsupported type specified"));
        }
        let text = |value: &Value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        };
        let mut key = kind.to_owned();
        if kind.starts_with("chat") {
            let chat = text(&scope["chat_id"]);
            self.state.readable(&chat)?;
            key = format!("{key} {chat}");
        }
        if kind == "chat_member" {
            key = format!("{key} {}", text(&scope["user_id"]));
        }
        Ok((key, self.params.text("language_code")))
    }
}
