//! `borg-host task diff`.

use super::Look;
use crate::cli::{
    failure::{Code, problem},
    neutral, out,
};
use anyhow::{Context, Result};
use borg_core::{id::TaskId, task::Task};
use borg_host::{
    git::{self, Git},
    host,
    settings::Settings,
    spawn::Spawner,
    store::DataLock,
    workspace::{Config, Workspace},
};
use clap::Args;
use std::process::ExitCode;

/// Longest patch that is made without a host, in bytes; the host's own limit is the same.
const LIMIT: usize = 16 << 20;

/// What a task changed, as a patch
///
/// In a terminal, characters that would steer it are written out; into a pipe or a file the patch goes as it is.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  borg-host task diff 3
  borg-host task diff 3 | git apply --stat")]
pub struct Diff {
    /// Number of the task
    #[arg(value_name = "N")]
    task: TaskId,
}

impl Diff {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let text = match Look::open(settings).await? {
            Look::Host(client) => client.text(&format!("/v1/tasks/{}/diff", self.task)).await?,
            Look::Journal(journal) => {
                let task = journal.task(self.task).await?.ok_or_else(|| super::look::unknown(self.task))?;
                patch(&task, settings).await?
            }
        };
        let text = text.trim_end_matches('\n');
        if text.is_empty() {
            eprintln!("nothing has changed");
        } else if out::is_terminal() {
            out::line(neutral::text(text))?;
        } else {
            out::line(text)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The patch, from the mirror; the data directory is ours meanwhile.
async fn patch(task: &Task, settings: &Settings) -> Result<String> {
    let (Some(base), Some(head)) = (&task.base, &task.head) else {
        let remedy = format!("`borg-host task show {}` says what it waits for", task.id());
        return Err(problem(Code::Failed, format!("task #{} has not begun yet", task.id()), remedy));
    };
    let lock = DataLock::take(&settings.data_dir())?;
    let launcher = host::init_binary().context("git runs confined, and that takes borg-init")?.path;
    let git = git::Settings { launcher: Some(launcher), ..git::Settings::default() };
    let git = Git::open(lock.path(), Spawner::start()?, git)?;
    let workspace = Workspace::open(lock.path(), git, Config::default())?;
    let mirror = workspace.mirror(&task.spec.repository);
    let (text, whole) = workspace.patch(&mirror, &base.commit, head, LIMIT).await?;
    if !whole {
        eprintln!("warning: the patch is cut at {LIMIT} bytes");
    }
    Ok(text)
}
