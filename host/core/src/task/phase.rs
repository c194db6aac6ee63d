//! What a state says of a task: its status, its place in the pipeline, what waits for a decision.

use super::{BlockedOn, Doing, Phase, Position, Running, Status};
use crate::approval::Review;

impl Phase {
    pub fn status(&self) -> Status {
        match self {
            Phase::Queued { .. } => Status::Queued,
            Phase::Running(_) => Status::Running,
            Phase::Parked { .. } => Status::Parked,
            Phase::Blocked { .. } => Status::Blocked,
            Phase::NeedsReview { .. } => Status::NeedsReview,
            Phase::Approved { .. } => Status::Approved,
            Phase::Ended { ending, .. } => (*ending).into(),
        }
    }

    /// The review a person is asked about.
    pub fn waiting_review(&self) -> Option<&Review> {
        match self {
            Phase::NeedsReview { review, .. } | Phase::Blocked { on: BlockedOn::Verdict { review }, .. } => {
                Some(review)
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

    /// True once no agent works on the change any more: it waits for its decision, or is decided on and on its way out.
    pub fn is_past_work(&self) -> bool {
        match self {
            Phase::NeedsReview { .. }
            | Phase::Blocked { on: BlockedOn::Verdict { .. } | BlockedOn::Delivery { .. }, .. }
            | Phase::Running(Running { doing: Doing::Delivering { .. }, .. })
            | Phase::Approved { .. }
            | Phase::Ended { .. } => true,
            Phase::Blocked { on: BlockedOn::Repair | BlockedOn::Question { .. }, .. }
            | Phase::Queued { .. }
            | Phase::Running(_)
            | Phase::Parked { .. } => false,
        }
    }

    /// True where nothing more happens without a person.
    pub fn rests(&self) -> bool {
        match self {
            Phase::Ended { .. } | Phase::Blocked { .. } | Phase::NeedsReview { .. } => true,
            Phase::Queued { .. } | Phase::Running(_) | Phase::Parked { .. } | Phase::Approved { .. } => false,
        }
    }

    /// Position in the pipeline; none once ended.
    pub fn position(&self) -> Option<&Position> {
        match self {
            Phase::Running(running) => Some(&running.at),
            Phase::Queued { at }
            | Phase::Parked { at, .. }
            | Phase::Blocked { at, .. }
            | Phase::NeedsReview { at, .. }
            | Phase::Approved { at, .. } => Some(at),
            Phase::Ended { .. } => None,
        }
    }
}
