//! The journal of a host that was killed, read by the store itself.

use anyhow::{Context, Result, ensure};
use borg_host::store::Journal;
use borg_tests::harness::Host;

/// Fails unless the hash chain holds and nothing is owed any more.
pub fn holds(host: &Host) -> Result<()> {
    let journal = Journal::open_read_only(&host.data().join("journal.db"))?;
    let broken = journal.verify()?;
    ensure!(broken.is_none(), "the chain is broken: {broken:?}");
    let owed = journal.owed().context("reading what is owed")?;
    ensure!(owed.is_empty(), "owed though everything has ended: {owed:?}");
    Ok(())
}
