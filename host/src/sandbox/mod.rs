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
mod error;
mod follow;
pub mod image;
mod job;
mod local;
mod memory;
mod mounts;
mod run;
mod watch;

pub use docker::{Docker, DockerSettings};
pub use error::{BoxError, Error};
pub use job::{BASE_REPO, GATEWAY_PORT, GATEWAY_URL, InitBinary};
pub use local::{Allowed, Local, LocalSettings};
pub use mounts::{MountRules, Refused};
pub use run::{Found, RunDirs, Started, Strength};

/// The fixed layout of the inside, which is the same in both sandboxes; see also [`BASE_REPO`].
pub use borg_init::{AGENT, GATEWAY_SOCKET, HOME, IN, Line, OUT, RUN, Record, Stream, WORKSPACE};

use borg_core::{
    executor::{EndCause, RunEnd},
    id::RunKey,
    run::SandboxSpec,
};
use tokio::sync::mpsc;

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
