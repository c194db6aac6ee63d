//! World `rule-plugin`: what counts as cheating.

use super::{contract::Contract, exports::Exports, facts::Facts, v0_1::rule as v0_1, wit::rule as wit};
use crate::{
    error::{CallError, Cause},
    guest::Guest,
    limits::MAX_FINDINGS,
    plugin::Plugin,
    text::{check_list, clip},
};
use borg_core::facts as core;
use serde_json::Value;
use std::sync::Arc;

/// A loaded rule; cheap to clone, and good for as long as it is held, whatever happens to the file.
#[derive(Clone)]
pub struct Rule {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) info: Arc<core::RuleInfo>,
}

impl Rule {
    /// The plugin behind this handle.
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// What `describe` said when the plugin was loaded.
    pub fn info(&self) -> &core::RuleInfo {
        &self.info
    }

    /// Asks the component again; [`Self::info`] is the same for less.
    pub async fn describe(&self) -> Result<core::RuleInfo, CallError> {
        describe(&self.plugin.guest, &self.plugin.exports).await
    }

    /// All findings for one change; the inner error sends the change to review. `settings` must have been validated.
    ///
    /// Refused as an answer: more than 10,000 findings, ids that `describe` does not name, a confidence over 100, spans that end
    /// before they start or whose path is longer than 4 KiB.
    pub async fn judge(
        &self,
        settings: &Value,
        facts: &Facts,
    ) -> Result<Result<Vec<core::Finding>, String>, CallError> {
        let (guest, settings) = (&self.plugin.guest, settings.to_string());
        let answer: Result<Vec<wit::Finding>, String> = match self.plugin.exports.contract {
            Contract::V0_2 => self.plugin.call("judge", (&settings, facts.change())).await?,
            Contract::V0_1 => {
                let parts = v0_1::Parts::of(facts.change());
                self.plugin.call("judge", (parts.change(&settings),)).await?
            }
        };
        match answer {
            Ok(findings) => {
                self.check(&findings).map_err(|why| guest.error("judge", Cause::BadAnswer(why)))?;
                Ok(Ok(findings.into_iter().map(|finding| finding_of(&guest.name, finding)).collect()))
            }
            Err(refusal) => Ok(Err(clip(refusal).replace(['\n', '\r'], " "))),
        }
    }

    fn check(&self, findings: &[wit::Finding]) -> Result<(), String> {
        if findings.len() > MAX_FINDINGS {
            return Err(format!("{} findings, over the limit of {MAX_FINDINGS}", findings.len()));
        }
        let known = &self.info.findings;
        for finding in findings {
            if !known.contains(&finding.id) {
                return Err(format!("finding `{}` is none of those it describes ({})", finding.id, known.join(", ")));
            }
            if finding.confidence > 100 {
                return Err(format!("finding `{}` has a confidence of {} in 100", finding.id, finding.confidence));
            }
            for span in [&finding.base, &finding.head].into_iter().flatten() {
                if span.end < span.start {
                    return Err(format!("finding `{}` has a span that ends before it starts", finding.id));
                }
                check_list("paths", std::slice::from_ref(&span.path))?;
            }
        }
        Ok(())
    }
}

/// Asks the component who it is, once all its functions were found to be those of the contract.
pub(crate) async fn describe(guest: &Guest, exports: &Exports) -> Result<core::RuleInfo, CallError> {
    let info: wit::RuleInfo = exports
        .describe(guest, |functions| match exports.contract {
            Contract::V0_2 => functions.has::<(&str, &wit::Change), Result<Vec<wit::Finding>, String>>("judge"),
            Contract::V0_1 => functions.has::<(v0_1::Change<'_>,), Result<Vec<wit::Finding>, String>>("judge"),
        })
        .await?;
    check_list("findings", &info.findings).map_err(|why| guest.error("describe", Cause::BadAnswer(why)))?;
    Ok(core::RuleInfo { name: info.name, summary: clip(info.summary), findings: info.findings })
}

fn finding_of(rule: &str, finding: wit::Finding) -> core::Finding {
    core::Finding {
        rule: rule.to_owned(),
        id: finding.id,
        severity: match finding.severity {
            wit::Severity::Note => core::Severity::Note,
            wit::Severity::Minor => core::Severity::Minor,
            wit::Severity::Major => core::Severity::Major,
            wit::Severity::Critical => core::Severity::Critical,
        },
        confidence: finding.confidence,
        base: finding.base.map(core::Span::from),
        head: finding.head.map(core::Span::from),
        // One sentence within the host's own list: it begins no line of its own.
        message: clip(finding.message).replace(['\n', '\r'], " "),
    }
}
