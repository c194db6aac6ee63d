//! `borg-host doctor`: looks at everything a task will need, and for each fault says the command that mends it.

mod machine;
mod setup;
mod shipped;

use super::{failure, neutral, out};
use anyhow::Result;
use borg_host::{
    installation::{InstallationError, Standing},
    settings::Settings,
};
use clap::Args;
use serde::Serialize;
use std::process::ExitCode;

/// Look at everything a task will need; each fault ends in what mends it
///
/// Ends with 0 when nothing hinders a task, with 1 otherwise; warnings are no faults.
#[derive(Debug, Args)]
pub struct Doctor {
    /// Print a JSON array
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    Good,
    Warning,
    Fault,
}

/// What one look told.
#[derive(Debug, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub what: String,
    pub state: State,
    pub detail: String,
    /// A command or an edit; empty when nothing needs mending.
    pub remedy: String,
}

impl Finding {
    fn good(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Finding { what: what.into(), state: State::Good, detail: detail.into(), remedy: String::new() }
    }

    fn warning(what: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { what: what.into(), state: State::Warning, detail: detail.into(), remedy: remedy.into() }
    }

    fn fault(what: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { what: what.into(), state: State::Fault, detail: detail.into(), remedy: remedy.into() }
    }
}

impl Doctor {
    pub async fn perform(self, settings: &Settings) -> Result<ExitCode> {
        let mut report = Report { prints: !self.json, findings: Vec::new() };
        report.add(installation(settings))?;
        machine::look(settings, &mut report).await?;
        setup::look(settings, &mut report).await?;
        self.end(&report)
    }

    /// Looks at the machine alone: nothing of the folder is read.
    pub async fn without_installation(self, why: InstallationError) -> Result<ExitCode> {
        let mut report = Report { prints: !self.json, findings: Vec::new() };
        machine::programs(&mut report).await?;
        let remedy = why.remedy();
        report.add(Finding::fault("installation", failure::chain(&why.into()), remedy))?;
        self.end(&report)
    }

    /// Sums up.
    fn end(&self, report: &Report) -> Result<ExitCode> {
        let faults = report.findings.iter().filter(|finding| finding.state == State::Fault).count();
        if self.json {
            out::json(&report.findings)?;
        } else {
            out::line(match faults {
                0 => "nothing hinders a task".to_owned(),
                1 => "one fault; it ends in what mends it".to_owned(),
                count => format!("{count} faults; each ends in what mends it"),
            })?;
        }
        Ok(if faults == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}

/// Whose word it is that this folder may be read.
fn installation(settings: &Settings) -> Finding {
    let folder = settings.root.display();
    Finding::good(
        "installation",
        match settings.standing {
            Some(Standing::Registered) => format!("{folder} is registered as yours"),
            Some(Standing::Named) => format!("{folder}, named with --config"),
            None => "none".to_owned(),
        },
    )
}

/// Findings as they come: a person need not wait for the last to read the first.
struct Report {
    prints: bool,
    findings: Vec<Finding>,
}

impl Report {
    fn add(&mut self, finding: Finding) -> Result<()> {
        if self.prints {
            let mark = match finding.state {
                State::Good => "good ",
                State::Warning => "hm   ",
                State::Fault => "FAULT",
            };
            // Indented, so that a snippet of a policy file stays whole.
            let detail = finding.detail.trim_end().replace('\n', "\n       ");
            out::line(neutral::text(&format!("{mark}  {}: {detail}", finding.what)))?;
            if !finding.remedy.is_empty() {
                out::line(neutral::text(&format!("       → {}", finding.remedy)))?;
            }
        }
        self.findings.push(finding);
        Ok(())
    }
}
