//! Verdicts and decisions: from findings to a delivery, or not.

use super::Turn;
use crate::{
    approval::{ApprovedChange, Decider, DigestParts, Review, change_digest, decider::deciders},
    collect::CommitId,
    facts::Finding,
    id::Digest,
    intent::Intent,
    kept::Kept,
    people::PersonId,
    policy::Via,
    remedy::Advice,
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
                let reject = Intent::Reject { task: id, change: None, note: String::new() };
                let approve = Intent::Approve { task: id, change: None, note: String::new() };
                let remedy = Advice::from(reject).words(", or an owner overrules it with ").act(approve);
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
        let Some(at) = self.task.phase.position().cloned() else { return };
        let decider = Decider::of(&self.task, by, self.current);
        if let Ok(change) = decider.and_then(|decider| ApprovedChange::by_person(decider, digest)) {
            self.decided(by, digest, note, true);
            self.deliver(following(&at), change, true);
        }
    }

    pub(super) fn rejected(&mut self, by: &PersonId, digest: &Digest, note: &str) {
        if self.task.phase.waiting_review().is_some_and(|review| review.digest == *digest) {
            self.decided(by, digest, note, false);
            let note = if note.is_empty() { String::new() } else { format!(": {note}") };
            self.end(Ending::Rejected, &format!("rejected by {by}{note}"));
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
        self.tell_closed(if approved { "approved" } else { "rejected" }, by);
    }

    /// Policy was edited while a change waits: others may decide on it now, and are asked.
    pub(super) fn ask_deciders(&mut self) {
        let Some(review) = self.task.phase.waiting_review() else { return };
        let change = review.digest;
        let now = deciders(&self.task, review, self.current);
        let joined: Vec<PersonId> = now.iter().filter(|person| !self.task.deciders.contains(person)).cloned().collect();
        self.task.deciders = now;
        if !joined.is_empty() {
            self.tell_joined(change, joined);
        }
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

    pub(super) fn deliver_failed(&mut self, reason: &str, remedy: &Advice) {
        let reason = format!("delivery failed: {reason}");
        let (at, change) = match &self.task.phase {
            Phase::Approved { at, change }
            | Phase::Running(Running { at, doing: Doing::Delivering { change: Some(change) }, .. }) => {
                (at.clone(), change.clone())
            }
            Phase::Running(Running { doing: Doing::Delivering { change: None }, .. }) => {
                self.block(&reason, remedy.clone());
                return;
            }
            Phase::Running(_)
            | Phase::Queued { .. }
            | Phase::Parked { .. }
            | Phase::Blocked { .. }
            | Phase::NeedsReview { .. }
            | Phase::Ended { .. } => return,
        };
        self.enter(Phase::Blocked { at, on: BlockedOn::Delivery { change }, reason, remedy: remedy.clone() });
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
