//! What a task has cost, as the ledger has it and as the journal has it: no kill parts the two.

use anyhow::{Result, ensure};
use borg_core::{
    event::{Body, Meanwhile},
    id::TaskId,
};
use borg_host::{journal::Reads, store::Store};
use borg_tests::harness::{Host, wait};
use std::sync::Arc;

/// More events than a task of a test has.
const ALL: u32 = 100_000;

/// What a task has cost so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Money {
    /// Requests in the ledger that cost something.
    pub requests: usize,
    /// Millionths of a dollar, of all of them.
    pub cost: u64,
    /// What may be spent on requests whose answer is not known, in millionths of a dollar.
    pub held: u64,
}

/// Reads what the ledger, the events and the state of a task say; fails where they differ. Of a host that is running, between two commits.
pub fn of(host: &Host, task: u64) -> Result<Money> {
    let (journal, id) = (open(host)?, TaskId(task));
    let costs: Vec<u64> = costs(&*journal, id)?;
    let cost = costs.iter().sum();
    let spent =
        |body: &Body| if let Body::Meanwhile(Meanwhile::Metered { spent, .. }) = body { spent.cost.0 } else { 0 };
    let told: u64 = wait(journal.events(0, Some(id), ALL))?.iter().map(|entry| spent(&entry.event.body)).sum();
    let state = wait(journal.task(id))?.map(|task| (task.spent.cost.0, task.holds));
    let (known, holds) = state.unwrap_or_default();
    ensure!(
        (told, known) == (cost, cost),
        "the ledger has {cost} of task {task}, its events tell {told}, its state knows {known}"
    );
    let held = holds.iter().map(|(_, hold)| hold.most.cost.0).sum();
    Ok(Money { requests: costs.len(), cost, held })
}

/// What each request of a task in the ledger cost, those for nothing left out.
pub fn costs(journal: &dyn Reads, task: TaskId) -> Result<Vec<u64>> {
    let rows = wait(journal.ledger(task.into()))?;
    Ok(rows.iter().filter_map(|row| row.row["cost-micros"].as_u64()).filter(|cost| *cost > 0).collect())
}

/// The journal of a host, whether or not it runs.
pub fn open(host: &Host) -> Result<Arc<dyn Reads>> {
    Ok(Store::open_read_only(&host.data())?)
}
