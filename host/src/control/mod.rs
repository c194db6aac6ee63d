//! The control socket: how every other command talks to the running host. HTTP and JSON on a Unix socket below the data directory,
//! 0600, and the peer's uid (told by the kernel) is the person: `console:<uid>`.

pub mod client;
mod follow;
mod request;
mod routes;
mod wire;

pub use wire::{About, EventsQuery, IntentRequest, Served};

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};
use tokio::net::UnixListener;

/// Longest path of a Unix socket (`sun_path`, unix(7)).
const SOCKET_PATH_BYTES: usize = 107;

/// Where the socket lies.
pub fn socket_path(data_dir: &Path) -> PathBuf {
    data_dir.join("control.sock")
}

/// Binds the socket; the data directory is locked, so a stale one is nobody's. Nobody else can connect before it is private: it gets
/// its name only then.
pub fn bind(data_dir: &Path) -> io::Result<UnixListener> {
    let path = socket_path(data_dir);
    if path.as_os_str().len() > SOCKET_PATH_BYTES {
        let reason = format!(
            "the path {} is too long for a socket ({SOCKET_PATH_BYTES} bytes at most): choose a data directory with a shorter one",
            path.display()
        );
        return Err(io::Error::new(io::ErrorKind::InvalidInput, reason));
    }
    let fresh = data_dir.join("control.new");
    for stale in [&path, &fresh] {
        match fs::remove_file(stale) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    let listener = UnixListener::bind(&fresh)?;
    fs::set_permissions(&fresh, fs::Permissions::from_mode(0o600))?;
    fs::rename(fresh, path)?;
    Ok(listener)
}

/// Serves until the listener fails.
pub async fn serve(listener: UnixListener, served: Served) -> io::Result<()> {
    let routes = routes::router(served).into_make_service_with_connect_info::<request::Peer>();
    axum::serve(listener, routes).await
}

#[cfg(test)]
mod tests;
