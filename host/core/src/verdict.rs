//! What findings add up to: pass, review or block. Who acts on a verdict is `step`; who decides over a review is a person.

use crate::{
    check::harness,
    facts::{Finding, Severity, Span},
    id::Digest,
};
use serde::{Deserialize, Serialize};

/// From which risk on a change is reviewed or blocked; `[verdict]` of policy.
///
/// The risk of a finding is its severity (note 10, minor 40, major 70, critical 100) times its confidence in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
pub struct Thresholds {
    pub review: u8,
    pub block: u8,
}

impl Default for Thresholds {
    fn default() -> Self {
        Thresholds { review: 28, block: 80 }
    }
}

/// A rule that gave no answer: it trapped, ran out of time, or returned an error.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleFailure {
    pub rule: String,
    pub why: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Pass,
    /// A person must look.
    Review,
    /// Not delivered unless a person overrides it, and that is recorded.
    Block,
}

/// The verdict over one change and, in words, everything that kept it from being better.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ruling {
    pub verdict: Verdict,
    /// Empty for a pass; the gravest first.
    pub reasons: Vec<String>,
}

/// Risk of one finding, 0 to 100.
pub fn risk(finding: &Finding) -> u8 {
    let weight: u16 = match finding.severity {
        Severity::Note => 10,
        Severity::Minor => 40,
        Severity::Major => 70,
        Severity::Critical => 100,
    };
    u8::try_from(weight * u16::from(finding.confidence.min(100)) / 100)
        .expect("a weight of at most 100 times at most one")
}

/// Adds up findings, failures of rules and gaps in the facts. A failure or a gap is never a pass.
pub fn verdict(
    findings: &[Finding],
    rule_failures: &[RuleFailure],
    incomplete: &[String],
    thresholds: Thresholds,
) -> Ruling {
    let mut kind = Verdict::Pass;
    let mut reasons: Vec<(u8, String)> = Vec::new();
    for finding in findings {
        let risk = risk(finding);
        // That tests pass with the change's own harness only is no matter of degree.
        let is_certain = finding.rule == harness::RULE && finding.id == harness::OWN_ONLY;
        let this = if risk >= thresholds.block {
            Verdict::Block
        } else if risk >= thresholds.review || is_certain {
            Verdict::Review
        } else {
            continue;
        };
        kind = kind.max(this);
        reasons.push((risk, format!("{}/{}: {}", finding.rule, finding.id, finding.message)));
    }
    for failure in rule_failures {
        kind = kind.max(Verdict::Review);
        reasons.push((thresholds.review, format!("rule {} gave no answer: {}", failure.rule, failure.why)));
    }
    for gap in incomplete {
        kind = kind.max(Verdict::Review);
        reasons.push((thresholds.review, format!("not everything could be looked at: {gap}")));
    }
    reasons.sort_by_key(|(risk, _)| std::cmp::Reverse(*risk));
    Ruling { verdict: kind, reasons: reasons.into_iter().map(|(_, reason)| reason).collect() }
}

type Place<'a> = Option<(&'a str, u32, u32)>;

fn place(span: &Option<Span>) -> Place<'_> {
    span.as_ref().map(|span| (span.path.as_str(), span.start, span.end))
}

/// Puts findings in the one order that does not depend on which rule answered first.
pub fn sort_findings(findings: &mut [Finding]) {
    findings.sort_by(|a, b| {
        let key = |finding: &'_ Finding| (std::cmp::Reverse(risk(finding)), std::cmp::Reverse(finding.severity));
        key(a).cmp(&key(b)).then_with(|| fields(a).cmp(&fields(b)))
    });
}

fn fields(finding: &Finding) -> (&str, &str, Place<'_>, Place<'_>, &str, Severity, u8) {
    let Finding { rule, id, severity, confidence, base, head, message } = finding;
    (rule, id, place(head), place(base), message, *severity, *confidence)
}

/// Digest over all findings, the same in whatever order they came; part of the digest an approval names.
pub fn findings_digest(findings: &[Finding]) -> Digest {
    let mut sorted: Vec<_> = findings.iter().map(fields).collect();
    sorted.sort();
    let mut parts: Vec<Vec<u8>> = Vec::with_capacity(sorted.len() * 7);
    for (rule, id, head, base, message, severity, confidence) in sorted {
        let show = |place: Place<'_>| match place {
            Some((path, start, end)) => format!("{start}-{end} {path}"),
            None => String::new(),
        };
        let grade = format!("{severity:?} {confidence}");
        parts.extend([rule, id, message, &grade, &show(base), &show(head)].map(|part| part.as_bytes().to_vec()));
    }
    Digest::of_parts(parts.iter().map(Vec::as_slice))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(severity: Severity, confidence: u8, message: &str) -> Finding {
        let head = Some(Span { path: "a.py".into(), start: 1, end: 2 });
        Finding { rule: "r".into(), id: "x".into(), severity, confidence, base: None, head, message: message.into() }
    }

    #[test]
    fn risk_is_weight_times_confidence() {
        for (severity, confidence, expected, kind) in [
            (Severity::Note, 100, 10, Verdict::Pass),
            (Severity::Minor, 69, 27, Verdict::Pass),
            (Severity::Minor, 70, 28, Verdict::Review),
            (Severity::Major, 100, 70, Verdict::Review),
            (Severity::Critical, 79, 79, Verdict::Review),
            (Severity::Critical, 80, 80, Verdict::Block),
            (Severity::Critical, 255, 100, Verdict::Block),
        ] {
            let finding = finding(severity, confidence, "m");
            assert_eq!(risk(&finding), expected);
            assert_eq!(verdict(&[finding], &[], &[], Thresholds::default()).verdict, kind);
        }
    }

    #[test]
    fn what_could_not_be_judged_is_never_a_pass() {
        let failure = RuleFailure { rule: "scope".into(), why: "ran out of time".into() };
        let got = verdict(&[], &[failure], &["the diff was cut".into()], Thresholds::default());
        assert_eq!(got.verdict, Verdict::Review);
        assert!(got.reasons[0].contains("scope") && got.reasons[1].contains("cut"));
        assert_eq!(verdict(&[], &[], &[], Thresholds::default()).verdict, Verdict::Pass);
        let strict = Thresholds { review: 255, block: 255 };
        assert_eq!(verdict(&[], &[], &["cut".into()], strict).verdict, Verdict::Review);
    }

    #[test]
    fn order_does_not_matter_and_content_does() {
        let one = finding(Severity::Minor, 50, "one");
        let two = finding(Severity::Critical, 50, "two");
        let digest = findings_digest(&[one.clone(), two.clone()]);
        assert_eq!(digest, findings_digest(&[two.clone(), one.clone()]));
        assert_ne!(digest, findings_digest(std::slice::from_ref(&one)));
        let mut changed = two.clone();
        changed.confidence = 51;
        assert_ne!(digest, findings_digest(&[one.clone(), changed]));
        let mut sorted = [one.clone(), two.clone()];
        sort_findings(&mut sorted);
        assert_eq!(sorted, [two, one]);
    }
}
