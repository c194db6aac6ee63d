//! Agent bundles: the programs of coding agents, kept in the data directory and mounted read-only at `/opt/agent`.
//!
//! Each bundle is pinned by version and by the integrity its publisher gave the package; nothing is unpacked before that is verified.
//! Bundles lie in `DATA_DIR/agents/NAME/VERSION/`, programs below `bin/`. Who mounts them is `sandbox/`; which executor needs which is the
//! executor's own `describe`.

mod npm;
mod unpack;

pub use npm::Npm;

use borg_core::id::Digest;
use serde::{Deserialize, Serialize};
use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// One package of a pinned agent for one kind of machine.
struct Package {
    /// As `std::env::consts::ARCH` names it.
    arch: &'static str,
    /// Name on the npm registry.
    name: &'static str,
    /// Subresource integrity of the tarball, as the registry states it: `sha512-` and base64.
    integrity: &'static str,
}

/// An agent this version of the host knows how to install.
struct Pinned {
    name: &'static str,
    version: &'static str,
    packages: &'static [Package],
    /// Path in the tarball and path in the bundle; all are executable.
    programs: &'static [(&'static str, &'static str)],
}

const PINNED: &[Pinned] = &[Pinned {
    name: "claude-code",
    version: "2.1.197",
    packages: &[
        Package {
            arch: "x86_64",
            name: "@anthropic-ai/claude-code-linux-x64",
            integrity: "sha512-rIlKmrY0QMyHgPRX/MYWNj039vbypICvI9jVe3rs9Xy2RnNklySjyPxqh62QadznzoftEO23uYQ1tFePcQ//bg==",
        },
        Package {
            arch: "aarch64",
            name: "@anthropic-ai/claude-code-linux-arm64",
            integrity: "sha512-sx6SoGj3MNR5CV+YDkNtbLHXa1tn3G8qcYFgm1gnvOi9ODQUKbhiPfankJfkTMDVekOvnKJhm6i9hGFIPzp7cQ==",
        },
    ],
    programs: &[("package/claude", "bin/claude")],
}];

/// Where a bundle's tarball comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The operator's own npm client, with the operator's own configuration.
    Npm(Npm),
    /// A tarball that is already here.
    File(PathBuf),
}

/// An installed agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bundle {
    pub name: String,
    pub version: String,
    /// Directory to mount at `/opt/agent`.
    pub dir: PathBuf,
    /// SHA-256 over paths and contents of its programs.
    pub digest: Digest,
}

/// Why an agent could not be installed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no agent is called `{name}`; known: {known}")]
    Unknown { name: String, known: String },
    #[error("{agent} is not published for {arch} machines")]
    NoPackage { agent: &'static str, arch: &'static str },
    #[error("{path} is not {package} {version}: its integrity is {found}, expected {expected}")]
    Integrity { path: PathBuf, package: &'static str, version: &'static str, found: String, expected: &'static str },
    #[error("the package is not as expected: {0}")]
    Package(String),
    #[error(
        "npm could not fetch {package}: {why}; try `npm pack {package}` yourself and pass the file with `--from FILE.tgz`"
    )]
    Npm { package: String, why: String },
    #[error("cannot {doing} `{path}`")]
    Io { doing: &'static str, path: PathBuf, source: io::Error },
}

/// What is written beside an unpacked bundle, so that `installed` need not hash 200 MB at every start.
#[derive(Serialize, Deserialize)]
struct Record {
    version: String,
    integrity: String,
    digest: Digest,
}

const RECORD: &str = "bundle.json";

/// Names of the agents that can be installed, with their pinned version.
pub fn known() -> impl Iterator<Item = (&'static str, &'static str)> {
    PINNED.iter().map(|agent| (agent.name, agent.version))
}

/// The installed bundle of this name in its pinned version, if there is one.
pub fn installed(name: &str, data_dir: &Path) -> Option<Bundle> {
    let agent = PINNED.iter().find(|agent| agent.name == name)?;
    let dir = place(agent, data_dir);
    let record: Record = serde_json::from_slice(&fs::read(dir.join(RECORD)).ok()?).ok()?;
    let whole = record.version == agent.version && agent.programs.iter().all(|(_, to)| dir.join(to).is_file());
    whole.then(|| Bundle { name: agent.name.to_owned(), version: record.version, dir, digest: record.digest })
}

/// Installs the pinned version of an agent and returns its bundle; does nothing when it is already there.
///
/// The bundle appears whole or not at all: it is unpacked beside its place and renamed. `progress` gets one line per step.
pub async fn install(
    name: &str,
    source: Source,
    data_dir: &Path,
    mut progress: impl FnMut(&str),
) -> Result<Bundle, Error> {
    let agent = PINNED.iter().find(|agent| agent.name == name).ok_or_else(|| {
        let known: Vec<_> = PINNED.iter().map(|agent| agent.name).collect();
        Error::Unknown { name: name.to_owned(), known: known.join(", ") }
    })?;
    let arch = std::env::consts::ARCH;
    let package = agent
        .packages
        .iter()
        .find(|package| package.arch == arch)
        .ok_or(Error::NoPackage { agent: agent.name, arch })?;
    if let Some(bundle) = installed(name, data_dir) {
        progress(&format!("{} {} is already installed", agent.name, agent.version));
        return Ok(bundle);
    }
    let home = data_dir.join("agents").join(agent.name);
    create_dir_all(&home)?;
    // Lives until the end of this function: holds the fetched tarball and is where the bundle is unpacked.
    let staging = tempfile::Builder::new().prefix(".new-").tempdir_in(&home).map_err(|source| Error::Io {
        doing: "create a directory in",
        path: home.clone(),
        source,
    })?;
    let tarball = match source {
        Source::File(path) => path,
        Source::Npm(npm) => {
            let spec = format!("{}@{}", package.name, agent.version);
            progress(&format!("fetching {spec} with npm"));
            npm.pack(&spec, staging.path()).await?
        }
    };
    progress("verifying the package's integrity");
    let bundle = staging.path().join("bundle");
    let target = place(agent, data_dir);
    let work = Work { agent, package, tarball, bundle, target };
    let digest = tokio::task::spawn_blocking(move || work.unpack()).await.expect("unpacking does not panic")?;
    progress(&format!("installed {} {}", agent.name, agent.version));
    Ok(Bundle { name: agent.name.to_owned(), version: agent.version.to_owned(), dir: place(agent, data_dir), digest })
}

/// The blocking half of an installation.
struct Work {
    agent: &'static Pinned,
    package: &'static Package,
    tarball: PathBuf,
    bundle: PathBuf,
    target: PathBuf,
}

impl Work {
    fn unpack(self) -> Result<Digest, Error> {
        let Work { agent, package, tarball, bundle, target } = self;
        let mut file =
            fs::File::open(&tarball).map_err(|source| Error::Io { doing: "open", path: tarball.clone(), source })?;
        let found = unpack::integrity(&mut file).map_err(|source| Error::Io {
            doing: "read",
            path: tarball.clone(),
            source,
        })?;
        if found != package.integrity {
            let (package, expected) = (package.name, package.integrity);
            return Err(Error::Integrity { path: tarball, package, version: agent.version, found, expected });
        }
        // The same open file is read again, so nobody can swap it between the check and the use.
        let digest = unpack::unpack(&mut file, agent.programs, &bundle)?;
        let record = Record { version: agent.version.to_owned(), integrity: found, digest };
        let text = serde_json::to_vec_pretty(&record).expect("a record of strings serialises");
        unpack::write(&bundle.join(RECORD), 0o644, &mut text.as_slice())?;
        unpack::open_to_all(&bundle)?;
        if target.exists() {
            // A bundle that `installed` did not accept: an interrupted or damaged one.
            fs::remove_dir_all(&target).map_err(|source| Error::Io {
                doing: "remove the damaged",
                path: target.clone(),
                source,
            })?;
        }
        fs::rename(&bundle, &target).map_err(|source| Error::Io { doing: "create", path: target.clone(), source })?;
        Ok(digest)
    }
}

fn place(agent: &Pinned, data_dir: &Path) -> PathBuf {
    data_dir.join("agents").join(agent.name).join(agent.version)
}

fn create_dir_all(path: &Path) -> Result<(), Error> {
    fs::create_dir_all(path).map_err(|source| Error::Io { doing: "create", path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine as _, engine::general_purpose::STANDARD};

    #[test]
    fn every_pin_is_a_sha512() {
        for package in PINNED.iter().flat_map(|agent| agent.packages) {
            let digest = package.integrity.strip_prefix("sha512-").expect("npm states sha512");
            assert_eq!(STANDARD.decode(digest).unwrap().len(), 64, "{}", package.name);
        }
    }

    #[tokio::test]
    async fn a_stranger_s_tarball_is_refused_and_leaves_nothing() {
        let data = tempfile::tempdir().unwrap();
        let file = data.path().join("evil.tgz");
        fs::write(&file, b"not the agent").unwrap();
        let answer = install("claude-code", Source::File(file), data.path(), |_| ()).await;
        assert!(matches!(answer, Err(Error::Integrity { .. })), "{answer:?}");
        assert_eq!(installed("claude-code", data.path()), None);
        assert_eq!(fs::read_dir(data.path().join("agents/claude-code")).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn unknown_agents_are_named() {
        let data = tempfile::tempdir().unwrap();
        let answer = install("claud", Source::File("x".into()), data.path(), |_| ()).await;
        assert_eq!(answer.unwrap_err().to_string(), "no agent is called `claud`; known: claude-code");
    }
}
