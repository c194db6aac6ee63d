//! A helper of the host: confines itself, then executes. The environment, the user and the standard streams are the caller's choice.

use crate::{
    agent::{find, reset_signals},
    environment::text,
    error::{Error, in_words},
};
use borg_confine::{Profile, confine_self};
use borg_init::{EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_REFUSED};
use nix::{errno::Errno, unistd::execv};
use std::{
    ffi::{CString, OsString},
    os::unix::ffi::OsStringExt,
    path::Path,
};

/// Returns only when `command` was not executed, with the exit code; the reason is on standard error.
pub fn run(profile: &Path, command: &[OsString]) -> i32 {
    let (why, code) = match execute(profile, command) {
        Ok(Errno::ENOENT) => ("no such program".to_owned(), EXIT_NOT_FOUND),
        Ok(why) => (why.to_string(), EXIT_NOT_EXECUTABLE),
        Err(why) => (in_words(&why), EXIT_REFUSED),
    };
    let program = command.first().map(|program| program.to_string_lossy()).unwrap_or_default();
    eprintln!("borg-init: cannot run `{program}`: {why}");
    code
}

/// The error of `execv`, if it came so far.
fn execute(profile: &Path, command: &[OsString]) -> Result<Errno, Error> {
    let profile = read(profile)?;
    let argv = command.iter().map(|argument| text(argument.clone().into_vec())).collect::<Result<Vec<CString>, _>>()?;
    let name =
        command.first().and_then(|name| name.to_str()).ok_or_else(|| Error::Job("it names no program".into()))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let Some(program) = find(name, &path.to_string_lossy()) else { return Ok(Errno::ENOENT) };
    let program = text(program.into_os_string().into_vec())?;
    reset_signals()?;
    confine_self(&profile)?;
    Ok(execv(&program, &argv).err().unwrap_or(Errno::UnknownErrno))
}

/// Reads a profile in JSON.
pub fn read(path: &Path) -> Result<Profile, Error> {
    let text = std::fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
    serde_json::from_slice(&text).map_err(|source| Error::Parse { path: path.into(), source })
}
