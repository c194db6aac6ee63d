//! What holds inside, and how init tells of it: every check in a container, in the local sandbox, and in the local sandbox without root.

mod place;

use borg_confine::{Rlimits, doors::Tried};
use borg_init::{Bridge, EXIT_REFUSED, HomeFile, Job, LINE_MAX, Record, Stream};
use nix::sys::{
    signal::Signal,
    socket::{getsockopt, sockopt::PeerCredentials},
};
use place::{Host, Place, accept, shell};
use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead, BufReader, Write},
    os::unix::{fs::PermissionsExt, net::UnixListener},
    time::{Duration, Instant},
};

mod each {
    crate::everywhere!(
        every_door_is_shut,
        nothing_but_the_grant_is_writable,
        a_read_only_grant_writes_artefacts_only,
        init_is_out_of_reach,
        there_is_no_network,
        nothing_written_is_executed_unless_granted,
        the_environment_is_built_from_nothing,
        lines_are_numbered_and_the_end_is_told,
        bytes_and_long_lines_survive,
        output_is_capped_and_the_process_goes_on,
        leftovers_do_not_hold_the_end,
        orphans_are_reaped,
        a_request_to_stop_is_passed_on_and_insisted_on,
        the_gateway_is_reached_and_waited_for,
        a_gateway_that_is_not_open_yet_is_waited_for,
        waiting_for_the_gateway_ends,
        what_cannot_be_started_is_refused_in_words,
        nobody_is_root_or_gains_anything,
    );
}

fn every_door_is_shut(place: Place) {
    let ran = Host::new(place).start(Job { exec: false, ..shell("/opt/borg-init doors") }).end();
    let tried: Vec<Tried> = ran.out().iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(tried.len() > 40, "{:?}", ran.lines);
    let open: Vec<_> = tried.iter().filter(|tried| !tried.shut).collect();
    assert!(open.is_empty(), "{open:?}");
    assert_eq!(ran.code, Some(0));
    assert!(
        matches!(ran.records()[0], Record::Started { landlock_abi: 1.., seccomp: true, .. }),
        "{:?}",
        ran.records()
    );
}

/// Lines `what:exit code` of a script that ran each of `attempts`.
fn attempts(host: &Host, job: impl FnOnce(&str) -> Job, attempts: &[(&str, &str)]) -> BTreeMap<String, i32> {
    let script: String = attempts
        .iter()
        .map(|(name, command)| format!("( {command} ) </dev/null >/dev/null 2>&1; echo '{name}':$?\n"))
        .collect();
    let ran = host.start(job(&script)).end();
    let results = ran.out().into_iter().filter_map(|line| line.rsplit_once(':'));
    let results: BTreeMap<_, _> =
        results.map(|(name, code)| (name.to_owned(), code.parse().expect("a number"))).collect();
    assert_eq!(results.len(), attempts.len(), "{:?}", ran.lines);
    results
}

fn nothing_but_the_grant_is_writable(place: Place) {
    let host = Host::new(place);
    let allowed = [
        ("workspace", "echo x > /workspace/new && mv /workspace/new /workspace/moved && rm /workspace/moved"),
        ("out", "echo x > /out/spec.md"),
        ("tmp", "echo x > /tmp/new"),
        ("home", "mkdir -p $HOME/.cache/deep && echo x > $HOME/.cache/deep/new"),
        ("null", "echo x > /dev/null"),
        ("shared memory", "echo x > /dev/shm/new"),
        ("between grants", "echo x > /workspace/a && mv /workspace/a /out/a"),
    ];
    let denied = [
        ("root", "echo x > /new"),
        ("usr", "echo x > /usr/new"),
        ("etc", "echo x >> /etc/passwd"),
        ("in", "echo x > /in/new"),
        ("job", "echo x > /in/.borg-job.json"),
        ("run", "echo x > /run/borg/new"),
        ("init", "echo x > /opt/borg-init"),
        ("kernel", "echo x > /proc/sys/kernel/hostname"),
        ("device", "mknod /workspace/disk b 8 0"),
        ("remount", "mount -o remount,rw /"),
        ("bind", "mount --bind /workspace /usr"),
    ];
    let found = attempts(&host, shell, &[allowed.as_slice(), denied.as_slice()].concat());
    for (name, _) in allowed {
        assert_eq!(found[name], 0, "{name} must be writable");
    }
    for (name, _) in denied {
        assert_ne!(found[name], 0, "{name} must not be writable");
    }
}

/// The workspace is mounted writable here, so what holds is Landlock.
fn a_read_only_grant_writes_artefacts_only(place: Place) {
    let host = Host::new(place);
    host.file("src/lib.rs", "text");
    let tries = [
        ("read", "cat /workspace/src/lib.rs"),
        ("artefact", "echo x > /out/spec.md"),
        ("create", "echo x > /workspace/new"),
        ("overwrite", "echo x > /workspace/src/lib.rs"),
        ("append", "echo x >> /workspace/src/lib.rs"),
        ("truncate", "truncate -s 0 /workspace/src/lib.rs"),
        ("rename", "mv /workspace/src /workspace/other"),
        ("remove", "rm -rf /workspace/src"),
        ("link", "ln /workspace/src/lib.rs /out/lib.rs"),
        ("move out", "mv /workspace/src/lib.rs /out/lib.rs"),
    ];
    let found = attempts(&host, |script| Job { write: vec!["/out".into()], ..shell(script) }, &tries);
    for (name, code) in &found {
        assert_eq!(*code == 0, ["read", "artefact"].contains(&name.as_str()), "{name}: {code}");
    }
    assert_eq!(fs::read_to_string(host.workspace.join("src/lib.rs")).expect("still there"), "text");
}

fn init_is_out_of_reach(place: Place) {
    let tries = [
        ("own environment", "cat /proc/self/environ"),
        ("environment", "cat /proc/1/environ"),
        ("memory", "head -c 1 /proc/1/mem"),
        ("maps", "cat /proc/1/maps"),
        ("descriptors", "ls /proc/1/fd"),
        ("output", "echo forged > /proc/1/fd/1"),
        ("root", "ls /proc/1/root/"),
        ("signal", "kill -0 1"),
        ("kill", "kill -9 1"),
    ];
    let found = attempts(&Host::new(place), shell, &tries);
    for (name, code) in &found {
        assert_eq!(*code == 0, name == "own environment", "{name}: {code}");
    }
}

fn there_is_no_network(place: Place) {
    let host = Host::new(place);
    let ran = host.script("tail -n +3 /proc/net/dev | cut -d: -f1; getent hosts example.org; echo dns:$?; (echo > /dev/tcp/192.0.2.1/80) 2>/dev/null; echo tcp:$?; (echo > /dev/udp/192.0.2.1/53) 2>/dev/null; echo udp:$?");
    let out = ran.out();
    assert_eq!(out[0].trim(), "lo");
    assert_eq!(out[1..], ["dns:2", "tcp:1", "udp:1"], "{:?}", ran.lines);
}

fn nothing_written_is_executed_unless_granted(place: Place) {
    let tries = [
        ("workspace", "cp /bin/true /workspace/t && /workspace/t"),
        ("out", "cp /bin/true /out/t && /out/t"),
        ("home", "cp /bin/true $HOME/t && $HOME/t"),
        ("tmp", "cp /bin/true /tmp/t && /tmp/t"),
        ("system", "/bin/true"),
    ];
    let host = Host::new(place);
    let without = attempts(&host, |script| Job { exec: false, ..shell(script) }, &tries);
    for (name, code) in &without {
        assert_eq!(*code, if name == "system" { 0 } else { 126 }, "{name}");
    }
    let with = attempts(&host, shell, &tries);
    assert!(with.values().all(|code| *code == 0), "{with:?}");
}

fn the_environment_is_built_from_nothing(place: Place) {
    let mut host = Host::new(place);
    host.image_env =
        vec![("LD_PRELOAD", "/evil.so"), ("NODE_OPTIONS", "--bad"), ("SECRET", "s"), ("TZ", "Europe/Vienna")];
    let file =
        HomeFile { path: ".config/tool/run".into(), text: "#!/bin/sh\necho from home\n".into(), executable: true };
    let job = Job {
        env: vec![("WANTED".into(), "a b=c".into())],
        home_files: vec![file],
        stdin: b"fed \xff in".to_vec(),
        ..shell("cat | od -An -c | tr -s ' '; ~/.config/tool/run; stat -c %a ~/.config/tool/run; env")
    };
    let ran = host.start(job).end();
    let out = ran.out();
    assert_eq!(out[..3], [" f e d 377 i n", "from home", "700"], "{:?}", ran.lines);
    let mut names: Vec<_> = out[3..].iter().filter_map(|line| line.split_once('=')).collect();
    names.retain(|(name, _)| !["PATH", "PWD", "SHLVL", "_", "OLDPWD"].contains(name));
    names.sort_unstable();
    let mut expected = vec![("HOME", "/home/agent"), ("LANG", "C.UTF-8"), ("TMPDIR", "/tmp"), ("WANTED", "a b=c")];
    if place == Place::Container {
        expected.insert(3, ("TZ", "Europe/Vienna"));
    }
    assert_eq!(names, expected);
}

fn lines_are_numbered_and_the_end_is_told(place: Place) {
    let host = Host::new(place);
    let ran = host.script("echo one; echo two >&2; echo; printf 'no line feed'; exit 7");
    assert!(ran.lines.iter().map(|line| line.n).eq(1..=ran.lines.len() as u64));
    assert!(matches!(ran.lines[0].record(), Some(Record::Started { .. })));
    assert_eq!(ran.out(), ["one", "", "no line feed"]);
    assert_eq!(ran.stream(Stream::Err), ["two"]);
    assert_eq!(ran.ended(), Record::Ended { exit_code: Some(7), signal: None, output_capped: false });
    assert_eq!(ran.code, Some(7));

    let killed = host.script("kill -SEGV $$");
    assert_eq!(killed.ended(), Record::Ended { exit_code: None, signal: Some(11), output_capped: false });
    assert_eq!(killed.code, Some(139));
}

fn bytes_and_long_lines_survive(place: Place) {
    let ran = Host::new(place).script("printf 'a\\377b\\n'; head -c 3000000 /dev/zero | tr '\\0' x; echo; echo after");
    let out = ran.out();
    assert_eq!(out[0], "a\u{fffd}b");
    assert_eq!(out.last(), Some(&"after"));
    assert_eq!(out[1..out.len() - 1].iter().map(|piece| piece.len()).sum::<usize>(), 3_000_000);
    assert!(out.iter().all(|piece| piece.len() <= LINE_MAX));
    assert_eq!(ran.records().iter().filter(|record| **record == Record::LineCut { stream: Stream::Out }).count(), 2);
}

fn output_is_capped_and_the_process_goes_on(place: Place) {
    const CAP: u64 = 100_000;
    let host = Host::new(place);
    // Much more than the pipes hold, on both streams at once, while nobody reads what is fed in.
    let script = "yes out | head -c 20000000 & yes err | head -c 20000000 >&2; wait; echo done > /out/done; exit 3";
    let ran = host.start(Job { output_bytes: CAP, stdin: vec![b'x'; 1 << 20], ..shell(script) }).end();
    let size: usize = ran
        .lines
        .iter()
        .filter(|line| line.stream != Stream::Init)
        .map(|line| serde_json::to_vec(line).expect("JSON").len() + 1)
        .sum();
    assert!(size as u64 <= CAP && size as u64 > CAP - 200, "{size}");
    assert_eq!(ran.ended(), Record::Ended { exit_code: Some(3), signal: None, output_capped: true });
    assert_eq!(ran.records().iter().filter(|record| **record == Record::OutputCapped { bytes: CAP }).count(), 1);
    assert!(host.path("out/done").exists(), "the process ran to its end");
}

fn leftovers_do_not_hold_the_end(place: Place) {
    let started = Instant::now();
    let ran =
        Host::new(place).script("sleep 1000 & setsid sleep 1000 & (trap '' TERM HUP; sleep 1000) & echo last words");
    assert_eq!(ran.out(), ["last words"]);
    assert_eq!(ran.code, Some(0));
    assert!(started.elapsed() < Duration::from_secs(60), "{:?}", started.elapsed());
}

fn orphans_are_reaped(place: Place) {
    // Each orphan is handed to init and told apart from a zombie by its state; the script gives init all the time it needs.
    let script = "for i in $(seq 20); do (true &) ; done
        until [ -z \"$(grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null)\" ]; do :; done; echo none left";
    let ran = Host::new(place).script(script);
    assert_eq!(ran.out(), ["none left"]);
}

fn a_request_to_stop_is_passed_on_and_insisted_on(place: Place) {
    let host = Host::new(place);
    let mut polite =
        host.start(shell("trap 'echo asked; exit 9' TERM; echo ready; while :; do read -t 1 < <(:) ; done"));
    polite.until("ready");
    polite.signal(Signal::SIGTERM);
    let ran = polite.end();
    assert_eq!(ran.out(), ["ready", "asked"]);
    assert_eq!(ran.code, Some(9));

    let mut stubborn = host.start(Job { grace_ms: 200, ..shell("trap '' TERM; echo ready; while :; do :; done") });
    stubborn.until("ready");
    stubborn.signal(Signal::SIGTERM);
    let ran = stubborn.end();
    assert_eq!(ran.ended(), Record::Ended { exit_code: None, signal: Some(9), output_capped: false });
    assert_eq!(ran.code, Some(137));
}

const ASK: &str =
    "echo asking; exec 3<>/dev/tcp/127.0.0.1/8080; echo 'the question' >&3; read -r answer <&3; echo \"got $answer\"";

fn the_gateway_is_reached_and_waited_for(place: Place) {
    let host = Host::new(place);
    let mut running = host.start(Job { bridge: Some(Bridge::new(8080)), ..shell(ASK) });
    running.until("asking");
    // The host comes up only now.
    let (staged, socket) = (host.run.join("gateway.soc~"), host.run.join("gateway.sock"));
    let gateway = UnixListener::bind(&staged).expect("listen");
    fs::set_permissions(&staged, fs::Permissions::from_mode(0o666)).expect("permissions");
    fs::rename(&staged, &socket).expect("moved into place");
    let stream = accept(&gateway);
    let peer = getsockopt(&stream, PeerCredentials).expect("credentials");
    assert_eq!(peer.pid(), running.pid(), "the peer is the process the host knows");
    let mut question = String::new();
    BufReader::new(&stream).read_line(&mut question).expect("the question");
    assert_eq!(question, "the question\n");
    (&stream).write_all(b"the answer\n").expect("answered");
    drop(stream);
    assert_eq!(running.end().out(), ["asking", "got the answer"]);
}

/// A host of before opened its socket to others only after it had bound it.
fn a_gateway_that_is_not_open_yet_is_waited_for(place: Place) {
    let host = Host::new(place);
    let socket = host.run.join("gateway.sock");
    let gateway = UnixListener::bind(&socket).expect("listen");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o600)).expect("permissions");
    // By when it has been tried more than once.
    let script = format!("(sleep 1; echo later) & {ASK}; wait");
    let mut running = host.start(Job { bridge: Some(Bridge::new(8080)), ..shell(&script) });
    running.until("later");
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).expect("permissions");
    let mut stream = accept(&gateway);
    let mut question = String::new();
    BufReader::new(&stream).read_line(&mut question).expect("the question");
    assert_eq!(question, "the question\n");
    stream.write_all(b"the answer\n").expect("answered");
    drop(stream);
    assert_eq!(running.end().out().last(), Some(&"got the answer"));
}

fn waiting_for_the_gateway_ends(place: Place) {
    let bridge = Bridge { hold_ms: 300, ..Bridge::new(8080) };
    let ran = Host::new(place).start(Job { bridge: Some(bridge), ..shell(ASK) }).end();
    assert_eq!(ran.out(), ["asking", "got "]);
}

fn what_cannot_be_started_is_refused_in_words(place: Place) {
    let host = Host::new(place);
    let job = |argv: &[&str]| Job { argv: argv.iter().map(|&word| word.to_owned()).collect(), ..shell("") };
    let cases = [
        (job(&["no-such-program"]), 127, "no-such-program"),
        (job(&["/etc/passwd"]), 126, "/etc/passwd"),
        (job(&[]), EXIT_REFUSED, "names no program"),
        (Job { env: vec![("LD_PRELOAD".into(), "/x.so".into())], ..shell("true") }, EXIT_REFUSED, "LD_PRELOAD"),
        (Job { write: vec!["/".into()], ..shell("true") }, EXIT_REFUSED, "cannot be granted"),
        (Job { write: vec!["/workspace/../etc".into()], ..shell("true") }, EXIT_REFUSED, "cannot be granted"),
        (Job { write: vec!["/workspace/none".into()], ..shell("true") }, EXIT_REFUSED, "/workspace/none"),
        (Job { cwd: "/workspace/none".into(), ..shell("true") }, EXIT_REFUSED, "/workspace/none"),
        (
            Job {
                home_files: vec![HomeFile { path: "../x".into(), text: String::new(), executable: false }],
                ..shell("true")
            },
            EXIT_REFUSED,
            "without `..`",
        ),
    ];
    for (job, code, word) in cases {
        let ran = host.start(job.clone()).end();
        assert_eq!(ran.code, Some(code), "{job:?} {:?}", ran.lines);
        let [Record::Refused { why }, Record::Ended { exit_code, .. }] = &ran.records()[..] else {
            panic!("{job:?}: {:?}", ran.lines);
        };
        assert_eq!(*exit_code, Some(code));
        assert!(why.contains(word), "{why}");
    }
}

fn nobody_is_root_or_gains_anything(place: Place) {
    let script = "id -u; grep -E '^(Cap(Prm|Eff|Amb)|NoNewPrivs|Seccomp):' /proc/self/status; ls /proc/self/fd | wc -l; tty; ulimit -n";
    let limits = Rlimits { open_files: Some(100), ..Rlimits::default() };
    let ran = Host::new(place).start(Job { limits, ..shell(script) }).end();
    let out = ran.out();
    assert_ne!(out[0], "0");
    for line in &out[1..6] {
        let (name, value) = line.split_once(":\t").expect("a line of status");
        let expected = match name {
            "NoNewPrivs" => "1",
            "Seccomp" => "2",
            _ => "0000000000000000",
        };
        assert_eq!(value, expected, "{name}");
    }
    assert_eq!(out[6..], ["4", "not a tty", "100"]);
}
