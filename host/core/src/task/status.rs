//! The word for where a task stands, and the table of which follows which.

use serde::{Deserialize, Serialize};
use std::fmt;

/// The word for where a task stands, as people see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    Queued,
    Running,
    Parked,
    Blocked,
    NeedsReview,
    Capped,
    Approved,
    Rejected,
    Completed,
    Failed,
    Cancelled,
}

impl Status {
    pub const ALL: [Status; 11] = [
        Status::Queued,
        Status::Running,
        Status::Parked,
        Status::Blocked,
        Status::NeedsReview,
        Status::Capped,
        Status::Approved,
        Status::Rejected,
        Status::Completed,
        Status::Failed,
        Status::Cancelled,
    ];

    /// The one table of allowed transitions.
    pub fn next(self) -> &'static [Status] {
        use Status::*;
        match self {
            Queued => &[Running, Parked, Blocked, Capped, Cancelled],
            Running => &[Queued, Parked, Blocked, NeedsReview, Capped, Completed, Failed, Cancelled],
            Parked => &[Queued, Cancelled],
            Blocked => &[Queued, Approved, Rejected, Cancelled],
            NeedsReview => &[Approved, Rejected, Cancelled],
            Approved => &[Completed, Blocked],
            Capped | Rejected | Completed | Failed | Cancelled => &[],
        }
    }

    /// True when nothing can follow.
    pub fn is_terminal(self) -> bool {
        self.next().is_empty()
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Status::Queued => "queued",
            Status::Running => "running",
            Status::Parked => "parked",
            Status::Blocked => "blocked",
            Status::NeedsReview => "needs-review",
            Status::Capped => "capped",
            Status::Approved => "approved",
            Status::Rejected => "rejected",
            Status::Completed => "completed",
            Status::Failed => "failed",
            Status::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<Ending> for Status {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Completed => Status::Completed,
            Ending::Rejected => Status::Rejected,
            Ending::Failed => Status::Failed,
            Ending::Cancelled => Status::Cancelled,
            Ending::Capped => Status::Capped,
        }
    }
}

/// How a task ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ending {
    Completed,
    Rejected,
    Failed,
    Cancelled,
    Capped,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_is_reachable_and_ends_somewhere() {
        for status in Status::ALL {
            let reached = status == Status::Queued || Status::ALL.iter().any(|from| from.next().contains(&status));
            assert!(reached, "nothing leads to {status}");
            assert!(!status.next().contains(&status), "{status} follows itself");
        }
        for terminal in [Status::Capped, Status::Rejected, Status::Completed, Status::Failed, Status::Cancelled] {
            assert!(terminal.is_terminal());
        }
        for waiting in [Status::Queued, Status::Parked, Status::Blocked, Status::NeedsReview, Status::Running] {
            assert!(waiting.next().contains(&Status::Cancelled), "{waiting} cannot be cancelled");
        }
    }

    #[test]
    fn nothing_is_delivered_without_a_decision_or_a_pass() {
        assert!(!Status::NeedsReview.next().contains(&Status::Completed));
        assert!(!Status::Blocked.next().contains(&Status::Completed));
    }
}
