//! `borg-host task log`, and following a task from elsewhere.

use super::{Look, look::teller};
use crate::cli::out;
use anyhow::Result;
use borg_core::{id::TaskId, task::Status};
use borg_host::{
    clock::utc,
    journal::Recorded,
    settings::Settings,
    teller::{Teller, Weight},
};
use clap::Args;
use std::process::ExitCode;

/// What happened to a task, from the journal
///
/// One line per event; what its agents did stands between. With `-f` it goes on as things happen, until the task has ended or waits
/// for a person.
#[derive(Debug, Args)]
pub struct Log {
    /// Number of the task
    #[arg(value_name = "N")]
    task: TaskId,
    /// Go on as things happen
    #[arg(long, short)]
    follow: bool,
    /// Print the events themselves: a JSON array, or with --follow one per line
    #[arg(long)]
    json: bool,
}

impl Log {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let look = Look::open(settings).await?;
        // An unknown task is an error, not an empty log.
        let task = look.task(self.task).await?;
        if self.json && self.follow {
            look.events(self.task, true, |entry| Ok(out::line(serde_json::to_string(&entry)?)?)).await?;
        } else if self.json {
            let mut entries = Vec::new();
            let keep = |entry| {
                entries.push(entry);
                Ok(())
            };
            look.events(self.task, false, keep).await?;
            out::json(&entries)?;
        } else {
            let mut teller = teller(&task, settings).await?;
            look.events(self.task, self.follow, |entry| print(&mut teller, &entry)).await?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(teller: &mut Teller, entry: &Recorded) -> Result<()> {
    let at = utc(entry.event.at_ms);
    for (_, text) in teller.tell(&entry.event) {
        out::line(format!("{at}  {text}"))?;
    }
    Ok(())
}

/// Follows a task to its end and tells how it ended by the exit code.
pub struct Follow {
    task: TaskId,
}

impl Follow {
    pub fn new(task: TaskId) -> Self {
        Follow { task }
    }

    pub async fn perform(self, look: &Look, settings: &Settings) -> Result<ExitCode> {
        let mut teller = teller(&look.task(self.task).await?, settings).await?;
        look.events(self.task, true, |entry| {
            let lines = teller.tell(&entry.event);
            let wanted = lines.iter().filter(|(weight, _)| *weight != Weight::Detail);
            Ok(wanted.map(|(_, text)| text).try_for_each(out::line)?)
        })
        .await?;
        let task = look.task(self.task).await?;
        out::line(format!("#{} is {}; `borg-host task show {}` tells more", self.task, task.status(), self.task))?;
        Ok(if task.status() == Status::Completed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
