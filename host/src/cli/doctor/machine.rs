//! What the machine offers: kernel, init, Git, sandbox, disk, data directory.

use super::report::{Finding, Report};
use crate::cli::policy;
use anyhow::Result;
use borg_core::policy::SandboxChoice;
use borg_host::{
    causes,
    git::{self, Git},
    host,
    sandbox::{Allowed, Docker, DockerSettings, InitBinary, Local, LocalSettings, Sandbox},
    settings::Settings,
    spawn::Spawner,
    store::{DataLock, LockError},
};
use rustix::fs::{Access, access, statvfs};
use std::{os::unix::fs::MetadataExt, path::Path};

/// Free space below which a warning is due even where the floor is lower, in bytes.
const ROOM: u64 = 5 << 30;

pub(super) async fn look(settings: &Settings, report: &mut Report) -> Result<()> {
    let (spawner, init) = programs(report).await?;
    report.add(data_dir(&settings.data_dir()))?;
    report.add(disk(settings))?;
    if let Some(init) = init {
        sandbox(settings, init, &spawner, report).await?;
    }
    Ok(())
}

/// What is there whatever the settings say.
pub(super) async fn programs(report: &mut Report) -> Result<(Spawner, Option<InitBinary>)> {
    report.add(kernel())?;
    let init = host::init_binary();
    report.add(match &init {
        Ok(init) => Finding::good("borg-init", format!("{} is the one this build belongs to", init.path.display())),
        Err(error) => Finding::fault(
            "borg-init",
            causes::chain(error.as_ref()),
            "`cargo xtask build` in the checkout, or install borg afresh",
        ),
    })?;
    let spawner = Spawner::start()?;
    report.add(git(&spawner, init.as_ref().ok()).await?)?;
    Ok((spawner, init.ok()))
}

fn kernel() -> Finding {
    let release = rustix::system::uname().release().to_string_lossy().into_owned();
    match borg_confine::landlock_abi() {
        0 => Finding::fault(
            "kernel",
            format!("{release} has no Landlock, which holds agents and helpers to their files"),
            "use a kernel of 5.13 or newer with Landlock on: `cat /sys/kernel/security/lsm` lists it then",
        ),
        abi => Finding::good("kernel", format!("{release}, Landlock ABI {abi}")),
    }
}

async fn git(spawner: &Spawner, init: Option<&InitBinary>) -> Result<Finding> {
    let home = tempfile::tempdir()?;
    let settings = git::Settings { launcher: init.map(|init| init.path.clone()), ..git::Settings::default() };
    let version = match Git::open(home.path(), spawner.clone(), settings) {
        Ok(git) => git.version().await,
        Err(error) => Err(error),
    };
    Ok(match version {
        Ok(version) => Finding::good("git", version),
        Err(error) => Finding::fault("git", causes::chain(&error), "`sudo apt-get install git`"),
    })
}

fn data_dir(path: &Path) -> Finding {
    let what = "data directory";
    let shown = path.display();
    let Ok(found) = path.metadata() else {
        return Finding::good(what, format!("{shown} is made at the first start"));
    };
    let me = rustix::process::geteuid().as_raw();
    if !found.is_dir() || access(path, Access::READ_OK | Access::WRITE_OK | Access::EXEC_OK).is_err() {
        return Finding::fault(
            what,
            format!("{shown} cannot be written"),
            format!("`sudo chown -R \"$(id -u):$(id -g)\" {shown}`"),
        );
    }
    if found.uid() != me {
        return Finding::warning(
            what,
            format!("{shown} belongs to uid {}", found.uid()),
            format!("`sudo chown -R {me} {shown}`"),
        );
    }
    if found.mode() & 0o077 != 0 {
        return Finding::fault(
            what,
            format!("{shown} is open to others (mode {:o})", found.mode() & 0o777),
            format!("`chmod 700 {shown}`"),
        );
    }
    match DataLock::take(path) {
        Ok(_) => Finding::good(what, format!("{shown}; no host is running on it")),
        Err(LockError::Taken { pid, .. }) => {
            Finding::good(what, format!("{shown}; a host is running on it (pid {pid})"))
        }
        Err(error @ LockError::Copied { .. }) => {
            Finding::fault(what, error.to_string(), format!("`rm {shown}/installation.json`"))
        }
        Err(error @ (LockError::Io { .. } | LockError::Damaged { .. })) => {
            Finding::fault(what, error.to_string(), format!("`ls -la {shown}` shows what is in the way"))
        }
    }
}

fn disk(settings: &Settings) -> Finding {
    let data = settings.data_dir();
    // Where the data directory will be, as long as it is not there.
    let place = data.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let floor = policy::load(settings).map_or(0, |policy| policy.host.free_space_floor);
    let Ok(found) = statvfs(place) else {
        return Finding::fault(
            "disk",
            format!("{} cannot be measured", place.display()),
            format!("`df {}`", place.display()),
        );
    };
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    let shown = format!("{} MiB free at {}", free >> 20, place.display());
    if free < floor {
        let detail = format!("{shown}; nothing starts below {} MiB", floor >> 20);
        Finding::fault(
            "disk",
            detail,
            "`docker system df` shows what images and containers take; or lower `free-space-floor` in policies/host.toml",
        )
    } else if free < floor.saturating_add(ROOM) {
        Finding::warning("disk", shown, "`docker system df` shows what images and containers take")
    } else {
        Finding::good("disk", shown)
    }
}

async fn sandbox(settings: &Settings, init: InitBinary, spawner: &Spawner, report: &mut Report) -> Result<()> {
    let choice = policy::load(settings).map_or(SandboxChoice::Docker, |policy| policy.host.sandbox);
    let data = settings.data_dir();
    let home = settings.home();
    let sandbox = match choice {
        SandboxChoice::Docker => {
            let asked = DockerSettings {
                host: settings.docker_host(),
                installation: "doctor".into(),
                init,
                roots: Vec::new(),
                home,
                free_floor_bytes: 0,
            };
            Docker::connect(asked).await.map(Sandbox::Docker)
        }
        SandboxChoice::Local => {
            let asked = LocalSettings {
                allowed: Allowed::ByPolicy,
                init,
                runs: data.join("runs"),
                roots: Vec::new(),
                home,
                free_floor_bytes: 0,
            };
            Ok(Sandbox::Local(Local::new(asked, spawner.clone())))
        }
    };
    let sandbox = match sandbox {
        Ok(sandbox) => sandbox,
        Err(error) => {
            let remedy =
                "`sudo systemctl start docker`; or allow the weaker `sandbox = \"local\"` in policies/host.toml";
            return report.add(Finding::fault("sandbox", causes::chain(&error), remedy));
        }
    };
    let strength = sandbox.describe().await;
    report.add(match choice {
        SandboxChoice::Docker => Finding::good("sandbox", strength.summary),
        SandboxChoice::Local => {
            let remedy = "install a Docker engine and set `sandbox = \"docker\"` in policies/host.toml";
            Finding::warning("sandbox", format!("{}: weaker than containers", strength.summary), remedy)
        }
    })?;
    for missing in strength.missing {
        report.add(Finding::warning(
            "sandbox",
            format!("not there: {missing}"),
            "`borg-host task log N` says with the first run what it had to do without",
        ))?;
    }
    Ok(())
}
