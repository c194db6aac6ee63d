//! The parameters of a call, however they came: in the query, as a URL-encoded form, as JSON, or as multipart with files.
//!
//! The real server reads everything as text, so numbers and objects are taken as text too, and names it does not know are ignored.

use super::{multipart, refusal::Refusal};
use hyper::body::Bytes;
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub(super) struct Upload {
    pub name: Option<String>,
    pub mime: Option<String>,
    pub bytes: Bytes,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Params {
    fields: Map<String, Value>,
    files: BTreeMap<String, Upload>,
}

impl Params {
    pub fn read(query: Option<&str>, content_type: &str, body: &Bytes) -> Result<Self, Refusal> {
        let mut params = Self::default();
        params.form(query.unwrap_or(""));
        if content_type.starts_with("application/json") && !body.is_empty() {
            match serde_json::from_slice(body) {
                Ok(Value::Object(fields)) => params.fields.extend(fields),
                Ok(_) | Err(_) => return Err(Refusal::bad("can't parse JSON object")),
            }
        } else if content_type.starts_with("application/x-www-form-urlencoded") {
            params.form(&String::from_utf8_lossy(body));
        } else if content_type.starts_with("multipart/form-data") {
            let parts = multipart::parts(content_type, body)
                .ok_or_else(|| Refusal::bad("can't parse multipart/form-data: unexpected end"))?;
            for part in parts {
                if part.file_name.is_some() {
                    let bytes = body.slice_ref(part.bytes);
                    params.files.insert(part.name, Upload { name: part.file_name, mime: part.mime, bytes });
                } else {
                    let text = String::from_utf8_lossy(part.bytes).into_owned();
                    params.fields.insert(part.name, Value::String(text));
                }
            }
        }
        Ok(params)
    }

    fn form(&mut self, form: &str) {
        for pair in form.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            self.fields.insert(decoded(name), Value::String(decoded(value)));
        }
    }

    /// The parameter as text; empty when it is missing.
    pub fn text(&self, name: &str) -> String {
        match self.fields.get(name) {
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        }
    }

    pub fn integer(&self, name: &str) -> Option<i64> {
        self.text(name).trim().parse().ok()
    }

    pub fn flag(&self, name: &str) -> bool {
        matches!(self.text(name).to_ascii_lowercase().as_str(), "true" | "yes" | "1")
    }

    /// An object or list, given as such or as text that holds JSON. `None` when missing or empty.
    pub fn json(&self, name: &str, what: &str) -> Result<Option<Value>, Refusal> {
        match self.fields.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => match serde_json::from_str(text) {
                Ok(Value::Null) => Ok(None),
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(Refusal::bad(format!("can't parse {what} JSON object"))),
            },
            Some(other) => Ok(Some(other.clone())),
        }
    }

    /// The file sent as `name`, itself or by `attach://`.
    pub fn upload(&self, name: &str) -> Option<&Upload> {
        match self.text(name).strip_prefix("attach://") {
            Some(attached) => self.files.get(attached),
            None => self.files.get(name),
        }
    }

    /// For the record: fields as given, files by name and size.
    pub fn shown(&self) -> Value {
        let mut shown = self.fields.clone();
        for (name, file) in &self.files {
            shown.insert(name.clone(), json!({ "file_name": file.name, "bytes": file.bytes.len() }));
        }
        Value::Object(shown)
    }
}

/// Undoes URL encoding; what is not valid UTF-8 afterwards is replaced.
pub(super) fn decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let hex = text.get(at + 1..at + 3).and_then(|hex| u8::from_str_radix(hex, 16).ok());
        match (bytes[at], hex) {
            (b'%', Some(byte)) => {
                out.push(byte);
                at += 3;
                continue;
            }
            (b'+', _) => out.push(b' '),
            (other, _) => out.push(other),
        }
        at += 1;
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_and_forms_read_alike() {
        let form = Bytes::from_static(b"chat_id=-7&text=a+%C3%A4%26&reply_parameters=%7B%22message_id%22%3A3%7D");
        let form = Params::read(None, "application/x-www-form-urlencoded", &form).unwrap();
        let body = Bytes::from_static(br#"{"chat_id":-7,"reply_parameters":{"message_id":3}}"#);
        let body = Params::read(Some("text=a%20%C3%A4%26"), "application/json; charset=utf-8", &body).unwrap();
        for params in [form, body] {
            assert_eq!((params.integer("chat_id"), params.text("text")), (Some(-7), "a ä&".into()));
            assert_eq!(params.json("reply_parameters", "reply parameters").unwrap().unwrap()["message_id"], 3);
        }
    }
}
