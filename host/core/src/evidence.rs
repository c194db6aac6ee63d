//! One run of the test command, as it ended. What it means is decided in [`crate::check`].

use crate::{
    check::{Report, harness::Overlaid},
    executor::RunEnd,
    kept::Kept,
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Result of one test run. The report is a claim of the code under test; the end is the kernel's word.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckRun {
    pub end: RunEnd,
    pub report: Report,
    /// Last 64 KiB of standard output and error together.
    pub output: Kept,
    /// Test files new or changed in the stage that is checked.
    pub test_files: Vec<String>,
    /// Names of the tests that are new in them.
    pub names: Vec<String>,
    /// Ids of the baseline whose tests are gone from the text.
    pub removed: BTreeSet<String>,
    pub image_id: Option<String>,
    pub wall_ms: u64,
    /// The sandbox itself failed: why.
    pub sandbox_error: Option<String>,
    /// What this run had of the base in the place of the branch's.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub overlaid: Vec<Overlaid>,
    /// The same on the branch as it is, where anything was overlaid.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own: Option<Box<CheckRun>>,
}

/// Longest tail of an output that is told to the next attempt, in bytes.
const TAIL_BYTES: usize = 6_000;

impl CheckRun {
    /// The last lines of the output, whole ones.
    pub fn tail(&self) -> &str {
        let text = self.output.text.trim_end();
        let mut start = text.len().saturating_sub(TAIL_BYTES);
        while !text.is_char_boundary(start) {
            start += 1;
        }
        let tail = &text[start..];
        if start == 0 { tail } else { tail.split_once('\n').map_or(tail, |(_, rest)| rest) }
    }
}
