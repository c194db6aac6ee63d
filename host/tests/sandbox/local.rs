//! What is particular to the local sandbox: it dies with the host, and the next host knows.

use super::room::{Kind, Room, follow, until};
use borg_core::executor::EndCause;
use borg_host::sandbox::Stream;
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, os::unix::fs::PermissionsExt};

#[tokio::test]
async fn a_run_of_an_earlier_host_is_lost_but_its_lines_are_not() {
    let Some(room) = Room::new(Kind::Local).await else { return };
    let spec = room.sh("echo said; echo x > /out/said; sleep 1000");
    let started = room.start(&spec).await.unwrap();
    let said = room.dirs(spec.run).out.join("said");
    until("the process speaks", || said.exists()).await;
    // Init passes it on in its own time: what has not left it by then is lost with it.
    let output = room.top().join(format!("runs/{}/output.ndjson", spec.run));
    until("init passes it on", || fs::read_to_string(&output).is_ok_and(|text| text.contains("said"))).await;
    // What the kernel does to it when the host dies.
    kill_process(Pid::from_raw(started.init_pid).unwrap(), Signal::KILL).unwrap();
    until("init is gone", || !fs::exists(format!("/proc/{}/fd/1", started.init_pid)).unwrap_or(true)).await;
    let next = room.again().await;
    let found = next.find(spec.run).await.unwrap().unwrap();
    assert_eq!((found.running, found.init_pid), (false, None));
    assert_eq!(next.list().await.unwrap(), [(spec.run, false)]);
    let (lines, end) = follow(&next, spec.run, 0).await;
    assert_eq!((end.cause, end.exit_code), (EndCause::Lost, None));
    let said: Vec<_> = lines.iter().filter(|line| line.stream == Stream::Out).map(|line| line.text.as_str()).collect();
    assert_eq!(said, ["said"]);
    next.remove(spec.run).await.unwrap();
    assert_eq!(next.find(spec.run).await.unwrap(), None);
}

#[tokio::test]
async fn nobody_outlives_the_run() {
    let Some(room) = Room::new(Kind::Local).await else { return };
    let spec = room.sh("(setsid sh -c 'while true; do date +%s%N > /out/alive; sleep 0.05; done' &) ; while ! test -e /out/alive; do sleep 0.05; done");
    let alive = room.dirs(spec.run).out.join("alive");
    room.run(&spec).await;
    let last = fs::read_to_string(&alive).unwrap();
    let since = std::time::Instant::now();
    until("time passes", || since.elapsed().as_millis() > 400).await;
    assert_eq!(fs::read_to_string(&alive).unwrap(), last);
}

#[tokio::test]
async fn a_killed_run_is_dead_to_the_last_process_when_that_is_said() {
    let Some(room) = Room::new(Kind::Local).await else { return };
    if !room.has_python() {
        return;
    }
    let mark = format!("mark-{}", room.installation);
    // Memory takes time to give back.
    let script = "
import os, sys
for child in range(60):
    if os.fork() == 0:
        weight = bytearray(8 << 20)
        open(f'/out/{child}', 'w').close()
        while True:
            os.stat('/out')
while True:
    os.stat('/out')
";
    let spec = room.argv(["/usr/bin/env", "python3", "-c", script, &mark]);
    let out = room.dirs(spec.run).out;
    room.start(&spec).await.unwrap();
    until("all run", || fs::read_dir(&out).unwrap().count() == 60).await;
    let alive = || {
        let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("cmdline"));
        processes.filter(|path| fs::read_to_string(path).is_ok_and(|line| line.contains(&mark))).count()
    };
    assert!(alive() > 60);
    room.sandbox.kill(spec.run, EndCause::DiskCap).await.unwrap();
    assert_eq!(alive(), 0);
    let (_, end) = follow(&room.sandbox, spec.run, 0).await;
    assert_eq!(end.cause, EndCause::DiskCap);
    room.sandbox.remove(spec.run).await.unwrap();
}

#[tokio::test]
async fn memory_of_all_together_is_limited() {
    let Some(room) = Room::new(Kind::Local).await else { return };
    if !room.has_python() {
        return;
    }
    // Each of them is below the limit.
    let script = "
import os, time
for child in range(8):
    if os.fork() == 0:
        weight = bytearray(os.urandom(1 << 20) * 40)
        time.sleep(60)
        os._exit(0)
print(open('/proc/self/oom_score_adj').read().strip(), flush=True)
time.sleep(60)
";
    let mut spec = room.argv(["/usr/bin/env", "python3", "-c", script]);
    spec.limits.memory_bytes = 128 << 20;
    let ran = room.run(&spec).await;
    assert_eq!((ran.end.cause, ran.out().as_str()), (EndCause::OutOfMemory, "1000\n"));

    // What they share counts once.
    let script = "
import os, time
weight = bytearray(os.urandom(1 << 20) * 60)
for child in range(8):
    if os.fork() == 0:
        time.sleep(2)
        os._exit(0)
time.sleep(2)
";
    let mut spec = room.argv(["/usr/bin/env", "python3", "-c", script]);
    spec.limits.memory_bytes = 200 << 20;
    assert_eq!(room.run(&spec).await.end.cause, EndCause::Exited);
}

#[tokio::test]
async fn a_pin_that_is_not_held_by_a_mount_is_said() {
    let Some(room) = Room::new(Kind::Local).await else { return };
    let mut spec = room.sh("true");
    spec.write.pinned = vec!["gone.py".into()];
    let missing = room.run(&spec).await.started.attestation.missing;
    assert!(missing.iter().any(|line| line.contains("gone.py")), "{missing:?}");
}

#[tokio::test]
async fn memory_file_systems_take_no_end_of_empty_files() {
    let Some(room) = Room::new(Kind::Local).await else { return };
    if !room.has_python() {
        return;
    }
    let script = "
import os
for place in ('/tmp', '/home/agent', '/dev/shm'):
    made = 0
    try:
        while made < 20000:
            open(f'{place}/{made}', 'w').close()
            made += 1
    except OSError:
        pass
    print(1000 < made < 20000)
";
    assert_eq!(room.run(&room.argv(["/usr/bin/env", "python3", "-c", script])).await.out(), "True\nTrue\nTrue\n");
}

#[tokio::test]
async fn the_host_s_files_are_not_in_sight() {
    let Some(room) = Room::new(Kind::Local).await else { return };
    let secret = tempfile::Builder::new().prefix("secret").tempdir().unwrap();
    fs::write(secret.path().join("token"), "sk-secret").unwrap();
    let path = secret.path().display();
    let script = format!(
        "cat {path}/token; ls /root /home 2>/dev/null | grep -vE 'agent|home'; ls {}; cat /etc/shadow; true",
        room.top().display()
    );
    let ran = room.run(&room.sh(&script)).await;
    assert_eq!(ran.out(), "");
}

#[tokio::test]
async fn a_directory_that_policy_names_is_shown_read_only_and_no_secret_is() {
    let Some(room) = Room::new(Kind::Local).await else { return };
    let dir = tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    let place = |name: &str| dir.path().canonicalize().unwrap().join(name);
    fs::create_dir_all(place("tools/bin")).unwrap();
    fs::write(place("tools/bin/greet"), "#!/bin/sh\necho hello\n").unwrap();
    fs::set_permissions(place("tools/bin/greet"), fs::Permissions::from_mode(0o755)).unwrap();
    fs::write(place("beside"), "sk-secret").unwrap();
    let tools = place("tools").display().to_string();
    let mut spec = room.sh(&format!(
        "greet; echo x 2>/dev/null >> {tools}/bin/greet || echo refused; cat {}",
        place("beside").display()
    ));
    spec.host_paths = vec![tools];
    // As for every check.
    spec.exec = true;
    let ran = room.run(&spec).await;
    assert_eq!(ran.out(), "hello\nrefused\n");

    fs::create_dir(place(".ssh")).unwrap();
    std::os::unix::fs::symlink(place(".ssh"), place("innocent")).unwrap();
    for secret in [".ssh", "innocent", "missing"] {
        let mut spec = room.sh("true");
        spec.host_paths = vec![place(secret).display().to_string()];
        room.start(&spec).await.expect_err(secret);
    }
}
