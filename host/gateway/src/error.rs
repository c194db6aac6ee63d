//! Why a gateway does not start, or a door does not open.

use crate::upstream::BaseError;
use std::{io, path::PathBuf};

/// Longest path of a Unix socket, without the final NUL (`unix(7)`).
pub(crate) const LONGEST_PATH: usize = 107;

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
    #[error("the placeholder key of `{0}` must be 1 to 256 visible ASCII characters")]
    Placeholder(&'static str),
    #[error("`[egress.{egress}]` leads to `{provider}`, which this gateway does not reach")]
    NoEndpoint { egress: String, provider: &'static str },
}
