//! An intent as the text that means it in a chat.

use super::{Intent, Look, TaskRequest};
use crate::people::role_word;

/// What to type for an intent: [`super::parse`] reads it as that very intent, where its texts are ones that can be typed.
pub fn spell(intent: &Intent) -> String {
    let name = intent.name();
    let mut text = format!("/{name}");
    let mut add = |word: &str| {
        if !word.is_empty() {
            text.push(' ');
            text.push_str(word);
        }
    };
    if let Some(task) = intent.task() {
        add(&task.to_string());
    }
    match intent {
        Intent::Task(TaskRequest { repository, title, description, budget, pipeline, persona }) => {
            for (flag, value) in [("budget", budget), ("pipeline", pipeline), ("persona", persona)] {
                if let Some(value) = value {
                    add(&format!("--{flag}={value}"));
                }
            }
            add(repository.as_deref().unwrap_or_default());
            add(title);
            if !description.is_empty() {
                text.push('\n');
                text.push_str(description);
            }
        }
        Intent::Ask { repository, question } => {
            add(repository.as_deref().unwrap_or_default());
            add(question);
        }
        Intent::Continue { text, .. } | Intent::Note { text, .. } | Intent::Answer { text, .. } => add(text),
        Intent::Approve { change, note, .. } | Intent::Reject { change, note, .. } => {
            if let Some(change) = change {
                add(&format!("change:{change}"));
            }
            add(note);
        }
        Intent::Register { repository } => add(repository.as_deref().unwrap_or_default()),
        Intent::Allow { person, role } => {
            add(&person.0);
            add(role_word(*role));
        }
        Intent::Look(Look::Pipeline { name } | Look::Personas { name } | Look::Help { command: name }) => {
            add(name.as_deref().unwrap_or_default());
        }
        Intent::Cancel { .. }
        | Intent::Retry { .. }
        | Intent::Unregister
        | Intent::Pause
        | Intent::Resume
        | Intent::Look(_) => {}
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{super::parse, *};
    use crate::{
        id::TaskId,
        people::{PersonId, Role},
    };
    use proptest::prelude::*;

    fn word() -> impl Strategy<Value = String> {
        "[a-z][a-z0-9]{0,8}"
    }

    fn words() -> impl Strategy<Value = String> {
        proptest::collection::vec("[a-zA-Z][a-z0-9.,]{0,8}", 1..5).prop_map(|words| words.join(" "))
    }

    fn maybe(of: impl Strategy<Value = String>) -> impl Strategy<Value = Option<String>> {
        proptest::option::of(of)
    }

    fn repository() -> impl Strategy<Value = Option<String>> {
        maybe((word(), word()).prop_map(|(owner, name)| format!("{owner}/{name}")))
    }

    fn intent() -> impl Strategy<Value = Intent> {
        let task = || (1_u64..1_000).prop_map(TaskId);
        let change = || maybe("[0-9a-f]{8,64}".prop_map(|digest| digest));
        let about = || (task(), words());
        prop_oneof![
            (repository(), words(), words(), maybe(word()), maybe(word()), maybe(word())).prop_map(
                |(repository, title, description, budget, pipeline, persona)| {
                    Intent::Task(TaskRequest { repository, title, description, budget, pipeline, persona })
                }
            ),
            (repository(), words()).prop_map(|(repository, question)| Intent::Ask { repository, question }),
            about().prop_map(|(task, text)| Intent::Continue { task, text }),
            about().prop_map(|(task, text)| Intent::Note { task, text }),
            about().prop_map(|(task, text)| Intent::Answer { task, text }),
            (task(), change(), words()).prop_map(|(task, change, note)| Intent::Approve { task, change, note }),
            (task(), change(), words()).prop_map(|(task, change, note)| Intent::Reject { task, change, note }),
            task().prop_map(|task| Intent::Cancel { task }),
            task().prop_map(|task| Intent::Retry { task }),
            repository().prop_map(|repository| Intent::Register { repository }),
            Just(Intent::Unregister),
            (word(), word())
                .prop_map(|(a, b)| Intent::Allow { person: PersonId(format!("{a}:{b}")), role: Role::Admin }),
            Just(Intent::Pause),
            Just(Intent::Resume),
            proptest::option::of(task()).prop_map(|task| Intent::Look(Look::Status { task })),
            task().prop_map(|task| Intent::Look(Look::Diff { task })),
            task().prop_map(|task| Intent::Look(Look::Audit { task })),
            maybe(word()).prop_map(|name| Intent::Look(Look::Pipeline { name })),
            maybe(word()).prop_map(|name| Intent::Look(Look::Personas { name })),
            Just(Intent::Look(Look::Tasks)),
            Just(Intent::Look(Look::Stats)),
            Just(Intent::Look(Look::Digest)),
            Just(Intent::Look(Look::Groups)),
            Just(Intent::Look(Look::Policy)),
            Just(Intent::Look(Look::Ping)),
            Just(Intent::Look(Look::ChatId)),
        ]
    }

    proptest! {
        #[test]
        fn what_is_spelled_is_read_as_it_was_meant(intent in intent()) {
            prop_assert_eq!(parse(&spell(&intent)), Ok(intent));
        }
    }
}
