//! What the engine is told about one container. Pure but for resolving paths; whether the engine obeyed is `attest.rs`.

use crate::sandbox::{
    Error, MountRules, Refused, RunDirs,
    job::{self, InitBinary, Shown},
};
use bollard::models::{
    ContainerCreateBody, ContainerInspectResponse, HealthConfig, HostConfig, HostConfigLogConfig, Mount,
    MountBindOptions, MountBindOptionsPropagationEnum, MountType, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};
use borg_core::run::{Limits, SandboxSpec};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    path::{Path, PathBuf},
};

/// Label: id of the installation a container belongs to.
pub(super) const INSTALLATION: &str = "borg.installation";
/// Label: the run key.
pub(super) const RUN: &str = "borg.run";
const TASK: &str = "borg.task";
const ATTEMPT: &str = "borg.attempt";
/// Label: what a later host needs to watch over the container.
const WATCH: &str = "borg.watch";

/// Largest tmpfs for `/tmp` and home where nothing there may be executed, in bytes; it counts against memory.
const TMPFS_MAX: u64 = 256 << 20;
/// Size of `/dev/shm`, in bytes; it counts against memory.
const SHM: i64 = 64 << 20;
/// Size of what covers a volume that an image declares, in bytes.
const VOLUME_COVER: u64 = 16 << 20;

/// An image as it is here.
pub(super) struct Image {
    pub reference: String,
    pub id: String,
    /// Paths it declares as volumes.
    pub volumes: Vec<String>,
}

/// What this machine gives.
pub(super) struct Machine {
    pub cpus: u32,
    /// User and group of processes.
    pub identity: (u32, u32),
}

/// One container to be.
pub(super) struct Plan {
    pub body: ContainerCreateBody,
    pub image_id: String,
    /// What could not be had, in words.
    pub missing: Vec<String>,
}

/// What a container says of itself to a host that did not start it.
#[derive(Serialize, Deserialize)]
pub(super) struct Labels {
    pub limits: Limits,
    /// Trees that count as its disk.
    pub disk: Vec<PathBuf>,
    /// See [`job::ended_by`].
    pub ended_by: PathBuf,
}

impl Labels {
    /// Reads them back.
    pub(super) fn of(found: &ContainerInspectResponse) -> Option<Self> {
        serde_json::from_str(found.config.as_ref()?.labels.as_ref()?.get(WATCH)?).ok()
    }
}

/// Plans the container of a run, or says what was planned of one that has been started.
pub(super) fn plan(
    spec: &SandboxSpec,
    dirs: &RunDirs,
    image: &Image,
    settings: &DockerSettings,
    rules: &MountRules,
    machine: &Machine,
    running: Option<&ContainerInspectResponse>,
) -> Result<Plan, Error> {
    let mut missing = Vec::new();
    let mut mounts = mounts(spec, dirs, settings, rules)?;
    for pinned in spec.write.pinned.iter().filter(|_| !spec.write.is_read_only()) {
        match pin(pinned, dirs, rules, running)? {
            Ok(mount) => mounts.push(mount),
            Err(why) => missing.push(format!("{why}; its content is restored at collection")),
        }
    }
    let tmpfs = tmpfs(spec, image, &mounts, machine)?;
    let (uid, gid) = machine.identity;
    let cpus = spec.limits.cpu_millis.min(machine.cpus.saturating_mul(1000)).max(10);
    let signed = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
    let ulimit = |name: &str, n: u64| ResourcesUlimits {
        name: Some(name.to_owned()),
        soft: Some(signed(n)),
        hard: Some(signed(n)),
    };
    let host_config = HostConfig {
        network_mode: Some("none".to_owned()),
        readonly_rootfs: Some(true),
        privileged: Some(false),
        cap_drop: Some(vec!["ALL".to_owned()]),
        security_opt: Some(vec!["no-new-privileges:true".to_owned()]),
        memory: Some(signed(spec.limits.memory_bytes)),
        // Memory and swap together: the same figure means no swap.
        memory_swap: Some(signed(spec.limits.memory_bytes)),
        nano_cpus: Some(i64::from(cpus) * 1_000_000),
        pids_limit: Some(i64::from(spec.limits.pids)),
        ulimits: Some(vec![ulimit("core", 0), ulimit("nofile", job::OPEN_FILES)]),
        mounts: Some(mounts),
        tmpfs: Some(tmpfs),
        shm_size: Some(SHM),
        ipc_mode: Some("private".to_owned()),
        init: Some(false),
        auto_remove: Some(false),
        restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: Some(0) }),
        log_config: Some(HostConfigLogConfig {
            typ: Some("json-file".to_owned()),
            // Never rotated, whatever the engine's own default: a later host reads it from its start. Init bounds the output. There is no
            // word for "unlimited" that could be said here.
            config: Some(HashMap::from([("max-size".to_owned(), "1000t".to_owned())])),
        }),
        ..HostConfig::default()
    };
    let body = ContainerCreateBody {
        image: Some(image.id.clone()),
        user: Some(format!("{uid}:{gid}")),
        hostname: Some("borg".to_owned()),
        entrypoint: Some(vec![borg_init::INIT.to_owned(), "container".to_owned()]),
        cmd: Some(Vec::new()),
        working_dir: Some("/".to_owned()),
        // An image's health check would run outside init's confinement.
        healthcheck: Some(HealthConfig { test: Some(vec!["NONE".to_owned()]), ..HealthConfig::default() }),
        labels: Some(labels(spec, dirs, settings)),
        host_config: Some(host_config),
        ..ContainerCreateBody::default()
    };
    Ok(Plan { body, image_id: image.id.clone(), missing })
}

fn labels(spec: &SandboxSpec, dirs: &RunDirs, settings: &DockerSettings) -> HashMap<String, String> {
    let watch = Labels {
        limits: spec.limits,
        disk: vec![dirs.workspace.clone(), dirs.out.clone(), dirs.home.clone()],
        ended_by: job::ended_by(&dirs.run),
    };
    HashMap::from([
        (INSTALLATION.to_owned(), settings.installation.clone()),
        (RUN.to_owned(), spec.run.to_string()),
        (TASK.to_owned(), spec.run.owner.label()),
        (ATTEMPT.to_owned(), spec.run.fence.to_string()),
        (
            WATCH.to_owned(),
            serde_json::to_string(&watch).expect("paths of a data directory are UTF-8, or `mounts` refused them"),
        ),
    ])
}

/// Bind mounts, every source by its checked real path.
fn mounts(
    spec: &SandboxSpec,
    dirs: &RunDirs,
    settings: &DockerSettings,
    rules: &MountRules,
) -> Result<Vec<Mount>, Error> {
    let mut mounts = Vec::new();
    let mut add = |source: &Path, target: &str, read_only: bool| -> Result<(), Error> {
        mounts.push(bind(rules.check(source)?, target, read_only)?);
        Ok(())
    };
    add(&settings.init.path, borg_init::INIT, true)?;
    for Shown { dir, inside, writable } in job::shown(spec, dirs) {
        add(&dir, inside, !writable)?;
    }
    Ok(mounts)
}

/// The read-only mount of a pinned file, or why there is none. Once a container runs, its process may have moved the folders above the file, or
/// made one where there was none; what counts then is what was mounted at the start.
fn pin(
    pinned: &str,
    dirs: &RunDirs,
    rules: &MountRules,
    running: Option<&ContainerInspectResponse>,
) -> Result<Result<Mount, Refused>, Error> {
    let target = format!("{}/{pinned}", borg_init::WORKSPACE);
    let source = match running.map(|found| found.mounts.iter().flatten()) {
        None => rules.check_pinned(&dirs.workspace, pinned),
        Some(mut mounts) => match mounts.any(|mount| mount.destination.as_ref() == Some(&target)) {
            true => rules.check(&dirs.workspace).map(|workspace| workspace.join(pinned)),
            false => Err(Refused::NotPlain { path: pinned.into() }),
        },
    };
    match source {
        Ok(source) => Ok(Ok(bind(source, &target, true)?)),
        Err(why) => Ok(Err(why)),
    }
}

fn bind(source: PathBuf, target: &str, read_only: bool) -> Result<Mount, Error> {
    let not_text = |path: PathBuf| Error::Io {
        doing: "name to the engine",
        source: std::io::Error::new(std::io::ErrorKind::InvalidFilename, "it is not UTF-8"),
        path,
    };
    let source = source.into_os_string().into_string().map_err(|path| not_text(path.into()))?;
    Ok(Mount {
        target: Some(target.to_owned()),
        source: Some(source),
        // Unlike `-v`, a mount of this type never creates a missing source.
        typ: Some(MountType::BIND),
        read_only: Some(read_only),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::RPRIVATE),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    })
}

/// Memory file systems: `/tmp` and home unless they are on disk, and covers for volumes the image declares.
fn tmpfs(
    spec: &SandboxSpec,
    image: &Image,
    mounts: &[Mount],
    machine: &Machine,
) -> Result<HashMap<String, String>, Error> {
    let (uid, gid) = machine.identity;
    let mut tmpfs = HashMap::new();
    if !spec.exec {
        let size = (spec.limits.memory_bytes / 4).min(TMPFS_MAX);
        tmpfs.insert("/tmp".to_owned(), format!("rw,nosuid,nodev,noexec,size={size},mode=1777"));
        tmpfs.insert(
            borg_init::HOME.to_owned(),
            format!("rw,nosuid,nodev,noexec,size={size},mode=0700,uid={uid},gid={gid}"),
        );
    }
    let taken: Vec<String> =
        mounts.iter().filter_map(|mount| mount.target.clone()).chain(tmpfs.keys().cloned()).collect();
    for volume in &image.volumes {
        let path = Path::new(volume);
        let overlaps = |target: &String| {
            let target = Path::new(target);
            target != path && (target.starts_with(path) || path.starts_with(target))
        };
        let plain = path.is_absolute() && !path.components().any(|part| part == std::path::Component::ParentDir);
        if !plain || taken.iter().any(overlaps) {
            return Err(Error::ImageVolume { image: image.reference.clone(), path: volume.clone() });
        }
        if !taken.contains(volume) {
            tmpfs.insert(volume.clone(), format!("ro,nosuid,nodev,noexec,size={VOLUME_COVER},mode=0755"));
        }
    }
    Ok(tmpfs)
}

/// What the adapter is told at its start.
#[derive(Clone, Debug)]
pub struct DockerSettings {
    /// `DOCKER_HOST`; none for the usual socket.
    pub host: Option<String>,
    /// Id of this installation: containers of others are never touched.
    pub installation: String,
    pub init: InitBinary,
    /// What may be mounted: run directories, agent bundles, base repositories.
    pub roots: Vec<PathBuf>,
    /// The operator's home, whose secrets are never mounted.
    pub home: Option<PathBuf>,
    /// Bytes that must stay free where runs write; below it nothing starts.
    pub free_floor_bytes: u64,
}
