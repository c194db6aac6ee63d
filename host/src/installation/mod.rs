//! Which folder may be read as an installation. What lies in one decides where tokens go, which programs run and who may ask for what, so it
//! is not enough that somebody stands in it: a clone of a stranger's repository may hold a `borg.toml`, too.
//!
//! Two folders count: one that this user has registered (by `borg-host init`, see [`Registry`]), and the one whose settings file was named on
//! the command line. Neither counts where others can write: what they put there would decide. Content is no part of it, so that settings and
//! policy are edited as before. Nothing is looked for in folders above.

mod error;
mod kept;
mod registry;

pub use error::{DOTENV, InstallationError, SETTINGS, parts};
pub use registry::Registry;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// A folder that may be read as an installation: settings, `.env`, policies, plugins and data.
#[derive(Clone, Debug)]
pub struct Installation {
    root: PathBuf,
    settings: PathBuf,
    standing: Standing,
}

/// Whose word it is that an installation may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Its folder is registered for this user.
    Registered,
    /// Its settings file was named on the command line.
    Named,
}

impl Installation {
    /// The one in a folder, if this user has registered it.
    ///
    /// # Errors
    /// When it is not registered, or others can write to it.
    pub fn registered(folder: &Path, registry: &Registry) -> Result<Installation, InstallationError> {
        let root = real(folder)?;
        registry.check(&root)?;
        Installation::at(root, SETTINGS.as_ref(), Standing::Registered)
    }

    /// The one whose settings file somebody named, trusting it and what lies beside it.
    ///
    /// # Errors
    /// When there is no such file, or others can write to it.
    pub fn named(file: &Path) -> Result<Installation, InstallationError> {
        let folder = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let named = file.file_name().unwrap_or_default();
        let missing = |source| InstallationError::Settings { path: file.to_owned(), source };
        if !fs::metadata(file).map_err(missing)?.is_file() {
            return Err(missing(io::Error::other("it is no file")));
        }
        Installation::at(real(folder)?, named.as_ref(), Standing::Named)
    }

    fn at(root: PathBuf, settings: &Path, standing: Standing) -> Result<Installation, InstallationError> {
        let settings = root.join(settings);
        kept::check(&settings, 0, Some(&root))?;
        is_kept(&root)?;
        if error::lies(&root, DOTENV) && !settings.exists() {
            return Err(InstallationError::Alone(root.join(DOTENV)));
        }
        Ok(Installation { root, settings, standing })
    }

    /// Its folder: canonical, and where relative paths of its settings start.
    pub fn root(&self) -> &Path {
        &self.root
    }

    pub fn standing(&self) -> Standing {
        self.standing
    }

    /// Its settings file, which need not be there where the folder was registered.
    pub fn settings(&self) -> &Path {
        &self.settings
    }
}

/// Refuses a folder that others can write to, or in which they can write to what decides.
///
/// # Errors
/// When they can, with what keeps them out.
pub fn is_kept(folder: &Path) -> Result<(), InstallationError> {
    for (part, depth) in [("", 0), (SETTINGS, 0), (DOTENV, 0), ("policies", 2), ("plugins", 3)] {
        kept::check(&folder.join(part), depth, Some(folder))?;
    }
    Ok(())
}

fn real(folder: &Path) -> Result<PathBuf, InstallationError> {
    folder.canonicalize().map_err(|source| InstallationError::Io { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests;
