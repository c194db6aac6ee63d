//! Opens doors: one gateway per host process, one door per run.

use crate::{
    Ledger, Secrets,
    access::{Access, Config, Limits},
    door::Door,
    run::Run,
    upstream::{BaseError, Upstream},
};
use std::{
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, PermissionsExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::net::UnixListener;

/// Longest path of a Unix socket, without the final NUL (`unix(7)`).
const LONGEST_PATH: usize = 107;

/// Why the gateway cannot start or a door cannot open.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the address of the model provider cannot be used")]
    Base(#[from] BaseError),
    #[error(
        "the socket path `{path}` is {length} bytes long, more than the {LONGEST_PATH} a socket can have: use a shorter data directory"
    )]
    LongPath { path: PathBuf, length: usize },
    #[error("`{0}` is there and is not a socket: move it away")]
    NotASocket(PathBuf),
    #[error("cannot listen on `{path}`")]
    Listen {
        path: PathBuf,
        #[source]
        error: io::Error,
    },
    #[error("the placeholder key must be 1 to 256 visible ASCII characters")]
    Placeholder,
}

/// The gateway of a host process. Clones are the same gateway.
#[derive(Clone)]
pub struct Gateway {
    limits: Limits,
    upstream: Arc<Upstream>,
    secrets: Arc<dyn Secrets>,
    ledger: Arc<dyn Ledger>,
}

impl Gateway {
    /// Checks the settings and, for `https`, reads the system's certificate authorities. Contacts nobody.
    pub fn new(config: Config, secrets: Arc<dyn Secrets>, ledger: Arc<dyn Ledger>) -> Result<Gateway, Error> {
        let upstream = Arc::new(Upstream::new(&config)?);
        Ok(Gateway { limits: config.limits, upstream, secrets, ledger })
    }

    /// Binds the run's socket, removing a stale one, and listens until the door is closed. Nobody is served before
    /// [`Door::admit`]. Must be called within a tokio runtime.
    pub async fn open(&self, access: Access) -> Result<Door, Error> {
        let key = access.placeholder_key.as_bytes();
        if key.is_empty() || key.len() > 256 || !key.iter().all(u8::is_ascii_graphic) {
            return Err(Error::Placeholder);
        }
        let socket = access.socket.clone();
        let listener = bind(&socket)?;
        let run = Run::new(
            access,
            self.limits.clone(),
            Arc::clone(&self.upstream),
            Arc::clone(&self.secrets),
            Arc::clone(&self.ledger),
        );
        Ok(Door::listen(Arc::new(run), socket, listener))
    }
}

fn bind(socket: &Path) -> Result<UnixListener, Error> {
    let length = socket.as_os_str().as_bytes().len();
    if length > LONGEST_PATH {
        return Err(Error::LongPath { path: socket.into(), length });
    }
    let failed = |error| Error::Listen { path: socket.into(), error };
    match fs::symlink_metadata(socket) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(socket).map_err(failed)?,
        Ok(_) => return Err(Error::NotASocket(socket.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    let listener = UnixListener::bind(socket).map_err(failed)?;
    // The agent's uid is not the host's. Who may come in is decided by the peer's process id and the directory.
    fs::set_permissions(socket, fs::Permissions::from_mode(0o666)).map_err(failed)?;
    Ok(listener)
}
