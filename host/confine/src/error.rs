//! Why a process could not be confined. Each message ends in what a person can do about it.

use nix::errno::Errno;
use std::path::PathBuf;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("this kernel enforces no Landlock: boot one that lists `landlock` in `lsm=`")]
    NoLandlock,
    #[error("this kernel's Landlock (ABI {have}) cannot limit TCP ports (ABI 4, Linux 6.7): take a newer kernel")]
    NoTcpRules { have: u32 },
    #[error("cannot grant writing to `{path}`: it must exist and be reachable before the process starts")]
    Write { path: PathBuf, source: Errno },
    #[error("the kernel refuses the Landlock rules")]
    Landlock(#[from] landlock::RulesetError),
    #[error("the kernel refuses the system call filter: is seccomp built in (`CONFIG_SECCOMP_FILTER`)?")]
    Seccomp(#[from] seccompiler::Error),
    #[error(
        "the kernel refuses a new {what} ({source}): allow unprivileged user namespaces (`kernel.unprivileged_userns_clone=1`, \
         `kernel.apparmor_restrict_unprivileged_userns=0`, `user.max_user_namespaces` above 0), start as root, or use a Docker engine"
    )]
    Namespace { what: String, source: Errno },
    #[error("the kernel refuses to {what}")]
    Kernel { what: &'static str, source: Errno },
}

impl Error {
    pub(crate) fn kernel(what: &'static str) -> impl FnOnce(Errno) -> Self {
        move |source| Self::Kernel { what, source }
    }
}
