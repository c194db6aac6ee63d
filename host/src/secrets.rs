//! Secrets: found where policy says, read when asked for, kept in memory only. They go to the gateway and nowhere else.

use borg_core::policy::{Policy, SecretSource};
use borg_gateway::{BoxFuture, Credential, Secret, SecretError, Secrets};
use std::{
    collections::BTreeMap,
    fs, io,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};
use zeroize::Zeroizing;

/// Largest file a secret is read from, in bytes.
const LIMIT: u64 = 64 << 10;

/// Where the host's secrets are.
pub struct SecretStore {
    data_dir: PathBuf,
    home: Option<PathBuf>,
    /// Values of the environment the process was started with, by name: the environment itself is cleaned.
    environment: BTreeMap<String, Zeroizing<String>>,
    sources: RwLock<BTreeMap<String, SecretSource>>,
}

impl SecretStore {
    pub fn new(
        data_dir: &Path,
        home: Option<PathBuf>,
        environment: BTreeMap<String, Zeroizing<String>>,
        policy: &Policy,
    ) -> Self {
        SecretStore { data_dir: data_dir.to_owned(), home, environment, sources: RwLock::new(policy.secrets.clone()) }
    }

    /// Takes over what a new policy says about where secrets are.
    pub fn follow(&self, policy: &Policy) {
        *self.sources.write().unwrap_or_else(PoisonError::into_inner) = policy.secrets.clone();
    }

    fn read(&self, name: &str) -> Result<Credential, SecretError> {
        let source = self.sources.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let source = source.ok_or_else(|| SecretError::Unknown(name.to_owned()))?;
        let unreadable = |why: String| SecretError::Unreadable { name: name.to_owned(), why };
        match source {
            SecretSource::Env(variable) => match self.environment.get(&variable) {
                Some(value) if !value.trim().is_empty() => Ok(key(value.trim())),
                Some(_) | None => Err(unreadable(format!("the variable {variable} is not set"))),
            },
            SecretSource::File(path) => Ok(key(read_file(Path::new(&path)).map_err(unreadable)?.trim())),
            SecretSource::Stored(stored) => {
                let path = stored_path(&self.data_dir, &stored);
                Ok(key(read_file(&path).map_err(|_| unreadable(format!("nothing is stored as {stored}")))?.trim()))
            }
            SecretSource::ClaudeCredentials { path } => {
                let path = match (path, &self.home) {
                    (Some(path), _) => PathBuf::from(path),
                    (None, Some(home)) => home.join(".claude/.credentials.json"),
                    (None, None) => return Err(unreadable("HOME is not set".into())),
                };
                let text = read_file(&path).map_err(unreadable)?;
                let token = serde_json::from_str::<serde_json::Value>(&text)
                    .ok()
                    .and_then(|value| value["claudeAiOauth"]["accessToken"].as_str().map(str::to_owned))
                    .ok_or_else(|| {
                        unreadable(format!("{} holds no access token; log in with `claude`", path.display()))
                    })?;
                Ok(Credential::OAuth(Secret::new(token)))
            }
        }
    }
}

/// An OAuth token of Claude is told by its prefix; everything else is an API key.
fn key(text: &str) -> Credential {
    let secret = Secret::new(text.to_owned());
    if text.starts_with("sk-ant-oat") { Credential::OAuth(secret) } else { Credential::ApiKey(secret) }
}

fn read_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let fail = |error: io::Error| format!("{}: {error}", path.display());
    let file = fs::File::open(path).map_err(fail)?;
    let mut text = Zeroizing::new(String::new());
    io::Read::read_to_string(&mut io::Read::take(file, LIMIT), &mut text).map_err(fail)?;
    if text.trim().is_empty() { Err(format!("{} is empty", path.display())) } else { Ok(text) }
}

impl Secrets for SecretStore {
    fn get<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Result<Credential, SecretError>> {
        // Files this small are read in place; each request sees a changed file at once.
        Box::pin(async move { self.read(name) })
    }

    fn rejected<'a>(&'a self, name: &'a str) -> BoxFuture<'a, ()> {
        tracing::warn!(secret = name, "the provider refused this credential; it is read again");
        Box::pin(async {})
    }
}

fn stored_path(data_dir: &Path, name: &str) -> PathBuf {
    data_dir.join("secrets").join(name)
}

/// Keeps a secret below the data directory, readable by this user only; replaces an older value whole.
pub fn store(data_dir: &Path, name: &str, value: &str) -> io::Result<()> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name of a secret is letters, digits, `-` and `_`"));
    }
    let dir = data_dir.join("secrets");
    if !dir.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    }
    let fresh = dir.join(format!(".{name}.new"));
    let mut file = fs::File::options().write(true).create(true).truncate(true).mode(0o600).open(&fresh)?;
    file.write_all(value.trim().as_bytes())?;
    file.sync_all()?;
    fs::rename(fresh, stored_path(data_dir, name))
}

/// Names of stored secrets, sorted.
pub fn stored(data_dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(data_dir.join("secrets")).into_iter().flatten().flatten();
    let mut names: Vec<String> = entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| !name.starts_with('.'))
        .collect();
    names.sort();
    names
}
