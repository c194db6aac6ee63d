//! Plays scenarios by hand, one after the other: what `tests/tests/whole/scenarios.rs` does with all of them.

use borg_tests::scenario::{self, Outcome};
use std::path::Path;

const USAGE: &str = "usage: scenario NAME…, with the names of folders under tests/scenarios/";

fn main() -> anyhow::Result<()> {
    let names: Vec<String> = std::env::args().skip(1).collect();
    anyhow::ensure!(!names.is_empty(), USAGE);
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("scenarios");
    for name in names {
        let outcome = scenario::play(&scenarios.join(&name))?;
        println!("{name}: {}", if outcome == Outcome::AsExpected { "as expected" } else { "skipped" });
    }
    Ok(())
}
