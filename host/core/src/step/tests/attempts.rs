//! The promise about attempts, held after every event.

use crate::{
    event::{Answer, Body},
    executor::{EndCause, OutcomeStatus},
    policy::StageWork,
    task::Task,
};

/// Attempts never exceed the allowance, and only work that was found wanting uses one up.
pub fn hold_attempts(was: &Task, task: &Task, cause: &Body) {
    let (Some(before), Some(after)) = (was.phase.position(), task.phase.position()) else { return };
    assert!(
        (after.stage, after.attempt) >= (before.stage, before.attempt),
        "the fence went back: {before:?} {after:?}"
    );
    if let Some(StageWork::Persona { attempts, .. }) =
        task.spec.pipeline.stages.get(after.stage as usize).map(|stage| &stage.work)
    {
        assert!(after.used < *attempts, "{after:?} of {attempts}");
    }
    if after.stage != before.stage || after.used == before.used {
        return;
    }
    assert_eq!(after.used, before.used + 1);
    let fair = match cause {
        Body::Answer(Answer::RunEnded { end, outcome, start_error, .. }) => {
            let machinery =
                matches!(outcome.status, OutcomeStatus::Transient | OutcomeStatus::RateLimited | OutcomeStatus::Auth)
                    && matches!(end.cause, EndCause::Exited | EndCause::KilledBySignal);
            start_error.is_none() && end.cause != EndCause::Lost && !machinery
        }
        Body::Answer(Answer::Accepted { .. }) => true,
        Body::Answer(Answer::Asked { .. }) => before.asked == 3,
        Body::Answer(Answer::Checked { check, .. }) => {
            let mut runs = std::iter::once(&**check).chain(check.own.as_deref());
            check.sandbox_error.is_none() && runs.any(|run| run.end.cause == EndCause::Exited)
        }
        _ => false,
    };
    assert!(fair, "an attempt was used up by {cause:?}");
}
