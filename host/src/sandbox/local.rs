//! The sandbox for machines without an engine: `borg-init local` as a child of the host, sealed as far as this kernel allows.
//!
//! Weaker than a container, so it is used only where somebody said so ([`Allowed`]), and what could not be had is said with every run. The
//! process dies with the host; a later host finds the notes and the output of such a run and calls it lost.

mod tail;

use super::{
    Error, Found, InitBinary, Line, MountRules, RunDirs, Started, Strength,
    disk::check_floor,
    follow::{Fate, Reader, grace, note_cause, noted_cause},
    job::{self, Shown},
    watch::{Progress, Watch, age},
};
use crate::spawn::{Spawner, Spec, Stdout, Stop};
use borg_core::{
    executor::{EndCause, RunEnd},
    id::RunKey,
    run::{Attestation, Limits, SandboxSpec},
};
use borg_init::{Mount, Record};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use serde::{Deserialize, Serialize};
use std::{
    collections::HashMap,
    fs, io,
    os::{fd::OwnedFd, unix::process::ExitStatusExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tail::{End, Tail};
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};

/// Time for init to confine the process and report it.
const READY: Duration = Duration::from_secs(20);
/// Time for a process to be gone after SIGKILL.
const DEAD: Duration = Duration::from_secs(15);
/// Time beyond the wall limit at which the spawner ends a run whose output nobody follows.
const BACKSTOP: Duration = Duration::from_secs(60);
/// Notes of a run in its directory.
const NOTES: &str = "local.json";
/// What init shows of every machine.
const SHOWN: [&str; 2] = ["/usr", "/nix/store"];
/// Init's output in the run's directory.
const OUTPUT: &str = "output.ndjson";

/// Who allowed the weaker sandbox.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowed {
    /// `demo`: the shipped example on a repository of its own.
    Demo,
    /// An explicit line of policy.
    ByPolicy,
}

/// What the adapter is told at its start.
#[derive(Clone, Debug)]
pub struct LocalSettings {
    pub allowed: Allowed,
    pub init: InitBinary,
    /// Directory that holds one directory per run key: where notes and output are kept.
    pub runs: PathBuf,
    /// What may be shown inside: run directories, agent bundles, base repositories.
    pub roots: Vec<PathBuf>,
    /// The operator's home, whose secrets are never shown.
    pub home: Option<PathBuf>,
    /// Bytes that must stay free where runs write; below it nothing starts.
    pub free_floor_bytes: u64,
}

/// The sandbox without an engine.
pub struct Local {
    settings: LocalSettings,
    spawner: Spawner,
    rules: MountRules,
    live: Mutex<HashMap<RunKey, Live>>,
}

/// A process of this host.
struct Live {
    pidfd: Arc<OwnedFd>,
    pid: i32,
    ended: watch::Receiver<Option<End>>,
    /// Waits for the process; ends with it.
    waiter: JoinHandle<()>,
}

/// What is kept of a run, for this host and the next.
#[derive(Serialize, Deserialize)]
struct Notes {
    limits: Limits,
    disk: Vec<PathBuf>,
    ended_by: PathBuf,
}

impl Local {
    /// Prepares the sandbox; whether it works here is known when the first run starts.
    pub fn new(settings: LocalSettings, spawner: Spawner) -> Self {
        let mut rules = MountRules::new(&settings.roots, settings.home.as_deref(), None);
        // What policy names must not lay open what the host keeps beside its runs: secrets, the journal, the control socket.
        settings.runs.parent().into_iter().for_each(|data| rules.close(data));
        Local { settings, spawner, rules, live: Mutex::default() }
    }

    pub(super) fn describe(&self) -> Strength {
        let why = match self.settings.allowed {
            Allowed::Demo => "for the demo",
            Allowed::ByPolicy => "allowed by policy",
        };
        let kernel = rustix::system::uname().release().to_string_lossy().into_owned();
        Strength {
            sandbox: "local",
            summary: format!("borg-init on this machine, kernel {kernel}, {why}"),
            features: vec![
                "Landlock, seccomp and limits by borg-init; namespaces where the kernel gives them".to_owned(),
            ],
            missing: [vec![
                "a processor limit, and one of memory that the kernel holds (it is watched): they need a container engine".to_owned(),
            ], missing()]
                .concat(),
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<RunKey, Live>> {
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn dir(&self, run: RunKey) -> PathBuf {
        self.settings.runs.join(run.to_string())
    }

    fn notes(&self, run: RunKey) -> Option<Notes> {
        serde_json::from_slice(&fs::read(self.dir(run).join(NOTES)).ok()?).ok()
    }

    /// The end of a run of this host, or an end without any knowledge for one of an earlier host.
    fn ended(&self, run: RunKey) -> watch::Receiver<Option<End>> {
        let lost = || watch::channel(Some(End { status: None, stderr: String::new() })).1;
        self.live().get(&run).map_or_else(lost, |live| live.ended.clone())
    }

    pub(super) async fn start(&self, spec: &SandboxSpec, dirs: &RunDirs) -> Result<Started, Error> {
        let (init, run) = (self.settings.init.clone(), spec.run);
        blocking(move || init.verify()).await?;
        let known = self.live().contains_key(&run) || self.notes(run).is_some();
        if !known {
            dirs.check(&self.rules)?;
            check_floor(&dirs.workspace, self.settings.free_floor_bytes)?;
            self.spawn(spec, dirs).await?;
        }
        let pid = self.live().get(&run).filter(|live| live.ended.borrow().is_none()).map_or(0, |live| live.pid);
        let ready = tokio::time::timeout(READY, self.ready(run)).await;
        match ready.unwrap_or_else(|_| Err(Error::NotReady(format!("no word from init in {READY:?}")))) {
            Ok((landlock_abi, seccomp, mut missing)) => {
                missing.extend(self::missing());
                missing.extend(unpinned(spec, dirs, &self.rules));
                let attestation = Attestation {
                    sandbox: "local".to_owned(),
                    image_id: None,
                    policy: spec.policy,
                    landlock_abi,
                    seccomp,
                    missing,
                };
                Ok(Started { attestation, init_pid: pid })
            }
            Err(error) => {
                // Nothing of a failed start may stay behind to be adopted later.
                if let Err(error) = self.remove(run).await {
                    tracing::warn!(%error, %run, "a run that failed to start could not be removed");
                }
                Err(error)
            }
        }
    }

    async fn spawn(&self, spec: &SandboxSpec, dirs: &RunDirs) -> Result<(), Error> {
        let dir = self.dir(spec.run);
        let (spec, dirs) = (spec.clone(), dirs.clone());
        let run = spec.run;
        let timeout = Duration::from_millis(spec.limits.wall_ms) + BACKSTOP;
        let rules = self.rules.clone();
        let job_file = dirs.input.join(borg_init::JOB_NAME);
        let output = blocking(move || {
            job::make_dirs(&spec, &dirs)?;
            let mut job = job::job(&spec, &dirs);
            if let Some(path) = search_path(&spec.host_paths) {
                job.env.push(("PATH".to_owned(), path));
            }
            job.local = Some(borg_init::Local { mounts: mounts(&spec, &dirs, &rules)?, user: None });
            // Counted in the user namespace that init makes, so other processes of the same user do not matter.
            job.limits.processes = Some(u64::from(spec.limits.pids));
            job::write(&job, &dirs)?;
            fs::create_dir_all(&dir).map_err(Error::io("create", &dir))?;
            let notes = Notes {
                limits: spec.limits,
                disk: vec![dirs.workspace.clone(), dirs.out.clone(), dirs.home.clone()],
                ended_by: job::ended_by(&dirs.run),
            };
            let text =
                serde_json::to_vec(&notes).expect("paths of a data directory are UTF-8, or the mounts refused them");
            let path = dir.join(OUTPUT);
            let output = fs::File::create(&path).map_err(Error::io("create", &path))?;
            let path = dir.join(NOTES);
            fs::write(&path, text).map_err(Error::io("write", &path))?;
            Ok(output)
        })
        .await?;
        let mut child = Spec::new(&self.settings.init.path)
            .args(["local", "--job"])
            .arg(job_file)
            .args(["--parent".to_owned(), std::process::id().to_string()]);
        child.stdout = Stdout::Fd(output.into());
        child.timeout = timeout;
        // Asked, init ends only after all inside are dead. When the host dies nobody waits: init has itself killed then, with all of it.
        child.stop = Stop::Ask(DEAD);
        let running = self.spawner.stream(child).await.map_err(|error| Error::Spawn(error.into()))?;
        let pid = running.pid();
        let no_such = |errno: rustix::io::Errno| Error::Spawn(io::Error::from(errno).into());
        let pidfd = pidfd_open(Pid::from_raw(pid).ok_or(Error::Unknown(run))?, PidfdFlags::empty()).map_err(no_such)?;
        let (sender, ended) = watch::channel(None);
        let waiter = tokio::spawn(async move {
            let end = match running.finish().await {
                Ok(output) => {
                    let signal = output.status.signal().map(|signal| 128 + signal);
                    End { status: output.status.code().or(signal), stderr: output.stderr }
                }
                Err(error) => End { status: None, stderr: error.to_string() },
            };
            sender.send_replace(Some(end));
        });
        self.live().insert(run, Live { pidfd: Arc::new(pidfd), pid, ended, waiter });
        Ok(())
    }

    /// Waits for init's first word in its output.
    async fn ready(&self, run: RunKey) -> Result<(u32, bool, Vec<String>), Error> {
        let ended = self.ended(run);
        let mut tail = Tail::open(&self.dir(run).join(OUTPUT), ended.clone())?;
        let mut text = Vec::new();
        while let Some(bytes) = tail.next().await? {
            text.extend_from_slice(bytes);
            while let Some(end) = text.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = text.drain(..=end).collect();
                match serde_json::from_slice::<Line>(&line).ok().and_then(|line| line.record()) {
                    Some(Record::Started { landlock_abi, seccomp, missing }) => {
                        return Ok((landlock_abi, seccomp, missing));
                    }
                    Some(Record::Refused { why }) => return Err(Error::NotReady(why)),
                    Some(Record::LineCut { .. } | Record::OutputCapped { .. } | Record::Ended { .. }) | None => {}
                }
            }
        }
        let stderr = ended.borrow().as_ref().map(|end| end.stderr.clone()).unwrap_or_default();
        Err(Error::NotReady(stderr))
    }

    pub(super) fn find(&self, run: RunKey) -> Option<Found> {
        let live = self.live().get(&run).map(|live| match *live.ended.borrow() {
            None => Found { running: true, init_pid: Some(live.pid) },
            Some(_) => Found { running: false, init_pid: None },
        });
        live.or_else(|| self.notes(run).map(|_| Found { running: false, init_pid: None }))
    }

    pub(super) fn list(&self) -> Result<Vec<(RunKey, bool)>, Error> {
        let entries = match fs::read_dir(&self.settings.runs) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(Error::io("list", &self.settings.runs)(error)),
        };
        let mut runs = Vec::new();
        for entry in entries {
            let entry = entry.map_err(Error::io("list", &self.settings.runs))?;
            let Some(run) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            if let Some(found) = self.find(run) {
                runs.push((run, found.running));
            }
        }
        Ok(runs)
    }

    pub(super) async fn lines(&self, run: RunKey, after: u64, lines: mpsc::Sender<Line>) -> Result<RunEnd, Error> {
        let Some(notes) = self.notes(run) else {
            return Ok(RunEnd { cause: EndCause::Lost, exit_code: None, stderr_tail: String::new() });
        };
        let ended = self.ended(run);
        let progress = Arc::new(Progress::new());
        let memory_of = self.live().get(&run).map(|live| live.pid);
        let (age, floor) = (memory_of.map_or(Duration::ZERO, age), self.settings.free_floor_bytes);
        let watch = Watch { limits: notes.limits, disk: notes.disk, floor, memory_of, age, progress: progress.clone() };
        let mut reader = Reader::new(run, after, lines, progress);
        let mut tail = Tail::open(&self.dir(run).join(OUTPUT), ended.clone())?;
        {
            let reading = async {
                while let Some(bytes) = tail.next().await? {
                    reader.take(bytes).await?;
                }
                Ok::<_, Error>(())
            };
            tokio::pin!(reading);
            let breach = watch.breach();
            tokio::pin!(breach);
            tokio::select! {
                read = &mut reading => read?,
                cause = &mut breach => {
                    self.kill(run, cause).await?;
                    reading.await?;
                }
            }
        }
        let killed = blocking(move || Ok(noted_cause(&notes.ended_by))).await?;
        let End { status, stderr } = ended.borrow().clone().expect("the output ends only with the process");
        Ok(reader.end(Fate { killed, out_of_memory: false, status, note: stderr }))
    }

    pub(super) async fn kill(&self, run: RunKey, cause: EndCause) -> Result<(), Error> {
        let live = self.live().get(&run).map(|live| (live.pidfd.clone(), live.ended.clone()));
        let Some((pidfd, mut ended)) = live else { return Ok(()) };
        if ended.borrow().is_some() {
            return Ok(());
        }
        if let Some(notes) = self.notes(run) {
            blocking(move || note_cause(&notes.ended_by, cause)).await?;
        }
        let signal = |signal| {
            if let Err(errno) = pidfd_send_signal(&pidfd, signal) {
                // Gone meanwhile: that is what was wanted.
                tracing::debug!(%errno, %run, "not signalled");
            }
        };
        let patience = grace(cause);
        if !patience.is_zero() {
            signal(Signal::TERM);
            if tokio::time::timeout(patience, ended.wait_for(Option::is_some)).await.is_ok() {
                return Ok(());
            }
        }
        // Init kills all inside, waits until the kernel has buried them, and ends. Killed itself it would be gone before they are, and what
        // they write would change under the eyes of whoever collects.
        signal(Signal::QUIT);
        match tokio::time::timeout(DEAD, ended.wait_for(Option::is_some)).await {
            Ok(_) => Ok(()),
            Err(_) => {
                signal(Signal::KILL);
                Err(Error::Immortal(run))
            }
        }
    }

    pub(super) async fn remove(&self, run: RunKey) -> Result<(), Error> {
        self.kill(run, EndCause::Cancelled).await?;
        let live = self.live().remove(&run);
        if let Some(live) = live {
            live.waiter.await.expect("waiting for a process does not panic");
        }
        for name in [NOTES, OUTPUT] {
            let path = self.dir(run).join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(Error::io("remove", path)(error)),
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }
}

/// What every local run lacks beside what init says itself.
fn missing() -> Vec<String> {
    vec!["an image: the programs of this machine are used".to_owned()]
}

/// Pinned files that cannot be shown read-only.
fn unpinned(spec: &SandboxSpec, dirs: &RunDirs, rules: &MountRules) -> Vec<String> {
    if spec.write.is_read_only() {
        return Vec::new();
    }
    let refused = spec.write.pinned.iter().filter_map(|pinned| rules.check_pinned(&dirs.workspace, pinned).err());
    refused.map(|why| format!("{why}; its content is restored at collection")).collect()
}

/// The usual `PATH` behind the programs of granted directories; none where none of them has any.
fn search_path(host_paths: &[String]) -> Option<String> {
    let folders = host_paths.iter().map(|path| format!("{path}/bin")).filter(|bin| Path::new(bin).is_dir());
    let folders: String = folders.map(|bin| bin + ":").collect();
    (!folders.is_empty()).then(|| folders + borg_init::PATH)
}

/// What is shown inside, every source by its checked real path.
fn mounts(spec: &SandboxSpec, dirs: &RunDirs, rules: &MountRules) -> Result<Vec<Mount>, Error> {
    let mut mounts = Vec::new();
    for Shown { dir, inside, writable } in job::shown(spec, dirs) {
        mounts.push(Mount { host: rules.check(&dir)?, inside: inside.into(), writable });
    }
    for path in spec.host_paths.iter().map(PathBuf::from) {
        let host = rules.check_granted(&path)?;
        if !SHOWN.iter().any(|shown| path.starts_with(shown)) {
            mounts.push(Mount { host, inside: path, writable: false });
        }
    }
    if !spec.write.is_read_only() {
        for pinned in &spec.write.pinned {
            // What becomes of the others is said in `unpinned`.
            if let Ok(host) = rules.check_pinned(&dirs.workspace, pinned) {
                let inside = PathBuf::from(borg_init::WORKSPACE).join(pinned);
                mounts.push(Mount { host, inside, writable: false });
            }
        }
    }
    Ok(mounts)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Error> + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.expect("file work does not panic")
}
