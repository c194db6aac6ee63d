//! A path that a check had otherwise than the branch, and why.

use serde::{Deserialize, Serialize};

/// One path that a check had otherwise than the branch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Overlaid {
    /// Bytes that are not UTF-8 are shown as `\xNN`.
    pub path: String,
    pub cause: Cause,
}

/// Why a path was otherwise.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The base has another.
    Replaced,
    /// The base has none.
    TakenOut,
    /// The branch has none.
    PutBack,
    /// These keys of it came from the base.
    Keys(Vec<String>),
    /// A manifest that could not be taken apart, for this reason: the base's was taken, or it was taken out.
    Unreadable(String),
}

impl Cause {
    /// The words for one path, or for some of a folder.
    pub(super) fn words(&self, what: &str) -> String {
        match self {
            Cause::Replaced => {
                format!("{what} steers the tests and came from the base for the check: the branch has another")
            }
            Cause::TakenOut => {
                format!(
                    "{what} steers the tests and was taken out for the check, as the base has none: the branch has it"
                )
            }
            Cause::PutBack => {
                format!("{what} steers the tests and was put back for the check: the branch does not have it any more")
            }
            Cause::Keys(keys) => {
                let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
                format!(
                    "what steers the tests in {what} came from the base for the check: the branch differs in {}",
                    keys.join(", ")
                )
            }
            Cause::Unreadable(why) => {
                format!(
                    "{what} could not be read ({why}), so the check had what the base has in its place: the branch has another"
                )
            }
        }
    }
}
