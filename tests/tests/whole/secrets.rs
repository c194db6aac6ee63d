//! The key that the gateway adds is hunted while the real Claude Code works and afterwards, wherever the host took it from: it must stand
//! nowhere but in the host's memory, in the stand-in for the provider, and in the place where the operator put it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::{
    harness::{Host, Setup},
    hunt::{self, Hunt},
    messages_api::{Expect, Script, Turn},
    trial::{IMPLEMENT, LIMIT, PLACEHOLDER, Trial, bash, shop, worker},
};
use serde_json::json;
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// What a curious agent looks at, and then a place to stop at until the hunt is over.
const LOOK: &str =
    "env; cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'; ls -laR /in /out /run /tmp $HOME 2>&1";
const STOP: &str = "touch /out/ready; until [ -e /out/go ]; do sleep 0.05; done; rm /out/ready /out/go";

#[test]
fn a_key_from_the_environment_is_nowhere() {
    let key = "sk-ant-api03-e4Vb7/NqX2+zK9m=Rt5~Jw3hLc8Ds1Gf";
    let change =
        |setup: Setup| setup.env("MODEL_KEY", key).policy("[secret.claude]\nfrom = \"env:MODEL_KEY\"").unwrap();
    hunted(key, Memory::Too, change, |_| None);
}

#[test]
fn a_key_in_a_file_is_nowhere_else() {
    let key = "sk-ant-api03-f7Mw2/PkT5+xH8n=Gv6~Qb1zRd9Ls4Jc";
    hunted(key, Memory::No, |setup| setup, |host| Some(host.dir().join("model-key")));
}

#[test]
fn a_stored_key_is_nowhere_else() {
    let key = "sk-ant-api03-s3Cd6/WyB9+vF1q=Nh8~Tx5kZp2Rm7Lg";
    let change = |setup: Setup| setup.policy("[secret.claude]\nfrom = \"stored:claude\"").unwrap();
    hunted(key, Memory::No, change, |host| {
        let stored = host.cli_with(&["secret", "set", "claude"], key).unwrap().success();
        assert!(!format!("{stored:?}").contains(key));
        Some(host.data().join("secrets/claude"))
    });
}

#[test]
fn a_token_in_dotenv_is_nowhere_else() {
    let key = "sk-ant-oat01-d8Hs4/QnV7-yB2w_Kf9-Xm6tJc1Zr3Pg";
    let change = |setup: Setup| setup.file(".env", &format!("CLAUDE_CODE_OAUTH_TOKEN={key}\n")).unwrap();
    hunted(key, Memory::No, change, |host| Some(host.dir().join(".env")));
}

#[test]
fn a_token_of_claudes_own_credentials_is_nowhere_else() {
    let key = "sk-ant-oat01-c5Rt9/GzL3-nW6v_Hd1-Yq8sKb4Mx7Fj";
    let change = |setup: Setup| setup.policy("[secret.claude]\nfrom = \"claude-credentials\"").unwrap();
    hunted(key, Memory::No, change, |host| {
        let file = host.dir().join("home/.claude/.credentials.json");
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(
            &file,
            json!({ "claudeAiOauth": { "accessToken": key, "expiresAt": 4_102_444_800_000_u64 } }).to_string(),
        )
        .unwrap();
        Some(file)
    });
}

/// Whether the memory of the container's processes is looked at: it takes long, and is the same wherever the host has its key from.
#[derive(Clone, Copy, PartialEq)]
enum Memory {
    Too,
    No,
}

/// Takes a task through the host with this key, hunting it; `place` puts it where the operator would and says where that is.
#[track_caller]
fn hunted(
    key: &str,
    memory: Memory,
    change: impl FnOnce(Setup) -> Setup,
    place: impl FnOnce(&Host) -> Option<PathBuf>,
) {
    let curious = worker()
        .turn(Turn::call("Bash", json!({ "command": LOOK })).expect(Expect::ok().containing("ANTHROPIC_API_KEY")))
        .turn(bash(STOP))
        .turn(bash(IMPLEMENT))
        .turn(Turn::say("It is done."));
    let Some(mut trial) = Trial::keyed(key, Script::new().persona(curious), shop(), change) else { return };
    let own = place(&trial.host);
    let given = trial.host.dir().join("model-key");
    if own.as_ref() != Some(&given) {
        fs::remove_file(&given).unwrap();
    }
    // The programs of agents and plugins are large, and older than the key.
    let programs = ["agents", "plugins"].map(|folder| trial.host.data().join(folder));
    let but: Vec<PathBuf> = own.into_iter().chain(programs).collect();

    let task = trial.task();
    let ready = trial.host.file_of_run("out/ready", LIMIT).unwrap();
    let mut hunt = Hunt::new(key);
    containers(&mut hunt, &trial.host, memory);
    everywhere(&mut hunt, &trial.host, &but);
    assert_eq!(hunt.found, [""; 0], "while the agent works");
    fs::write(ready.with_file_name("go"), "").unwrap();
    trial.ends(task, "completed");

    everywhere(&mut hunt, &trial.host, &but);
    said(&mut hunt, &trial.host, task);
    assert_eq!(hunt.found, [""; 0], "after the task");
    for seen in trial.api.asked() {
        let headers: Vec<_> = seen.headers.iter().filter(|(_, value)| value.contains(key)).collect();
        let [(name, _)] = &headers[..] else { panic!("it came in {headers:?}") };
        assert!(matches!(name.as_str(), "x-api-key" | "authorization") && !seen.raw.contains(key), "{name}");
        assert!(seen.headers.iter().all(|(_, value)| !value.contains(PLACEHOLDER)), "{:?}", seen.headers);
    }
    assert_eq!(trial.api.problems(), Vec::<String>::new());

    trial.host.stop().unwrap();
    everywhere(&mut hunt, &trial.host, &but);
    said(&mut hunt, &trial.host, task);
    assert_eq!(hunt.found, [""; 0], "after the host stopped");
    assert!(hunt.seen > 500, "only {} things were looked at", hunt.seen);
}

/// What the kernel tells of processes, and every file of the installation.
fn everywhere(hunt: &mut Hunt, host: &Host, but: &[PathBuf]) {
    hunt.processes();
    hunt.folder(host.dir(), but).unwrap();
}

/// Everything that is printed.
fn said(hunt: &mut Hunt, host: &Host, task: u64) {
    let task = task.to_string();
    for command in [
        &["config"][..],
        &["config", "--json"],
        &["secret", "list"],
        &["secret", "list", "--json"],
        &["task", "list", "--json"],
        &["task", "show", &task],
        &["task", "show", &task, "--json"],
        &["task", "log", &task],
        &["task", "log", &task, "--json"],
        &["task", "diff", &task],
        &["doctor"],
        &["policy", "check"],
        // Errors speak too.
        &["task", "show", "999"],
        &["task", "add", "--repo", "nobody/nothing", "x"],
        &["secret", "set", "no such name"],
        &["nonsense"],
    ] {
        let output = host.cli(command).unwrap();
        hunt.bytes(&command.join(" "), output.stdout.as_bytes());
        hunt.bytes(&command.join(" "), output.stderr.as_bytes());
    }
}

/// What the engine tells of our containers, the memory of what runs in them, and the folders only they see.
fn containers(hunt: &mut Hunt, host: &Host, memory: Memory) {
    let ids = host.containers();
    assert_eq!(ids.len(), 1, "the agent's container runs, and no other");
    hunt.container(&ids[0]).unwrap();
    let inside = inside(&ids[0]);
    assert!(inside.len() >= 3, "init, the agent and its shell: {inside:?}");
    let first = Path::new("/proc").join(inside.first().unwrap().to_string()).join("root");
    for folder in ["in", "out", "run", "tmp", "home", "root", "etc", "var", "workspace"] {
        hunt.folder(&first.join(folder), &[]).unwrap();
    }
    if memory == Memory::Too {
        // The kernel shows memory to root only, since init cannot be traced; a `sleep` may be gone already.
        let read = inside.iter().filter(|pid| hunt.memory(**pid)).count();
        assert!(read >= 3 || !nix::unistd::geteuid().is_root(), "only {read} memories could be read");
    }
    // The host itself was started again without what it was given, and kept no copy in a descriptor that children could inherit.
    let fds = fs::read_dir(format!("/proc/{}/fd", host.pid().unwrap())).into_iter().flatten().flatten();
    let open: Vec<_> = fds.filter_map(|fd| fs::read_link(fd.path()).ok()).collect();
    assert!(!open.iter().any(|target| target.to_string_lossy().contains("memfd")), "{open:?}");
}

/// Processes of a container: its first one and all below.
fn inside(id: &str) -> BTreeSet<u32> {
    let mut docker = borg_tests::process::command("docker");
    docker.args(["inspect", "--format", "{{.State.Pid}}", id]);
    let first = borg_tests::process::run(docker, "", LIMIT).unwrap().success().stdout.trim().parse().unwrap();
    let mut all = BTreeSet::from([first]);
    let parents: Vec<(u32, u32)> = hunt::processes().into_iter().filter_map(|pid| Some((pid, parent(pid)?))).collect();
    loop {
        let more: Vec<u32> = parents
            .iter()
            .filter(|(pid, parent)| all.contains(parent) && !all.contains(pid))
            .map(|(pid, _)| *pid)
            .collect();
        if more.is_empty() {
            return all;
        }
        all.extend(more);
    }
}

fn parent(pid: u32) -> Option<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("PPid:"))?.trim().parse().ok()
}
