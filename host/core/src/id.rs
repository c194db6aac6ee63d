//! Names of things: tasks, runs, effects, digests. What they name is elsewhere.

use crate::owner::Owner;
pub use crate::owner::TaskId;
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

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
/// Displayed as `t12-s1-a2-agent`. The names of its fields in JSON are those of before there were other owners than tasks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RunKey {
    #[serde(rename = "task")]
    pub owner: Owner,
    /// Where in its owner's work: of a task the index of the stage in its plan.
    #[serde(rename = "stage")]
    pub place: u32,
    /// Counted from 1, over all tries at this place, whether or not they used up what is allowed: what an older one comes to changes nothing.
    #[serde(rename = "attempt")]
    pub fence: u32,
    pub kind: RunKind,
}

impl fmt::Display for RunKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-s{}-a{}-{}", self.owner, self.place, self.fence, self.kind.as_str())
    }
}

/// A string that is not of the form it should have.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a run key such as `t12-s1-a2-agent`")]
pub struct BadRunKey(String);

impl FromStr for RunKey {
    type Err = BadRunKey;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let read = || {
            // From the end: an owner's text may have a dash of its own.
            let mut parts = text.rsplitn(4, '-');
            let kind = match parts.next()? {
                "agent" => RunKind::Agent,
                "baseline" => RunKind::Baseline,
                "check" => RunKind::Check,
                "recheck" => RunKind::Recheck,
                _ => return None,
            };
            let fence = parts.next()?.strip_prefix('a')?.parse().ok()?;
            let place = parts.next()?.strip_prefix('s')?.parse().ok()?;
            let owner = parts.next()?.parse().ok()?;
            Some(RunKey { owner, place, fence, kind })
        };
        read().ok_or_else(|| BadRunKey(text.to_owned()))
    }
}

/// Names an effect for ever. Doing it twice must not matter twice: each doer looks for what an earlier try left under this key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EffectKey(pub String);

impl EffectKey {
    /// `t12-s1-a2-brief`: a try at a place has one effect of a kind.
    pub fn new(owner: Owner, place: u32, fence: u32, kind: &str) -> Self {
        EffectKey(format!("{owner}-s{place}-a{fence}-{kind}"))
    }
}

impl fmt::Display for EffectKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
            for owner in [Owner::Task(TaskId(12)), Owner::Host, Owner::Counter(7)] {
                let key = RunKey { owner, place: 1, fence: 2, kind };
                assert_eq!(key.to_string().parse(), Ok(key));
                let json = serde_json::to_string(&key).unwrap();
                assert_eq!(serde_json::from_str::<RunKey>(&json).unwrap(), key);
            }
        }
        let key: RunKey = "t12-s1-a2-agent".parse().unwrap();
        assert_eq!(serde_json::to_string(&key).unwrap(), r#"{"task":12,"stage":1,"attempt":2,"kind":"agent"}"#);
        for bad in [
            "",
            "t1",
            "t1-s1-a1",
            "t1-s1-a1-",
            "x1-s1-a1-agent",
            "t-s-a-agent",
            "t1-s1-a1-agent-more",
            "t1-s99999999999-a1-agent",
            "more-t1-s1-a1-agent",
            "-s1-a1-agent",
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
