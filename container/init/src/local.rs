//! The sandbox without an engine: namespaces instead of a container, then the same as in one.
//!
//! Two processes of init. The *outer* one is the host's child: it makes the namespaces, bridges (so that the gateway's peer is the very
//! process the host started), passes signals on, and ends as the inner one does. The *inner* one is the first process of the new process
//! namespace: it makes the mounts and runs the job; with it everything inside ends. Neither keeps a privilege once the mounts are made.

use crate::{
    bridge,
    container::read_job,
    environment,
    error::Error,
    home,
    layout::Layout,
    output::Printer,
    reap::{self, Main},
    supervise::{self, Prepared},
};
use borg_confine::namespace;
use borg_init::{AGENT_UID, Job, Local};
use nix::{
    errno::Errno,
    fcntl::OFlag,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sched::{CloneFlags, unshare},
    sys::{prctl, signal::Signal},
    unistd::{
        ForkResult, Gid, Pid, Uid, fork, getegid, geteuid, getppid, pipe2, setgroups, sethostname, setresgid, setresuid,
    },
};
use std::{
    fs::File,
    io::{Read, Write},
    net::TcpListener,
    os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd},
    path::Path,
    sync::mpsc,
    thread,
    time::Duration,
};

/// Given to the inner process beyond the job's own grace, so that it can tell how it went.
const LATER: Duration = Duration::from_secs(5);

/// What this sandbox never has.
const NO_ENGINE: &str = "no kernel limit on memory and processor of all together: that takes a container engine";

/// Runs the job in `file`; returns the exit code. Refuses when the parent is not `parent`.
pub fn run(file: &Path, parent: Option<u32>) -> i32 {
    match outer(file, parent) {
        Ok(code) => code,
        Err(why) => supervise::refuse(&Printer::new(std::io::stdout(), 0), &why),
    }
}

fn outer(file: &Path, parent: Option<u32>) -> Result<i32, Error> {
    die_with_parent()?;
    if parent.is_some_and(|parent| getppid().as_raw() as u32 != parent) {
        return Err(Error::Orphan);
    }
    let job = read_job(file)?;
    let local = job.local.clone().ok_or_else(|| Error::Job("it says nothing about the local sandbox".into()))?;
    if job.unix_sockets {
        return Err(Error::Job(
            "Unix sockets cannot be granted in the local sandbox: the host's own would be in reach".into(),
        ));
    }
    let (user, group) = agent_user(&local)?;
    let layout = Layout::check(&local, job.exec, user, group)?;
    reap::block_signals()?;
    let mut missing = vec![NO_ENGINE.to_owned()];
    separate(&mut missing)?;
    loopback_up()?;
    let listener = job.bridge.as_ref().map(bridge::listen).transpose()?;
    let grace = Duration::from_millis(job.grace_ms) + LATER;
    let bridge = job.bridge.clone();
    let Inner { process, ready, listener } = start_inner(job, layout, listener, missing)?;

    let mut answer = Vec::new();
    File::from(ready).read_to_end(&mut answer).map_err(Error::io("wait for the mounts"))?;
    // Without an answer the inner process has told why and is about to end.
    if !answer.is_empty() {
        give_up_privileges(user, group)?;
        if let Some((listener, bridge)) = listener.zip(bridge) {
            bridge::serve(listener, bridge)?;
        }
    }
    Ok(reap::until_end(Main::Process(process), grace)?.code())
}

/// What the outer process has of the inner one.
struct Inner {
    process: Pid,
    /// One byte arrives when the mounts are made; just the end when they could not be.
    ready: OwnedFd,
    /// Handed back: it is the outer process that serves it.
    listener: Option<TcpListener>,
}

/// Makes the process namespace and its first process, from a thread that stays: whoever has made one can start no more threads itself, since
/// they would be in two of them, and the inner process dies with the thread that made it.
fn start_inner(job: Job, layout: Layout, listener: Option<TcpListener>, missing: Vec<String>) -> Result<Inner, Error> {
    let (send, started) = mpsc::sync_channel(1);
    let maker = move || {
        let inner = fork_inner(job, &layout, listener, missing).and_then(|inner| {
            // Here first: the user changes for all threads at once, capabilities thread by thread. And the death signal reaches the inner
            // process only from a thread of the same user.
            give_up_privileges(layout.user(), layout.group())?;
            Ok(inner)
        });
        // The other side waits for just this.
        let _ = send.send(inner);
        loop {
            thread::park();
        }
    };
    thread::Builder::new().name("maker".into()).spawn(maker).map_err(Error::io("start a thread"))?;
    started.recv().expect("the maker sends before it parks")
}

fn fork_inner(job: Job, layout: &Layout, listener: Option<TcpListener>, missing: Vec<String>) -> Result<Inner, Error> {
    unshare(CloneFlags::CLONE_NEWPID).map_err(Error::sys("make a process namespace"))?;
    let (ready, tell) = pipe2(OFlag::O_CLOEXEC).map_err(Error::sys("make a pipe"))?;
    // SAFETY: the only other thread waits on a channel and holds no lock that the child needs; C libraries keep theirs usable across a fork.
    match unsafe { fork() }.map_err(Error::sys("fork"))? {
        ForkResult::Child => {
            drop((ready, listener));
            std::process::exit(inner(job, layout, tell, missing))
        }
        ForkResult::Parent { child } => Ok(Inner { process: child, ready, listener }),
    }
}

/// The user and group the process gets: never root.
fn agent_user(local: &Local) -> Result<(Uid, Gid), Error> {
    let (own_user, own_group) = (geteuid(), getegid());
    let (user, group) = match local.user {
        Some((user, group)) => (Uid::from_raw(user), Gid::from_raw(group)),
        None if own_user.is_root() => (Uid::from_raw(AGENT_UID), Gid::from_raw(AGENT_UID)),
        None => (own_user, own_group),
    };
    if user.is_root() || group.as_raw() == 0 {
        return Err(Error::Job("the process may not be root".into()));
    }
    if !own_user.is_root() && (user, group) != (own_user, own_group) {
        return Err(Error::Job(format!("only root can start a process as user {user}")));
    }
    Ok((user, group))
}

/// Enters namespaces of its own, all but that of processes. Mounts and network are required; the others are said to be missing where they are.
fn separate(missing: &mut Vec<String>) -> Result<(), Error> {
    let required = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET;
    match namespace::enter(required | CloneFlags::CLONE_NEWIPC | CloneFlags::CLONE_NEWUTS) {
        Ok(()) => sethostname("borg").map_err(Error::sys("set the host name inside")),
        Err(why) => {
            namespace::enter(required)?;
            missing.push(format!("no IPC and host name of its own: {why}"));
            Ok(())
        }
    }
}

/// Brings up the only interface of a new network namespace, netdevice(7).
fn loopback_up() -> Result<(), Error> {
    let failed = || Error::sys("bring up the loopback interface");
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = *from as libc::c_char;
    }
    // SAFETY: the descriptor is new and ours; the structure lives across the calls, which read and write nothing else.
    unsafe {
        let socket =
            Errno::result(libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0)).map_err(failed())?;
        let socket = OwnedFd::from_raw_fd(socket);
        Errno::result(libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS as _, &raw mut request)).map_err(failed())?;
        request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short;
        Errno::result(libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS as _, &raw mut request)).map_err(failed())?;
    }
    Ok(())
}

/// The life of the inner process; returns its exit code.
fn inner(job: Job, layout: &Layout, tell: OwnedFd, mut missing: Vec<String>) -> i32 {
    let printer = Printer::new(std::io::stdout(), job.output_bytes);
    match settle(&job, layout, tell, &mut missing) {
        Ok(environment) => supervise::run(Prepared { job, environment, printer, listener: None, missing }),
        Err(why) => supervise::refuse(&printer, &why),
    }
}

/// Makes the mounts, gives up what that took, and tells the outer process; returns the agent's environment.
fn settle(
    job: &Job,
    layout: &Layout,
    tell: OwnedFd,
    missing: &mut Vec<String>,
) -> Result<Vec<(String, String)>, Error> {
    die_with_parent()?;
    if reader_is_gone(&tell)? {
        return Err(Error::Orphan);
    }
    if let Err(why) = std::fs::write("/proc/self/oom_score_adj", "1000") {
        missing.push(format!("when memory runs out, others may be killed first: {why}"));
    }
    layout.enter(missing)?;
    let was_root = geteuid().is_root();
    give_up_privileges(layout.user(), layout.group())?;
    if was_root {
        // The others have a user namespace already. The mapping is written to files that belong to root while a process is not dumpable.
        prctl::set_dumpable(true).map_err(Error::sys("become dumpable"))?;
        if let Err(why) = namespace::enter(CloneFlags::CLONE_NEWUSER) {
            missing.push(format!("no user namespace: {why}"));
        }
        give_up_privileges(layout.user(), layout.group())?;
    }
    home::write(&job.home_files)?;
    let environment = environment::build(std::iter::empty(), job)?;
    File::from(tell).write_all(b"r").map_err(Error::io("tell the outer process"))?;
    Ok(environment)
}

/// Becomes the agent's user where it is root, and keeps no capability. Undoes what a change of user undoes.
fn give_up_privileges(user: Uid, group: Gid) -> Result<(), Error> {
    if geteuid().is_root() {
        setgroups(&[])
            .and_then(|()| setresgid(group, group, group))
            .and_then(|()| setresuid(user, user, user))
            .map_err(Error::sys(format!("become user {user}")))?;
    }
    borg_confine::drop_capabilities()?;
    die_with_parent()?;
    Ok(borg_confine::set_undumpable()?)
}

fn die_with_parent() -> Result<(), Error> {
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(Error::sys("tie this process to its parent"))
}

fn reader_is_gone(pipe: &OwnedFd) -> Result<bool, Error> {
    let mut fds = [PollFd::new(pipe.as_fd(), PollFlags::empty())];
    poll(&mut fds, PollTimeout::ZERO).map_err(Error::sys("look at a pipe"))?;
    Ok(fds[0].revents().is_some_and(|events| events.contains(PollFlags::POLLERR)))
}
