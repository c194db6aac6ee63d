//! Runs a piece of a test in a forked child, confined or not, and hands back what it found.

use borg_confine::{Confined, Profile, confine_self};
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, fork, pipe},
};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{Read, Write},
    os::fd::OwnedFd,
};

/// What `look` returned in a child confined to `profile`, and how that child was confined.
pub fn confined<T: Serialize + DeserializeOwned>(profile: &Profile, look: impl FnOnce() -> T) -> (Confined, T) {
    in_child(|| {
        let confined = confine_self(profile).map_err(|why| why.to_string())?;
        Ok((confined, look()))
    })
    .expect("confined")
}

/// What `look` returned in a child with no confinement: the control.
pub fn free<T: Serialize + DeserializeOwned>(look: impl FnOnce() -> T) -> T {
    in_child(|| Ok(look())).expect("ran")
}

/// What a child in the state `prepare` leaves gets from `confine_self`.
#[allow(dead_code, reason = "each test file uses its part of this module")]
pub fn refusal(profile: &Profile, prepare: impl FnOnce()) -> Result<Confined, String> {
    in_child(|| {
        prepare();
        confine_self(profile).map_err(|why| why.to_string())
    })
}

fn in_child<T: Serialize + DeserializeOwned>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let (read, write): (OwnedFd, OwnedFd) = pipe().expect("pipe");
    // SAFETY: the C library keeps its allocator usable across a fork of this thread; the child ends by _exit without unwinding.
    match unsafe { fork() }.expect("fork") {
        ForkResult::Child => {
            let found =
                std::panic::catch_unwind(std::panic::AssertUnwindSafe(work)).unwrap_or_else(|_| Err("panicked".into()));
            let text = serde_json::to_vec(&found).expect("json");
            File::from(write).write_all(&text).expect("report");
            // SAFETY: never returns.
            unsafe { libc::_exit(0) }
        }
        ForkResult::Parent { child } => {
            drop(write);
            let mut text = Vec::new();
            File::from(read).read_to_end(&mut text).expect("report");
            assert_eq!(waitpid(child, None), Ok(WaitStatus::Exited(child, 0)));
            serde_json::from_slice(&text).expect("json")
        }
    }
}

/// The error number of a failed operation; 0 when it succeeded.
pub fn errno<T>(result: std::io::Result<T>) -> i32 {
    result.map_or_else(|why| why.raw_os_error().unwrap_or(-1), |_| 0)
}

/// A command with an empty environment but for a path.
#[allow(dead_code, reason = "each test file uses its part of this module")]
#[expect(clippy::disallowed_methods, reason = "tests start children of their own, with an explicit environment")]
pub fn program(path: impl AsRef<std::ffi::OsStr>) -> std::process::Command {
    let mut command = std::process::Command::new(path);
    command.env_clear().env("PATH", "/usr/bin:/bin");
    command
}
