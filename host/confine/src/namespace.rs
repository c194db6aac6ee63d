//! New namespaces, with a user namespace around them where the caller is not root.

use crate::Error;
use nix::{
    errno::Errno,
    sched::{CloneFlags, unshare},
    unistd::{getegid, geteuid},
};
use std::fs;

/// Moves the calling process into new namespaces. Without the privilege to do so directly, a user namespace that maps the caller's user and
/// group to themselves comes first. The process must have one thread, and be dumpable: its `/proc/self/uid_map` is not its own otherwise.
pub fn enter(flags: CloneFlags) -> Result<(), Error> {
    if !flags.contains(CloneFlags::CLONE_NEWUSER) {
        match unshare(flags) {
            Err(Errno::EPERM) => {}
            done => return done.map_err(|source| refused(flags, source)),
        }
    }
    let (user, group) = (geteuid(), getegid());
    unshare(flags | CloneFlags::CLONE_NEWUSER).map_err(|source| refused(flags, source))?;
    // The order is the kernel's: a group map of an unprivileged writer needs setgroups denied first, user_namespaces(7).
    let maps = [
        ("/proc/self/setgroups", "deny".to_owned()),
        ("/proc/self/uid_map", format!("{user} {user} 1")),
        ("/proc/self/gid_map", format!("{group} {group} 1")),
    ];
    for (file, text) in maps {
        fs::write(file, text).map_err(|why| Error::Namespace {
            what: "user mapping".into(),
            source: Errno::from_raw(why.raw_os_error().unwrap_or(libc::EIO)),
        })?;
    }
    Ok(())
}

fn refused(flags: CloneFlags, source: Errno) -> Error {
    const NAMES: [(CloneFlags, &str); 6] = [
        (CloneFlags::CLONE_NEWUSER, "user"),
        (CloneFlags::CLONE_NEWNS, "mount"),
        (CloneFlags::CLONE_NEWPID, "process"),
        (CloneFlags::CLONE_NEWNET, "network"),
        (CloneFlags::CLONE_NEWIPC, "IPC"),
        (CloneFlags::CLONE_NEWUTS, "host name"),
    ];
    let names: Vec<_> = NAMES.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name).collect();
    Error::Namespace { what: format!("{} namespace", names.join(", ")), source }
}
