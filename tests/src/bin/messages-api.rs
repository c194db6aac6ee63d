//! The stand-in for the Messages API as a program, for trying an agent by hand. Prints its URL, then each request it saw.

use anyhow::{Context, bail};
use borg_tests::messages_api::{MessagesApi, Options, Script};
use std::{path::PathBuf, time::Duration};

const USAGE: &str = "usage: messages-api --script FILE.toml --key KEY [--listen 127.0.0.1:PORT] [--torn]";

fn main() -> anyhow::Result<()> {
    let options = options(std::env::args().skip(1))?;
    let api = MessagesApi::start(options)?;
    println!("ANTHROPIC_BASE_URL={}", api.url());
    let (mut shown, mut told) = (0, 0);
    loop {
        // Woken by a request, and now and then for what was found wrong with the last one.
        let _came = api.wait_until(Duration::from_secs(1), |seen| seen.len() > shown).is_ok();
        for seen in api.seen().iter().skip(shown) {
            shown += 1;
            println!("{} {} {} persona={}", seen.n, seen.method, seen.path, seen.persona.as_deref().unwrap_or("-"));
        }
        for problem in api.problems().iter().skip(told) {
            told += 1;
            println!("problem: {problem}");
        }
    }
}

fn options(mut args: impl Iterator<Item = String>) -> anyhow::Result<Options> {
    let (mut script, mut key, mut listen, mut torn) = (None, None, None, false);
    while let Some(arg) = args.next() {
        let mut value = || args.next().with_context(|| format!("{arg} needs a value; {USAGE}"));
        match arg.as_str() {
            "--script" => script = Some(PathBuf::from(value()?)),
            "--key" => key = Some(value()?),
            "--listen" => listen = Some(value()?.parse().context("--listen takes an address such as 127.0.0.1:9100")?),
            "--torn" => torn = true,
            _ => bail!("unknown argument {arg}; {USAGE}"),
        }
    }
    let path = script.context(USAGE)?;
    let text = std::fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
    let mut options = Options::new(&key.context(USAGE)?, Script::from_toml(&text)?);
    options.listen = listen.unwrap_or(options.listen);
    options.torn = torn;
    Ok(options)
}
