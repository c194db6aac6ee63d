//! Files of the agent's home, written before it starts. The home is fresh, or holds only what an earlier session of the same chat left.

use crate::error::Error;
use borg_init::{HOME, HomeFile};
use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Component, Path},
};

/// Writes `files` below [`HOME`], readable by the agent's user only. Never follows a link at the file itself.
pub fn write(files: &[HomeFile]) -> Result<(), Error> {
    for file in files {
        let path = Path::new(&file.path);
        if file.path.is_empty() || !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(Error::Job(format!(
                "home file `{}` must be a relative path without `..`",
                file.path.escape_debug()
            )));
        }
        let place = Path::new(HOME).join(path);
        let failed = || format!("write home file `{}`", file.path.escape_debug());
        if let Some(parent) = place.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(Error::io(failed()))?;
        }
        fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(if file.executable { 0o700 } else { 0o600 })
            .custom_flags(libc::O_NOFOLLOW)
            .open(&place)
            .and_then(|mut opened| opened.write_all(file.text.as_bytes()))
            .map_err(Error::io(failed()))?;
    }
    Ok(())
}
