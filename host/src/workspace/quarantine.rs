//! Where a stage's objects wait until they have passed Git's own strict check; only then does the mirror get them.
//!
//! The check looks at the new pack alone: the history below it may have harmless flaws of its own.

use super::{Error, Result, Workspace, blocking, object};
use crate::git::{self, Call, mirror::Mirror};
use borg_core::id::RunKey;
use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

/// A bare repository of its own that borrows the mirror's objects; it goes away with this value.
#[derive(Debug)]
pub struct Quarantine {
    dir: tempfile::TempDir,
    mirror: Mirror,
}

impl Quarantine {
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Workspace {
    /// Makes an empty quarantine for a run: a new one each time, since a cut-off try may still be clearing up its own.
    pub async fn quarantine(&self, run: RunKey, mirror: &Mirror) -> Result<Quarantine> {
        let (parent, mirror) = (self.data.join("quarantine"), mirror.clone());
        let format = object_format(&mirror)?;
        blocking(move || {
            let dir = tempfile::Builder::new().prefix(&prefix(run)).tempdir_in(parent);
            let dir = dir.map_err(Error::io("create a quarantine"))?;
            object::write_bare(dir.path(), format, Some(&mirror.dir))?;
            Ok(Quarantine { dir, mirror })
        })
        .await
    }

    /// A call that writes into a quarantine and reads the mirror.
    pub(super) fn quarantined(&self, quarantine: &Quarantine, what: &str) -> Call {
        self.git.on(quarantine.dir(), what).reads(&quarantine.mirror.dir)
    }

    /// Checks the quarantine's packs and moves them into the mirror, durably. Nothing moves unless all pass.
    pub async fn admit(&self, quarantine: Quarantine) -> Result<()> {
        let folder = quarantine.dir().join("objects/pack");
        let mut packs = Vec::new();
        for pack in files_ending(&folder, "pack")? {
            let index = pack.with_extension("checked.idx");
            let call = self.quarantined(&quarantine, "index-pack").args(["--strict", "--no-rev-index", "-o"]);
            match self.git.run(call.arg(&index).arg(&pack)).await {
                Ok(_) => packs.push((pack, index)),
                Err(git::Error::Failed { stderr, .. }) => return Err(Error::Refused(stderr)),
                Err(error) => return Err(error.into()),
            }
        }
        blocking(move || {
            let target = quarantine.mirror.dir.join("objects/pack");
            let moved = |from: &Path, name: &str| {
                let what = || format!("move a checked pack into {}", target.display());
                File::open(from).and_then(|file| file.sync_all()).map_err(Error::io(what()))?;
                fs::rename(from, target.join(name)).map_err(Error::io(what()))
            };
            for (pack, index) in packs {
                let name = pack.file_name().expect("listed in a folder").to_string_lossy().into_owned();
                // The index last: Git looks for packs by it.
                moved(&pack, &name)?;
                moved(&index, &Path::new(&name).with_extension("idx").to_string_lossy())?;
            }
            File::open(&target).and_then(|dir| dir.sync_all()).map_err(Error::io("sync the mirror"))?;
            quarantine.dir.close().map_err(Error::io("remove a quarantine"))
        })
        .await
    }
}

fn prefix(run: RunKey) -> String {
    format!("{run}.")
}

/// Quarantines of a run that are there: a Git process that is still clearing up can keep one from going away with its value.
pub(super) fn of_run(quarantines: &Path, run: RunKey) -> Result<Vec<PathBuf>> {
    let what = || format!("list {}", quarantines.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(quarantines).map_err(Error::io(what()))? {
        let entry = entry.map_err(Error::io(what()))?;
        if entry.file_name().to_string_lossy().starts_with(&prefix(run)) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

/// The object format a mirror was made with.
pub(super) fn object_format(mirror: &Mirror) -> Result<object::Format> {
    let text = fs::read_to_string(mirror.dir.join("config")).map_err(|_| Error::NoMirror(mirror.repo.clone()))?;
    Ok(if text.contains("objectformat = sha256") { object::Format::Sha256 } else { object::Format::Sha1 })
}

fn files_ending(folder: &Path, extension: &str) -> Result<Vec<PathBuf>> {
    let what = || format!("list {}", folder.display());
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::io(what()))? {
        let path = entry.map_err(Error::io(what()))?.path();
        if path.extension().is_some_and(|found| found == extension) {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}
