//! Agent bundles: the programs of coding agents, kept in the data directory and mounted read-only at `/opt/agent`.
//!
//! Where they come from is the executor's word, in the `bundle.toml` of its folder ([`borg_core::bundle`]); nothing is unpacked before it has
//! the integrity that stands there. Which may run is policy's, by the digest of what was unpacked ([`Agents::permitted`]). Bundles lie in
//! `DATA_DIR/agents/EXECUTOR/VERSION/`. Who mounts them is `sandbox/`; who writes the line of policy is `agent install`.

mod bundle;
mod error;
mod installed;
mod npm;
mod unpack;

pub use bundle::Bundle;
pub use error::Error;
pub use installed::{Agents, Refusal};
pub use npm::Npm;

use borg_core::{
    bundle::{Arch, Libc, Origin, Package, Recipe},
    id::Digest,
};
use borg_plugins::Brought;
use bundle::{RECORD, Record, home};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// Where a bundle's archive comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// The operator's own npm client, with the operator's own configuration.
    Npm(Npm),
    /// An archive that is already here.
    File(PathBuf),
}

/// Installs what an executor brings for this machine, for images of this libc, and returns its bundle. Where it is there already and is what
/// was unpacked, nothing is done.
///
/// The bundle appears whole or not at all: it is unpacked beside its place and renamed. `progress` gets one line per step.
pub async fn install(
    brought: &Brought,
    libc: Libc,
    source: Source,
    data_dir: &Path,
    mut progress: impl FnMut(&str),
) -> Result<Bundle, Error> {
    let Brought { executor, recipe, .. } = brought;
    let package = package(brought, libc)?;
    let home = home(data_dir, executor);
    let target = home.join(&recipe.version);
    if let Some(bundle) = Agents::new(data_dir).whole(executor, recipe, package).await {
        progress(&format!("{executor} {} is already installed", recipe.version));
        return Ok(bundle);
    }
    unpack::create_dir_all(&home)?;
    // Lives until the end of this function: holds the fetched archive and is where the bundle is unpacked.
    let staging = tempfile::Builder::new().prefix(".new-").tempdir_in(&home).map_err(|source| Error::Io {
        doing: "create a directory in",
        path: home.clone(),
        source,
    })?;
    let archive = match (source, &package.origin) {
        (Source::File(path), _) => path,
        (Source::Npm(npm), Origin::Npm(name)) => {
            let spec = format!("{name}@{}", recipe.version);
            progress(&format!("fetching {spec} with npm"));
            npm.pack(&spec, staging.path()).await?
        }
        (Source::Npm(_), Origin::Url(url)) => {
            let (executor, version) = (executor.clone(), recipe.version.clone());
            let file = url.rsplit('/').next().unwrap_or_default().to_owned();
            return Err(Error::Fetch { executor, version, url: url.clone(), file });
        }
    };
    progress("verifying the package's integrity");
    let work = Work {
        recipe: recipe.clone(),
        package: package.clone(),
        archive,
        bundle: staging.path().join("bundle"),
        target: target.clone(),
    };
    let digest = tokio::task::spawn_blocking(move || work.unpack()).await.expect("unpacking does not panic")?;
    progress(&format!("installed {executor} {}", recipe.version));
    Ok(Bundle { executor: executor.clone(), version: recipe.version.clone(), dir: target, digest })
}

/// The package for this machine and for images of this libc.
fn package(brought: &Brought, libc: Libc) -> Result<&Package, Error> {
    let Brought { executor, recipe, .. } = brought;
    let here = Arch::named(std::env::consts::ARCH);
    here.and_then(|arch| recipe.package(arch, libc)).ok_or_else(|| {
        let published = recipe.packages.iter().map(|package| {
            let arch = package.arch.as_str();
            match package.libc.map(Libc::as_str) {
                Some(libc) if here == Some(package.arch) => format!("{arch} with {libc} (`--libc {libc}`)"),
                Some(libc) => format!("{arch} with {libc}"),
                None => arch.to_owned(),
            }
        });
        Error::NoPackage {
            executor: executor.clone(),
            version: recipe.version.clone(),
            arch: std::env::consts::ARCH,
            libc: libc.as_str(),
            published: published.collect(),
        }
    })
}

/// The blocking half of an installation.
struct Work {
    recipe: Recipe,
    package: Package,
    archive: PathBuf,
    bundle: PathBuf,
    target: PathBuf,
}

impl Work {
    fn unpack(self) -> Result<Digest, Error> {
        let Work { recipe, package, archive, bundle, target } = self;
        let failed = |doing| {
            let path = archive.clone();
            move |source| Error::Io { doing, path, source }
        };
        let mut file = fs::File::open(&archive).map_err(failed("open"))?;
        let found = unpack::integrity(&mut file, package.integrity.algorithm()).map_err(failed("read"))?;
        if found != package.integrity.as_str() {
            let package_name = match package.origin {
                Origin::Npm(name) => name,
                Origin::Url(url) => url,
            };
            return Err(Error::Integrity {
                path: archive,
                package: package_name,
                version: recipe.version,
                found,
                expected: package.integrity.to_string(),
            });
        }
        // The same open file is read again, so nobody can swap it between the check and the use.
        let digest = unpack::unpack(&mut file, &package.root, &recipe.programs, &bundle)?;
        let record = Record { version: recipe.version, integrity: found, digest };
        let text = serde_json::to_vec_pretty(&record).expect("a record of strings serialises");
        unpack::write(&bundle.join(RECORD), 0o644, &mut text.as_slice())?;
        unpack::open_to_all(&bundle)?;
        if target.exists() {
            // Another of this version, or one that is not what was unpacked.
            fs::remove_dir_all(&target).map_err(|source| Error::Io {
                doing: "remove the earlier",
                path: target.clone(),
                source,
            })?;
        }
        fs::rename(&bundle, &target).map_err(|source| Error::Io { doing: "create", path: target.clone(), source })?;
        Ok(digest)
    }
}

#[cfg(test)]
mod tests;
