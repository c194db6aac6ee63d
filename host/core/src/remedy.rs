//! What would help, as values: each frontend spells it in its own dialect, and none reads another's text.

use crate::{
    chat::Button,
    intent::{self, Intent, Look},
};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// One thing that helps, or words around it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Remedy {
    Words(String),
    /// Somebody says so. A text in it that is still to be written is the word `TEXT`.
    Do(Intent),
    /// A line to add to a section of a policy file.
    Edit {
        file: String,
        section: String,
        line: String,
    },
}

/// A sentence about what helps; empty where nothing does.
///
/// In JSON it is its words where it is words alone, as remedies were written when they were nothing else, and a list otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Advice(Vec<Remedy>);

/// How a frontend lets people say something: what to type for an intent, as it stands within a sentence. That of chats is [`intent::spell`].
pub type Dialect = fn(&Intent) -> String;

impl Advice {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn remedies(&self) -> &[Remedy] {
        &self.0
    }

    /// Goes on with words.
    #[must_use]
    pub fn words(mut self, words: impl AsRef<str>) -> Self {
        let words = words.as_ref();
        match self.0.last_mut() {
            _ if words.is_empty() => {}
            Some(Remedy::Words(last)) => last.push_str(words),
            Some(Remedy::Do(_) | Remedy::Edit { .. }) | None => self.0.push(Remedy::Words(words.to_owned())),
        }
        self
    }

    /// Goes on with what somebody may say.
    #[must_use]
    pub fn act(mut self, intent: Intent) -> Self {
        self.0.push(Remedy::Do(intent));
        self
    }

    /// Goes on with an edit of policy.
    #[must_use]
    pub fn edit(mut self, file: &str, section: &str, line: impl Into<String>) -> Self {
        self.0.push(Remedy::Edit { file: file.to_owned(), section: section.to_owned(), line: line.into() });
        self
    }

    /// Goes on with all of another.
    #[must_use]
    pub fn and(mut self, other: &Advice) -> Self {
        for remedy in &other.0 {
            match remedy {
                Remedy::Words(words) => self = self.words(words),
                Remedy::Do(_) | Remedy::Edit { .. } => self.0.push(remedy.clone()),
            }
        }
        self
    }

    /// The sentence as a frontend's people read it.
    pub fn spell(&self, dialect: Dialect) -> String {
        let spelled = self.0.iter().map(|remedy| match remedy {
            Remedy::Words(words) => words.clone(),
            Remedy::Do(intent) => dialect(intent),
            Remedy::Edit { file, section, line } => format!("add `{line}` to {section} in {file}"),
        });
        spelled.collect()
    }

    /// A button for each thing that can be done by a press alone: nothing is to be written, and nothing is decided unseen.
    pub fn buttons(&self) -> Vec<Button> {
        let mut buttons: Vec<Button> = Vec::new();
        for remedy in &self.0 {
            let Remedy::Do(intent) = remedy else { continue };
            let Some(label) = label(intent) else { continue };
            let button = Button { label: label.to_owned(), action: intent::spell(intent) };
            if !buttons.contains(&button) {
                buttons.push(button);
            }
        }
        buttons
    }
}

/// What stands on the button of an intent; none for what is more than a press.
fn label(intent: &Intent) -> Option<&'static str> {
    match intent {
        Intent::Retry { .. } => Some("Retry"),
        Intent::Cancel { .. } => Some("Cancel"),
        Intent::Resume => Some("Resume"),
        Intent::Look(Look::Diff { .. }) => Some("Diff"),
        Intent::Look(Look::Status { task: Some(_) }) => Some("Status"),
        Intent::Task(_)
        | Intent::Ask { .. }
        | Intent::Continue { .. }
        | Intent::Note { .. }
        | Intent::Answer { .. }
        | Intent::Approve { .. }
        | Intent::Reject { .. }
        | Intent::Register { .. }
        | Intent::Unregister
        | Intent::Allow { .. }
        | Intent::Pause
        | Intent::Look(_) => None,
    }
}

impl From<&str> for Advice {
    fn from(words: &str) -> Self {
        Advice::default().words(words)
    }
}

impl From<String> for Advice {
    fn from(words: String) -> Self {
        Advice::default().words(words)
    }
}

impl From<Intent> for Advice {
    fn from(intent: Intent) -> Self {
        Advice::default().act(intent)
    }
}

impl Serialize for Advice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_slice() {
            [] => serializer.serialize_str(""),
            [Remedy::Words(words)] => serializer.serialize_str(words),
            remedies => remedies.serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Advice {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Form {
            Words(String),
            List(Vec<Remedy>),
        }
        Ok(match Form::deserialize(deserializer)? {
            Form::Words(words) => Advice::from(words),
            Form::List(list) => Advice(list),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::TaskId;

    #[test]
    fn each_frontend_spells_it_in_its_own_way() {
        let task = TaskId(3);
        let advice = Advice::from("mend it, then ")
            .act(Intent::Retry { task })
            .words("; or ")
            .act(Intent::Answer { task, text: "TEXT".into() })
            .words("; or ")
            .edit("policies/people.toml", "[people]", "owner = [\"console:1\"]");
        let edit = "add `owner = [\"console:1\"]` to [people] in policies/people.toml";
        assert_eq!(advice.spell(intent::spell), format!("mend it, then /retry 3; or /answer 3 TEXT; or {edit}"));
        assert_eq!(
            advice.spell(|intent| intent.name().to_uppercase()),
            format!("mend it, then RETRY; or ANSWER; or {edit}")
        );
        let buttons = advice.buttons();
        assert_eq!(buttons, [Button { label: "Retry".into(), action: "/retry 3".into() }]);
        assert_eq!(intent::parse(&buttons[0].action), Ok(Intent::Retry { task }));
        let json = serde_json::to_string(&advice).unwrap();
        assert_eq!(serde_json::from_str::<Advice>(&json).unwrap(), advice);
    }

    #[test]
    fn words_alone_are_kept_as_they_always_were() {
        for words in ["", "mend it"] {
            let advice = Advice::from(words).words("");
            assert_eq!(serde_json::to_string(&advice).unwrap(), format!("{words:?}"));
            assert_eq!(serde_json::from_str::<Advice>(&format!("{words:?}")).unwrap(), advice);
        }
    }

    #[test]
    fn nothing_is_decided_unseen_by_a_button() {
        let task = TaskId(3);
        for intent in [
            Intent::Approve { task, change: None, note: String::new() },
            Intent::Reject { task, change: None, note: String::new() },
            Intent::Continue { task, text: "TEXT".into() },
        ] {
            assert_eq!(Advice::from(intent).buttons(), []);
        }
    }
}
