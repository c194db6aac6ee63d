//! Python tracebacks, which unittest, pytest and a crashed interpreter share.

use super::Fault;

/// Where a traceback ends: the innermost frame outside the interpreter's own library, and the exception.
///
/// Frames read `  File "PATH", line N, in NAME`, the last line of a traceback is the exception (library documentation, "traceback").
pub fn fault(traceback: &str) -> Option<Fault> {
    let mut path = None;
    let mut message = None;
    for line in traceback.lines() {
        if let Some(rest) = line.trim_start().strip_prefix("File \"") {
            let file = rest.split_once("\", line ").map(|(file, _)| file).filter(|file| !is_library(file));
            path = file.map(str::to_owned).or(path);
        } else if is_exception(line) {
            message = Some(line.to_owned());
        }
    }
    let message = message?;
    Some(Fault { path: path?, syntax: is_syntax(&message), message })
}

/// True for files of the interpreter: frozen modules and anything below its `lib/pythonX.Y`.
pub fn is_library(path: &str) -> bool {
    path.starts_with('<')
        || path.contains("/lib/python3")
        || path.contains("/lib64/python3")
        || path.contains("/site-packages/")
        || path.contains("/dist-packages/")
}

/// True when a message is about code that does not parse.
pub fn is_syntax(message: &str) -> bool {
    ["SyntaxError", "IndentationError", "TabError"].iter().any(|name| message.contains(name))
}

fn is_exception(line: &str) -> bool {
    let name = line.split([':', ' ']).next().unwrap_or_default();
    let last = name.rsplit('.').next().unwrap_or_default();
    line.starts_with(name)
        && last.starts_with(|char: char| char.is_ascii_uppercase())
        && (last.ends_with("Error") || last.ends_with("Exception") || last.ends_with("Exit") || last == "SkipTest")
}
