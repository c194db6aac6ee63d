//! What a check meant where it was run with both harnesses: the base's, and the change's own.
//!
//! Of a stage whose tests must pass, the base's is the one that counts; where it does not do and the change's own does, the stage goes on
//! and a person looks. Of a stage that writes tests, its own counts: the harness is part of what it wrote, and a test that is red only
//! for want of it proves nothing.

use super::{Expect, Judgement, harness::Overlaid};
use crate::facts::{CheckOutcome, HarnessOf, OtherRun, TestEvidence};

/// What the runs of a check meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Both {
    base: Judgement,
    /// None where the change touches no harness.
    own: Option<Judgement>,
    expect: Expect,
}

impl Both {
    pub fn new(expect: Expect, base: Judgement, own: Option<Judgement>) -> Self {
        Both { base, own, expect }
    }

    /// Whose harness the run that counts had.
    pub fn counts(&self) -> HarnessOf {
        match (&self.own, self.expect) {
            (None, _) => HarnessOf::Base,
            (Some(_), Expect::TestsFail) => HarnessOf::Change,
            (Some(own), Expect::TestsPass | Expect::Baseline) if own.met && !self.base.met => HarnessOf::Change,
            (Some(_), Expect::TestsPass | Expect::Baseline) => HarnessOf::Base,
        }
    }

    /// The judgement that counts.
    pub fn counted(&self) -> &Judgement {
        match (self.counts(), &self.own) {
            (HarnessOf::Change, Some(own)) => own,
            (HarnessOf::Change, None) | (HarnessOf::Base, _) => &self.base,
        }
    }

    /// The other one, where there are two.
    pub fn other(&self) -> Option<(HarnessOf, &Judgement)> {
        let own = self.own.as_ref()?;
        Some(match self.counts() {
            HarnessOf::Base => (HarnessOf::Change, own),
            HarnessOf::Change => (HarnessOf::Base, &self.base),
        })
    }

    /// Both must be run again before either counts.
    pub fn again(&self) -> bool {
        match (&self.own, self.expect) {
            (Some(own), Expect::TestsFail) => own.again,
            (Some(own), Expect::TestsPass | Expect::Baseline) => self.base.again || !self.base.met && own.again,
            (None, _) => self.base.again,
        }
    }

    /// What was expected is so.
    pub fn met(&self) -> bool {
        self.counted().met
    }

    /// Neither red nor green, however it was run.
    pub fn is_error(&self) -> bool {
        let is_error = |judgement: &Judgement| judgement.outcome == CheckOutcome::CheckError;
        match (&self.own, self.expect) {
            (Some(own), Expect::TestsFail) => is_error(own),
            (Some(own), Expect::TestsPass | Expect::Baseline) => is_error(&self.base) && is_error(own),
            (None, _) => is_error(&self.base),
        }
    }

    /// One sentence for people and for the next attempt, about both where there are two.
    pub fn reason(&self) -> String {
        match self.other() {
            None => self.base.reason.clone(),
            Some((of, other)) => {
                let counted = self.counted();
                format!("with {}: {}; with {}: {}", self.counts().words(), counted.reason, of.words(), other.reason)
            }
        }
    }

    /// The form in which rules get it, and people.
    pub fn evidence(&self, stage: &str, overlaid: &[Overlaid]) -> TestEvidence {
        let other = self.other().map(|(harness, judgement)| {
            Box::new(OtherRun {
                harness,
                outcome: judgement.outcome,
                met: judgement.met,
                reason: judgement.reason.clone(),
                passed: judgement.passed.clone(),
                failed: judgement.failed.clone(),
                skipped: judgement.skipped.clone(),
            })
        });
        TestEvidence { other, overlaid: overlaid.to_vec(), ..self.counted().evidence(stage) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judgement(what: &str) -> Judgement {
        let (outcome, met, again) = match what {
            "met" => (CheckOutcome::Green, true, false),
            "again" => (CheckOutcome::Red, false, true),
            "red" => (CheckOutcome::Red, false, false),
            "error" => (CheckOutcome::CheckError, false, false),
            other => panic!("{other}"),
        };
        let list = || vec![format!("{what}-id")];
        Judgement {
            outcome,
            met,
            again,
            reason: what.into(),
            flaky: Vec::new(),
            passed: list(),
            failed: Vec::new(),
            skipped: Vec::new(),
        }
    }

    #[test]
    fn which_of_both_counts() {
        use Expect::{TestsFail, TestsPass};
        use HarnessOf::{Base, Change};
        #[rustfmt::skip]
        let rows = [
            // Expected, with the base's, with its own; which counts, met, again, error.
            (TestsPass, "met", Some("met"), Base, true, false, false),
            (TestsPass, "met", Some("red"), Base, true, false, false),
            (TestsPass, "met", Some("again"), Base, true, false, false),
            (TestsPass, "red", Some("met"), Change, true, false, false),
            (TestsPass, "error", Some("met"), Change, true, false, false),
            (TestsPass, "again", Some("met"), Change, true, true, false),
            (TestsPass, "error", Some("again"), Base, false, true, false),
            (TestsPass, "red", Some("red"), Base, false, false, false),
            (TestsPass, "red", Some("error"), Base, false, false, false),
            (TestsPass, "error", Some("red"), Base, false, false, false),
            (TestsPass, "error", Some("error"), Base, false, false, true),
            (TestsPass, "error", None, Base, false, false, true),
            (TestsPass, "again", None, Base, false, true, false),
            (TestsFail, "met", Some("met"), Change, true, false, false),
            (TestsFail, "red", Some("met"), Change, true, false, false),
            // Red for want of its own harness, and not with it: that proves nothing.
            (TestsFail, "met", Some("red"), Change, false, false, false),
            (TestsFail, "again", Some("again"), Change, false, true, false),
            (TestsFail, "again", Some("red"), Change, false, false, false),
            (TestsFail, "met", Some("error"), Change, false, false, true),
            (TestsFail, "met", None, Base, true, false, false),
        ];
        for (expect, base, own, counts, met, again, error) in rows {
            let both = Both::new(expect, judgement(base), own.map(judgement));
            let got = (both.counts(), both.met(), both.again(), both.is_error());
            assert_eq!(got, (counts, met, again, error), "{expect:?} {base} {own:?}");
            let evidence = both.evidence("impl", &[]);
            assert_eq!(evidence.other.is_some(), own.is_some());
            if let Some(own) = own {
                let reason = both.reason();
                assert!(reason.contains(&format!("the base's harness: {base}")), "{reason}");
                assert!(reason.contains(&format!("own harness: {own}")), "{reason}");
                let shown = [evidence.passed[0].as_str(), evidence.other.as_ref().unwrap().passed[0].as_str()];
                assert!(
                    shown.contains(&format!("{base}-id").as_str()) && shown.contains(&format!("{own}-id").as_str())
                );
            }
        }
    }
}
