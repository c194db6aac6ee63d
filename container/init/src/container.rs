//! PID 1 of a container. The engine has made the namespaces and mounts; what is left is to start one process and outlive it.

use crate::{
    bridge, environment,
    error::Error,
    home,
    output::Printer,
    reap,
    supervise::{self, Prepared},
};
use borg_init::{JOB_FILE, Job};
use nix::unistd::{Pid, getpid};
use std::{fs, path::Path};

/// Runs the container's job; returns the exit code.
pub fn run() -> i32 {
    match prepare() {
        Ok(prepared) => supervise::run(prepared),
        Err(why) => supervise::refuse(&Printer::new(std::io::stdout(), 0), &why),
    }
}

fn prepare() -> Result<Prepared, Error> {
    if getpid() != Pid::from_raw(1) {
        return Err(Error::NotFirst);
    }
    borg_confine::set_undumpable()?;
    reap::block_signals()?;
    let job = read_job(Path::new(JOB_FILE))?;
    let image =
        std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let environment = environment::build(image, &job)?;
    home::write(&job.home_files)?;
    let printer = Printer::new(std::io::stdout(), job.output_bytes);
    let listener = job.bridge.as_ref().map(bridge::listen).transpose()?;
    Ok(Prepared { job, environment, printer, listener, missing: Vec::new() })
}

/// Reads and understands a job file.
pub fn read_job(path: &Path) -> Result<Job, Error> {
    let text = fs::read(path).map_err(|source| Error::Read { path: path.into(), source })?;
    let job: Job = serde_json::from_slice(&text).map_err(|source| Error::Parse { path: path.into(), source })?;
    if job.argv.is_empty() {
        return Err(Error::Job("it names no program".into()));
    }
    Ok(job)
}
