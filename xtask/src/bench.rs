//! Runs the benches and writes their table into `docs/performance.md`, between two marks. What is measured is theirs to say.

use crate::{build, sh};
use anyhow::{Context, Result};
use std::fs;

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";

pub fn run() -> Result<()> {
    let built = build::all()?;
    let mut benches = sh::cargo();
    benches.args(["run", "--release", "--package", "borg-tests", "--bin", "bench"]);
    benches.env("BORG_HOST_BIN", &built.host).env("BORG_PLUGINS", &built.plugins);
    let table = sh::output(&mut benches)?;
    let path = sh::root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("reading {PAGE}"))?;
    fs::write(&path, with_table(&page, &table)?)?;
    println!("{table}");
    Ok(())
}

fn with_table(page: &str, table: &str) -> Result<String> {
    let (before, rest) = page.split_once(BEGIN).with_context(|| format!("{PAGE} has no line {BEGIN}"))?;
    let (_, after) = rest.split_once(END).with_context(|| format!("{PAGE} has no line {END} after {BEGIN}"))?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", table.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_stands_between_the_marks_changes() {
        let page = format!("# Performance\n{BEGIN}\nold\n{END}\nafter\n");
        let once = with_table(&page, "| new |\n").unwrap();
        assert_eq!(once, format!("# Performance\n{BEGIN}\n| new |\n{END}\nafter\n"));
        assert_eq!(with_table(&once, "| new |").unwrap(), once);
        with_table("no marks", "x").unwrap_err();
    }
}
