//! Children: nothing inherited, nothing left over, always an end.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::room::launcher;
use borg_host::spawn::{Confinement, Error, Spawner, Spec, Stdin, Stdout, Stop};
use std::{
    fs,
    io::{Read, Write},
    os::fd::{AsRawFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

fn sh(script: &str) -> Spec {
    Spec { env: vec![("PATH".into(), "/usr/bin:/bin".into())], ..Spec::new("/bin/sh").args(["-c", script]) }
}

/// Waits until a process is gone, by the kernel's word.
fn gone(pid: &str) -> bool {
    let deadline = Instant::now() + Duration::from_secs(10);
    let path = format!("/proc/{}/stat", pid.trim());
    while Instant::now() < deadline {
        match fs::read_to_string(&path) {
            Err(_) => return true,
            Ok(stat) if stat.contains(") Z ") => return true,
            Ok(_) => std::thread::yield_now(),
        }
    }
    false
}

#[tokio::test]
async fn a_child_inherits_nothing() {
    let spawner = Spawner::start().unwrap();
    // Open without close-on-exec, as a careless library would.
    let leaked = fs::File::open("/dev/zero").unwrap();
    rustix::io::fcntl_setfd(&leaked, rustix::io::FdFlags::empty()).unwrap();
    let output = spawner.run(Spec::new("/usr/bin/env").arg("-0")).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "");
    let output = spawner.run(sh("ls /proc/self/fd; pwd; ulimit -c")).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(!text.lines().any(|line| line == leaked.as_raw_fd().to_string()), "{text}");
    assert!(text.ends_with("/\n0\n"), "{text}");

    let (mut reader, writer) = std::io::pipe().unwrap();
    let number = writer.as_raw_fd();
    let kept = Spec { keep: vec![OwnedFd::from(writer)], ..sh(&format!("echo kept > /proc/self/fd/{number}")) };
    assert!(spawner.run(kept).await.unwrap().status.success());
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "kept\n");
}

#[tokio::test]
async fn pipes_are_always_drained_and_cut() {
    let spawner = Spawner::start().unwrap();
    let noisy = sh("head -c 3000000 /dev/zero | tr '\\0' e >&2; head -c 3000000 /dev/zero; echo last >&2; exit 3");
    let output = spawner.run(Spec { stdout: Stdout::Capture { limit: 1000 }, ..noisy }).await.unwrap();
    assert_eq!((output.status.code(), output.stdout.len(), output.truncated), (Some(3), 1000, true));
    assert!(output.stderr.ends_with("last\n") && output.stderr.len() <= 16 * 1024);
    assert!(!output.is_whole());

    let bytes = vec![b'x'; 1 << 20];
    let output = spawner.run(Spec {
        stdin: Stdin::Bytes(bytes.clone()),
        stdout: Stdout::Capture { limit: 2 << 20 },
        ..sh("cat")
    });
    assert_eq!(output.await.unwrap().stdout, bytes);
    // One that does not read its input ends all the same.
    let output = spawner.run(Spec { stdin: Stdin::Bytes(bytes), ..sh("exit 0") }).await.unwrap();
    assert!(output.status.success());
}

#[tokio::test]
async fn streams_are_served_by_the_caller() {
    let spawner = Spawner::start().unwrap();
    let spec = Spec { stdin: Stdin::Piped, stdout: Stdout::Piped, ..sh("tr a-z A-Z") };
    let mut running = spawner.stream(spec).await.unwrap();
    let (mut stdin, mut stdout) = (running.take_stdin().unwrap(), running.take_stdout().unwrap());
    let work = tokio::task::spawn_blocking(move || {
        stdin.write_all(b"hello").unwrap();
        drop(stdin);
        let mut text = String::new();
        stdout.read_to_string(&mut text).unwrap();
        text
    });
    let (text, output) = tokio::join!(work, running.finish());
    assert_eq!(text.unwrap(), "HELLO");
    assert!(output.unwrap().is_whole());
}

#[tokio::test]
async fn the_whole_group_dies_at_the_time_limit_and_at_the_end() {
    let spawner = Spawner::start().unwrap();
    let tmp = tempfile::tempdir().unwrap();
    let pid = tmp.path().join("pid");
    let script = format!("sleep 1000 & echo $! > {}; trap '' TERM; wait", pid.display());
    for stop in [Stop::Kill, Stop::Ask(Duration::from_millis(200))] {
        let spec = Spec { timeout: Duration::from_millis(500), stop, ..sh(&script) };
        let started = Instant::now();
        let output = spawner.run(spec).await.unwrap();
        assert!(output.timed_out && started.elapsed() < Duration::from_secs(20));
        assert!(gone(&fs::read_to_string(&pid).unwrap()));
    }
    // A background child that holds the pipe open does not hold the caller.
    let output = spawner.run(sh(&format!("sleep 1000 & echo $! > {}", pid.display()))).await.unwrap();
    assert!(output.status.success() && !output.timed_out);
    assert!(gone(&fs::read_to_string(&pid).unwrap()));
}

#[tokio::test]
async fn a_child_that_closes_its_pipes_and_lives_on_is_ended_all_the_same() {
    let spawner = Spawner::start().unwrap();
    for stop in [Stop::Kill, Stop::Ask(Duration::from_millis(200))] {
        // It hears SIGTERM, or does not.
        for script in ["exec >&- 2>&- sleep 1000", "trap '' TERM; exec >&- 2>&-; sleep 1000; sleep 1000"] {
            let spec = Spec { timeout: Duration::from_millis(300), stop, ..sh(script) };
            let output = spawner.run(spec).await.unwrap();
            assert!(output.timed_out && !output.truncated, "{stop:?} {script}");
        }
    }
}

#[tokio::test]
async fn a_dropped_child_dies_and_is_reaped() {
    let spawner = Spawner::start().unwrap();
    let spec = Spec { stdout: Stdout::Piped, ..sh("echo $$; exec sleep 1000") };
    let mut running = spawner.stream(spec).await.unwrap();
    let mut stdout = running.take_stdout().unwrap();
    let mut pid = [0; 32];
    let read = stdout.read(&mut pid).unwrap();
    let pid = String::from_utf8_lossy(&pid[..read]).trim().to_owned();
    assert!(Path::new("/proc").join(&pid).exists());
    drop(running);
    // Its end of the pipe closes, and no zombie stays.
    assert_eq!(stdout.read(&mut [0; 8]).unwrap(), 0);
    let deadline = Instant::now() + Duration::from_secs(10);
    while Path::new("/proc").join(&pid).exists() {
        assert!(Instant::now() < deadline, "a zombie stays");
        std::thread::yield_now();
    }
}

#[tokio::test]
async fn what_cannot_start_is_named_and_file_sizes_are_held() {
    let spawner = Spawner::start().unwrap();
    let told = spawner.run(Spec::new("/nonexistent/program")).await.unwrap_err();
    assert!(matches!(&told, Error::Start { .. }) && told.to_string().contains("/nonexistent/program"), "{told}");
    let tmp = tempfile::tempdir().unwrap();
    let file = tmp.path().join("big");
    let spec = Spec { max_file_bytes: Some(4096), ..sh(&format!("head -c 100000 /dev/zero > {}", file.display())) };
    assert!(!spawner.run(spec).await.unwrap().status.success());
    assert!(file.metadata().unwrap().len() <= 4096);
}

#[tokio::test]
async fn a_confined_child_reaches_what_it_was_granted() {
    let Some(launcher) = launcher() else {
        eprintln!(
            "skipped: a_confined_child_reaches_what_it_was_granted: borg-init is not built (`cargo xtask build`)"
        );
        return;
    };
    let spawner = Spawner::start().unwrap();
    let tmp = tempfile::tempdir().unwrap();
    let (mine, other) = (tmp.path().join("mine"), tmp.path().join("other"));
    fs::create_dir(&mine).unwrap();
    fs::write(&other, "secret").unwrap();
    let profile = borg_confine::Profile {
        read_exec: ["/usr", "/bin", "/lib", "/lib64"].map(Into::into).to_vec(),
        write: vec![mine.clone(), "/dev/null".into()],
        ..Default::default()
    };
    let (mut reader, writer) = std::io::pipe().unwrap();
    let number = writer.as_raw_fd();
    let script = format!("echo x > {}; cat {}; echo through >&{number}", mine.join("x").display(), other.display());
    let spec = Spec {
        keep: vec![writer.into()],
        confinement: Some(Confinement { launcher, profile }),
        // Descriptors of two digits need another shell's syntax.
        ..Spec { program: "/bin/bash".into(), ..sh(&script) }
    };
    let output = spawner.run(spec).await.unwrap();
    assert!(mine.join("x").exists(), "{}", output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "the other file was read");
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!(text, "through\n", "{}", output.stderr);
}
