//! Why a sandbox did not do what was asked.

use super::mounts::Refused;
use borg_core::id::{Digest, RunKey};
use std::{io, path::PathBuf};

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

impl Error {
    pub(super) fn io(doing: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
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

/// An error of a vendor's crate, kept as a cause.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
