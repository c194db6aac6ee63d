//! borg-init, the program: which of its lives it leads. What they share with the host is the library; each life is a module.

mod agent;
mod bridge;
mod container;
mod doors;
mod environment;
mod error;
mod helper;
mod home;
mod layout;
mod local;
mod output;
mod reap;
mod supervise;

use borg_init::EXIT_REFUSED;
use std::{ffi::OsString, path::PathBuf};

const HELP: &str = "\
borg-init: starts one process that may do only what it was granted, and tells how it went.

usage:
  borg-init container                       PID 1 of a container: reads /in/.borg-job.json, prints numbered JSON lines
  borg-init local --job FILE [--parent PID] the same in namespaces of its own, without an engine
  borg-init helper --profile FILE -- CMD…   confines itself to a JSON profile, then executes CMD with the environment it has
  borg-init doors [--profile FILE]          tries what a confined process must not do, one JSON line each; exit 1 when a door is open

exit codes of container, local and helper: those of the process (128 + signal when it was killed), or
  125 refused: the job is wrong, or the kernel cannot confine it    126 not executable    127 not found

It is started by borg-host; there is no reason to run it by hand but to look at the doors.
";

fn main() {
    let arguments: Vec<OsString> = std::env::args_os().skip(1).collect();
    let code = match parse(&arguments) {
        Ok(Life::Container) => container::run(),
        Ok(Life::Local { job, parent }) => local::run(&job, parent),
        Ok(Life::Helper { profile, command }) => helper::run(&profile, &command),
        Ok(Life::Doors { profile }) => doors::run(profile.as_deref()),
        Ok(Life::Help) => {
            print!("{HELP}");
            0
        }
        Err(what) => {
            eprintln!("borg-init: {what}\n\n{HELP}");
            EXIT_REFUSED
        }
    };
    std::process::exit(code);
}

enum Life {
    Container,
    Local { job: PathBuf, parent: Option<u32> },
    Helper { profile: PathBuf, command: Vec<OsString> },
    Doors { profile: Option<PathBuf> },
    Help,
}

fn parse(arguments: &[OsString]) -> Result<Life, String> {
    let words: Vec<&str> = arguments.iter().map(|argument| argument.to_str().unwrap_or("\u{fffd}")).collect();
    match words.as_slice() {
        ["container"] => Ok(Life::Container),
        ["local", "--job", _] => Ok(Life::Local { job: PathBuf::from(&arguments[2]), parent: None }),
        ["local", "--job", _, "--parent", pid] => {
            let parent = pid.parse().map_err(|_| format!("`{pid}` is no process id"))?;
            Ok(Life::Local { job: PathBuf::from(&arguments[2]), parent: Some(parent) })
        }
        ["helper", "--profile", _, "--", _, ..] => {
            Ok(Life::Helper { profile: PathBuf::from(&arguments[2]), command: arguments[4..].to_vec() })
        }
        ["doors"] => Ok(Life::Doors { profile: None }),
        ["doors", "--profile", _] => Ok(Life::Doors { profile: Some(PathBuf::from(&arguments[2])) }),
        ["--help" | "-h" | "help"] => Ok(Life::Help),
        [] => Err("what to do?".into()),
        [first, ..] => Err(format!("cannot make sense of `{first}` and what follows")),
    }
}
