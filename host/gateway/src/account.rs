//! What one run has spent: asked before a request is forwarded, told after. Lives in memory; the ledger's rows are the record.
//!
//! How one could get it wrong: a charge that is dropped without being settled (a cancelled task, a panic) must not be free,
//! so dropping it books the worst case. And a charge that is open must not leave its money to another: what it can cost at
//! most is held until it is settled. A request beside it gets what that leaves, or waits. One that is alone goes while
//! anything is left, for most of a prompt is cheap where the provider has it in its cache, and nobody knows before; its
//! output is limited to what is left, so that the budget is exceeded by what one request can cost at most. What requests of earlier runs
//! may cost, whose answers are still out, is held here as well, as if they were this run's own.

use crate::{
    News,
    behind::{Outcome, Word},
    usage::{Used, Worst},
};
use borg_core::{
    budget::{Budget, Cap, MicroUsd, Spent, Usage},
    tariff::Tariff,
};
use std::{
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    sync::{Notify, broadcast},
    time::timeout_at,
};

/// Percentages at which the engine is told.
const MILESTONES: [u8; 3] = [50, 75, 90];
/// Output tokens for which a request is let through while others are open, unless it asks for less: rather than with little of
/// what they leave, it goes on when they are done.
const BESIDE: u32 = 8192;

pub(crate) struct Account {
    allowance: Budget,
    before: Spent,
    /// When wall time began: the moment a peer was admitted.
    began: OnceLock<Instant>,
    state: Mutex<State>,
    /// Told when a charge is settled.
    settled: Notify,
    news: broadcast::Sender<News>,
}

#[derive(Default)]
struct State {
    /// Without wall time.
    spent: Spent,
    /// The worst case of the open charges; their turns are in `spent` too.
    held: Held,
    /// How many of [`MILESTONES`] were told.
    told: usize,
    refused_by: Option<Cap>,
}

#[derive(Clone, Copy, Default)]
struct Held {
    turns: u32,
    tokens: u64,
    cost: MicroUsd,
}

/// A request as the account sees it.
#[derive(Clone, Copy)]
pub(crate) struct Ask {
    /// 1 for a request that makes the model work, else 0.
    pub turns: u32,
    /// What may go in; its output is what is asked for.
    pub worst: Worst,
    /// Output tokens below which it makes no sense, unless it asks for less.
    pub least: u32,
    pub tariff: Tariff,
    /// True where a subscription pays: its list price is told, and held against nothing.
    pub notional: bool,
}

impl Account {
    pub fn new(allowance: Budget, before: Spent, news: broadcast::Sender<News>) -> Account {
        Account { allowance, before, began: OnceLock::new(), state: Mutex::default(), settled: Notify::new(), news }
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

    /// Opens a charge for as much output as what is left pays for, unless a limit is reached. While open charges hold what
    /// this one needs it waits for them, for this long at most.
    pub async fn charge(self: &Arc<Self>, ask: Ask, patience: Duration) -> Result<Charge, (Cap, String)> {
        let until = Instant::now() + patience;
        loop {
            let mut settled = pin!(self.settled.notified());
            settled.as_mut().enable();
            if let Some(done) = self.try_charge(&ask, Instant::now() >= until) {
                return done;
            }
            // Whether it was told or has waited long enough shows when it tries again.
            let _ = timeout_at(until.into(), settled).await;
        }
    }

    /// None if it is worth waiting for an open charge. Turn and worst case are taken at once, so that requests at the same
    /// time cannot share what is left.
    fn try_charge(self: &Arc<Self>, ask: &Ask, last: bool) -> Option<Result<Charge, (Cap, String)>> {
        let mut state = self.state();
        let spent = self.with_wall(state.spent);
        if let Some(cap) = self.allowance.reached(&spent) {
            return Some(Err(self.refuse(&mut state, cap, self.figure(cap, &spent))));
        }
        let left = self.allowance.left(&spent);
        let free = Budget {
            tokens: left.tokens.saturating_sub(state.held.tokens),
            cost: MicroUsd(left.cost.0.saturating_sub(state.held.cost.0)),
            ..left
        };
        let output = match state.held.turns {
            0 => ask.alone(&left),
            _ => match ask.beside(&free) {
                Ok(output) => output,
                Err(_) if !last => return None,
                Err(cap) => {
                    // Something is left all the same: the run is not at its limit.
                    let figure = format!("{}, and requests under way may need the rest", self.figure(cap, &spent));
                    return Some(Err((cap, figure)));
                }
            },
        };
        let most = Worst { output_tokens: output.into(), ..ask.worst }.used(&ask.tariff);
        let listed = most.cost(&ask.tariff);
        let notional = if ask.notional { listed } else { MicroUsd(0) };
        let worst = Spent { turns: ask.turns, usage: most.usage, cost: listed, notional, wall_ms: 0 };
        Some(Ok(self.open(&mut state, most, worst)))
    }

    fn open(self: &Arc<Self>, state: &mut State, most: Used, worst: Spent) -> Charge {
        let held = Held { turns: worst.turns, tokens: most.usage.total(), cost: worst.paid() };
        state.spent.turns = state.spent.turns.saturating_add(held.turns);
        state.held = Held {
            turns: state.held.turns.saturating_add(held.turns),
            tokens: state.held.tokens.saturating_add(held.tokens),
            cost: state.held.cost + held.cost,
        };
        Charge { account: Arc::clone(self), most, worst, held, word: None, open: true }
    }

    /// Holds what a request of an earlier run may cost, until its charge is settled.
    pub fn adopt(self: &Arc<Self>, most: &Spent) -> Charge {
        let used = Used { usage: most.usage, hour_writes: 0, estimated: true };
        self.open(&mut self.state(), used, *most)
    }

    fn refuse(&self, state: &mut State, cap: Cap, figure: String) -> (Cap, String) {
        if state.refused_by.is_none() {
            state.refused_by = Some(cap);
            self.tell(News::Capped(cap));
        }
        (cap, figure)
    }

    /// Lets go of what a charge held.
    fn release(&self, state: &mut State, held: Held) {
        state.held = Held {
            turns: state.held.turns.saturating_sub(held.turns),
            tokens: state.held.tokens.saturating_sub(held.tokens),
            cost: MicroUsd(state.held.cost.0.saturating_sub(held.cost.0)),
        };
        self.settled.notify_waiters();
    }

    fn book(&self, held: Held, usage: Usage, cost: MicroUsd) {
        let mut state = self.state();
        self.release(&mut state, held);
        state.spent = state.spent + Spent { usage, cost, ..Spent::default() };
        let spent = self.with_wall(state.spent);
        let (percent, of) = self.progress(&spent);
        let told = MILESTONES.iter().filter(|milestone| percent >= u128::from(**milestone)).count();
        if told > state.told {
            state.told = told;
            self.tell(News::Reached { percent: MILESTONES[told - 1], of });
        }
    }

    fn give_back(&self, held: Held) {
        let mut state = self.state();
        self.release(&mut state, held);
        state.spent.turns = state.spent.turns.saturating_sub(held.turns);
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
            (part(left.tokens, before.usage.counted(), now.usage.counted()), Cap::Tokens),
            (part(left.cost.0, before.paid().0, now.cost.0), Cap::Cost),
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
            Cap::Tokens => format!("{} of {}", spent.usage.counted(), whole(left.tokens, before.usage.counted())),
            Cap::Cost => format!("{} of {}", spent.paid(), left.cost + before.paid()),
            Cap::Wall => {
                format!("{} s of {} s", spent.wall_ms / 1000, whole(left.wall_ms, before.wall_ms) / 1000)
            }
        }
    }

    fn with_wall(&self, spent: Spent) -> Spent {
        let wall = self.began.get().map_or(0, |began| began.elapsed().as_millis());
        Spent { wall_ms: u64::try_from(wall).unwrap_or(u64::MAX), ..spent }
    }

    fn tell(&self, news: News) {
        // An error only means that nobody listens.
        let _ = self.news.send(news);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ask {
    /// How much output this request may have where nothing else is under way and something is left.
    fn alone(&self, left: &Budget) -> u32 {
        let (output, _) = self.paid(left.cost, left.tokens);
        output.max(self.least.min(self.asked()))
    }

    /// How much it may have where that and its whole prompt are paid for by this much; the limit that pays for too little.
    fn beside(&self, free: &Budget) -> Result<u32, Cap> {
        if self.turns == 0 {
            return Ok(0);
        }
        let prompt = Worst { output_tokens: 0, ..self.worst }.used(&self.tariff);
        let cost = if self.notional { 0 } else { prompt.cost(&self.tariff).0 };
        let cost = free.cost.0.checked_sub(cost).ok_or(Cap::Cost)?;
        let tokens = free.tokens.checked_sub(prompt.usage.total()).ok_or(Cap::Tokens)?;
        let (output, cap) = self.paid(MicroUsd(cost), tokens);
        if output < BESIDE.min(self.asked()) { Err(cap) } else { Ok(output) }
    }

    /// Output that so much pays for, at most what is asked for; and the limit that pays for less of it.
    fn paid(&self, cost: MicroUsd, tokens: u64) -> (u32, Cap) {
        let price = if self.notional { 0 } else { self.tariff.at(self.worst.input_tokens).output };
        let paid = (u128::from(cost.0) * 1_000_000).checked_div(price.into()).unwrap_or(u128::MAX);
        let cap = if paid < u128::from(tokens) { Cap::Cost } else { Cap::Tokens };
        (u32::try_from(paid.min(tokens.into())).unwrap_or(u32::MAX).min(self.asked()), cap)
    }

    fn asked(&self) -> u32 {
        u32::try_from(self.worst.output_tokens).unwrap_or(u32::MAX)
    }
}

/// A request under way. Dropped unsettled, it costs the worst case.
pub(crate) struct Charge {
    account: Arc<Account>,
    most: Used,
    /// The same as spending.
    worst: Spent,
    held: Held,
    /// Where what it comes to is told, once others hold it too.
    word: Option<Word>,
    open: bool,
}

impl Charge {
    /// The most it can use, its output limited to what is left.
    pub fn most(&self) -> Used {
        self.most
    }

    /// The same as spending.
    pub fn most_spent(&self) -> Spent {
        self.worst
    }

    /// From now on others hold what it may cost as well, and are told what it comes to.
    pub fn tell(&mut self, word: Word) {
        self.word = Some(word);
    }

    /// Books what was used.
    pub fn settle(mut self, usage: Usage, cost: MicroUsd) {
        self.end(Outcome::Used { usage, cost });
    }

    /// Takes everything back, the turn too: the model did nothing.
    pub fn refund(mut self) {
        self.end(Outcome::Nothing);
    }

    /// Does what became of the request it stands for.
    pub fn follow(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        self.open = false;
        match outcome {
            Outcome::Used { usage, cost } => self.account.book(self.held, usage, cost),
            Outcome::Nothing => self.account.give_back(self.held),
        }
        if let Some(word) = self.word.take() {
            word.say(outcome);
        }
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if self.open {
            self.end(Outcome::Used { usage: self.most.usage, cost: self.held.cost });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::usage::Kept;
    use borg_core::budget::Price;

    fn account(allowance: Budget, before: Spent) -> (Arc<Account>, broadcast::Receiver<News>) {
        let (news, heard) = broadcast::channel(16);
        (Arc::new(Account::new(allowance, before, news)), heard)
    }

    const PLENTY: Budget = Budget { turns: 1000, tokens: 1_000_000, cost: MicroUsd(1_000_000), wall_ms: 1_000_000 };
    const PRICE: Price = Price { input: 1_000_000, output: 1_000_000, cache_read: 100_000, cache_write: 1_250_000 };

    /// A request that may put this much in and out; each token costs a micro-dollar.
    fn ask(input: u64, output: u64) -> Ask {
        let worst = Worst { input_tokens: input, output_tokens: output, kept: Kept::No };
        Ask { turns: 1, worst, least: 1280, tariff: PRICE.into(), notional: false }
    }

    /// Charges without waiting.
    fn charge(account: &Arc<Account>, ask: &Ask) -> Result<Charge, Cap> {
        account.try_charge(ask, true).unwrap().map_err(|(cap, _)| cap)
    }

    #[test]
    fn a_dropped_charge_costs_the_worst_case() {
        let (account, _heard) = account(PLENTY, Spent::default());
        let worst = ask(2, 7);
        drop(charge(&account, &worst).unwrap());
        assert_eq!((account.spent().turns, account.spent().cost), (1, MicroUsd(9)));
        charge(&account, &worst).unwrap().refund();
        assert_eq!((account.spent().turns, account.spent().cost), (1, MicroUsd(9)));
        charge(&account, &worst).unwrap().settle(Usage::default(), MicroUsd(1));
        assert_eq!((account.spent().turns, account.spent().cost), (2, MicroUsd(10)));
    }

    #[test]
    fn the_last_turn_cannot_be_shared() {
        let (account, _heard) = account(Budget { turns: 1, ..PLENTY }, Spent::default());
        let first = charge(&account, &ask(0, 0)).unwrap();
        assert_eq!(charge(&account, &ask(0, 0)).err(), Some(Cap::Turns));
        assert_eq!(account.cap(), Some(Cap::Turns));
        drop(first);
    }

    #[test]
    fn neither_money_nor_tokens_are_given_twice() {
        for (allowance, cap) in [
            (Budget { cost: MicroUsd(20_000), ..PLENTY }, Cap::Cost),
            (Budget { tokens: 20_000, ..PLENTY }, Cap::Tokens),
        ] {
            let (account, mut heard) = account(allowance, Spent::default());
            let first = charge(&account, &ask(1000, 10_000)).unwrap();
            assert_eq!(first.most().usage.output_tokens, 10_000);
            let beside = charge(&account, &ask(500, 32_000)).unwrap();
            assert_eq!(beside.most().usage.output_tokens, 8500, "what the first leaves");
            let waits = || account.try_charge(&ask(1000, 32_000), false);
            assert!(waits().is_none(), "nothing is left for now");
            first.settle(Usage { output_tokens: 1000, ..Usage::default() }, MicroUsd(1000));
            assert_eq!(waits().unwrap().unwrap().most().usage.output_tokens, 9000);
            drop(beside);
            // The one before was dropped too; so all is booked.
            assert_eq!((account.spent().cost, account.spent().usage.total()), (MicroUsd(20_000), 20_000));
            assert_eq!(charge(&account, &ask(0, 1)).err(), Some(cap));
            assert_eq!(std::iter::from_fn(|| heard.try_recv().ok()).last(), Some(News::Capped(cap)));
        }
    }

    #[test]
    fn beside_another_a_request_gets_enough_or_waits() {
        let (account, _heard) = account(Budget { cost: MicroUsd(10_000), ..PLENTY }, Spent::default());
        let first = charge(&account, &ask(0, 2000)).unwrap();
        assert!(account.try_charge(&ask(6000, 32_000), false).is_none(), "2000 are left beside it");
        assert_eq!(
            charge(&account, &ask(6000, 1500)).unwrap().most().usage.output_tokens,
            1500,
            "all that it asks for"
        );
        let (cap, figure) = account.try_charge(&ask(6000, 32_000), true).unwrap().err().unwrap();
        assert_eq!((cap, figure.as_str()), (Cap::Cost, "$0.0075 of $0.0100, and requests under way may need the rest"));
        first.refund();
        // 7500 are booked: one that is alone may have what is left for its output, whatever its prompt costs.
        let last = charge(&account, &ask(6000, 32_000)).unwrap();
        assert_eq!(last.most().usage.output_tokens, 2500);
        // What the provider had in its cache cost a tenth.
        last.settle(Usage { output_tokens: 1000, ..Usage::default() }, MicroUsd(1600));
        let least = charge(&account, &ask(6000, 32_000)).unwrap();
        assert_eq!(least.most().usage.output_tokens, 1280, "900 would make no sense");
        drop(least);
        assert_eq!(account.spent().cost, MicroUsd(7500 + 1600 + 7280), "exceeded by one request's bound at most");
        assert_eq!(charge(&account, &ask(0, 1)).err(), Some(Cap::Cost));
    }

    #[test]
    fn milestones_count_what_went_before_and_come_once() {
        let before = Spent { cost: MicroUsd(400_000), ..Spent::default() };
        let (account, mut heard) = account(Budget { cost: MicroUsd(600_000), ..PLENTY }, before);
        let mut told = Vec::new();
        for cost in [50_000, 50_000, 1, 300_000, 99_998] {
            charge(&account, &ask(0, 0)).unwrap().settle(Usage::default(), MicroUsd(cost));
            told.extend(heard.try_recv().ok());
        }
        let reached = |percent| News::Reached { percent, of: Cap::Cost };
        assert_eq!(told, [reached(50), reached(75)]);
        charge(&account, &ask(0, 0)).unwrap().settle(Usage::default(), MicroUsd(100_001));
        assert_eq!(heard.try_recv(), Ok(reached(90)));
        let (cap, figure) = account.try_charge(&ask(0, 0), true).unwrap().err().unwrap();
        assert_eq!((cap, figure.as_str()), (Cap::Cost, "$1.0000 of $1.0000"));
        assert_eq!(heard.try_recv(), Ok(News::Capped(Cap::Cost)));
        assert!(charge(&account, &ask(0, 0)).is_err());
        assert!(heard.try_recv().is_err());
    }

    #[test]
    fn what_an_earlier_run_left_open_is_held_as_its_own() {
        let (account, _heard) = account(Budget { cost: MicroUsd(20_000), ..PLENTY }, Spent::default());
        let usage = Usage { input_tokens: 15_000, ..Usage::default() };
        let most = Spent { turns: 1, usage, cost: MicroUsd(15_000), ..Spent::default() };
        let elder = account.adopt(&most);
        assert_eq!(account.spent().turns, 1);
        assert!(account.try_charge(&ask(1000, 32_000), false).is_none(), "4000 are left beside it, and it wants 8192");
        let beside = charge(&account, &ask(1000, 4000)).unwrap();
        assert_eq!(charge(&account, &ask(1, 1)).err(), Some(Cap::Cost));
        beside.settle(Usage::default(), MicroUsd(1000));
        // It came to less.
        elder.follow(Outcome::Used { usage: Usage::default(), cost: MicroUsd(2000) });
        assert_eq!(charge(&account, &ask(1000, 32_000)).unwrap().most().usage.output_tokens, 17_000);
        // Or to nothing.
        let before = account.spent();
        account.adopt(&most).follow(Outcome::Nothing);
        assert_eq!((account.spent().cost, account.spent().turns), (before.cost, before.turns));
        // Nobody knows what it came to: the most.
        drop(account.adopt(&most));
        assert_eq!(account.spent().cost, before.cost + MicroUsd(15_000));
    }
}
