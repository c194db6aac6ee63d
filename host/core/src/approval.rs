//! From findings to a change that may be delivered. [`ApprovedChange`] can be made here only: a delivery nobody decided on does not compile.

pub mod decider;

use crate::{
    collect::CommitId,
    facts::{Finding, TestEvidence},
    id::{Digest, TaskId},
    intent::{Intent, Look},
    list::few,
    people::PersonId,
    remedy::Advice,
    verdict::{self, Ruling, Verdict},
};
use serde::{Deserialize, Serialize};

/// A judged change, as it is shown to the person who decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Review {
    pub ruling: Ruling,
    pub findings: Vec<Finding>,
    pub head: CommitId,
    pub digest: Digest,
}

/// A change that may leave the host: judged clean, or approved by a person by its digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovedChange {
    head: CommitId,
    digest: Digest,
    by: Approver,
}

/// Who let a change through.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Approver {
    /// The verdict was `pass`.
    Rules,
    Person(PersonId),
}

/// Why an approval does not count.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApprovalError {
    #[error("that approval names change {named}, but the change waiting is {waiting}")]
    OtherDigest { named: String, waiting: String },
    #[error("no change waits for a decision")]
    NotWaiting,
    #[error("the verdict is `block`: only an owner may overrule it")]
    OwnerOnly,
    #[error("only an admin or an owner decides on a change")]
    NotEntitled,
    /// Who asked for a change leaves it to others, as long as there are any.
    #[error("you asked for this change, so somebody else decides on it: {}", names(others))]
    Own { others: Vec<PersonId> },
}

impl ApprovalError {
    /// What whoever was refused can do about it.
    pub fn remedy(&self, task: TaskId) -> Advice {
        match self {
            ApprovalError::OtherDigest { .. } => {
                Advice::from(Intent::Look(Look::Diff { task })).words(" shows the change that waits")
            }
            ApprovalError::NotWaiting => {
                Advice::from(Intent::Look(Look::Status { task: Some(task) })).words(" tells more")
            }
            ApprovalError::OwnerOnly => "ask an owner".into(),
            ApprovalError::NotEntitled => "ask an admin or an owner".into(),
            // Short: it is to fit into a toast.
            ApprovalError::Own { .. } => Advice::from(Intent::Reject { task, change: None, note: String::new() })
                .words(" is yours; if one of them is you, say so with `same` in [people]"),
        }
    }
}

/// People by name, the first few of many; `nobody` where there are none.
pub fn names(people: &[PersonId]) -> String {
    const SHOWN: usize = 5;
    let names: Vec<&str> = people.iter().map(|person| person.0.as_str()).collect();
    few(&names, SHOWN, "nobody")
}

/// Everything the digest of a change is made of.
#[derive(Clone, Copy, Debug)]
pub struct DigestParts<'a> {
    pub repository: &'a str,
    pub base: &'a CommitId,
    pub head: &'a CommitId,
    pub findings: &'a [Finding],
    pub evidence: &'a [TestEvidence],
    pub policy: &'a Digest,
}

/// Digest of a change: SHA-256 over repository id, base commit, head commit, findings digest, evidence digest and policy hash.
pub fn change_digest(parts: DigestParts<'_>) -> Digest {
    let findings = verdict::findings_digest(parts.findings);
    let evidence = Digest::of_bytes(&serde_json::to_vec(parts.evidence).expect("evidence is plain data"));
    Digest::of_parts([
        &b"borg-change-1"[..],
        parts.repository.as_bytes(),
        parts.base.0.as_bytes(),
        parts.head.0.as_bytes(),
        &findings.0,
        &evidence.0,
        &parts.policy.0,
    ])
}

/// Somebody who may let the change through that waits in a task, and that change. Made by [`Decider::of`] only, which stands above the task
/// it asks about, in [`decider`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decider<'a> {
    person: &'a PersonId,
    review: &'a Review,
}

impl<'a> Decider<'a> {
    pub fn person(&self) -> &'a PersonId {
        self.person
    }

    pub fn review(&self) -> &'a Review {
        self.review
    }
}

impl ApprovedChange {
    /// A change the rules let through.
    pub fn by_rules(review: &Review) -> Option<Self> {
        match review.ruling.verdict {
            Verdict::Pass => {
                Some(ApprovedChange { head: review.head.clone(), digest: review.digest, by: Approver::Rules })
            }
            Verdict::Review | Verdict::Block => None,
        }
    }

    /// A change that somebody who may let it through, by naming its digest.
    pub fn by_person(decider: Decider<'_>, named: &Digest) -> Result<Self, ApprovalError> {
        let review = decider.review();
        if review.digest != *named {
            return Err(ApprovalError::OtherDigest { named: named.short(), waiting: review.digest.short() });
        }
        let by = Approver::Person(decider.person().clone());
        Ok(ApprovedChange { head: review.head.clone(), digest: review.digest, by })
    }

    pub fn head(&self) -> &CommitId {
        &self.head
    }

    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    pub fn by(&self) -> &Approver {
        &self.by
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::harness::{Cause, Overlaid};

    fn review(verdict: Verdict) -> Review {
        Review {
            ruling: Ruling { verdict, reasons: Vec::new() },
            findings: Vec::new(),
            head: CommitId("ab".repeat(20)),
            digest: Digest::of_bytes(b"change"),
        }
    }

    #[test]
    fn only_a_pass_needs_no_person() {
        assert!(ApprovedChange::by_rules(&review(Verdict::Pass)).is_some());
        assert!(ApprovedChange::by_rules(&review(Verdict::Review)).is_none());
        assert!(ApprovedChange::by_rules(&review(Verdict::Block)).is_none());
    }

    #[test]
    fn who_may_instead_is_said_by_name_and_briefly() {
        let people = |count: u32| (1..=count).map(|n| PersonId(format!("bot:{n}"))).collect::<Vec<_>>();
        assert_eq!(names(&people(0)), "nobody");
        assert_eq!(names(&people(2)), "bot:1, bot:2");
        assert_eq!(names(&people(7)), "bot:1, bot:2, bot:3, bot:4, bot:5 and 2 more");
        let own = ApprovalError::Own { others: people(1) };
        assert!(own.to_string().ends_with("somebody else decides on it: bot:1"), "{own}");
        let told = format!("#3: {own}. what to do: {}", own.remedy(TaskId(3)).spell(crate::intent::spell));
        assert!(told.contains("/reject 3") && told.len() < 200, "{told}");
    }

    #[test]
    fn every_part_changes_the_digest() {
        let (a, b) = (CommitId("a".repeat(40)), CommitId("b".repeat(40)));
        let policy = Digest::of_bytes(b"p");
        let parts = DigestParts { repository: "r", base: &a, head: &b, findings: &[], evidence: &[], policy: &policy };
        let digest = change_digest(parts);
        let evidence = [TestEvidence {
            stage: "impl".into(),
            outcome: crate::facts::CheckOutcome::Green,
            passed: vec![],
            failed: vec![],
            skipped: vec![],
            other: None,
            overlaid: vec![],
        }];
        let overlaid = [TestEvidence {
            overlaid: vec![Overlaid { path: "conftest.py".into(), cause: Cause::TakenOut }],
            ..evidence[0].clone()
        }];
        assert_ne!(
            change_digest(DigestParts { evidence: &evidence, ..parts }),
            change_digest(DigestParts { evidence: &overlaid, ..parts })
        );
        let other_policy = Digest::of_bytes(b"q");
        for other in [
            DigestParts { repository: "s", ..parts },
            DigestParts { base: &b, ..parts },
            DigestParts { head: &a, ..parts },
            DigestParts { evidence: &evidence, ..parts },
            DigestParts { policy: &other_policy, ..parts },
        ] {
            assert_ne!(digest, change_digest(other));
        }
    }
}
