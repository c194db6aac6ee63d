//! Whom work belongs to: a run, an effect, an event. Each kind of owner has a machine of its own below [`crate::step`].

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::{fmt, str::FromStr};

/// Number of a task, unique within one data directory, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub u64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for TaskId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.trim_start_matches('#').parse().map(TaskId)
    }
}

/// Declares the kinds of owners: a variant, what it names, and what the text of that begins with.
macro_rules! owners {
    ($($(#[doc = $about:literal])* $(#[cfg($only:meta)])? $kind:ident($id:ty) = $prefix:literal,)*) => {
        /// Whom a run, an effect or an event belongs to.
        ///
        /// Its text (`t12`, `host`) is part of the names of containers, directories, refs and keys, so it is short and safe in a path.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Owner {
            /// What concerns no one piece of work: the host itself, its policy, its chats.
            Host,
            $($(#[doc = $about])* $(#[cfg($only)])? $kind($id),)*
        }

        impl fmt::Display for Owner {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    Owner::Host => f.write_str(HOST),
                    $($(#[cfg($only)])? Owner::$kind(id) => write!(f, concat!($prefix, "{}"), id),)*
                }
            }
        }

        impl FromStr for Owner {
            type Err = BadOwner;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                if text == HOST {
                    return Ok(Owner::Host);
                }
                $($(#[cfg($only)])? {
                    let id = text.strip_prefix($prefix).and_then(|id| id.parse::<$id>().ok());
                    // One owner has one text: no `t012`, no `t#12`.
                    if let Some(owner) = id.map(Owner::$kind).filter(|owner| owner.to_string() == text) {
                        return Ok(owner);
                    }
                })*
                Err(BadOwner(text.to_owned()))
            }
        }
    };
}

const HOST: &str = "host";

owners! {
    /// A task, and all that is done for it.
    Task(TaskId) = "t",
    #[cfg(test)]
    Counter(u8) = "n-",
}

/// A string that names no owner.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` names no owner such as `t12`")]
pub struct BadOwner(String);

impl Owner {
    /// The task it is, if it is one.
    pub fn task(self) -> Option<TaskId> {
        if let Owner::Task(id) = self { Some(id) } else { None }
    }

    /// As refs and labels of containers name it, which knew nothing but tasks once: a task is its number, any other its text.
    pub fn label(self) -> String {
        self.task().map_or_else(|| self.to_string(), |id| id.to_string())
    }
}

impl From<TaskId> for Owner {
    fn from(id: TaskId) -> Self {
        Owner::Task(id)
    }
}

/// As the journal has written it since there was nothing but tasks: a task is its number, the host is null. Any other is its text.
impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if let Some(id) = self.task() {
            id.serialize(serializer)
        } else if *self == Owner::Host {
            serializer.serialize_none()
        } else {
            serializer.collect_str(self)
        }
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Task(TaskId),
            Text(String),
        }
        match Option::<Form>::deserialize(deserializer)? {
            None => Ok(Owner::Host),
            Some(Form::Task(id)) => Ok(Owner::Task(id)),
            Some(Form::Text(text)) => text.parse().map_err(de::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_owner_reads_what_it_writes_and_nothing_else() {
        let owners = [
            (Owner::Task(TaskId(12)), "t12", "12"),
            (Owner::Host, "host", "null"),
            (Owner::Counter(3), "n-3", r#""n-3""#),
        ];
        for (owner, text, json) in owners {
            assert_eq!(owner.to_string(), text);
            assert_eq!(text.parse(), Ok(owner));
            assert_eq!(owner.label(), text.trim_start_matches('t'));
            assert_eq!(serde_json::to_string(&owner).unwrap(), json);
            assert_eq!(serde_json::from_str::<Owner>(json).unwrap(), owner);
        }
        for bad in ["", "t", "12", "t#12", "t012", "t+1", "t-1", "t12 ", "T12", "Host", "n3", "n-300", "t12/../13"] {
            assert_eq!(bad.parse::<Owner>(), Err(BadOwner(bad.to_owned())), "{bad}");
        }
    }
}
