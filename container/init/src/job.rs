//! The job file: what the host tells `borg-init` to start, and the fixed layout of the inside. Who reads it is left to `container.rs`
//! and `local.rs`.

use borg_confine::Rlimits;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The work tree.
pub const WORKSPACE: &str = "/workspace";
/// Hand-offs and the job file; read-only.
pub const IN: &str = "/in";
/// Artefacts.
pub const OUT: &str = "/out";
/// The agent's home.
pub const HOME: &str = "/home/agent";
/// Directory of the gateway's socket; read-only.
pub const RUN: &str = "/run/borg";
/// The gateway's socket inside [`RUN`].
pub const GATEWAY_SOCKET: &str = "/run/borg/gateway.sock";
/// The agent's program; read-only.
pub const AGENT: &str = "/opt/agent";
/// Where the host mounts this binary in a container.
pub const INIT: &str = "/opt/borg-init";
/// File name of the job inside [`IN`].
pub const JOB_NAME: &str = ".borg-job.json";
/// Where a container finds its job.
pub const JOB_FILE: &str = "/in/.borg-job.json";
/// Where programs are looked up unless image or job say otherwise.
pub const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// User and group of agents where the host itself runs as root.
pub const AGENT_UID: u32 = 10001;

/// Exit code of init when it refuses the job or cannot confine the process; no agent ran.
pub const EXIT_REFUSED: i32 = 125;
/// Exit code when the program exists but cannot be executed.
pub const EXIT_NOT_EXECUTABLE: i32 = 126;
/// Exit code when the program does not exist.
pub const EXIT_NOT_FOUND: i32 = 127;

/// One process to start and to wait for. Holds no secret: the agent can read the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Job {
    /// Program and arguments; the program is looked up in `PATH` unless it contains a slash.
    pub argv: Vec<String>,
    /// Added to what init takes over from the image (see `environment.rs`); wins over it.
    #[serde(default)]
    pub env: Vec<(String, String)>,
    /// True puts `bin/` of [`AGENT`] before everything else in `PATH`.
    #[serde(default)]
    pub agent_first: bool,
    #[serde(default = "workspace")]
    pub cwd: String,
    /// Fed to standard input, which is then closed. Base64 in JSON.
    #[serde(default, with = "crate::base64_bytes")]
    pub stdin: Vec<u8>,
    /// Written below [`HOME`] before the start.
    #[serde(default)]
    pub home_files: Vec<HomeFile>,
    /// Directories and files the process may write, as paths inside. `/tmp`, [`HOME`] and a few devices are added by init.
    #[serde(default)]
    pub write: Vec<PathBuf>,
    /// True when the process may start programs from the places it may write.
    #[serde(default)]
    pub exec: bool,
    /// True when it may open Unix sockets. Refused in the local sandbox.
    #[serde(default)]
    pub unix_sockets: bool,
    #[serde(default)]
    pub bridge: Option<Bridge>,
    /// Cap on what init prints for the process's output, in bytes of encoded [`crate::Line`]s; what follows is read and dropped.
    pub output_bytes: u64,
    #[serde(default)]
    pub limits: Rlimits,
    /// Time between SIGTERM and SIGKILL, in milliseconds.
    #[serde(default = "grace")]
    pub grace_ms: u64,
    /// Set for `borg-init local` only.
    #[serde(default)]
    pub local: Option<Local>,
}

impl Job {
    /// A job with defaults for all but its command line and its output cap.
    pub fn new(argv: Vec<String>, output_bytes: u64) -> Self {
        Self {
            argv,
            env: Vec::new(),
            agent_first: false,
            cwd: workspace(),
            stdin: Vec::new(),
            home_files: Vec::new(),
            write: Vec::new(),
            exec: false,
            unix_sockets: false,
            bridge: None,
            output_bytes,
            limits: Rlimits::default(),
            grace_ms: grace(),
            local: None,
        }
    }
}

/// A file below the agent's home.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HomeFile {
    /// Relative, without `..`.
    pub path: String,
    pub text: String,
    #[serde(default)]
    pub executable: bool,
}

/// Loopback TCP to the gateway's Unix socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Bridge {
    /// Port on 127.0.0.1 where the process finds the gateway.
    pub port: u16,
    #[serde(default = "gateway_socket")]
    pub socket: PathBuf,
    /// How long a new connection waits while the host is away, in milliseconds.
    #[serde(default = "hold")]
    pub hold_ms: u64,
}

impl Bridge {
    /// The usual bridge: to [`GATEWAY_SOCKET`], holding connections for 120 s.
    pub fn new(port: u16) -> Self {
        Self { port, socket: gateway_socket(), hold_ms: hold() }
    }
}

/// What the sandbox without an engine needs to know of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Local {
    /// Made in this order. [`WORKSPACE`] is required; [`IN`], [`OUT`], [`HOME`], [`RUN`], [`AGENT`] and `/tmp` are taken from here where named;
    /// `/tmp` and [`HOME`] are otherwise small memory file systems.
    pub mounts: Vec<Mount>,
    /// User and group of the process when init is started by root; [`AGENT_UID`] for both when none. Must not be 0.
    /// A host that is not root runs agents as itself.
    #[serde(default)]
    pub user: Option<(u32, u32)>,
}

/// One place of the host shown inside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Mount {
    /// Existing file or directory of the host.
    pub host: PathBuf,
    /// Where the process sees it.
    pub inside: PathBuf,
    /// Read-only unless true. Writing also needs an entry in [`Job::write`].
    #[serde(default)]
    pub writable: bool,
}

fn workspace() -> String {
    WORKSPACE.into()
}

fn gateway_socket() -> PathBuf {
    GATEWAY_SOCKET.into()
}

fn hold() -> u64 {
    120_000
}

fn grace() -> u64 {
    5_000
}
