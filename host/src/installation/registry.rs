//! The folders that a user has registered, in a file of that user's own: `borg/installations.json` in the folder for state of the XDG base
//! directory specification (`$XDG_STATE_HOME`, else `~/.local/state`).
//!
//! A folder is known by its path, its inode and, where the file system keeps that, the time it was made: an inode alone is given to the next
//! folder as soon as one is removed. The device is no part of it: its number changes from one start of the machine to the next with many a
//! file system, and whoever can mount another one in a folder's place can do more than that.

use super::{InstallationError, kept, parts};
use crate::environment::Environment;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use std::{
    fs::{self, File, Permissions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// Largest file that is read, in bytes: thousands of folders.
const LIMIT: u64 = 1 << 20;

/// Where a user's installations are registered.
#[derive(Clone, Debug)]
pub struct Registry {
    folder: PathBuf,
}

#[derive(Default, Serialize, Deserialize)]
struct Known {
    installations: Vec<Entry>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    /// Canonical.
    path: PathBuf,
    inode: u64,
    /// When the folder was made, in nanoseconds since 1970.
    #[serde(default)]
    born_ns: Option<u128>,
}

impl Entry {
    fn of(path: &Path) -> io::Result<Entry> {
        let found = fs::metadata(path)?;
        let born = found.created().ok().and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Ok(Entry { path: path.to_owned(), inode: found.ino(), born_ns: born.map(|born| born.as_nanos()) })
    }
}

impl Registry {
    /// This user's own. Nothing is read or made yet.
    ///
    /// # Errors
    /// When the user has no home.
    pub fn of_user(environment: &Environment) -> Result<Registry, InstallationError> {
        let absolute = |name: &str| {
            let path = environment.get(name).map(|path| PathBuf::from(path.as_str()));
            // A relative one would be found in whatever folder somebody stands; the specification says to ignore it.
            path.filter(|path| path.is_absolute())
        };
        let state = match absolute("XDG_STATE_HOME") {
            Some(state) => state,
            None => absolute("HOME").map_or_else(home, Ok)?.join(".local/state"),
        };
        Ok(Registry { folder: state.join("borg") })
    }

    /// The file, whether or not it is there.
    pub fn file(&self) -> PathBuf {
        self.folder.join("installations.json")
    }

    /// True for a folder that is registered as it is; a canonical path.
    ///
    /// # Errors
    /// When that cannot be told.
    pub fn holds(&self, folder: &Path) -> Result<bool, InstallationError> {
        match self.check(folder) {
            Ok(()) => Ok(true),
            Err(InstallationError::Unregistered { .. } | InstallationError::Another { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Refuses a folder that is not registered, with what lies in it.
    pub(super) fn check(&self, folder: &Path) -> Result<(), InstallationError> {
        let now = Entry::of(folder).map_err(|source| InstallationError::Io { path: folder.to_owned(), source })?;
        let known = self.read()?;
        if known.installations.contains(&now) {
            return Ok(());
        }
        let (lies, is_another) = (parts(folder), known.installations.iter().any(|entry| entry.path == now.path));
        let folder = folder.to_owned();
        Err(match is_another {
            true => InstallationError::Another { folder, lies },
            false => InstallationError::Unregistered { folder, lies },
        })
    }

    /// Registers a folder, in place of another of the same path. Durable when this returns.
    ///
    /// # Errors
    /// When it cannot be written down, or its path is not UTF-8.
    pub fn add(&self, folder: &Path) -> Result<(), InstallationError> {
        let folder_error = |source| InstallationError::Io { path: folder.to_owned(), source };
        let entry = folder.canonicalize().and_then(|path| Entry::of(&path)).map_err(folder_error)?;
        if entry.path.to_str().is_none() {
            return Err(folder_error(io::Error::other("the path must be UTF-8")));
        }
        let failed = |source| InstallationError::Io { path: self.folder.clone(), source };
        if !self.folder.exists() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(failed)?;
        }
        let lock = File::open(&self.folder).map_err(failed)?;
        // One at a time: each writes the whole list.
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        let mut known = self.read()?;
        known.installations.retain(|other| other.path != entry.path);
        known.installations.push(entry);
        self.write(&known).map_err(failed)?;
        lock.sync_all().map_err(failed)
    }

    fn write(&self, known: &Known) -> io::Result<()> {
        let mut fresh = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder)?;
        fresh.write_all(&serde_json::to_vec_pretty(known)?)?;
        fresh.as_file().set_permissions(Permissions::from_mode(0o600))?;
        fresh.as_file().sync_all()?;
        fresh.persist(self.file()).map_err(|error| error.error).map(drop)
    }

    fn read(&self) -> Result<Known, InstallationError> {
        let path = self.file();
        let failed = |source| InstallationError::Io { path: path.clone(), source };
        kept::check(&self.folder, 0, None)?;
        kept::check(&path, 0, None)?;
        let flags = libc::O_NONBLOCK | libc::O_NOFOLLOW;
        let file = match File::options().read(true).custom_flags(flags).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Known::default()),
            opened => opened.map_err(failed)?,
        };
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() || found.len() > LIMIT {
            return Err(failed(io::Error::other(format!("it is no file of at most {LIMIT} bytes"))));
        }
        let mut text = String::new();
        file.take(LIMIT).read_to_string(&mut text).map_err(failed)?;
        serde_json::from_str(&text)
            .map_err(|error| InstallationError::Damaged { path: path.clone(), reason: error.to_string() })
    }
}

/// The home of this user by the system's list of users.
fn home() -> Result<PathBuf, InstallationError> {
    let me = nix::unistd::geteuid();
    let found = nix::unistd::User::from_uid(me).ok().flatten().map(|user| user.dir);
    found.filter(|home| home.is_absolute()).ok_or(InstallationError::Homeless(me.as_raw()))
}
