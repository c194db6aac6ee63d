//! Secrets: found where policy says, read when asked for, kept in memory only. They go to the gateway and nowhere else.

use crate::environment::Environment;
use borg_core::policy::{Policy, SecretSource};
use borg_gateway::{BoxFuture, Credential, Secret, SecretError, Secrets};
use serde::Deserialize;
use std::{
    borrow::Cow,
    collections::BTreeMap,
    fs,
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
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
    environment: Environment,
    sources: RwLock<BTreeMap<String, SecretSource>>,
}

impl SecretStore {
    pub fn new(data_dir: &Path, home: Option<PathBuf>, environment: Environment, policy: &Policy) -> Self {
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
                Some(value) if !value.trim().is_empty() => Ok(plain(value.trim())),
                Some(_) | None => Err(unreadable(format!("the variable {variable} is not set"))),
            },
            SecretSource::File(path) => Ok(plain(read_file(Path::new(&path)).map_err(unreadable)?.trim())),
            SecretSource::Stored(stored) => {
                let path = stored_path(&self.data_dir, &stored).map_err(|error| unreadable(error.to_string()))?;
                if !path.exists() {
                    let remedy = format!("`borg-host secret set {stored}` does that");
                    return Err(unreadable(format!("nothing is stored as {stored}; {remedy}")));
                }
                Ok(plain(read_file(&path).map_err(unreadable)?.trim()))
            }
            SecretSource::ClaudeCredentials { path } => {
                let path = match (path, &self.home) {
                    (Some(path), _) => PathBuf::from(path),
                    (None, Some(home)) => home.join(".claude/.credentials.json"),
                    (None, None) => return Err(unreadable("HOME is not set".into())),
                };
                let text = read_file(&path).map_err(unreadable)?;
                let token = serde_json::from_str::<ClaudeCredentials>(&text)
                    .map(|found| found.oauth.access_token.into_owned())
                    .ok()
                    .filter(|token| !token.is_empty());
                let token = token.ok_or_else(|| {
                    unreadable(format!("{} holds no access token; log in with `claude`", path.display()))
                })?;
                Ok(Credential::OAuth(Secret::new(token)))
            }
        }
    }
}

/// What is read of Claude Code's credentials file; its other tokens are not even copied.
#[derive(Deserialize)]
struct ClaudeCredentials<'a> {
    #[serde(borrow, rename = "claudeAiOauth")]
    oauth: ClaudeOauth<'a>,
}

#[derive(Deserialize)]
struct ClaudeOauth<'a> {
    #[serde(borrow, rename = "accessToken")]
    access_token: Cow<'a, str>,
}

/// A secret as somebody wrote it down. Whether it is a key or a token is told by its provider.
fn plain(text: &str) -> Credential {
    Credential::Plain(Secret::new(text.to_owned()))
}

/// Reads a file that holds one secret: a regular one, so that nothing here waits for whoever writes a pipe.
fn read_file(path: &Path) -> Result<Zeroizing<String>, String> {
    let fail = |error: io::Error| format!("{}: {error}", path.display());
    let file = fs::File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path).map_err(fail)?;
    let found = file.metadata().map_err(fail)?;
    if !found.is_file() {
        return Err(format!("{} is no file", path.display()));
    }
    if found.len() > LIMIT {
        return Err(format!("{} is larger than {LIMIT} bytes", path.display()));
    }
    // As large as it gets: a string that grows leaves copies behind.
    let mut text = Zeroizing::new(String::with_capacity(LIMIT as usize));
    file.take(LIMIT).read_to_string(&mut text).map_err(fail)?;
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

fn stored_path(data_dir: &Path, name: &str) -> io::Result<PathBuf> {
    if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "a name of a secret is letters, digits, `-` and `_`"));
    }
    Ok(data_dir.join("secrets").join(name))
}

/// A stored secret, for those that go elsewhere than to the gateway; none where nothing is stored under this name.
///
/// # Errors
/// In words, when it is there and cannot be read.
pub fn load(data_dir: &Path, name: &str) -> Result<Option<Zeroizing<String>>, String> {
    let path = stored_path(data_dir, name).map_err(|error| error.to_string())?;
    if !path.exists() {
        return Ok(None);
    }
    Ok(Some(Zeroizing::new(read_file(&path)?.trim().to_owned())))
}

/// Keeps a secret below the data directory, readable by this user only; replaces an older value whole. Durable when this returns.
pub fn store(data_dir: &Path, name: &str, value: &str) -> io::Result<()> {
    let path = stored_path(data_dir, name)?;
    let dir = data_dir.join("secrets");
    if !dir.exists() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&dir)?;
    }
    fs::set_permissions(&dir, fs::Permissions::from_mode(0o700))?;
    // A new file each time: what an earlier try left may have been opened by somebody, or be open to all.
    let fresh = dir.join(format!(".{name}.new"));
    match fs::remove_file(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::File::options().write(true).create_new(true).mode(0o600).open(&fresh)?;
    file.write_all(value.trim().as_bytes())?;
    file.sync_all()?;
    fs::rename(fresh, path)?;
    fs::File::open(dir)?.sync_all()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{policies, settings::Defaults};

    struct Fixture {
        dir: tempfile::TempDir,
        policy: Policy,
    }

    impl Fixture {
        fn new() -> Self {
            let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../policies");
            let policy = policies::load(&shipped, &Defaults::default()).unwrap().0;
            Fixture { dir: tempfile::tempdir().unwrap(), policy }
        }

        fn path(&self, name: &str) -> PathBuf {
            self.dir.path().join(name)
        }

        /// A store whose one secret, `it`, comes from there.
        fn store(&self, source: SecretSource) -> SecretStore {
            let policy = Policy { secrets: [("it".to_owned(), source)].into(), ..self.policy.clone() };
            let environment = [("KEY", " key-env "), ("BLANK", " ")];
            let environment = environment.map(|(name, value)| (name.to_owned(), Zeroizing::new(value.to_owned())));
            SecretStore::new(self.dir.path(), Some(self.dir.path().to_owned()), environment.into(), &policy)
        }
    }

    /// Whether it is known to be a token by where it was found, and its text.
    fn read(found: Result<Credential, SecretError>) -> (bool, String) {
        match found.unwrap() {
            Credential::Plain(secret) => (false, secret.expose().to_owned()),
            Credential::OAuth(secret) => (true, secret.expose().to_owned()),
        }
    }

    fn why(found: Result<Credential, SecretError>) -> String {
        found.unwrap_err().to_string()
    }

    #[test]
    fn every_kind_of_source() {
        let fixture = Fixture::new();
        let env = |name: &str| fixture.store(SecretSource::Env(name.into()));
        assert_eq!(read(env("KEY").read("it")), (false, "key-env".into()));
        for missing in ["BLANK", "NONE"] {
            assert!(why(env(missing).read("it")).contains(&format!("{missing} is not set")));
        }
        assert!(matches!(env("KEY").read("other"), Err(SecretError::Unknown(_))));

        let path = fixture.path("key");
        let file = fixture.store(SecretSource::File(path.display().to_string()));
        assert!(why(file.read("it")).contains("No such file"));
        fs::write(&path, "token-file\n").unwrap();
        assert_eq!(read(file.read("it")), (false, "token-file".into()));

        let stored = fixture.store(SecretSource::Stored("claude".into()));
        assert!(why(stored.read("it")).contains("`borg-host secret set claude`"));
        store(fixture.dir.path(), "claude", " key-stored\n").unwrap();
        assert_eq!(read(stored.read("it")), (false, "key-stored".into()));

        let usual = fixture.path(".claude/.credentials.json");
        let claude = fixture.store(SecretSource::ClaudeCredentials { path: None });
        fs::create_dir(usual.parent().unwrap()).unwrap();
        fs::write(&usual, r#"{"claudeAiOauth":{"accessToken":"token-a\u002db","refreshToken":"r","expiresAt":1}}"#)
            .unwrap();
        assert_eq!(read(claude.read("it")), (true, "token-a-b".into()));
        let other = fixture.path("other.json");
        let named = fixture.store(SecretSource::ClaudeCredentials { path: Some(other.display().to_string()) });
        for broken in [
            "{}",
            "not json token-hush",
            r#"{"claudeAiOauth":{"accessToken":""}}"#,
            r#"{"claudeAiOauth":{"accessToken":7}}"#,
        ] {
            fs::write(&other, broken).unwrap();
            let why = why(named.read("it"));
            assert!(why.contains("log in with `claude`") && !why.contains("hush"), "{why}");
        }
    }

    #[test]
    fn a_changed_file_and_a_changed_policy_are_seen_at_once() {
        let fixture = Fixture::new();
        store(fixture.dir.path(), "claude", "one").unwrap();
        let secrets = fixture.store(SecretSource::Stored("claude".into()));
        assert_eq!(read(secrets.read("it")).1, "one");
        store(fixture.dir.path(), "claude", "two").unwrap();
        assert_eq!(read(secrets.read("it")).1, "two");
        secrets.follow(&Policy { secrets: BTreeMap::new(), ..fixture.policy.clone() });
        assert!(matches!(secrets.read("it"), Err(SecretError::Unknown(_))));
    }

    #[test]
    fn what_is_no_small_file_is_refused_and_nothing_waits_for_it() {
        let fixture = Fixture::new();
        let path = fixture.path("key");
        let secrets = fixture.store(SecretSource::File(path.display().to_string()));
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(why(secrets.read("it")).contains("no file"));
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(why(secrets.read("it")).contains("no file"));
        fs::remove_dir(&path).unwrap();
        fs::write(&path, vec![b'k'; LIMIT as usize + 1]).unwrap();
        assert!(why(secrets.read("it")).contains("larger than"), "and not cut");
        fs::write(&path, b"hush\xff").unwrap();
        assert!(!why(secrets.read("it")).contains("hush"));
    }

    #[test]
    fn stored_secrets_are_this_users_only_whatever_lay_there() {
        let fixture = Fixture::new();
        let dir = fixture.path("secrets");
        fs::create_dir(&dir).unwrap();
        for path in [dir.clone(), dir.join(".claude.new"), dir.join("claude")] {
            if path != dir {
                fs::write(&path, "old").unwrap();
            }
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        }
        store(fixture.dir.path(), "claude", "new").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&dir), mode(&dir.join("claude"))), (0o700, 0o600));
        assert_eq!(stored(fixture.dir.path()), ["claude"]);
        assert_eq!(fs::read_dir(&dir).unwrap().count(), 1);
    }

    #[test]
    fn a_name_is_never_a_path() {
        let fixture = Fixture::new();
        for name in ["", ".", "..", "../escape", "a/b", "/etc/passwd", "a.b", "a b", "a\0"] {
            assert_eq!(store(fixture.dir.path(), name, "x").unwrap_err().kind(), io::ErrorKind::InvalidInput, "{name}");
            fs::write(fixture.path("escape"), "hush").unwrap();
            assert!(!why(fixture.store(SecretSource::Stored(name.into())).read("it")).contains("hush"));
        }
        assert!(stored(fixture.dir.path()).is_empty());
    }

    #[tokio::test]
    async fn nothing_that_can_be_printed_holds_the_secret() {
        let fixture = Fixture::new();
        store(fixture.dir.path(), "claude", "key-hush").unwrap();
        let secrets = fixture.store(SecretSource::Stored("claude".into()));
        assert!(!format!("{:?}", secrets.get("it").await).contains("hush"));
        secrets.rejected("it").await;
        assert_eq!(read(secrets.get("it").await).1, "key-hush");
    }
}
