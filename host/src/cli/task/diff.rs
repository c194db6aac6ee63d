//! `borg-host task diff`.

use super::Look;
use crate::cli::{neutral, out};
use anyhow::Result;
use borg_core::id::TaskId;
use borg_host::{control::client::NoHost, settings::Settings};
use clap::Args;
use std::process::ExitCode;

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
            Look::Journal(_) => return Err(NoHost(settings.data_dir()).into()),
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
