//! One run in the Docker sandbox, from start to removal, over a container with the same flags and command that nobody looks after.
//!
//! Ours plans, verifies the container against its plan, waits for init's word, reads numbered lines, watches the disk, notes the end.
//! The flags of the bare one are those the engine reports for ours, so they cannot drift apart.

use crate::{init, scratch};
use anyhow::{Context, Result, ensure};
use bollard::{
    models::{ContainerCreateBody, ContainerInspectResponse, HostConfig},
    query_parameters::{
        CreateContainerOptions, InspectContainerOptions, RemoveContainerOptions, RemoveContainerOptionsBuilder,
        StartContainerOptions, WaitContainerOptions,
    },
};
use borg_core::{
    executor::EndCause,
    id::{Digest, RunKey, RunKind, TaskId},
    run::{ImageRef, Limits, SandboxSpec, WriteGrant},
};
use borg_host::sandbox::{Docker, DockerSettings, RunDirs, Sandbox};
use borg_tests::{
    measure::{PATIENCE, Row, compare, timed},
    process, require,
};
use futures_util::TryStreamExt;
use serde_json::Value;
use std::{cell::Cell, fs, time::Instant};
use tempfile::TempDir;
use tokio::sync::mpsc;

const ROUNDS: usize = 15;
const IMAGE: &str = "borg-base:latest";
const COMMAND: &str = "/bin/true";

pub async fn measure() -> Result<()> {
    if !is_possible() {
        return Ok(());
    }
    let bare = Bare::new().await?;
    let cli = compare(ROUNDS, async || bare.room.run().await, async || bare.docker_run()).await?;
    println!("{}", Row::times("sandboxed run of `/bin/true`, over `docker run` with the same flags", cli));
    let api = compare(ROUNDS, async || bare.room.run().await, async || bare.calls().await).await?;
    println!("{}", Row::times("the same, over the engine's four bare calls (create, start, wait, remove)", api));
    Ok(())
}

/// Whether containers can be started here; says so when not.
pub fn is_possible() -> bool {
    require::image(IMAGE)
}

/// Containers like those of ours, that nobody looks after.
pub struct Bare {
    room: Room,
    engine: bollard::Docker,
    /// What the engine says of one of ours; the directories it mounted are still there.
    like: ContainerInspectResponse,
    /// Arguments of `docker run`.
    flags: Vec<String>,
}

impl Bare {
    pub async fn new() -> Result<Self> {
        let room = Room::new().await?;
        let engine = bollard::Docker::connect_with_defaults()?.negotiate_version().await?;
        let like = room.example(&engine).await?;
        let flags = flags(&engine, &like).await?;
        Ok(Bare { room, engine, like, flags })
    }

    /// Seconds of a whole `docker run`.
    pub fn docker_run(&self) -> Result<f64> {
        let mut docker = process::command("docker");
        docker.arg("run").arg("--rm").args(&self.flags);
        let start = Instant::now();
        process::run(docker, "", PATIENCE)?.success();
        Ok(start.elapsed().as_secs_f64())
    }

    /// Seconds of what `docker run` asks of the engine, without its client.
    async fn calls(&self) -> Result<f64> {
        let config = self.like.config.clone().context("a container has a config")?;
        let body = ContainerCreateBody {
            image: self.like.image.clone(),
            user: config.user,
            hostname: config.hostname,
            working_dir: config.working_dir,
            entrypoint: Some(vec![COMMAND.to_owned()]),
            host_config: self.like.host_config.clone(),
            ..ContainerCreateBody::default()
        };
        let engine = &self.engine;
        let (done, seconds) = timed(async {
            let id = engine.create_container(None::<CreateContainerOptions>, body).await?.id;
            engine.start_container(&id, None::<StartContainerOptions>).await?;
            engine.wait_container(&id, None::<WaitContainerOptions>).try_collect::<Vec<_>>().await?;
            let remove = RemoveContainerOptionsBuilder::new().v(true).force(true).build();
            engine.remove_container(&id, Some(remove)).await
        })
        .await;
        done?;
        Ok(seconds)
    }
}

struct Room {
    sandbox: Sandbox,
    installation: String,
    next: Cell<u64>,
    dir: TempDir,
}

impl Room {
    async fn new() -> Result<Self> {
        let dir = scratch()?;
        let top = dir.path().canonicalize()?;
        let runs = top.join("runs");
        fs::create_dir(&runs)?;
        let installation = format!("bench{}", Digest::of_bytes(top.as_os_str().as_encoded_bytes()).short());
        let settings = DockerSettings {
            host: None,
            installation: installation.clone(),
            init: init(&top)?,
            roots: vec![runs],
            home: None,
            free_floor_bytes: 0,
        };
        let sandbox = Sandbox::Docker(Docker::connect(settings).await?);
        Ok(Room { sandbox, installation, next: Cell::new(1), dir })
    }

    /// A run like an agent's, and its directories.
    fn next(&self) -> Result<(SandboxSpec, RunDirs)> {
        let task = TaskId(self.next.replace(self.next.get() + 1));
        let run = RunKey { owner: task.into(), place: 0, fence: 1, kind: RunKind::Agent };
        let spec = SandboxSpec {
            run,
            image: ImageRef(IMAGE.to_owned()),
            limits: Limits {
                memory_bytes: 1 << 30,
                cpu_millis: 2000,
                pids: 256,
                disk_bytes: 4 << 30,
                disk_files: 100_000,
                output_bytes: 64 << 20,
                wall_ms: 60_000,
                idle_ms: 60_000,
            },
            argv: vec![COMMAND.to_owned()],
            env: Vec::new(),
            home_files: Vec::new(),
            host_paths: Vec::new(),
            stdin: Vec::new(),
            write: WriteGrant { allow: vec!["**".to_owned()], ..WriteGrant::default() },
            gateway: false,
            exec: true,
            bundle: None,
            policy: Digest::of_bytes(b"bench"),
        };
        let top = self.dir.path().canonicalize()?.join("runs").join(run.to_string());
        let dirs = RunDirs {
            workspace: top.join("workspace"),
            input: top.join("in"),
            out: top.join("out"),
            home: top.join("home"),
            run: top.join("run"),
            agent: None,
            base_repo: None,
        };
        for dir in [&dirs.workspace, &dirs.input, &dirs.out, &dirs.home, &dirs.run] {
            fs::create_dir_all(dir)?;
        }
        Ok((spec, dirs))
    }

    /// Seconds of a run from start to removal.
    async fn run(&self) -> Result<f64> {
        let (spec, dirs) = self.next()?;
        let (ended, seconds) = timed(async {
            self.sandbox.start(&spec, &dirs).await?;
            let (sender, mut lines) = mpsc::channel(16);
            let read = async { while lines.recv().await.is_some() {} };
            let (end, ()) = tokio::join!(self.sandbox.lines(spec.run, 0, sender), read);
            self.sandbox.remove(spec.run).await?;
            end
        })
        .await;
        let ended = ended?;
        ensure!(ended.cause == EndCause::Exited && ended.exit_code == Some(0), "the run ended with {ended:?}");
        Ok(seconds)
    }

    /// What the engine says of a container of ours.
    async fn example(&self, engine: &bollard::Docker) -> Result<ContainerInspectResponse> {
        let (spec, dirs) = self.next()?;
        self.sandbox.start(&spec, &dirs).await?;
        let name = container(&self.installation, spec.run)?;
        let found = engine.inspect_container(&name, None::<InspectContainerOptions>).await;
        // Its directories stay: the bare containers mount them too.
        self.sandbox.remove(spec.run).await?;
        Ok(found?)
    }
}

/// Name of the container of a run, by its labels.
fn container(installation: &str, run: RunKey) -> Result<String> {
    let mut ps = process::command("docker");
    ps.args(["ps", "--all", "--no-trunc", "--quiet"]);
    ps.args([
        "--filter",
        &format!("label=borg.installation={installation}"),
        "--filter",
        &format!("label=borg.run={run}"),
    ]);
    Ok(process::run(ps, "", PATIENCE)?.success().stdout.trim().to_owned())
}

/// Arguments of `docker run` that make a container like this one, with the bare command as its first process. Tried before they are used.
async fn flags(engine: &bollard::Docker, like: &ContainerInspectResponse) -> Result<Vec<String>> {
    let config = like.config.clone().context("a container has a config")?;
    let host = like.host_config.clone().context("a container has a host config")?;
    let mut flags = vec!["--read-only".to_owned(), "--no-healthcheck".to_owned()];
    let mut flag = |name: &str, value: String| flags.push(format!("--{name}={value}"));
    flag("entrypoint", COMMAND.to_owned());
    flag("user", config.user.unwrap_or_default());
    flag("hostname", config.hostname.unwrap_or_default());
    flag("workdir", config.working_dir.unwrap_or_default());
    flag("network", host.network_mode.clone().unwrap_or_default());
    flag("ipc", host.ipc_mode.clone().unwrap_or_default());
    flag("memory", host.memory.unwrap_or_default().to_string());
    flag("memory-swap", host.memory_swap.unwrap_or_default().to_string());
    flag("cpus", (host.nano_cpus.unwrap_or_default() as f64 / 1e9).to_string());
    flag("pids-limit", host.pids_limit.unwrap_or_default().to_string());
    flag("shm-size", host.shm_size.unwrap_or_default().to_string());
    let log = host.log_config.clone().unwrap_or_default();
    flag("log-driver", log.typ.unwrap_or_default());
    log.config.into_iter().flatten().for_each(|(name, value)| flag("log-opt", format!("{name}={value}")));
    host.cap_drop.iter().flatten().for_each(|cap| flag("cap-drop", cap.clone()));
    host.security_opt.iter().flatten().for_each(|option| flag("security-opt", option.clone()));
    for limit in host.ulimits.iter().flatten() {
        let (soft, hard) = (limit.soft.unwrap_or_default(), limit.hard.unwrap_or_default());
        flag("ulimit", format!("{}={soft}:{hard}", limit.name.clone().unwrap_or_default()));
    }
    host.tmpfs.iter().flatten().for_each(|(path, options)| flag("tmpfs", format!("{path}:{options}")));
    for mount in host.mounts.iter().flatten() {
        let (source, target) = (mount.source.clone().unwrap_or_default(), mount.target.clone().unwrap_or_default());
        let read_only = if mount.read_only == Some(true) { ",readonly" } else { "" };
        flag("mount", format!("type=bind,source={source},target={target},bind-propagation=rprivate{read_only}"));
    }
    flags.push(like.image.clone().context("a container has an image")?);

    let mut create = process::command("docker");
    create.arg("create").args(&flags);
    let id = process::run(create, "", PATIENCE)?.success().stdout.trim().to_owned();
    let made = engine.inspect_container(&id, None::<InspectContainerOptions>).await?;
    engine.remove_container(&id, None::<RemoveContainerOptions>).await?;
    let made = made.host_config.context("a container has a host config")?;
    let (made, wanted) = (said(&made)?, said(&host)?);
    ensure!(made == wanted, "`docker run` would not start the same container:\n{made}\nand ours:\n{wanted}");
    Ok(flags)
}

/// What a host config says apart from what it leaves at the engine's default.
fn said(config: &HostConfig) -> Result<Value> {
    fn is_default(value: &Value) -> bool {
        match value {
            Value::Null => true,
            Value::Bool(is) => !is,
            Value::Number(n) => matches!(n.as_i64(), Some(0 | -1)),
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.iter().all(is_default),
            Value::Object(fields) => fields.is_empty(),
        }
    }
    let mut value = serde_json::to_value(config)?;
    if let Some(fields) = value.as_object_mut() {
        fields.retain(|_, value| !is_default(value));
    }
    Ok(value)
}
