//! What each method does. One table; a method it does not name is not found, as with a server older than the client.

mod account;
mod chat;
mod edit;
mod send;

use super::{ids::ChatId, params::Params, refusal::Refusal, state::State};
use serde_json::Value;

pub(super) type Done = Result<Value, Refusal>;

/// One call, on its way through.
pub(super) struct Context<'a> {
    pub state: &'a mut State,
    pub params: &'a Params,
    /// Its number in the record.
    pub n: u64,
}

/// Does one call; `getUpdates` is not among them, for it waits.
pub(super) fn call(state: &mut State, n: u64, method: &str, params: &Params) -> Done {
    match find(method) {
        Some(run) => run(Context { state, params, n }),
        None => {
            state.problems.push(format!("{method} is not played"));
            Err(Refusal::new(404, "Not Found: method not found"))
        }
    }
}

fn find(method: &str) -> Option<fn(Context<'_>) -> Done> {
    Some(match method {
        "getme" => account::get_me,
        "setmycommands" => account::set_my_commands,
        "getmycommands" => account::get_my_commands,
        "deletemycommands" => account::delete_my_commands,
        "setwebhook" => account::set_webhook,
        "deletewebhook" => account::delete_webhook,
        "getwebhookinfo" => account::get_webhook_info,
        "getfile" => account::get_file,
        "sendmessage" => send::message,
        "senddocument" => send::document,
        "sendchataction" => send::chat_action,
        "editmessagetext" => edit::text,
        "editmessagereplymarkup" => edit::reply_markup,
        "deletemessage" => edit::delete,
        "answercallbackquery" => edit::answer_callback_query,
        "pinchatmessage" => edit::pin,
        "getchat" => chat::get_chat,
        "getchatmember" => chat::get_member,
        "getchatadministrators" => chat::get_administrators,
        "leavechat" => chat::leave,
        _ => return None,
    })
}

impl Context<'_> {
    fn writable(&self) -> Result<ChatId, Refusal> {
        self.state.writable(&self.params.text("chat_id"))
    }

    /// Counts a post against the limits.
    fn meter(&mut self, chat: ChatId) -> Result<(), Refusal> {
        let now = self.state.clock.now();
        let is_group = self.state.chat(chat).is_group();
        self.state.meter.post(chat.0, is_group, now).map_err(|wait| {
            let outside = self.state.clock.outside(wait);
            Refusal::too_many(outside.as_secs_f64().ceil().max(1.0) as u64)
        })
    }

    fn problem(&mut self, what: impl std::fmt::Display) {
        self.state.problems.push(format!("call {}: {what}", self.n));
    }
}
