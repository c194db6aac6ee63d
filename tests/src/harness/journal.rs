//! A task's journal as a stream of entries, waited on instead of sleeping. Reads what `task log --follow --json` prints, one entry per line.

use anyhow::{Context, Result, bail};
use serde_json::Value;
use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::{Duration, Instant},
};

/// One event, as `borg_core::event` writes it.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry(pub Value);

impl Entry {
    /// The event's body, whether or not the entry wraps the event.
    pub fn body(&self) -> &Value {
        let event = self.0.get("event").unwrap_or(&self.0);
        event.get("body").unwrap_or(event)
    }

    /// What kind of event it is, such as `delivered`.
    pub fn kind(&self) -> &str {
        self.body()["kind"].as_str().unwrap_or_default()
    }
}

/// A journal being followed.
pub struct Journal {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<Entry>,
}

impl Journal {
    pub(super) fn follow(mut command: Command) -> Result<Self> {
        let mut child =
            command.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().context("following the journal")?;
        let output = child.stdout.take().context("piped above")?;
        let (send, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, lines, seen: Vec::new() })
    }

    /// All entries so far that were waited past.
    pub fn seen(&self) -> &[Entry] {
        &self.seen
    }

    /// Waits for the first entry from here on that satisfies `wanted`.
    ///
    /// # Errors
    /// When the journal ends (the task did, or the host) or `limit` passes before, with the kinds seen.
    pub fn wait(&mut self, limit: Duration, mut wanted: impl FnMut(&Entry) -> bool) -> Result<Entry> {
        let deadline = Instant::now() + limit;
        loop {
            match self.next(deadline)? {
                Next::Entry(entry) if wanted(&entry) => return Ok(entry),
                Next::Entry(_) => {}
                Next::End => bail!("the journal ended before; seen: {}", self.kinds()),
            }
        }
    }

    /// Waits for one more entry that is not mere progress; false when the journal has ended.
    pub(super) fn wait_more(&mut self, deadline: Instant) -> Result<bool> {
        loop {
            match self.next(deadline)? {
                Next::Entry(entry) if matches!(entry.kind(), "progressed" | "metered" | "told") => {}
                Next::Entry(_) => return Ok(true),
                Next::End => return Ok(false),
            }
        }
    }

    /// Reads on to the end of the journal: the task has ended, or waits for a person.
    pub fn to_end(mut self, limit: Duration) -> Result<Vec<Entry>> {
        let deadline = Instant::now() + limit;
        while let Next::Entry(_) = self.next(deadline)? {}
        Ok(std::mem::take(&mut self.seen))
    }

    fn next(&mut self, deadline: Instant) -> Result<Next> {
        let line = match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => line,
            Err(RecvTimeoutError::Disconnected) => return Ok(Next::End),
            Err(RecvTimeoutError::Timeout) => bail!("nothing came in time; seen: {}", self.kinds()),
        };
        let entry = Entry(serde_json::from_str(&line).with_context(|| format!("no entry of a journal: {line}"))?);
        self.seen.push(entry.clone());
        Ok(Next::Entry(entry))
    }

    fn kinds(&self) -> String {
        self.seen.iter().map(Entry::kind).collect::<Vec<_>>().join(", ")
    }
}

enum Next {
    Entry(Entry),
    End,
}

impl Drop for Journal {
    fn drop(&mut self) {
        // It may have ended by itself.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::command;

    const LIMIT: Duration = Duration::from_secs(10);

    fn printing(lines: &str) -> Journal {
        let mut print = command("/usr/bin/printf");
        print.arg(lines);
        Journal::follow(print).unwrap()
    }

    #[test]
    fn entries_are_waited_for_in_order() {
        let mut journal =
            printing("{\"event\":{\"body\":{\"kind\":\"prepared\"}}}\n{\"body\":{\"kind\":\"delivered\"}}\n");
        assert_eq!(journal.wait(LIMIT, |entry| entry.kind() == "delivered").unwrap().kind(), "delivered");
        assert_eq!(journal.seen().len(), 2);
        let error = journal.wait(LIMIT, |_| true).unwrap_err().to_string();
        assert_eq!(error, "the journal ended before; seen: prepared, delivered");
    }

    #[test]
    fn a_line_that_is_no_entry_fails() {
        printing("hello\n").to_end(LIMIT).unwrap_err();
    }
}
