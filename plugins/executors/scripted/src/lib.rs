//! The executor that needs no model: it plays a script, in the same sandbox and under the same rules as any agent. For demos, for tests of
//! the whole host, and for trying out what a hostile agent could do.
//!
//! The script is TOML, in the file `.borg/script.toml` of the repository's base commit, or in the task's description as a fenced
//! block ```` ```borg-script ````, which wins:
//!
//! ```toml
//! [[step]]
//! persona = "worker"      # or stage = "impl", or both; without them the step fits every stage
//! attempt = 1             # without it the step fits every attempt; the first step that fits is played
//! said = "in euros"       # the step fits only where this stands in what people said of the task: its description, notes, answers
//!
//! [[step.do]]
//! say = "On it."          # words of the agent; the last ones are its last words
//!
//! [[step.do]]
//! replace = "shop.py"     # paths are relative to the workspace; /out/…, /in/… and any other absolute path will do too
//! find = "Bye"
//! with = "Goodbye"
//!
//! [[step.do]]
//! run = "python3 -m unittest"
//! must = true             # a failure ends the run with exit code 1; without it the script goes on, as agents do
//! ```
//!
//! | action | with | does |
//! |---|---|---|
//! | `say` | | says something |
//! | `read` | | reads a file |
//! | `write` | `text`, `executable` | writes a file and the folders above it |
//! | `append` | `text` | adds to the end of a file |
//! | `replace` | `find`, `with` | replaces the first place where the text is found |
//! | `delete` | | removes a file or folder |
//! | `move` | `to` | renames |
//! | `link` | `to` | makes a symbolic link at this path that points to `to` |
//! | `run` | | gives a line to `sh` in the workspace |
//! | `sleep-ms` | | is silent for so long |
//! | `spam` | `text` | prints a line so many times that is no part of the protocol |
//! | `fail` | | ends at once with this exit code |
//! | `end` | `text` | ends as if the model's provider had: `completed`, `failed`, `transient`, `auth`, `rate-limited`, `capped` |
//!
//! Every action's outcome is an event. Like an agent, it keeps to the tools it was granted: `read` needs Read; `write`, `append` and
//! `replace` need Write or Edit; `delete`, `move`, `link` and `run` need Bash; what is not granted is denied. `force = true` tries it anyway: what
//! then happens is up to the sandbox.

mod program;
mod script;
mod stream;

use borg_sdk::executor::{Command, Executor, ExecutorInfo, Features, HomeFile, Job, Outcome, ReadStep, RunEnd};

/// Where the program lies, below the agent's home.
const PROGRAM_FILE: &str = ".borg-scripted/play.sh";

pub struct Scripted;

borg_sdk::executor!(Scripted);

impl Executor for Scripted {
    fn describe() -> ExecutorInfo {
        ExecutorInfo {
            features: Features::READ_ONLY,
            reads: vec![script::SCRIPT_FILE.into()],
            ..ExecutorInfo::new("scripted", "Plays a script kept in the repository or the task; needs no key")
        }
    }

    fn launch(job: Job) -> Result<Command, String> {
        let step = script::step_for(&job)?;
        let mut command = Command::new(["sh".to_owned(), format!("{}/{PROGRAM_FILE}", job.home)]);
        let text = program::program(&job, &step);
        command.files.push(HomeFile { path: PROGRAM_FILE.into(), text, executable: true });
        Ok(command)
    }

    fn read(_job: Job, state: Vec<u8>, lines: Vec<String>) -> ReadStep {
        stream::read(&state, &lines)
    }

    fn finish(_job: Job, state: Vec<u8>, end: RunEnd) -> Outcome {
        stream::finish(&state, &end)
    }
}
