//! Opens doors: one gateway per host process, one door per run.

use crate::{
    Ledger, Secrets,
    access::{Access, Config, Limits},
    behind::Behind,
    door::Door,
    run::Run,
    socket::{LONGEST_PATH, Socket},
    upstream::{BaseError, Upstream},
};
use std::{io, path::PathBuf, sync::Arc};

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
    behind: Arc<Behind>,
}

impl Gateway {
    /// Checks the settings and, for `https`, reads the system's certificate authorities. Contacts nobody.
    pub fn new(config: Config, secrets: Arc<dyn Secrets>, ledger: Arc<dyn Ledger>) -> Result<Gateway, Error> {
        let upstream = Arc::new(Upstream::new(&config)?);
        Ok(Gateway { limits: config.limits, upstream, secrets, ledger, behind: Arc::default() })
    }

    /// Binds the run's socket, in place of a stale one, and listens until the door is closed. Nobody is served before
    /// [`Door::admit`]. Must be called within a tokio runtime.
    pub async fn open(&self, access: Access) -> Result<Door, Error> {
        let key = access.placeholder_key.as_bytes();
        if key.is_empty() || key.len() > 256 || !key.iter().all(u8::is_ascii_graphic) {
            return Err(Error::Placeholder);
        }
        let (socket, listener) = Socket::bind(&access.socket)?;
        let run = Run::new(
            access,
            self.limits.clone(),
            Arc::clone(&self.upstream),
            Arc::clone(&self.secrets),
            Arc::clone(&self.ledger),
            Arc::clone(&self.behind),
        );
        Ok(Door::listen(Arc::new(run), socket, listener))
    }
}
