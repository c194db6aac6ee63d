//! Files as Telegram's servers keep them: under an id for bots, an id of the content, and a path for downloads.

use hyper::body::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, fmt::Write};

/// Larger files cannot be downloaded by bots.
pub(super) const DOWNLOAD_LIMIT: usize = 20 << 20;
/// Larger files cannot be sent by bots.
pub(super) const UPLOAD_LIMIT: usize = 50 << 20;

#[derive(Clone, Debug)]
pub(super) struct File {
    pub unique_id: String,
    pub name: Option<String>,
    pub mime: Option<String>,
    pub path: String,
    pub bytes: Bytes,
}

#[derive(Debug, Default)]
pub(super) struct Files {
    by_id: BTreeMap<String, File>,
}

impl Files {
    /// Keeps a file and gives its id. `folder` is what the path begins with, such as `documents`.
    pub fn keep(&mut self, folder: &str, name: Option<String>, mime: Option<String>, bytes: Bytes) -> String {
        let mut unique_id = String::from("AgAD");
        for byte in &Sha256::digest(&bytes)[..6] {
            write!(unique_id, "{byte:02x}").expect("strings take everything");
        }
        let n = self.by_id.len();
        let extension = name.as_deref().and_then(|name| name.rsplit_once('.')).map_or("", |(_, extension)| extension);
        let dot = if extension.is_empty() { "" } else { "." };
        let path = format!("{folder}/file_{n}{dot}{extension}");
        let id = format!("BQACAgIAAxk{n:08}{unique_id}");
        self.by_id.insert(id.clone(), File { unique_id, name, mime, path, bytes });
        id
    }

    pub fn get(&self, id: &str) -> Option<&File> {
        self.by_id.get(id)
    }

    pub fn at(&self, path: &str) -> Option<&File> {
        self.by_id.values().find(|file| file.path == path)
    }

    /// The fields all kinds of file have in common.
    pub fn wire(&self, id: &str) -> Value {
        let file = &self.by_id[id];
        json!({ "file_id": id, "file_unique_id": file.unique_id, "file_size": file.bytes.len() })
    }

    /// The `Document` object.
    pub fn document(&self, id: &str) -> Value {
        let mut wire = self.wire(id);
        let file = &self.by_id[id];
        if let Some(name) = &file.name {
            wire["file_name"] = json!(name);
        }
        if let Some(mime) = &file.mime {
            wire["mime_type"] = json!(mime);
        }
        wire
    }
}
