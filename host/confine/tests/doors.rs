//! Every door of `borg_confine::doors` is shut inside and not shut by the filter outside; and what is not a door still works.

mod inside;

use borg_confine::{
    Filter, ParentDeath, Profile, Rlimits, Tcp,
    doors::{Answer, Tried, try_all},
};
use inside::{confined, errno, free, program};
use std::fs;

fn everything() -> Profile {
    Profile { read_exec: vec!["/".into()], write: vec!["/dev/null".into()], ..Profile::default() }
}

#[test]
fn every_door_is_shut_inside() {
    let (confined, tried) = confined(&everything(), || try_all().expect("tried"));
    assert!(confined.seccomp);
    let open: Vec<_> = tried.iter().filter(|tried| !tried.shut).collect();
    assert!(open.is_empty(), "open: {open:?}");
    assert!(tried.len() > 40, "{} doors", tried.len());
}

/// The control: outside, the same calls get through to the kernel proper, so that "shut" above is the filter's work.
#[test]
fn no_door_is_shut_outside() {
    // What the kernel itself refuses to the unprivileged, with EPERM, before it looks at the arguments.
    const NEED_PRIVILEGE: [&str; 12] = [
        "socket-packet",
        "bpf",
        "fsopen",
        "fsmount",
        "fspick",
        "move_mount",
        "open_by_handle_at",
        "kexec_load",
        "finit_module",
        "reboot",
        "pivot_root",
        "fanotify_init",
    ];
    let tried: Vec<Tried> = free(|| try_all().expect("tried"));
    let root = nix::unistd::geteuid().is_root();
    if !root {
        println!("not root: {NEED_PRIVILEGE:?} have no control");
    }
    let shut: Vec<_> = tried
        .iter()
        .filter(|tried| tried.shut && (root || !NEED_PRIVILEGE.contains(&tried.door.as_str())))
        // A kernel without 32-bit support kills with SIGSEGV; only SIGSYS is a filter's.
        .filter(|tried| tried.answer != Answer::Killed(libc::SIGSEGV))
        .collect();
    assert!(shut.is_empty(), "shut without any filter: {shut:?}");
}

#[test]
fn pairs_children_threads_and_granted_sockets_work_inside() {
    let profile = Profile { tcp: Tcp::Any, ..everything() };
    let (_, found) = confined(&profile, || {
        let mut pair = [0; 2];
        let child = program("/bin/true").status();
        [
            // SAFETY: plain system calls; the array outlives the call.
            ("stream pair", unsafe { libc::socketpair(libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr()) }),
            ("inet", unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }.min(0)),
            ("inet6", unsafe { libc::socket(libc::AF_INET6, libc::SOCK_DGRAM, 0) }.min(0)),
            ("route", unsafe { libc::socket(libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE) }.min(0)),
            ("thread", if std::thread::spawn(|| 1).join().is_ok() { 0 } else { -1 }),
            ("child", child.map_or(-1, |status| status.code().unwrap_or(-1))),
        ]
        .map(|(what, result)| (what.to_owned(), result))
        .to_vec()
    });
    assert!(found.iter().all(|(_, result)| *result == 0), "{found:?}");
}

#[test]
fn granted_unix_sockets_and_tracing_open_just_those_doors() {
    let profile = Profile { unix_sockets: true, filter: Filter::Traceable, ..everything() };
    let (_, tried) = confined(&profile, || try_all().expect("tried"));
    let open: Vec<_> = tried.iter().filter(|tried| !tried.shut).map(|tried| tried.door.as_str()).collect();
    assert_eq!(open, ["socket-unix", "socketpair-datagram", "ptrace"]);
}

/// A grant of ports is a grant of TCP to those ports and of nothing that slips past Landlock's TCP rules.
#[test]
fn other_protocols_do_not_slip_past_granted_ports() {
    const IPPROTO_MPTCP: i32 = 262;
    let kinds = [
        ("udp", libc::SOCK_DGRAM, 0, libc::EPERM),
        ("raw", libc::SOCK_RAW, libc::IPPROTO_ICMP, libc::EPERM),
        ("mptcp", libc::SOCK_STREAM, IPPROTO_MPTCP, libc::EPERM),
        ("sctp", libc::SOCK_STREAM, libc::IPPROTO_SCTP, libc::EPERM),
        ("tcp", libc::SOCK_STREAM, libc::IPPROTO_TCP, 0),
        ("plain tcp", libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0, 0),
    ];
    let try_kinds = || {
        // SAFETY: integers only.
        kinds
            .map(|(_, kind, protocol, _)| {
                nix::errno::Errno::result(unsafe { libc::socket(libc::AF_INET, kind, protocol) })
                    .err()
                    .map_or(0, |e| e as i32)
            })
            .to_vec()
    };
    let (_, found) = confined(&Profile { tcp: Tcp::Ports(vec![9]), ..everything() }, try_kinds);
    for ((name, _, _, expected), got) in kinds.iter().zip(&found) {
        assert_eq!(got, expected, "{name}");
    }
    assert_ne!(free(try_kinds)[0], libc::EPERM, "UDP works outside");
    let (_, nothing) = confined(&everything(), try_kinds);
    assert!(nothing.iter().all(|got| *got == libc::EPERM), "without a grant there is no Internet socket: {nothing:?}");
}

#[test]
fn privileges_descriptors_and_limits_are_given_up() {
    let file = fs::File::open("/dev/null").expect("open");
    // SAFETY: clears the flag of a descriptor this test owns, so that it would be inherited.
    unsafe { libc::fcntl(std::os::fd::AsRawFd::as_raw_fd(&file), libc::F_SETFD, 0) };
    let profile = Profile {
        limits: Rlimits { open_files: Some(64), file_bytes: Some(4096), ..Rlimits::default() },
        ..everything()
    };
    let look = || {
        let run = |script: &str| {
            let output = program("/bin/sh").args(["-c", script]).output();
            output.map_or_else(|why| why.to_string(), |output| String::from_utf8_lossy(&output.stdout).into_owned())
        };
        (
            run("grep -E '^(Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs|Seccomp):' /proc/self/status"),
            run("ulimit -n; ulimit -f; ulimit -c; ls /proc/self/fd | wc -l"),
        )
    };
    let (_, (status, limits)) = confined(&profile, look);
    for line in status.lines() {
        let (name, value) = line.split_once(":\t").expect("a line of status");
        match name {
            "NoNewPrivs" => assert_eq!(value, "1"),
            "Seccomp" => assert_eq!(value, "2"),
            // Only root can empty the bounding set, and only root needs to.
            "CapBnd" if !nix::unistd::geteuid().is_root() => {}
            _ => assert_eq!(value, "0000000000000000", "{name}"),
        }
    }
    // Blocks of 512 bytes; standard streams and the directory itself.
    assert_eq!(limits.split_whitespace().collect::<Vec<_>>(), ["64", "8", "0", "4"]);
    let (outside, _) = free(look);
    assert!(outside.contains("NoNewPrivs:\t0"), "{outside}");
    assert_eq!(errno(fs::metadata("/dev/null")), 0);
}

#[test]
fn what_becomes_of_it_when_its_parent_dies_is_as_asked() {
    use nix::sys::signal::Signal;
    let number = |signal: Option<Signal>| signal.map_or(0, |signal| signal as i32);
    let asked = [
        (ParentDeath::Outlive, None),
        (ParentDeath::Terminate, Some(Signal::SIGTERM)),
        (ParentDeath::Kill, Some(Signal::SIGKILL)),
    ];
    for (parent_death, signal) in asked {
        let profile = Profile { parent_death, ..everything() };
        let (_, set) = confined(&profile, || nix::sys::prctl::get_pdeathsig().map_or(-1, number));
        assert_eq!(set, number(signal), "{parent_death:?}");
    }
}

#[test]
fn descriptors_are_kept_by_number_only() {
    let (kept, lost) = (fs::File::open("/dev/null").expect("open"), fs::File::open("/dev/null").expect("open"));
    let [kept, lost] = [&kept, &lost].map(std::os::fd::AsRawFd::as_raw_fd);
    for fd in [kept, lost] {
        // SAFETY: clears the flag of a descriptor this test owns, so that it would be inherited.
        unsafe { libc::fcntl(fd, libc::F_SETFD, 0) };
    }
    let open = || {
        let status = |fd| {
            program("/bin/sh")
                .args(["-c", &format!("[ -e /proc/self/fd/{fd} ]")])
                .status()
                .is_ok_and(|status| status.success())
        };
        (status(kept), status(lost))
    };
    let profile = Profile { keep: vec![kept], ..everything() };
    assert_eq!(confined(&profile, open).1, (true, false));
    assert_eq!(free(open), (true, true));
    assert!(inside::refusal(&Profile { keep: vec![9999], ..everything() }, || {}).is_err());
}
