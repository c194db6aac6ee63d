//! Where a job is run in these tests: in a container, in the local sandbox as root's agent, and in the one of an ordinary user.

#![allow(dead_code, reason = "each test file uses its part of this module")]

use borg_init::{AGENT_UID, INIT, Job, Line, Local, Mount, Record, Stream};
use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::{Gid, Pid, Uid, chown, geteuid},
};
use std::{
    ffi::OsStr,
    fs, io,
    io::{BufRead, BufReader},
    os::{
        fd::AsFd,
        unix::{
            fs::PermissionsExt,
            net::{UnixListener, UnixStream},
            process::CommandExt,
        },
    },
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, channel},
    thread,
    time::Duration,
};

/// Longest wait for one thing to happen: what is awaited here takes a second, on a machine that does much else a few.
pub const LIMIT: Duration = Duration::from_secs(120);

const IMAGE: &str = "borg-base:latest";
const NOBODY: u32 = 65534;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    Container,
    /// Started by whoever runs the tests; by root in CI.
    Local,
    /// Started by somebody who is not root.
    Unprivileged,
}

/// Runs `$check` in every place that this machine offers; a test each, so that a skipped one is seen.
#[macro_export]
macro_rules! everywhere {
    ($($check:ident),* $(,)?) => { $(
        mod $check {
            use $crate::place::Place;
            #[test]
            fn in_a_container() {
                Place::Container.offered(super::super::$check);
            }
            #[test]
            fn in_the_local_sandbox() {
                Place::Local.offered(super::super::$check);
            }
            #[test]
            fn in_the_local_sandbox_without_root() {
                Place::Unprivileged.offered(super::super::$check);
            }
        }
    )* };
}

impl Place {
    /// Calls `check` if this machine has such a place, else says that it was skipped, which `BORG_TEST_REQUIRE_ALL=1` forbids.
    pub fn offered(self, check: fn(Place)) {
        let lacking = match self {
            Self::Container if !succeeds(program("docker").args(["version"])) => Some("no Docker engine"),
            Self::Container if !succeeds(program("docker").args(["image", "inspect", IMAGE])) => {
                Some("no image borg-base:latest (see container/README.md)")
            }
            Self::Unprivileged if !geteuid().is_root() => Some("the tests do not run as root, so `Local` is the same"),
            Self::Container | Self::Local | Self::Unprivileged => None,
        };
        match lacking {
            None => check(self),
            Some(lacking) => {
                assert!(
                    std::env::var_os("BORG_TEST_REQUIRE_ALL").is_none_or(|value| value != "1"),
                    "required, but {lacking}"
                );
                println!("skipped: {lacking}");
            }
        }
    }

    fn user(self) -> u32 {
        match self {
            Self::Container | Self::Local if geteuid().is_root() => AGENT_UID,
            Self::Container | Self::Local => geteuid().as_raw(),
            Self::Unprivileged => NOBODY,
        }
    }
}

/// The host's side of a sandbox: its directories and what is special about this run.
pub struct Host {
    pub place: Place,
    top: tempfile::TempDir,
    pub workspace: PathBuf,
    pub run: PathBuf,
    /// Given to the engine as if the image set it.
    pub image_env: Vec<(&'static str, &'static str)>,
    pub more_mounts: Vec<Mount>,
}

impl Host {
    pub fn new(place: Place) -> Self {
        let top = tempfile::tempdir().expect("tempdir");
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o755)).expect("permissions");
        for name in ["workspace", "in", "out", "run"] {
            let path = top.path().join(name);
            fs::create_dir(&path).expect("directory");
            own(&path, place.user());
        }
        let binary = match place {
            Place::Container => static_binary(),
            Place::Local | Place::Unprivileged => env!("CARGO_BIN_EXE_borg-init").into(),
        };
        fs::copy(binary, top.path().join("borg-init")).expect("the binary");
        let [workspace, run] = ["workspace", "run"].map(|name| top.path().join(name));
        Self { place, workspace, run, top, image_env: Vec::new(), more_mounts: Vec::new() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// Adds a file that belongs to the agent.
    pub fn file(&self, name: &str, text: &str) {
        let path = self.workspace.join(name);
        for parent in
            path.ancestors().skip(1).take_while(|parent| *parent != self.workspace).collect::<Vec<_>>().iter().rev()
        {
            fs::create_dir_all(parent).expect("directory");
            own(parent, self.place.user());
        }
        fs::write(&path, text).expect("file");
        own(&path, self.place.user());
    }

    fn mounts(&self) -> Vec<Mount> {
        let mount =
            |name: &str, inside: &str, writable| Mount { host: self.path(name), inside: inside.into(), writable };
        let mut mounts = vec![
            mount("workspace", "/workspace", true),
            mount("in", "/in", false),
            mount("out", "/out", true),
            mount("run", "/run/borg", false),
            mount("borg-init", INIT, false),
        ];
        mounts.extend(self.more_mounts.iter().cloned());
        mounts
    }

    /// Starts `job`.
    pub fn start(&self, mut job: Job) -> Running {
        let mounts = self.mounts();
        if self.place != Place::Container {
            job.local = Some(Local { mounts: mounts.clone(), user: None });
        }
        let file = self.path("in").join(borg_init::JOB_NAME);
        fs::write(&file, serde_json::to_vec(&job).expect("JSON")).expect("the job file");
        let name = format!(
            "borg-init-test-{}",
            self.top.path().file_name().and_then(OsStr::to_str).expect("a name").trim_start_matches('.')
        );
        let mut command = match self.place {
            Place::Container => self.docker(&name, &mounts),
            Place::Local | Place::Unprivileged => {
                let mut command = program(self.path("borg-init"));
                command
                    .env("NODE_OPTIONS", "--bad")
                    .args(["local", "--job"])
                    .arg(file)
                    .args(["--parent", &std::process::id().to_string()]);
                command
            }
        };
        if self.place == Place::Unprivileged {
            command.uid(NOBODY).gid(NOBODY);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("started");
        let output = BufReader::new(child.stdout.take().expect("piped"));
        let (line, lines) = channel();
        // Ends with the output, or with whoever reads it.
        thread::spawn(move || output.lines().try_for_each(|text| line.send(text)));
        Running { place: self.place, name, child, lines, seen: Vec::new() }
    }

    fn docker(&self, name: &str, mounts: &[Mount]) -> Command {
        let mut command = program("docker");
        command.args([
            "run",
            "--rm",
            "--name",
            name,
            "--label",
            "borg-init-test",
            "--network",
            "none",
            "--cap-drop",
            "ALL",
        ]);
        command.args(["--security-opt", "no-new-privileges", "--read-only", "--pids-limit", "256", "--memory", "256m"]);
        let user = self.place.user();
        command.args(["--user", &format!("{user}:{user}"), "--tmpfs", "/tmp:mode=1777,exec"]);
        command.args(["--tmpfs", &format!("/home/agent:mode=700,exec,uid={user},gid={user}")]);
        for Mount { host, inside, writable } in mounts {
            let mode = if *writable { "" } else { ",readonly" };
            command.arg("--mount").arg(format!(
                "type=bind,source={},target={}{mode}",
                host.display(),
                inside.display()
            ));
        }
        for (name, value) in &self.image_env {
            command.arg("--env").arg(format!("{name}={value}"));
        }
        command.args(["--entrypoint", INIT, IMAGE, "container"]);
        command
    }

    /// Runs a shell script as the job, with everything writable that can be, and waits for its end.
    pub fn script(&self, script: &str) -> Ran {
        self.start(shell(script)).end()
    }
}

/// A job that runs `script` and may write the workspace and `/out`.
pub fn shell(script: &str) -> Job {
    let argv = ["bash", "-c", script].map(str::to_owned).to_vec();
    Job { write: vec!["/workspace".into(), "/out".into()], exec: true, ..Job::new(argv, 64 << 20) }
}

/// A job on its way.
pub struct Running {
    place: Place,
    name: String,
    child: Child,
    lines: Receiver<io::Result<String>>,
    seen: Vec<Line>,
}

impl Running {
    /// The next line of init; none at the end of its output.
    pub fn line(&mut self) -> Option<Line> {
        let text = match self.lines.recv_timeout(LIMIT) {
            Ok(text) => text.expect("readable"),
            Err(RecvTimeoutError::Disconnected) => return None,
            Err(RecvTimeoutError::Timeout) => panic!("it said nothing for {LIMIT:?}, after {:?}", self.seen),
        };
        let line: Line = serde_json::from_str(&text).unwrap_or_else(|why| panic!("{why}: {text}"));
        self.seen.push(line.clone());
        Some(line)
    }

    /// Waits until the job has printed `text`.
    pub fn until(&mut self, text: &str) {
        while let Some(line) = self.line() {
            if line.stream == Stream::Out && line.text == text {
                return;
            }
        }
        panic!("it never said `{text}`: {:?}", self.seen);
    }

    /// The process that peers of init's sockets see.
    pub fn pid(&self) -> i32 {
        match self.place {
            Place::Container => {
                let output = program("docker")
                    .args(["inspect", "--format", "{{.State.Pid}}", &self.name])
                    .output()
                    .expect("docker");
                String::from_utf8_lossy(&output.stdout).trim().parse().expect("a process id")
            }
            Place::Local | Place::Unprivileged => self.child.id() as i32,
        }
    }

    pub fn signal(&self, signal: Signal) {
        match self.place {
            Place::Container => {
                assert!(succeeds(program("docker").args(["kill", "--signal", signal.as_str(), &self.name])))
            }
            Place::Local | Place::Unprivileged => {
                kill(Pid::from_raw(self.child.id() as i32), signal).expect("signalled")
            }
        }
    }

    /// Reads to the end of the output and waits.
    pub fn end(mut self) -> Ran {
        while self.line().is_some() {}
        let status = self.child.wait().expect("waited");
        Ran { lines: std::mem::take(&mut self.seen), code: status.code() }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            if self.place == Place::Container {
                succeeds(program("docker").args(["rm", "--force", &self.name]));
            }
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// The next connection somebody makes.
pub fn accept(listener: &UnixListener) -> UnixStream {
    let mut queue = [PollFd::new(listener.as_fd(), PollFlags::POLLIN)];
    let waiting = poll(&mut queue, PollTimeout::try_from(LIMIT).expect("it is short")).expect("polled");
    assert_eq!(waiting, 1, "nobody came within {LIMIT:?}");
    let (stream, _) = listener.accept().expect("a connection");
    stream.set_read_timeout(Some(LIMIT)).expect("a limit");
    stream
}

/// A job that ended.
pub struct Ran {
    pub lines: Vec<Line>,
    pub code: Option<i32>,
}

impl Ran {
    pub fn stream(&self, stream: Stream) -> Vec<&str> {
        self.lines.iter().filter(|line| line.stream == stream).map(|line| line.text.as_str()).collect()
    }

    pub fn out(&self) -> Vec<&str> {
        self.stream(Stream::Out)
    }

    pub fn records(&self) -> Vec<Record> {
        self.lines.iter().filter_map(Line::record).collect()
    }

    pub fn ended(&self) -> Record {
        self.lines.last().and_then(Line::record).unwrap_or_else(|| panic!("no record at the end: {:?}", self.lines))
    }
}

/// A command with an environment of its own.
#[expect(clippy::disallowed_methods, reason = "tests start children of their own, with an explicit environment")]
pub fn program(path: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(path);
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    if let Some(engine) = std::env::var_os("DOCKER_HOST") {
        command.env("DOCKER_HOST", engine);
    }
    command
}

fn succeeds(command: &mut Command) -> bool {
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn own(path: &Path, user: u32) {
    if geteuid().is_root() {
        chown(path, Some(Uid::from_raw(user)), Some(Gid::from_raw(user))).expect("owner");
    }
}

/// The binary that runs in any image: named by `BORG_INIT_STATIC`, or built now.
#[expect(clippy::disallowed_methods, reason = "cargo needs the toolchain's own variables, handed on by name")]
fn static_binary() -> PathBuf {
    if let Some(path) = std::env::var_os("BORG_INIT_STATIC") {
        return path.into();
    }
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("container/init lies two levels deep");
    // The test's own binary lies at TARGET_DIR/PROFILE/borg-init. A directory apart, so as not to wait for whoever builds meanwhile.
    let apart =
        Path::new(env!("CARGO_BIN_EXE_borg-init")).ancestors().nth(2).expect("a target directory").join("static");
    let mut build = Command::new(env!("CARGO"));
    build
        .env_clear()
        .current_dir(root)
        .args(["build", "--quiet", "-p", "borg-init", "--target", &target, "--target-dir"])
        .arg(&apart);
    for name in ["PATH", "HOME", "CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"] {
        if let Some(value) = std::env::var_os(name) {
            build.env(name, value);
        }
    }
    assert!(build.status().expect("cargo").success(), "rustup target add {target}");
    apart.join(target).join("debug/borg-init")
}
