//! The whole program: how long it takes to answer after a start with all plugins cached, what it holds in memory when idle, and what an
//! agent's attempt costs from its orders to the commit.

use anyhow::Result;

pub async fn measure() -> Result<()> {
    Ok(())
}
