//! One process from start to end: fork, confine, execute, feed, copy, wait, tell. The same in a container and in the local sandbox;
//! both times the caller is the first process of its process namespace.

use crate::{
    agent::{self, Pipes, Report},
    bridge,
    error::{Error, in_words},
    output::Printer,
    reap::{self, End, Main},
};
use borg_confine::{Confined, Network, ParentDeath, Profile, Tcp};
use borg_init::{EXIT_REFUSED, HOME, IN, Job, OUT, Record, Stream, WORKSPACE};
use nix::{
    fcntl::OFlag,
    unistd::{ForkResult, fork, pipe2},
};
use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    os::fd::OwnedFd,
    path::{Path, PathBuf},
    sync::mpsc,
    thread,
    time::Duration,
};

/// How long output is still read after everybody is dead; only a process the kernel cannot kill yet makes use of it.
const DRAIN: Duration = Duration::from_secs(2);

/// Devices a process may write, where they exist.
const DEVICES: [&str; 7] = ["/dev/null", "/dev/zero", "/dev/full", "/dev/tty", "/dev/ptmx", "/dev/pts", "/dev/shm"];

/// Tells why there will be no process, and returns init's exit code.
pub fn refuse(printer: &Printer, why: &Error) -> i32 {
    printer.record(&Record::Refused { why: in_words(why) });
    printer.end(Some(EXIT_REFUSED), None);
    EXIT_REFUSED
}

/// What the caller has prepared.
pub struct Prepared {
    pub job: Job,
    pub environment: Vec<(String, String)>,
    pub printer: Printer,
    /// Bound, not yet served; none when the job has no bridge or somebody else serves it.
    pub listener: Option<TcpListener>,
    /// What could not be had, in words.
    pub missing: Vec<String>,
}

/// Starts the job's process and stays with it to the end; returns init's exit code.
pub fn run(prepared: Prepared) -> i32 {
    let printer = &prepared.printer.clone();
    match start(prepared) {
        Ok(Started::Running(end)) => {
            match end {
                End::Exited(code) => printer.end(Some(code), None),
                End::Killed(signal) => printer.end(None, Some(signal)),
            }
            end.code()
        }
        Ok(Started::Not { why, exit_code }) => {
            printer.record(&Record::Refused { why });
            printer.end(Some(exit_code), None);
            exit_code
        }
        Err(why) => refuse(printer, &why),
    }
}

enum Started {
    Running(End),
    Not { why: String, exit_code: i32 },
}

fn start(prepared: Prepared) -> Result<Started, Error> {
    let Prepared { job, environment, printer, listener, mut missing } = prepared;
    let profile = profile(&job)?;
    let (stdin, feed) = pipe()?;
    let (out, stdout) = pipe()?;
    let (err, stderr) = pipe()?;
    let (reports, report) = pipe()?;
    let grace = Duration::from_millis(job.grace_ms);
    // SAFETY: this process has one thread so far: the bridge and the copying start below.
    let child = match unsafe { fork() }.map_err(Error::sys("fork"))? {
        ForkResult::Child => agent::become_it(&job, &profile, &environment, Pipes { stdin, stdout, stderr, report }),
        ForkResult::Parent { child } => child,
    };
    drop((stdin, stdout, stderr, report));
    let confined = match read_reports(reports)? {
        (Some(confined), None) => confined,
        (_, Some((why, exit_code))) => {
            reap::until_end(Main::Group(child), grace)?;
            return Ok(Started::Not { why, exit_code });
        }
        (None, None) => {
            let end = reap::until_end(Main::Group(child), grace)?;
            return Ok(Started::Not {
                why: format!("the process ended while it confined itself: {end:?}"),
                exit_code: EXIT_REFUSED,
            });
        }
    };
    let Confined { landlock_abi, seccomp, missing: unheld } = confined;
    missing.extend(unheld);
    printer.record(&Record::Started { landlock_abi, seccomp, missing });

    if let Some((listener, bridge)) = listener.zip(job.bridge) {
        bridge::serve(listener, bridge)?;
    }
    // Nothing is ever sent: the channel closes when both copies are complete.
    let (done, copied) = mpsc::channel::<()>();
    for (from, stream) in [(out, Stream::Out), (err, Stream::Err)] {
        let (printer, done) = (printer.clone(), done.clone());
        spawn("output", move || {
            let _done = done;
            // A pipe that cannot be read is one whose output is over.
            let _ = printer.copy(File::from(from), stream);
        })?;
    }
    drop(done);
    let input = job.stdin;
    spawn("input", move || {
        // A process that does not read its input to the end is no error.
        let _ = File::from(feed).write_all(&input);
    })?;

    let end = reap::until_end(Main::Group(child), grace)?;
    // What it left running would hold the pipes open, and ends with this process anyway.
    reap::end_everybody_else();
    let _ = copied.recv_timeout(DRAIN);
    Ok(Started::Running(end))
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    pipe2(OFlag::O_CLOEXEC).map_err(Error::sys("make a pipe"))
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    thread::Builder::new().name(name.into()).spawn(work).map(drop).map_err(Error::io("start a thread"))
}

type Failure = (String, i32);

fn read_reports(reports: OwnedFd) -> Result<(Option<Confined>, Option<Failure>), Error> {
    let (mut confined, mut failed) = (None, None);
    for line in BufReader::new(File::from(reports)).lines() {
        let line = line.map_err(Error::io("hear from the child"))?;
        match serde_json::from_str(&line).map_err(|why| Error::io("understand the child")(why.into()))? {
            Report::Confined(how) => confined = Some(how),
            Report::Failed { why, exit_code } => failed = Some((why, exit_code)),
        }
    }
    Ok((confined, failed))
}

/// What the agent may do: read everything there is inside, write where the job says, reach whatever its empty network reaches.
fn profile(job: &Job) -> Result<Profile, Error> {
    let mut write: Vec<PathBuf> = vec!["/tmp".into(), HOME.into()];
    for place in &job.write {
        let tame =
            place.is_absolute() && place.parent().is_some() && !place.components().any(|part| part.as_os_str() == "..");
        if !tame {
            return Err(Error::Job(format!("`{}` cannot be granted for writing", place.display())));
        }
        write.push(place.clone());
    }
    write.extend(DEVICES.iter().map(PathBuf::from).filter(|device| device.exists()));
    Ok(Profile {
        read: vec!["/".into()],
        read_exec: if job.exec { vec!["/".into()] } else { programs(&write)? },
        write,
        tcp: Tcp::Any,
        unix_sockets: job.unix_sockets,
        network: Network::Shared,
        limits: job.limits,
        parent_death: ParentDeath::Kill,
        ..Profile::default()
    })
}

/// Top-level directories whose programs may be executed by a process that may not start what it wrote: all but those in which
/// something can be written, and those that carry somebody's files.
fn programs(write: &[PathBuf]) -> Result<Vec<PathBuf>, Error> {
    let carried = [WORKSPACE, IN, OUT].map(PathBuf::from);
    let apart =
        |top: &Path| write.iter().chain(&carried).all(|place| !place.starts_with(top) && !top.starts_with(place));
    let entries =
        std::fs::read_dir("/").and_then(Iterator::collect::<Result<Vec<_>, _>>).map_err(Error::io("list `/`"))?;
    // Links such as `/bin` count as what they lead to; dangling ones as nothing.
    Ok(entries.into_iter().filter_map(|entry| entry.path().canonicalize().ok()).filter(|top| apart(top)).collect())
}
