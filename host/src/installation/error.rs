//! Why a folder is not read, and what lies in one that looks like an installation.

use std::{
    io,
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

fn lying(lies: &[&str]) -> String {
    match lies {
        [] => String::new(),
        [one] => format!(" ({one} lies there)"),
        several => format!(" ({} lie there)", several.join(", ")),
    }
}

/// What lies in a folder that an installation has, by name; nothing of it is opened.
pub fn parts(folder: &Path) -> Vec<&'static str> {
    PARTS.into_iter().filter(|name| lies(folder, name)).collect()
}

/// True for whatever has that name, a link to nowhere too.
pub(super) fn lies(folder: &Path, name: &str) -> bool {
    folder.join(name).symlink_metadata().is_ok()
}
