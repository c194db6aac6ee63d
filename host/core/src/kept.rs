//! Texts that the journal keeps beside its hash chain, and can forget.

use crate::id::Digest;
use serde::{Deserialize, Serialize};

/// Text that is kept beside the hash chain, so that it can be deleted: the chain holds its digest only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// SHA-256 of the text.
    #[serde(rename = "$kept")]
    pub digest: Digest,
    /// Empty once deleted.
    #[serde(default)]
    pub text: String,
}

impl Kept {
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Kept { digest: Digest::of_bytes(text.as_bytes()), text }
    }

    /// The same with its digest only.
    pub fn without_text(&self) -> Self {
        Kept { digest: self.digest, text: String::new() }
    }
}

/// Serde forms of texts that others hold as they are, and the journal as [`Kept`]. What was written before they were kept is read too.
pub mod aside {
    use super::Kept;
    use crate::chat::{Notice, NoticeKind};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Form<T> {
        Kept(Kept),
        Plain(T),
    }

    /// A text; empty once it is deleted.
    pub mod text {
        use super::{Deserialize, Deserializer, Form, Kept, Serialize, Serializer};

        pub fn serialize<S: Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
            Kept::new(text).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
            Ok(match Form::<String>::deserialize(deserializer)? {
                Form::Kept(Kept { text, .. }) | Form::Plain(text) => text,
            })
        }
    }

    /// A notice, which quotes agents; one that says nothing once its text is deleted.
    pub mod notice {
        use super::{Deserialize, Deserializer, Form, Kept, Notice, NoticeKind, Serialize, Serializer};
        use serde::{de, ser};

        pub fn serialize<S: Serializer>(notice: &Notice, serializer: S) -> Result<S::Ok, S::Error> {
            Kept::new(serde_json::to_string(notice).map_err(ser::Error::custom)?).serialize(serializer)
        }

        pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Box<Notice>, D::Error> {
            Ok(Box::new(match Form::<Notice>::deserialize(deserializer)? {
                Form::Plain(notice) => notice,
                Form::Kept(kept) if kept.text.is_empty() => Notice::new("", NoticeKind::Progress, "", Vec::new()),
                Form::Kept(kept) => serde_json::from_str(&kept.text).map_err(de::Error::custom)?,
            }))
        }
    }
}
