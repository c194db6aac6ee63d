//! What the host costs over the bare things it is made of. Prints rows of the table in `docs/performance.md`; `cargo xtask bench` runs it.
//!
//! Each module measures one room against what the room wraps: SQLite, Git, Docker, a bot that only echoes. What lacks a neighbour says so and gives no row.

mod collection;
mod journal;
mod run;
mod telegram;
mod whole;

use anyhow::{Context, Result};
use borg_core::id::Digest;
use borg_host::sandbox::InitBinary;
use borg_tests::require;
use std::{fs, path::Path};
use tempfile::TempDir;

#[tokio::main]
async fn main() -> Result<()> {
    journal::measure().await.context("the journal")?;
    collection::measure().await.context("collection")?;
    run::measure().await.context("a sandboxed run")?;
    whole::measure().await.context("the whole host")?;
    telegram::measure().await.context("the bot")
}

/// `cargo xtask bench` sees to it that this is on a disk, as `/tmp` may not be.
fn scratch() -> Result<TempDir> {
    Ok(tempfile::tempdir()?)
}

/// A copy of the init beside the program, at a place of our own.
fn init(to: &Path) -> Result<InitBinary> {
    let built = require::host().context("run `cargo xtask build`")?.with_file_name("libexec").join("borg-init");
    let path = to.join("borg-init");
    fs::copy(&built, &path).with_context(|| format!("copying {}", built.display()))?;
    Ok(InitBinary { sha256: Digest::of_bytes(&fs::read(&path)?), path })
}
