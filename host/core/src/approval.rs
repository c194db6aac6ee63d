//! From findings to a change that may be delivered. [`ApprovedChange`] can be made here only: a delivery nobody decided on does not compile.

use crate::{
    collect::CommitId,
    facts::{Finding, TestEvidence},
    id::Digest,
    policy::{PersonId, Role},
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
    #[error("the verdict is `block`: only an owner may overrule it")]
    OwnerOnly,
    #[error("only an admin or an owner decides on a change")]
    NotEntitled,
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

    /// A change a person let through, by naming its digest.
    pub fn by_person(review: &Review, person: &PersonId, role: Role, named: &Digest) -> Result<Self, ApprovalError> {
        if review.digest != *named {
            return Err(ApprovalError::OtherDigest { named: named.short(), waiting: review.digest.short() });
        }
        if review.ruling.verdict == Verdict::Block && role < Role::Owner {
            return Err(ApprovalError::OwnerOnly);
        }
        if role < Role::Admin {
            return Err(ApprovalError::NotEntitled);
        }
        Ok(ApprovedChange { head: review.head.clone(), digest: review.digest, by: Approver::Person(person.clone()) })
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
    fn an_approval_is_bound_to_the_digest_and_a_block_to_the_owner() {
        let person = PersonId("console:1".into());
        let good = Digest::of_bytes(b"change");
        let other = Digest::of_bytes(b"another");
        assert!(ApprovedChange::by_person(&review(Verdict::Review), &person, Role::Admin, &good).is_ok());
        assert!(matches!(
            ApprovedChange::by_person(&review(Verdict::Review), &person, Role::Owner, &other),
            Err(ApprovalError::OtherDigest { .. })
        ));
        assert_eq!(
            ApprovedChange::by_person(&review(Verdict::Block), &person, Role::Admin, &good),
            Err(ApprovalError::OwnerOnly)
        );
        assert!(ApprovedChange::by_person(&review(Verdict::Block), &person, Role::Owner, &good).is_ok());
        for role in [Role::Guest, Role::Member] {
            assert_eq!(
                ApprovedChange::by_person(&review(Verdict::Review), &person, role, &good),
                Err(ApprovalError::NotEntitled)
            );
        }
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
        }];
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
