//! What a process gives up without Landlock or seccomp: limits, capabilities, new privileges, inherited descriptors, outliving its parent.

use crate::{Error, ParentDeath, Rlimits};
use nix::{
    errno::Errno,
    sys::{
        prctl,
        resource::{Resource, getrlimit, setrlimit},
        signal::Signal,
    },
};

/// Sets soft and hard limits; never raises a hard limit that is already lower.
pub(crate) fn limit(limits: &Rlimits) -> Result<(), Error> {
    let Rlimits { cpu_seconds, file_bytes, open_files, processes, address_space_bytes, data_bytes } = *limits;
    let wanted = [
        (Resource::RLIMIT_CORE, Some(0)),
        (Resource::RLIMIT_CPU, cpu_seconds),
        (Resource::RLIMIT_FSIZE, file_bytes),
        (Resource::RLIMIT_NOFILE, open_files),
        (Resource::RLIMIT_NPROC, processes),
        (Resource::RLIMIT_AS, address_space_bytes),
        (Resource::RLIMIT_DATA, data_bytes),
    ];
    for (resource, value) in wanted {
        if let Some(value) = value {
            let (_, hard) = getrlimit(resource).map_err(Error::kernel("read a resource limit"))?;
            let value = value.min(hard);
            setrlimit(resource, value, value).map_err(Error::kernel("set a resource limit"))?;
        }
    }
    Ok(())
}

/// Marks every descriptor above standard error close-on-exec (`close_range(2)`, Linux 5.11), but for those in `keep`.
pub(crate) fn close_on_exec(keep: &[i32]) -> Result<(), Error> {
    // SAFETY: takes three integers; changes flags only, so no owner of a descriptor loses it.
    let done = unsafe { libc::syscall(libc::SYS_close_range, 3u32, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    Errno::result(done).map_err(Error::kernel("mark inherited descriptors close-on-exec"))?;
    for fd in keep {
        // SAFETY: as above.
        let done = unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) };
        Errno::result(done).map_err(Error::kernel("keep a descriptor"))?;
    }
    Ok(())
}

/// Gives up every capability in every set, so that not even root keeps one through `exec`.
pub fn drop_capabilities() -> Result<(), Error> {
    // SAFETY: prctl with integers only. Unknown capability numbers end the loop with EINVAL.
    for capability in 0..64 {
        let done = unsafe { libc::prctl(libc::PR_CAPBSET_DROP, capability, 0, 0, 0) };
        match Errno::result(done) {
            Ok(_) => {}
            // Without CAP_SETPCAP the bounding set stays; no-new-privileges makes it unreachable.
            Err(Errno::EINVAL | Errno::EPERM) => break,
            Err(source) => return Err(Error::Kernel { what: "drop the capability bounding set", source }),
        }
    }
    // SAFETY: as above.
    let done = unsafe { libc::prctl(libc::PR_CAP_AMBIENT, libc::PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) };
    Errno::result(done).map_err(Error::kernel("clear ambient capabilities"))?;

    // `struct __user_cap_header_struct` of version 3 and its two `__user_cap_data_struct`, linux/capability.h.
    const VERSION_3: u32 = 0x2008_0522;
    let header: [u32; 2] = [VERSION_3, 0];
    let none: [u32; 6] = [0; 6];
    // SAFETY: both pointers are to arrays of the size version 3 asks for, which outlive the call.
    let done = unsafe { libc::syscall(libc::SYS_capset, header.as_ptr(), none.as_ptr()) };
    Errno::result(done).map(drop).map_err(Error::kernel("give up capabilities"))
}

pub(crate) fn no_new_privileges() -> Result<(), Error> {
    prctl::set_no_new_privs().map_err(Error::kernel("set no-new-privileges"))
}

/// Has the kernel end this process when the thread that spawned it ends. Changes of user or capabilities undo it: call it late.
pub(crate) fn follow_parent(death: ParentDeath) -> Result<(), Error> {
    let signal = match death {
        ParentDeath::Outlive => return Ok(()),
        ParentDeath::Terminate => Signal::SIGTERM,
        ParentDeath::Kill => Signal::SIGKILL,
    };
    prctl::set_pdeathsig(signal).map_err(Error::kernel("tie this process to its parent"))
}

/// Keeps other processes of the same user from reading this one's memory, environment and descriptors.
pub fn set_undumpable() -> Result<(), Error> {
    prctl::set_dumpable(false).map_err(Error::kernel("make this process unreadable to others"))
}
