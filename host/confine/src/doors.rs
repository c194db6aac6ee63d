//! The doors a confined process finds shut, tried one by one from inside: what tests, `borg-init doors` and a canary run.
//!
//! Each door is called with arguments that change nothing where it is open, and that the kernel refuses for another reason than lack of
//! privilege wherever that is possible, so that EPERM means the filter. Files and addresses depend on the grant and are left to the caller.

use crate::Error;
use nix::{
    sys::wait::{WaitStatus, waitpid},
    unistd::{ForkResult, fork},
};
use serde::{Deserialize, Serialize};

/// What the kernel said at one door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Tried {
    pub door: String,
    pub answer: Answer,
    /// True when the answer is the one a confined process must get.
    pub shut: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// The call succeeded.
    Open,
    /// It failed with this `errno`.
    Failed(i32),
    /// The process that tried it was killed by this signal.
    Killed(i32),
}

/// A system call to try and how it is shut.
struct Door {
    name: &'static str,
    call: fn() -> libc::c_long,
    shut: Shut,
}

enum Shut {
    /// Fails with this `errno`.
    With(i32),
    /// The filter kills the process, or the kernel does not have the door at all.
    ByDeath,
}

/// Tries every door in a child each, so that none affects the next or the caller.
///
/// # Errors
/// Only when no child can be forked.
pub fn try_all() -> Result<Vec<Tried>, Error> {
    doors().iter().map(try_one).collect()
}

fn try_one(door: &Door) -> Result<Tried, Error> {
    // SAFETY: the child makes one system call and ends without unwinding or running any exit handler.
    let answer = match unsafe { fork() }.map_err(Error::kernel("fork a child to try a door"))? {
        ForkResult::Child => {
            let result = (door.call)();
            let errno = if result == -1 { nix::errno::Errno::last_raw() } else { 0 };
            // SAFETY: _exit never returns and touches no memory. Errnos are below 256.
            unsafe { libc::_exit(errno) }
        }
        ForkResult::Parent { child } => loop {
            match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, 0)) => break Answer::Open,
                Ok(WaitStatus::Exited(_, errno)) => break Answer::Failed(errno),
                Ok(WaitStatus::Signaled(_, signal, _)) => break Answer::Killed(signal as i32),
                Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                Err(source) => return Err(Error::Kernel { what: "wait for the child at a door", source }),
            }
        },
    };
    let shut = match (&door.shut, answer) {
        (Shut::With(errno), Answer::Failed(got)) => *errno == got,
        (Shut::ByDeath, Answer::Killed(_)) => true,
        (Shut::With(_), Answer::Open | Answer::Killed(_)) | (Shut::ByDeath, Answer::Open | Answer::Failed(_)) => false,
    };
    Ok(Tried { door: door.name.into(), answer, shut })
}

const fn denied(name: &'static str, call: fn() -> libc::c_long) -> Door {
    Door { name, call, shut: Shut::With(libc::EPERM) }
}

/// `syscall(2)` with the arguments cast to the register width; missing ones are 0.
macro_rules! call {
    ($number:expr $(, $argument:expr)*) => {
        // SAFETY: every pointer passed below is null, to a live local, or to a string literal; the kernel checks them all.
        unsafe { libc::syscall($number $(, $argument as libc::c_long)*) }
    };
}

fn doors() -> Vec<Door> {
    const BAD: i32 = -1;
    const NULL: usize = 0;
    let mut doors = vec![
        denied("socket-vsock", || call!(libc::SYS_socket, libc::AF_VSOCK, libc::SOCK_STREAM, 0)),
        denied("socket-unix", || call!(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0)),
        denied("socket-packet", || call!(libc::SYS_socket, libc::AF_PACKET, libc::SOCK_RAW, 0)),
        denied("socket-alg", || call!(libc::SYS_socket, libc::AF_ALG, libc::SOCK_SEQPACKET, 0)),
        denied("socket-netlink-audit", || {
            call!(libc::SYS_socket, libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_AUDIT)
        }),
        denied("socketpair-datagram", || {
            let mut pair = [0i32; 2];
            call!(libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_DGRAM, 0, pair.as_mut_ptr())
        }),
        // Where pairs of this family exist, as of TIPC, this would be a way around the socket filter; where not, EOPNOTSUPP tells the door is open.
        denied("socketpair-inet", || {
            let mut pair = [0i32; 2];
            call!(libc::SYS_socketpair, libc::AF_INET, libc::SOCK_STREAM, 0, pair.as_mut_ptr())
        }),
        denied("io_uring_setup", || call!(libc::SYS_io_uring_setup, 0, NULL)),
        denied("io_uring_enter", || call!(libc::SYS_io_uring_enter, BAD, 0, 0, 0, NULL, 0)),
        denied("io_uring_register", || call!(libc::SYS_io_uring_register, BAD, 0, NULL, 0)),
        denied("ptrace", || call!(libc::SYS_ptrace, libc::PTRACE_TRACEME, 0, 0, 0)),
        denied("process_vm_readv", || call!(libc::SYS_process_vm_readv, std::process::id(), NULL, 0, NULL, 0, 0)),
        denied("process_vm_writev", || call!(libc::SYS_process_vm_writev, std::process::id(), NULL, 0, NULL, 0, 0)),
        denied("pidfd_getfd", || call!(libc::SYS_pidfd_getfd, BAD, 0, 0)),
        denied("perf_event_open", || call!(libc::SYS_perf_event_open, NULL, 0, BAD, BAD, 0)),
        // UFFD_USER_MODE_ONLY is open to everybody; the other bit is invalid.
        denied("userfaultfd", || call!(libc::SYS_userfaultfd, 0x4000_0001)),
        denied("bpf", || call!(libc::SYS_bpf, BAD, NULL, 8)),
        denied("keyctl", || call!(libc::SYS_keyctl, 0, BAD, 0)),
        denied("add_key", || call!(libc::SYS_add_key, NULL, NULL, NULL, 0, 0)),
        denied("request_key", || call!(libc::SYS_request_key, NULL, NULL, NULL, 0)),
        denied("unshare", || call!(libc::SYS_unshare, 0)),
        denied("setns", || call!(libc::SYS_setns, BAD, 0)),
        // Invalid together with CLONE_FS, so that no child is made where the door is open.
        denied("clone-newuser", || call!(libc::SYS_clone, libc::CLONE_NEWUSER | libc::CLONE_FS, 0, 0, 0, 0)),
        denied("clone-newns", || call!(libc::SYS_clone, libc::CLONE_NEWNS | libc::CLONE_FS, 0, 0, 0, 0)),
        Door { name: "clone3", call: || call!(libc::SYS_clone3, NULL, 0), shut: Shut::With(libc::ENOSYS) },
        denied("mount", || call!(libc::SYS_mount, NULL, c"/nowhere/at/all".as_ptr(), NULL, 0, NULL)),
        denied("umount2", || call!(libc::SYS_umount2, c"/nowhere/at/all".as_ptr(), 0)),
        denied("pivot_root", || call!(libc::SYS_pivot_root, c"/nowhere/at/all".as_ptr(), NULL)),
        denied("chroot", || call!(libc::SYS_chroot, c"/nowhere/at/all".as_ptr())),
        denied("fsopen", || call!(libc::SYS_fsopen, NULL, 0)),
        denied("fsconfig", || call!(libc::SYS_fsconfig, BAD, 0, NULL, NULL, 0)),
        denied("fsmount", || call!(libc::SYS_fsmount, BAD, 0, 0)),
        denied("fspick", || call!(libc::SYS_fspick, BAD, NULL, 0)),
        denied("move_mount", || call!(libc::SYS_move_mount, BAD, NULL, BAD, NULL, 0)),
        denied("open_tree", || call!(libc::SYS_open_tree, BAD, NULL, 0)),
        denied("mount_setattr", || call!(libc::SYS_mount_setattr, BAD, NULL, 1, NULL, 0)),
        denied("open_by_handle_at", || call!(libc::SYS_open_by_handle_at, BAD, NULL, 0)),
        denied("fanotify_init", || call!(libc::SYS_fanotify_init, 0x8000_0000u32, 0)),
        denied("kexec_load", || call!(libc::SYS_kexec_load, 0, 0, NULL, 0)),
        denied("finit_module", || call!(libc::SYS_finit_module, BAD, NULL, 0)),
        denied("reboot", || call!(libc::SYS_reboot, 0, 0, 0, NULL)),
        denied("ioctl-tiocsti", || call!(libc::SYS_ioctl, BAD, libc::TIOCSTI, NULL)),
    ];
    foreign(&mut doors);
    doors
}

/// The tables of other system calls the same processor offers.
#[cfg(target_arch = "x86_64")]
fn foreign(doors: &mut Vec<Door>) {
    const X32_BIT: i64 = 0x4000_0000;
    doors.push(denied("x32", || call!(X32_BIT | libc::SYS_getpid)));
    let call = || {
        const GETPID_OF_I386: i64 = 20;
        let result: i64;
        // SAFETY: getpid takes no argument and touches no memory; the registers the old entry path clears are named.
        unsafe {
            std::arch::asm!("int 0x80", inlateout("rax") GETPID_OF_I386 => result,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _);
        }
        result
    };
    doors.push(Door { name: "int80", call, shut: Shut::ByDeath });
}

#[cfg(not(target_arch = "x86_64"))]
fn foreign(_: &mut Vec<Door>) {}
