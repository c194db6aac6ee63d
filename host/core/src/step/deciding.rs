//! Verdicts and decisions: from findings to a delivery, or not.

use super::Turn;
use crate::{
    approval::{ApprovedChange, DigestParts, Review, change_digest},
    collect::CommitId,
    facts::Finding,
    id::Digest,
    policy::{PersonId, Role},
    task::{BlockedOn, Doing, Ending, Phase, Position, Running},
    verdict::{self, RuleFailure, Verdict},
};

impl Turn<'_> {
    pub(super) fn judged(&mut self, findings: &[Finding], failures: &[RuleFailure], incomplete: &[String]) {
        let Some(running) = self.running() else { return };
        let at = running.at.clone();
        if running.stopping.is_some() {
            self.end(Ending::Cancelled, "cancelled");
            return;
        }
        let (Some(base), Some(head)) = (self.task.base.as_ref(), self.task.head.clone()) else { return };
        let ruling = verdict::verdict(findings, failures, incomplete, self.policy.verdict);
        let digest = change_digest(DigestParts {
            repository: &self.task.spec.repository,
            base: &base.commit,
            head: &head,
            findings,
            evidence: &self.task.evidence,
            policy: &self.task.spec.policy,
        });
        let review = Review { ruling, findings: findings.to_vec(), head, digest };
        match (review.ruling.verdict, ApprovedChange::by_rules(&review)) {
            (Verdict::Pass, Some(change)) => {
                self.task.review = Some(review);
                self.deliver(at, change, false);
            }
            (Verdict::Block, _) => {
                self.task.review = Some(review.clone());
                let id = self.task.id();
                let reason = format!("the verdict is block: {}", review.ruling.reasons.join("; "));
                let remedy = format!(
                    "`borg-host task reject {id}`, or an owner overrules it with `borg-host task approve {id}`"
                );
                self.task.phase = Phase::Blocked { at, on: BlockedOn::Verdict { review }, reason, remedy };
                self.tell_review();
            }
            (Verdict::Review | Verdict::Pass, _) => {
                self.task.review = Some(review.clone());
                self.task.phase = Phase::NeedsReview { at, review };
                self.tell_review();
            }
        }
    }

    pub(super) fn approved(&mut self, by: &PersonId, digest: &Digest) {
        let (at, review) = match &self.task.phase {
            Phase::NeedsReview { at, review } | Phase::Blocked { at, on: BlockedOn::Verdict { review }, .. } => {
                (at.clone(), review.clone())
            }
            Phase::Blocked { .. }
            | Phase::Queued { .. }
            | Phase::Running(_)
            | Phase::Parked { .. }
            | Phase::Approved { .. }
            | Phase::Ended { .. } => return,
        };
        let role = self.policy.role(by).unwrap_or(Role::Guest);
        if let Ok(change) = ApprovedChange::by_person(&review, by, role, digest) {
            self.deliver(at, change, true);
        }
    }

    pub(super) fn rejected(&mut self, note: &str) {
        match &self.task.phase {
            Phase::NeedsReview { .. } | Phase::Blocked { on: BlockedOn::Verdict { .. }, .. } => {
                let reason = if note.is_empty() { "rejected".to_owned() } else { format!("rejected: {note}") };
                self.end(Ending::Rejected, &reason);
            }
            Phase::Blocked { .. }
            | Phase::Queued { .. }
            | Phase::Running(_)
            | Phase::Parked { .. }
            | Phase::Approved { .. }
            | Phase::Ended { .. } => {}
        }
    }

    pub(super) fn delivered(&mut self, branch: &str, commit: &CommitId, pushed_to: Option<&str>) {
        let place = pushed_to.map(|place| format!(" in {place}")).unwrap_or_default();
        self.end(Ending::Completed, &format!("branch {branch} at {}{place}", commit.short()));
    }

    pub(super) fn deliver_failed(&mut self, reason: &str, remedy: &str) {
        let (at, change) = match &self.task.phase {
            Phase::Approved { at, change } => (at.clone(), change.clone()),
            Phase::Running(Running { at, doing: Doing::Delivering { change: Some(change) }, .. }) => {
                (at.clone(), change.clone())
            }
            Phase::Running(_)
            | Phase::Queued { .. }
            | Phase::Parked { .. }
            | Phase::Blocked { .. }
            | Phase::NeedsReview { .. }
            | Phase::Ended { .. } => return,
        };
        self.task.phase = Phase::Blocked {
            at,
            on: BlockedOn::Delivery { change },
            reason: format!("delivery failed: {reason}"),
            remedy: remedy.to_owned(),
        };
        self.tell_blocked();
    }

    /// A person mended what was broken.
    pub(super) fn unblock(&mut self) {
        match self.task.phase.clone() {
            Phase::Blocked { at, on: BlockedOn::Repair, .. } => self.task.phase = Phase::Queued { at },
            Phase::Blocked { at, on: BlockedOn::Delivery { change }, .. } => {
                // `deliver` steps to the stage after the one it is given.
                let before = Position { stage: at.stage.saturating_sub(1), ..at };
                self.deliver(before, change, true);
            }
            Phase::Parked { at, .. } => self.task.phase = Phase::Queued { at },
            Phase::Blocked { on: BlockedOn::Verdict { .. }, .. }
            | Phase::Queued { .. }
            | Phase::Running(_)
            | Phase::NeedsReview { .. }
            | Phase::Approved { .. }
            | Phase::Ended { .. } => {}
        }
    }
}
