//! What the files of a folder would set, for whoever is asked whether to trust it. Nothing of it takes effect.

use super::{Defaults, KNOWN, Settings, SettingsError, Shown, by_kind};
use crate::{
    environment::Environment,
    installation::{DOTENV, SETTINGS},
};
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
};

/// Variables that are no settings of ours and no secrets, but change where things go.
const TELLING: [&str; 12] = [
    "DOCKER_HOST",
    "HOME",
    "PATH",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "ALL_PROXY",
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "TMPDIR",
];

/// What `borg.toml` and `.env` of a folder say.
pub struct Preview {
    /// Settings that one of them sets, secrets masked; where both do, what would win.
    pub settings: Vec<Shown>,
    /// Other variables of `.env`, by name. Values only where they can be no secret.
    pub variables: Vec<(String, Option<String>)>,
    pub defaults: Defaults,
    pub policies: PathBuf,
    pub data: PathBuf,
    /// Folders of plugins besides those shipped with the program, with what is in them by kind.
    pub plugins: Vec<PathBuf>,
}

/// Each folder once, however often it is named.
fn plugins(settings: &Settings) -> Vec<PathBuf> {
    let mut seen = BTreeSet::new();
    let folders = settings.own_plugin_roots().into_iter().flat_map(|root| by_kind(&root));
    folders.filter(|folder| seen.insert(folder.canonicalize().unwrap_or_else(|_| folder.clone()))).collect()
}

impl Preview {
    /// Reads them; either may be absent.
    ///
    /// # Errors
    /// When one cannot be read or says what cannot be.
    pub fn of(folder: &Path) -> Result<Preview, SettingsError> {
        let mut settings = Settings::new(folder, Environment::new());
        let file = folder.join(SETTINGS);
        if file.exists() {
            settings.read_toml(&file)?;
        }
        settings.read_dotenv(&folder.join(DOTENV))?;
        let variable = |(name, value): (&String, &zeroize::Zeroizing<String>)| {
            (name.clone(), TELLING.contains(&name.as_str()).then(|| value.to_string()))
        };
        let is_other = |name: &str| KNOWN.iter().all(|known| known.variable != name);
        let variables = settings.environment.iter().filter(|(name, _)| is_other(name)).map(variable).collect();
        let set = settings.show().into_iter().filter(|shown| settings.values.contains_key(shown.name.as_str()));
        Ok(Preview {
            settings: set.collect(),
            variables,
            defaults: settings.defaults()?,
            policies: settings.policies(),
            data: settings.data_dir(),
            plugins: plugins(&settings),
        })
    }
}
