//! Files, ports and processes outside the grant are out of reach; those inside are not. Each with a control.

mod inside;

use borg_confine::{Network, Profile, Tcp, landlock_abi};
use inside::{confined, errno, free, program, refusal};
use std::{
    fs,
    io::Read,
    net::{TcpListener, TcpStream},
    os::unix::net::{UnixDatagram, UnixListener, UnixStream},
    path::{Path, PathBuf},
};

/// Two directories with a file each.
fn two_rooms() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let top = tempfile::tempdir().expect("tempdir");
    let [mine, other] = ["mine", "other"].map(|name| {
        let room = top.path().join(name);
        fs::create_dir(&room).expect("room");
        fs::write(room.join("file"), "text").expect("file");
        room
    });
    (top, mine, other)
}

fn system() -> Vec<PathBuf> {
    ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"].map(PathBuf::from).to_vec()
}

#[test]
fn files_outside_the_grant_are_out_of_reach() {
    let (_top, mine, other) = two_rooms();
    let profile = Profile { read_exec: system(), write: vec![mine.clone()], ..Profile::default() };
    let attempts = |room: &Path, elsewhere: &Path| {
        vec![
            ("read", errno(fs::read(room.join("file")))),
            ("list", errno(fs::read_dir(room))),
            ("overwrite", errno(fs::write(room.join("file"), "x"))),
            ("create", errno(fs::write(room.join("new"), "x"))),
            ("make a directory", errno(fs::create_dir(room.join("dir")))),
            ("make a symlink", errno(std::os::unix::fs::symlink("file", room.join("link")))),
            (
                "truncate",
                errno(fs::OpenOptions::new().write(true).open(room.join("file")).and_then(|file| file.set_len(0))),
            ),
            ("move out", errno(fs::rename(room.join("file"), elsewhere.join("moved")))),
            ("unlink", errno(fs::remove_file(room.join("file")))),
        ]
        .into_iter()
        .map(|(what, errno)| (what.to_owned(), errno))
        .collect::<Vec<_>>()
    };
    let (found, (own, foreign, way_out)) = confined(&profile, || {
        let foreign = attempts(&other, &mine);
        let way_out = errno(fs::rename(mine.join("file"), other.join("moved")));
        let own = attempts(&mine, &mine);
        (own, foreign, way_out)
    });
    assert!(found.landlock_abi >= 1);
    assert_eq!(found.landlock_abi, landlock_abi());
    for (what, errno) in &foreign {
        assert!([libc::EACCES, libc::EXDEV].contains(errno), "{what} outside: {errno}");
    }
    assert!([libc::EACCES, libc::EXDEV].contains(&way_out), "{way_out}");
    // `move out` within the own room takes the file away, so the unlink after it finds none.
    let failed: Vec<_> = own.iter().filter(|(_, errno)| *errno != 0).collect();
    assert_eq!(failed, [&("unlink".to_owned(), libc::ENOENT)]);
    assert_eq!(fs::read_to_string(other.join("file")).expect("untouched"), "text");

    let control = free(|| attempts(&other, &other));
    assert!(control.iter().all(|(what, errno)| *errno == 0 || what == "unlink"), "{control:?}");
}

#[test]
fn reading_is_not_executing_and_writing_is_not_executing() {
    let (_top, mine, other) = two_rooms();
    for room in [&mine, &other] {
        fs::copy("/bin/true", room.join("true")).expect("copy");
    }
    let run = |room: &Path| errno(program(room.join("true")).status());
    let profile =
        Profile { read_exec: system(), read: vec![other.clone()], write: vec![mine.clone()], ..Profile::default() };
    let (_, found) = confined(&profile, || (run(&mine), run(&other), errno(fs::read(other.join("true")))));
    assert_eq!(found, (libc::EACCES, libc::EACCES, 0));
    let both = Profile { read_exec: [system(), vec![mine.clone()]].concat(), ..profile };
    assert_eq!(confined(&both, || (run(&mine), errno(fs::write(mine.join("x"), "x")))).1, (0, 0));
    assert_eq!(free(|| run(&other)), 0);
}

#[test]
fn only_granted_ports_are_connected_to() {
    let [granted, other] = [0, 0].map(|port| TcpListener::bind(("127.0.0.1", port)).expect("listen"));
    let [granted, other] = [&granted, &other].map(|listener| listener.local_addr().expect("address"));
    let look = || {
        (errno(TcpStream::connect(granted)), errno(TcpStream::connect(other)), errno(TcpListener::bind("127.0.0.1:0")))
    };
    let profile = Profile { read_exec: system(), tcp: Tcp::Ports(vec![granted.port()]), ..Profile::default() };
    assert_eq!(confined(&profile, look).1, (0, libc::EACCES, libc::EACCES));
    let none = Profile { tcp: Tcp::None, ..profile };
    assert_eq!(confined(&none, look).1, (libc::EPERM, libc::EPERM, libc::EPERM));
    assert_eq!(free(look), (0, 0, 0));
}

/// Landlock's hook is in `connect`, and data sent along with the first packet makes the connection elsewhere.
#[test]
fn sending_while_connecting_does_not_reach_other_ports() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = nix::sys::socket::SockaddrIn::from(match listener.local_addr().expect("address") {
        std::net::SocketAddr::V4(address) => address,
        std::net::SocketAddr::V6(_) => panic!("bound to an IPv4 address"),
    });
    let look = || {
        use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockType, sendto, socket};
        let socket = socket(AddressFamily::Inet, SockType::Stream, SockFlag::empty(), None).expect("a TCP socket");
        let flags = MsgFlags::from_bits_retain(libc::MSG_FASTOPEN);
        let sent = sendto(std::os::fd::AsRawFd::as_raw_fd(&socket), b"hello", &address, flags);
        sent.map_or_else(|why| why as i32, |_| 0)
    };
    let profile = Profile { tcp: Tcp::Ports(vec![9]), ..Profile::default() };
    assert_eq!(confined(&profile, look).1, libc::EPERM);
    let control = free(look);
    assert!(control == 0 || control == libc::EOPNOTSUPP, "{control}");
}

#[test]
fn unix_sockets_of_the_host_are_out_of_reach() {
    let top = tempfile::tempdir().expect("tempdir");
    let (stream, datagrams) = (top.path().join("stream"), top.path().join("datagrams"));
    let _listener = UnixListener::bind(&stream).expect("listen");
    let inbox = UnixDatagram::bind(&datagrams).expect("bind");
    let look = || {
        let pair = UnixDatagram::pair().and_then(|(one, _other)| one.send_to(b"through a pair", &datagrams));
        (errno(UnixStream::connect(&stream)), errno(pair))
    };
    let profile = Profile { read_exec: system(), write: vec![top.path().into()], ..Profile::default() };
    assert_eq!(confined(&profile, look).1, (libc::EPERM, libc::EPERM));
    let granted = Profile { unix_sockets: true, ..profile };
    assert_eq!(confined(&granted, look).1, (0, 0));
    let mut text = [0; 64];
    let length = inbox.recv(&mut text).expect("the datagram of the granted attempt");
    assert_eq!(&text[..length], b"through a pair");
}

#[test]
fn processes_outside_get_no_signal_and_show_no_memory() {
    if landlock_abi() < 6 {
        println!("skipped: signals are held from Landlock ABI 6 on");
        return;
    }
    let parent = nix::unistd::getpid();
    let look = || {
        let signal = nix::sys::signal::kill(parent, None).err().map_or(0, |why| why as i32);
        let mut byte = [0; 1];
        let environment = fs::File::open(format!("/proc/{parent}/environ")).and_then(|mut file| file.read(&mut byte));
        (signal, errno(environment))
    };
    let profile = Profile { read_exec: vec!["/".into()], ..Profile::default() };
    assert_eq!(confined(&profile, look).1, (libc::EPERM, libc::EACCES));
    assert_eq!(free(look), (0, 0));
}

#[test]
fn an_own_network_is_empty() {
    let profile = Profile { read_exec: vec!["/".into()], tcp: Tcp::Any, network: Network::Own, ..Profile::default() };
    let listener = TcpListener::bind("127.0.0.1:0").expect("listen");
    let address = listener.local_addr().expect("address");
    let look = || (errno(TcpStream::connect(address)), fs::read_to_string("/proc/self/net/dev").expect("devices"));
    let (confined, (refused, devices)) = confined(&profile, look);
    assert!(confined.missing.iter().all(|missing| !missing.contains("network")), "{:?}", confined.missing);
    assert_eq!(refused, libc::ENETUNREACH);
    let names: Vec<_> = devices.lines().filter_map(|line| line.split_once(':')).map(|(name, _)| name.trim()).collect();
    assert_eq!(names, ["lo"]);
    assert_eq!(free(look).0, 0);
}

/// Without root, the same by way of a user namespace.
#[test]
fn an_own_network_needs_no_root() {
    const NOBODY: u32 = 65534;
    let profile = Profile { read_exec: vec!["/".into()], network: Network::Own, ..Profile::default() };
    let become_nobody = || {
        if nix::unistd::geteuid().is_root() {
            let (user, group) = (nix::unistd::Uid::from_raw(NOBODY), nix::unistd::Gid::from_raw(NOBODY));
            nix::unistd::setgroups(&[]).expect("groups");
            nix::unistd::setresgid(group, group, group).expect("group");
            nix::unistd::setresuid(user, user, user).expect("user");
            nix::sys::prctl::set_dumpable(true).expect("dumpable");
        }
    };
    match refusal(&profile, become_nobody) {
        Ok(confined) => assert!(confined.seccomp),
        Err(why) => {
            assert!(why.contains("user namespaces"), "a refusal names the remedy: {why}");
            println!("this kernel gives the unprivileged no namespaces: {why}");
        }
    }
}

#[test]
fn impossible_grants_are_refusals() {
    let missing = Profile { write: vec!["/nowhere/at/all".into()], ..Profile::default() };
    assert!(refusal(&missing, || {}).is_err_and(|why| why.contains("/nowhere/at/all")));
    let unread = Profile { read: vec!["/nowhere/at/all".into()], ..Profile::default() };
    assert!(refusal(&unread, || {}).is_ok());

    // A kernel without Landlock, as a filter that answers ENOSYS makes it look like.
    let why = refusal(&Profile::default(), hide_landlock).expect_err("nothing would hold files");
    assert!(why.contains("lists `landlock` in `lsm=`") && !why.contains("best-effort"), "{why}");
}

/// Where the kernel gives no namespace, a required one is a refusal and a best-effort one is told.
#[test]
fn a_network_that_cannot_be_had_is_refused_or_told() {
    let deny = || answer(libc::SYS_unshare, libc::EPERM);
    let required = Profile { network: Network::Own, ..Profile::default() };
    assert!(refusal(&required, deny).is_err_and(|why| why.contains("user namespaces")));
    let wanted = Profile { network: Network::OwnIfPossible, ..required };
    let confined = refusal(&wanted, deny).expect("goes on");
    assert!(confined.missing.iter().any(|missing| missing.contains("no network of its own")), "{:?}", confined.missing);
    assert_eq!(refusal(&wanted, || {}).expect("goes on").missing.len(), confined.missing.len() - 1);
}

fn hide_landlock() {
    answer(libc::SYS_landlock_create_ruleset, libc::ENOSYS);
}

/// Has the kernel fail `call` with `errno` from now on, as one without it would.
fn answer(call: i64, errno: i32) {
    use seccompiler::{BpfProgram, SeccompAction, SeccompFilter};
    let rules = [(call, Vec::new())].into();
    let arch = std::env::consts::ARCH.try_into().expect("a known architecture");
    let filter =
        SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Errno(errno as u32), arch).expect("filter");
    seccompiler::apply_filter(&BpfProgram::try_from(filter).expect("program")).expect("applied");
}

#[test]
fn profiles_are_plain_data_and_unknown_keys_are_errors() {
    let text = r#"{"read":["/usr"],"tcp":{"ports":[443]},"network":"own-if-possible","limits":{"open-files":64}}"#;
    let profile: Profile = serde_json::from_str(text).expect("a profile");
    assert_eq!(profile.tcp, Tcp::Ports(vec![443]));
    let again = serde_json::to_string(&profile).expect("json");
    assert_eq!(serde_json::from_str::<Profile>(&again).expect("again"), profile);
    assert!(serde_json::from_str::<Profile>(r#"{"reed":["/usr"]}"#).is_err());
}
