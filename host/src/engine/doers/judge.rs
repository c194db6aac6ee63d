//! Judgement: the survey of the change, and every rule's opinion of it.

use super::given::settings;
use crate::{
    causes::chain,
    git::mirror::Mirror,
    workspace::{self, Workspace},
};
use borg_core::{
    check::harness::{self, Steering},
    dispatch::Judging,
    effect::JudgeOrder,
    event::{Answer, Body},
    facts::{Change, ChangedFile, Finding},
    survey,
    verdict::{self, RuleFailure},
};
use borg_plugins::{Facts, Kind, Plugins};
use futures_util::future::join_all;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// How deep, and how many at a time, scripts of the base are looked through for what the test command runs; bytes of each.
const ROUNDS: usize = 4;
const FILES: usize = 32;
const SCRIPT_BYTES: usize = 256 << 10;

pub(super) struct Judge {
    pub workspace: Workspace,
    pub plugins: Plugins,
}

impl Judge {
    pub async fn judge(&self, what: &Judging) -> Body {
        let Judging { order, rules } = what;
        let mirror = self.workspace.mirror(&order.repository);
        let mut incomplete = order.incomplete.clone();
        let survey = match self.workspace.survey(&mirror, &order.base, &order.head, survey::Limits::default()).await {
            Ok(survey) => survey,
            Err(error) => {
                // Without facts there is no judgement: a person looks.
                incomplete.push(format!("the change could not be surveyed: {}", chain(&error)));
                return Body::Answer(Answer::Judged { findings: Vec::new(), failures: Vec::new(), incomplete });
            }
        };
        incomplete.extend(survey.incomplete.iter().cloned());
        incomplete.extend(unjudged(rules));
        let mut findings = harness::told(&order.evidence);
        if let Some(command) = &order.check {
            match self.steering(&mirror, command, order, &survey.files).await {
                Ok((found, unread)) => {
                    findings.extend(found);
                    incomplete.extend((unread > 0).then(|| {
                        format!("{unread} more files that steer the tests of the base were not looked into for what they load")
                    }));
                }
                Err(error) => {
                    incomplete.push(format!("what runs with the tests could not be found out: {}", chain(&error)))
                }
            }
        }
        // The survey is kept for others: its texts are copied here, once for all rules.
        let files = survey.files.clone();
        let facts = Facts::new(Change {
            files,
            commits: order.commits.clone(),
            evidence: order.evidence.clone(),
            incomplete: incomplete.clone(),
        });
        // All at once: none waits for another, and what they find is put in order afterwards.
        let judging = rules.iter().map(|(name, given)| self.findings_of(name, given, &facts));
        let mut failures = Vec::new();
        for ((rule, _), judged) in rules.iter().zip(join_all(judging).await) {
            match judged {
                Ok(found) => findings.extend(found),
                Err(why) => failures.push(RuleFailure { rule: rule.clone(), why }),
            }
        }
        verdict::sort_findings(&mut findings);
        Body::Answer(Answer::Judged { findings, failures, incomplete })
    }

    /// One rule's findings, or why there are none.
    async fn findings_of(&self, rule: &str, given: &Value, facts: &Facts) -> Result<Vec<Finding>, String> {
        let settings = settings(&self.plugins, Kind::Rule, rule, given)?;
        let rule = self.plugins.rule(rule, None).map_err(|error| chain(&error))?;
        rule.judge(&settings, facts).await.map_err(|error| chain(&error))?
    }

    /// What of a change steers its tests without being harness by its name; and how many files of the base were too many to look into.
    async fn steering(
        &self,
        mirror: &Mirror,
        command: &str,
        order: &JudgeOrder,
        files: &[ChangedFile],
    ) -> Result<(Vec<Finding>, usize), workspace::Error> {
        let (texts, unread) = self.workspace.harness_texts(mirror, &order.base).await?;
        let mut read: BTreeMap<String, Option<String>> =
            texts.iter().map(|(path, text)| (path.clone(), Some(text.clone()))).collect();
        let mut runs = harness::runs(command, &read);
        // Each round reads what the one before named; recipes that call scripts that call scripts are deep enough.
        for _ in 0..ROUNDS {
            if runs.unread.is_empty() {
                break;
            }
            for path in runs.unread.iter().filter(|path| is_plain(path)).take(FILES) {
                let blob = self.workspace.read_file(mirror, &order.base, path, SCRIPT_BYTES).await?;
                let text = blob.map(|blob| String::from_utf8_lossy(&blob.bytes).into_owned());
                read.insert(path.clone(), text);
            }
            runs = harness::runs(command, &read);
        }
        let tests: BTreeSet<String> = order.accepted.iter().flat_map(|left| left.paths.iter().cloned()).collect();
        let places = self.workspace.test_places(mirror, &order.base).await?;
        let what = Steering { files, command, runs: &runs, texts: &texts, tests: &tests, places: &places };
        Ok((harness::steering(&what), unread + usize::from(runs.is_cut)))
    }
}

/// True for what can be the path of a file in a tree.
fn is_plain(path: &str) -> bool {
    !path.is_empty()
        && path.len() < 256
        && !path.split('/').any(|part| matches!(part, "" | "." | ".."))
        && !path.contains('\0')
}

/// That nobody looked is no reason to let a change pass.
fn unjudged(rules: &[(String, Value)]) -> Option<String> {
    rules.is_empty().then(|| "no rule looked at the change: enable one, as in [rule.scope]".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::verdict::{Thresholds, Verdict};

    #[test]
    fn a_change_that_no_rule_looked_at_is_reviewed() {
        let verdict = |rules: &[(String, Value)]| {
            let gap: Vec<String> = unjudged(rules).into_iter().collect();
            verdict::verdict(&[], &[], &gap, Thresholds::default()).verdict
        };
        assert_eq!(verdict(&[]), Verdict::Review);
        assert_eq!(verdict(&[("scope".into(), Value::Null)]), Verdict::Pass);
    }
}
