//! What one run has spent: asked before a request is forwarded, told after. Lives in memory; the ledger's rows are the record.
//!
//! How one could get it wrong: a charge that is dropped without being settled (a cancelled task, a panic) must not be free,
//! so dropping it books the worst case.

use crate::Notice;
use borg_core::budget::{Budget, Cap, MicroUsd, Spent, Usage};
use std::{
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Instant,
};
use tokio::sync::broadcast;

/// Percentages at which the engine is told.
const MILESTONES: [u8; 3] = [50, 75, 90];

pub(crate) struct Account {
    allowance: Budget,
    before: Spent,
    /// When wall time began: the moment a peer was admitted.
    began: OnceLock<Instant>,
    state: Mutex<State>,
    notices: broadcast::Sender<Notice>,
}

#[derive(Default)]
struct State {
    /// Without wall time.
    spent: Spent,
    /// How many of [`MILESTONES`] were told.
    told: usize,
    refused_by: Option<Cap>,
}

impl Account {
    pub fn new(allowance: Budget, before: Spent, notices: broadcast::Sender<Notice>) -> Account {
        Account { allowance, before, began: OnceLock::new(), state: Mutex::default(), notices }
    }

    /// Starts wall time; later calls change nothing.
    pub fn begin(&self) {
        self.began.get_or_init(Instant::now);
    }

    /// What this run has spent, wall time included.
    pub fn spent(&self) -> Spent {
        self.with_wall(self.state().spent)
    }

    /// The limit that a request was refused for, if one was.
    pub fn cap(&self) -> Option<Cap> {
        self.state().refused_by
    }

    /// Opens a charge, unless a limit is reached. `turns` is 1 for a request that makes the model work, else 0; it is taken
    /// at once, so that requests at the same time cannot share the last turn.
    pub fn charge(self: &Arc<Self>, turns: u32, worst: (Usage, MicroUsd)) -> Result<Charge, (Cap, String)> {
        let mut state = self.state();
        let spent = self.with_wall(state.spent);
        if let Some(cap) = self.allowance.reached(&spent) {
            if state.refused_by.is_none() {
                state.refused_by = Some(cap);
                self.tell(Notice::Capped(cap));
            }
            return Err((cap, self.figure(cap, &spent)));
        }
        state.spent.turns = state.spent.turns.saturating_add(turns);
        Ok(Charge { account: Arc::clone(self), turns, worst: Some(worst) })
    }

    fn book(&self, usage: Usage, cost: MicroUsd) {
        let mut state = self.state();
        state.spent = state.spent + Spent { usage, cost, ..Spent::default() };
        let spent = self.with_wall(state.spent);
        let (percent, of) = self.progress(&spent);
        let told = MILESTONES.iter().filter(|milestone| percent >= u128::from(**milestone)).count();
        if told > state.told {
            state.told = told;
            self.tell(Notice::Reached { percent: MILESTONES[told - 1], of });
        }
    }

    fn give_back(&self, turns: u32) {
        let mut state = self.state();
        state.spent.turns = state.spent.turns.saturating_sub(turns);
    }

    /// The figure that is furthest, in percent of the task's whole budget (what is left to this run plus what went before).
    fn progress(&self, now: &Spent) -> (u128, Cap) {
        let (left, before) = (&self.allowance, &self.before);
        let part = |left: u64, before: u64, now: u64| {
            let whole = u128::from(left) + u128::from(before);
            ((u128::from(before) + u128::from(now)) * 100).checked_div(whole).unwrap_or(100)
        };
        let parts = [
            (part(left.turns.into(), before.turns.into(), now.turns.into()), Cap::Turns),
            (part(left.tokens, before.usage.total(), now.usage.total()), Cap::Tokens),
            (part(left.cost.0, before.cost.0, now.cost.0), Cap::Cost),
            (part(left.wall_ms, before.wall_ms, now.wall_ms), Cap::Wall),
        ];
        parts.into_iter().fold((0, Cap::Turns), |best, next| if next.0 > best.0 { next } else { best })
    }

    /// Spent and allowed of the whole task, in words.
    fn figure(&self, cap: Cap, now: &Spent) -> String {
        let spent = self.before + *now;
        let whole = |left: u64, before: u64| left.saturating_add(before);
        let (left, before) = (&self.allowance, &self.before);
        match cap {
            Cap::Turns => format!("{} of {}", spent.turns, whole(left.turns.into(), before.turns.into())),
            Cap::Tokens => format!("{} of {}", spent.usage.total(), whole(left.tokens, before.usage.total())),
            Cap::Cost => format!("{} of {}", spent.cost, left.cost + before.cost),
            Cap::Wall => {
                format!("{} s of {} s", spent.wall_ms / 1000, whole(left.wall_ms, before.wall_ms) / 1000)
            }
        }
    }

    fn with_wall(&self, spent: Spent) -> Spent {
        let wall = self.began.get().map_or(0, |began| began.elapsed().as_millis());
        Spent { wall_ms: u64::try_from(wall).unwrap_or(u64::MAX), ..spent }
    }

    fn tell(&self, notice: Notice) {
        // An error only means that nobody listens.
        let _ = self.notices.send(notice);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request under way. Dropped unsettled, it costs the worst case.
pub(crate) struct Charge {
    account: Arc<Account>,
    turns: u32,
    worst: Option<(Usage, MicroUsd)>,
}

impl Charge {
    /// Books what was used.
    pub fn settle(mut self, usage: Usage, cost: MicroUsd) {
        self.worst = None;
        self.account.book(usage, cost);
    }

    /// Takes everything back, the turn too: the model did nothing.
    pub fn refund(mut self) {
        self.worst = None;
        self.account.give_back(self.turns);
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some((usage, cost)) = self.worst.take() {
            self.account.book(usage, cost);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(allowance: Budget, before: Spent) -> (Arc<Account>, broadcast::Receiver<Notice>) {
        let (notices, heard) = broadcast::channel(16);
        (Arc::new(Account::new(allowance, before, notices)), heard)
    }

    const PLENTY: Budget = Budget { turns: 1000, tokens: 1_000_000, cost: MicroUsd(1_000_000), wall_ms: 1_000_000 };
    const NOTHING: (Usage, MicroUsd) =
        (Usage { input_tokens: 0, output_tokens: 0, cache_read_tokens: 0, cache_write_tokens: 0 }, MicroUsd(0));

    #[test]
    fn a_dropped_charge_costs_the_worst_case() {
        let (account, _heard) = account(PLENTY, Spent::default());
        let worst = (Usage { output_tokens: 7, ..Usage::default() }, MicroUsd(9));
        drop(account.charge(1, worst).unwrap());
        assert_eq!((account.spent().turns, account.spent().cost), (1, MicroUsd(9)));
        account.charge(1, worst).unwrap().refund();
        assert_eq!((account.spent().turns, account.spent().cost), (1, MicroUsd(9)));
        account.charge(1, worst).unwrap().settle(Usage::default(), MicroUsd(1));
        assert_eq!((account.spent().turns, account.spent().cost), (2, MicroUsd(10)));
    }

    #[test]
    fn the_last_turn_cannot_be_shared() {
        let (account, _heard) = account(Budget { turns: 1, ..PLENTY }, Spent::default());
        let first = account.charge(1, NOTHING).unwrap();
        assert_eq!(account.charge(1, NOTHING).err().unwrap().0, Cap::Turns);
        assert_eq!(account.cap(), Some(Cap::Turns));
        drop(first);
    }

    #[test]
    fn milestones_count_what_went_before_and_come_once() {
        let before = Spent { cost: MicroUsd(400_000), ..Spent::default() };
        let (account, mut heard) = account(Budget { cost: MicroUsd(600_000), ..PLENTY }, before);
        let mut told = Vec::new();
        for cost in [50_000, 50_000, 1, 300_000, 99_998] {
            account.charge(1, NOTHING).unwrap().settle(Usage::default(), MicroUsd(cost));
            told.extend(heard.try_recv().ok());
        }
        let reached = |percent| Notice::Reached { percent, of: Cap::Cost };
        assert_eq!(told, [reached(50), reached(75)]);
        account.charge(1, NOTHING).unwrap().settle(Usage::default(), MicroUsd(100_001));
        assert_eq!(heard.try_recv(), Ok(reached(90)));
        let (cap, figure) = account.charge(1, NOTHING).err().unwrap();
        assert_eq!((cap, figure.as_str()), (Cap::Cost, "$1.0000 of $1.0000"));
        assert_eq!(heard.try_recv(), Ok(Notice::Capped(Cap::Cost)));
        assert!(account.charge(1, NOTHING).is_err());
        assert!(heard.try_recv().is_err());
    }
}
