//! The one place where the host starts processes: a clean environment, closed descriptors, a process group of their own,
//! a time limit, and death together with the host.
//!
//! All children come from one thread that lives as long as the process, because the kernel sends the parent-death signal
//! when the *thread* that spawned a child ends. What a child may touch is not decided here but by its [`Confinement`].

mod pipes;

use borg_confine::Profile;
use pipes::{Keep, drain, feed};
use rustix::{
    event::{PollFd, PollFlags},
    process::{Pid, PidfdFlags, Signal},
};
use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};
use tokio::{io::unix::AsyncFd, sync::oneshot};

/// Bytes of standard error that are kept, from its end.
const STDERR_TAIL: usize = 16 * 1024;
/// How long pipes may stay open after the child itself has ended and its group was killed.
const DRAIN: Duration = Duration::from_secs(2);

/// User and group a child changes to before it starts; only root may ask for another than its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    pub uid: u32,
    pub gid: u32,
}

impl User {
    /// The user this process runs as.
    pub fn current() -> Self {
        User { uid: rustix::process::geteuid().as_raw(), gid: rustix::process::getegid().as_raw() }
    }

    /// True for root, who may act for others.
    pub fn is_root(self) -> bool {
        self.uid == 0
    }
}

/// How a child confines itself before it runs: through `LAUNCHER helper --profile FILE -- PROGRAM ARGS…`.
#[derive(Clone, Debug)]
pub struct Confinement {
    /// The `borg-init` binary.
    pub launcher: PathBuf,
    /// Handed over as JSON in a memory file, so that a child of another user can read it too. [`Spec::keep`] is added to it.
    pub profile: Profile,
}

/// Where a child's standard input comes from.
#[derive(Debug, Default)]
pub enum Stdin {
    #[default]
    Null,
    Bytes(Vec<u8>),
    /// Any open descriptor: a file, or an end of a pipe.
    Fd(OwnedFd),
    /// A pipe, taken with [`Running::take_stdin`].
    Piped,
}

/// Where a child's standard output goes.
#[derive(Debug)]
pub enum Stdout {
    /// Kept up to `limit` bytes; the rest is drained and [`Output::truncated`] set.
    Capture { limit: usize },
    /// Any open descriptor: a file, or an end of a pipe.
    Fd(OwnedFd),
    /// A pipe, taken with [`Running::take_stdout`].
    Piped,
}

/// How a child is made to end before its time, by the host or by the kernel when the host has died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    Kill,
    /// Asked by SIGTERM, so that it can clear up its lock files; killed when it is still there after this long (unless the host has died).
    Ask(Duration),
}

/// One child to start.
#[derive(Debug)]
pub struct Spec {
    pub program: PathBuf,
    pub args: Vec<std::ffi::OsString>,
    /// The complete environment: nothing is inherited.
    pub env: Vec<(String, std::ffi::OsString)>,
    pub cwd: PathBuf,
    pub stdin: Stdin,
    pub stdout: Stdout,
    /// Descriptors that stay open in the child under their own numbers.
    pub keep: Vec<OwnedFd>,
    pub user: Option<User>,
    pub confinement: Option<Confinement>,
    /// Largest file the child may write, in bytes.
    pub max_file_bytes: Option<u64>,
    pub timeout: Duration,
    /// What happens at the time limit, and when nobody waits any more.
    pub stop: Stop,
}

impl Spec {
    /// A child without arguments or environment, in `/`, capturing up to 1 MiB, for at most a minute.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Spec {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            cwd: PathBuf::from("/"),
            stdin: Stdin::Null,
            stdout: Stdout::Capture { limit: 1 << 20 },
            keep: Vec::new(),
            user: None,
            confinement: None,
            max_file_bytes: None,
            timeout: Duration::from_secs(60),
            stop: Stop::Kill,
        }
    }

    pub fn arg(mut self, arg: impl Into<std::ffi::OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    pub fn args<A: Into<std::ffi::OsString>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }
}

/// What became of a child.
#[derive(Debug)]
pub struct Output {
    pub status: ExitStatus,
    pub stdout: Vec<u8>,
    /// True when standard output was longer than its limit.
    pub truncated: bool,
    /// The end of standard error, lossy UTF-8, at most 16 KiB.
    pub stderr: String,
    pub timed_out: bool,
}

impl Output {
    /// True when the child ended by itself with code 0 and all of its output is here.
    pub fn is_whole(&self) -> bool {
        self.status.success() && !self.truncated && !self.timed_out
    }
}

/// Why there is no child, or no result of one.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot start {}: check that it is installed and may be executed", program.display())]
    Start { program: PathBuf, source: io::Error },
    #[error("cannot watch the child process")]
    Watch(#[source] io::Error),
    #[error("the spawning thread is gone")]
    Closed,
}

struct Order {
    command: Command,
    /// Kept open until the child has them.
    keep: Vec<OwnedFd>,
    /// The launcher, open until the child runs it.
    launcher: Option<File>,
    reply: oneshot::Sender<io::Result<Child>>,
}

/// Starts children; clones share the one thread.
#[derive(Clone, Debug)]
pub struct Spawner {
    orders: mpsc::Sender<Order>,
    /// Children whose owner went away before their end; waited for so that none stays a zombie.
    orphans: Arc<mpsc::Sender<(Child, Stop)>>,
}

impl Spawner {
    /// Starts the spawning thread and the thread that reaps abandoned children.
    pub fn start() -> io::Result<Self> {
        let (orders, inbox) = mpsc::channel::<Order>();
        std::thread::Builder::new().name("spawn".into()).spawn(move || {
            for mut order in inbox {
                let child = order.command.spawn();
                drop((order.keep, order.launcher));
                if let Err(Ok(child)) = order.reply.send(child) {
                    abandon(child, Stop::Kill);
                }
            }
            // The thread's end would signal every child still alive; it ends only with the last handle, when all are gone.
        })?;
        let (orphans, inbox) = mpsc::channel::<(Child, Stop)>();
        let reap = move || inbox.into_iter().for_each(|(child, stop)| abandon(child, stop));
        std::thread::Builder::new().name("reap".into()).spawn(reap)?;
        Ok(Spawner { orders, orphans: Arc::new(orphans) })
    }

    /// Runs a child to its end. Dropping the future kills its process group.
    pub async fn run(&self, spec: Spec) -> Result<Output, Error> {
        self.stream(spec).await?.finish().await
    }

    /// Starts a child whose pipes the caller serves; [`Running::finish`] must be awaited meanwhile.
    pub async fn stream(&self, spec: Spec) -> Result<Running, Error> {
        let launcher = spec.confinement.as_ref().map(|confinement| &confinement.launcher);
        let program = launcher.unwrap_or(&spec.program).clone();
        let (timeout, stop, capture) = (spec.timeout, spec.stop, matches!(spec.stdout, Stdout::Capture { .. }));
        let limit = match spec.stdout {
            Stdout::Capture { limit } => limit,
            Stdout::Fd(_) | Stdout::Piped => 0,
        };
        let (order, reply, input) = order(spec).map_err(|source| Error::Start { program: program.clone(), source })?;
        self.orders.send(order).map_err(|_| Error::Closed)?;
        let child = reply.await.map_err(|_| Error::Closed)?;
        let child = child.map_err(|source| Error::Start { program, source })?;
        let mut held = Held { child: Some(child), stop, orphans: self.orphans.clone() };
        let child = held.child.as_mut().expect("just put there");
        let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let pid = Pid::from_child(child);
        let pidfd =
            rustix::process::pidfd_open(pid, PidfdFlags::NONBLOCK).map_err(|errno| Error::Watch(errno.into()))?;
        Ok(Running { held, pidfd: register(pidfd)?, input, stdin, stdout, capture, limit, stderr, timeout })
    }
}

/// Has the runtime tell when a child has ended.
fn register(pidfd: OwnedFd) -> Result<AsyncFd<OwnedFd>, Error> {
    // SAFETY: the descriptor is owned by the `AsyncFd` alone and never replaced.
    unsafe { AsyncFd::register(pidfd) }.map_err(|error| Error::Watch(error.into()))
}

/// Ends the group of a child and waits for the child itself.
fn abandon(mut child: Child, stop: Stop) {
    if let Stop::Ask(patience) = stop {
        signal_group(&child, Signal::TERM);
        let pidfd = rustix::process::pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        let patience = rustix::time::Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: 0 };
        // Whatever comes of waiting, the kill below is the answer.
        let _ = pidfd.map(|fd| rustix::event::poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&patience)));
    }
    signal_group(&child, Signal::KILL);
    if let Err(error) = child.wait() {
        tracing::warn!(%error, "a killed child could not be reaped");
    }
}

/// Signals the whole group of a child that is not reaped yet, so that its number cannot belong to anybody else.
fn signal_group(child: &Child, signal: Signal) {
    if let Err(errno) = rustix::process::kill_process_group(Pid::from_child(child), signal)
        && errno != rustix::io::Errno::SRCH
    {
        tracing::warn!(%errno, "a process group could not be signalled");
    }
}

type Reply = oneshot::Receiver<io::Result<Child>>;

/// Turns a spec into a command with everything set that must hold in the child, and the bytes to feed it.
fn order(spec: Spec) -> io::Result<(Order, Reply, Option<Vec<u8>>)> {
    let mut keep = spec.keep;
    let mut opened = None;
    let mut command = match spec.confinement {
        None => command(&spec.program),
        Some(Confinement { launcher, mut profile }) => {
            profile.keep.extend(keep.iter().map(AsRawFd::as_raw_fd));
            let fd = memory_file(&serde_json::to_vec(&profile)?)?;
            // By descriptor: whoever the child becomes need not be able to reach the folder our own program lies in.
            let program = File::open(&launcher)?;
            let mut command = command(Path::new(&format!("/proc/self/fd/{}", program.as_raw_fd())));
            opened = Some(program);
            command
                .arg0(&launcher)
                .args(["helper", "--profile", &format!("/proc/self/fd/{}", fd.as_raw_fd()), "--"])
                .arg(&spec.program);
            keep.push(fd);
            command
        }
    };
    command.args(spec.args).env_clear().envs(spec.env).current_dir(spec.cwd).process_group(0).stderr(Stdio::piped());
    let input = match spec.stdin {
        Stdin::Null => {
            command.stdin(Stdio::null());
            None
        }
        Stdin::Bytes(bytes) => {
            command.stdin(Stdio::piped());
            Some(bytes)
        }
        Stdin::Fd(fd) => {
            command.stdin(fd);
            None
        }
        Stdin::Piped => {
            command.stdin(Stdio::piped());
            None
        }
    };
    match spec.stdout {
        Stdout::Capture { .. } | Stdout::Piped => command.stdout(Stdio::piped()),
        Stdout::Fd(fd) => command.stdout(fd),
    };
    let kept: Vec<i32> = keep.iter().map(AsRawFd::as_raw_fd).collect();
    let host = rustix::process::getpid().as_raw_nonzero().get();
    let (user, max_file_bytes) = (spec.user.filter(|user| *user != User::current()), spec.max_file_bytes);
    let death = match spec.stop {
        Stop::Kill => libc::SIGKILL,
        Stop::Ask(_) => libc::SIGTERM,
    };
    // SAFETY: the closure only makes system calls on copied numbers; it neither allocates nor takes locks.
    unsafe { command.pre_exec(move || settle(&kept, user, max_file_bytes, host, death)) };
    let (reply, receiver) = oneshot::channel();
    Ok((Order { command, keep, launcher: opened, reply }, receiver, input))
}

#[expect(clippy::disallowed_methods, reason = "this is the one place that starts children")]
fn command(program: &std::path::Path) -> Command {
    Command::new(program)
}

/// Puts bytes into an anonymous file that any user who inherits it can open again.
fn memory_file(bytes: &[u8]) -> io::Result<OwnedFd> {
    use std::io::Write;
    let fd = rustix::fs::memfd_create("borg-profile", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    rustix::fs::fchmod(&file, rustix::fs::Mode::from_raw_mode(0o444))?;
    Ok(file.into())
}

/// Runs in the child between fork and exec: descriptors, user, limits, and death with the host.
fn settle(keep: &[i32], user: Option<User>, max_file_bytes: Option<u64>, host: i32, death: i32) -> io::Result<()> {
    let checked = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: plain system calls on numbers; the limit's struct lives on this stack.
    unsafe {
        // Marked rather than closed: the standard library still needs its own pipe until exec.
        checked(libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) as libc::c_int)?;
        for fd in keep {
            checked(libc::fcntl(*fd, libc::F_SETFD, 0))?;
        }
        if let Some(User { uid, gid }) = user {
            checked(libc::setgroups(0, std::ptr::null()))?;
            checked(libc::setresgid(gid, gid, gid))?;
            checked(libc::setresuid(uid, uid, uid))?;
        }
        let core = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        checked(libc::setrlimit(libc::RLIMIT_CORE, &core))?;
        if let Some(bytes) = max_file_bytes {
            let limit = libc::rlimit { rlim_cur: bytes, rlim_max: bytes };
            checked(libc::setrlimit(libc::RLIMIT_FSIZE, &limit))?;
        }
        // After the change of user, which would clear it.
        checked(libc::prctl(libc::PR_SET_PDEATHSIG, death))?;
        if libc::getppid() != host {
            return Err(io::Error::from_raw_os_error(libc::ESRCH));
        }
    }
    Ok(())
}

/// A child that nobody waited for yet; its group dies with this value.
#[derive(Debug)]
struct Held {
    child: Option<Child>,
    stop: Stop,
    orphans: Arc<mpsc::Sender<(Child, Stop)>>,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            // At once, for the reaper may be busy with another.
            match self.stop {
                Stop::Kill => signal_group(&child, Signal::KILL),
                Stop::Ask(_) => signal_group(&child, Signal::TERM),
            }
            // The reaper ends only with the last sender, which is this one or a later one.
            let _ = self.orphans.send((child, self.stop));
        }
    }
}

/// A started child. Dropping it kills its process group.
#[derive(Debug)]
pub struct Running {
    held: Held,
    pidfd: AsyncFd<OwnedFd>,
    input: Option<Vec<u8>>,
    stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    capture: bool,
    limit: usize,
    stderr: Option<std::process::ChildStderr>,
    timeout: Duration,
}

impl Running {
    /// Process id of the child, its own until [`Running::finish`] returns.
    pub fn pid(&self) -> i32 {
        self.held.child.as_ref().expect("taken only when it has ended").id().cast_signed()
    }

    /// Takes the blocking write end of a piped standard input; closing it ends the child's input.
    pub fn take_stdin(&mut self) -> Option<ChildStdin> {
        if self.input.is_some() { None } else { self.stdin.take() }
    }

    /// Takes the blocking read end of a piped standard output.
    pub fn take_stdout(&mut self) -> Option<ChildStdout> {
        if self.capture { None } else { self.stdout.take() }
    }

    /// Waits for the end, feeding and draining what was not taken; at the time limit the group is killed.
    pub async fn finish(mut self) -> Result<Output, Error> {
        let feed = feed(self.stdin.take(), self.input.take());
        let stdout = drain(self.stdout.take().map(OwnedFd::from), Keep::Head(self.limit));
        let stderr = drain(self.stderr.take().map(OwnedFd::from), Keep::Tail(STDERR_TAIL));
        let pipes = async { tokio::join!(feed, stdout, stderr) };
        tokio::pin!(pipes);
        let deadline = tokio::time::sleep(self.timeout);
        tokio::pin!(deadline);
        let mut drained = None;
        let timed_out = loop {
            tokio::select! {
                ready = self.pidfd.readable() => {
                    ready.map_err(Error::Watch)?.retain_ready();
                    break false;
                }
                done = &mut pipes, if drained.is_none() => drained = Some(done),
                () = &mut deadline => break true,
            }
        };
        let child = self.held.child.as_mut().expect("taken only at the end of this function");
        if timed_out && let Stop::Ask(patience) = self.held.stop {
            signal_group(child, Signal::TERM);
            let patience = tokio::time::sleep(patience);
            tokio::pin!(patience);
            let mut ended = false;
            // Its whole group, which holds the pipes, may take the time to clear up.
            while !ended || drained.is_none() {
                tokio::select! {
                    ready = self.pidfd.readable(), if !ended => {
                        ready.map_err(Error::Watch)?.retain_ready();
                        ended = true;
                    }
                    done = &mut pipes, if drained.is_none() => drained = Some(done),
                    () = &mut patience => break,
                }
            }
        }
        // Before the child is reaped, so that the group's number is still its own; leftovers would hold the pipes open.
        signal_group(child, Signal::KILL);
        self.pidfd.readable().await.map_err(Error::Watch)?.retain_ready();
        let status = child.wait().map_err(Error::Watch)?;
        self.held.child = None;
        let drained = match drained {
            Some(drained) => Some(drained),
            None => tokio::time::timeout(DRAIN, &mut pipes).await.ok(),
        };
        let whole = drained.is_some();
        let ((), stdout, stderr) = drained.unwrap_or_default();
        Ok(Output {
            status,
            truncated: stdout.overflow || !whole,
            stdout: stdout.bytes,
            stderr: String::from_utf8_lossy(&stderr.bytes).into_owned(),
            timed_out,
        })
    }
}
