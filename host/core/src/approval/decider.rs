//! Who may let a change through: somebody with the role for it who did not ask for it, where policy knows such a human. A [`Decider`]
//! is made here only, and no change is approved without one: a check that is forgotten does not compile.
//!
//! Humans are asked about, not identities: those that `[people] same` joins are one. Who asked for a change is who asked for its task,
//! whoever asked for the earlier work it repeats or goes on from, and whoever told its agents something on the way. Where all that may
//! decide asked for some of it, whoever asked for this very task still leaves it to another; where one human is left, that one decides.
//!
//! It is the policy in force that counts, at the moment of the decision: another human who is added, or loses the role, counts at once.

use crate::{
    approval::{ApprovalError, Decider, Review},
    people::{PersonId, Role},
    policy::{OwnChanges, Policy},
    task::Task,
    verdict::Verdict,
};
use std::collections::BTreeSet;

impl<'a> Decider<'a> {
    /// Asks policy whether a person may.
    ///
    /// # Errors
    /// When nothing waits, the person's role does not do, or the change is their own and somebody else may decide on it.
    pub fn of(task: &'a Task, person: &'a PersonId, policy: &Policy) -> Result<Self, ApprovalError> {
        let review = task.phase.waiting_review().ok_or(ApprovalError::NotWaiting)?;
        let needed = needed(review);
        if policy.role(person) < Some(needed) {
            return Err(if needed == Role::Owner { ApprovalError::OwnerOnly } else { ApprovalError::NotEntitled });
        }
        if barred(task, needed, policy).contains(policy.human(person)) {
            return Err(ApprovalError::Own { others: deciders(task, review, policy) });
        }
        Ok(Decider { person, review })
    }
}

/// Everybody who may let a change of a task through, by each of their identities with the role for it.
pub fn deciders(task: &Task, review: &Review, policy: &Policy) -> Vec<PersonId> {
    let needed = needed(review);
    let barred = barred(task, needed, policy);
    let may = |(person, role): &(&PersonId, &Role)| **role >= needed && !barred.contains(policy.human(person));
    policy.people.iter().filter(may).map(|(person, _)| person.clone()).collect()
}

/// Least role that lets a change through.
fn needed(review: &Review) -> Role {
    match review.ruling.verdict {
        Verdict::Block => Role::Owner,
        Verdict::Review | Verdict::Pass => Role::Admin,
    }
}

/// Humans who leave this change to others, because they asked for it.
fn barred<'a>(task: &'a Task, needed: Role, policy: &'a Policy) -> BTreeSet<&'a PersonId> {
    match policy.own_changes {
        OwnChanges::Allow => return BTreeSet::new(),
        OwnChanges::Deny => {}
    }
    let entitled: BTreeSet<&PersonId> =
        policy.people.iter().filter(|(_, role)| **role >= needed).map(|(person, _)| policy.human(person)).collect();
    let asked: BTreeSet<&PersonId> = task.askers().map(|person| policy.human(person)).collect();
    let this = BTreeSet::from([policy.human(&task.spec.by)]);
    [asked, this].into_iter().find(|barred| !entitled.is_subset(barred)).unwrap_or_default()
}
