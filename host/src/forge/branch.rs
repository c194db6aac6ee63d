//! Delivers a change as a branch: complete in the mirror, and pushed to the local repository it came from.
//!
//! Safe to repeat: a branch that is already at the commit is a delivery done. Nothing is ever forced. The target's hooks and
//! configuration start nothing (see `git::link`). Whether a change may be delivered is decided before.

use crate::git::{
    self, Call, Git,
    link::Service,
    mirror::MirrorLock,
    source::{self, Local, Source},
};
use borg_core::collect::CommitId;
use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

/// What is delivered, and where.
#[derive(Clone, Debug)]
pub struct Delivery {
    pub target: Source,
    /// Such as `borg/12/add-search`.
    pub branch: String,
    pub commit: CommitId,
}

/// How the branch came to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivered {
    Pushed,
    /// An earlier try, or somebody else, had put it there.
    AlreadyThere,
}

/// Why there is no branch.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Source(#[from] source::Error),
    #[error(
        "branch {branch} of {place} is at {found}, not at {wanted}: delete or rename it there, then retry the delivery"
    )]
    Taken { branch: String, place: String, found: String, wanted: String },
    #[error("`{0}` cannot be a branch of ours: it must start with `borg/`")]
    BadBranch(String),
    #[error(
        "branch {branch} is locked: if no Git process works in that repository, remove {}, then retry the delivery",
        lock.display()
    )]
    Locked { branch: String, lock: PathBuf },
    #[error("the repository refused branch {branch}: {reason}")]
    Refused { branch: String, reason: String },
    #[error(transparent)]
    Git(#[from] git::Error),
    #[error("a worker thread died")]
    Worker(#[from] tokio::task::JoinError),
}

/// Delivers from a mirror that holds the commit.
pub async fn deliver(git: &Git, lock: &MirrorLock, delivery: &Delivery) -> Result<Delivered, Error> {
    let mirror = &lock.mirror().dir;
    let Delivery { target, branch, commit } = delivery;
    let is_ours =
        branch.starts_with("borg/") && !branch.ends_with('/') && !branch.contains("..") && !branch.contains("//");
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '/' | '.');
    if !is_ours || !branch.chars().all(is_plain) {
        return Err(Error::BadBranch(branch.clone()));
    }
    let name = format!("refs/heads/{branch}");
    claim(git, mirror, &name, delivery).await?;
    let source = target.clone();
    let peer = tokio::task::spawn_blocking(move || source.inspect()).await??;
    if is_there(git, &peer, &name, delivery).await? {
        return Ok(Delivered::AlreadyThere);
    }
    let call = git.on(mirror, "push").args([
        "--porcelain",
        "--no-verify",
        "--no-signed",
        "--recurse-submodules=no",
        "--no-progress",
    ]);
    let refspec = OsString::from(format!("{commit}:{name}"));
    match git.link(call, [refspec], &peer, Service::ReceivePack).await {
        Ok(_) => Ok(Delivered::Pushed),
        // Somebody was faster, or the answer was lost: what stands there now decides.
        Err(error) => match (is_there(git, &peer, &name, delivery).await?, error) {
            (true, _) => Ok(Delivered::AlreadyThere),
            (false, git::Error::Failed { stderr, .. }) if stderr.contains(git::LOCKED) => {
                Err(Error::Locked { branch: branch.clone(), lock: peer.git_dir.join(format!("{name}.lock")) })
            }
            (false, git::Error::Failed { stderr, .. }) => {
                Err(Error::Refused { branch: branch.clone(), reason: stderr })
            }
            (false, error) => Err(error.into()),
        },
    }
}

/// Points the mirror's branch at the commit, unless it is elsewhere already.
async fn claim(git: &Git, mirror: &Path, name: &str, delivery: &Delivery) -> Result<(), Error> {
    let commit = &delivery.commit;
    let Err(error) = git.set_ref(mirror, name, commit, None).await else { return Ok(()) };
    let found = git.run(single_ref(git.on(mirror, "for-each-ref"), name)).await?;
    match String::from_utf8_lossy(&found.stdout).trim() {
        "" => Err(error.into()),
        found if found == commit.0 => Ok(()),
        found => Err(taken(delivery, "the mirror", found)),
    }
}

fn single_ref(call: Call, name: &str) -> Call {
    call.args(["--format=%(objectname)", name])
}

/// True when the target has the branch at the commit; elsewhere is an error.
async fn is_there(git: &Git, peer: &Local, name: &str, delivery: &Delivery) -> Result<bool, Error> {
    let call = git.anywhere("ls-remote").arg("--quiet").capture(32 << 20);
    let output = git.link(call, [OsString::from(name)], peer, Service::UploadPack).await?;
    let text = String::from_utf8_lossy(&output.stdout);
    let found = text.lines().filter_map(|line| line.split_once('\t')).find(|(_, found)| *found == name);
    match found {
        None => Ok(false),
        Some((id, _)) if id == delivery.commit.0 => Ok(true),
        Some((id, _)) => Err(taken(delivery, &delivery.target.path().display().to_string(), id)),
    }
}

fn taken(delivery: &Delivery, place: &str, found: &str) -> Error {
    Error::Taken {
        branch: delivery.branch.clone(),
        place: place.to_owned(),
        found: found.to_owned(),
        wanted: delivery.commit.0.clone(),
    }
}
