//! Which folder may be read as an installation. What lies in one decides where tokens go, which programs run and who may ask for what, so it
//! is not enough that somebody stands in it: a clone of a stranger's repository may hold a `borg.toml`, too.
//!
//! Two folders count: one that this user has registered (by `borg-host init`, see [`Registry`]), and the one whose settings file was named on
//! the command line. Neither counts where others can write: what they put there would decide. Content is no part of it, so that settings and
//! policy are edited as before. Nothing is looked for in folders above.

mod kept;
mod registry;

pub use registry::Registry;

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Name of the settings file.
pub const SETTINGS: &str = "borg.toml";
/// Name of the file with variables.
pub const DOTENV: &str = ".env";
/// What makes a folder look like an installation.
const PARTS: [&str; 5] = [SETTINGS, DOTENV, "policies", "plugins", "data"];

/// Why a folder is not read.
#[derive(Debug, thiserror::Error)]
pub enum InstallationError {
    #[error("{folder} is not registered as an installation of yours{}; nothing was read of it", lying(.lies))]
    Unregistered {
        folder: PathBuf,
        /// What lies there that an installation has.
        lies: Vec<&'static str>,
    },
    #[error(
        "another folder was registered at {folder} than the one that is there now: it was moved, copied, put back or made anew; nothing was read of it{}",
        lying(.lies)
    )]
    Another { folder: PathBuf, lies: Vec<&'static str> },
    #[error("{path} {why}, and what stands in it decides what this host does; nothing was taken from it")]
    Open { path: PathBuf, why: String, remedy: String },
    #[error("{0} has no {SETTINGS} beside it; it is never read without")]
    Alone(PathBuf),
    #[error("nobody can say where your installations are registered: HOME is not set, and user {0} has no home")]
    Homeless(u32),
    #[error("{path} cannot be read: check that it exists and that you may read it")]
    Settings { path: PathBuf, source: io::Error },
    #[error("{path} cannot be used: {source}")]
    Io { path: PathBuf, source: io::Error },
    #[error("{path} is damaged: {reason}")]
    Damaged { path: PathBuf, reason: String },
}

fn lying(lies: &[&str]) -> String {
    match lies {
        [] => String::new(),
        [one] => format!(" ({one} lies there)"),
        several => format!(" ({} lie there)", several.join(", ")),
    }
}

impl InstallationError {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            InstallationError::Unregistered { lies, .. } if lies.is_empty() => {
                "`borg-host init` makes an installation here; or go to the folder of yours, or name its settings with `--config FILE`".into()
            }
            InstallationError::Unregistered { .. } | InstallationError::Another { .. } => {
                "if it is yours, run `borg-host init` in it once: it shows what they set, and registers the folder when you agree; or name \
                 the settings you trust with `--config FILE`"
                    .into()
            }
            InstallationError::Open { remedy, .. } => remedy.clone(),
            InstallationError::Alone(_) => {
                format!("`borg-host init` writes {SETTINGS}; or take {DOTENV} away")
            }
            InstallationError::Homeless(_) => "set HOME or XDG_STATE_HOME; or name the settings with `--config FILE`".into(),
            InstallationError::Settings { .. } => {
                "`borg-host init` writes one; or name another with `--config FILE`".into()
            }
            InstallationError::Io { .. } => "check that it is there, and that you may read and write it".into(),
            InstallationError::Damaged { path, .. } => {
                format!("`rm {}`, then run `borg-host init` once in each folder of yours", path.display())
            }
        }
    }
}

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
        if lies(&root, DOTENV) && !settings.exists() {
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

/// What lies in a folder that an installation has, by name; nothing of it is opened.
pub fn parts(folder: &Path) -> Vec<&'static str> {
    PARTS.into_iter().filter(|name| lies(folder, name)).collect()
}

/// True for whatever has that name, a link to nowhere too.
fn lies(folder: &Path, name: &str) -> bool {
    folder.join(name).symlink_metadata().is_ok()
}

fn real(folder: &Path) -> Result<PathBuf, InstallationError> {
    folder.canonicalize().map_err(|source| InstallationError::Io { path: folder.to_owned(), source })
}

#[cfg(test)]
mod tests;
