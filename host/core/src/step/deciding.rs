//! Verdicts and decisions: from findings to a delivery, or not.

use super::Turn;
use crate::{
    approval::{ApprovedChange, DigestParts, Review, change_digest},
    collect::CommitId,
    event::Kept,
    facts::Finding,
    id::Digest,
    policy::{PersonId, Role, Via},
    task::{BlockedOn, Decision, Doing, Ending, Phase, Position, Running},
    verdict::{self, RuleFailure, Verdict},
};

impl Turn<'_> {
    pub(super) fn judged(&mut self, findings: &[Finding], failures: &[RuleFailure], incomplete: &[String]) {
        let Some(running) = self.running() else { return };
        let at = running.at.clone();
        let (Some(base), Some(head)) = (self.task.base.as_ref(), self.task.head.clone()) else { return };
        let ruling = verdict::verdict(findings, failures, incomplete, self.policy.verdict);
        let digest = change_digest(DigestParts {
            repository: &self.task.spec.repository,
            base: &base.commit,
            head: &head,
            findings,
            evidence: &self.evidence(),
            policy: &self.task.spec.policy,
        });
        let review = Review { ruling, findings: findings.to_vec(), head, digest };
        match (review.ruling.verdict, ApprovedChange::by_rules(&review)) {
            (Verdict::Pass, Some(change)) => {
                self.task.review = Some(review);
                self.deliver(following(&at), change, false);
            }
            (Verdict::Block, _) => {
                self.task.review = Some(review.clone());
                let id = self.task.id();
                let reason = format!("the verdict is block: {}", review.ruling.reasons.join("; "));
                let remedy = format!(
                    "`borg-host task reject {id}`, or an owner overrules it with `borg-host task approve {id}`"
                );
                self.enter(Phase::Blocked { at, on: BlockedOn::Verdict { review }, reason, remedy });
                self.tell_review();
            }
            (Verdict::Review | Verdict::Pass, _) => {
                self.task.review = Some(review.clone());
                self.enter(Phase::NeedsReview { at, review });
                self.tell_review();
            }
        }
    }

    pub(super) fn approved(&mut self, by: &PersonId, digest: &Digest, note: &str) {
        let Some((at, review)) = self.waiting() else { return };
        let role = self.current.role(by).unwrap_or(Role::Guest);
        if let Ok(change) = ApprovedChange::by_person(&review, by, role, digest) {
            self.decided(by, digest, note, true);
            self.deliver(following(&at), change, true);
        }
    }

    pub(super) fn rejected(&mut self, by: &PersonId, digest: &Digest, note: &str) {
        let Some((_, review)) = self.waiting() else { return };
        if review.digest == *digest {
            self.decided(by, digest, note, false);
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            self.end(Ending::Rejected, &format!("rejected by {by}{note}"));
        }
    }

    /// The review a person is asked about.
    fn waiting(&self) -> Option<(Position, Review)> {
        match &self.task.phase {
            Phase::NeedsReview { at, review } | Phase::Blocked { at, on: BlockedOn::Verdict { review }, .. } => {
                Some((at.clone(), review.clone()))
            }
            Phase::Blocked {
                on: BlockedOn::Repair | BlockedOn::Delivery { .. } | BlockedOn::Question { .. }, ..
            }
            | Phase::Queued { .. }
            | Phase::Running(_)
            | Phase::Parked { .. }
            | Phase::Approved { .. }
            | Phase::Ended { .. } => None,
        }
    }

    fn decided(&mut self, by: &PersonId, digest: &Digest, note: &str, approved: bool) {
        self.task.decision = Some(Decision {
            by: by.clone(),
            at_ms: self.event.at_ms,
            approved,
            digest: *digest,
            note: note.to_owned(),
        });
    }

    pub(super) fn delivered(
        &mut self,
        branch: &str,
        commit: &CommitId,
        pushed_to: Option<&str>,
        answer: Option<&Kept>,
    ) {
        // Where an answer was written out, it counts and not what was said about it.
        if let Some(answer) = answer.filter(|answer| !answer.text.trim().is_empty()) {
            self.task.last_words = Some(answer.clone());
        }
        let Some(at) = self.task.phase.position() else { return };
        let reason = match self.via(at) {
            Via::Branch => {
                let place = pushed_to.map(|place| format!(" in {place}")).unwrap_or_default();
                format!("branch {branch} at {}{place}", commit.short())
            }
            Via::Reply => "answered".to_owned(),
            Via::None => "judged; the pipeline delivers nothing".to_owned(),
        };
        self.end(Ending::Completed, &reason);
    }

    pub(super) fn deliver_failed(&mut self, reason: &str, remedy: &str) {
        let reason = format!("delivery failed: {reason}");
        let (at, change) = match &self.task.phase {
            Phase::Approved { at, change }
            | Phase::Running(Running { at, doing: Doing::Delivering { change: Some(change) }, .. }) => {
                (at.clone(), change.clone())
            }
            Phase::Running(Running { doing: Doing::Delivering { change: None }, .. }) => {
                self.block(&reason, remedy);
                return;
            }
            Phase::Running(_)
            | Phase::Queued { .. }
            | Phase::Parked { .. }
            | Phase::Blocked { .. }
            | Phase::NeedsReview { .. }
            | Phase::Ended { .. } => return,
        };
        self.enter(Phase::Blocked { at, on: BlockedOn::Delivery { change }, reason, remedy: remedy.to_owned() });
        self.tell_blocked();
    }

    /// A person mended what was broken, perhaps in policy: the task goes on under the one in force.
    pub(super) fn unblock(&mut self) {
        match self.task.phase.clone() {
            Phase::Blocked { at, on: BlockedOn::Repair, .. } => {
                self.task.spec.policy = self.current.digest;
                self.enter(Phase::Queued { at });
            }
            Phase::Blocked { at, on: BlockedOn::Delivery { change }, .. } => {
                self.task.spec.policy = self.current.digest;
                self.deliver(Position { attempt: at.attempt + 1, ..at }, change, true);
            }
            Phase::Parked { at, .. } => self.enter(Phase::Queued { at }),
            Phase::Blocked { on: BlockedOn::Verdict { .. } | BlockedOn::Question { .. }, .. }
            | Phase::Queued { .. }
            | Phase::Running(_)
            | Phase::NeedsReview { .. }
            | Phase::Approved { .. }
            | Phase::Ended { .. } => {}
        }
    }
}

/// Where a judged change goes: the stage after its judge.
fn following(at: &Position) -> Position {
    Position { stage: at.stage + 1, attempt: 1, ..Position::default() }
}
