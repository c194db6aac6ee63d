//! What `borg-init` prints: one JSON object per line, numbered from 1, and the records it adds of its own. Reading them is left to the host.

use serde::{Deserialize, Serialize};

/// Longest text of one line, in bytes; longer ones are cut into several.
pub const LINE_MAX: usize = 1 << 20;

/// One line on init's standard output. Numbers start at 1 and have no gaps, whatever the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub n: u64,
    pub stream: Stream,
    /// Without the line feed. Bytes that are not UTF-8 arrive as U+FFFD. For [`Stream::Init`] a [`Record`] in JSON.
    pub text: String,
}

impl Line {
    /// The record of a line that init wrote of its own; none for output of the process, or a record of a newer init.
    pub fn record(&self) -> Option<Record> {
        match self.stream {
            Stream::Init => serde_json::from_str(&self.text).ok(),
            Stream::Out | Stream::Err => None,
        }
    }
}

/// Where a line comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stream {
    Out,
    Err,
    Init,
}

/// What init itself has to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", rename_all_fields = "kebab-case", tag = "record")]
pub enum Record {
    /// The process is confined and its program was executed.
    Started { landlock_abi: u32, seccomp: bool, missing: Vec<String> },
    /// The process was not started; the exit code of [`Record::Ended`] is one of the `EXIT_` constants.
    Refused { why: String },
    /// The line just before was longer than [`LINE_MAX`]; the next of that stream goes on with it.
    LineCut { stream: Stream },
    /// The output cap was reached; nothing of the process's output follows.
    OutputCapped { bytes: u64 },
    /// Always the last line.
    Ended { exit_code: Option<i32>, signal: Option<i32>, output_capped: bool },
}
