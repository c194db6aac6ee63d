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
        let chosen = chosen(&order.rules, policy);
        incomplete.extend(unjudged(&chosen));
        let change = Change {
            files: survey.files,
            commits: order.commits,
            evidence: order.evidence,
            incomplete: incomplete.clone(),
        };
        let diff = Digest::of_bytes(&serde_json::to_vec(&change.files).expect("files of a change are plain data"));
        let mut findings = Vec::new();
        let mut failures = Vec::new();
        for name in chosen {
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
}

/// Rules of a stage: those it names, or all that policy enables. One that is named but missing fails, and so leads to review.
fn chosen(rules: &[String], policy: &Policy) -> Vec<String> {
    if rules.iter().any(|rule| rule == "*") {
        policy.rules.iter().filter(|(_, rule)| rule.enabled).map(|(name, _)| name.clone()).collect()
    } else {
        rules.to_vec()
    }
}

/// That nobody looked is no reason to let a change pass.
fn unjudged(chosen: &[String]) -> Option<String> {
    chosen.is_empty().then(|| "no rule looked at the change: enable one, as in [rule.scope]".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use borg_core::{
        policy::{parse::parse, source::SourceFile},
        verdict::{Thresholds, Verdict},
    };

    #[test]
    fn a_change_that_no_rule_looked_at_is_reviewed() {
        let policy = |rules: &str| {
            let host = "[host]\npipeline = \"p\"\n[budget.default]\n[pipeline.p]\n[[pipeline.p.stage]]\nname = \"j\"\nrules = [\"*\"]\n";
            parse(&[SourceFile { name: "a.toml".into(), text: format!("{host}{rules}") }]).unwrap()
        };
        let verdict = |rules: &[&str], policy: &Policy| {
            let rules: Vec<String> = rules.iter().map(|rule| (*rule).to_owned()).collect();
            let gap: Vec<String> = unjudged(&chosen(&rules, policy)).into_iter().collect();
            verdict::verdict(&[], &[], &gap, Thresholds::default()).verdict
        };
        let off = policy("[rule.scope]\nenabled = false\n");
        assert_eq!(verdict(&["*"], &off), Verdict::Review);
        assert_eq!(verdict(&[], &off), Verdict::Review);
        assert_eq!(verdict(&["*"], &policy("[rule.scope]\n")), Verdict::Pass);
        assert_eq!(verdict(&["scope"], &off), Verdict::Pass);
    }
}
