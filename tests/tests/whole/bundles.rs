//! An executor of a third person, with a bundle of its own: dropped in, installed, pinned, run; and what does not run. Nothing of the host knows it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use borg_tests::{
    crash::{self, Sandbox, warm},
    guest,
    harness::Host,
    process::{self, Backoff, Output},
    repo::Repo,
    trial::{LIMIT, REPOSITORY},
};
use std::{
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};
use tempfile::TempDir;

/// Policy is looked at every second, and taken when it has not changed for another.
const EFFECT: Duration = Duration::from_secs(20);

const MANIFEST: &str = r#"
name = "outsider"
kind = "executor"
world = "0.2.0"
version = "0.1.0"
summary = "starts a program of its own"

[asks]
bundle = "outsiders-own"
"#;

/// The grant of the executor: what everybody writes by hand.
const GRANT: &str = "[executor.outsider]\nimage = \"borg-base:latest\"\n[persona.answerer]\nexecutor = \"outsider\"\n";

/// Lays the executor's folder; gives it.
fn lay(root: &Path) -> PathBuf {
    let folder = root.join("plugins/executors/outsider");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(guest::component("outsider").unwrap(), folder.join("outsider.wasm")).unwrap();
    fs::write(folder.join("plugin.toml"), MANIFEST).unwrap();
    folder
}

/// An archive as somebody publishes it, with a program below `root` that says something.
fn archive(at: &Path, root: &str, says: &str) -> PathBuf {
    let program = at.join(root).join("agent");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::write(&program, format!("#!/bin/sh\necho '{says}'\n")).unwrap();
    fs::write(program.with_file_name("install.sh"), "exit 1\n").unwrap();
    let file = at.join(format!("{says}.tgz").replace(' ', "-"));
    let mut tar = process::command("tar");
    tar.arg("--create").arg("--gzip").arg("--file").arg(&file).arg("--directory").arg(at).arg(root);
    process::run(tar, "", LIMIT).unwrap().success();
    file
}

/// Writes the executor's `bundle.toml`.
fn bring(folder: &Path, version: &str, origin: &str, root: &str, integrity: &str) {
    let arch = std::env::consts::ARCH;
    let text = format!(
        "name = \"outsiders-own\"\nversion = \"{version}\"\n\n[[package]]\narch = \"{arch}\"\n{origin}\nroot = \"{root}\"\n\
         integrity = \"{integrity}\"\n\n[[program]]\nfrom = \"agent\"\nto = \"bin/agent\"\n"
    );
    fs::write(folder.join("bundle.toml"), text).unwrap();
}

fn install(host: &Host, from: &Path) -> Output {
    host.cli(&["agent", "install", "outsider", "--from", &from.display().to_string()]).unwrap()
}

/// What `agent list --json` says of the executor.
fn listed(host: &Host) -> serde_json::Value {
    let rows = host.json(&["agent", "list"]).unwrap();
    let rows = rows.as_array().unwrap().iter();
    rows.clone().find(|row| row["name"] == "outsider").unwrap().clone()
}

fn policy(host: &Host) -> String {
    fs::read_to_string(host.dir().join("policies/policy.toml")).unwrap()
}

/// Asks, and gives the status that comes of it and all that is told of the task.
fn ask(host: &Host) -> (String, String) {
    let task = host.task(REPOSITORY, "ask", "Who are you?", "").unwrap();
    let status = host.settled(task, LIMIT).unwrap();
    let number = task.to_string();
    let told = |command: &str| host.cli(&["task", command, &number]).unwrap().stdout;
    (status, told("show") + &told("log"))
}

/// Asks again and again until an edit of policy has taken effect, and the answer is this.
#[track_caller]
fn answers(host: &Host, status: &str, words: &str) {
    let deadline = Instant::now() + EFFECT;
    let mut pauses = Backoff::default();
    loop {
        let (found, told) = ask(host);
        if found == status && told.contains(words) {
            return;
        }
        assert!(pauses.pause_until(deadline), "{found}, and not {status} with `{words}`:\n{told}\n{}", host.log());
    }
}

/// An installation with the executor in it, and a place for what its author makes.
struct Place {
    host: Host,
    /// Of the executor.
    folder: PathBuf,
    author: TempDir,
    /// Read by the host.
    _repo: Repo,
}

impl Place {
    #[track_caller]
    fn new() -> Option<Place> {
        let repo = crash::repo("quick", str::to_owned).unwrap();
        let setup = crash::setup_of_any(Sandbox::strongest())?.policy(GRANT).unwrap();
        let setup = setup.repository(REPOSITORY, &repo, None).unwrap();
        let folder = lay(setup.dir());
        Some(Place { host: setup.write().unwrap(), folder, author: tempfile::tempdir().unwrap(), _repo: repo })
    }

    /// Publishes a version whose program says something, in an archive of this origin, and brings it; gives the archive. As long as the
    /// folder names another integrity, that archive is refused, and the refusal tells the right one.
    #[track_caller]
    fn publish(&self, version: &str, origin: &str, root: &str, says: &str) -> PathBuf {
        let archive = archive(self.author.path(), root, says);
        let other = format!("sha512-{}==", "A".repeat(86));
        bring(&self.folder, version, origin, root, &other);
        let before = policy(&self.host);
        let refused = install(&self.host, &archive);
        assert_eq!(refused.code, Some(1), "{}", refused.stderr);
        assert!(refused.stderr.contains(&format!("expected {other}")), "{}", refused.stderr);
        assert_eq!(policy(&self.host), before);
        let (_, told) = refused.stderr.split_once("its integrity is ").unwrap();
        bring(&self.folder, version, origin, root, told.split_once(',').unwrap().0);
        archive
    }
}

#[test]
fn a_third_persons_executor_brings_its_own_and_policy_says_which() {
    let Some(mut place) = Place::new() else { return };
    let url = "url = \"https://example.org/agent-1.0.0.tar.gz\"";
    let one = place.publish("1.0.0", url, "agent-1.0.0", "I am the first");
    let row = listed(&place.host);
    assert_eq!((&row["installed"], &row["bundle"]), (&false.into(), &"outsiders-own".into()), "{row}");
    let told = place.host.cli(&["agent", "install", "outsider"]).unwrap();
    assert_eq!(told.code, Some(1));
    assert!(told.stderr.contains("curl -fLO https://example.org/agent-1.0.0.tar.gz"), "{}", told.stderr);

    let told = install(&place.host, &one).success();
    let row = listed(&place.host);
    assert_eq!((&row["installed"], &row["runs"]), (&true.into(), &"1.0.0".into()), "{row}");
    let pin = row["digest"].as_str().unwrap().to_owned();
    assert!(told.stderr.contains(&format!("[executor.outsider] bundle = \"{pin}\"")), "{}", told.stderr);
    assert!(policy(&place.host).contains(&format!("bundle = \"{pin}\"")), "{}", policy(&place.host));

    warm::before(&place.host).unwrap();
    place.host.start().unwrap();
    warm::after(&place.host).unwrap();
    let (status, told) = ask(&place.host);
    assert!(status == "completed" && told.contains("I am the first"), "{status}: {told}\n{}", place.host.log());

    // The host runs on: its author publishes a newer one, on npm now, and nothing but the folder and policy says so.
    let two = place.publish("2.0.0", "npm = \"@outsider/agent\"", "package", "I am the second");
    let row = listed(&place.host);
    assert_eq!((&row["installed"], &row["runs"]), (&false.into(), &"1.0.0".into()), "what is pinned runs: {row}");
    let told = install(&place.host, &two).success();
    assert!(told.stderr.contains(&format!(", instead of {pin}")), "{}", told.stderr);
    answers(&place.host, "completed", "I am the second");
    let doctor = place.host.cli(&["doctor"]).unwrap();
    assert!((doctor.stdout + &doctor.stderr).contains("outsider 2.0.0 ("));

    // Changed where it lies.
    let program = place.host.data().join("agents/outsider/2.0.0/bin/agent");
    fs::write(&program, "#!/bin/sh\necho 'I am somebody else'\n").unwrap();
    let (status, told) = ask(&place.host);
    assert!(status == "blocked" && told.contains("is not what was installed"), "{status}: {told}");
    assert!(told.contains("borg-host agent install outsider") && !told.contains("somebody else"), "{told}");
    let doctor = place.host.cli(&["doctor"]).unwrap();
    assert_eq!(doctor.code, Some(1));
    assert!((doctor.stdout + &doctor.stderr).contains("is not what was installed"));
    install(&place.host, &two).success();
    answers(&place.host, "completed", "I am the second");

    // Another than policy says.
    let other = format!("sha256:{}", "0".repeat(64));
    let text = policy(&place.host).replace(listed(&place.host)["digest"].as_str().unwrap(), &other);
    fs::write(place.host.dir().join("policies/policy.toml"), &text).unwrap();
    answers(&place.host, "blocked", &format!("policy pins the bundle of outsider to {other}, which is not installed"));
    // And what a third person brings does not run unasked.
    fs::write(place.host.dir().join("policies/policy.toml"), text.replace(&format!("bundle = \"{other}\"\n"), ""))
        .unwrap();
    answers(&place.host, "blocked", "policy does not say which bundle outsider may run with");
}
