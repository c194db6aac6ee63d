//! `borg-host doctor`: looks at everything a task will need, and for each fault says the command that mends it.

mod machine;
mod report;
mod setup;
mod shipped;

use self::report::{Finding, Report, State};
use super::out;
use anyhow::Result;
use borg_host::{
    causes,
    installation::{InstallationError, Standing},
    settings::Settings,
};
use clap::Args;
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
        report.add(Finding::fault("installation", causes::chain(&why), remedy))?;
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
