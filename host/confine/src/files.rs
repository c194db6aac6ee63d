//! Landlock: files, TCP ports, and the border to processes outside (landlock(7)). What it does not hold, seccomp does (`seccomp.rs`).

use crate::{Error, Profile, Tcp};
use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, NetPort, PathBeneath, Ruleset, RulesetAttr,
    RulesetCreated, RulesetCreatedAttr, Scope,
};
use nix::{
    fcntl::{OFlag, open},
    sys::stat::{Mode, fstat},
};
use std::{
    os::fd::{AsFd, OwnedFd},
    path::Path,
};

/// Newest ABI whose rights are asked for; what a newer kernel offers beyond it is not tried here yet.
const KNOWN: ABI = ABI::V7;

/// Landlock ABI version of the running kernel; 0 when it has none or does not enforce it.
pub fn abi() -> u32 {
    const LANDLOCK_CREATE_RULESET_VERSION: u32 = 1;
    // SAFETY: with this flag the kernel takes no attribute and only returns a number, landlock_create_ruleset(2).
    let version = unsafe {
        libc::syscall(
            libc::SYS_landlock_create_ruleset,
            std::ptr::null::<libc::c_void>(),
            0usize,
            LANDLOCK_CREATE_RULESET_VERSION,
        )
    };
    u32::try_from(version).unwrap_or(0)
}

/// Puts the calling thread into a domain that holds `profile`; returns the kernel's ABI and appends what that kernel cannot hold.
pub(crate) fn restrict(profile: &Profile, missing: &mut Vec<String>) -> Result<u32, Error> {
    let abi = abi();
    if abi == 0 {
        return Err(Error::NoLandlock);
    }
    name_gaps(abi, profile, missing)?;

    let mut rules = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(KNOWN))?
        .scope(Scope::from_all(KNOWN))?;
    if profile.tcp != Tcp::Any {
        rules = rules.handle_access(AccessNet::from_all(KNOWN))?;
    }
    let mut domain = rules.create()?;
    let read = AccessFs::ReadFile | AccessFs::ReadDir;
    for path in &profile.read {
        domain = grant_if_there(domain, path, read)?;
    }
    for path in &profile.read_exec {
        domain = grant_if_there(domain, path, read | AccessFs::Execute)?;
    }
    for path in &profile.write {
        let place = name(path).map_err(|source| Error::Write { path: path.clone(), source })?;
        domain =
            grant(domain, place, (AccessFs::from_write(KNOWN) | read) & !(AccessFs::MakeBlock | AccessFs::MakeChar))?;
    }
    if let Tcp::Ports(ports) = &profile.tcp {
        for port in ports {
            domain = domain.add_rule(NetPort::new(*port, AccessNet::ConnectTcp))?;
        }
    }
    domain.restrict_self()?;
    Ok(abi)
}

/// What an old kernel leaves open. That it cannot hold granted TCP ports is an error: everything else is held in another way as well.
fn name_gaps(abi: u32, profile: &Profile, missing: &mut Vec<String>) -> Result<(), Error> {
    if abi < 3 {
        missing
            .push("truncating files outside the grant is held by permissions only (Landlock ABI 3, Linux 6.2)".into());
    }
    if abi < 4 {
        match &profile.tcp {
            Tcp::Ports(_) => return Err(Error::NoTcpRules { have: abi }),
            // Held by seccomp and by a network namespace.
            Tcp::None | Tcp::Any => {}
        }
    }
    if abi < 5 {
        missing
            .push("control of devices by ioctl is held by having few of them only (Landlock ABI 5, Linux 6.10)".into());
    }
    if abi < 6 {
        missing.push("signals to processes of the same user outside are not held (Landlock ABI 6, Linux 6.12)".into());
    }
    Ok(())
}

fn grant_if_there(domain: RulesetCreated, path: &Path, access: BitFlags<AccessFs>) -> Result<RulesetCreated, Error> {
    match name(path) {
        Ok(place) => grant(domain, place, access),
        Err(_) => Ok(domain),
    }
}

/// A descriptor that only names `path` and opens nothing: devices stay untouched, FIFOs do not block. The crate's own `PathFd` opens for
/// reading where the C library counts `O_PATH` among the access modes, as musl does.
fn name(path: &Path) -> nix::Result<OwnedFd> {
    open(path, OFlag::O_PATH | OFlag::O_CLOEXEC, Mode::empty())
}

/// Grants `access` below `place`; rights that mean something for directories only are left out for files, which the kernel would refuse.
fn grant(domain: RulesetCreated, place: OwnedFd, access: BitFlags<AccessFs>) -> Result<RulesetCreated, Error> {
    let access = if is_directory(&place)? { access } else { access & AccessFs::from_file(KNOWN) };
    Ok(domain.add_rule(PathBeneath::new(place, access))?)
}

fn is_directory(place: &OwnedFd) -> Result<bool, Error> {
    let status = fstat(place.as_fd()).map_err(Error::kernel("look at a granted path"))?;
    Ok(status.st_mode & libc::S_IFMT == libc::S_IFDIR)
}
