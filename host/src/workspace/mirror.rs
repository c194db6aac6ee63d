//! One bare mirror per repository: refreshed from its source, written by collection, and the place where refs are kept.
//!
//! The source's branches are kept below `refs/remotes/origin/`, ours below `refs/heads/borg/` (delivered) and `refs/borg/`
//! (stages), so that a refresh, which also prunes, never touches ours.

use super::{Error, Result, Slug, Workspace, blocking, object};
use crate::git::{
    self,
    link::Service,
    mirror::{Mirror, MirrorLock},
    source::{Local, Source},
};
use borg_core::collect::CommitId;
use std::{ffi::OsString, fs};

/// Bytes of `ls-remote` output that are read: some hundred thousand refs.
const REFS_LIMIT: usize = 32 << 20;
/// Branches named in an error message.
const SHOWN_BRANCHES: usize = 10;

/// What a refresh found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refreshed {
    /// The branch the source's `HEAD` names; none when it is detached.
    pub default_branch: Option<String>,
    /// All branches, sorted.
    pub branches: Vec<String>,
}

impl Workspace {
    /// The mirror of a repository, by its name in the policy.
    pub fn mirror(&self, repo: &str) -> Mirror {
        let dir = self.data.join("mirrors").join(format!("{}.git", Slug::new(repo)));
        Mirror { repo: repo.to_owned(), dir }
    }

    /// Brings a mirror up to date with its source, making it first if need be.
    pub async fn refresh(&self, lock: &MirrorLock, source: &Source) -> Result<Refreshed> {
        let mirror = lock.mirror();
        let source = source.clone();
        let peer = blocking(move || source.inspect().map_err(Error::from)).await?;
        let refs = self.remote_refs(&peer).await?;
        let mut branches: Vec<_> =
            refs.iter().filter_map(|(_, name)| Some(name.strip_prefix("refs/heads/")?.to_owned())).collect();
        branches.sort();
        let Some((id, _)) = refs.iter().find(|(_, name)| name.starts_with("refs/heads/")) else {
            return Err(Error::Empty { repo: mirror.repo.clone() });
        };
        let format = object::Format::of_id(id).ok_or_else(|| Error::BadRef(id.clone()))?;
        self.create(mirror, format).await?;
        let args = ["--quiet", "--prune", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--refmap="];
        let call = self.git.on(&mirror.dir, "fetch").args(args);
        let refspec = OsString::from("+refs/heads/*:refs/remotes/origin/*");
        self.git.link(call, [refspec], &peer, Service::UploadPack).await?;
        let default_branch = refs.into_iter().find_map(|(target, name)| {
            (name == "HEAD").then(|| target.strip_prefix("ref: refs/heads/").map(str::to_owned)).flatten()
        });
        let default_branch = default_branch.filter(|branch| branches.contains(branch));
        Ok(Refreshed { default_branch, branches })
    }

    /// Refs of a source as `(id or "ref: target", name)`.
    pub(crate) async fn remote_refs(&self, peer: &Local) -> Result<Vec<(String, String)>> {
        let call = self.git.anywhere("ls-remote").args(["--symref", "--quiet"]).capture(REFS_LIMIT);
        let output = self.git.link(call, [], peer, Service::UploadPack).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let pair = |line: &str| line.split_once('\t').map(|(id, name)| (id.to_owned(), name.to_owned()));
        Ok(text.lines().filter_map(pair).collect())
    }

    /// Makes an empty mirror, complete or not at all.
    async fn create(&self, mirror: &Mirror, format: object::Format) -> Result<()> {
        let dir = mirror.dir.clone();
        blocking(move || {
            if dir.join("HEAD").exists() {
                return Ok(());
            }
            let fresh = dir.with_extension("new");
            if fresh.exists() {
                std::fs::remove_dir_all(&fresh).map_err(Error::io("remove a half-made mirror"))?;
            }
            object::write_bare(&fresh, format, None)?;
            std::fs::rename(&fresh, &dir).map_err(Error::io(format!("create {}", dir.display())))
        })
        .await
    }

    /// The commit at the tip of a branch of the source, as of the last refresh.
    pub async fn resolve(&self, mirror: &Mirror, branch: &str) -> Result<CommitId> {
        check_ref(branch)?;
        match self.read_ref(mirror, &format!("refs/remotes/origin/{branch}")).await? {
            Some(commit) => Ok(commit),
            None => {
                let branches = self.branches(mirror).await?;
                Err(Error::MissingBranch { repo: mirror.repo.clone(), branch: branch.to_owned(), branches })
            }
        }
    }

    /// The branch to start from when the policy names none.
    pub fn default_branch(&self, mirror: &Mirror, refreshed: &Refreshed) -> Result<String> {
        refreshed.default_branch.clone().ok_or_else(|| Error::NoDefaultBranch {
            repo: mirror.repo.clone(),
            branches: refreshed.branches.iter().take(SHOWN_BRANCHES).cloned().collect(),
        })
    }

    async fn branches(&self, mirror: &Mirror) -> Result<Vec<String>> {
        let call = self.git.on(&mirror.dir, "for-each-ref").arg(format!("--count={SHOWN_BRANCHES}"));
        let output = self.git.run(call.args(["--format=%(refname:lstrip=3)", "refs/remotes/origin/"])).await?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    /// The commit a full ref name stands for; nothing when there is no such ref.
    pub async fn read_ref(&self, mirror: &Mirror, name: &str) -> Result<Option<CommitId>> {
        check_ref(name)?;
        if !mirror.dir.join("HEAD").exists() {
            return Err(Error::NoMirror(mirror.repo.clone()));
        }
        let call = self.git.on(&mirror.dir, "rev-parse").args(["--verify", "--quiet", "--end-of-options"]);
        let output = self.git.attempt(call.arg(format!("{name}^{{commit}}"))).await?;
        if output.status.code() == Some(1) {
            return Ok(None);
        }
        let output = self.git.check("rev-parse", output)?;
        Ok(Some(CommitId(String::from_utf8_lossy(&output.stdout).trim().to_owned())))
    }

    /// Points a ref at a commit if it is still where the caller believes (nothing: it must not exist).
    ///
    /// Already being there is success, so that the step may be repeated.
    pub async fn set_ref(&self, lock: &MirrorLock, name: &str, to: &CommitId, from: Option<&CommitId>) -> Result<()> {
        let mirror = lock.mirror();
        check_ref(name)?;
        match self.git.set_ref(&mirror.dir, name, to, from).await {
            Ok(()) => Ok(()),
            Err(error @ git::Error::Failed { .. }) => match self.read_ref(mirror, name).await? {
                Some(found) if found == *to => Ok(()),
                Some(found) => {
                    Err(Error::RefMoved { name: name.to_owned(), expected: git::old_value(to, from), found: found.0 })
                }
                None => Err(error.into()),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// True when the mirror holds this commit.
    pub async fn has_commit(&self, mirror: &Mirror, commit: &CommitId) -> Result<bool> {
        let is_id = object::Format::of_id(&commit.0).is_some() && commit.0.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Ok(false);
        }
        let call = self.git.on(&mirror.dir, "cat-file").args(["-e", &format!("{commit}^{{commit}}")]);
        Ok(self.git.attempt(call).await?.status.success())
    }

    /// Puts many small packs together where there are more than [`super::Config::packs`]: each collection adds one, and whoever reads looks
    /// into all. Nothing leaves the mirror by it, whatever refers to it or not.
    pub async fn consolidate(&self, lock: &MirrorLock) -> Result<()> {
        let mirror = lock.mirror();
        let folder = mirror.dir.join("objects/pack");
        let entries = fs::read_dir(&folder).map_err(Error::io(format!("list {}", folder.display())))?;
        let is_pack = |entry: &fs::DirEntry| entry.path().extension().is_some_and(|end| end == "pack");
        if entries.flatten().filter(is_pack).count() > self.config.packs {
            let call = self.git.on(&mirror.dir, "repack").args(["--geometric=2", "-d", "-n", "--quiet"]);
            self.git.run(call).await?;
        }
        Ok(())
    }

    /// Fails unless the mirror holds this commit.
    pub(super) async fn need_commit(&self, mirror: &Mirror, commit: &CommitId) -> Result<object::Format> {
        match object::Format::of_id(&commit.0) {
            Some(format) if self.has_commit(mirror, commit).await? => Ok(format),
            Some(_) | None => Err(Error::MissingCommit { repo: mirror.repo.clone(), commit: commit.clone() }),
        }
    }
}

/// Refuses what Git would refuse as a ref name, and options. (git-check-ref-format(1))
pub(crate) fn check_ref(name: &str) -> Result<()> {
    let is_bad_byte = |byte: u8| byte <= b' ' || byte == 0x7f || b"~^:?*[\\".contains(&byte);
    let is_bad_part = |part: &str| part.is_empty() || part.starts_with('.') || part.ends_with(".lock");
    let bad = name.starts_with('-')
        || name.len() > 1024
        || name == "@"
        || name.ends_with('.')
        || name.contains("..")
        || name.contains("@{")
        || name.bytes().any(is_bad_byte)
        || name.split('/').any(is_bad_part);
    if bad { Err(Error::BadRef(name.to_owned())) } else { Ok(()) }
}
