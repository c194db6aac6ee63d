//! One process owns a data directory: an exclusive lock for life, and an identity that a copy does not share.

use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, Permissions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Why the data directory cannot be ours.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    #[error("another borg-host (pid {pid}) runs on {path}; talk to it with the other commands, or stop it first")]
    Taken { path: PathBuf, pid: String },
    #[error(
        "{path} is a copy of another data directory ({original}); two hosts would fight over the same containers. To make the copy one of its own, remove {path}/installation.json"
    )]
    Copied { path: PathBuf, original: PathBuf },
    #[error("the data directory {path} cannot be used: {source}. Check that it exists and that you may write there")]
    Io { path: PathBuf, source: io::Error },
    #[error(
        "{path} is damaged: {reason}. Without it, the next start makes a new identity, and containers of the old one are left to you"
    )]
    Damaged { path: PathBuf, reason: String },
}

#[derive(PartialEq, Eq, Serialize, Deserialize)]
struct Installation {
    id: String,
    /// Where the identity was made, to tell a copy from the original.
    path: PathBuf,
    inode: u64,
    /// When the directory was made, in nanoseconds since 1970, where the file system keeps that: the root of every volume has the
    /// same inode.
    #[serde(default)]
    born_ns: Option<u128>,
}

impl Installation {
    fn of(id: String, path: &Path) -> io::Result<Self> {
        let found = fs::metadata(path)?;
        let born = found.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Ok(Installation { id, path: path.to_owned(), inode: found.ino(), born_ns: born.map(|born| born.as_nanos()) })
    }

    /// True for the same directory, wherever it lies now.
    fn is_moved_to(&self, now: &Installation) -> bool {
        let differs = self.born_ns.zip(now.born_ns).is_some_and(|(then, now)| then != now);
        self.inode == now.inode && !differs
    }
}

/// A locked data directory; the lock goes with the value, or with the process.
#[derive(Debug)]
pub struct DataLock {
    _file: File,
    path: PathBuf,
    installation: String,
}

impl DataLock {
    /// Creates the directory where needed, and locks it. It is for this user only (0700): what agents said lies in it.
    pub fn take(path: &Path) -> Result<DataLock, LockError> {
        let io = |source| LockError::Io { path: path.to_owned(), source };
        if !path.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
        }
        let path = path.canonicalize().map_err(io)?;
        if fs::metadata(&path).map_err(io)?.mode() & 0o077 != 0 {
            fs::set_permissions(&path, Permissions::from_mode(0o700)).map_err(io)?;
        }
        let io = |source| LockError::Io { path: path.clone(), source };
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path.join("lock"))
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(io)?;
                // Empty for the moment between its lock and its pid.
                let pid = Some(pid.trim()).filter(|pid| !pid.is_empty()).unwrap_or("unknown");
                return Err(LockError::Taken { path, pid: pid.to_owned() });
            }
            Err(TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| writeln!(file, "{}", std::process::id()))
            .map_err(io)?;
        let installation = identify(&path)?;
        Ok(DataLock { _file: file, path, installation })
    }

    /// Canonical path of the data directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Id of this installation: labels of containers carry it.
    pub fn installation(&self) -> &str {
        &self.installation
    }
}

fn identify(path: &Path) -> Result<String, LockError> {
    let io = |source| LockError::Io { path: path.to_owned(), source };
    let file = path.join("installation.json");
    match fs::read_to_string(&file) {
        Ok(text) => {
            let found: Installation = serde_json::from_str(&text)
                .map_err(|error| LockError::Damaged { path: file.clone(), reason: error.to_string() })?;
            let now = Installation::of(found.id.clone(), path).map_err(io)?;
            // A moved directory keeps its inode, a restored one its path; a copy has neither.
            if !found.is_moved_to(&now) && found.path != path {
                return Err(LockError::Copied { path: path.to_owned(), original: found.path });
            }
            if found != now {
                write_identity(&file, &now).map_err(io)?;
            }
            Ok(found.id)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let mut bytes = [0; 8];
            File::open("/dev/urandom").and_then(|mut random| random.read_exact(&mut bytes)).map_err(io)?;
            let id = format!("{:016x}", u64::from_be_bytes(bytes));
            Installation::of(id.clone(), path).and_then(|now| write_identity(&file, &now)).map_err(io)?;
            Ok(id)
        }
        Err(error) => Err(io(error)),
    }
}

fn write_identity(file: &Path, installation: &Installation) -> io::Result<()> {
    let temporary = file.with_extension("new");
    let mut out = File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    out.write_all(serde_json::to_string(installation).map_err(io::Error::other)?.as_bytes())?;
    out.sync_all()?;
    fs::rename(temporary, file)?;
    // The name is durable with its directory only.
    File::open(file.parent().unwrap_or(Path::new("/")))?.sync_all()
}
