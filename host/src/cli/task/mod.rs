//! `borg-host task`: asks for tasks, looks at them, decides on them. Looking works without a running host, too.

mod add;
mod diff;
mod list;
mod log;
mod look;
mod show;

pub use log::Follow;
pub use look::Look;

use super::control;
use anyhow::{Result, ensure};
use borg_core::{
    id::TaskId,
    intent::{Intent, NOTE_LIMIT},
};
use borg_host::settings::Settings;
use clap::{Args, Subcommand};
use std::process::ExitCode;

/// Ask for changes, look at them, decide on them
#[derive(Debug, Subcommand)]
pub enum Task {
    Add(add::Add),
    List(list::List),
    Show(show::Show),
    Log(log::Log),
    Diff(diff::Diff),
    /// Let a change through that waits for a decision
    ///
    /// The approval names the change as it is now, with its findings and evidence; exactly that is delivered. `task show` and
    /// `task diff` show what is approved. Only an owner may overrule the verdict `block`. Where policy knows another human who may, nobody
    /// approves what they asked for themselves; `[verdict] own = "allow"` lifts that.
    Approve(Approval),
    /// Turn a change down; nothing leaves the host
    Reject(Decision),
    /// Stop a task; what its agent did so far stays in its branch
    Cancel(One),
    /// Go on from where an ended task left off, as a new task
    ///
    /// The new task has the repository, pipeline and budget of the old one and starts from its last commit; what leaves the host is
    /// judged from where the old one started.
    Continue(Words),
    /// Tell the agents of a task something, from their next attempt on
    Note(Words),
    /// Answer what an agent asked; its task goes on with that
    Answer(Words),
    /// Send a blocked task on its way, or run an ended one again as a new task
    Retry(One),
}

#[derive(Debug, Args)]
pub struct Approval {
    /// Approve this change and no other: at least the first 8 digits of the digest that `task show` prints
    #[arg(long, value_name = "DIGEST")]
    change: Option<String>,
    #[command(flatten)]
    decision: Decision,
}

#[derive(Debug, Args)]
pub struct Decision {
    /// Number of the task
    #[arg(value_name = "N")]
    task: TaskId,
    /// Why, for the record
    #[arg(long, short, default_value = "")]
    note: String,
}

#[derive(Debug, Args)]
pub struct Words {
    /// Number of the task
    #[arg(value_name = "N")]
    task: TaskId,
    /// What to say, in quotes
    #[arg(value_name = "TEXT")]
    text: String,
}

impl Words {
    /// The words, if there are any and not too many.
    fn checked(self) -> Result<(TaskId, String)> {
        let text = self.text.trim();
        ensure!(!text.is_empty(), "the text is empty; say what is meant");
        ensure!(text.len() <= NOTE_LIMIT, "the text is longer than {NOTE_LIMIT} bytes; say it in fewer words");
        Ok((self.task, text.to_owned()))
    }
}

#[derive(Debug, Args)]
pub struct One {
    /// Number of the task
    #[arg(value_name = "N")]
    task: TaskId,
}

impl Task {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let intent = match self {
            Task::Add(add) => return add.perform(settings).await,
            Task::List(list) => return list.perform(settings).await,
            Task::Show(show) => return show.perform(settings).await,
            Task::Log(log) => return log.perform(settings).await,
            Task::Diff(diff) => return diff.perform(settings).await,
            Task::Approve(Approval { change, decision: Decision { task, note } }) => {
                Intent::Approve { task, change: change.map(|change| change.to_ascii_lowercase()), note }
            }
            Task::Reject(Decision { task, note }) => Intent::Reject { task, change: None, note },
            Task::Continue(words) => words.checked().map(|(task, text)| Intent::Continue { task, text })?,
            Task::Note(words) => words.checked().map(|(task, text)| Intent::Note { task, text })?,
            Task::Answer(words) => words.checked().map(|(task, text)| Intent::Answer { task, text })?,
            Task::Cancel(One { task }) => Intent::Cancel { task },
            Task::Retry(One { task }) => Intent::Retry { task },
        };
        control::intend_and_tell(settings, intent).await
    }
}
