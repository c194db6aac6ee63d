//! Which test runner is at work. What its output means is in the file named after it.

use serde::{Deserialize, Serialize};

/// Test runners whose reports are understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Runner {
    Unittest,
    Pytest,
    /// `cargo test`: libtest, one binary after the other.
    Cargo,
    Nextest,
    /// `node --test`.
    Node,
    Go,
}

impl Runner {
    /// The word used in evidence and replies.
    pub fn as_str(self) -> &'static str {
        match self {
            Runner::Unittest => "unittest",
            Runner::Pytest => "pytest",
            Runner::Cargo => "cargo test",
            Runner::Nextest => "cargo nextest",
            Runner::Node => "node --test",
            Runner::Go => "go test",
        }
    }

    /// The exit code this runner documents for "a test failed".
    pub fn failure_code(self) -> i32 {
        match self {
            Runner::Unittest | Runner::Pytest | Runner::Node | Runner::Go => 1,
            Runner::Cargo => 101,
            Runner::Nextest => 100,
        }
    }

    /// Variables that make the runners list every test by id. All of them are set for every check: each runner ignores the others',
    /// and the runner may be hidden in a Makefile. `out` is a folder the check may write, such as `/out`.
    pub fn environment(out: &str) -> Vec<(String, String)> {
        [
            ("PYTEST_ADDOPTS", format!("-v --color=no --junitxml={out}/junit.xml")),
            ("GOFLAGS", "-v".to_owned()),
            ("CARGO_TERM_COLOR", "never".to_owned()),
            ("NEXTEST_STATUS_LEVEL", "all".to_owned()),
            ("NO_COLOR", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// The runner a command names, if it names one.
pub fn detect(command: &str) -> Option<Runner> {
    let words: Vec<&str> = command
        .split(|char: char| char.is_whitespace() || ";&|()'\"".contains(char))
        .filter(|word| !word.is_empty())
        .collect();
    let program = |word: &str| word.rsplit('/').next().unwrap_or(word).to_owned();
    for (at, word) in words.iter().enumerate() {
        let next = words.get(at + 1).copied().unwrap_or_default();
        let found = match program(word).as_str() {
            "pytest" | "py.test" => Some(Runner::Pytest),
            "-m" if next == "pytest" => Some(Runner::Pytest),
            "-m" if next == "unittest" => Some(Runner::Unittest),
            "manage.py" if next == "test" => Some(Runner::Unittest),
            "cargo" => {
                let sub = words[at + 1..].iter().find(|word| !word.starts_with('+') && !word.starts_with('-'));
                match sub.copied() {
                    Some("test" | "t") => Some(Runner::Cargo),
                    Some("nextest") => Some(Runner::Nextest),
                    _ => None,
                }
            }
            "node" if words[at + 1..].contains(&"--test") => Some(Runner::Node),
            "go" if next == "test" => Some(Runner::Go),
            _ => None,
        };
        if found.is_some() {
            return found;
        }
    }
    None
}

/// The runner whose hand the output shows.
pub fn sniff(output: &str) -> Option<Runner> {
    let mut found = None;
    for line in output.lines() {
        let line = line.trim_end();
        let runner = if line.contains(" test session starts ") && line.starts_with('=') {
            Runner::Pytest
        } else if line == "TAP version 13" || line.starts_with("\u{2139} tests ") {
            Runner::Node
        } else if line.trim_start().starts_with("Nextest run ID ") {
            Runner::Nextest
        } else if line.starts_with("test result: ") || line.starts_with("error: could not compile `") {
            Runner::Cargo
        } else if line.starts_with("--- PASS: ")
            || line.starts_with("--- FAIL: ")
            || line.starts_with("=== RUN ")
            || line.starts_with("{\"Time\":") && line.contains("\"Action\":")
            || line.starts_with("FAIL\t")
            || line.starts_with("ok  \t")
            || line.starts_with("?   \t")
        {
            Runner::Go
        } else if line.starts_with("Ran ") && (line.contains(" tests in ") || line.contains(" test in "))
            || line.contains("unittest.loader._FailedTest")
            || line.starts_with("ImportError: Start directory is not importable")
        {
            Runner::Unittest
        } else {
            continue;
        };
        // A suite of one runner may print another's words; the framing line of a session comes first.
        found.get_or_insert(runner);
    }
    found
}
