//! From a [`SandboxSpec`] to the job file that init reads, and the directories made ready for the user it runs as.

use super::{Error, RunDirs};
use borg_core::{id::Digest, run::SandboxSpec};
use borg_init::{Bridge, HomeFile, Job};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, openat, statat};
use std::{
    fs, io,
    os::{
        fd::OwnedFd,
        unix::fs::{MetadataExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

/// Where the base repository appears inside: what the comfort `.git` borrows its objects from.
pub const BASE_REPO: &str = "/opt/base.git";
/// Port on the inner loopback where init bridges to the gateway.
pub const GATEWAY_PORT: u16 = 8787;
/// What an agent is told as the address of its model API.
pub const GATEWAY_URL: &str = "http://127.0.0.1:8787";

/// Open files a process may have.
pub(super) const OPEN_FILES: u64 = 16 * 1024;
/// Time init gives the process between SIGTERM and SIGKILL, in milliseconds; below the adapter's own patience with init.
const GRACE_MS: u64 = 700;

/// The `borg-init` that belongs to this host.
#[derive(Clone, Debug)]
pub struct InitBinary {
    pub path: PathBuf,
    /// SHA-256 it must have.
    pub sha256: Digest,
}

impl InitBinary {
    /// Reads the binary and compares its digest. Blocks for a few milliseconds.
    pub fn verify(&self) -> Result<(), Error> {
        let bytes = fs::read(&self.path).map_err(Error::io("read init at", &self.path))?;
        match Digest::of_bytes(&bytes) {
            found if found == self.sha256 => Ok(()),
            found => Err(Error::WrongInit { path: self.path.clone(), found, expected: self.sha256 }),
        }
    }
}

/// User and group that agents run as: the host's own, or [`borg_init::AGENT_UID`] where the host is root.
pub(super) fn identity() -> (u32, u32) {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    if uid.is_root() { (borg_init::AGENT_UID, borg_init::AGENT_UID) } else { (uid.as_raw(), gid.as_raw()) }
}

/// The job of a spec, for either sandbox.
pub(super) fn job(spec: &SandboxSpec, dirs: &RunDirs) -> Job {
    let mut job = Job::new(spec.argv.clone(), spec.limits.output_bytes);
    job.env.clone_from(&spec.env);
    job.agent_first = spec.bundle.is_some();
    job.stdin.clone_from(&spec.stdin);
    job.home_files = spec
        .home_files
        .iter()
        .map(|file| HomeFile { path: file.path.clone(), text: file.text.clone(), executable: file.executable })
        .collect();
    job.write = write_roots(spec, &dirs.workspace);
    job.exec = spec.exec;
    job.bridge = spec.gateway.then(|| Bridge::new(GATEWAY_PORT));
    job.limits.open_files = Some(OPEN_FILES);
    // No single file can outgrow the disk of the run between two looks of its watcher.
    job.limits.file_bytes = Some(spec.limits.disk_bytes);
    job.grace_ms = GRACE_MS;
    job
}

/// Places the process may write, as paths inside: `/out`, and of the workspace only the granted directories where every granted pattern is a
/// directory that exists (`tests/**`); a finer pattern opens the workspace and is held at collection.
fn write_roots(spec: &SandboxSpec, workspace: &Path) -> Vec<PathBuf> {
    let mut roots = vec![PathBuf::from(borg_init::OUT)];
    if spec.write.is_read_only() {
        return roots;
    }
    let directory = |pattern: &String| -> Option<PathBuf> {
        let dir = pattern.strip_suffix("/**")?;
        let plain =
            !dir.contains(['*', '?', '[', '{', '\\']) && dir.split('/').all(|part| !matches!(part, "" | "." | ".."));
        let real = workspace.canonicalize().ok()?.join(dir);
        (plain && real.is_dir() && real.canonicalize().ok()? == real).then(|| Path::new(borg_init::WORKSPACE).join(dir))
    };
    match spec.write.allow.iter().map(directory).collect::<Option<Vec<_>>>() {
        Some(directories) => roots.extend(directories),
        None => roots.push(borg_init::WORKSPACE.into()),
    }
    roots
}

/// Makes what is missing in the directories of a run that is about to start. Blocks.
pub(super) fn make_dirs(spec: &SandboxSpec, dirs: &RunDirs) -> Result<(), Error> {
    for inner in home_dirs(dirs).into_iter().filter(|_| spec.exec) {
        fs::create_dir_all(&inner).map_err(Error::io("create", &inner))?;
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).map_err(Error::io("set the mode of", &inner))?;
        // The folder around it may be the process's already, and so be skipped below.
        hand_over(&inner, identity()).map_err(Error::io("hand over", &inner))?;
    }
    // Of an earlier start under the same key.
    let note = ended_by(&dirs.run);
    match fs::remove_file(&note) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io("remove", note)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Writes the job file, and gives the directories to the user the process runs as. Blocks.
pub(super) fn write(job: &Job, dirs: &RunDirs) -> Result<(), Error> {
    let text = serde_json::to_vec(job).expect("a job of strings and numbers serialises");
    let path = dirs.input.join(borg_init::JOB_NAME);
    let part = dirs.input.join(".borg-job.part");
    fs::write(&part, text).map_err(Error::io("write", &part))?;
    // Another user may have to read it; the run's parent directory keeps strangers out.
    fs::set_permissions(&part, fs::Permissions::from_mode(0o644)).map_err(Error::io("set the mode of", &part))?;
    fs::rename(&part, &path).map_err(Error::io("write", &path))?;
    for dir in [&dirs.workspace, &dirs.input, &dirs.out, &dirs.home, &dirs.run] {
        hand_over(dir, identity()).map_err(Error::io("hand over", dir))?;
    }
    Ok(())
}

/// A directory of a run as its process sees it.
pub(super) struct Shown {
    pub dir: PathBuf,
    /// Where it lies inside.
    pub inside: &'static str,
    pub writable: bool,
}

/// What of a run's directories its process sees, and what of it may be written: the same in both sandboxes.
pub(super) fn shown(spec: &SandboxSpec, dirs: &RunDirs) -> Vec<Shown> {
    let mut all = Vec::new();
    let mut show = |dir: &Path, inside, writable| all.push(Shown { dir: dir.to_owned(), inside, writable });
    show(&dirs.workspace, borg_init::WORKSPACE, !spec.write.is_read_only());
    show(&dirs.input, borg_init::IN, false);
    show(&dirs.out, borg_init::OUT, true);
    if spec.gateway {
        show(&dirs.run, borg_init::RUN, false);
    }
    if let Some(agent) = &dirs.agent {
        show(agent, borg_init::AGENT, false);
    }
    if let Some(repo) = &dirs.base_repo {
        show(repo, BASE_REPO, false);
    }
    if spec.exec {
        let [home, tmp] = home_dirs(dirs);
        show(&home, borg_init::HOME, true);
        show(&tmp, "/tmp", true);
    }
    all
}

/// Home and `/tmp` of a run that may execute what it writes, on the bounded disk.
pub(super) fn home_dirs(dirs: &RunDirs) -> [PathBuf; 2] {
    [dirs.home.join("home"), dirs.home.join("tmp")]
}

/// Where it is noted why the host ended a run, so that the cause survives the host.
pub(super) fn ended_by(run: &Path) -> PathBuf {
    run.join("ended-by")
}

/// Gives a directory and all in it to another user, if it is not theirs yet, without following links. Only root can.
fn hand_over(dir: &Path, (uid, gid): (u32, u32)) -> io::Result<()> {
    if !rustix::process::geteuid().is_root() || fs::metadata(dir)?.uid() == uid {
        return Ok(());
    }
    let owner = (Uid::from_raw(uid), Gid::from_raw(gid));
    // The directory itself last: its owner says that all of it is done.
    give(
        openat(CWD, dir, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?,
        owner,
    )?;
    Ok(chownat(CWD, dir, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?)
}

fn give(fd: OwnedFd, owner: (Uid, Gid)) -> io::Result<()> {
    let mut dir = Dir::new(fd)?;
    while let Some(entry) = dir.read() {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let at = dir.fd()?;
        if FileType::from_raw_mode(statat(at, name, AtFlags::SYMLINK_NOFOLLOW)?.st_mode).is_dir() {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            give(openat(at, name, flags, Mode::empty())?, owner)?;
        }
        chownat(dir.fd()?, name, Some(owner.0), Some(owner.1), AtFlags::SYMLINK_NOFOLLOW)?;
    }
    Ok(())
}
