//! `borg-host config`: every setting, its value and where that came from; secrets masked.

use super::{neutral, out};
use anyhow::Result;
use borg_host::settings::Settings;
use clap::Args;
use std::process::ExitCode;

/// Show every setting, its value and where it came from; secrets are masked
///
/// A flag beats the environment, the environment beats `.env`, `.env` beats borg.toml, and that beats the default.
#[derive(Debug, Args)]
pub struct Config {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

impl Config {
    pub fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let shown = settings.show();
        if self.json {
            out::json(&shown)?;
        } else {
            let column = shown.iter().map(|row| row.name.len()).max().unwrap_or_default();
            for row in &shown {
                let value = if row.value.is_empty() { "–" } else { &row.value };
                out::line(neutral::text(&format!("{:column$}  {value}  ({}; {})", row.name, row.source, row.summary)))?;
            }
        }
        // Wrong values are told here, too, and not only when something needs them.
        settings.check()?;
        for warning in &settings.warnings {
            eprintln!("warning: {}", neutral::text(warning));
        }
        Ok(ExitCode::SUCCESS)
    }
}
