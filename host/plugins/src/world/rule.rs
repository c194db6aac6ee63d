//! World `rule-plugin`: what counts as cheating.

use super::each;
use crate::{
    error::{CallError, Cause},
    guest::Guest,
    limits::MAX_FINDINGS,
    plugin::Plugin,
    state::State,
    text::{check_list, clip},
};
use borg_core::facts as core;
use exports::borg::plugin::rule as wit;
use serde_json::Value;
use std::sync::Arc;
use tokio::time::timeout;

wasmtime::component::bindgen!({
    world: "rule-plugin",
    path: "../../wit",
    exports: { default: async },
    with: { "borg:plugin/types@0.1.0": crate::api::shared::borg::plugin::types },
});

pub(crate) type Pre = RulePluginPre<State>;

/// A loaded rule; cheap to clone, and good for as long as it is held, whatever happens to the file.
#[derive(Clone)]
pub struct Rule {
    pub(crate) plugin: Arc<Plugin>,
    pub(crate) pre: Pre,
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
        describe(&self.plugin.guest, &self.pre).await
    }

    /// All findings for one change; the inner error sends the change to review. `settings` must have been validated.
    ///
    /// Refused as an answer: more than 10,000 findings, ids that `describe` does not name, a confidence over 100, spans that end
    /// before they start or whose path is longer than 4 KiB.
    pub async fn judge(
        &self,
        settings: &Value,
        change: &core::Change,
    ) -> Result<Result<Vec<core::Finding>, String>, CallError> {
        let change = change_of(settings, change);
        let guest = &self.plugin.guest;
        let mut call = guest.open("judge").await?;
        let answer = timeout(call.limit, async {
            let rule = self.pre.instantiate_async(&mut call.store).await?;
            rule.borg_plugin_rule().call_judge(&mut call.store, &change).await
        })
        .await;
        match call.close(answer)? {
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

pub(crate) async fn describe(guest: &Guest, pre: &Pre) -> Result<core::RuleInfo, CallError> {
    let mut call = guest.open("describe").await?;
    let answer = timeout(call.limit, async {
        let rule = pre.instantiate_async(&mut call.store).await?;
        rule.borg_plugin_rule().call_describe(&mut call.store).await
    })
    .await;
    let info = call.close(answer)?;
    check_list("findings", &info.findings).map_err(|why| guest.error("describe", Cause::BadAnswer(why)))?;
    Ok(core::RuleInfo { name: info.name, summary: clip(info.summary), findings: info.findings })
}

fn change_of(settings: &Value, change: &core::Change) -> wit::Change {
    wit::Change {
        files: each(&change.files),
        commits: each(&change.commits),
        evidence: each(&change.evidence),
        incomplete: change.incomplete.clone(),
        settings: settings.to_string(),
        extra: vec![],
    }
}

impl From<&core::ChangedFile> for wit::ChangedFile {
    fn from(file: &core::ChangedFile) -> Self {
        wit::ChangedFile {
            path: file.path.clone(),
            old_path: file.old_path.clone(),
            status: match file.status {
                core::FileStatus::Added => wit::FileStatus::Added,
                core::FileStatus::Modified => wit::FileStatus::Modified,
                core::FileStatus::Deleted => wit::FileStatus::Deleted,
                core::FileStatus::Renamed => wit::FileStatus::Renamed,
                core::FileStatus::TypeChanged => wit::FileStatus::TypeChanged,
            },
            class: match file.class {
                core::FileClass::Source => wit::FileClass::Source,
                core::FileClass::Test => wit::FileClass::Test,
                core::FileClass::Fixture => wit::FileClass::Fixture,
                core::FileClass::Snapshot => wit::FileClass::Snapshot,
                core::FileClass::Ci => wit::FileClass::Ci,
                core::FileClass::Build => wit::FileClass::Build,
                core::FileClass::Lint => wit::FileClass::Lint,
                core::FileClass::Coverage => wit::FileClass::Coverage,
                core::FileClass::Ownership => wit::FileClass::Ownership,
                core::FileClass::Docs => wit::FileClass::Docs,
                core::FileClass::Other => wit::FileClass::Other,
            },
            mode: match file.mode {
                core::FileMode::Regular => wit::FileMode::Regular,
                core::FileMode::Executable => wit::FileMode::Executable,
                core::FileMode::Symlink => wit::FileMode::Symlink,
                core::FileMode::Submodule => wit::FileMode::Submodule,
            },
            binary: file.binary,
            hunks: each(&file.hunks),
            base_text: file.base_text.clone(),
            head_text: file.head_text.clone(),
            extra: file.marks.clone(),
        }
    }
}

impl From<&core::Hunk> for wit::Hunk {
    fn from(hunk: &core::Hunk) -> Self {
        wit::Hunk { old_start: hunk.old_start, new_start: hunk.new_start, text: hunk.text.clone() }
    }
}

impl From<&core::StageCommit> for wit::StageCommit {
    fn from(commit: &core::StageCommit) -> Self {
        wit::StageCommit {
            stage: commit.stage.clone(),
            persona: commit.persona.clone(),
            write: commit.write.clone(),
            protected: commit.protected.clone(),
            paths: commit.paths.clone(),
            left_behind: commit.left_behind.iter().map(|left| left.path.clone()).collect(),
            extra: commit
                .refused
                .iter()
                .map(|path| ("refused".to_owned(), path.clone()))
                .chain(
                    commit
                        .left_behind
                        .iter()
                        .map(|left| ("left-behind".to_owned(), format!("{} {}", left.reason.as_str(), left.path))),
                )
                .collect(),
        }
    }
}

impl From<&core::TestEvidence> for wit::TestEvidence {
    fn from(evidence: &core::TestEvidence) -> Self {
        wit::TestEvidence {
            stage: evidence.stage.clone(),
            outcome: match evidence.outcome {
                core::CheckOutcome::Red => wit::CheckOutcome::Red,
                core::CheckOutcome::BuildRed => wit::CheckOutcome::BuildRed,
                core::CheckOutcome::Green => wit::CheckOutcome::Green,
                core::CheckOutcome::CheckError => wit::CheckOutcome::CheckError,
                core::CheckOutcome::NotRun => wit::CheckOutcome::NotRun,
            },
            passed: evidence.passed.clone(),
            failed: evidence.failed.clone(),
            skipped: evidence.skipped.clone(),
            extra: other_run(evidence),
        }
    }
}

/// What a check showed with the other harness, and what of the branch the base's run did not have.
fn other_run(evidence: &core::TestEvidence) -> Vec<(String, String)> {
    let mut extra = Vec::new();
    if let Some(other) = &evidence.other {
        let (counted, name) = match other.harness {
            core::HarnessOf::Base => ("change", "base"),
            core::HarnessOf::Change => ("base", "change"),
        };
        let met = if other.met { "met" } else { "not met" };
        extra.push(("harness".to_owned(), counted.to_owned()));
        extra.push((format!("{name}-harness"), format!("{met}: {}", clip(other.reason.clone()))));
        let lists = [("passed", &other.passed), ("failed", &other.failed), ("skipped", &other.skipped)];
        for (list, ids) in lists {
            extra.extend(ids.iter().map(|id| (format!("{name}-harness-{list}"), id.clone())));
        }
    }
    extra.extend(evidence.overlaid.iter().map(|overlaid| ("overlaid".to_owned(), overlaid.path.clone())));
    extra
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
