//! How people say things at a terminal: what is `/retry 3` in a chat is `borg-host task retry 3` here.

use borg_core::intent::{self, Intent, Look};

/// The command for an intent, in quotes; what can be said in chats only is named as such.
pub fn say(intent: &Intent) -> String {
    let Some(command) = command(intent) else { return format!("{} in a chat", intent::spell(intent)) };
    // What follows the name is the same in both, but that a terminal decides on what waits: whoever sits at the machine sees it there.
    let said = match intent {
        Intent::Approve { task, note, .. } => format!("{task} {note}"),
        Intent::Reject { task, note, .. } => format!("{task} {note}"),
        other => intent::spell(other).split_once(' ').map(|(_, rest)| rest.to_owned()).unwrap_or_default(),
    };
    format!("`{}`", format!("borg-host {command} {said}").trim_end())
}

/// The command that does what an intent asks for.
fn command(intent: &Intent) -> Option<&'static str> {
    Some(match intent {
        Intent::Task(_) => "task add",
        Intent::Ask { .. } => "ask",
        Intent::Continue { .. } => "task continue",
        Intent::Note { .. } => "task note",
        Intent::Answer { .. } => "task answer",
        Intent::Approve { .. } => "task approve",
        Intent::Reject { .. } => "task reject",
        Intent::Cancel { .. } => "task cancel",
        Intent::Retry { .. } => "task retry",
        Intent::Pause => "pause",
        Intent::Resume => "resume",
        Intent::Look(look) => match look {
            Look::Tasks => "task list",
            Look::Status { task: Some(_) } => "task show",
            Look::Diff { .. } => "task diff",
            Look::Audit { .. } => "task log",
            Look::Help { .. } => "help",
            Look::Status { task: None }
            | Look::Stats
            | Look::Digest
            | Look::Groups
            | Look::Pipeline { .. }
            | Look::Personas { .. }
            | Look::Policy
            | Look::Ping
            | Look::ChatId => return None,
        },
        Intent::Register { .. } | Intent::Unregister | Intent::Allow { .. } => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use borg_core::id::TaskId;
    use clap::Parser;

    /// Every command that is told to people is one the command line takes.
    #[test]
    fn what_is_said_to_be_typed_can_be() {
        let (task, note, text) = (TaskId(3), String::new(), "TEXT".to_owned());
        let change = Some("0123456789ab".to_owned());
        let typed = [
            (Intent::Retry { task }, "task retry 3"),
            (Intent::Cancel { task }, "task cancel 3"),
            (Intent::Approve { task, change: None, note: note.clone() }, "task approve 3"),
            (Intent::Reject { task, change, note }, "task reject 3"),
            (Intent::Answer { task, text: text.clone() }, "task answer 3 TEXT"),
            (Intent::Note { task, text: text.clone() }, "task note 3 TEXT"),
            (Intent::Continue { task, text }, "task continue 3 TEXT"),
            (Intent::Pause, "pause"),
            (Intent::Resume, "resume"),
            (Intent::Look(Look::Tasks), "task list"),
            (Intent::Look(Look::Status { task: Some(task) }), "task show 3"),
            (Intent::Look(Look::Diff { task }), "task diff 3"),
            (Intent::Look(Look::Audit { task }), "task log 3"),
            (Intent::Look(Look::Help { command: Some("task".into()) }), "help task"),
        ];
        for (intent, want) in typed {
            assert_eq!(say(&intent), format!("`borg-host {want}`"));
            let words = ["borg-host"].into_iter().chain(want.split(' '));
            match Cli::try_parse_from(words) {
                Ok(_) => {}
                Err(error) => assert_eq!(error.kind(), clap::error::ErrorKind::DisplayHelp, "{want}: {error}"),
            }
        }
        assert_eq!(say(&Intent::Look(Look::Groups)), "/groups in a chat");
    }
}
