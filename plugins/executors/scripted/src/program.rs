//! The step as a program for any POSIX `sh` with the usual small tools (`cat`, `mkdir`, `rm`, `mv`, `ln`, `tr`, `sed`, `tail`, `sleep`). It
//! prints one JSON object per line; what they mean is in `stream.rs`.
//!
//! Every text of the script stands between single quotes, so nothing in it is expanded; output of commands reaches the stream only through
//! `words`, which leaves nothing that could end a JSON string.

use crate::script::{Action, Step, Verb};
use borg_sdk::executor::Job;
use serde_json::json;
use std::fmt::Write;

/// `words` prints the end of what the last action printed, as the inside of a JSON string; `told` prints its outcome.
const PRELUDE: &str = r#"words() { tail -c 2000 "$log" | tr '\n\t' '  ' | tr -d '\000-\037\177' | sed 's/\\/\\\\/g;s/"/\\"/g'; }
told() {
    if [ "$2" -eq 0 ]; then ok=true; else ok=false; fi
    printf '{"result":"%s","ok":%s,"code":%s,"words":"%s"}\n' "$1" "$ok" "$2" "$(words)"
}
"#;

pub fn program(job: &Job, step: &Step) -> String {
    let log = format!("{}/.borg-scripted/log", job.home);
    let mut out =
        format!("#!/bin/sh\nlog={}\n: >\"$log\"\n{PRELUDE}cd {} || exit 1\n", quoted(&log), quoted(&job.workspace));
    for (index, action) in step.actions.iter().enumerate() {
        play(&mut out, job, index + 1, action);
    }
    line(&mut out, &json!({"end": "completed"}));
    out
}

fn play(out: &mut String, job: &Job, number: usize, action: &Action) {
    let id = format!("a{number}");
    let Some((tools, detail, path)) = call(&action.verb) else {
        return plainly(out, &action.verb);
    };
    line(out, &json!({"call": id, "tool": tools[0], "detail": detail, "path": path}));
    if !action.force && !tools.iter().any(|tool| job.has_tool(tool)) {
        line(out, &json!({"denied": id, "tool": tools[0], "detail": detail}));
        if action.must {
            out.push_str("exit 1\n");
        }
        return;
    }
    let deed = deed(job, &action.verb);
    let stop = if action.must { "[ \"$code\" -eq 0 ] || exit 1\n" } else { "" };
    let _ = write!(out, "( {deed}\n) >\"$log\" 2>&1 </dev/null\ncode=$?\ntold {id} \"$code\"\n{stop}");
}

/// The tools that allow a verb, what it does in a line, and the path it is about; none for what is no call of a tool.
fn call(verb: &Verb) -> Option<(&'static [&'static str], String, Option<&str>)> {
    match verb {
        Verb::Read(path) => Some((&["Read"], path.clone(), Some(path))),
        Verb::Write { path, .. } => Some((&["Write", "Edit"], path.clone(), Some(path))),
        Verb::Append { path, .. } | Verb::Replace { path, .. } => Some((&["Edit", "Write"], path.clone(), Some(path))),
        Verb::Delete(path) => Some((&["Bash"], format!("rm -rf {path}"), Some(path))),
        Verb::Move { path, to } => Some((&["Bash"], format!("mv {path} {to}"), Some(path))),
        Verb::Link { path, to } => Some((&["Bash"], format!("ln -s {to} {path}"), Some(path))),
        Verb::Run(command) => Some((&["Bash"], command.clone(), None)),
        Verb::Say(_) | Verb::SleepMs(_) | Verb::Spam { .. } | Verb::Fail(_) | Verb::End { .. } => None,
    }
}

fn plainly(out: &mut String, verb: &Verb) {
    match verb {
        Verb::Say(text) => line(out, &json!({"say": text})),
        Verb::SleepMs(ms) => {
            let _ = writeln!(out, "sleep {}.{:03}", ms / 1000, ms % 1000);
        }
        Verb::Spam { times, text } => {
            let text = quoted(text);
            let _ = writeln!(out, "i=0; while [ \"$i\" -lt {times} ]; do printf '%s\\n' {text}; i=$((i+1)); done");
        }
        Verb::Fail(code) => {
            let _ = writeln!(out, "exit {code}");
        }
        Verb::End { how, text } => {
            line(out, &json!({"end": how, "text": text}));
            out.push_str("exit 0\n");
        }
        // Calls of tools are played by `play`.
        Verb::Read(_) | Verb::Write { .. } | Verb::Append { .. } | Verb::Replace { .. } => {}
        Verb::Delete(_) | Verb::Move { .. } | Verb::Link { .. } | Verb::Run(_) => {}
    }
}

/// What is done in a shell of its own, its output going to the log. Its exit code tells how it went.
fn deed(job: &Job, verb: &Verb) -> String {
    let place = |path: &str| quoted(&located(job, path));
    match verb {
        Verb::Read(path) => format!("cat -- {}", place(path)),
        Verb::Write { path, text, executable } => {
            let mode = if *executable { format!(" && chmod +x -- {}", place(path)) } else { String::new() };
            format!("{}printf '%s' {} >{}{mode}", folders(job, path), quoted(text), place(path))
        }
        Verb::Append { path, text } => format!("printf '%s' {} >>{}", quoted(text), place(path)),
        Verb::Replace { path, find, with } => {
            // The sentinel keeps line ends that a substitution would drop.
            format!(
                "f={}; a={}; b={}\nt=$(cat -- \"$f\" && printf x) || exit 1\nt=${{t%x}}\ncase $t in *\"$a\"*) ;; *) echo 'the text was not found'; exit 1 ;; esac\n\
                 printf '%s%s%s' \"${{t%%\"$a\"*}}\" \"$b\" \"${{t#*\"$a\"}}\" >\"$f\"",
                place(path),
                quoted(find),
                quoted(with)
            )
        }
        Verb::Delete(path) => format!("rm -rf -- {}", place(path)),
        Verb::Move { path, to } => format!("{}mv -- {} {}", folders(job, to), place(path), place(to)),
        Verb::Link { path, to } => format!("{}ln -s -- {} {}", folders(job, path), quoted(to), place(path)),
        Verb::Run(command) => format!("exec sh -c {}", quoted(command)),
        Verb::Say(_) | Verb::SleepMs(_) | Verb::Spam { .. } | Verb::Fail(_) | Verb::End { .. } => ":".into(),
    }
}

/// Makes the folder a path lies in.
fn folders(job: &Job, path: &str) -> String {
    match located(job, path).rsplit_once('/') {
        Some((folder, _)) if !folder.is_empty() => format!("mkdir -p -- {} && ", quoted(folder)),
        Some(_) | None => String::new(),
    }
}

/// Scripts speak of `/workspace`, `/in` and `/out`, which may lie elsewhere.
fn located(job: &Job, path: &str) -> String {
    if !path.starts_with('/') {
        return format!("{}/{path}", job.workspace);
    }
    let folders = [("/workspace", &job.workspace), ("/in", &job.in_dir), ("/out", &job.out_dir)];
    let moved = folders.iter().find_map(|(usual, here)| {
        let rest = path.strip_prefix(usual)?;
        (rest.is_empty() || rest.starts_with('/')).then(|| format!("{here}{rest}"))
    });
    moved.unwrap_or_else(|| path.to_owned())
}

fn line(out: &mut String, value: &serde_json::Value) {
    let _ = writeln!(out, "printf '%s\\n' {}", quoted(&value.to_string()));
}

/// A word for the shell that stands for exactly this text.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}
