//! A file system of a few megabytes that a test can fill to the last byte. Only root can mount one.

use crate::require;
use anyhow::{Context, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use std::{
    fs::{self, File},
    io::{ErrorKind, Write},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

/// What fills it up.
const FILLER: &str = "filler";

/// The mounted file system; unmounted with the value, whoever still uses it.
pub struct SmallDisk {
    place: PathBuf,
}

impl SmallDisk {
    /// Mounts over an empty directory; none where that is not allowed, and it is said.
    #[track_caller]
    pub fn over(place: &Path, megabytes: u32) -> Option<Self> {
        let options = format!("size={megabytes}m,mode=0700");
        match mount(Some("tmpfs"), place, Some("tmpfs"), MsFlags::MS_NOSUID, Some(options.as_str())) {
            Ok(()) => Some(Self { place: place.to_owned() }),
            Err(errno) => {
                require::skip(&format!("no small file system can be mounted ({errno})"));
                None
            }
        }
    }

    /// Fills it until not a byte fits.
    pub fn fill(&self) -> Result<()> {
        let mut filler = File::options().create(true).append(true).open(self.place.join(FILLER))?;
        filler.set_permissions(fs::Permissions::from_mode(0o600))?;
        for size in [1 << 20, 1 << 12, 1] {
            let block = vec![1; size];
            loop {
                match filler.write_all(&block) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => return Err(error).context("filling the disk"),
                }
            }
        }
        Ok(())
    }

    /// Makes room again.
    pub fn clear(&self) -> Result<()> {
        fs::remove_file(self.place.join(FILLER)).context("making room")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Nothing else could be done about it, and the test says enough.
        let _ = umount2(&self.place, MntFlags::MNT_DETACH);
    }
}
