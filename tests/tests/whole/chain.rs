//! The journal of a host that was killed, read by the store itself.

use anyhow::{Context, Result, ensure};
use borg_host::store::Store;
use borg_tests::harness::{Host, wait};

/// Fails unless the hash chain holds and nothing is owed any more.
pub fn holds(host: &Host) -> Result<()> {
    let journal = Store::open_read_only(&host.data())?;
    let broken = wait(journal.verify())?;
    ensure!(broken.is_none(), "the chain is broken: {broken:?}");
    let owed = wait(journal.owed()).context("reading what is owed")?;
    ensure!(owed.is_empty(), "owed though everything has ended: {owed:?}");
    Ok(())
}
