//! Sandboxes: start one process of a run, sealed; follow its numbered output; enforce its limits; end it for certain.
//!
//! Two ways, one contract (`host/tests/sandbox/contract.rs` runs the same cases on both):
//!
//! | | seals by | survives the host |
//! |---|---|---|
//! | [`Docker`] | a container without a network, with `borg-init` as PID 1 | yes: found again by label, its log read from the start |
//! | [`Local`] | `borg-init` with namespaces, Landlock and seccomp as far as the kernel allows | no: it dies with the host |
//!
//! What a run is granted is [`SandboxSpec`], computed by the core. Who prepares its directories and collects from them is `workspace/`; who
//! serves the socket in [`RunDirs::run`] is the gateway; what the lines mean is for executor plugins.

mod disk;
mod docker;
mod follow;
pub mod image;
mod job;
mod local;
mod memory;
mod mounts;
mod watch;

pub use docker::{Docker, DockerSettings};
pub use job::{BASE_REPO, GATEWAY_PORT, GATEWAY_URL, InitBinary};
pub use local::{Allowed, Local, LocalSettings};
pub use mounts::{MountRules, Refused};

/// The fixed layout of the inside, which is the same in both sandboxes; see also [`BASE_REPO`].
pub use borg_init::{AGENT, GATEWAY_SOCKET, HOME, IN, Line, OUT, RUN, Record, Stream, WORKSPACE};

use borg_core::{
    executor::{EndCause, RunEnd},
    id::{Digest, RunKey},
    run::{Attestation, SandboxSpec},
};
use std::{
    io,
    path::{Path, PathBuf},
    time::Duration,
};
use tokio::sync::mpsc;

/// Directories of one run on the host. All lie below the run directories the adapter was told of, except the last two.
#[derive(Clone, Debug)]
pub struct RunDirs {
    /// The work tree, as the last accepted commit has it.
    pub workspace: PathBuf,
    /// Hand-offs, read-only inside. The adapter adds `.borg-job.json`.
    pub input: PathBuf,
    /// Artefacts; writable inside.
    pub out: PathBuf,
    /// Backs the home and `/tmp` of runs that may execute what they write.
    pub home: PathBuf,
    /// Holds the gateway's socket `gateway.sock`, and the adapter's own notes. Read-only inside, and only there for runs with a gateway.
    pub run: PathBuf,
    /// Agent bundle, read-only.
    pub agent: Option<PathBuf>,
    /// Bare repository with the base branch only, read-only: what the work tree's comfort `.git` borrows its objects from.
    pub base_repo: Option<PathBuf>,
}

impl RunDirs {
    /// Refuses directories that may not be given to a run, before anything is written to them.
    fn check(&self, rules: &MountRules) -> Result<(), Refused> {
        let inner = [&self.workspace, &self.input, &self.out, &self.home, &self.run];
        inner.into_iter().chain(&self.agent).chain(&self.base_repo).try_for_each(|dir| rules.check(dir).map(drop))
    }
}

/// A process that runs.
#[derive(Clone, Debug)]
pub struct Started {
    pub attestation: Attestation,
    /// Process id of init as the host sees it: the only peer the gateway serves. 0 when the run has already ended.
    pub init_pid: i32,
}

/// A run that was found again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub running: bool,
    /// Process id of init as the host sees it, while it runs.
    pub init_pid: Option<i32>,
}

/// What a sandbox is made of here, in words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strength {
    /// `docker` or `local`.
    pub sandbox: &'static str,
    /// One line: engine and version, or the kernel's means.
    pub summary: String,
    /// What is there.
    pub features: Vec<String>,
    /// What could not be had.
    pub missing: Vec<String>,
}

/// Why a sandbox did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no Docker engine answers at {socket}; start it (`systemctl start docker`) or set DOCKER_HOST to its `unix://` socket"
    )]
    NoEngine { socket: String, source: BoxError },
    #[error(
        "DOCKER_HOST is `{0}`, but only `unix://PATH` is supported: bind mounts and peer credentials need the same machine"
    )]
    BadEngineAddress(String),
    #[error("Docker engine: cannot {doing}")]
    Engine { doing: &'static str, source: BoxError },
    #[error("image `{0}` is not here; build it with `borg-host image build` or load it with `docker pull`")]
    NoImage(String),
    #[error(
        "image `{image}` declares the volume `{path}`, which overlaps a directory of the sandbox; use an image without it"
    )]
    ImageVolume { image: String, path: String },
    #[error(
        "{free_mib} MiB are free at {path}, and {floor_mib} MiB must stay free; make room (`docker system df`, old runs) and retry"
    )]
    BelowFloor { path: PathBuf, free_mib: u64, floor_mib: u64 },
    #[error(transparent)]
    Mount(#[from] Refused),
    #[error("`{path}` is not the init this host was built with (SHA-256 {found}, expected {expected}); reinstall borg")]
    WrongInit { path: PathBuf, found: Digest, expected: Digest },
    #[error("the engine did not do as told, so the container was removed: {}", .0.join("; "))]
    Mismatch(Vec<String>),
    #[error("`{0}` is in use by a container that is not ours; rename it or remove it")]
    NameTaken(String),
    #[error("init did not start the process: {0}")]
    NotReady(String),
    #[error("no run `{0}` is known")]
    Unknown(RunKey),
    #[error("run `{0}` is still alive after being killed")]
    Immortal(RunKey),
    #[error("nobody reads the output of run `{0}` any more")]
    Abandoned(RunKey),
    #[error("cannot {doing} `{path}`")]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot start init: {0}")]
    Spawn(BoxError),
}

/// An error of a vendor's crate, kept as a cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

impl Error {
    fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Error::Io { doing, path, source }
    }

    /// True when waiting may help and no attempt should be used up: the engine is away or the disk is full.
    pub fn is_passing(&self) -> bool {
        match self {
            Error::NoEngine { .. }
            | Error::Engine { .. }
            | Error::BelowFloor { .. }
            | Error::Io { .. }
            | Error::Spawn(_) => true,
            Error::BadEngineAddress(_)
            | Error::NoImage(_)
            | Error::ImageVolume { .. }
            | Error::Mount(_)
            | Error::WrongInit { .. }
            | Error::Mismatch(_)
            | Error::NameTaken(_)
            | Error::NotReady(_)
            | Error::Unknown(_)
            | Error::Immortal(_)
            | Error::Abandoned(_) => false,
        }
    }
}

/// User and group that processes run as in either sandbox: who must be able to read their directories and to connect to their socket.
///
/// The host's own, or [`borg_init::AGENT_UID`] for both where the host is root.
pub fn identity() -> (u32, u32) {
    job::identity()
}

/// The way runs are sealed on this machine.
pub enum Sandbox {
    Docker(Docker),
    Local(Local),
}

impl Sandbox {
    /// Tells what this sandbox is made of and what is missing.
    pub async fn describe(&self) -> Strength {
        match self {
            Sandbox::Docker(docker) => docker.describe().await,
            Sandbox::Local(local) => local.describe(),
        }
    }

    /// Makes sure that runs can start from this image; the local sandbox uses the machine's own programs.
    pub async fn check_image(&self, image: &str) -> Result<(), Error> {
        match self {
            Sandbox::Docker(docker) => docker.check_image(image).await,
            Sandbox::Local(_) => Ok(()),
        }
    }

    /// Starts the run and waits until init says that the process is confined. A run that was already started is adopted instead.
    pub async fn start(&self, spec: &SandboxSpec, dirs: &RunDirs) -> Result<Started, Error> {
        match self {
            Sandbox::Docker(docker) => docker.start(spec, dirs).await,
            Sandbox::Local(local) => local.start(spec, dirs).await,
        }
    }

    /// Looks for a run that an earlier host process may have started.
    pub async fn find(&self, run: RunKey) -> Result<Option<Found>, Error> {
        match self {
            Sandbox::Docker(docker) => docker.find(run).await,
            Sandbox::Local(local) => Ok(local.find(run)),
        }
    }

    /// All runs of this installation that have not been removed, and whether each still runs.
    pub async fn list(&self) -> Result<Vec<(RunKey, bool)>, Error> {
        match self {
            Sandbox::Docker(docker) => docker.list().await,
            Sandbox::Local(local) => local.list(),
        }
    }

    /// Follows a run to its end: sends every line numbered above `after`, in order, and enforces the run's limits meanwhile.
    ///
    /// A slow reader delays only the lines, neither the process nor its limits. Nobody enforces limits while this is not polled.
    pub async fn lines(&self, run: RunKey, after: u64, lines: mpsc::Sender<Line>) -> Result<RunEnd, Error> {
        match self {
            Sandbox::Docker(docker) => docker.lines(run, after, lines).await,
            Sandbox::Local(local) => local.lines(run, after, lines).await,
        }
    }

    /// Ends a run and returns when it is dead. Its `lines` then resolve with this cause, unless it was already dead or dying of another.
    pub async fn kill(&self, run: RunKey, cause: EndCause) -> Result<(), Error> {
        match self {
            Sandbox::Docker(docker) => docker.kill(run, cause).await,
            Sandbox::Local(local) => local.kill(run, cause).await,
        }
    }

    /// Forgets a run, with all it left in the engine; its directories stay. A run that still lives is killed first.
    pub async fn remove(&self, run: RunKey) -> Result<(), Error> {
        match self {
            Sandbox::Docker(docker) => docker.remove(run).await,
            Sandbox::Local(local) => local.remove(run).await,
        }
    }
}

/// Refuses to start a run where too little disk is free.
fn check_floor(path: &Path, floor: u64) -> Result<(), Error> {
    let free = disk::space(path).map_err(Error::io("measure the disk at", path))?.free;
    if free >= floor {
        return Ok(());
    }
    Err(Error::BelowFloor { path: path.to_owned(), free_mib: free >> 20, floor_mib: floor >> 20 })
}

/// How long a process may tidy up after SIGTERM. Together with the kill it stays below two seconds.
fn grace(cause: EndCause) -> Duration {
    match cause {
        EndCause::DiskCap | EndCause::OutputCap | EndCause::OutOfMemory => Duration::ZERO,
        EndCause::Exited
        | EndCause::KilledBySignal
        | EndCause::TimedOut
        | EndCause::Silent
        | EndCause::Capped
        | EndCause::Cancelled
        | EndCause::Lost => Duration::from_millis(1200),
    }
}
