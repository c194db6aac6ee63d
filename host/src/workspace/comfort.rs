//! The `.git` an agent sees, so that `git status`, `diff` and `log` work inside, and the bare repository it borrows from.
//!
//! Both are copies made for the agent; the host never reads either again. The lender is mounted read-only: an agent that may
//! write objects of a shared store corrupts it for everybody.

use super::{Attempt, Error, Result, RunDir, Workspace, blocking, export::finish_entry, object, walk};
use crate::git::mirror::{Mirror, MirrorLock};
use borg_core::{collect::CommitId, owner::Owner};
use rustix::fs::Mode;
use std::{
    fs,
    os::fd::AsFd,
    path::{Path, PathBuf},
};

impl Workspace {
    /// Makes or extends the bare repository an owner's sandboxes mount read-only: the base branch and the owner's own commits.
    ///
    /// Never holds anything else of the mirror, since Git hands out any object of a store by its id.
    pub async fn lend(
        &self,
        owner: Owner,
        lock: &MirrorLock,
        base: (&str, &CommitId),
        tip: &CommitId,
    ) -> Result<PathBuf> {
        let mirror = lock.mirror();
        let dir = self.data.join("tasks").join(format!("{}.git", owner.label()));
        super::mirror::check_ref(base.0)?;
        let format = self.need_commit(mirror, base.1).await?;
        self.need_commit(mirror, tip).await?;
        let fresh = dir.clone();
        blocking(move || if fresh.join("HEAD").exists() { Ok(()) } else { object::write_bare(&fresh, format, None) })
            .await?;
        let mut address = std::ffi::OsString::from("file://");
        address.push(&mirror.dir);
        let args = ["--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--refmap="];
        let call =
            self.git.on(&dir, "fetch").global(["-c", "protocol.file.allow=always", "-c", "core.sharedRepository=0644"]);
        let refs = [format!("+{}:refs/heads/{}", base.1, base.0), format!("+{tip}:refs/borg/tip")];
        self.git.run(call.args(args).arg(address).args(refs).reads(&mirror.dir)).await?;
        blocking(move || open_to_readers(&dir).map(|()| dir)).await
    }

    /// Removes an owner's lender, by its label, when its last run is over.
    pub async fn forget_owner(&self, owner: &str) -> Result<()> {
        let dir = self.data.join("tasks").join(format!("{owner}.git"));
        blocking(move || super::remove::remove_tree(&dir).map_err(Error::io(format!("remove {}", dir.display())))).await
    }

    /// Writes `.git` into a freshly exported work tree.
    pub(super) async fn write_comfort(
        &self,
        mirror: &Mirror,
        attempt: &Attempt,
        format: object::Format,
        lender: &Path,
        dir: &RunDir,
    ) -> Result<()> {
        let index = dir.root.join("index");
        // Reads the mirror and writes one file of the run's directory; the work tree is not named at all.
        let call = self.git.on(&mirror.dir, "read-tree").env("GIT_INDEX_FILE", &index).writes(&dir.root);
        self.git.run(call.arg(&attempt.commit.0)).await?;
        let (top, commit, lender, agent) =
            (dir.workspace.join(".git"), attempt.commit.clone(), lender.to_owned(), self.config.agent);
        blocking(move || {
            let what = || format!("write {}", top.display());
            object::write_bare(&top, format, Some(&lender))?;
            let write = |name: &str, text: String| fs::write(top.join(name), text).map_err(Error::io(what()));
            write("config", object::config(format, false))?;
            write("HEAD", format!("{commit}\n"))?;
            fs::rename(&index, top.join("index")).map_err(Error::io(what()))?;
            let mut waiting = vec![top.clone()];
            while let Some(path) = waiting.pop() {
                for entry in fs::read_dir(&path).map_err(Error::io(what()))? {
                    waiting_or_own(&entry.map_err(Error::io(what()))?, &mut waiting, agent)
                        .map_err(Error::io(what()))?;
                }
                own(&path, 0o755, agent).map_err(Error::io(what()))?;
            }
            Ok(())
        })
        .await
    }
}

fn waiting_or_own(entry: &fs::DirEntry, waiting: &mut Vec<PathBuf>, agent: crate::spawn::User) -> std::io::Result<()> {
    if entry.file_type()?.is_dir() {
        waiting.push(entry.path());
        return Ok(());
    }
    own(&entry.path(), 0o644, agent)
}

fn own(path: &Path, mode: u32, agent: crate::spawn::User) -> std::io::Result<()> {
    let file = fs::File::open(path)?;
    finish_entry(file.as_fd(), Mode::from_raw_mode(mode), Some(agent))
}

/// Lets the agent's user read a lender whatever the host's umask is; the data directory above stays closed to others.
fn open_to_readers(top: &Path) -> Result<()> {
    let what = || format!("open {} to readers", top.display());
    let mut waiting = vec![top.to_owned()];
    while let Some(path) = waiting.pop() {
        let folder = walk::open_top(&path).map_err(Error::io(what()))?;
        finish_entry(folder.as_fd(), Mode::from_raw_mode(0o755), None).map_err(Error::io(what()))?;
        for entry in fs::read_dir(&path).map_err(Error::io(what()))? {
            let entry = entry.map_err(Error::io(what()))?;
            if entry.file_type().map_err(Error::io(what()))?.is_dir() {
                waiting.push(entry.path());
            } else {
                let file = fs::File::open(entry.path()).map_err(Error::io(what()))?;
                finish_entry(file.as_fd(), Mode::from_raw_mode(0o444), None).map_err(Error::io(what()))?;
            }
        }
    }
    Ok(())
}
