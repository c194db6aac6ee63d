//! What the sandbox tests share: a room with an adapter and run directories of its own, which leaves nothing behind.

use borg_core::{
    executor::RunEnd,
    id::{Digest, RunKey, RunKind, TaskId},
    run::{ImageRef, Limits, SandboxSpec, WriteGrant},
};
use borg_host::{
    sandbox::{
        Allowed, Docker, DockerSettings, Error, InitBinary, Line, Local, LocalSettings, RunDirs, Sandbox, Started,
        Stream,
    },
    spawn::Spawner,
};
use std::{
    fs,
    io::Write,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;

/// The image all container tests start from.
pub const IMAGE: &str = "borg-base:latest";
/// No test waits longer than this for anything.
const PATIENCE: Duration = Duration::from_secs(60);

#[expect(clippy::disallowed_methods, reason = "the one place where these tests read their own settings")]
pub fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Says that a test does not run here; fails it where nothing may be skipped.
#[track_caller]
pub fn skip(what: &str) {
    assert!(setting("BORG_TEST_REQUIRE_ALL").is_none(), "{what}, and BORG_TEST_REQUIRE_ALL is set");
    eprintln!("skipped: {what}");
    if let Some(path) = setting("BORG_TEST_SKIPPED") {
        let test = std::thread::current().name().unwrap_or("a test").to_owned();
        let mut file =
            fs::File::options().append(true).create(true).open(path).expect("the runner's file can be written");
        file.write_all(format!("{test}: {what}\n").as_bytes()).expect("the runner's file can be written");
    }
}

/// The init to test with: `BORG_INIT` names it, or it is built once.
fn init() -> &'static Path {
    static INIT: OnceLock<PathBuf> = OnceLock::new();
    INIT.get_or_init(|| setting("BORG_INIT").map_or_else(build_init, PathBuf::from))
}

#[expect(clippy::disallowed_methods, reason = "cargo is run by the test, not by the host")]
fn build_init() -> PathBuf {
    let triple = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let mut cargo = std::process::Command::new(env!("CARGO"));
    cargo.args([
        "build",
        "--quiet",
        "--package",
        "borg-init",
        "--target",
        &triple,
        "--message-format=json-render-diagnostics",
    ]);
    cargo.current_dir(env!("CARGO_MANIFEST_DIR")).env_clear();
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR"] {
        cargo.envs(setting(name).map(|value| (name, value)));
    }
    let output = cargo.stderr(std::process::Stdio::inherit()).output().expect("cargo starts");
    assert!(output.status.success(), "borg-init does not build for {triple}");
    let messages = String::from_utf8(output.stdout).expect("cargo prints JSON");
    let artifact = messages.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let program = artifact.filter_map(|message| message["executable"].as_str().map(PathBuf::from)).next_back();
    program.expect("cargo names the program")
}

/// Which adapter a room has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Docker,
    Local,
}

/// An adapter with an installation id and directories of its own.
pub struct Room {
    pub kind: Kind,
    pub sandbox: Arc<Sandbox>,
    pub installation: String,
    dir: tempfile::TempDir,
    tasks: AtomicU32,
}

/// How a run went.
#[derive(Debug)]
pub struct Ran {
    pub started: Started,
    pub lines: Vec<Line>,
    pub end: RunEnd,
}

impl Ran {
    /// What was printed on one stream.
    pub fn text(&self, stream: Stream) -> String {
        self.lines.iter().filter(|line| line.stream == stream).map(|line| format!("{}\n", line.text)).collect()
    }

    pub fn out(&self) -> String {
        self.text(Stream::Out)
    }
}

impl Room {
    /// A room of the kind, or none where the machine has no such thing.
    pub async fn new(kind: Kind) -> Option<Room> {
        Room::with_floor(kind, 0).await
    }

    pub async fn with_floor(kind: Kind, free_floor_bytes: u64) -> Option<Room> {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let top = dir.path().canonicalize().expect("it exists");
        fs::create_dir(top.join("runs")).expect("a new directory");
        fs::create_dir(top.join("bundle")).expect("a new directory");
        // A copy, because somebody else may rebuild the original meanwhile.
        fs::copy(init(), top.join("borg-init")).expect("init can be copied");
        fs::set_permissions(top.join("borg-init"), fs::Permissions::from_mode(0o755)).expect("it is ours");
        let installation = format!("test{}", Digest::of_bytes(top.as_os_str().as_encoded_bytes()).short());
        let room = |sandbox| Room { kind, sandbox: Arc::new(sandbox), installation, dir, tasks: AtomicU32::new(0) };
        let sandbox = Room::adapter(kind, &top, None, free_floor_bytes).await?;
        Some(room(sandbox))
    }

    /// True where there is Python inside; containers bring their own.
    #[track_caller]
    pub fn has_python(&self) -> bool {
        let there = self.kind == Kind::Docker
            || ["/usr/bin/python3", "/usr/local/bin/python3"].iter().any(|path| Path::new(path).exists());
        if !there {
            skip("no python3 for the local sandbox");
        }
        there
    }

    async fn adapter(kind: Kind, top: &Path, installation: Option<&str>, free_floor_bytes: u64) -> Option<Sandbox> {
        let bytes = fs::read(top.join("borg-init")).expect("init is there");
        let init = InitBinary { path: top.join("borg-init"), sha256: Digest::of_bytes(&bytes) };
        let roots = vec![top.join("runs"), top.join("bundle")];
        let own = format!("test{}", Digest::of_bytes(top.as_os_str().as_encoded_bytes()).short());
        match kind {
            Kind::Docker => {
                let host = setting("DOCKER_HOST");
                match borg_host::sandbox::image::is_present(host.as_deref(), IMAGE).await {
                    Ok(true) => {}
                    Ok(false) => {
                        skip(&format!("no image {IMAGE}"));
                        return None;
                    }
                    Err(error) => {
                        skip(&format!("no Docker engine ({error})"));
                        return None;
                    }
                }
                let installation = installation.map_or(own, str::to_owned);
                let settings = DockerSettings { host, installation, init, roots, home: None, free_floor_bytes };
                Some(Sandbox::Docker(Docker::connect(settings).await.expect("the engine answers")))
            }
            Kind::Local => {
                let runs = top.join("runs");
                let settings =
                    LocalSettings { allowed: Allowed::Demo, init, runs, roots, home: None, free_floor_bytes };
                Some(Sandbox::Local(Local::new(settings, Spawner::start().expect("a thread"))))
            }
        }
    }

    /// Another adapter over the same data: the host after a restart.
    pub async fn again(&self) -> Sandbox {
        Room::adapter(self.kind, &self.top(), Some(&self.installation), 0).await.expect("it was there before")
    }

    /// Another installation on the same engine.
    pub async fn neighbour(&self, installation: &str) -> Sandbox {
        Room::adapter(self.kind, &self.top(), Some(installation), 0).await.expect("it was there before")
    }

    pub fn top(&self) -> PathBuf {
        self.dir.path().canonicalize().expect("it exists")
    }

    /// A run of `argv` that may write everything, with limits no test reaches by accident.
    pub fn argv<const N: usize>(&self, argv: [&str; N]) -> SandboxSpec {
        let task = TaskId(u64::from(self.tasks.fetch_add(1, Ordering::SeqCst)) + 1);
        SandboxSpec {
            run: RunKey { owner: task.into(), place: 0, fence: 1, kind: RunKind::Agent },
            image: ImageRef(IMAGE.to_owned()),
            limits: Limits {
                memory_bytes: 512 << 20,
                cpu_millis: 2000,
                pids: 128,
                disk_bytes: 512 << 20,
                disk_files: 10_000,
                output_bytes: 64 << 20,
                wall_ms: 60_000,
                idle_ms: 0,
            },
            argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
            env: Vec::new(),
            home_files: Vec::new(),
            host_paths: Vec::new(),
            stdin: Vec::new(),
            write: WriteGrant { allow: vec!["**".to_owned()], ..WriteGrant::default() },
            gateway: false,
            exec: false,
            bundle: None,
            policy: Digest::of_bytes(b"policy"),
        }
    }

    pub fn sh(&self, script: &str) -> SandboxSpec {
        self.argv(["/bin/sh", "-c", script])
    }

    /// The directories of a run, made at the first call.
    pub fn dirs(&self, run: RunKey) -> RunDirs {
        let top = self.top().join("runs").join(run.to_string());
        for name in ["workspace", "in", "out", "home", "run"] {
            fs::create_dir_all(top.join(name)).expect("a new directory");
        }
        RunDirs {
            workspace: top.join("workspace"),
            input: top.join("in"),
            out: top.join("out"),
            home: top.join("home"),
            run: top.join("run"),
            agent: None,
            base_repo: None,
        }
    }

    /// A bundle with the program `borg-init`, whose `doors` tries what must not work.
    pub fn bundle(&self) -> PathBuf {
        let program = self.top().join("bundle/doors/borg-init");
        fs::create_dir_all(program.parent().expect("below the bundle")).expect("a new directory");
        fs::copy(self.top().join("borg-init"), program).expect("init can be copied");
        self.top().join("bundle/doors")
    }

    pub async fn start(&self, spec: &SandboxSpec) -> Result<Started, Error> {
        self.sandbox.start(spec, &self.dirs(spec.run)).await
    }

    /// Starts a run and follows it to its end.
    pub async fn run(&self, spec: &SandboxSpec) -> Ran {
        self.run_in(spec, &self.dirs(spec.run)).await
    }

    pub async fn run_in(&self, spec: &SandboxSpec, dirs: &RunDirs) -> Ran {
        let started = self.sandbox.start(spec, dirs).await.expect("the run starts");
        let (lines, end) = follow(&self.sandbox, spec.run, 0).await;
        self.sandbox.remove(spec.run).await.expect("the run can be removed");
        Ran { started, lines, end }
    }
}

/// Follows a run to its end.
pub async fn follow(sandbox: &Sandbox, run: RunKey, after: u64) -> (Vec<Line>, RunEnd) {
    let (sender, mut receiver) = mpsc::channel(16);
    let collect = async {
        let mut lines = Vec::new();
        while let Some(line) = receiver.recv().await {
            lines.push(line);
        }
        lines
    };
    let both = async { tokio::join!(collect, sandbox.lines(run, after, sender)) };
    let (lines, end) = tokio::time::timeout(PATIENCE, both).await.expect("the run ends in time");
    (lines, end.expect("the run can be followed"))
}

/// Waits until something is so; looks as often as the machine allows.
pub async fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        tokio::task::yield_now().await;
    }
}

impl Drop for Room {
    /// Removes what a failed test left behind.
    fn drop(&mut self) {
        let sandbox = self.sandbox.clone();
        let clean = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                for (run, _) in sandbox.list().await.unwrap_or_default() {
                    if let Err(error) = sandbox.remove(run).await {
                        eprintln!("{run} stays behind: {error}");
                    }
                }
            });
        };
        if self.kind == Kind::Docker {
            // A test that failed left a runtime that cannot be entered again.
            drop(std::thread::spawn(clean).join());
        }
    }
}
