//! The forked child on its way to becoming the agent: own session, standard streams, confinement, then somebody else's program.

use crate::{
    environment::{encode, text},
    error::{Error, in_words},
};
use borg_confine::{Confined, Profile, confine_self};
use borg_init::{EXIT_NOT_EXECUTABLE, EXIT_NOT_FOUND, EXIT_REFUSED, Job};
use nix::{
    errno::Errno,
    sys::signal::{SigHandler, SigSet, SigmaskHow, Signal, signal, sigprocmask},
    unistd::{AccessFlags, access, chdir, dup2_stderr, dup2_stdin, dup2_stdout, execve, setsid},
};
use serde::{Deserialize, Serialize};
use std::{
    ffi::CString,
    fs::File,
    io::Write,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
};

/// What the child tells init before it is somebody else: that it is confined, then, only if it failed, why. The end of the pipe without a failure
/// means that the program was executed.
#[derive(Debug, Serialize, Deserialize)]
pub enum Report {
    Confined(Confined),
    Failed { why: String, exit_code: i32 },
}

/// The child's ends of the pipes.
pub struct Pipes {
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
    /// Close-on-exec.
    pub report: OwnedFd,
}

/// Runs in the forked child; never returns.
pub fn become_it(job: &Job, profile: &Profile, environment: &[(String, String)], pipes: Pipes) -> ! {
    let Pipes { stdin, stdout, stderr, report } = pipes;
    let mut report = File::from(report);
    let (why, exit_code) = match prepare(stdin, stdout, stderr, job).and_then(|()| Ok(confine_self(profile)?)) {
        Ok(confined) => {
            tell(&mut report, &Report::Confined(confined));
            match execute(job, environment) {
                Ok(never) => match never {},
                Err((why, exit_code)) => (why, exit_code),
            }
        }
        Err(why) => (in_words(&why), EXIT_REFUSED),
    };
    tell(&mut report, &Report::Failed { why, exit_code });
    // SAFETY: ends the child without running what belongs to init.
    unsafe { libc::_exit(exit_code) }
}

fn prepare(stdin: OwnedFd, stdout: OwnedFd, stderr: OwnedFd, job: &Job) -> Result<(), Error> {
    // A session of its own: no controlling terminal, and a group that init can signal as a whole.
    setsid().map_err(Error::sys("start a session"))?;
    reset_signals()?;
    dup2_stdin(stdin)
        .and_then(|()| dup2_stdout(stdout))
        .and_then(|()| dup2_stderr(stderr))
        .map_err(Error::sys("connect the standard streams"))?;
    chdir(job.cwd.as_str()).map_err(Error::sys(format!("enter `{}`", job.cwd)))
}

/// Undoes what init and Rust's runtime set, both of which survive an exec.
pub fn reset_signals() -> Result<(), Error> {
    // SAFETY: the default action runs no code of ours.
    unsafe { signal(Signal::SIGPIPE, SigHandler::SigDfl) }.map_err(Error::sys("reset SIGPIPE"))?;
    sigprocmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::empty()), None).map_err(Error::sys("unblock signals"))
}

fn tell(to: &mut File, report: &Report) {
    let mut line = serde_json::to_vec(report).expect("reports have string keys only");
    line.push(b'\n');
    // When init is gone there is nobody to tell.
    let _ = to.write_all(&line);
}

fn execute(job: &Job, environment: &[(String, String)]) -> Result<std::convert::Infallible, (String, i32)> {
    let refused = |why: Error| (in_words(&why), EXIT_REFUSED);
    let name = job.argv.first().ok_or_else(|| ("the job names no program".to_owned(), EXIT_REFUSED))?;
    let path = environment.iter().find(|(known, _)| known == "PATH").map_or("", |(_, value)| value.as_str());
    let program = find(name, path)
        .ok_or_else(|| (format!("`{name}` is not in the sandbox: searched `{path}`"), EXIT_NOT_FOUND))?;
    let program = text(program.into_os_string().into_encoded_bytes()).map_err(refused)?;
    let argv = job
        .argv
        .iter()
        .map(|argument| text(argument.as_str()))
        .collect::<Result<Vec<CString>, _>>()
        .map_err(refused)?;
    execve(&program, &argv, &encode(environment).map_err(refused)?).map_err(|why| {
        let exit_code = if why == Errno::ENOENT { EXIT_NOT_FOUND } else { EXIT_NOT_EXECUTABLE };
        (format!("cannot execute `{}`: {why}", program.to_string_lossy()), exit_code)
    })
}

/// The file that `name` means: itself when it has a slash, else the first executable file of that name in `path`.
pub fn find(name: &str, path: &str) -> Option<PathBuf> {
    if name.contains('/') {
        return Some(name.into());
    }
    path.split(':').map(|place| Path::new(place).join(name)).find(|candidate| {
        candidate.is_absolute() && candidate.is_file() && access(candidate, AccessFlags::X_OK).is_ok()
    })
}
