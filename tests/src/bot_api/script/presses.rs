//! People press buttons, and some forge presses.

use crate::bot_api::{
    BotApi,
    ids::{ChatId, MessageId, UserId},
    keyboard::buttons,
    state::State,
    updates::PRESS_S,
};
use serde_json::{Value, json};

impl BotApi {
    /// Somebody presses the button with this label or data; gives the number of the query.
    ///
    /// # Panics
    /// When the message has no such button now.
    pub fn press(&self, chat: ChatId, who: UserId, message: MessageId, button: &str) -> String {
        self.shared.change(|state| {
            let post = &state.chat(chat).posts[&message.0];
            let buttons = buttons(post.keyboard.as_ref());
            let pressed = buttons.iter().flatten().find(|b| b.label == button || b.data.as_deref() == Some(button));
            let data = pressed.and_then(|button| button.data.clone());
            let data = data.unwrap_or_else(|| panic!("message {} has no button {button:?} to press", message.0));
            state.press(chat, who, message, &data)
        })
    }

    /// A press with data of the presser's choice, on a button that may be gone or was never there: modified clients can do so.
    pub fn forge_press(&self, chat: ChatId, who: UserId, message: MessageId, data: &str) -> String {
        self.shared.change(|state| state.press(chat, who, message, data))
    }
}

impl State {
    fn press(&mut self, chat: ChatId, who: UserId, message: MessageId, data: &str) -> String {
        let now = self.clock.now();
        let id = self.presses.open(chat, now);
        let post = self.chat(chat).posts.get(&message.0).filter(|post| !post.deleted);
        let message: Value = match post {
            Some(post) => self.message(chat, post),
            // What a bot can no longer see comes as its number, with the date zero.
            None => json!({ "chat": self.chat_wire(chat), "message_id": message.0, "date": 0 }),
        };
        let query = json!({
            "id": id,
            "from": self.user_wire(who),
            "message": message,
            "chat_instance": format!("{}", chat.0.wrapping_mul(7_919)),
            "data": data,
        });
        let unix = self.clock.unix();
        self.updates.push("callback_query", query, PRESS_S, unix);
        id
    }
}
