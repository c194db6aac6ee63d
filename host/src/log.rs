//! Where log lines go: standard error, or above the prompt while somebody types at one. Written straight to the terminal they would stand
//! in the middle of what is typed, and be written over.

use std::{
    io::{self, IsTerminal, Write},
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Takes a line; false when it cannot just now.
type Print = Box<dyn Fn(String) -> bool + Send>;

/// One terminal, one prompt: as much the process's own as standard error is.
static PROMPT: Mutex<Option<Print>> = Mutex::new(None);

fn prompt() -> MutexGuard<'static, Option<Print>> {
    PROMPT.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes one whole line of the log with each write.
pub struct Lines;

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let is_taken =
            prompt().as_ref().is_some_and(|print| print(String::from_utf8_lossy(line).trim_end().to_owned()));
        if is_taken { Ok(line.len()) } else { io::stderr().write(line) }
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// The log stands above a prompt until this is dropped.
pub struct Above(());

impl Above {
    /// Sends lines there where standard error is a terminal; a log that goes to a file goes on so. `print` must not wait.
    pub fn prompt(print: impl Fn(String) -> bool + Send + 'static) -> Option<Above> {
        io::stderr().is_terminal().then(|| {
            *prompt() = Some(Box::new(print));
            Above(())
        })
    }
}

impl Drop for Above {
    fn drop(&mut self) {
        prompt().take();
    }
}
