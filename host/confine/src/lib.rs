//! borg-confine: makes the calling process give up what it does not need, before it executes somebody else's program.
//!
//! Landlock for files and TCP, seccomp for system calls, rlimits, no new privileges, no capabilities, no inherited descriptors.
//! Which process gets which [`Profile`] is left to the callers; namespaces other than the network are left to `borg-init`.

mod profile;

pub use profile::{Confined, Filter, Landlock, Network, Profile, Rlimits, Tcp};
