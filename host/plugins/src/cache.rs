//! Components and their machine code, kept by digest in a folder of ours (0700), so that nothing is compiled twice and a task that is
//! under way keeps the component it began with when the plugin folder gets a newer one.
//!
//! ```text
//! <sha-256 of the component>/plugin.wasm  plugin.toml  <engine>-<sha-256 of the code>.code
//! ```
//! Machine code is believed only if it has the digest in its name: a file that was cut or damaged is compiled anew. Whoever can write
//! here is the host.

use crate::error::StartError;
use borg_core::id::Digest;
use std::{
    collections::BTreeSet,
    fs::{self, DirBuilder, File, OpenOptions, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use wasmtime::{Engine, component::Component};

/// The folder.
pub(crate) struct Cache {
    root: PathBuf,
    fingerprint: String,
}

/// An empty folder for one compilation, gone when dropped.
pub(crate) struct Workplace(PathBuf);

impl Workplace {
    /// Where the machine code is to be written.
    pub(crate) fn out(&self) -> PathBuf {
        self.0.join("code")
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        // Nothing depends on it: what is left is removed by the next `prune`.
        let _ = fs::remove_dir_all(&self.0);
    }
}

impl Cache {
    /// Opens the folder, making it if it is not there; one that others could have written to is refused.
    pub(crate) fn open(root: PathBuf, fingerprint: String) -> Result<Cache, StartError> {
        let failed = |source| StartError::Cache { path: root.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&root).map_err(failed)?;
        let found = fs::symlink_metadata(&root).map_err(failed)?;
        let ours = found.is_dir() && found.uid() == rustix::process::geteuid().as_raw();
        if !ours || found.mode() & 0o077 != 0 {
            return Err(StartError::CacheOpen { path: root });
        }
        Ok(Cache { root, fingerprint })
    }

    fn entry(&self, digest: &Digest) -> PathBuf {
        self.root.join(digest.to_string())
    }

    /// The component as it was when it was loaded.
    pub(crate) fn wasm(&self, digest: &Digest) -> PathBuf {
        self.entry(digest).join("plugin.wasm")
    }

    /// The manifest it was last loaded with.
    pub(crate) fn manifest(&self, digest: &Digest) -> PathBuf {
        self.entry(digest).join("plugin.toml")
    }

    /// Keeps a component and its manifest.
    pub(crate) fn keep(&self, digest: &Digest, wasm: &[u8], manifest: &str) -> io::Result<()> {
        let entry = self.entry(digest);
        DirBuilder::new().recursive(true).mode(0o700).create(&entry)?;
        for (path, bytes) in [(self.wasm(digest), wasm), (self.manifest(digest), manifest.as_bytes())] {
            if !fs::read(&path).is_ok_and(|kept| kept == bytes) {
                write_whole(&path, bytes)?;
            }
        }
        Ok(())
    }

    /// The machine code, if there is any and it is what was written.
    pub(crate) fn code(&self, engine: &Engine, digest: &Digest) -> Option<Component> {
        let (path, expected) = self.code_files(digest).into_iter().find(|(_, code)| code.is_some())?;
        let whole = fs::read(&path).is_ok_and(|bytes| Some(Digest::of_bytes(&bytes)) == expected);
        // SAFETY: the file is machine code that this build of the host wrote: it has the digest it got when it was compiled and lies
        // in a folder that only the host's user can write to. The engine checks its own settings in the file's header.
        let loaded = whole.then(|| unsafe { Component::deserialize_file(engine, &path) });
        match loaded {
            Some(Ok(component)) => Some(component),
            Some(Err(_)) | None => {
                tracing::warn!(path = %path.display(), "compiled plugin is damaged; compiling it again");
                let _ = fs::remove_file(&path);
                None
            }
        }
    }

    /// A place to compile this component in, after making sure that it is still what its name says.
    pub(crate) fn workplace(&self, digest: &Digest) -> io::Result<Workplace> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let wasm = self.wasm(digest);
        if Digest::of_bytes(&fs::read(&wasm)?) != *digest {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the kept component is damaged"));
        }
        let name = format!("work-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let folder = self.entry(digest).join(name);
        DirBuilder::new().mode(0o700).create(&folder)?;
        Ok(Workplace(folder))
    }

    /// Takes what was compiled in a workplace.
    pub(crate) fn adopt(&self, digest: &Digest, work: Workplace) -> io::Result<()> {
        let out = work.out();
        if !fs::symlink_metadata(&out)?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "the compiler left something that is not a file"));
        }
        let code = Digest::of_bytes(&fs::read(&out)?);
        fs::set_permissions(&out, Permissions::from_mode(0o600))?;
        File::open(&out)?.sync_all()?;
        fs::rename(&out, self.entry(digest).join(format!("{}-{code}.code", self.fingerprint)))
    }

    /// Removes all but these components, code of other engines, and what interrupted compilations left.
    pub(crate) fn prune(&self, keep: &BTreeSet<Digest>) {
        for (path, name) in list(&self.root) {
            match name.parse::<Digest>() {
                Ok(digest) if keep.contains(&digest) => {
                    for (path, name) in list(&path).filter(|(_, name)| name.starts_with("work-")) {
                        tracing::debug!(name, "removing an interrupted compilation");
                        let _ = fs::remove_dir_all(path);
                    }
                    for (path, _) in self.code_files(&digest).into_iter().filter(|(_, code)| code.is_none()) {
                        let _ = fs::remove_file(path);
                    }
                }
                Ok(_) => {
                    let _ = fs::remove_dir_all(path);
                }
                // Not ours.
                Err(_) => {}
            }
        }
    }

    /// Code files of a component, each with its digest if it is of our engine.
    fn code_files(&self, digest: &Digest) -> Vec<(PathBuf, Option<Digest>)> {
        let code = |name: &str| {
            let (engine, code) = name.strip_suffix(".code")?.split_once('-')?;
            (engine == self.fingerprint).then(|| code.parse().ok()).flatten()
        };
        let entry = self.entry(digest);
        let files = list(&entry).filter(|(_, name)| name.ends_with(".code"));
        files.map(|(path, name)| (path, code(&name))).collect()
    }
}

/// Entries of a folder, with their names; nothing of a folder that is not there.
fn list(folder: &Path) -> impl Iterator<Item = (PathBuf, String)> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.path(), entry.file_name().into_string().ok()?)))
}

/// Writes a file that is either there as a whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let partial = path.with_extension(format!("partial-{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&partial)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&partial, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_open_to_others_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("cache");
        Cache::open(root.clone(), "f".into()).unwrap();
        assert_eq!(fs::metadata(&root).unwrap().mode() & 0o777, 0o700);
        fs::set_permissions(&root, Permissions::from_mode(0o750)).unwrap();
        assert!(matches!(Cache::open(root, "f".into()), Err(StartError::CacheOpen { .. })));
    }

    #[test]
    fn pruning_keeps_what_is_named_and_what_is_not_ours() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("cache"), "f".into()).unwrap();
        let (one, two) = (Digest::of_bytes(b"one"), Digest::of_bytes(b"two"));
        cache.keep(&one, b"one", "m").unwrap();
        cache.keep(&two, b"two", "m").unwrap();
        fs::write(cache.root.join("README"), "mine").unwrap();
        fs::write(cache.entry(&one).join(format!("other-{two}.code")), "old").unwrap();
        let ours = cache.entry(&one).join(format!("f-{two}.code"));
        fs::write(&ours, "new").unwrap();
        std::mem::forget(cache.workplace(&one).unwrap());
        cache.prune(&BTreeSet::from([one]));
        let mut left: Vec<_> = list(&cache.entry(&one)).map(|(_, name)| name).collect();
        left.sort();
        assert_eq!(left, [format!("f-{two}.code"), "plugin.toml".into(), "plugin.wasm".into()]);
        assert!(!cache.entry(&two).exists() && cache.root.join("README").exists());
    }

    #[test]
    fn a_damaged_component_is_not_compiled() {
        let dir = tempfile::tempdir().unwrap();
        let cache = Cache::open(dir.path().join("cache"), "f".into()).unwrap();
        let digest = Digest::of_bytes(b"one");
        cache.keep(&digest, b"one", "m").unwrap();
        fs::write(cache.wasm(&digest), b"eno").unwrap();
        assert!(cache.workplace(&digest).is_err());
        cache.keep(&digest, b"one", "m").unwrap();
        assert!(cache.workplace(&digest).is_ok());
    }
}
