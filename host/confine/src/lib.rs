//! borg-confine: makes the calling process give up what it does not need, before it executes somebody else's program.
//!
//! Landlock for files and TCP, seccomp for system calls, rlimits, no new privileges, no capabilities, no inherited descriptors.
//! Which process gets which [`Profile`] is left to the callers; mounts and process namespaces are left to `borg-init`.
//!
//! Everything here acts on the calling *thread* (that is how the kernel works), so callers fork first and have one thread.

pub mod doors;
mod error;
mod files;
pub mod namespace;
mod process;
mod profile;
mod seccomp;

pub use error::Error;
pub use files::abi as landlock_abi;
pub use process::{drop_capabilities, set_undumpable};
pub use profile::{Confined, Filter, Network, ParentDeath, Profile, Rlimits, Tcp};

/// Confines the calling thread to `profile`, for good: neither it nor what it executes can take any of it back.
///
/// Descriptors above standard error are marked close-on-exec rather than closed, so that the caller can still report before it executes.
///
/// # Errors
/// Anything that is asked for and cannot be had, except what the profile calls best effort. The caller must not go on then: the
/// process may be confined in part.
pub fn confine_self(profile: &Profile) -> Result<Confined, Error> {
    let mut missing = Vec::new();
    process::limit(&profile.limits)?;
    match profile.network {
        Network::Shared => {}
        Network::Own => namespace::enter(nix::sched::CloneFlags::CLONE_NEWNET)?,
        Network::OwnIfPossible => {
            if let Err(why) = namespace::enter(nix::sched::CloneFlags::CLONE_NEWNET) {
                missing.push(format!("no network of its own: {why}"));
            }
        }
    }
    process::close_on_exec(&profile.keep)?;
    process::drop_capabilities()?;
    process::follow_parent(profile.parent_death)?;
    process::no_new_privileges()?;
    let landlock_abi = files::restrict(profile, &mut missing)?;
    seccomp::install(profile)?;
    Ok(Confined { landlock_abi, seccomp: true, missing })
}
