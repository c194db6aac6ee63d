//! Judgement: the survey of the change, and every rule's opinion of it.

use super::{Doers, chain};
use borg_core::{
    effect::JudgeOrder,
    event::Body,
    facts::Change,
    id::Digest,
    policy::Policy,
    survey,
    verdict::{self, RuleFailure},
};
use borg_plugins::Kind;

impl Doers {
    pub(super) async fn judge(&self, order: JudgeOrder, policy: &Policy) -> Body {
        let mirror = self.mirror(&order.repository);
        let mut incomplete = order.incomplete;
        let survey = match self.workspace.survey(&mirror, &order.base, &order.head, survey::Limits::default()).await {
            Ok(survey) => survey,
            Err(error) => {
                // Without facts there is no judgement: a person looks.
                incomplete.push(format!("the change could not be surveyed: {}", chain(&error)));
                return Body::Judged {
                    findings: Vec::new(),
                    failures: Vec::new(),
                    incomplete,
                    diff: Digest::of_bytes(b""),
                };
            }
        };
        incomplete.extend(survey.incomplete);
        let change = Change {
            files: survey.files,
            commits: order.commits,
            evidence: order.evidence,
            incomplete: incomplete.clone(),
        };
        let diff = Digest::of_bytes(&serde_json::to_vec(&change.files).expect("files of a change are plain data"));
        let mut findings = Vec::new();
        let mut failures = Vec::new();
        for name in self.chosen(&order.rules, policy) {
            let given = policy.rules.get(&name).map(|rule| rule.settings.clone()).unwrap_or_default();
            let judged = match self.settings(Kind::Rule, &name, &given) {
                Ok(settings) => match self.plugins.rule(&name, None) {
                    Ok(rule) => rule.judge(&settings, &change).await.map_err(|error| chain(&error)),
                    Err(error) => Err(chain(&error)),
                },
                Err(reason) => Err(reason),
            };
            match judged {
                Ok(Ok(found)) => findings.extend(found),
                Ok(Err(why)) | Err(why) => failures.push(RuleFailure { rule: name, why }),
            }
        }
        verdict::sort_findings(&mut findings);
        Body::Judged { findings, failures, incomplete, diff }
    }

    /// Rules of a stage: those it names, or all that policy enables. One that is named but missing fails, and so leads to review.
    fn chosen(&self, rules: &[String], policy: &Policy) -> Vec<String> {
        let enabled = |name: &str| policy.rules.get(name).is_some_and(|rule| rule.enabled);
        if rules.iter().any(|rule| rule == "*") {
            policy.rules.keys().filter(|name| enabled(name)).cloned().collect()
        } else {
            rules.to_vec()
        }
    }
}
