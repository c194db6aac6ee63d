//! The socket file of one run: it appears under its name all at once, open to whoever may connect, and goes with the door it belongs to.

use crate::error::{Error, LONGEST_PATH};
use std::{
    ffi::OsStr,
    fs, io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileTypeExt, MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};
use tokio::net::UnixListener;

/// A socket file that a door listens at.
pub(crate) struct Socket {
    path: PathBuf,
    /// Device and inode of the file, which stay taken for as long as somebody listens: another file of that name is another door's.
    own: (u64, u64),
}

impl Socket {
    /// Listens under another name in the same folder, opens that to others, and only then moves it into place, over a stale socket. So
    /// whoever finds a socket may connect to it, and where one was there is one at every moment.
    ///
    /// # Errors
    /// When the path is too long, something that is no socket lies there, or the system refuses.
    pub fn bind(path: &Path) -> Result<(Socket, UnixListener), Error> {
        let length = path.as_os_str().as_bytes().len();
        if length > LONGEST_PATH {
            return Err(Error::LongPath { path: path.into(), length });
        }
        let failed = |error| Error::Listen { path: path.into(), error };
        is_replaceable(path)?;
        let staged = staged(path);
        if is_replaceable(&staged)? {
            // Left by a host that was killed just here.
            fs::remove_file(&staged).map_err(failed)?;
        }
        let listener = UnixListener::bind(&staged).map_err(failed)?;
        // The agent's uid is not the host's. Who may come in is decided by the peer's process id and the directory.
        fs::set_permissions(&staged, fs::Permissions::from_mode(0o666)).map_err(failed)?;
        let own = identity(&staged).map_err(failed)?;
        fs::rename(&staged, path).map_err(failed)?;
        Ok((Socket { path: path.to_owned(), own }, listener))
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes the file, unless another door has taken its place.
    ///
    /// # Errors
    /// When it is there and the system refuses.
    pub fn remove(&self) -> io::Result<()> {
        let removed = match identity(&self.path) {
            Ok(found) if found == self.own => fs::remove_file(&self.path),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        removed.or_else(|error| if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) })
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let found = fs::symlink_metadata(path)?;
    Ok((found.dev(), found.ino()))
}

/// True where a socket lies, false where nothing does; anything else is not ours to replace.
fn is_replaceable(path: &Path) -> Result<bool, Error> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => Ok(true),
        Ok(_) => Err(Error::NotASocket(path.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Error::Listen { path: path.into(), error }),
    }
}

/// Where a socket is bound before it has its name: as long as that, so that it fits whenever that does.
fn staged(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().as_bytes().to_vec();
    if let Some(last) = name.last_mut() {
        *last = if *last == b'~' { b'+' } else { b'~' };
    }
    path.with_file_name(OsStr::from_bytes(&name))
}
