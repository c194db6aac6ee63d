//! A persona that attacks its host: `settings.mode` chooses how. What must become of each attack is in `host/plugins/tests/hostile.rs`.
//!
//! Without a mode it behaves, so that a test can see the next call work.

wit_bindgen::generate!({ world: "persona-plugin", path: "../../../wit" });

use borg::plugin::log;
use exports::borg::plugin::persona::{Acceptance, Assignment, Guest, PersonaInfo, Report, Work};
use std::{collections::HashMap, hint::black_box, thread, time::Duration};

struct Hostile;

/// Outlives a call if the host reuses an instance.
static mut CALLS: u32 = 0;

impl Guest for Hostile {
    fn describe() -> PersonaInfo {
        PersonaInfo { name: "hostile".into(), summary: "attacks its host".into(), produces: vec![], extra: vec![] }
    }

    #[expect(clippy::disallowed_methods, reason = "what the clock shows here is under test")]
    fn brief(work: Work) -> Result<Assignment, String> {
        let settings: serde_json::Value = serde_json::from_str(&work.settings).map_err(|e| e.to_string())?;
        let prompt = match settings["mode"].as_str().unwrap_or_default() {
            "" => "behaves".into(),
            "loop" => spin(),
            // Blocks in a host call: no instruction of ours runs meanwhile.
            "sleep" => {
                thread::sleep(Duration::from_secs(3600));
                "slept".into()
            }
            "alloc" => hoard(),
            "recurse" => recurse(1).to_string(),
            "deepen" => deepen(1).to_string(),
            "big" => "x".repeat(100_000_000),
            "aliased" => return Ok(aliased()),
            "panic" => panic!("a guest panics on purpose"),
            "chatty-panic" => {
                for line in 0..1_000 {
                    eprintln!("line {line} of very much text on standard error");
                }
                panic!("after much talk")
            }
            "exit" => std::process::exit(7),
            "env" => format!("{:?} {:?}", std::env::vars().collect::<Vec<_>>(), std::env::args().collect::<Vec<_>>()),
            "log" => {
                log::write(log::Level::Warn, "looks \u{1b}[31mred\u{1b}[0m");
                "logged".into()
            }
            "log-flood" => {
                let line = "y".repeat(100 << 10);
                for _ in 0..5_000 {
                    log::write(log::Level::Info, &line);
                }
                "logged".into()
            }
            "stdout" => {
                println!("nobody sees this");
                "printed".into()
            }
            "stdin" => {
                let mut line = String::new();
                let read = std::io::stdin().read_line(&mut line);
                format!("{read:?} {line:?}")
            }
            "remember" => {
                // SAFETY: a component runs on one thread.
                let calls = unsafe {
                    CALLS += 1;
                    CALLS
                };
                calls.to_string()
            }
            "time" => format!("{:?}", std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)),
            "hash" => {
                let map: HashMap<u32, ()> = (0..32).map(|n| (n, ())).collect();
                format!("{:?}", map.keys().collect::<Vec<_>>())
            }
            "echo" => work.settings.clone(),
            "task" => format!("{:?}", work.task),
            "refuse" => return Err("does not want to".into()),
            mode => return Err(format!("no such mode: {mode}")),
        };
        Ok(Assignment {
            system_prompt: work.stage,
            prompt,
            tools: vec!["Bash".into()],
            write: vec!["**".into()],
            extra: vec![("later".into(), "ignored".into())],
        })
    }

    fn accept(work: Work, report: Report) -> Acceptance {
        match report.message.as_str() {
            "retry" => Acceptance::Retry(work.stage),
            "fail" => Acceptance::Fail(report.changed.join(",")),
            _ => Acceptance::Accept,
        }
    }
}

fn spin() -> String {
    let mut n = 0u64;
    loop {
        n = black_box(n.wrapping_add(1));
    }
}

fn hoard() -> String {
    let mut hoard = Vec::new();
    loop {
        hoard.push(black_box(vec![1u8; 1 << 20]));
    }
}

/// 100 MB for the host to copy, from one megabyte here: every string is the same memory.
fn aliased() -> Assignment {
    let megabyte = "x".repeat(1_000_000).leak();
    // SAFETY: unsound, as an attacker would not mind; the strings are lowered once and the host must refuse before anything is freed.
    let tools =
        (0..100).map(|_| unsafe { String::from_raw_parts(megabyte.as_mut_ptr(), megabyte.len(), megabyte.len()) });
    Assignment {
        system_prompt: String::new(),
        prompt: String::new(),
        tools: tools.collect(),
        write: vec![],
        extra: vec![],
    }
}

/// Fills the stack that compilers lay into linear memory.
#[expect(unconditional_recursion, reason = "that is the attack")]
fn recurse(n: u64) -> u64 {
    let frame = black_box([n; 64]);
    recurse(n + 1) + black_box(frame)[0]
}

/// Fills the engine's own stack: nothing here has an address, and the way back cannot be foreseen.
#[inline(never)]
fn deepen(n: u64) -> u64 {
    // SAFETY: nobody writes it; it is read in this way so that the compiler does not know what it calls.
    let next = unsafe { (&raw const DEEPER).read_volatile() };
    next(n + 1).wrapping_mul(n)
}

static DEEPER: fn(u64) -> u64 = deepen;

export!(Hostile);
