//! Runs the benches, optimised, and writes their table into `docs/performance.md`, between two marks. What is measured is theirs to say.

use crate::{build, sh};
use anyhow::{Context, Result};
use std::{fs, thread};

const PAGE: &str = "docs/performance.md";
const BEGIN: &str = "<!-- bench:begin -->";
const END: &str = "<!-- bench:end -->";
const HEAD: &str = "| what | borg | bare | ratio (difference) |\n|---|--:|--:|--:|\n";

/// Where benches work: on a disk, as `/tmp` need not be, and with a short name, as sockets want it.
const SCRATCH: &str = "/var/tmp";

pub fn run() -> Result<()> {
    let built = build::all()?;
    let release = sh::target().join("release");
    build::lay_init(&build::init_of(&built.host), &release)?;

    let mut benches = sh::cargo();
    benches.args([
        "bench",
        "--package",
        "borg-plugins",
        "--package",
        "borg-host",
        "--bench",
        "call",
        "--bench",
        "host",
    ]);
    benches.env("BORG_HOST_BIN", release.join("borg-host")).env("BORG_PLUGINS", &built.plugins).env("TMPDIR", SCRATCH);
    let rows = sh::output(&mut benches)?;
    let table = format!("{HEAD}{}\n\n{}", rows.trim(), machine()?);

    let path = sh::root().join(PAGE);
    let page = fs::read_to_string(&path).with_context(|| format!("reading {PAGE}"))?;
    fs::write(&path, with_table(&page, &table)?)?;
    println!("{table}");
    Ok(())
}

/// What the figures were taken on, in a line.
fn machine() -> Result<String> {
    let cores = thread::available_parallelism().context("counting cores")?;
    let kernel = sh::output(sh::command("uname").args(["-sr"]))?;
    let rust = sh::output(sh::command("rustc").arg("--version"))?;
    let load = fs::read_to_string("/proc/loadavg").context("reading the load")?;
    let load = load.split(' ').next().unwrap_or_default();
    Ok(format!("{cores} cores, {}, {}, load at the end {load}.", kernel.trim(), rust.trim()))
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
