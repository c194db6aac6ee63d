//! What a process is left with, as plain data. How the kernel is told is left to the modules named after its features.

use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// All that a confined process may still do. The default grants nothing at all: no file, no socket, no program.
///
/// Paths that do not exist are skipped in `read` and `read_exec` (the grant is simply not made) and are an error in `write`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Profile {
    /// Files and directory trees that may be read.
    pub read: Vec<PathBuf>,
    /// Files and directory trees that may be read and executed.
    pub read_exec: Vec<PathBuf>,
    /// Files and directory trees that may be read, written, created in and removed from; not executed.
    pub write: Vec<PathBuf>,
    pub tcp: Tcp,
    /// True when `socket(AF_UNIX)` is allowed. Landlock does not hold pathname sockets back, so this opens every socket the
    /// file permissions open. `socketpair` needs no grant.
    pub unix_sockets: bool,
    pub network: Network,
    pub limits: Rlimits,
    pub filter: Filter,
    pub parent_death: ParentDeath,
    /// Numbers of inherited descriptors above standard error that stay open, such as the ends of a pipe.
    pub keep: Vec<i32>,
}

/// What becomes of a process as soon as the thread that spawned it ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ParentDeath {
    /// It goes on.
    #[default]
    Outlive,
    /// It is asked to end by SIGTERM, so that it can clear up its lock files; for programs that are known to obey.
    Terminate,
    Kill,
}

/// Which TCP connections a process may open. It never accepts any unless this is [`Tcp::Any`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Tcp {
    /// No Internet socket at all.
    #[default]
    None,
    /// TCP to these ports, of any host; no UDP, no listening, no other protocol over IP.
    Ports(Vec<u16>),
    /// Whatever its network namespace reaches; meant for namespaces with nothing but loopback.
    Any,
}

/// Which network a process sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Network {
    /// The network of whoever started it.
    #[default]
    Shared,
    /// A new, empty network namespace; refused where the kernel gives none.
    Own,
    /// A new, empty network namespace, or the shared one (which is then reported as missing).
    OwnIfPossible,
}

/// Which system calls are filtered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filter {
    /// Everything of the filter in `seccomp.rs`.
    #[default]
    Strict,
    /// As `Strict`, but the process may trace its own children: for debuggers and `strace` in checks, by grant.
    Traceable,
}

/// Limits of `setrlimit(2)`; none leaves the inherited one. Core dumps are always off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default, deny_unknown_fields)]
pub struct Rlimits {
    pub cpu_seconds: Option<u64>,
    /// Largest file it may write, in bytes.
    pub file_bytes: Option<u64>,
    pub open_files: Option<u64>,
    /// Processes and threads of the *user*, not of this process alone.
    pub processes: Option<u64>,
    pub address_space_bytes: Option<u64>,
    /// Memory of its own that it may write: what it allocates, not the files it maps to read.
    pub data_bytes: Option<u64>,
}

/// What is in force after [`crate::confine_self`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Confined {
    /// Landlock ABI version of the running kernel; 0 when there is none.
    pub landlock_abi: u32,
    pub seccomp: bool,
    /// What could not be had, in words.
    pub missing: Vec<String>,
}
