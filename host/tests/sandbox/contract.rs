//! The contract of a sandbox: every case runs against containers and against the local sandbox.
#![expect(clippy::unwrap_used, reason = "a test may fail anywhere")]

use super::room::{Kind, Ran, Room, follow, until};
use borg_core::executor::{EndCause, HomeFile};
use borg_host::sandbox::{self as product, Record, Stream};
use borg_tests::busy;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    time::{Duration, Instant},
};

/// Makes a test of each case for each kind of sandbox.
macro_rules! on_both {
    ($($case:ident)*) => {
        mod docker {
            $(#[tokio::test] async fn $case() {
                if let Some(room) = super::Room::new(super::Kind::Docker).await { super::$case(room).await }
            })*
        }
        mod local {
            $(#[tokio::test] async fn $case() {
                if let Some(room) = super::Room::new(super::Kind::Local).await { super::$case(room).await }
            })*
        }
    };
}

on_both! {
    exit_codes_and_signals_arrive
    a_program_that_is_not_there_is_refused
    lines_are_numbered_without_gaps
    standard_input_arrives_whole
    the_environment_is_exactly_what_was_granted
    only_granted_places_can_be_written
    the_base_repository_can_be_read_only
    a_read_only_grant_leaves_only_out
    a_grant_of_directories_is_held_by_the_kernel
    pinned_files_cannot_be_touched
    there_is_no_network_but_loopback
    every_door_is_shut
    init_is_out_of_reach
    no_capability_and_no_way_back
    home_files_are_there_and_run_only_where_granted
    the_gateway_is_reached_through_init_only
    processes_are_limited
    time_is_limited
    silence_is_limited
    output_is_limited
    disk_is_limited_in_bytes
    disk_is_limited_in_files
    a_stubborn_process_is_dead_within_two_seconds
    starting_twice_starts_once
    a_slow_reader_delays_nothing
    a_reader_that_leaves_is_noticed
    what_was_not_asked_for_is_not_attested
    unknown_runs_are_unknown
}

async fn exit_codes_and_signals_arrive(room: Room) {
    for (script, cause, code) in [
        ("exit 0", EndCause::Exited, Some(0)),
        ("echo why >&2; exit 3", EndCause::Exited, Some(3)),
        ("kill -9 $$", EndCause::KilledBySignal, None),
    ] {
        let ran = room.run(&room.sh(script)).await;
        assert_eq!((ran.end.cause, ran.end.exit_code), (cause, code), "{script}: {:?}", ran.end);
        assert_eq!(ran.end.stderr_tail, ran.text(Stream::Err));
    }
}

async fn a_program_that_is_not_there_is_refused(room: Room) {
    let spec = room.argv(["/no/such/program"]);
    let error = room.start(&spec).await.unwrap_err();
    assert!(matches!(error, product::Error::NotReady(_)) && error.to_string().contains("/no/such/program"), "{error}");
    assert_eq!(room.sandbox.find(spec.run).await.unwrap(), None, "nothing of it stays behind");
}

async fn lines_are_numbered_without_gaps(room: Room) {
    let ran = room.run(&room.sh("for i in $(seq 200); do echo out$i; echo err$i >&2; done; printf unfinished")).await;
    let numbers: Vec<u64> = ran.lines.iter().map(|line| line.n).collect();
    assert_eq!(numbers, (1..=numbers.len() as u64).collect::<Vec<_>>());
    let expected: String = (1..=200).map(|i| format!("out{i}\n")).chain(["unfinished\n".to_owned()]).collect();
    assert_eq!(ran.out(), expected);
    assert_eq!(ran.text(Stream::Err), (1..=200).map(|i| format!("err{i}\n")).collect::<String>());
    assert!(matches!(ran.lines.first().and_then(product::Line::record), Some(Record::Started { .. })));
    assert!(matches!(ran.lines.last().and_then(product::Line::record), Some(Record::Ended { exit_code: Some(0), .. })));
}

async fn standard_input_arrives_whole(room: Room) {
    let mut spec = room.sh("sha256sum; head -c 10");
    spec.stdin = (0..3_000_000_u32).map(|n| (n % 251) as u8).collect();
    let ran = room.run(&spec).await;
    let digest = borg_core::id::Digest::of_bytes(&spec.stdin);
    assert_eq!(ran.out(), format!("{digest}  -\n"));
}

async fn the_environment_is_exactly_what_was_granted(room: Room) {
    let mut spec = room.argv(["/usr/bin/env"]);
    spec.env = vec![("GRANTED".to_owned(), "a b=c".to_owned())];
    let ran = room.run(&spec).await;
    let out = ran.out();
    let mut names: Vec<&str> = out.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    names.sort_unstable();
    assert_eq!(names, ["GRANTED", "HOME", "LANG", "PATH", "PWD", "TMPDIR"]);
    for line in ["GRANTED=a b=c", "HOME=/home/agent", "PWD=/workspace", "TMPDIR=/tmp"] {
        assert!(out.lines().any(|found| found == line), "{line} is not in {out}");
    }
}

/// A script that tries to create a file in each place and prints the places where it could.
fn try_to_write(places: &[&str]) -> String {
    format!("for place in {}; do (echo x > $place/probe) 2>/dev/null && echo $place; done; true", places.join(" "))
}

const PLACES: [&str; 16] = [
    "/",
    "/usr",
    "/usr/bin",
    "/etc",
    "/var",
    "/var/tmp",
    "/run",
    "/dev",
    "/proc",
    "/sys",
    "/opt",
    "/opt/agent",
    "/in",
    "/workspace",
    "/out",
    "/tmp",
];

async fn only_granted_places_can_be_written(room: Room) {
    let spec = room.sh(&(try_to_write(&PLACES) + "; echo x > ~/probe && echo home"));
    let mut dirs = room.dirs(spec.run);
    dirs.agent = Some(room.bundle());
    let ran = room.run_in(&spec, &dirs).await;
    assert_eq!(ran.out(), "/workspace\n/out\n/tmp\nhome\n", "{:?}", ran.text(Stream::Err));
    assert_eq!(fs::read_to_string(dirs.workspace.join("probe")).unwrap(), "x\n");
}

async fn the_base_repository_can_be_read_only(room: Room) {
    let spec = room.sh("cat /opt/base.git/HEAD; (echo x > /opt/base.git/HEAD) 2>/dev/null && echo written; true");
    let mut dirs = room.dirs(spec.run);
    let repo = room.top().join("bundle/base.git");
    fs::create_dir(&repo).unwrap();
    fs::write(repo.join("HEAD"), "ref: refs/heads/main\n").unwrap();
    dirs.base_repo = Some(repo.clone());
    assert_eq!(product::BASE_REPO, "/opt/base.git");
    assert_eq!(room.run_in(&spec, &dirs).await.out(), "ref: refs/heads/main\n");
    assert_eq!(fs::read_to_string(repo.join("HEAD")).unwrap(), "ref: refs/heads/main\n");
}

async fn a_read_only_grant_leaves_only_out(room: Room) {
    let mut spec = room.sh(&(try_to_write(&PLACES) + "; cat file; rm -f file; mv file other; ls"));
    spec.write.allow.clear();
    let dirs = room.dirs(spec.run);
    fs::write(dirs.workspace.join("file"), "kept\n").unwrap();
    let ran = room.run_in(&spec, &dirs).await;
    assert_eq!(ran.out(), "/out\n/tmp\nkept\nfile\n");
    assert_eq!(fs::read_to_string(dirs.workspace.join("file")).unwrap(), "kept\n");
}

async fn a_grant_of_directories_is_held_by_the_kernel(room: Room) {
    let mut spec = room.sh("echo a > tests/a && echo tests; echo b > src/b; mv tests src/; ls src");
    spec.write.allow = vec!["tests/**".to_owned()];
    let dirs = room.dirs(spec.run);
    for dir in ["tests", "src"] {
        fs::create_dir(dirs.workspace.join(dir)).unwrap();
    }
    let ran = room.run_in(&spec, &dirs).await;
    assert_eq!(ran.out(), "tests\n");
}

async fn pinned_files_cannot_be_touched(room: Room) {
    let script = "
        echo evil > tests/test_a.py && echo written
        echo evil >> tests/test_a.py && echo appended
        rm -f tests/test_a.py && echo removed
        mv tests/test_a.py tests/other && echo moved
        echo evil > new && mv new tests/test_a.py && echo replaced
        ln -f other tests/test_a.py && echo linked
        chmod 777 tests/test_a.py && echo changed
        mv tests elsewhere && echo 'folder moved'
        true";
    let mut spec = room.sh(script);
    spec.write.pinned = vec!["tests/test_a.py".to_owned()];
    let dirs = room.dirs(spec.run);
    fs::create_dir(dirs.workspace.join("tests")).unwrap();
    fs::write(dirs.workspace.join("tests/test_a.py"), "pinned\n").unwrap();
    fs::write(dirs.workspace.join("other"), "evil\n").unwrap();
    let ran = room.run_in(&spec, &dirs).await;
    // The folder can be moved, with the pin in it: collection restores that.
    assert!(["", "folder moved\n"].contains(&ran.out().as_str()), "{}", ran.out());
    let complaints = ran.text(Stream::Err);
    assert!(complaints.contains("Read-only file system") && complaints.contains("busy"), "{complaints}");
    let found = ["tests", "elsewhere"].map(|dir| dirs.workspace.join(dir).join("test_a.py"));
    let found = found.iter().find(|path| path.exists()).expect("it was not removed");
    assert_eq!(fs::read_to_string(found).unwrap(), "pinned\n");
}

async fn there_is_no_network_but_loopback(room: Room) {
    let script = "
        tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '
        tail -n +2 /proc/net/route
        getent hosts example.org
        for path in /run/docker.sock /var/run/docker.sock /run/containerd /run/systemd /run/dbus; do test -e $path && echo $path; done
        true";
    let ran = room.run(&room.sh(script)).await;
    assert_eq!(ran.out(), "lo\n");
}

async fn every_door_is_shut(room: Room) {
    let spec = room.argv(["/opt/agent/borg-init", "doors"]);
    let mut dirs = room.dirs(spec.run);
    dirs.agent = Some(room.bundle());
    let ran = room.run_in(&spec, &dirs).await;
    let open: Vec<_> =
        ran.lines.iter().filter(|line| line.text.contains("\"shut\":false")).map(|line| &line.text).collect();
    assert!(open.is_empty(), "open: {open:?}");
    assert_eq!(ran.end.exit_code, Some(0));
    for door in ["vsock", "io_uring", "ptrace", "mount", "unix"] {
        assert!(ran.out().contains(door), "{door} was not tried: {}", ran.out());
    }
}

async fn init_is_out_of_reach(room: Room) {
    let script = "
        tr '\\0' ' ' < /proc/1/cmdline
        echo
        cat /proc/1/environ > /dev/null && echo environ
        head -c 1 /proc/1/mem > /dev/null && echo mem
        ls /proc/1/fd > /dev/null && echo fd
        ls -l /proc/1/exe > /dev/null && echo exe
        kill -9 1 && echo killed
        kill -0 1 && echo signalled
        true";
    let ran = room.run(&room.sh(script)).await;
    let out = ran.out();
    let mut lines = out.lines();
    assert!(lines.next().is_some_and(|first| first.contains("borg-init")), "{out}");
    assert_eq!(lines.next(), None, "{out}");
}

async fn no_capability_and_no_way_back(room: Room) {
    let ran = room
        .run(
            &room.sh(
                "grep -E '^(Uid|Gid|Groups|Cap[A-Z][a-z]*|NoNewPrivs|Seccomp):' /proc/self/status | tr -s '\\t ' ' '",
            ),
        )
        .await;
    let out = ran.out();
    let (uid, gid) = product::identity();
    assert!(uid != 0 && gid != 0);
    for name in ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(out.contains(&format!("{name}: 0000000000000000\n")), "{out}");
    }
    for line in
        [format!("Uid: {uid} {uid} {uid} {uid}"), format!("Gid: {gid} {gid} {gid} {gid}"), "NoNewPrivs: 1".to_owned()]
    {
        assert!(out.lines().any(|found| found == line), "{line} is not in {out}");
    }
    assert!(out.contains("Seccomp: 2"), "{out}");
}

async fn home_files_are_there_and_run_only_where_granted(room: Room) {
    let script = "cat ~/.tool/config; ~/bin/hello; echo 'echo from tmp' > /tmp/own; chmod +x /tmp/own; /tmp/own; true";
    let file =
        |path: &str, text: &str, executable| HomeFile { path: path.to_owned(), text: text.to_owned(), executable };
    for (exec, expected) in [(false, "settings\n"), (true, "settings\nfrom home\nfrom tmp\n")] {
        let mut spec = room.sh(script);
        spec.exec = exec;
        spec.home_files =
            vec![file(".tool/config", "settings\n", false), file("bin/hello", "#!/bin/sh\necho from home\n", true)];
        let ran = room.run(&spec).await;
        // `sh` runs a script without a first line by itself, which needs the right to execute as well.
        assert_eq!(ran.out(), expected, "exec = {exec}: {}", ran.text(Stream::Err));
    }
}

async fn the_gateway_is_reached_through_init_only(room: Room) {
    if !room.has_python() {
        return;
    }
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let script = r#"
import socket
port = socket.create_connection(("127.0.0.1", 8787))
port.sendall(b"through init\n")
print(port.recv(100).decode(), flush=True)
try:
    direct = socket.socket(socket.AF_UNIX)
    direct.connect("/run/borg/gateway.sock")
    print("direct")
except OSError as error:
    print("denied")
"#;
    let mut spec = room.argv(["/usr/bin/env", "python3", "-c", script]);
    spec.gateway = true;
    let dirs = room.dirs(spec.run);
    let gateway = tokio::net::UnixListener::bind(dirs.run.join("gateway.sock")).unwrap();
    fs::set_permissions(dirs.run.join("gateway.sock"), fs::Permissions::from_mode(0o666)).unwrap();
    let (is_known, known) = tokio::sync::oneshot::channel();
    let serve = async {
        let (mut peer, _) = gateway.accept().await.unwrap();
        let mut heard = vec![0; 13];
        peer.read_exact(&mut heard).await.unwrap();
        // Not before it is known who init is: with the answer the run ends.
        known.await.unwrap();
        peer.write_all(b"answered").await.unwrap();
        (String::from_utf8(heard).unwrap(), peer.peer_cred().unwrap().pid())
    };
    let run = async {
        let started = room.sandbox.start(&spec, &dirs).await.unwrap();
        is_known.send(()).unwrap();
        let (lines, end) = follow(&room.sandbox, spec.run, 0).await;
        room.sandbox.remove(spec.run).await.unwrap();
        Ran { started, lines, end }
    };
    let (ran, (heard, pid)) = tokio::join!(run, serve);
    assert_eq!(heard, "through init\n");
    assert_eq!(pid, Some(ran.started.init_pid), "the gateway's peer is init");
    assert_eq!(ran.out(), "answered\ndenied\n");
}

async fn processes_are_limited(room: Room) {
    if !room.has_python() {
        return;
    }
    let script = "
import os, time
children = 0
try:
    while children < 200:
        if os.fork() == 0:
            time.sleep(600)
            os._exit(0)
        children += 1
except OSError as error:
    print(error.strerror)
print(children < 64)
";
    let mut spec = room.argv(["/usr/bin/env", "python3", "-c", script]);
    spec.limits.pids = 64;
    // Children that are left do not hold the run, or it would not end in time.
    let ran = room.run(&spec).await;
    assert_eq!(ran.out(), "Resource temporarily unavailable\nTrue\n");
}

async fn time_is_limited(room: Room) {
    let mut spec = room.sh("while true; do echo busy; sleep 0.1; done");
    spec.limits.wall_ms = 1_500;
    let started = Instant::now();
    let ran = room.run(&spec).await;
    assert_eq!(ran.end.cause, EndCause::TimedOut);
    assert!(
        (Duration::from_millis(1_000)..busy::allowing(Duration::from_secs(8))).contains(&started.elapsed()),
        "{:?}",
        started.elapsed()
    );
}

async fn silence_is_limited(room: Room) {
    let mut spec = room.sh("for i in 1 2 3 4 5 6; do sleep 0.5; echo $i; done; exec sleep 50");
    spec.limits.idle_ms = 5_000;
    let ran = room.run(&spec).await;
    assert_eq!((ran.end.cause, ran.out().as_str()), (EndCause::Silent, "1\n2\n3\n4\n5\n6\n"));
}

async fn output_is_limited(room: Room) {
    let mut spec = room.sh("yes 'all work and no play' ");
    spec.limits.output_bytes = 100_000;
    let ran = room.run(&spec).await;
    assert_eq!(ran.end.cause, EndCause::OutputCap);
    assert!((50_000..200_000).contains(&ran.lines.iter().map(|line| line.text.len() + 40).sum::<usize>()));
}

async fn disk_is_limited_in_bytes(room: Room) {
    let mut spec = room.sh("i=0; while true; do i=$((i+1)); head -c 1000000 /dev/zero > part$i || sleep 0.1; done");
    spec.limits.disk_bytes = 8 << 20;
    let ran = room.run(&spec).await;
    assert_eq!(ran.end.cause, EndCause::DiskCap);
    // One file alone is stopped by the kernel.
    let mut spec = room.sh("head -c 20000000 /dev/zero > big; ls -l big | cut -d' ' -f5");
    spec.limits.disk_bytes = 4 << 20;
    let ran = room.run(&spec).await;
    assert!(["", "4194304\n"].contains(&ran.out().as_str()), "{}", ran.out());
}

async fn disk_is_limited_in_files(room: Room) {
    let mut spec = room.sh("i=0; while true; do i=$((i+1)); : > /out/$i; done");
    spec.limits.disk_files = 500;
    assert_eq!(room.run(&spec).await.end.cause, EndCause::DiskCap);
}

async fn a_stubborn_process_is_dead_within_two_seconds(room: Room) {
    let spec = room
        .sh("trap '' TERM INT HUP; (trap '' TERM; setsid sleep 1000) & echo ready; while true; do sleep 1000; done");
    room.start(&spec).await.unwrap();
    let following = follow(&room.sandbox, spec.run, 0);
    let killing = async {
        let started = Instant::now();
        room.sandbox.kill(spec.run, EndCause::Cancelled).await.unwrap();
        (started.elapsed(), room.sandbox.find(spec.run).await.unwrap().unwrap().running)
    };
    let ((_, end), (took, running)) = tokio::join!(following, killing);
    assert!(took < busy::allowing(Duration::from_secs(2)), "{took:?}");
    assert_eq!((end.cause, running), (EndCause::Cancelled, false));
    // Once dead, nothing changes the cause, and killing again is no error.
    room.sandbox.kill(spec.run, EndCause::TimedOut).await.unwrap();
    assert_eq!(follow(&room.sandbox, spec.run, 0).await.1.cause, EndCause::Cancelled);
    room.sandbox.remove(spec.run).await.unwrap();
    assert_eq!(room.sandbox.find(spec.run).await.unwrap(), None);
}

async fn starting_twice_starts_once(room: Room) {
    let spec = room.sh("echo once >> /out/log; read line; exec sleep 30");
    let first = room.start(&spec).await.unwrap();
    let second = room.start(&spec).await.unwrap();
    assert_eq!(first.init_pid, second.init_pid);
    assert_eq!(first.attestation, second.attestation);
    assert_eq!(room.sandbox.list().await.unwrap(), [(spec.run, true)]);
    let log = room.dirs(spec.run).out.join("log");
    until("the process writes", || log.exists()).await;
    assert_eq!(fs::read_to_string(log).unwrap(), "once\n");
    room.sandbox.remove(spec.run).await.unwrap();
    assert_eq!(room.sandbox.list().await.unwrap(), []);
}

async fn a_slow_reader_delays_nothing(room: Room) {
    let mut spec = room.sh("seq 20000; echo done > /out/done; sleep 30");
    spec.limits.idle_ms = 3_000;
    room.start(&spec).await.unwrap();
    let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
    let done = room.dirs(spec.run).out.join("done");
    let slow = async {
        // Takes one line and then nothing, until the process has said all it has to say.
        let first = receiver.recv().await;
        let since = Instant::now();
        until("the process gets on", || done.exists() && since.elapsed() > Duration::from_secs(4)).await;
        let found = room.sandbox.find(spec.run).await.unwrap().unwrap();
        let mut count = usize::from(first.is_some());
        while receiver.recv().await.is_some() {
            count += 1;
        }
        (found.running, count)
    };
    let (end, (running, count)) = tokio::join!(room.sandbox.lines(spec.run, 0, sender), slow);
    assert!(running, "its silence is not counted while nobody listens");
    assert_eq!(end.unwrap().cause, EndCause::Silent);
    assert_eq!(count, 20_002);
    room.sandbox.remove(spec.run).await.unwrap();
}

async fn a_reader_that_leaves_is_noticed(room: Room) {
    let spec = room.sh("while true; do echo more; sleep 0.05; done");
    room.start(&spec).await.unwrap();
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    drop(receiver);
    let answer = room.sandbox.lines(spec.run, 0, sender).await;
    assert!(matches!(answer, Err(product::Error::Abandoned(run)) if run == spec.run));
    room.sandbox.remove(spec.run).await.unwrap();
}

async fn what_was_not_asked_for_is_not_attested(room: Room) {
    let spec = room.sh("true");
    let attestation = room.run(&spec).await.started.attestation;
    assert_eq!(attestation.policy, spec.policy);
    assert!(attestation.landlock_abi > 0 && attestation.seccomp);
    match room.kind {
        Kind::Docker => {
            assert_eq!((attestation.sandbox.as_str(), attestation.missing.len()), ("docker", 0), "{attestation:?}");
            assert!(attestation.image_id.is_some_and(|id| id.starts_with("sha256:")));
        }
        Kind::Local => {
            assert_eq!((attestation.sandbox.as_str(), attestation.image_id), ("local", None));
            assert!(attestation.missing.iter().any(|line| line.contains("memory")), "{:?}", attestation.missing);
        }
    }
    let strength = room.sandbox.describe().await;
    assert_eq!(strength.sandbox, attestation.sandbox);
    assert!(!strength.summary.is_empty() && !strength.missing.is_empty());
}

async fn unknown_runs_are_unknown(room: Room) {
    let run = room.sh("true").run;
    assert_eq!(room.sandbox.find(run).await.unwrap(), None);
    room.sandbox.kill(run, EndCause::Cancelled).await.unwrap();
    room.sandbox.remove(run).await.unwrap();
    let (lines, end) = follow(&room.sandbox, run, 0).await;
    assert_eq!((lines.len(), end.cause), (0, EndCause::Lost));
}

#[tokio::test]
async fn nothing_starts_below_the_free_space_floor() {
    for kind in [Kind::Docker, Kind::Local] {
        let Some(room) = Room::with_floor(kind, u64::MAX).await else { continue };
        let spec = room.sh("true");
        let error = room.start(&spec).await.unwrap_err();
        assert!(error.is_passing() && error.to_string().contains("must stay free"), "{error}");
        assert_eq!(room.sandbox.find(spec.run).await.unwrap(), None);
    }
}

#[tokio::test]
async fn a_changed_init_is_not_used() {
    for kind in [Kind::Docker, Kind::Local] {
        let Some(room) = Room::new(kind).await else { continue };
        fs::write(room.top().join("borg-init"), b"#!/bin/sh\ntrue\n").unwrap();
        let error = room.start(&room.sh("true")).await.unwrap_err();
        assert!(matches!(error, product::Error::WrongInit { .. }), "{error}");
    }
}
