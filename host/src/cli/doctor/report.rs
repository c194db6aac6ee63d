//! What a look told, and all of it together.

use crate::cli::{neutral, out};
use anyhow::Result;
use serde::Serialize;

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
    pub(super) fn good(what: impl Into<String>, detail: impl Into<String>) -> Self {
        Finding { what: what.into(), state: State::Good, detail: detail.into(), remedy: String::new() }
    }

    pub(super) fn warning(what: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { what: what.into(), state: State::Warning, detail: detail.into(), remedy: remedy.into() }
    }

    pub(super) fn fault(what: impl Into<String>, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Finding { what: what.into(), state: State::Fault, detail: detail.into(), remedy: remedy.into() }
    }
}

/// Findings as they come: a person need not wait for the last to read the first.
pub(super) struct Report {
    pub(super) prints: bool,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn add(&mut self, finding: Finding) -> Result<()> {
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
