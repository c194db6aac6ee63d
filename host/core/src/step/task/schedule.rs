//! Which queued task starts, and what those are told that wait.

use super::super::Round;
use crate::{
    event::{Body, Meanwhile, Said},
    intent::{self, Intent},
    task::{Phase, Task},
};

impl Round<'_> {
    /// Starts queued tasks, oldest first, while there are slots and their repositories are free. A delivery that a person set off
    /// counts as one of them but never waits: it only takes the mirror's lock. Where a daily cap is almost used up there is one slot, of
    /// the host or of that human.
    pub(super) fn start_queued(&mut self) {
        let slots = self.slots();
        while !self.state.paused && self.state.tasks.values().filter(|task| task.is_running()).count() < slots {
            let busy = |repository: &str| {
                self.state.tasks.values().any(|other| other.is_running() && other.spec.repository == repository)
            };
            let next = self.state.tasks.values().find(|task| {
                matches!(task.phase, Phase::Queued { .. }) && !busy(&task.spec.repository) && self.ahead(task).is_none()
            });
            let Some(mut turn) = next.map(Task::id).and_then(|id| self.turn(id)) else { break };
            turn.start();
        }
    }

    /// Tells whoever just sent a task on its way that it has to wait, and for what.
    pub(super) fn tell_waiting(&mut self) {
        let sent = matches!(
            self.event.body,
            Body::Said(Said::TaskCreated { .. } | Said::Unblocked { .. } | Said::Answered { .. })
                | Body::Meanwhile(Meanwhile::DeadlinePassed)
        );
        let Some(id) = self.event.owner.task().filter(|_| sent) else { return };
        let tasks = &self.state.tasks;
        let Some(task) = tasks.get(&id).filter(|task| matches!(task.phase, Phase::Queued { .. })) else { return };
        let other = tasks.values().find(|other| other.is_running() && other.spec.repository == task.spec.repository);
        let why = match other {
            _ if self.state.paused => {
                format!("waits: the host is paused; {} lets it go on", intent::spell(&Intent::Resume))
            }
            Some(other) => format!("waits for #{}, which works on {}", other.id(), task.spec.repository),
            None if let Some(why) = self.narrowed(task) => why,
            None => {
                let slots = self.slots();
                format!("waits for a place: no more than {slots} task(s) run at once (`parallel` in [host])")
            }
        };
        if let Some(mut turn) = self.turn(id) {
            turn.tell_progress(&why);
        }
    }
}
