//! What is installed: found, held against the digest of what was unpacked, and against what policy says may run.

use super::{
    bundle::{Bundle, RECORD, Record, digest, home},
    unpack,
};
use borg_core::{
    bundle::{Package, Recipe, spell_pin},
    id::Digest,
};
use borg_plugins::Brought;
use sha2::{Digest as _, Sha256};
use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The installed bundles of a data directory; cheap to clone. The programs of one are read whole once, and again when something about
/// them has changed: they are hundreds of megabytes.
#[derive(Clone)]
pub struct Agents {
    data_dir: PathBuf,
    /// By folder of a bundle: names, sizes and times of its files, and what their contents come to.
    read: Arc<Mutex<HashMap<PathBuf, (Digest, Digest)>>>,
}

/// Why an executor gets no bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the agent of {executor} is not installed")]
    NotInstalled { executor: String },
    #[error("policy does not say which bundle {executor} may run with; {}", here(.found))]
    Unpinned { executor: String, found: Vec<Bundle> },
    #[error("policy pins the bundle of {executor} to {}, which is not installed; {}", spell_pin(.pin), here(.found))]
    Another { executor: String, pin: Digest, found: Vec<Bundle> },
    #[error("what lies in {dir} is not what was installed: {why}")]
    Changed { executor: String, dir: PathBuf, why: String },
}

fn here(found: &[Bundle]) -> String {
    let told = |bundle: &Bundle| format!("{} ({})", bundle.version, spell_pin(&bundle.digest));
    match found {
        [] => "nothing is".to_owned(),
        some => format!("here is {}", some.iter().map(told).collect::<Vec<_>>().join(", ")),
    }
}

impl Refusal {
    /// What to do about it.
    pub fn remedy(&self) -> String {
        match self {
            Refusal::NotInstalled { executor } => format!("`borg-host agent install {executor}`"),
            Refusal::Unpinned { executor, .. } => format!(
                "if it is the one you want, `borg-host agent install {executor}` writes the line into [executor.{executor}]"
            ),
            Refusal::Another { executor, .. } => format!(
                "`borg-host agent install {executor}` installs the one it brings and pins that; or put the pinned one back into the data directory"
            ),
            Refusal::Changed { executor, .. } => format!(
                "`borg-host agent install {executor}` installs it anew; if nobody of yours changed it, look at this machine first"
            ),
        }
    }
}

impl Agents {
    pub fn new(data_dir: &Path) -> Agents {
        Agents { data_dir: data_dir.to_owned(), read: Arc::default() }
    }

    /// The bundle that may be mounted for an executor under policy: the one pinned there, else the one that its folder brings, where that
    /// came with the program. Its programs are what was installed.
    ///
    /// # Errors
    /// When there is none: nothing is installed, policy pins another, says nothing of what a third person's folder brings, or something in it
    /// was changed, came or went.
    pub async fn permitted(
        &self,
        executor: &str,
        pin: Option<Digest>,
        brought: Option<&Brought>,
    ) -> Result<Bundle, Refusal> {
        let name = || executor.to_owned();
        let found = self.all(executor);
        let fits = |bundle: &Bundle, record: &Record| {
            brought.is_some_and(|brought| brought.is_shipped && is_of(&brought.recipe, record, bundle))
        };
        let chosen = match pin {
            Some(pin) => found.iter().find(|(bundle, _)| bundle.digest == pin),
            None => found.iter().find(|(bundle, record)| fits(bundle, record)),
        };
        let Some(bundle) = chosen.map(|(bundle, _)| bundle.clone()) else {
            let found: Vec<Bundle> = found.into_iter().map(|(bundle, _)| bundle).collect();
            let is_shipped = brought.is_some_and(|brought| brought.is_shipped);
            return Err(match pin {
                Some(pin) => Refusal::Another { executor: name(), pin, found },
                None if !is_shipped && !found.is_empty() => Refusal::Unpinned { executor: name(), found },
                None => Refusal::NotInstalled { executor: name() },
            });
        };
        match self.contents(&bundle.dir).await {
            Ok(digest) if digest == bundle.digest => Ok(bundle),
            Ok(digest) => {
                let why = format!("its programs are {}, not {}", spell_pin(&digest), spell_pin(&bundle.digest));
                Err(Refusal::Changed { executor: name(), dir: bundle.dir, why })
            }
            Err(why) => Err(Refusal::Changed { executor: name(), dir: bundle.dir, why }),
        }
    }

    /// The installed bundle of a recipe and package, if it is what was unpacked.
    pub(super) async fn whole(&self, executor: &str, recipe: &Recipe, package: &Package) -> Option<Bundle> {
        let (bundle, record) = read(executor, &home(&self.data_dir, executor).join(&recipe.version))?;
        let is_it = record.integrity == package.integrity.as_str() && is_of(recipe, &record, &bundle);
        (is_it && self.contents(&bundle.dir).await == Ok(bundle.digest)).then_some(bundle)
    }

    /// All that are installed for an executor, in the order of their folders.
    fn all(&self, executor: &str) -> Vec<(Bundle, Record)> {
        let versions = fs::read_dir(home(&self.data_dir, executor)).into_iter().flatten().flatten();
        let mut versions: Vec<PathBuf> = versions.map(|entry| entry.path()).collect();
        versions.sort();
        versions.iter().filter_map(|dir| read(executor, dir)).collect()
    }

    /// SHA-256 over paths and contents of all files of a bundle but its record; the error says what should not be there.
    async fn contents(&self, dir: &Path) -> Result<Digest, String> {
        let (agents, dir) = (self.clone(), dir.to_owned());
        let read = tokio::task::spawn_blocking(move || {
            let files = files(&dir)?;
            let stamp = Digest::of_parts(files.iter().map(|file| file.stamp.as_bytes()));
            let known = |read: &HashMap<PathBuf, (Digest, Digest)>| {
                read.get(&dir).filter(|(of, _)| *of == stamp).map(|(_, digest)| *digest)
            };
            let earlier = known(&agents.read.lock().unwrap_or_else(PoisonError::into_inner));
            if let Some(digest) = earlier {
                return Ok(digest);
            }
            let hashes = files.iter().map(|file| hash(&dir.join(&file.path))).collect::<io::Result<Vec<_>>>();
            let hashes = hashes.map_err(|error| format!("it cannot be read: {error}"))?;
            let digest = digest(files.iter().map(|file| file.path.as_str()).zip(hashes));
            agents.read.lock().unwrap_or_else(PoisonError::into_inner).insert(dir, (stamp, digest));
            Ok(digest)
        });
        read.await.expect("reading a bundle does not panic")
    }
}

/// A bundle by its record; none where there is no whole one.
fn read(executor: &str, dir: &Path) -> Option<(Bundle, Record)> {
    let record: Record = serde_json::from_slice(&fs::read(dir.join(RECORD)).ok()?).ok()?;
    let (version, digest) = (record.version.clone(), record.digest);
    Some((Bundle { executor: executor.to_owned(), version, dir: dir.to_owned(), digest }, record))
}

/// True where a bundle was made by a recipe, from one of its packages.
fn is_of(recipe: &Recipe, record: &Record, bundle: &Bundle) -> bool {
    record.version == recipe.version
        && recipe.packages.iter().any(|package| package.integrity.as_str() == record.integrity)
        && recipe.programs.iter().all(|program| bundle.dir.join(&program.to).is_file())
}

/// A file of a bundle.
struct Program {
    /// Below the bundle.
    path: String,
    /// What changes when it does.
    stamp: String,
}

/// The files of a bundle but its record, in the order of their paths. Whatever else lies there would be mounted, too.
fn files(dir: &Path) -> Result<Vec<Program>, String> {
    fn below(folder: &Path, prefix: &str, found: &mut Vec<Program>) -> Result<(), String> {
        let unreadable = |error: io::Error| format!("it cannot be read: {error}");
        for entry in fs::read_dir(folder).map_err(unreadable)? {
            let entry = entry.map_err(unreadable)?;
            let name = entry.file_name();
            let path = format!("{prefix}{}", name.to_str().ok_or("it holds a file whose name is no text")?);
            let kind = entry.metadata().map_err(unreadable)?;
            if kind.is_dir() {
                below(&entry.path(), &format!("{path}/"), found)?;
            } else if !kind.is_file() {
                return Err(format!("`{path}` is no plain file"));
            } else if path != RECORD {
                let times = (kind.mtime(), kind.mtime_nsec(), kind.ctime(), kind.ctime_nsec());
                let stamp = format!("{path} {} {} {times:?}", kind.len(), kind.ino());
                found.push(Program { path, stamp });
            }
        }
        Ok(())
    }
    let mut found = Vec::new();
    below(dir, "", &mut found)?;
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

fn hash(path: &Path) -> io::Result<[u8; 32]> {
    let mut hasher = Sha256::new();
    unpack::blocks(&mut fs::File::open(path)?, |block| {
        hasher.update(block);
        Ok(())
    })?;
    Ok(hasher.finalize().into())
}
