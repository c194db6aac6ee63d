//! Names of things: tasks, runs, digests. What they name is elsewhere.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// Number of a task, unique within one data directory, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TaskId(pub u64);

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for TaskId {
    type Err = std::num::ParseIntError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.trim_start_matches('#').parse().map(TaskId)
    }
}

/// What a run is for. A stage attempt may need several runs: its agent, then its checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// A coding agent works.
    Agent,
    /// The test command on the base commit, before anything else.
    Baseline,
    /// The test command on the commit of this attempt.
    Check,
    /// The same again, because a red result counts only when it is red twice.
    Recheck,
}

impl RunKind {
    /// The word used in names of containers and directories.
    pub fn as_str(self) -> &'static str {
        match self {
            RunKind::Agent => "agent",
            RunKind::Baseline => "baseline",
            RunKind::Check => "check",
            RunKind::Recheck => "recheck",
        }
    }
}

/// Names one run for ever: container names, directories and idempotency keys come from it.
///
/// Displayed as `t12-s1-a2-agent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey {
    pub task: TaskId,
    /// Index of the stage in the task's plan.
    pub stage: u32,
    /// Counted from 1, over all attempts of the stage, whether or not they used up the stage's allowance.
    pub attempt: u32,
    pub kind: RunKind,
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}-s{}-a{}-{}", self.task.0, self.stage, self.attempt, self.kind.as_str())
    }
}

/// A string that is not of the form it should have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a run key such as `t12-s1-a2-agent`")]
pub struct BadRunKey(String);

impl FromStr for RunKey {
    type Err = BadRunKey;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || BadRunKey(text.to_owned());
        let mut parts = text.splitn(4, '-');
        let mut number = |prefix: char| -> Result<u64, BadRunKey> {
            let part = parts.next().ok_or_else(bad)?;
            part.strip_prefix(prefix).and_then(|digits| digits.parse().ok()).ok_or_else(bad)
        };
        let task = TaskId(number('t')?);
        let stage = u32::try_from(number('s')?).map_err(|_| bad())?;
        let attempt = u32::try_from(number('a')?).map_err(|_| bad())?;
        let kind = match parts.next() {
            Some("agent") => RunKind::Agent,
            Some("baseline") => RunKind::Baseline,
            Some("check") => RunKind::Check,
            Some("recheck") => RunKind::Recheck,
            _ => return Err(bad()),
        };
        Ok(RunKey { task, stage, attempt, kind })
    }
}

/// SHA-256 of something, shown as 64 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Hashes the parts, each preceded by its length, so that no two different lists collide by concatenation.
    pub fn of_parts<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        use sha2::Digest as _;
        let mut hasher = sha2::Sha256::new();
        for part in parts {
            hasher.update((part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Digest(hasher.finalize().into())
    }

    /// Hashes one run of bytes as `sha256sum` does.
    pub fn of_bytes(bytes: &[u8]) -> Self {
        use sha2::Digest as _;
        Digest(sha2::Sha256::digest(bytes).into())
    }

    /// First twelve hex digits, enough for people.
    pub fn short(&self) -> String {
        self.to_string()[..12].to_owned()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// Text that is not 64 hex digits.
#[derive(Debug, thiserror::Error)]
#[error("not a SHA-256 digest of 64 hex digits")]
pub struct BadDigest;

impl FromStr for Digest {
    type Err = BadDigest;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bytes = text.as_bytes();
        if bytes.len() != 64 || !text.is_ascii() {
            return Err(BadDigest);
        }
        let mut out = [0; 32];
        for (byte, pair) in out.iter_mut().zip(bytes.chunks_exact(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| BadDigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| BadDigest)?;
        }
        Ok(Digest(out))
    }
}

impl Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn run_key_reads_what_it_writes() {
        for kind in [RunKind::Agent, RunKind::Baseline, RunKind::Check, RunKind::Recheck] {
            let key = RunKey { task: TaskId(12), stage: 1, attempt: 2, kind };
            assert_eq!(key.to_string().parse(), Ok(key));
        }
        for bad in [
            "",
            "t1",
            "t1-s1-a1",
            "t1-s1-a1-",
            "x1-s1-a1-agent",
            "t-s-a-agent",
            "t1-s1-a1-agent-more",
            "t1-s99999999999-a1-agent",
        ] {
            assert!(bad.parse::<RunKey>().is_err(), "{bad}");
        }
    }

    #[test]
    fn digest_separates_parts() {
        assert_ne!(Digest::of_parts([&b"ab"[..], b"c"]), Digest::of_parts([&b"a"[..], b"bc"]));
        let digest = Digest::of_bytes(b"");
        assert_eq!(digest.to_string(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
        assert_eq!(digest.to_string().parse::<Digest>().unwrap(), digest);
    }
}
