//! The system call filter: which doors of the kernel are closed whatever the files and the network look like. Denied calls fail with EPERM.
//!
//! A list of what is closed rather than of what is open: coding agents and test suites use most of the interface, and everything that
//! needs privilege is closed already by having none. Closed here is what works *without* privilege and leads out or around: other
//! socket families, Unix sockets (Landlock does not cover pathname ones), `io_uring` (its operations pass no filter), namespaces and
//! mounts (a user namespace gives capabilities over them), other processes' memory, keyrings, BPF, and foreign system call tables.

use crate::{Error, Filter, Profile, Tcp};
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen::Dword, SeccompCmpOp as Op, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, sock_filter,
};
use std::collections::BTreeMap;

/// `open_tree_attr(2)`, Linux 6.15; the same number on all architectures.
const SYS_OPEN_TREE_ATTR: i64 = 467;

/// Always closed.
const CLOSED: [i64; 45] = [
    // Other processes.
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_pidfd_getfd,
    libc::SYS_kcmp,
    libc::SYS_perf_event_open,
    // Operations that pass no filter, faults served by user space, programs in the kernel.
    libc::SYS_io_uring_setup,
    libc::SYS_io_uring_enter,
    libc::SYS_io_uring_register,
    libc::SYS_userfaultfd,
    libc::SYS_bpf,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    // Namespaces and mounts, old and new interface.
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_move_mount,
    libc::SYS_open_tree,
    SYS_OPEN_TREE_ATTR,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_fanotify_init,
    // The machine.
    libc::SYS_kexec_load,
    libc::SYS_kexec_file_load,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_syslog,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_vhangup,
];

/// Namespaces that `clone(2)` could make.
const CLONE_NAMESPACES: [i32; 7] = [
    libc::CLONE_NEWNS,
    libc::CLONE_NEWCGROUP,
    libc::CLONE_NEWUTS,
    libc::CLONE_NEWIPC,
    libc::CLONE_NEWUSER,
    libc::CLONE_NEWPID,
    libc::CLONE_NEWNET,
];

/// Bits of a socket's type that are the type itself, linux/net.h.
const SOCK_TYPE_MASK: u64 = 0xf;

/// Installs both filters on the calling thread. Needs no-new-privileges.
pub(crate) fn install(profile: &Profile) -> Result<(), Error> {
    let arch = TargetArch::try_from(std::env::consts::ARCH).map_err(seccompiler::Error::from)?;
    let main =
        SeccompFilter::new(rules(profile)?, SeccompAction::Allow, SeccompAction::Errno(libc::EPERM as u32), arch)
            .and_then(BpfProgram::try_from)
            .map_err(seccompiler::Error::from)?;
    seccompiler::apply_filter(&guard())?;
    seccompiler::apply_filter(&main)?;
    Ok(())
}

/// What the rule compiler cannot express: system calls of the x32 table (numbers from 2^30 on the same architecture, so the check of the
/// architecture lets them through) fail with EPERM, and `clone3`, whose flags lie in memory a filter cannot see, fails with ENOSYS, upon which
/// C libraries fall back to `clone`.
fn guard() -> BpfProgram {
    const LOAD_NUMBER: sock_filter =
        sock_filter { code: (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16, jt: 0, jf: 0, k: 0 };
    const X32_BIT: u32 = 0x4000_0000;
    let jump = |operation: u32, k: u32, jt: u8, jf: u8| sock_filter {
        code: (libc::BPF_JMP | operation | libc::BPF_K) as u16,
        jt,
        jf,
        k,
    };
    let answer = |k: u32| sock_filter { code: (libc::BPF_RET | libc::BPF_K) as u16, jt: 0, jf: 0, k };
    vec![
        LOAD_NUMBER,
        jump(libc::BPF_JGE, X32_BIT, 2, 0),
        jump(libc::BPF_JEQ, libc::SYS_clone3 as u32, 2, 0),
        answer(libc::SECCOMP_RET_ALLOW),
        answer(libc::SECCOMP_RET_ERRNO | libc::EPERM as u32),
        answer(libc::SECCOMP_RET_ERRNO | libc::ENOSYS as u32),
    ]
}

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

fn rules(profile: &Profile) -> Result<Rules, Error> {
    let mut rules: Rules = CLOSED.iter().map(|call| (*call, Vec::new())).collect();
    match profile.filter {
        Filter::Strict => {
            rules.insert(libc::SYS_ptrace, Vec::new());
        }
        Filter::Traceable => {}
    }
    let clone = CLONE_NAMESPACES
        .iter()
        .map(|flag| when(&[(0, Op::MaskedEq(*flag as u64), *flag as u64)]))
        .collect::<Result<_, _>>()?;
    rules.insert(libc::SYS_clone, clone);
    // Typing into the terminal of whoever started us.
    rules.insert(libc::SYS_ioctl, vec![when(&[(1, Op::Eq, TIOCSTI)])?, when(&[(1, Op::Eq, TIOCLINUX)])?]);
    sockets(profile, &mut rules)?;
    Ok(rules)
}

/// asm-generic/ioctls.h: puts a character into a terminal's input. Here because C libraries disagree about its type.
const TIOCSTI: u64 = 0x5412;
/// asm-generic/ioctls.h: pastes into a virtual console.
const TIOCLINUX: u64 = 0x541c;

fn sockets(profile: &Profile, rules: &mut Rules) -> Result<(), Error> {
    let mut families = vec![libc::AF_NETLINK];
    if profile.unix_sockets {
        families.push(libc::AF_UNIX);
    }
    let internet = [libc::AF_INET, libc::AF_INET6];
    match &profile.tcp {
        Tcp::None => {}
        Tcp::Ports(_) | Tcp::Any => families.extend(internet),
    }
    let unknown: Vec<_> = families.iter().map(|family| (0, Op::Ne, *family as u64)).collect();
    let mut closed =
        vec![when(&unknown)?, when(&[(0, Op::Eq, libc::AF_NETLINK as u64), (2, Op::Ne, libc::NETLINK_ROUTE as u64)])?];
    if let Tcp::Ports(_) = profile.tcp {
        // Landlock's port rules know TCP only: UDP, raw, SCTP and MPTCP pass them, and so does data sent while connecting.
        for family in internet {
            let family = (0, Op::Eq, family as u64);
            closed.push(when(&[family.clone(), (1, Op::MaskedEq(SOCK_TYPE_MASK), libc::SOCK_DGRAM as u64)])?);
            closed.push(when(&[family.clone(), (1, Op::MaskedEq(SOCK_TYPE_MASK), libc::SOCK_RAW as u64)])?);
            closed.push(when(&[family.clone(), (1, Op::MaskedEq(SOCK_TYPE_MASK), libc::SOCK_SEQPACKET as u64)])?);
            closed.push(when(&[family, (2, Op::Ne, libc::IPPROTO_IP as u64), (2, Op::Ne, libc::IPPROTO_TCP as u64)])?);
        }
        let fast_open = libc::MSG_FASTOPEN as u64;
        for (call, flags) in [(libc::SYS_sendto, 3), (libc::SYS_sendmsg, 2), (libc::SYS_sendmmsg, 3)] {
            rules.insert(call, vec![when(&[(flags, Op::MaskedEq(fast_open), fast_open)])?]);
        }
    }
    rules.insert(libc::SYS_socket, closed);
    // The kernel makes both ends, of any family, before it asks whether that family has pairs (and TIPC has).
    let mut pairs = vec![when(&[(0, Op::Ne, libc::AF_UNIX as u64)])?];
    if !profile.unix_sockets {
        // A datagram socket of a pair can still be pointed at any path by `sendto` or `connect`; streams and packets cannot.
        pairs.push(when(&[(1, Op::MaskedEq(SOCK_TYPE_MASK), libc::SOCK_DGRAM as u64)])?);
        pairs.push(when(&[(1, Op::MaskedEq(SOCK_TYPE_MASK), libc::SOCK_RAW as u64)])?);
    }
    rules.insert(libc::SYS_socketpair, pairs);
    Ok(())
}

/// A rule that matches when all conditions `(argument, comparison, value)` hold, each on the lower 32 bits, as the kernel reads these arguments.
fn when(conditions: &[(u8, Op, u64)]) -> Result<SeccompRule, Error> {
    let conditions = conditions
        .iter()
        .map(|(argument, operation, value)| SeccompCondition::new(*argument, Dword, operation.clone(), *value))
        .collect::<Result<_, _>>()
        .and_then(SeccompRule::new);
    Ok(conditions.map_err(seccompiler::Error::from)?)
}
