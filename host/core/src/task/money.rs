//! What a task spends on requests, and what it holds for those whose answers are still out.

use super::Task;
use crate::{
    budget::{Hold, Spent},
    event::{Body, Meanwhile},
    id::RunKey,
};

impl Task {
    /// Keeps back what a request may cost whose answer is still out; once, however often it is told.
    fn hold(&mut self, run: RunKey, hold: Hold) {
        if !self.holds.iter().any(|(other, known)| (*other, known.request) == (run, hold.request)) {
            self.holds.push((run, hold));
        }
    }

    /// Books what a request of a run came to, and lets go of what was held for it. What a run of an earlier stage spent is no burden on
    /// the stage at work.
    fn settle(&mut self, run: RunKey, request: Option<u64>, spent: Spent) {
        self.holds.retain(|(other, hold)| *other != run || Some(hold.request) != request);
        match self.phase.position() {
            Some(at) if at.stage != run.place => self.spent = self.spent + spent,
            Some(_) | None => self.spend(spent),
        }
    }

    /// Takes in what an event says of money, also once the task has ended; true where it says something of that.
    pub fn book(&mut self, body: &Body) -> bool {
        if let Body::Meanwhile(Meanwhile::Metered { run, spent, request, .. }) = body {
            self.settle(*run, *request, *spent);
            return true;
        }
        if let Body::Meanwhile(Meanwhile::Held { run, hold }) = body {
            self.hold(*run, hold.clone());
            return true;
        }
        false
    }

    /// What runs of the same stage have left open.
    pub fn holds_of(&self, run: RunKey) -> impl Iterator<Item = &(RunKey, Hold)> {
        self.holds.iter().filter(move |(other, _)| other.place == run.place)
    }
}
