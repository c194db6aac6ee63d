//! What may be attached below a message: checks `reply_markup` and reads inline keyboards back for who looks at them.

use super::refusal::Refusal;
use serde_json::{Value, json};

/// Bytes of callback data.
const DATA_LIMIT: usize = 64;
/// Buttons below one message.
const BUTTON_LIMIT: usize = 100;
/// Fields of a button that say what it does.
const ACTIONS: [&str; 10] = [
    "callback_data",
    "url",
    "login_url",
    "web_app",
    "copy_text",
    "callback_game",
    "pay",
    "switch_inline_query",
    "switch_inline_query_current_chat",
    "switch_inline_query_chosen_chat",
];

/// One button of an inline keyboard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Button {
    pub label: String,
    /// What a press sends; `None` on buttons that open something.
    pub data: Option<String>,
    pub url: Option<String>,
}

/// Checks `reply_markup` and gives the inline keyboard to show, if it is one with buttons.
pub(super) fn inline(markup: Option<&Value>) -> Result<Option<Value>, Refusal> {
    let Some(markup) = markup else { return Ok(None) };
    let Some(fields) = markup.as_object() else {
        return Err(Refusal::bad("object expected as reply markup"));
    };
    // Keyboards in place of the device's own are taken, and shown nowhere.
    let Some(keyboard) = fields.get("inline_keyboard") else { return Ok(None) };
    let wrong =
        |what: &str| Refusal::bad(format!("field \"inline_keyboard\" of the InlineKeyboardMarkup must be {what}"));
    let rows = keyboard.as_array().ok_or_else(|| wrong("an Array"))?;
    let mut count = 0;
    for row in rows {
        let row = row.as_array().ok_or_else(|| wrong("an Array of Arrays"))?;
        row.iter().try_for_each(button)?;
        count += row.len();
    }
    if count > BUTTON_LIMIT {
        return Err(Refusal::bad("reply markup is too long"));
    }
    let rows: Vec<&Value> = rows.iter().filter(|row| row.as_array().is_some_and(|row| !row.is_empty())).collect();
    Ok((!rows.is_empty()).then(|| json!({ "inline_keyboard": rows })))
}

fn button(button: &Value) -> Result<(), Refusal> {
    let wrong = |what: &str| Refusal::bad(format!("can't parse inline keyboard button: {what}"));
    let Some(fields) = button.as_object() else { return Err(wrong("InlineKeyboardButton must be an Object")) };
    let Some(text) = fields.get("text").and_then(Value::as_str) else {
        return Err(wrong("Can't find field \"text\""));
    };
    if text.is_empty() {
        return Err(Refusal::bad("inline keyboard button text must be non-empty"));
    }
    if !ACTIONS.iter().any(|action| fields.contains_key(*action)) {
        return Err(wrong("Text buttons are unallowed in the inline keyboard"));
    }
    if let Some(data) = fields.get("callback_data") {
        let data = data.as_str().ok_or_else(|| wrong("Field \"callback_data\" must be of type String"))?;
        if data.is_empty() || data.len() > DATA_LIMIT {
            return Err(Refusal::bad("BUTTON_DATA_INVALID"));
        }
    }
    if let Some(url) = fields.get("url") {
        let url = url.as_str().ok_or_else(|| wrong("Field \"url\" must be of type String"))?;
        let known = ["http://", "https://", "tg://"].iter().any(|scheme| url.starts_with(scheme));
        if !known || url.contains(char::is_whitespace) {
            return Err(Refusal::bad(format!("inline keyboard button URL '{url}' is invalid: Wrong HTTP URL")));
        }
    }
    Ok(())
}

/// The rows of a keyboard that [`inline`] gave.
pub(super) fn buttons(keyboard: Option<&Value>) -> Vec<Vec<Button>> {
    let rows =
        keyboard.and_then(|keyboard| keyboard["inline_keyboard"].as_array()).map(Vec::as_slice).unwrap_or_default();
    let one = |button: &Value| Button {
        label: button["text"].as_str().unwrap_or("").to_owned(),
        data: button["callback_data"].as_str().map(str::to_owned),
        url: button["url"].as_str().map(str::to_owned),
    };
    rows.iter().map(|row| row.as_array().map(|row| row.iter().map(one).collect()).unwrap_or_default()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(button: Value) -> Result<Option<Value>, Refusal> {
        inline(Some(&json!({ "inline_keyboard": [[button]] })))
    }

    #[test]
    fn data_is_one_to_sixty_four_bytes() {
        let data =
            |data: &str| with(json!({ "text": "x", "callback_data": data })).map_err(|refusal| refusal.description);
        assert!(data(&"ä".repeat(32)).unwrap().is_some());
        assert_eq!(data(&"ä".repeat(33)).unwrap_err(), "Bad Request: BUTTON_DATA_INVALID");
        assert_eq!(data("").unwrap_err(), "Bad Request: BUTTON_DATA_INVALID");
    }

    #[test]
    fn shape_is_checked() {
        let refusal = |markup: Value| inline(Some(&markup)).unwrap_err().description;
        assert!(refusal(json!([])).contains("object expected"));
        assert!(refusal(json!({ "inline_keyboard": {} })).contains("must be an Array"));
        assert!(refusal(json!({ "inline_keyboard": [{}] })).contains("Array of Arrays"));
        assert!(with(json!({ "text": "x" })).unwrap_err().description.contains("Text buttons are unallowed"));
        assert!(with(json!({ "text": "x", "url": "nothing" })).unwrap_err().description.contains("is invalid"));
        assert_eq!(inline(Some(&json!({ "inline_keyboard": [[]] }))).unwrap(), None);
        assert_eq!(inline(Some(&json!({ "remove_keyboard": true }))).unwrap(), None);
        let row: Vec<Value> = vec![json!({ "text": "x", "callback_data": "y" }); 101];
        assert!(refusal(json!({ "inline_keyboard": [row] })).contains("too long"));
    }
}
