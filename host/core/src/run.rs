//! One run in a sandbox: what it is granted and what it needs, as plain values. Who computes a grant is `grant.rs`; who acts on it is the host.

use crate::id::{Digest, RunKey};
use serde::{Deserialize, Serialize};

/// Limits of one sandbox, enforced by the kernel and the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Limits {
    pub memory_bytes: u64,
    /// Thousandths of a core; clamped to what the machine has.
    pub cpu_millis: u32,
    pub pids: u32,
    /// Workspace and `/out` together.
    pub disk_bytes: u64,
    pub disk_files: u64,
    /// Standard output and error together.
    pub output_bytes: u64,
    pub wall_ms: u64,
    /// Longest silence on standard output and error; 0 for no limit.
    pub idle_ms: u64,
}

/// Which image a sandbox starts from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ImageRef(pub String);

/// What an agent may write in its workspace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WriteGrant {
    /// Globs relative to the workspace; empty means the workspace is read-only.
    pub allow: Vec<String>,
    /// Globs that are refused even where `allow` matches (CI files and the like).
    pub deny: Vec<String>,
    /// Exact paths pinned by an earlier stage: mounted read-only and restored from that stage's commit.
    pub pinned: Vec<String>,
}

impl WriteGrant {
    /// True when nothing in the workspace may be written.
    pub fn is_read_only(&self) -> bool {
        self.allow.is_empty()
    }
}

/// All that a sandbox adapter needs to start one process. Holds no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SandboxSpec {
    pub run: RunKey,
    pub image: ImageRef,
    pub limits: Limits,
    pub argv: Vec<String>,
    /// Environment of the process, complete but for what `borg-init` sets (`PATH`, `HOME`, `TMPDIR`).
    pub env: Vec<(String, String)>,
    /// Files written below the sandbox's home before the start.
    pub home_files: Vec<crate::executor::HomeFile>,
    pub stdin: Vec<u8>,
    pub write: WriteGrant,
    /// True when the process gets the gateway socket and the loopback bridge.
    pub gateway: bool,
    /// True when the process may start programs it wrote (it has Bash, or is a check): `/tmp` and home are then exec and on the bounded disk.
    pub exec: bool,
    /// Directories of the machine shown read-only at their own places, their `bin` in `PATH`: the local sandbox only.
    #[serde(default)]
    pub host_paths: Vec<String>,
    /// Name of the agent bundle mounted at `/opt/agent`; none for checks.
    pub bundle: Option<String>,
    /// Hash of the policy this was granted under.
    pub policy: Digest,
}

/// How strongly a run was confined; stored with it and shown to people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attestation {
    /// `docker` or `local`.
    pub sandbox: String,
    /// Image id, or none in the local sandbox.
    pub image_id: Option<String>,
    pub policy: Digest,
    /// Landlock ABI version in force; 0 when there is none.
    pub landlock_abi: u32,
    pub seccomp: bool,
    /// What could not be had, in words, such as `no network namespace: the kernel refuses unprivileged user namespaces`.
    pub missing: Vec<String>,
}
