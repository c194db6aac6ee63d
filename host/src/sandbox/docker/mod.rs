//! Sandboxes as containers of a Docker engine on this machine, through its API.
//!
//! A container is found by its name, which comes from installation and run key, and touched only if its label names our installation.
//! What it is told is `plan.rs`; whether the engine obeyed is `attest.rs`.

mod attest;
mod plan;

use super::{
    Error, Found, Line, MountRules, RunDirs, Started, Strength,
    disk::check_floor,
    follow::{Fate, Reader, grace, note_cause, noted_cause},
    job,
    watch::{self, Progress, Watch},
};
use bollard::{
    API_DEFAULT_VERSION,
    container::LogOutput,
    errors::Error as Engine,
    models::{ContainerInspectResponse, ContainerStateStatusEnum},
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, KillContainerOptionsBuilder,
        ListContainersOptionsBuilder, LogsOptionsBuilder, RemoveContainerOptionsBuilder, StartContainerOptions,
        WaitContainerOptionsBuilder,
    },
};
use borg_core::{
    executor::{EndCause, RunEnd},
    id::RunKey,
    run::{Attestation, SandboxSpec},
};
use borg_init::Record;
use futures_util::StreamExt;
pub use plan::DockerSettings;
use plan::{Labels, Machine, Plan};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::mpsc;

/// The engine's usual socket.
const SOCKET: &str = "/var/run/docker.sock";
/// Time for the engine to begin an answer, in seconds.
const ANSWER_SECONDS: u64 = 60;
/// Time for init to confine the process and report it.
const READY: Duration = Duration::from_secs(20);
/// Time for the engine to see a container dead after SIGKILL.
const DEAD: Duration = Duration::from_secs(15);

/// A Docker engine on this machine.
pub struct Docker {
    engine: bollard::Docker,
    socket: String,
    settings: DockerSettings,
    rules: MountRules,
    machine: Machine,
}

impl Docker {
    /// Connects to the engine and agrees on a version of its API.
    pub async fn connect(settings: DockerSettings) -> Result<Self, Error> {
        let (engine, socket) = reach(settings.host.as_deref()).await?;
        let info = engine.info().await.map_err(engine_error("ask for its means"))?;
        let mut roots = settings.roots.clone();
        roots.push(settings.init.path.clone());
        let rules = MountRules::new(&roots, settings.home.as_deref(), Some(socket.as_ref()));
        let machine =
            Machine { cpus: info.ncpu.and_then(|n| u32::try_from(n).ok()).unwrap_or(1), identity: job::identity() };
        Ok(Docker { engine, socket, settings, rules, machine })
    }

    pub(super) async fn describe(&self) -> Strength {
        let missing_engine = |error: Engine| Strength {
            sandbox: "docker",
            summary: format!("the Docker engine at {} does not answer", self.socket),
            features: Vec::new(),
            missing: vec![error.to_string()],
        };
        match self.engine.info().await {
            Ok(info) => attest::strength(info, &self.engine.client_version().to_string()),
            Err(error) => missing_engine(error),
        }
    }

    pub(super) async fn start(&self, spec: &SandboxSpec, dirs: &RunDirs) -> Result<Started, Error> {
        let init = self.settings.init.clone();
        blocking(move || init.verify()).await?;
        let image = self.image(&spec.image.0).await?;
        let existing = self.ours(spec.run).await?;
        let adopt = existing.as_ref().is_some_and(|found| status(found) != Some(ContainerStateStatusEnum::CREATED));
        if !adopt {
            if existing.is_some() {
                // Made by a host that died before starting it.
                self.remove(spec.run).await?;
            }
            dirs.check(&self.rules)?;
            check_floor(&dirs.workspace, self.settings.free_floor_bytes)?;
            let (spec, dirs) = (spec.clone(), dirs.clone());
            blocking(move || {
                job::make_dirs(&spec, &dirs)?;
                job::write(&job::job(&spec, &dirs), &dirs)
            })
            .await?;
        }
        let running = existing.as_ref().filter(|_| adopt);
        let plan = plan::plan(spec, dirs, &image, &self.settings, &self.rules, &self.machine, running)?;
        let name = self.name(spec.run);
        if !adopt {
            self.create(&name, &plan).await?;
        }
        match self.begin(&name, spec, plan, !adopt).await {
            Ok(started) => Ok(started),
            Err(error) => {
                // Nothing of a failed start may stay behind to be adopted later; but an engine that is away says nothing of a live run.
                if (!adopt || !error.is_passing())
                    && let Err(error) = self.remove(spec.run).await
                {
                    tracing::warn!(%error, run = %spec.run, "a run that failed to start could not be removed");
                }
                Err(error)
            }
        }
    }

    async fn create(&self, name: &str, plan: &Plan) -> Result<(), Error> {
        let options = CreateContainerOptionsBuilder::new().name(name).build();
        self.engine
            .create_container(Some(options), plan.body.clone())
            .await
            .map(drop)
            .map_err(engine_error("create the container"))
    }

    /// Compares the container with its plan, starts it if it is new, and waits for init's word.
    async fn begin(&self, name: &str, spec: &SandboxSpec, plan: Plan, start: bool) -> Result<Started, Error> {
        let found = self.inspect(name).await?.ok_or(Error::Unknown(spec.run))?;
        let differences = attest::differences(&plan, &found);
        if !differences.is_empty() {
            return Err(Error::Mismatch(differences));
        }
        if start {
            self.engine
                .start_container(name, None::<StartContainerOptions>)
                .await
                .map_err(engine_error("start the container"))?;
        }
        let ready = tokio::time::timeout(READY, self.ready(name)).await;
        let (landlock_abi, seccomp, mut missing) =
            ready.map_err(|_| Error::NotReady(format!("no word from init in {READY:?}")))??;
        let found = self.inspect(name).await?.ok_or(Error::Unknown(spec.run))?;
        missing.extend(plan.missing);
        let attestation = Attestation {
            sandbox: "docker".to_owned(),
            image_id: found.image.clone(),
            policy: spec.policy,
            landlock_abi,
            seccomp,
            missing,
        };
        Ok(Started { attestation, init_pid: pid(&found).unwrap_or(0) })
    }

    /// Waits for init's first word. As in [`Docker::read`], a log that the end of a quick process cut short is read once more.
    async fn ready(&self, name: &str) -> Result<(u32, bool, Vec<String>), Error> {
        loop {
            let ran = self.inspect(name).await?.is_some_and(|found| is_running(&found));
            if let Some(word) = self.first_word(name).await? {
                return Ok(word);
            }
            if !ran {
                return Err(Error::NotReady(self.complaint(name).await));
            }
            self.wait(name).await?;
        }
    }

    /// Init's first word in the container's log; none where the log ends before it.
    async fn first_word(&self, name: &str) -> Result<Option<(u32, bool, Vec<String>)>, Error> {
        let mut log = Box::pin(self.log(name));
        let mut text = Vec::new();
        while let Some(chunk) = log.next().await {
            text.extend_from_slice(chunk.map_err(engine_error("read the log"))?.as_ref());
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                match serde_json::from_slice::<Line>(&line).ok().and_then(|line| line.record()) {
                    Some(Record::Started { landlock_abi, seccomp, missing }) => {
                        return Ok(Some((landlock_abi, seccomp, missing)));
                    }
                    Some(Record::Refused { why }) => return Err(Error::NotReady(why)),
                    Some(Record::LineCut { .. } | Record::OutputCapped { .. } | Record::Ended { .. }) | None => {}
                }
            }
        }
        Ok(None)
    }

    /// What init or the engine said outside of init's lines.
    async fn complaint(&self, name: &str) -> String {
        let options = LogsOptionsBuilder::new().stderr(true).tail("20").build();
        let mut log = Box::pin(self.engine.logs(name, Some(options)));
        let mut text = String::new();
        while let Some(Ok(chunk)) = log.next().await {
            text.push_str(&String::from_utf8_lossy(chunk.as_ref()));
        }
        text
    }

    /// What init printed from its start, and what it goes on to print.
    fn log(&self, name: &str) -> impl futures_util::Stream<Item = Result<LogOutput, Engine>> {
        let options = LogsOptionsBuilder::new().stdout(true).follow(true).build();
        self.engine.logs(name, Some(options))
    }

    pub(super) async fn find(&self, run: RunKey) -> Result<Option<Found>, Error> {
        Ok(self.ours(run).await?.map(|found| Found { running: is_running(&found), init_pid: pid(&found) }))
    }

    pub(super) async fn list(&self) -> Result<Vec<(RunKey, bool)>, Error> {
        let label = format!("{}={}", plan::INSTALLATION, self.settings.installation);
        let filters = HashMap::from([("label".to_owned(), vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let found = self.engine.list_containers(Some(options)).await.map_err(engine_error("list containers"))?;
        let run = |labels: Option<HashMap<String, String>>| labels?.get(plan::RUN)?.parse().ok();
        let running = |state| state == Some(bollard::models::ContainerSummaryStateEnum::RUNNING);
        Ok(found.into_iter().filter_map(|found| Some((run(found.labels)?, running(found.state)))).collect())
    }

    pub(super) async fn lines(&self, run: RunKey, after: u64, lines: mpsc::Sender<Line>) -> Result<RunEnd, Error> {
        let lost = || RunEnd { cause: EndCause::Lost, exit_code: None, stderr_tail: String::new() };
        let Some(found) = self.ours(run).await? else { return Ok(lost()) };
        let labels = Labels::of(&found).ok_or(Error::Unknown(run))?;
        let progress = Arc::new(Progress::new());
        let age = pid(&found).map_or(Duration::ZERO, watch::age);
        let floor = self.settings.free_floor_bytes;
        // Memory is the engine's to hold.
        let (limits, disk) = (labels.limits, labels.disk);
        let watch = Watch { limits, disk, floor, memory_of: None, age, progress: progress.clone() };
        let mut reader = Reader::new(run, after, lines, progress);
        let name = self.name(run);
        let found = {
            let reading = self.read(&name, &mut reader);
            tokio::pin!(reading);
            let breach = watch.breach();
            tokio::pin!(breach);
            tokio::select! {
                found = &mut reading => found?,
                cause = &mut breach => {
                    self.kill(run, cause).await?;
                    reading.await?
                }
            }
        };
        let Some(found) = found else { return Ok(lost()) };
        let note = self.complaint(&name).await;
        let state = found.state.unwrap_or_default();
        let killed = blocking(move || Ok(noted_cause(&labels.ended_by))).await?;
        let out_of_memory = state.oom_killed.unwrap_or(false);
        let status = state.exit_code.and_then(|code| i32::try_from(code).ok());
        Ok(reader.end(Fate { killed, out_of_memory, status, note }))
    }

    /// Reads the log to the container's end, from its start again whenever the engine cuts the connection.
    async fn read(&self, name: &str, reader: &mut Reader) -> Result<Option<ContainerInspectResponse>, Error> {
        loop {
            reader.rewind();
            let before = self.inspect(name).await?;
            let mut log = Box::pin(self.log(name));
            while let Some(chunk) = log.next().await {
                match chunk {
                    Ok(chunk) => reader.take(chunk.as_ref()).await?,
                    Err(error) => {
                        tracing::debug!(%error, name, "the engine cut a log");
                        break;
                    }
                }
            }
            match before {
                None => return Ok(None),
                // A log that was cut short by the end is read once more; one that holds init's last word is whole.
                Some(before) if !is_running(&before) => return Ok(Some(before)),
                Some(_) => self.wait(name).await?,
            }
            if reader.is_whole() {
                return self.inspect(name).await;
            }
        }
    }

    /// Returns when the container does not run, or is gone.
    async fn wait(&self, name: &str) -> Result<(), Error> {
        loop {
            // `next-exit` would hang when the container has ended meanwhile.
            let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
            match Box::pin(self.engine.wait_container(name, Some(options))).next().await {
                Some(Ok(_) | Err(Engine::DockerContainerWaitError { .. })) => return Ok(()),
                Some(Err(error)) if is_status(&error, 404) => return Ok(()),
                Some(Err(error)) if !matches!(error, Engine::RequestTimeoutError) => {
                    return Err(engine_error("wait for the container")(error));
                }
                Some(Err(_)) | None => match self.inspect(name).await? {
                    Some(found) if is_running(&found) => {}
                    Some(_) | None => return Ok(()),
                },
            }
        }
    }

    pub(super) async fn kill(&self, run: RunKey, cause: EndCause) -> Result<(), Error> {
        let Some(found) = self.ours(run).await? else { return Ok(()) };
        if !is_running(&found) {
            return Ok(());
        }
        if let Some(labels) = Labels::of(&found) {
            blocking(move || note_cause(&labels.ended_by, cause)).await?;
        }
        let name = self.name(run);
        let patience = grace(cause);
        if !patience.is_zero() {
            self.signal(&name, "SIGTERM").await?;
            if let Ok(waited) = tokio::time::timeout(patience, self.wait(&name)).await {
                return waited;
            }
        }
        self.signal(&name, "SIGKILL").await?;
        tokio::time::timeout(DEAD, self.wait(&name)).await.map_err(|_| Error::Immortal(run))?
    }

    async fn signal(&self, name: &str, signal: &str) -> Result<(), Error> {
        let options = KillContainerOptionsBuilder::new().signal(signal).build();
        match self.engine.kill_container(name, Some(options)).await {
            // Gone, or not running any more: that is what was wanted.
            Err(error) if is_status(&error, 404) || is_status(&error, 409) => Ok(()),
            answer => answer.map_err(engine_error("signal the container")),
        }
    }

    pub(super) async fn remove(&self, run: RunKey) -> Result<(), Error> {
        if self.ours(run).await?.is_none() {
            return Ok(());
        }
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        match self.engine.remove_container(&self.name(run), Some(options)).await {
            Err(error) if is_status(&error, 404) => Ok(()),
            // Another removal is under way.
            Err(error) if is_status(&error, 409) => Ok(()),
            answer => answer.map_err(engine_error("remove the container")),
        }
    }

    fn name(&self, run: RunKey) -> String {
        let short: String = self.settings.installation.chars().filter(char::is_ascii_alphanumeric).take(12).collect();
        format!("borg-{short}-{run}")
    }

    /// The container of a run, if there is one and it is ours.
    async fn ours(&self, run: RunKey) -> Result<Option<ContainerInspectResponse>, Error> {
        let name = self.name(run);
        let Some(found) = self.inspect(&name).await? else { return Ok(None) };
        let installation = found.config.as_ref().and_then(|config| config.labels.as_ref()?.get(plan::INSTALLATION));
        if installation != Some(&self.settings.installation) {
            return Err(Error::NameTaken(name));
        }
        Ok(Some(found))
    }

    async fn inspect(&self, name: &str) -> Result<Option<ContainerInspectResponse>, Error> {
        match self.engine.inspect_container(name, None::<InspectContainerOptions>).await {
            Ok(found) => Ok(Some(found)),
            Err(error) if is_status(&error, 404) => Ok(None),
            Err(error) => Err(engine_error("inspect the container")(error)),
        }
    }

    /// Makes sure that the engine has an image, and that a sandbox can be made of it.
    pub async fn check_image(&self, reference: &str) -> Result<(), Error> {
        self.image(reference).await.map(|_| ())
    }

    /// The image by its id, so that a tag that moves meanwhile changes nothing.
    async fn image(&self, reference: &str) -> Result<plan::Image, Error> {
        let found = match self.engine.inspect_image(reference).await {
            Ok(found) => found,
            Err(error) if is_status(&error, 404) => return Err(Error::NoImage(reference.to_owned())),
            Err(error) => return Err(engine_error("inspect the image")(error)),
        };
        let id = found.id.ok_or_else(|| Error::NoImage(reference.to_owned()))?;
        let volumes = found.config.and_then(|config| config.volumes).unwrap_or_default();
        Ok(plan::Image { reference: reference.to_owned(), id, volumes })
    }
}

/// Connects to an engine by its `unix://` address.
pub(super) async fn reach(host: Option<&str>) -> Result<(bollard::Docker, String), Error> {
    let socket = match host {
        None | Some("") => SOCKET,
        Some(host) => match host.strip_prefix("unix://") {
            Some(path) if path.starts_with('/') => path,
            Some(_) | None => return Err(Error::BadEngineAddress(host.to_owned())),
        },
    };
    let no_engine = |error: Engine| Error::NoEngine { socket: socket.to_owned(), source: error.into() };
    let engine = bollard::Docker::connect_with_unix(socket, ANSWER_SECONDS, API_DEFAULT_VERSION).map_err(no_engine)?;
    Ok((engine.negotiate_version().await.map_err(no_engine)?, socket.to_owned()))
}

/// Wraps an error of the engine's client.
pub(super) fn engine_error(doing: &'static str) -> impl FnOnce(Engine) -> Error {
    move |source| Error::Engine { doing, source: source.into() }
}

/// True when the engine answered with this HTTP status.
pub(super) fn is_status(error: &Engine, status: u16) -> bool {
    matches!(error, Engine::DockerResponseServerError { status_code, .. } if *status_code == status)
}

fn status(found: &ContainerInspectResponse) -> Option<ContainerStateStatusEnum> {
    found.state.as_ref()?.status
}

fn is_running(found: &ContainerInspectResponse) -> bool {
    found.state.as_ref().and_then(|state| state.running).unwrap_or(false)
}

fn pid(found: &ContainerInspectResponse) -> Option<i32> {
    let pid = found.state.as_ref()?.pid?;
    i32::try_from(pid).ok().filter(|pid| *pid > 0)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.expect("file work does not panic")
}
