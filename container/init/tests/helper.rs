//! `borg-init helper`: confined, then executed; and the command line.

mod place;

use borg_confine::{Network, ParentDeath, Profile, Tcp, doors::Tried};
use borg_init::EXIT_REFUSED;
use place::program;
use std::{
    fs,
    io::{BufRead, BufReader, Read},
    process::Output,
};

fn helper(profile: &Profile, command: &[&str]) -> Output {
    let top = tempfile::tempdir().expect("tempdir");
    let file = top.path().join("profile.json");
    fs::write(&file, serde_json::to_vec(profile).expect("JSON")).expect("the profile");
    let mut init = program(env!("CARGO_BIN_EXE_borg-init"));
    init.args(["helper", "--profile"]).arg(&file).arg("--").args(command).output().expect("ran")
}

fn git_like(write: &[&std::path::Path]) -> Profile {
    let system = ["/usr", "/bin", "/lib", "/lib64", "/etc/ld.so.cache"];
    Profile {
        read_exec: system.into_iter().map(Into::into).collect(),
        write: write.iter().map(Into::into).collect(),
        network: Network::Own,
        parent_death: ParentDeath::Kill,
        ..Profile::default()
    }
}

#[test]
fn a_helper_does_its_work_and_nothing_else() {
    let room = tempfile::tempdir().expect("tempdir");
    let elsewhere = tempfile::tempdir().expect("tempdir");
    let profile = git_like(&[room.path(), "/dev/null".as_ref()]);
    let script = format!(
        "echo in > {0}/file && cat {0}/file; echo x > {1}/file; cat /etc/passwd; ls {1}; (echo > /dev/tcp/127.0.0.1/1) 2>/dev/null || echo no network",
        room.path().display(),
        elsewhere.path().display()
    );
    let output = helper(&profile, &["bash", "-c", &script]);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "in\nno network\n",
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(!elsewhere.path().join("file").exists());
}

/// The host's death is the helper's, also after it has become another program.
#[test]
fn a_helper_dies_with_its_parent() {
    let top = tempfile::tempdir().expect("tempdir");
    let file = top.path().join("profile.json");
    fs::write(&file, serde_json::to_vec(&git_like(&[])).expect("JSON")).expect("the profile");
    let mut parent = program("/bin/sh")
        .args([
            "-c",
            "\"$0\" helper --profile \"$1\" -- sh -c 'echo ready; exec sleep 1000'; exit 1",
            env!("CARGO_BIN_EXE_borg-init"),
        ])
        .arg(&file)
        .stdout(std::process::Stdio::piped())
        .spawn()
        .expect("started");
    let mut output = BufReader::new(parent.stdout.take().expect("piped"));
    let mut line = String::new();
    output.read_line(&mut line).expect("a line");
    assert_eq!(line, "ready\n");
    parent.kill().expect("killed");
    parent.wait().expect("waited");
    // The end comes when the helper, which holds the other side, is gone.
    assert_eq!(output.read_to_string(&mut line).expect("the end"), 0);
}

/// The real program this is for.
#[test]
fn git_works_confined() {
    let room = tempfile::tempdir().expect("tempdir");
    let profile = git_like(&[room.path(), "/dev/null".as_ref()]);
    let repository = room.path().join("repository").display().to_string();
    for arguments in
        [vec!["init", "--quiet", "--bare", &repository], vec!["-C", &repository, "rev-parse", "--is-bare-repository"]]
    {
        let output = helper(&profile, &[vec!["git"], arguments].concat());
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

#[test]
fn exit_codes_are_the_programs_or_say_why_there_was_none() {
    let profile = git_like(&[]);
    for (command, code, word) in [
        (vec!["sh", "-c", "exit 42"], 42, ""),
        (vec!["no-such-program"], 127, "no such program"),
        (vec!["/etc/passwd"], 126, "/etc/passwd"),
    ] {
        let output = helper(&profile, &command);
        assert_eq!(output.status.code(), Some(code), "{command:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(word));
    }
    let impossible = Profile { write: vec!["/nowhere/at/all".into()], ..git_like(&[]) };
    let output = helper(&impossible, &["true"]);
    assert_eq!(output.status.code(), Some(EXIT_REFUSED));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/at/all"));
}

#[test]
fn the_doors_show_what_a_profile_holds() {
    let top = tempfile::tempdir().expect("tempdir");
    let file = top.path().join("profile.json");
    let profile = Profile { read_exec: vec!["/".into()], tcp: Tcp::Any, ..Profile::default() };
    fs::write(&file, serde_json::to_vec(&profile).expect("JSON")).expect("the profile");
    let doors = |arguments: &[&std::ffi::OsStr]| {
        program(env!("CARGO_BIN_EXE_borg-init")).arg("doors").args(arguments).output().expect("ran")
    };
    let confined = doors(&["--profile".as_ref(), file.as_os_str()]);
    assert_eq!(confined.status.code(), Some(0), "{}", String::from_utf8_lossy(&confined.stdout));
    let free = doors(&[]);
    assert_eq!(free.status.code(), Some(1));
    let open = String::from_utf8_lossy(&free.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Tried>(line).expect("JSON"))
        .filter(|door| !door.shut)
        .count();
    assert!(open > 20, "{open} doors are open without a profile");
}

#[test]
fn the_command_line_teaches() {
    let help = program(env!("CARGO_BIN_EXE_borg-init")).arg("--help").output().expect("ran");
    assert!(help.status.success() && String::from_utf8_lossy(&help.stdout).contains("borg-init container"));
    for wrong in [vec![], vec!["dance"], vec!["local"], vec!["helper", "--profile", "x", "--"]] {
        let output = program(env!("CARGO_BIN_EXE_borg-init")).args(&wrong).output().expect("ran");
        assert_eq!(output.status.code(), Some(EXIT_REFUSED), "{wrong:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("usage:"));
    }
    // Not PID 1 here, so it refuses rather than signal whom it should not.
    let output = program(env!("CARGO_BIN_EXE_borg-init")).arg("container").output().expect("ran");
    assert_eq!(output.status.code(), Some(EXIT_REFUSED));
    assert!(String::from_utf8_lossy(&output.stdout).contains("first process of a container"));
}
