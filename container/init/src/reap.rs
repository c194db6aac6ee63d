//! Waiting: reaps whatever ends, passes a request to stop on, and insists after a grace.

use crate::error::Error;
use nix::{
    errno::Errno,
    sys::{
        signal::{SigSet, Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::{Pid, getpid},
};
use std::time::{Duration, Instant};

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    Exited(i32),
    Killed(i32),
}

impl End {
    /// As shells tell it.
    pub fn code(self) -> i32 {
        match self {
            Self::Exited(code) => code,
            Self::Killed(signal) => 128 + signal,
        }
    }
}

/// Whom a request to stop is passed to.
#[derive(Clone, Copy)]
pub enum Main {
    Process(Pid),
    /// A process and all of its group, which it leads.
    Group(Pid),
}

const STOP: [Signal; 4] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT];

/// Blocks the signals [`until_end`] waits for. Comes before the first fork and the first thread: both inherit it.
pub fn block_signals() -> Result<(), Error> {
    waited_for().thread_block().map_err(Error::sys("block signals"))
}

/// Waits until `main` ended and reaps everything that ends before it. A request to stop becomes SIGTERM for `main`, and SIGKILL after `grace`;
/// SIGQUIT becomes SIGKILL at once, for whoever must know that `main` is dead when this process is, which killing this one would not tell.
pub fn until_end(main: Main, grace: Duration) -> Result<End, Error> {
    let (leader, everybody) = match main {
        Main::Process(pid) => (pid, pid),
        Main::Group(pid) => (pid, Pid::from_raw(-pid.as_raw())),
    };
    let mut deadline: Option<Instant> = None;
    loop {
        if let Some(end) = reap(leader)? {
            return Ok(end);
        }
        match next_signal(deadline) {
            Some(Signal::SIGCHLD) => {}
            Some(Signal::SIGQUIT) => {
                let _ = kill(everybody, Signal::SIGKILL);
            }
            Some(_) if deadline.is_none() => {
                // It may have ended just now; then the next round reaps it.
                let _ = kill(everybody, Signal::SIGTERM);
                deadline = Some(Instant::now() + grace);
            }
            Some(_) => {}
            None => {
                if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
                    let _ = kill(everybody, Signal::SIGKILL);
                    deadline = Some(Instant::now() + grace.max(Duration::from_secs(1)));
                }
            }
        }
    }
}

/// Kills everything else in this process namespace. Only ever as its first process: elsewhere the same call would end the user's session.
pub fn end_everybody_else() {
    if getpid() == Pid::from_raw(1) {
        // ESRCH when nobody else is left.
        let _ = kill(Pid::from_raw(-1), Signal::SIGKILL);
    }
}

/// Reaps all that have ended; how `leader` did, if it was among them.
fn reap(leader: Pid) -> Result<Option<End>, Error> {
    let mut found = None;
    loop {
        let (pid, end) = match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) => (pid, End::Exited(code)),
            Ok(WaitStatus::Signaled(pid, signal, _)) => (pid, End::Killed(signal as i32)),
            Ok(WaitStatus::StillAlive) | Err(Errno::ECHILD) => return Ok(found),
            Ok(_) | Err(Errno::EINTR) => continue,
            Err(why) => return Err(Error::sys("wait for processes")(why)),
        };
        if pid == leader {
            found = Some(end);
        }
    }
}

/// The next signal, or none when the deadline passed (or the wait was interrupted).
fn next_signal(deadline: Option<Instant>) -> Option<Signal> {
    let set = waited_for();
    let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
    let time =
        left.map(|left| libc::timespec { tv_sec: left.as_secs().min(3600) as _, tv_nsec: left.subsec_nanos().into() });
    let time = time.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the set and the time live across the call; no information is asked for.
    let signal = unsafe { libc::sigtimedwait(set.as_ref(), std::ptr::null_mut(), time) };
    Signal::try_from(signal).ok()
}

fn waited_for() -> SigSet {
    STOP.into_iter().chain([Signal::SIGCHLD]).collect()
}
