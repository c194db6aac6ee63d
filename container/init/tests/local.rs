//! What is special about the sandbox without an engine: the host is one pivot away, and nothing of it may show.

mod place;

use borg_confine::Profile;
use borg_init::{AGENT_UID, EXIT_REFUSED, Job, Line, Local, Mount, Record};
use nix::unistd::geteuid;
use place::{Host, Place, program, shell};
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::Stdio,
};

#[test]
fn only_what_is_named_of_the_host_is_seen() {
    for place in [Place::Local, Place::Unprivileged] {
        place.offered(|place| {
            let host = Host::new(place);
            let secret = host.path("secret");
            fs::write(&secret, "the operator's").expect("file");
            let ran = host.script(&format!(
                "ls / /home; cat {} /etc/shadow; ls /root /var /run /sys; cat /proc/mounts | cut -d' ' -f2; ls -d /proc/[0-9]* | wc -l; hostname",
                secret.display()
            ));
            let out = ran.out();
            let text = out.join("\n");
            assert!(!text.contains("the operator's"), "{text}");
            for hidden in ["root", "var", "srv", "mnt", "boot", "media", ".host"] {
                assert!(!out.contains(&hidden), "/{hidden} shows");
            }
            // Below /run there is our own directory and nothing of the host's, such as the engine's socket.
            assert!(out.contains(&"borg") && !text.contains("docker.sock"), "{text}");
            assert!(!text.contains(&format!("{}", host.path("").display())), "a path of the host shows among the mounts: {text}");
            // Init, the shell, and the pipeline at that moment: the host's processes are not there.
            let processes: usize = out[out.len() - 2].trim().parse().expect("a number");
            assert!(processes < 8, "{processes} processes");
            assert_eq!(out.last(), Some(&"borg"));
        });
    }
}

#[test]
fn pinned_files_hold_and_their_folder_does_not_take_them_away() {
    for place in [Place::Local, Place::Unprivileged] {
        place.offered(|place| {
            let mut host = Host::new(place);
            host.file("tests/pinned.py", "assert True");
            host.more_mounts = vec![Mount {
                host: host.workspace.join("tests/pinned.py"),
                inside: "/workspace/tests/pinned.py".into(),
                writable: false,
            }];
            let ran = host.script(
                "for attempt in 'echo x > /workspace/tests/pinned.py' 'rm -f /workspace/tests/pinned.py' 'mv /workspace/tests/pinned.py /tmp/' \
                 'echo x > /workspace/tests/new.py'; do sh -c \"$attempt\" 2>/dev/null; echo $?; done",
            );
            let codes: Vec<bool> = ran.out().iter().map(|code| *code == "0").collect();
            assert_eq!(codes, [false, false, false, true], "{:?}", ran.lines);
            assert_eq!(fs::read_to_string(host.workspace.join("tests/pinned.py")).expect("there"), "assert True");
        });
    }
}

#[test]
fn wrong_jobs_are_refused() {
    let host = Host::new(Place::Local);
    let link = host.workspace.join("link");
    std::os::unix::fs::symlink("/etc", &link).expect("link");
    let mount =
        |host: &std::path::Path, inside: &str| Mount { host: host.into(), inside: inside.into(), writable: true };
    let workspace = mount(&host.workspace, "/workspace");
    let with = |mounts: Vec<Mount>, user| Job {
        local: Some(Local { mounts, user }),
        write: vec!["/workspace".into()],
        ..Job::new(vec!["true".into()], 1 << 20)
    };
    let mut cases = vec![
        (Job { local: None, ..with(vec![], None) }, "nothing about the local sandbox"),
        (with(vec![], None), "no mount for `/workspace`"),
        (Job { unix_sockets: true, ..with(vec![workspace.clone()], None) }, "Unix sockets cannot be granted"),
        (with(vec![workspace.clone()], Some((0, 0))), "may not be root"),
        (with(vec![workspace.clone(), mount(&host.path("nowhere"), "/in")], None), "nowhere"),
        (with(vec![workspace.clone(), mount(&host.run, "/workspace/link")], None), "behind a link"),
    ];
    for inside in ["/", "/usr/lib", "/proc", "/etc/ssl", "relative", "/in/../etc"] {
        cases.push((with(vec![workspace.clone(), mount(&host.run, inside)], None), "nothing can be mounted"));
    }
    if !geteuid().is_root() {
        cases.push((with(vec![workspace.clone()], Some((AGENT_UID, AGENT_UID))), "only root"));
    }
    for (job, word) in cases {
        let file = host.path("in/job");
        fs::write(&file, serde_json::to_vec(&job).expect("JSON")).expect("the job");
        let output =
            program(env!("CARGO_BIN_EXE_borg-init")).args(["local", "--job"]).arg(&file).output().expect("ran");
        assert_eq!(output.status.code(), Some(EXIT_REFUSED), "{job:?}");
        let lines: Vec<Line> =
            output.stdout.lines().map(|line| serde_json::from_str(&line.expect("text")).expect("JSON")).collect();
        let Some(Record::Refused { why }) = lines[0].record() else { panic!("{lines:?}") };
        assert!(why.contains(word), "{why}");
    }
}

#[test]
fn everything_inside_dies_with_the_host() {
    for place in [Place::Local, Place::Unprivileged] {
        place.offered(|place| {
            let host = Host::new(place);
            let mut running =
                host.start(shell("trap '' TERM HUP; setsid sleep 1000 & echo ready; while :; do :; done"));
            running.until("ready");
            running.signal(nix::sys::signal::Signal::SIGKILL);
            // The output's end is the proof: it comes when the last process inside that holds it is gone.
            assert_eq!(running.end().code, None, "killed");
        });
    }
}

/// The host itself is killed, which init notices by the death of its parent.
#[test]
fn init_dies_with_its_parent() {
    let host = Host::new(Place::Local);
    let mut job = shell("echo ready; while :; do :; done");
    job.local = Some(Local {
        mounts: vec![Mount { host: host.workspace.clone(), inside: "/workspace".into(), writable: true }],
        user: None,
    });
    job.write = vec!["/workspace".into()];
    let file = host.path("in/job");
    fs::write(&file, serde_json::to_vec(&job).expect("JSON")).expect("the job");
    let mut parent = program("/bin/sh")
        .args(["-c", "\"$0\" local --job \"$1\" --parent $$; exit 1", env!("CARGO_BIN_EXE_borg-init")])
        .arg(&file)
        .stdout(Stdio::piped())
        .spawn()
        .expect("started");
    let mut output = BufReader::new(parent.stdout.take().expect("piped"));
    let mut line = String::new();
    while !line.contains("ready") {
        line.clear();
        assert_ne!(output.read_line(&mut line).expect("a line"), 0, "it ended early");
    }
    parent.kill().expect("killed");
    parent.wait().expect("waited");
    output.read_to_string(&mut line).expect("the end of the output");
    assert!(!line.contains("ended"), "{line}");
}

#[test]
fn a_foreign_parent_is_refused() {
    let host = Host::new(Place::Local);
    let file = host.path("in/job");
    let output = program(env!("CARGO_BIN_EXE_borg-init"))
        .args(["local", "--job"])
        .arg(&file)
        .args(["--parent", "1"])
        .output()
        .expect("ran");
    assert_eq!(output.status.code(), Some(EXIT_REFUSED));
    assert!(String::from_utf8_lossy(&output.stdout).contains("the host that started this sandbox is gone"));
}

/// Inside a helper's filter there are no namespaces, as on a kernel that gives none: that is a refusal with the remedy, and nothing runs.
#[test]
fn without_namespaces_it_is_refused() {
    let host = Host::new(Place::Local);
    let mut job = shell("echo ran > /workspace/ran");
    job.local = Some(Local {
        mounts: vec![Mount { host: host.workspace.clone(), inside: "/workspace".into(), writable: true }],
        user: None,
    });
    let (file, profile) = (host.path("in/job"), host.path("in/profile"));
    fs::write(&file, serde_json::to_vec(&job).expect("JSON")).expect("the job");
    let all = Profile { read_exec: vec!["/".into()], write: vec!["/".into()], ..Profile::default() };
    fs::write(&profile, serde_json::to_vec(&all).expect("JSON")).expect("the profile");
    let init = env!("CARGO_BIN_EXE_borg-init");
    let output = program(init)
        .args(["helper", "--profile"])
        .arg(&profile)
        .args(["--", init, "local", "--job"])
        .arg(&file)
        .output()
        .expect("ran");
    assert_eq!(output.status.code(), Some(EXIT_REFUSED));
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("namespace") && text.contains("kernel.unprivileged_userns_clone"), "{text}");
    assert!(!host.workspace.join("ran").exists());
}
