//! Who somebody is, and what they may do at most. Which of them policy knows is said in [`crate::policy`].

use serde::{Deserialize, Serialize};
use std::fmt;

/// A person, as a frontend knows them: `console:1000`, `telegram:1001`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PersonId(pub String);

impl PersonId {
    /// True for somebody who sits at this machine, at the console or the command line: they see a change as it is when they decide, and
    /// not as it was in a message of some time ago.
    pub fn is_at_this_machine(&self) -> bool {
        self.0.split_once(':').is_some_and(|(transport, _)| transport == "console")
    }
}

impl fmt::Display for PersonId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a person may do; each role may do all that a lesser one may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Looks.
    Guest,
    /// Asks for tasks, and cancels their own.
    Member,
    /// Decides on reviews, and on everybody's tasks.
    Admin,
    /// May overrule a blocking verdict.
    Owner,
}

/// The word of a role in `[people]`.
pub fn role_word(role: Role) -> &'static str {
    match role {
        Role::Guest => "guest",
        Role::Member => "member",
        Role::Admin => "admin",
        Role::Owner => "owner",
    }
}
