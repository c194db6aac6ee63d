//! `borg-host task list`.

use super::Look;
use crate::cli::{neutral, out};
use anyhow::Result;
use borg_core::{budget::MicroUsd, words};
use borg_host::{clock::now_ms, journal::TaskRow, settings::Settings};
use clap::Args;
use std::process::ExitCode;

/// The newest tasks
#[derive(Debug, Args)]
pub struct List {
    /// How many
    #[arg(long, short = 'n', default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    limit: u32,
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

impl List {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let rows = Look::open(settings).await?.tasks(self.limit).await?;
        if self.json {
            out::json(&rows)?;
        } else if rows.is_empty() {
            out::line("no tasks yet; `borg-host task add TITLE` asks for one")?;
        } else {
            let now = now_ms();
            rows.iter().try_for_each(|row| out::line(row_text(row, now)))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row_text(row: &TaskRow, now: u64) -> String {
    let age = words::duration(now.saturating_sub(row.changed_ms));
    let title = neutral::line(&row.title, 60);
    let (id, status, cost) = (row.id.to_string(), row.status.as_str(), MicroUsd(row.cost_micros));
    format!("#{id:<5} {status:<12} {cost:>9}  {age:>13} ago  {title} ({}, {})", row.repository, row.pipeline)
}
